"""Who is there: a head count that does not flicker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from perception.timebase import MS, Nanos


@dataclass(frozen=True, slots=True)
class Change:
    """Someone came or went.

    Attributes:
        label: which.
        start: since when the new count holds.
        count: people who are there now.
    """

    label: Literal["arrived", "left"]
    start: Nanos
    count: int


class PresenceDetector:
    """Believes a new count once it has held: 300 ms for the first person, 1.5 s for every other change."""

    FIRST: Final = 300 * MS
    OTHERS: Final = 1500 * MS

    def __init__(self) -> None:
        self._next = 0
        self._since: Nanos = 0
        self.count = 0

    def step(self, at: Nanos, seen: int) -> Change | None:
        """Take in how many people are seen at ``at``; return the change that this confirms."""
        if seen != self._next:
            self._next, self._since = seen, at
        if seen == self.count or at - self._since < (self.OTHERS if self.count else self.FIRST):
            return None
        label: Literal["arrived", "left"] = "arrived" if seen > self.count else "left"
        self.count = seen
        return Change(label, self._since, seen)
