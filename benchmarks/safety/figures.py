"""Shares with Wilson's interval and the goal that they have to reach."""

from __future__ import annotations

from dataclasses import dataclass

from agent.bench import stats


@dataclass(frozen=True, slots=True)
class Figure:
    """How many of how many, and what is wanted.

    Attributes:
        name: what is counted.
        hits: how many.
        n: of how many.
        least: share that is wanted at least.
        most: share that is wanted at most.
    """

    name: str
    hits: int
    n: int
    least: float | None = None
    most: float | None = None

    @property
    def share(self) -> float:
        """Return hits over n; 0 where there is nothing."""
        return self.hits / self.n if self.n else 0.0

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; ``None`` without one."""
        if self.least is not None:
            return self.n > 0 and self.share >= self.least
        return None if self.most is None else self.n > 0 and self.share <= self.most

    def __str__(self) -> str:
        low, high = wilson(self.hits, self.n)
        goal = "" if self.most is None else f"at most {self.most:.1%}"
        goal = goal if self.least is None else f"at least {self.least:.1%}"
        verdict = {True: "reached", False: "MISSED", None: ""}[self.reached]
        return f"{self.name:<46} {self.share:7.2%} [{low:.2%}-{high:.2%}] {self.hits} of {self.n}  {goal:<14} {verdict}"


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share; all of 0..1 where there is nothing."""
    return stats.wilson(hits / n, n) if n else (0.0, 1.0)
