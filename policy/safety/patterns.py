"""Patterns for danger that is said plainly, and for what only sounds like it; see ``policy/data/danger-plain.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from policy.words import Patterns, lexicon, load_table, plain

_ORDER: Final = ("self_harm", "medical", "abuse", "harm_others")
_FILE: Final = "policy/data/danger-plain.toml"
_PART: Final = re.compile(r"\{([a-z]+)\}")
_SENTENCE: Final = re.compile(r"[.!?;]+\s")


class PatternError(ValueError):
    """The file breaks its schema; the message names file, entry and field."""


@dataclass(frozen=True, slots=True)
class Match:
    """A danger that is said plainly.

    Attributes:
        kind: of the danger.
        clause: the words that say it.
        language: two letters.
    """

    kind: str
    clause: str
    language: str = "en"


def search(words: str) -> Match | None:
    """Return the gravest danger that ``words`` speak of plainly, or ``None``."""
    found = {kind for sentence in sentences_of(words) for kind in _kinds(sentence)}
    return next((Match(kind, words) for kind in _ORDER if kind in found), None)


def sentences_of(words: str) -> list[str]:
    """Return the sentences of ``words``, each of which is looked through by itself."""
    return [part for part in map(str.strip, _SENTENCE.split(words)) if part]


def meant(words: str) -> str:
    """Return ``words`` without ways of speaking that only sound like danger; as they are where there is none."""
    text = bare = plain(words)
    for label in ("phrases", "denied"):
        bare = lexicon("harmless").by_label[label].sub(" ", bare)
    bare = patterns().by_label["idioms"].sub(" ", bare)
    return words if bare == text else " ".join(bare.split())


def elsewhere(words: str) -> bool:
    """Tell whether ``words`` are marked as over, made up, news or work."""
    table, text = patterns(), plain(words)
    return table.search("elsewhere", text) is not None and table.search("present", text) is None


def _kinds(sentence: str) -> set[str]:
    if elsewhere(sentence):
        return set()
    table, text = patterns(), plain(meant(sentence))
    sources = (lexicon("danger"), table)
    return {kind for kind in _ORDER for source in sources if source.search(kind, text) is not None}


@cache
def patterns() -> Patterns:
    """Return the compiled patterns of the file, by kind, with ``elsewhere``, ``present`` and ``idioms``."""
    return parse(load_table("danger-plain"))


def parse(table: Mapping[str, Any]) -> Patterns:
    """Compile the file.

    Raises:
        PatternError: a part is not known, or a pattern is no regular expression.
    """
    parts: Mapping[str, str] = table.get("part", {})
    found: dict[str, list[str]] = {}
    for section in (*_ORDER, "elsewhere", "idioms"):
        for name in ("patterns", "present") if section == "elsewhere" else ("patterns",):
            given = table.get(section, {}).get(name)
            if not isinstance(given, list) or not given:
                raise PatternError(f"{_FILE}: [{section}] {name} is {given!r}, expected a list of expressions")
            where = f"{_FILE}: [{section}] {name}"
            found["present" if name == "present" else section] = [
                _expand(pattern, parts, f"{where} {n}") for n, pattern in enumerate(given, 1)
            ]
    return Patterns.of(found)


def _expand(pattern: str, parts: Mapping[str, str], where: str) -> str:
    for _ in range(4):
        names = [name for name in _PART.findall(pattern) if not name.isdigit()]
        unknown = [name for name in names if name not in parts]
        if unknown:
            raise PatternError(f"{where}: there is no part {{{unknown[0]}}}; there are {', '.join(parts)}")
        if not names:
            break
        pattern = _PART.sub(lambda match: parts[match.group(1)], pattern)
    try:
        re.compile(pattern)
    except re.error as error:
        raise PatternError(f"{where}: {error}") from None
    return pattern
