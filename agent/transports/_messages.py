"""What of a client's messages is read: how big, how many, and when its channel is closed."""

from __future__ import annotations

from typing import Final, Literal

from agent.transports._limits import MessageLimits
from perception.timebase import Nanos, as_seconds

Verdict = Literal["read", "warn", "drop", "close"]

_OVERSIZE: Final = 50
"""Faults that one message counts that is too big: it has cost as much as many small ones."""


class Messages:
    """Judges each message of one caller by its size and its time, before it is decoded.

    Args:
        limits: how much they may say.
        now: time of the first, on the clock that is asked later.

    Attributes:
        refused: messages that were not read.
    """

    def __init__(self, limits: MessageLimits, now: Nanos) -> None:
        self.refused = 0
        self._limits = limits
        self._tokens = float(limits.burst)
        self._faults = 0.0
        self._at = now
        self._warned = False

    def judge(self, size: int, now: Nanos) -> Verdict:
        """Return what to do with a message.

        Args:
            size: in bytes, or in characters where that is all that is known.
            now: when it came.

        Returns:
            ``read`` it; ``warn`` its sender that it was not read, for the first of a flood and for each that is too
            big while there are not many; ``drop`` it in silence; or ``close`` the channel.
        """
        limits, passed = self._limits, as_seconds(now - self._at)
        self._at = now
        self._tokens = min(limits.burst, self._tokens + passed * limits.rate_hz)
        self._faults = max(0.0, self._faults - passed * limits.forgiven_hz)
        if self._tokens > limits.burst / 2:
            self._warned = False
        paid = self._tokens >= 1
        self._tokens -= paid
        if paid and size <= limits.most_bytes:
            return "read"
        self.refused += 1
        self._faults += _OVERSIZE if size > limits.most_bytes else 1
        if self._faults > limits.most_faults:
            return "close"
        if paid:
            return "warn"
        verdict: Verdict = "drop" if self._warned else "warn"
        self._warned = True
        return verdict
