"""Words that stay: local agreement over growing hypotheses.

A recogniser that hears a sentence grow changes its mind about the end of it. Words on which two
consecutive hypotheses agree, but for the last word of each, which may be half a word, are committed and shown
unchanged from then on (Liu et al., *Low-Latency
Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis Selection*, 2020).
"""

from __future__ import annotations

from collections.abc import Sequence


class Agreement:
    """The state for one growing stretch of speech."""

    def __init__(self) -> None:
        self._committed: list[str] = []
        self._last: list[str] = []

    @property
    def committed(self) -> tuple[str, ...]:
        """The words that will not change any more."""
        return tuple(self._committed)

    def add(self, hypothesis: Sequence[str]) -> tuple[str, ...]:
        """Take in the next hypothesis, word by word; return the words to show."""
        words = [word.removesuffix("...") or word for word in hypothesis]
        agreed = _common(self._last[:-1], words[:-1])
        known = len(self._committed)
        if agreed > known and _common(self._committed, words) == known:
            self._committed += words[known:agreed]
        self._last = words
        return (*self._committed, *words[len(self._committed) :])


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if _plain(a) != _plain(b):
            break
        count += 1
    return count


def _plain(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum()) or word
