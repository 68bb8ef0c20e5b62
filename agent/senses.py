"""Runs the perception workers of one call: each off the loop, from its own bounded inbox.

A worker that raises or hangs is logged, leaves a ``sense_lost`` percept, and is replaced by a fresh one
after a pause that doubles each time; the call goes on. One whose process is away (:mod:`agent.housing`) leaves the
same percept, which says why, and is asked for again until the process is back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import structlog

from agent.clock import Clock
from agent.housing import WorkerAway
from agent.inbox import Inbox
from agent.offload import Thread, niceness
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import SENSE_BACK, SENSE_LOST, Datum, Percept
from perception.timebase import SECOND, Nanos, as_seconds
from perception.workers import Worker, WorkerFactory

log = structlog.get_logger(__name__)

Emit = Callable[[Percept], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SensesOptions:
    """How workers are fed and watched.

    Attributes:
        audio_capacity: chunks of sound that may wait for a worker (100 of 20 ms are 2 s).
        video_capacity: pictures that may wait; 1 is latest wins.
        hang: time after which a batch is given up and the worker replaced.
        backoff: first pause before a failed worker is replaced; doubles up to ``backoff_most``. Also the pause
            after which one whose process is away is asked for again.
        backoff_most: longest such pause.
    """

    audio_capacity: int = 100
    video_capacity: int = 1
    hang: Nanos = 5 * SECOND
    backoff: Nanos = SECOND
    backoff_most: Nanos = 30 * SECOND


@runtime_checkable
class PerCall(Protocol):
    """A factory that wants to know its calls; see :class:`agent.housing.lodger.LodgerFactory`."""

    def for_call(self) -> WorkerFactory:
        """Return the factory of one call."""
        ...


@runtime_checkable
class OfCall(Protocol):
    """The factory of one call."""

    def leave(self) -> None:
        """The call is over."""
        ...


@runtime_checkable
class Elsewhere(Protocol):
    """A worker whose state lies elsewhere; see :class:`agent.housing.lodger.Lodger`."""

    def close(self) -> None:
        """Forget the state; may wait."""
        ...

    def abandon(self) -> None:
        """Give it up, as it takes too long; does not wait."""
        ...


@dataclass(frozen=True, slots=True)
class SenseReport:
    """Numbers of one sense so far.

    Attributes:
        name: of the worker.
        dropped: media that gave way in its inbox.
        peak: most media that ever waited.
        lag_s: median time between the end of a medium and the worker taking it up, seconds.
        failures: times that it raised or hung.
        waiting: media that wait now.
    """

    name: str
    dropped: int
    peak: int
    lag_s: float
    failures: int
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Away:
    """A sense that is lost for the time being.

    Attributes:
        name: of the worker.
        since: when it was noticed, on the call's clock.
        why: of its process, see :class:`agent.housing.WorkerAway`; ``""`` where the worker itself failed.
    """

    name: str
    since: Nanos
    why: str = ""


class Senses:
    """All workers of one call.

    Args:
        factories: one per sense.
        clock: of the call.
        emit: takes each percept; may wait, which slows the worker down.
        options: how they are fed and watched.
    """

    def __init__(
        self, factories: Sequence[WorkerFactory], clock: Clock, emit: Emit, options: SensesOptions | None = None
    ) -> None:
        options = options or SensesOptions()
        self._senses = [_Sense(factory, clock, emit, options) for factory in factories]

    @property
    def names(self) -> frozenset[str]:
        """Names of all senses."""
        return frozenset(sense.name for sense in self._senses)

    def feed(self, media: Media, allowed: frozenset[str] | None) -> bool:
        """Hand ``media`` to every allowed worker that accepts it; return whether there was any."""
        wanted = False
        for sense in self._senses:
            if isinstance(media, sense.accepts) and (allowed is None or sense.name in allowed):
                sense.inbox.offer(media)
                wanted = True
        return wanted

    def forget(self, names: Iterable[str]) -> None:
        """Drop what waits for these senses, and their state: they were refused."""
        gone = set(names)
        for sense in self._senses:
            if sense.name in gone:
                sense.reset()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for sense in self._senses:
                    group.create_task(sense.run(), name=f"sense:{sense.name}")
        finally:
            for sense in self._senses:
                sense.close()

    def report(self) -> list[SenseReport]:
        """Return the numbers of every sense."""
        return [sense.report() for sense in self._senses]

    def away(self) -> list[Away]:
        """Return the senses that are lost."""
        return [found for sense in self._senses if (found := sense.away) is not None]

    def late(self) -> Nanos:
        """Return how old the oldest sound is that some sense has not taken in yet; of senses that are lost, nothing."""
        return max((sense.late() for sense in self._senses if sense.hears), default=0)

    @property
    def busy(self) -> bool:
        """Whether any worker still has media waiting or in hand."""
        return any(sense.busy for sense in self._senses)


class _Sense:
    def __init__(self, factory: WorkerFactory, clock: Clock, emit: Emit, options: SensesOptions) -> None:
        self.name = factory.name
        self.accepts = factory.accepts
        sees = VideoFrame in self.accepts
        self.hears = AudioChunk in self.accepts
        self.away: Away | None = None
        self._hand: Nanos | None = None
        self._nice = niceness(self.accepts)
        self.inbox: Inbox[Media] = Inbox(options.video_capacity if sees else options.audio_capacity)
        self._factory = factory
        self._own: WorkerFactory | None = None
        self._clock = clock
        self._emit = emit
        self._options = options
        self._own_thread: Thread | None = None
        self._worker: Worker | None = None
        self._lags: deque[Nanos] = deque(maxlen=512)
        self._failures = 0
        self._lost = False
        self._pause = options.backoff
        self._working = False

    async def run(self) -> None:
        while True:
            batch = await self.inbox.take_all()
            now = self._clock.now()
            self._lags.append(now - _end(batch[-1]))
            self._working, self._hand = True, _end(batch[0])
            try:
                percepts = await self._feed(batch)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                await self._fail(error, _end(batch[-1]))
                continue
            finally:
                self._working, self._hand = False, None
            if self._lost:
                self._lost, self.away = False, None
                self._pause = self._options.backoff
                await self._emit(self._sense_percept(SENSE_BACK, _end(batch[-1])))
            for percept in percepts:
                await self._emit(percept)

    async def _feed(self, batch: list[Media]) -> list[Percept]:
        async with self._clock.working(self.name), asyncio.timeout(self._options.hang / SECOND):
            if self._own is None:
                self._own = self._factory.for_call() if isinstance(self._factory, PerCall) else self._factory
            if self._worker is None:
                self._worker = await self._thread.run(self._own)
            return await self._thread.run(self._worker.feed, batch)

    async def _fail(self, error: Exception, at: Nanos) -> None:
        away = error if isinstance(error, WorkerAway) else None
        if away is None or not self._lost:
            self._failures += 1
            self._log(error)
        why = away.why if away is not None else ""
        self.away = Away(self.name, self.away.since if self.away is not None else self._clock.now(), why)
        pause = self._options.backoff if away is not None else self._pause
        if isinstance(error, TimeoutError):
            if isinstance(self._worker, Elsewhere):
                self._worker.abandon()
            self._let_go()
            self._thread.close()  # it ends by itself if it ever comes back
            self._own_thread = None
        self._let_go()
        if not self._lost:
            self._lost = True
            await self._emit(self._sense_percept(SENSE_LOST, at, {"why": away.why} if away is not None else {}))
        await self._clock.sleep_until(self._clock.now() + pause)
        if away is None:
            self._pause = min(2 * self._pause, self._options.backoff_most)
        self.inbox.clear()

    def _log(self, error: Exception) -> None:
        plain = isinstance(error, TimeoutError | WorkerAway)
        log.error(
            "sense_failed",
            sense=self.name,
            hung=isinstance(error, TimeoutError),
            away=error.why if isinstance(error, WorkerAway) else None,
            failures=self._failures,
            retry_s=as_seconds(self._options.backoff if isinstance(error, WorkerAway) else self._pause),
            exc_info=None if plain else error,
        )

    def _let_go(self) -> None:
        """Forget the worker, and have its state forgotten where it lies."""
        worker, self._worker = self._worker, None
        if isinstance(worker, Elsewhere):
            self._thread.post(worker.close)

    @property
    def _thread(self) -> Thread:
        """Its thread, which begins with the first batch: what is never fed leaves nothing behind."""
        if self._own_thread is None:
            self._own_thread = Thread(f"sense-{self.name}", self._nice)
        return self._own_thread

    def _sense_percept(self, kind: str, at: Nanos, data: dict[str, Datum] | None = None) -> Percept:
        return Percept(kind=kind, label=self.name, start=at, end=at, confidence=1.0, worker=self.name, data=data or {})

    def reset(self) -> None:
        self.inbox.clear()
        self._let_go()

    def close(self) -> None:
        self._let_go()
        if self._own_thread is not None:
            self._own_thread.close()
        if isinstance(self._own, OfCall):
            self._own.leave()

    def late(self) -> Nanos:
        oldest = self.inbox.oldest
        since = self._hand if self._hand is not None else _end(oldest) if oldest is not None else None
        return 0 if since is None or self._lost else max(0, self._clock.now() - since)

    @property
    def busy(self) -> bool:
        return self._working or len(self.inbox) > 0

    def report(self) -> SenseReport:
        lags = sorted(self._lags)
        return SenseReport(
            name=self.name,
            dropped=self.inbox.dropped,
            peak=self.inbox.peak,
            lag_s=as_seconds(lags[len(lags) // 2]) if lags else 0.0,
            failures=self._failures,
            waiting=len(self.inbox),
        )


def _end(media: Media) -> Nanos:
    return media.end if isinstance(media, AudioChunk) else media.at
