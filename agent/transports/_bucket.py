"""A token bucket."""

from __future__ import annotations

from perception.timebase import Nanos, as_seconds


class Bucket:
    """Lets through so much in the long run, and a little more at once.

    Args:
        per_s: what flows in, a second.
        most: what it holds.
        now: the time.
    """

    def __init__(self, per_s: float, most: float, now: Nanos) -> None:
        self._per_s = per_s
        self._most = most
        self._left = most
        self._at = now

    def take(self, amount: float, now: Nanos) -> bool:
        """Take ``amount`` out, if there is so much; return whether there was."""
        self._left = min(self._most, self._left + as_seconds(now - self._at) * self._per_s)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True
