"""When to stop replacing a process that keeps failing, and whom to blame.

A process that fails again and again costs everybody's senses, and most likely one call's media do it. So each failure
is remembered with the tenants whose work was in hand. When there have been too many in a while, and some tenants had
a hand in each of them while others had none, those few are barred and the process goes on for the others. Only if
there is nobody to blame is it given up for a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set
from typing import Final

from agent.housing.options import PerceptionOptions
from perception.timebase import Nanos

AGAIN: Final = "again"
BARRED: Final = "barred"
GIVEN_UP: Final = "given_up"


class Breaker:
    """Judges the failures of one process.

    Args:
        options: ``failures``, ``window`` and ``retry`` are used.
    """

    def __init__(self, options: PerceptionOptions) -> None:
        self._options = options
        self._failures: deque[tuple[Nanos, frozenset[int]]] = deque(maxlen=options.failures)
        self._barred: dict[int, Nanos] = {}
        self._tried: Nanos | None = None

    def failed(self, now: Nanos, suspects: Set[int], tenants: Set[int]) -> str:
        """Take in a failure.

        Args:
            now: when.
            suspects: tenants whose work was in hand.
            tenants: all that there are.

        Returns:
            :data:`AGAIN`, replace it; :data:`BARRED`, replace it, some tenants are barred now; :data:`GIVEN_UP`,
            leave it for ``retry``.
        """
        options = self._options
        if self._tried is not None and now - self._tried < options.window:
            self._tried = now + options.retry
            return GIVEN_UP  # it was tried again, and has failed again
        self._tried = None
        self._failures.append((now, frozenset(suspects)))
        if len(self._failures) < options.failures or now - self._failures[0][0] > options.window:
            return AGAIN
        blamed = frozenset.intersection(*(each for _, each in self._failures)) & tenants
        self._failures.clear()
        if blamed and tenants - blamed:
            self._barred |= dict.fromkeys(blamed, now + options.retry)
            return BARRED
        self._tried = now + options.retry
        return GIVEN_UP

    def bars(self, tenant: int, now: Nanos) -> bool:
        """Return whether a tenant is barred."""
        until = self._barred.get(tenant)
        if until is not None and now >= until:
            del self._barred[tenant]
            return False
        return until is not None

    def forget(self, tenant: int) -> None:
        """A tenant has left for good."""
        self._barred.pop(tenant, None)
