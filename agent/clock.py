"""Time. The only module that may read a wall clock or sleep.

:class:`SystemClock` is real time. :class:`VirtualClock` brings its own asyncio event loop, in which time
jumps to the next timer whenever nothing can run, and stands still while real work is in flight; the work
is then charged what it took, or a fixed cost. A replay of an hour takes as long as its models need, and
with fixed costs it happens the same way every time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
import zlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from perception.timebase import SECOND, Nanos

T = TypeVar("T")

_JITTER_NS = 997
"""Fixed costs get up to this much more, from their label, so that equal costs end in a fixed order."""


class Clock(Protocol):
    """The three verbs of time."""

    def now(self) -> Nanos:
        """Return the time since the clock was made."""
        ...

    async def sleep_until(self, deadline: Nanos) -> None:
        """Return at ``deadline``, or at once if it has passed."""
        ...

    def working(self, label: str) -> AbstractAsyncContextManager[None]:
        """Enclose real work: a model in a thread, a request to a server."""
        ...


class SystemClock:
    """Real time, zero when made."""

    def __init__(self) -> None:
        self._origin = time.monotonic_ns()

    def now(self) -> Nanos:
        """Return nanoseconds of real time since the clock was made."""
        return time.monotonic_ns() - self._origin

    async def sleep_until(self, deadline: Nanos) -> None:
        """Sleep in real time."""
        await asyncio.sleep(max(0, deadline - self.now()) / SECOND)

    @asynccontextmanager
    async def working(self, label: str) -> AsyncIterator[None]:
        """Do nothing: real work takes real time by itself."""
        yield


class VirtualClock:
    """Time that jumps.

    Args:
        costs: time to charge per label of :meth:`working`, for runs that must repeat exactly; a label
            that is not in it costs nothing. ``None`` charges what the work really took.
    """

    def __init__(self, costs: Mapping[str, Nanos] | None = None) -> None:
        self._now: Nanos = 0
        self._in_flight = 0
        self._costs = costs

    def now(self) -> Nanos:
        """Return the virtual time."""
        return self._now

    async def sleep_until(self, deadline: Nanos) -> None:
        """Let the others run; when none can, time jumps here."""
        await asyncio.sleep(max(0, deadline - self._now) / SECOND)

    @asynccontextmanager
    async def working(self, label: str) -> AsyncIterator[None]:
        """Hold time still, then charge the cost of ``label``."""
        self._in_flight += 1
        began = time.perf_counter_ns()
        try:
            yield
        finally:
            self._in_flight -= 1
        if self._costs is None:
            cost = time.perf_counter_ns() - began
        else:
            cost = self._costs.get(label, 0) + zlib.crc32(label.encode()) % _JITTER_NS
        await self.sleep_until(self._now + cost)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run ``main`` on an event loop that lives in this time.

        Raises:
            RuntimeError: everything waits, nothing is in flight and no timer is set: a deadlock.
        """
        with asyncio.Runner(loop_factory=lambda: _VirtualLoop(self)) as runner:
            return runner.run(main)

    @property
    def idle(self) -> bool:
        """Whether no work is in flight."""
        return self._in_flight == 0

    def jump(self, by: Nanos) -> None:
        """Move time on. Only the event loop does this."""
        self._now += max(1, by)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        super().__init__(_JumpingSelector(clock))

    def time(self) -> float:
        return self._clock.now() / SECOND


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or not self._clock.idle:
            return super().select(None)
        self._clock.jump(round(timeout * SECOND))
        return []


def timestamp() -> str:
    """Return the date and time of day in UTC, ISO 8601, for file names, logs and the wire."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
