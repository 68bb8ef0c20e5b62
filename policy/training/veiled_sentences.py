"""What the reader of veiled danger is trained on: ``policy/training/danger/*.toml``, and the corpus."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policy.safety.detector import KINDS
from policy.training import corpus

CLASSES: Final = ("none", *KINDS)
ANY: Final = len(CLASSES)
"""Label of a danger whose kind is not written down."""

FOLDER: Final = Path(__file__).parent / "danger"
_MAIN: Final = "main.toml"
"""Beside sentences, it has frames and contrasts."""
HELD_CORPUS: Final = ("w7", "w8")
"""Parts of the corpus that no member sees, so that false alarms and what is found can be measured on them."""

Example = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Sentences:
    """What is learned from, each sentence with its class.

    Attributes:
        own: written one by one, and situations of the corpus that call for safety.
        joined: starts joined with ends, of which some go into each pass.
        everyday: turns of the corpus, alone and with the one before, likewise.
        frames: ``away`` and ``dress``.
    """

    own: Sequence[Example]
    joined: Sequence[Example]
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
    own += [(text, ANY) for text, danger in told.items() if danger]
    everyday = [(text, 0) for text in sorted(text for text, danger in told.items() if not danger)]
    return Sentences(own, list(_joined(main["contrast"])), everyday, main["frames"])


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
    danger = _groups(table, file, "danger", KINDS)
    harmless = _groups(table, file, "harmless", None)
    found = [(text, CLASSES.index(kind)) for kind, texts in danger.items() for text in texts]
    return found + [(text, 0) for texts in harmless.values() for text in texts]


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
        for label, ends in ((CLASSES.index(table["kind"]), table["danger"]), (0, table["harmless"])):
            for start in table["starts"]:
                yield from ((f"{start} {end}", label) for end in ends if f"{start} {end}" not in table["never"])


def _told() -> Iterator[tuple[str, bool]]:
    """Yield what people say in the corpus, and whether it is a danger.

    A danger is the last turn with the one before, since many show only together; everyday talk is each turn alone, and
    the last two together.
    """
    for situation in corpus.situations():
        if situation.id.startswith(HELD_CORPUS):
            continue
        said = [turn.text for turn in situation.turns if turn.who == "person"]
        together = " ".join(said[-2:])
        if "safety" in situation.strategies:
            yield together, True
            continue
        yield from ((text, False) for text in said)
        if len(said) > 1:
            yield together, False
