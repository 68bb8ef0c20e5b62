"""Descriptors of files and sockets: as many as the system allows, and a watch on how many are left.

Where there are none left, no connection is taken, no file is written (what somebody agreed to is not kept, what they
took back is not erased), and the system says nothing of it. So new calls are refused while some are left for those that
run, and the log and ``/readyz`` say why.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Final

import structlog

from agent.clock import Clock
from agent.refusal import Refused
from perception.timebase import SECOND, Nanos

log = structlog.get_logger(__name__)

SPARE: Final = 64
"""Fewer than these left: no new call."""

_EACH_CALL: Final = 16
"""Sockets for each address of this machine, and the files of a call."""

_FOLDER: Final = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_ENOUGH: Final = 65_536
_LEAST: Final = 16
_EVERY: Final[Nanos] = SECOND
_RETRY_S: Final = 5
_FIX: Final = "allow more: LimitNOFILE=65536 in the unit of systemd, ulimit -n 65536 in a shell"


def raise_limit() -> int:
    """Let this process open as many descriptors as the system allows it, and return how many; 0 where unknown."""
    if sys.platform == "win32":
        return 0
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limit()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:  # macOS allows fewer than it says
        log.warning("descriptors_not_raised", most=soft, wanted=wanted, error=str(error), fix=_FIX)
    return limit()


def limit() -> int:
    """Return how many descriptors this process may have open; 0 where that is unknown or boundless."""
    if sys.platform == "win32":
        return 0
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft


def opened() -> int:
    """Return how many descriptors this process has open; -1 where none is left to count them by, 0 where unknown."""
    try:
        return len(os.listdir(_FOLDER)) - 1  # without the one that the listing takes itself
    except OSError as error:
        return -1 if error.errno in (errno.EMFILE, errno.ENFILE) else 0


class Descriptors:
    """A watch on the descriptors of this process.

    Args:
        most: returns how many it may have; 0 if unknown, and then there are always enough.
        now: returns how many it has, as :func:`opened`.

    Attributes:
        open: at the last look.
        most: at the last look.
        short: whether too few are left for one more call.
    """

    def __init__(self, most: Callable[[], int] = limit, now: Callable[[], int] = opened) -> None:
        self.open = 0
        self.most = 0
        self.short = False
        self._limit = most
        self._now = now

    def look(self) -> None:
        """Count them; what has changed is logged."""
        self.most = self._limit()
        found = self._now()
        self.open = found if found >= 0 else self.most
        short = bool(self.most) and self.most - self.open < SPARE
        if short and not self.short:
            log.error("descriptors_short", open=self.open, most=self.most, fix=f"no new calls meanwhile; {_FIX}")
        elif self.short and not short:
            log.info("descriptors_enough", open=self.open, most=self.most)
        self.short = short

    async def watch(self, clock: Clock) -> None:
        """Look every second, until cancelled."""
        while True:
            self.look()
            await clock.sleep_until(clock.now() + _EVERY)

    def check(self) -> None:
        """See that there are enough for one more call.

        Raises:
            Refused: there are not.
        """
        if self.short:
            raise Refused(503, "the server has too few descriptors for one more call", _RETRY_S, kind="descriptors")

    def for_connections(self, wanted: int, calls: int) -> int:
        """Return how many connections may be open, so that calls have theirs.

        Args:
            wanted: at most.
            calls: that the server takes at once.
        """
        self.look()
        if not self.most:
            return wanted
        left = self.most - self.open - SPARE - _EACH_CALL * calls
        if left < min(wanted, _LEAST):
            log.warning("descriptors_few", most=self.most, open=self.open, calls=calls, fix=_FIX)
        return max(_LEAST, min(wanted, left))
