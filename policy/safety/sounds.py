"""How English words sound, coarsely, and how nearly a stretch of them sounds like a phrase.

A sound is one letter: consonants by place and manner, ``S C J T N`` for *sh ch j th ng*, and four vowels. Rules read
them off the spelling, which is exact enough to tell which words may be taken for which. How far two stretches sound
alike is an edit distance with costs by place and manner, after Kondrak, *A New Algorithm for the Alignment of Phonetic
Sequences* (2000); the stretch may begin and end at any word (Sellers, *The Theory and Computation of Evolutionary
Distances*, 1980).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

_RULES: Final = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"[^a-z]", ""),
        (r"^(?:kn|gn|pn)", "n"), (r"^wr", "r"), (r"^ps", "s"), (r"^who", "ho"), (r"^wh", "w"),
        (r"t?ch", "C"), (r"sh|(?<=.)(?:ti(?=on|al)|ssi(?=on)|ci(?=al|an))", "S"), (r"dge", "J"),
        (r"ph", "f"), (r"(?<=[aeiou])gh(?:t)", "t"), (r"(?<=[aeiou])gh", ""), (r"gh", "g"),
        (r"ck|q", "k"), (r"x", "ks"), (r"c(?=[eiy])", "s"), (r"c", "k"), (r"th", "T"), (r"ng(?=$|s$|ing)", "N"),
        (r"mb$", "m"), (r"lk", "k"), (r"(?<=[^aeiouy])ed$|(?<=[^td])ed$", "d"), (r"(?<=[^aeiouy])e$", ""),
        (r"(?<=[aeiou][a-zA-Z])es$", "s"), (r"j", "J"), (r"^y(?=[aeiou])", "j"),
        (r"(.)\1+", r"\1"),
        (r"(?:ee|ea|ie|ei|ey|y|i)[aeiouy]*", "i"), (r"e[aeiouy]*", "e"), (r"a[aeiouyw]*", "a"),
        (r"[ou][aeiouyw]*", "o"),
    )
)  # fmt: skip
_REDUCED: Final = {"and": "an", "of": "ov", "the": "Ta", "an": "an", "to": "to"}
_SOUNDS: Final = "ieaopbtdkgfvszTSCJmnNlrwhj"
_UNIT: Final = 20
"""What it costs that a sound is another one which is not like it."""
_ALIKE: Final = {
    5: ("pb", "td", "kg", "sz", "fv", "SJ", "CJ", "SC", "nN"),
    7: ("mn", "sS", "zJ", "sT", "zT", "fT", "vT", "tT", "dT", "sC"),
    10: ("pf", "bv", "vw", "lr", "rw", "mN", "tC", "dJ", "fh", "kh", "lw", "bm", "dn"),
    12: ("pt", "tk", "pk", "bd", "dg", "bg", "ts", "dz", "sf", "zv", "ln", "nv"),
}
_VOWEL: Final = 4
_LOST: Final = {**dict.fromkeys("ieaohwjr", 6), **dict.fromkeys("td", 10), **dict.fromkeys("sz", 12)}
_CONSONANT: Final = 16
"""What it costs that a consonant is lost or added."""

_PLACE: Final = 4096
"""Costs and the word in which a stretch begins are kept in one number: the cost times this, and the word."""


@dataclass(frozen=True, slots=True)
class Near:
    """A stretch of words that sounds like a phrase.

    Attributes:
        phrase: index of the phrase.
        begin: index of the first word.
        end: index after the last one.
        distance: from the phrase, per sound of it.
    """

    phrase: int
    begin: int
    end: int
    distance: float


@lru_cache(8192)
def sounds_of(word: str) -> tuple[str, ...]:
    """Return the sounds of a word in small letters."""
    if word in _REDUCED:
        return tuple(_REDUCED[word])
    for pattern, sound in _RULES:
        word = pattern.sub(sound, word)
    return tuple(sound for sound in word if sound in _SOUNDS)


class Phrasebook:
    """Phrases to be recognised by their sound, all at once.

    Args:
        phrases: in small letters, without signs.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        keys = [[_SOUNDS.index(s) for word in phrase.split() for s in sounds_of(word)] for phrase in phrases]
        self._lengths = np.array([len(key) for key in keys], np.int64)
        wide = int(self._lengths.max(initial=0))
        table = np.array([key + [0] * (wide - len(key)) for key in keys], np.int64).reshape(len(keys), wide).T
        lost = _lost()[table]
        # Costs are kept relative to those of losing all of a phrase so far, so that losing a sound of it costs nothing.
        self._swaps = (_swaps()[:, table] - lost) * _PLACE
        self._empty = np.pad(np.cumsum(lost, axis=0), ((1, 0), (0, 0)))[self._lengths, np.arange(len(keys))] * _PLACE
        self._none = np.zeros((wide + 1, len(keys)), np.int64)

    def search(self, words: Sequence[str], most: float) -> list[Near]:
        """Return for each phrase the stretch of whole words that sounds most like it, nearest first.

        Args:
            words: in small letters, without signs; at most 4,096.
            most: largest distance per sound of the phrase; what is further away is left out.
        """
        count = len(self._lengths)
        best = np.full(count, np.iinfo(np.int64).max)
        ends = np.zeros(count, np.int64)
        row = self._none
        for n, word in enumerate(words):
            row = np.minimum(row, n)  # a stretch may begin here
            for sound in map(_SOUNDS.index, sounds_of(word)):
                kept = row + int(_lost()[sound]) * _PLACE
                np.minimum(kept[1:], row[:-1] + self._swaps[sound], out=kept[1:])
                row = np.minimum.accumulate(kept, axis=0)
            whole = row[self._lengths, np.arange(count)] + self._empty
            better = whole // _PLACE < best // _PLACE
            best[better], ends[better] = whole[better], n + 1
        distances = best // _PLACE / (_UNIT * np.maximum(1, self._lengths))
        order = [int(at) for at in np.argsort(distances, kind="stable") if distances[at] <= most]
        return [Near(at, int(best[at] % _PLACE), int(ends[at]), float(distances[at])) for at in order]


@lru_cache(1)
def _lost() -> NDArray[np.int64]:
    return np.array([_LOST.get(sound, _CONSONANT) for sound in _SOUNDS], np.int64)


@lru_cache(1)
def _swaps() -> NDArray[np.int64]:
    """Return what it costs that one sound is another, int64 of shape (sounds, sounds)."""
    costs = np.full((len(_SOUNDS), len(_SOUNDS)), _UNIT, np.int64)
    pairs = [(cost, pair) for cost, alike in _ALIKE.items() for pair in alike]
    pairs += [(_VOWEL, one + other) for one, other in product("ieao", repeat=2)]
    for cost, pair in pairs:
        one, other = (_SOUNDS.index(sound) for sound in pair)
        costs[one, other] = costs[other, one] = cost
    np.fill_diagonal(costs, 0)
    return costs
