"""What a student can do, counted on a part of the corpus: strategies, display emotions, questions, losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.decision import LEARNED_EMOTIONS
from policy.head import STRATEGY_NAMES
from policy.mood import HEAVY
from policy.training.compact import CompactStudent
from policy.training.examples import Example

_BATCH: Final = 16
_STRATEGIES: Final = len(STRATEGY_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Right or wrong, one by one, so that intervals and paired differences can be told.

    Attributes:
        strategy: by id, whether the chosen strategy was acceptable.
        emotion: by id, whether the chosen display emotion was.
        happy: ids of situations of distress to which happy was shown.
        choice: by id, whether the right option was chosen.
    """

    strategy: Mapping[str, bool]
    emotion: Mapping[str, bool]
    happy: tuple[str, ...]
    choice: Mapping[str, bool]

    def figures(self) -> dict[str, float]:
        """Return the shares that are right, by name; what was not asked is left out."""
        found = {"strategy": self.strategy, "emotion": self.emotion, "choice": self.choice}
        out = {name: share(marks) for name, marks in found.items() if marks}
        if self.emotion:
            out["happy_in_distress"] = float(len(self.happy))
        return out


def share(marks: Mapping[str, bool]) -> float:
    """Return the share of right ones."""
    return sum(marks.values()) / max(1, len(marks))


def interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    p, n = right / count, count
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def examine(student: CompactStudent, examples: Sequence[Example]) -> Marks:
    """Let ``student`` choose by itself, without head and rules, and mark it."""
    return marked(scored(student, examples), by_scores)


def by_scores(example: Example, rows: Any) -> tuple[str, str]:
    """Return the strategy and the display emotion with the highest scores."""
    strategies, emotions = rows[:_STRATEGIES], rows[_STRATEGIES : _STRATEGIES + len(LEARNED_EMOTIONS)]
    return STRATEGY_NAMES[_best(strategies)], LEARNED_EMOTIONS[_best(emotions)]


def marked(found: Sequence[tuple[Example, Any, Any]], choose: Callable[[Example, Any], tuple[str, str]]) -> Marks:
    """Mark scores.

    Args:
        found: as :func:`scored` returns it.
        choose: from a situation and the scores of all rows to a strategy and a display emotion.
    """
    strategy, emotion, choice = dict[str, bool](), dict[str, bool](), dict[str, bool]()
    happy: list[str] = []
    for example, rows, fits in found:
        if example.answer >= 0:
            choice[example.id] = _best(fits) == example.answer
            continue
        name, shown = choose(example, rows)
        strategy[example.id] = name in example.strategies
        emotion[example.id] = shown in example.emotions
        if shown == "happy" and example.mood in HEAVY:
            happy.append(example.id)
    return Marks(strategy=strategy, emotion=emotion, happy=tuple(happy), choice=choice)


def _best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=lambda n: float(scores[n]))


def scored(student: CompactStudent, examples: Sequence[Example]) -> list[tuple[Example, Any, Any]]:
    """Return each example with the scores of all rows, and the fit of each branch."""
    order = sorted(examples, key=lambda e: sum(len(getattr(p, "text", "")) for p in e.pieces))
    out = []
    for begin in range(0, len(order), _BATCH):
        piece = order[begin : begin + _BATCH]
        out += [(example, *found) for example, found in zip(piece, student.scores(piece), strict=True)]
    return out
