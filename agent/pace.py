"""How late the senses of all calls are: the measure by which a machine is too busy for one more call."""

from __future__ import annotations

import statistics
from collections import deque
from typing import Final

from perception.timebase import Nanos, as_seconds

_SAMPLES: Final = 10
_LEAST: Final = 6


class Pace:
    """What all calls share of it; each tells twice a second how old the oldest sound is that no sense has taken in.

    A word that is recognised takes a moment, in which sound waits; so it is the median over five seconds that counts.
    """

    def __init__(self) -> None:
        self._late: dict[object, deque[float]] = {}

    def saw(self, call: object, late: Nanos) -> None:
        """Take in how late the senses of a call are."""
        self._late.setdefault(call, deque(maxlen=_SAMPLES)).append(as_seconds(late))

    def left(self, call: object) -> None:
        """A call is over."""
        self._late.pop(call, None)

    @property
    def late_s(self) -> float:
        """How late the senses of the call typically are that fares worst, seconds."""
        return max((statistics.median(late) for late in self._late.values() if len(late) >= _LEAST), default=0.0)
