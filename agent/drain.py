"""The server takes its leave: no new calls, those that run may come to their end, and then it closes.

:meth:`Drain.begin` is what ``POST /drain`` and SIGTERM do, :meth:`Drain.hurry` what a second SIGTERM does. Both only
set a flag, so that a signal handler may call them at any moment; :meth:`Drain.run` sees to the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import structlog

from agent.clock import Clock
from agent.transports import Signal
from perception.timebase import MS, SECOND, Nanos, as_seconds

log = structlog.get_logger(__name__)

NOTICE: Final[Nanos] = 15 * SECOND
"""How long before the end people are told of it: time for a sentence, and a goodbye."""

_TICK: Final[Nanos] = 100 * MS
_CLOSING: Final[Nanos] = 5 * SECOND
"""For calls that were hung up to be closed."""


class House(Protocol):
    """What holds the calls; :class:`agent.transports.webrtc.WebRtcDoor` is one."""

    draining: bool

    @property
    def calls(self) -> int:
        """Callers now."""
        ...

    def tell_all(self, signal: Signal, /) -> None:
        """Hand a signal to every call."""
        ...

    def hang_up_all(self, why: str, /) -> None:
        """End every call."""
        ...


class Drain:
    """The end of one server.

    Args:
        house: whose calls come to their end.
        grace: how long they may take.
        clock: real time.

    Attributes:
        done: is called once nobody is left.
    """

    def __init__(self, house: House, grace: Nanos, clock: Clock) -> None:
        self.done: Callable[[], None] = lambda: None
        self._house = house
        self._grace = grace
        self._clock = clock
        self._begun = False
        self._hurried = False
        self._due: Nanos | None = None

    @property
    def begun(self) -> bool:
        """Whether no new calls are taken."""
        return self._begun

    @property
    def left_s(self) -> float:
        """Seconds until calls are ended."""
        if self._due is None:
            return as_seconds(self._grace)
        return max(0.0, as_seconds(self._due - self._clock.now()))

    def begin(self) -> None:
        """Take no new calls, and close when those that run are over; at the latest after the grace."""
        self._begun = True
        self._house.draining = True

    def hurry(self) -> None:
        """Wait for nobody any more."""
        self.begin()
        self._hurried = True

    async def run(self) -> None:
        """Wait for the order, and see it through."""
        while not self._begun:
            await self._tick()
        self._due = due = self._clock.now() + self._grace
        log.info("draining", calls=self._house.calls, at_most_s=as_seconds(self._grace))
        told = False
        while self._house.calls and not self._hurried and (now := self._clock.now()) < due:
            if not told and due - now <= NOTICE:
                told = True
                self._house.tell_all(Signal("closing", left=due - now))
            await self._tick()
        if self._house.calls:
            log.info("calls_ended", calls=self._house.calls, why="hurried" if self._hurried else "the grace is over")
        self._house.hang_up_all("the server stops")
        limit = self._clock.now() + _CLOSING
        while self._house.calls and self._clock.now() < limit:
            await self._tick()
        self.done()

    async def _tick(self) -> None:
        await self._clock.sleep_until(self._clock.now() + _TICK)
