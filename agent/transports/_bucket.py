"""A token bucket."""

from __future__ import annotations

from typing import Final

from perception.timebase import Nanos, as_seconds

_ROUNDED: Final = 1e-9
"""What the sum of many small inflows may lack."""


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
        self._flow(now)
        if amount > self._left + _ROUNDED:
            return False
        self._left -= amount
        return True

    def charge(self, amount: float, now: Nanos) -> None:
        """Take ``amount`` out, whether there was so much or not; what is owed is at most what the bucket holds."""
        self._flow(now)
        self._left = max(-self._most, self._left - amount)

    def wait_s(self, amount: float) -> float:
        """Return how many seconds after it was last looked at there is ``amount``."""
        return max(0.0, amount - self._left) / self._per_s

    def _flow(self, now: Nanos) -> None:
        self._left = min(self._most, self._left + as_seconds(now - self._at) * self._per_s)
        self._at = now
