"""How often a choice fits a situation of the corpus, and what it must never be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from perception.context import ContextWindow
from policy.affect import acceptable
from policy.mood import HEAVY
from policy.training.corpus import Situation
from policy.training.scenes import window_of

Choose = Callable[[ContextWindow], tuple[str, str]]
"""From a window to a strategy (or ``wait``) and a display emotion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What came of it.

    Attributes:
        n: situations.
        strategy: share with an acceptable strategy.
        emotion: share with an acceptable display emotion.
        both: share with both.
        happy_in_distress: situations of distress that were shown a happy face.
        missed_danger: situations of danger that were not met with ``safety``.
    """

    n: int
    strategy: float
    emotion: float
    both: float
    happy_in_distress: int
    missed_danger: int


def measure(choose: Choose, found: Iterable[Situation]) -> Fit:
    """Let ``choose`` meet every situation."""
    n = strategies = emotions = both = happy = missed = 0
    for situation in found:
        strategy, emotion = choose(window_of(situation))
        looks = acceptable(situation.emotions, heavy=situation.mood in HEAVY)
        fits = strategy in situation.strategies, emotion in looks
        n += 1
        strategies += fits[0]
        emotions += fits[1]
        both += all(fits)
        happy += situation.mood in HEAVY and emotion == "happy"
        missed += situation.strategies[0] == "safety" and strategy != "safety"
    n_or_1 = max(1, n)
    return Fit(
        n=n,
        strategy=strategies / n_or_1,
        emotion=emotions / n_or_1,
        both=both / n_or_1,
        happy_in_distress=happy,
        missed_danger=missed,
    )
