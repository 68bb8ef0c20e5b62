"""How the words are read: which act they perform, which strategy they call for, which mood they are in.

Two readers with one result. :class:`KeywordReader` knows patterns only and needs no model.
:class:`PrototypeReader` compares the words with example utterances (``policy/data/prototypes.toml``) in an
embedding space and lets the patterns weigh in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from policy.embedding import Embed, Vectors
from policy.words import content, covers_up, is_question, lexicon, load_table, mood_words, plain, tokens

MOODS: Final = (
    "grief",
    "sadness",
    "fear",
    "anger",
    "shame",
    "loneliness",
    "stress",
    "disappointment",
    "hurt",
    "joy",
    "pride",
    "relief",
    "neutral",
    "boredom",
)
HEAVY: Final = frozenset(MOODS[:9])
"""Moods that count as distress."""

TELL: Final = "tell"
"""The act of simply telling something; everything that is none of the small acts."""

CONTINUE: Final = "continue"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the words amount to.

    Attributes:
        act: a small social act of ``lexicon.toml``, ``advice``, ``fact``, or :data:`TELL`.
        act_sure: 0..1.
        strategies: share per strategy, sums to 1.
        moods: share per mood of :data:`MOODS`, sums to 1.
    """

    act: str
    act_sure: float
    strategies: Mapping[str, float]
    moods: Mapping[str, float]

    @property
    def heavy(self) -> float:
        """Share of all moods of distress."""
        return sum(share for mood, share in self.moods.items() if mood in HEAVY)

    @property
    def mood(self) -> str:
        """The likeliest mood."""
        return max(self.moods, key=lambda mood: self.moods[mood])


class Reader(Protocol):
    """Reads words; the same words always give the same reading."""

    def read(self, words: str, before: Sequence[str] = ()) -> Reading:
        """Read ``words``, said after ``before`` (oldest first)."""
        ...


def act_of(words: str) -> str:
    """Return the act that the patterns find in ``words``, or ``""``.

    Words of more than a sentence or two that merely contain such a phrase are left to the reader.
    """
    bare, text = plain(words), content(words)
    count = len(bare.split())
    patterns = lexicon("act")
    for act in _ORDER:
        parts = (bare, text, *_clauses(words)) if act == "goodbye" else (bare, text)
        if act == "quiet":
            parts = tuple(part for part in _clauses(words) if lexicon("told").search("quiet", part) is None)
        if all(patterns.search(act, part) is None for part in parts):
            continue
        if count <= _LONGEST.get(act, 14):
            return act
    return ""


def _clauses(words: str) -> list[str]:
    """Return ``words`` cut at every mark: leave is taken in a clause, with its reason before or after it."""
    return [plain(part) for part in _MARKS.split(words)]


_MARKS: Final = re.compile(r"[,.;:!?]+")
_ORDER: Final = (
    "off_topic", "change", "quiet", "repeat", "presence", "identity", "perceive", "complaint", "joke",
    "greeting", "how_are_you", "thanks", "goodbye", CONTINUE, "advice", "fact",
)  # fmt: skip
_LONGEST: Final[Mapping[str, int]] = {
    "off_topic": 400, "quiet": 16, "advice": 80, "fact": 30, "complaint": 20, "identity": 24,
}  # fmt: skip


class KeywordReader:
    """Reads with patterns alone: quick, plain to explain, and blind to paraphrase."""

    def read(self, words: str, before: Sequence[str] = ()) -> Reading:
        """Count mood words of ``words``, and for a short answer those of what was said before at half weight."""
        counts = {mood: float(count) for mood, count in mood_words(words).items()}
        if before and len(tokens(words)) <= 5:
            for mood, count in mood_words(before[-1]).items():
                counts[mood] = counts.get(mood, 0.0) + 0.5 * count
        counts["neutral"] = 0.4
        total = sum(counts.values())
        moods = {mood: counts.get(mood, 0.0) / total for mood in MOODS}
        act = act_of(words)
        heavy = sum(moods[mood] for mood in HEAVY)
        count = len(tokens(words))
        scores = {
            "question": 1.0 - heavy + (0.5 if count < 8 else 0.0),
            "restatement": 0.8 if count > 35 else 0.1,
            "reflection": 0.4 + 1.2 * heavy,
            "affirmation": 0.4 + 0.8 * (moods["joy"] + moods["pride"] + moods["relief"] + moods["shame"]),
            "suggestion": 3.0 if act == "advice" else 0.0,
            "information": 3.0 if act == "fact" else 0.0,
            "other": 0.1,
        }
        return Reading(act or TELL, 1.0 if act else 0.6, _shares(scores), moods)


class PrototypeReader:
    """Reads by likeness to example utterances.

    A ridge classifier per question is fitted to the prototypes when it is made; a softmax makes shares of its
    scores. A word that speaks for a mood adds to it. Short answers take most of their mood from what was said
    before.

    Args:
        embed: the sentence encoder.
        table: prototypes as in ``prototypes.toml``: section, class, utterances.
    """

    def __init__(self, embed: Embed, table: Mapping[str, Mapping[str, Sequence[str]]] | None = None) -> None:
        table = load_table("prototypes") if table is None else table
        self._embed = embed
        self._strategies = _Bank(embed, table["strategy"])
        self._moods = _Bank(embed, table["mood"])
        told = [text for name, texts in table["mood"].items() if name != "neutral" for text in texts]
        told += [
            t for name in ("question", "restatement", "reflection", "affirmation") for t in table["strategy"][name]
        ]
        acts: dict[str, Sequence[str]] = dict(table["act"])
        acts |= {"advice": table["strategy"]["suggestion"], "fact": table["strategy"]["information"], TELL: told}
        self._acts = _Shelf(embed, acts)

    def read(self, words: str, before: Sequence[str] = ()) -> Reading:
        """Embed ``words``, their last sentence and what was said before; score the three banks."""
        texts = texts_of(words, before)
        vectors = self._embed(texts)
        count = len(texts) - len(before[-1:])
        now, then = vectors[:count], vectors[count:]
        moods = self._moods.scores(now)
        own = min(1.0, len(tokens(words)) / 8)
        if len(then):
            earlier = self._moods.scores(then)
            weight = 0.15 + 0.5 * (1.0 - own)
            moods = {mood: (1 - weight) * score + weight * earlier[mood] for mood, score in moods.items()}
        for mood, count in mood_words(words).items():
            moods[mood] += _WORD_BONUS * min(2, count)
        strategies = self._strategies.scores(now)
        act, sure = self._act(words, now)
        if act == "advice":
            strategies["suggestion"] += 0.3
        elif act == "fact":
            strategies["information"] += 0.3
        return Reading(act, sure, _softmax(strategies), _softmax(moods))

    def _act(self, words: str, vectors: Vectors) -> tuple[str, float]:
        act = act_of(words)
        if act:
            return act, 1.0
        near = self._acts.nearest(vectors[0])
        best = max((name for name in near if name != TELL), key=lambda name: near[name])
        sure = near[best]
        limit = 30 if best in {"advice", "fact"} else 12
        told = near[TELL] + _ACT_MARGIN > sure or len(tokens(words)) > limit
        if best in {"advice", "fact"}:
            told = told or not is_question(words)
        elif mood_words(words) or covers_up(words):
            told = True
        return (TELL, near[TELL]) if told or sure < _ACT_NEAR else (best, min(1.0, sure))


_WORD_BONUS: Final = 0.2
_TEMPERATURE: Final = 0.08
_RIDGE: Final = 2.0
_ACT_NEAR: Final = 0.55
_ACT_MARGIN: Final = 0.03


class _Bank:
    """A ridge classifier over the embedded prototypes of one question, fitted when made.

    Nearest neighbours follow the topic of a sentence more than its mood; the regression, on prototypes that
    speak of the same topics in every mood, finds the directions that matter (leaving one out: 0.58 of 14 moods
    against 0.39 for the three nearest; 0.64 with the bonus for words).
    """

    def __init__(self, embed: Embed, table: Mapping[str, Sequence[str]]) -> None:
        self._names = tuple(table)
        vectors = embed([text for group in table.values() for text in group]).astype(np.float64)
        owner = np.repeat(np.arange(len(table)), [len(group) for group in table.values()])
        targets = np.eye(len(table))[owner]
        kernel = vectors @ vectors.T + 1.0 + _RIDGE * np.eye(len(vectors))
        alpha = np.linalg.solve(kernel, targets)
        self._weights = vectors.T @ alpha
        self._bias = alpha.sum(axis=0)

    def scores(self, vectors: Vectors) -> dict[str, float]:
        """Return the score per class, about 0..1; the mean over the given texts."""
        found = (vectors @ self._weights + self._bias).mean(axis=0)
        return dict(zip(self._names, map(float, found), strict=True))


class _Shelf:
    """Prototypes by class, for the nearest one of each."""

    def __init__(self, embed: Embed, table: Mapping[str, Sequence[str]]) -> None:
        self._groups = {name: embed(group) for name, group in table.items()}

    def nearest(self, vector: NDArray[np.float32]) -> dict[str, float]:
        """Return, per class, the cosine of the prototype nearest to ``vector``."""
        return {name: float((group @ vector).max()) for name, group in self._groups.items()}


def texts_of(words: str, before: Sequence[str] = ()) -> list[str]:
    """Return what must be embedded to read ``words``: they, their last sentence, and what was said before."""
    return [*_parts(words), *before[-1:]]


def _parts(words: str) -> list[str]:
    """Return ``words`` and, if they are several sentences, their last one that says something."""
    found = [part.strip() for part in _sentences(words) if len(part.split()) >= 3]
    return [words] if len(found) < 2 else [words, found[-1]]


def _sentences(words: str) -> list[str]:
    out, current = [], ""
    for char in words:
        current += char
        if char in ".!?":
            out.append(current)
            current = ""
    return [*out, current]


def _softmax(scores: Mapping[str, float]) -> dict[str, float]:
    top = max(scores.values())
    return _shares({name: math.exp((score - top) / _TEMPERATURE) for name, score in scores.items()})


def _shares(scores: Mapping[str, float]) -> dict[str, float]:
    total = sum(scores.values())
    return {name: score / total for name, score in scores.items()}
