"""Whether a mouth is talking, from the gap between the lips over time."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from perception.swings import swings
from perception.timebase import MS, SECOND, Nanos

WINDOW: Final = 1 * SECOND
LEAST_SPREAD: Final = 0.03
LEAST_TURNS: Final = 2
LEAST_SWING: Final = 0.035
PATIENCE: Final = 600 * MS


class TalkingDetector:
    """Finds mouths that open and close over and over.

    The gap between the lips, as a share of the distance between the eyes, spreads by 0.05 to 0.16 within a
    second of talking and by 0.01 in silence; a smile spreads it as much, but does not turn back. Below about
    8 pictures a second the turns are missed.
    """

    def __init__(self) -> None:
        self._gaps: deque[tuple[Nanos, float]] = deque()
        self._moved_at: Nanos = 0
        self.talking = False

    def step(self, at: Nanos, gap: float) -> bool:
        """Take in the gap (see :attr:`perception.facemesh.Face.lip_gap`) at ``at``; return whether the mouth talks."""
        self._gaps.append((at, gap))
        while self._gaps[0][0] < at - WINDOW:
            self._gaps.popleft()
        moves = (
            _spread([value for _, value in self._gaps]) > LEAST_SPREAD
            and len(swings(self._gaps, LEAST_SWING)) > LEAST_TURNS
        )
        if moves:
            self._moved_at = at
            self.talking = True
        elif at - self._moved_at > PATIENCE:
            self.talking = False
        return self.talking

    def lose(self) -> None:
        """Forget the past: the face went out of sight, or it is another one."""
        self._gaps.clear()
        self.talking = False


def _spread(values: list[float]) -> float:
    """Return the standard deviation; ``statistics.pstdev`` reckons in fractions and takes as long as a network."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
