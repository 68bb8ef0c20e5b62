"""Sentences that the classifier of danger is trained on: ``policy/training/danger/*.toml``, and the corpus.

Each is a window by itself. What these files call danger is mostly hinted at, but not always, so that a sentence is
labelled with its kind alone. Hints and plain words are told apart by :mod:`policy.training.danger_talks`, and by
``plain.toml``, whose sentences are also joined with everyday reasons.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policy.safety.detector import KINDS
from policy.training import corpus
from policy.training.danger_talks import ANY, EITHER, NONE, PLAIN, Example, Turns

FOLDER: Final = Path(__file__).parent / "danger"
_MAIN: Final = "main.toml"
"""Beside sentences, it has frames and contrasts."""
_PLAIN: Final = "plain.toml"
"""It has ``plain`` in place of ``danger``, and what is said before or behind it."""
HELD_CORPUS: Final = ("w7", "w8")
"""Parts of the corpus that are not learned from, so that false alarms and what is found can be measured on them."""


@dataclass(frozen=True, slots=True)
class Sentences:
    """What is learned from, each a window with its label.

    Attributes:
        own: written one by one, and situations of the corpus that call for safety.
        joined: starts joined with ends, of which some go into each pass.
        stated: what is said outright, or denied, with what is said before or behind it; likewise.
        everyday: turns of the corpus, alone and behind those before them, likewise.
        frames: ``away`` and ``dress``.
    """

    own: Sequence[Example]
    joined: Sequence[Example]
    stated: Sequence[Example]
    everyday: Sequence[Example]
    frames: Mapping[str, Sequence[str]]


class SentenceError(ValueError):
    """A file breaks its schema; the message names file, entry and field."""


def examples(without: Sequence[str] = ()) -> Sentences:
    """Return all sentences.

    Args:
        without: names of files, short of their ending, whose sentences are left out; of ``main``, what is joined stays.

    Raises:
        SentenceError: a file breaks its schema, or there is none of that name.
    """
    paths = sorted(FOLDER.glob("*.toml"), key=lambda path: (path.name != _MAIN, path.name))
    tables = {path.name: tomllib.loads(path.read_text(encoding="utf-8")) for path in paths}
    main = tables[_MAIN]
    check(main)
    for name in without:
        _known(name)
    tables = {name: table for name, table in tables.items() if name.removesuffix(".toml") not in without}
    own: list[Example] = [example for name, table in tables.items() for example in _labelled(table, name)]
    told = dict(_told())
    own += [(turns, ANY) for turns, danger in told.items() if danger]
    everyday = [(turns, NONE) for turns in sorted(turns for turns, danger in told.items() if not danger)]
    stated = list(_stated(tables[_PLAIN])) if _PLAIN in tables else []
    return Sentences(own, list(_joined(main["contrast"])), stated, everyday, main["frames"])


def of_file(name: str) -> list[Example]:
    """Return the sentences of one file.

    Args:
        name: of the file, short of its ending.

    Raises:
        SentenceError: there is no such file, or it breaks its schema.
    """
    path = _known(name)
    return _labelled(tomllib.loads(path.read_text(encoding="utf-8")), path.name)


def _known(name: str) -> Path:
    there = {path.stem: path for path in FOLDER.glob("*.toml")}
    if name not in there:
        raise SentenceError(f"there is no {name}.toml in {FOLDER.name}, only {', '.join(sorted(there))}")
    return there[name]


def check(table: Mapping[str, Any]) -> None:
    """Check ``main.toml``.

    Raises:
        SentenceError: it breaks the schema.
    """
    _labelled(table, _MAIN)
    _groups(table, _MAIN, "frames", ("away", "dress"))
    for frame in (frame for group in table["frames"].values() for frame in group):
        if frame.count("{}") != 1:
            raise SentenceError(f"{_MAIN}: [frames] {frame!r} needs {{}} once, where the sentence goes")
    for number, contrast in enumerate(table.get("contrast", ()), 1):
        if contrast.get("kind") not in KINDS:
            raise SentenceError(f"{_MAIN}: [[contrast]] {number} kind is none of {', '.join(KINDS)}")
        for name in ("starts", "danger", "harmless"):
            _texts(contrast.get(name), f"{_MAIN}: [[contrast]] {number} {name}")


def _labelled(table: Mapping[str, Any], file: str) -> list[Example]:
    section, first = ("plain", PLAIN) if file == _PLAIN else ("danger", EITHER)
    danger = _groups(table, file, section, KINDS)
    harmless = _groups(table, file, "harmless", None)
    found: list[Example] = [((text,), first + KINDS.index(kind)) for kind, texts in danger.items() for text in texts]
    return found + [((text,), NONE) for texts in harmless.values() for text in texts]


def _groups(
    table: Mapping[str, Any], file: str, section: str, known: Sequence[str] | None
) -> Mapping[str, Sequence[str]]:
    groups = table.get(section)
    if not isinstance(groups, Mapping) or not groups:
        raise SentenceError(f"{file}: [{section}] is missing")
    for group, texts in groups.items():
        if known is not None and group not in known:
            raise SentenceError(f"{file}: [{section}] {group} is none of {', '.join(known)}")
        _texts(texts, f"{file}: [{section}] {group}")
    return groups


def _texts(texts: object, where: str) -> None:
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t.strip() for t in texts):
        raise SentenceError(f"{where} is no list of sentences")


def _joined(tables: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    for table in tables:
        for label, ends in ((EITHER + KINDS.index(table["kind"]), table["danger"]), (NONE, table["harmless"])):
            for start in table["starts"]:
                yield from (((f"{start} {end}",), label) for end in ends if f"{start} {end}" not in table["never"])


def _stated(table: Mapping[str, Any]) -> Iterator[Example]:
    because = _groups(table, _PLAIN, "because", ("before", "behind"))
    for (text,), label in _labelled(table, _PLAIN):
        yield from (((f"{before} {text}",), label) for before in because["before"])
        yield from (((f"{text} {behind}",), label) for behind in because["behind"])


def _told() -> Iterator[tuple[Turns, bool]]:
    """Yield what people say in the corpus, and whether it is a danger.

    A danger is the last turn with the one before, since many show only together; everyday talk is each turn alone, and
    behind all turns before it.
    """
    for situation in corpus.situations():
        if situation.id.startswith(HELD_CORPUS):
            continue
        said = tuple(turn.text for turn in situation.turns if turn.who == "person")
        if "safety" in situation.strategies:
            yield said[-2:], True
            continue
        yield from (((text,), False) for text in said)
        yield from ((said[:number], False) for number in range(2, len(said) + 1))
