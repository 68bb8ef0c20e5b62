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
from datetime import UTC, date, datetime, timedelta
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
    """Time that jumps to the next timer when nothing can run.

    With fixed costs the end of a piece of work is known when it begins, so time goes on up to that
    instant while the work still runs in its thread, and waits for it there: two cores are both busy, and
    the order of events is the same on every machine. Without fixed costs time stands still until the
    work is done and is then charged what it really took.

    Args:
        costs: time to charge per label of :meth:`working`; a label that is not in it costs nothing.
            ``None`` charges what the work really took.
        start: date and time of day at its zero; noon of the day on which it is made if left out.
    """

    def __init__(self, costs: Mapping[str, Nanos] | None = None, start: datetime | None = None) -> None:
        self.start = start or datetime.now().astimezone().replace(hour=12, minute=0, second=0, microsecond=0)
        self._now: Nanos = 0
        self._costs = costs
        self._in_flight: dict[object, Nanos] = {}

    def now(self) -> Nanos:
        """Return the virtual time."""
        return self._now

    async def sleep_until(self, deadline: Nanos) -> None:
        """Let the others run; when none can, time jumps here."""
        await asyncio.sleep(max(0, deadline - self._now) / SECOND)

    @asynccontextmanager
    async def working(self, label: str) -> AsyncIterator[None]:
        """Hold time back until the work is done, and charge the cost of ``label``, also when it raises."""
        token = object()
        began = time.perf_counter_ns()
        due = self._now
        if self._costs is not None:
            due += self._costs.get(label, 0) + zlib.crc32(label.encode()) % _JITTER_NS
        self._in_flight[token] = due
        try:
            yield
        except (asyncio.CancelledError, TimeoutError):
            raise  # given up: the time until now has passed already
        except Exception:
            await self._charge(token, due, began)
            raise
        else:
            await self._charge(token, due, began)
        finally:
            self._in_flight.pop(token, None)

    async def _charge(self, token: object, due: Nanos, began: Nanos) -> None:
        del self._in_flight[token]
        if self._costs is None:
            due = self._now + time.perf_counter_ns() - began
        await self.sleep_until(due)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run ``main`` on an event loop that lives in this time."""
        with asyncio.Runner(loop_factory=lambda: _VirtualLoop(self)) as runner:
            return runner.run(main)

    def jump(self, by: Nanos) -> bool:
        """Move time on, not past the end of work in flight; return whether it moved. For the event loop only."""
        target = self._now + max(1, by)
        if self._in_flight:
            target = min(target, *self._in_flight.values())
        moved = target > self._now
        self._now = max(self._now, target)
        return moved


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
        if timeout is None or not self._clock.jump(round(timeout * SECOND)):
            return super().select(None)
        return []


def wall(clock: Clock) -> datetime:
    """Return the date and the time of day where this machine is; in virtual time, those since the clock's start."""
    if isinstance(clock, VirtualClock):
        return clock.start + timedelta(microseconds=clock.now() // 1000)
    return datetime.now().astimezone()


def today() -> date:
    """Return the day in UTC."""
    return datetime.now(UTC).date()


def timestamp() -> str:
    """Return the date and time of day in UTC, ISO 8601, for file names, logs and the wire."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
