"""What the words of a person give away without a model: lower-cased text, patterns, and the thing they speak of."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

_QUOTES: Final = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "…": " "})
_GREETING: Final = re.compile(
    r"^(?:hi|hello|hey|good (?:morning|evening|afternoon))(?: (?:there|rapport|again))?\s+(?=\w)"
)
_FILLERS: Final = re.compile(r"\b(?:um+|uh+|erm*|you know|i mean)\b")
_SPACE: Final = re.compile(r"\s+")
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


@cache
def load_table(name: str) -> Mapping[str, Any]:
    """Read ``policy/data/<name>.toml``."""
    return tomllib.loads(resources.files("policy").joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))


def plain(text: str) -> str:
    """Lower-case ``text``, unify its quotes, and drop the punctuation; single spaces between words."""
    text = text.translate(_QUOTES).lower()
    return _SPACE.sub(" ", re.sub(r"[^\w\s']", " ", text)).strip()


def tokens(text: str) -> list[str]:
    """Return the words of ``text``, lower-cased."""
    return _WORD.findall(text.translate(_QUOTES).lower())


def content(text: str) -> str:
    """Return ``text`` in plain form without a greeting in front and without filler words."""
    return _SPACE.sub(" ", _FILLERS.sub(" ", _GREETING.sub("", plain(text)))).strip()


def is_english(text: str, language: str = "") -> bool:
    """Tell whether ``text`` may be treated as English; short or undecided texts may.

    Args:
        text: the words.
        language: what speech recognition believes, ``""`` when it has not said.
    """
    found = tokens(text)
    if not found:
        return not any(c.isalpha() for c in text)
    foreign_letters = sum(not c.isascii() for word in found for c in word) / sum(map(len, found))
    if foreign_letters > 0.3:
        return False
    known = sum(word in _english() for word in found)
    if language and language != "en" and known * 4 < len(found):
        return False
    return len(found) < 4 or known * 8 >= len(found)


@cache
def _english() -> frozenset[str]:
    return frozenset(load_table("lexicon")["english"]["words"])


def is_common(word: str) -> bool:
    """Tell whether ``word`` is one of the most common English words, or of those a listener always needs."""
    return word in _english() or word in _listening()


@cache
def _listening() -> frozenset[str]:
    return frozenset(load_table("lexicon")["english"]["listening"])


def is_question(text: str) -> bool:
    """Tell whether ``text`` ends as a question."""
    return text.rstrip(" \"'”’)").endswith("?")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Regular expressions per label, matched on :func:`plain` text at word boundaries."""

    by_label: Mapping[str, re.Pattern[str]]

    @classmethod
    def of(cls, table: Mapping[str, Sequence[str]]) -> Patterns:
        """Compile one expression per label; a pattern's ``^`` and ``$`` keep their meaning."""
        return cls({label: _compile(patterns) for label, patterns in table.items()})

    def hits(self, text: str) -> dict[str, int]:
        """Return how often each label's patterns occur in plain ``text``; labels without a hit are left out."""
        counts = {label: len(pattern.findall(text)) for label, pattern in self.by_label.items()}
        return {label: count for label, count in counts.items() if count}

    def search(self, label: str, text: str) -> re.Match[str] | None:
        """Return the first occurrence of ``label`` in plain ``text``."""
        return self.by_label[label].search(text)


def _compile(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile(
        "|".join(rf"(?:(?<![\w]){p}(?![\w']))" if not p.startswith("^") else f"(?:{p})" for p in patterns)
    )


@cache
def lexicon(section: str) -> Patterns:
    """Return the compiled section of ``policy/data/lexicon.toml``."""
    return Patterns.of(load_table("lexicon")[section])


def covers_up(text: str) -> bool:
    """Tell whether ``text`` says that all is well, in the way people do who do not want to talk about it."""
    return lexicon("cover").search("phrases", plain(text)) is not None


_NEGATION: Final = re.compile(
    r"\b(?:not|never|no|isn't|wasn't|don't|didn't|doesn't|can't|aren't|won't|hardly)(?: \w+){0,2}$"
)
_GLAD: Final = frozenset({"joy", "pride", "relief"})


def mood_words(text: str) -> dict[str, int]:
    """Count the words that speak for each mood; a negated one does not count, a negated glad one is sadness."""
    text = plain(text)
    counts: dict[str, int] = {}
    for mood, pattern in lexicon("mood").by_label.items():
        for match in pattern.finditer(text):
            negated = _NEGATION.search(text[: match.start()].rstrip()) is not None
            if not negated:
                counts[mood] = counts.get(mood, 0) + 1
            elif mood in _GLAD:
                counts["sadness"] = counts.get("sadness", 0) + 1
    return counts


@cache
def _topics() -> re.Pattern[str]:
    nouns = sorted(load_table("lexicon")["topic"]["nouns"], key=len, reverse=True)
    return re.compile(rf"\b(?:my|our) ({'|'.join(nouns)})\b(?!')")


def topics(text: str) -> tuple[str, ...]:
    """Return what the person spoke of as *theirs*, addressed to them (``your exam``), in order, without repeats."""
    return tuple(dict.fromkeys(f"your {noun}" for noun in _topics().findall(plain(text))))
