"""Runs the perception workers of one call: each off the loop, from its own bounded inbox.

A worker that raises or hangs is logged, leaves a ``sense_lost`` percept, and is replaced by a fresh one
after a pause that doubles each time; the call goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from agent.clock import Clock
from agent.inbox import Inbox
from agent.offload import Thread
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import SENSE_BACK, SENSE_LOST, Percept
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
        backoff: first pause before a failed worker is replaced; doubles up to ``backoff_most``.
        backoff_most: longest such pause.
    """

    audio_capacity: int = 100
    video_capacity: int = 1
    hang: Nanos = 5 * SECOND
    backoff: Nanos = SECOND
    backoff_most: Nanos = 30 * SECOND


@dataclass(frozen=True, slots=True)
class SenseReport:
    """Numbers of one sense so far.

    Attributes:
        name: of the worker.
        dropped: media that gave way in its inbox.
        peak: most media that ever waited.
        lag_s: median time between the end of a medium and the worker taking it up, seconds.
        failures: times that it raised or hung.
    """

    name: str
    dropped: int
    peak: int
    lag_s: float
    failures: int


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

    @property
    def busy(self) -> bool:
        """Whether any worker still has media waiting or in hand."""
        return any(sense.busy for sense in self._senses)


class _Sense:
    def __init__(self, factory: WorkerFactory, clock: Clock, emit: Emit, options: SensesOptions) -> None:
        self.name = factory.name
        self.accepts = factory.accepts
        sees = VideoFrame in self.accepts
        # A picture may wait or be dropped; a word that comes late makes the whole reply late.
        self._nice = 5 if sees else 0
        self.inbox: Inbox[Media] = Inbox(options.video_capacity if sees else options.audio_capacity)
        self._factory = factory
        self._clock = clock
        self._emit = emit
        self._options = options
        self._thread = self._new_thread()
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
            self._working = True
            try:
                percepts = await self._feed(batch)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                await self._fail(error, _end(batch[-1]))
                continue
            finally:
                self._working = False
            if self._lost:
                self._lost = False
                self._pause = self._options.backoff
                await self._emit(self._sense_percept(SENSE_BACK, _end(batch[-1])))
            for percept in percepts:
                await self._emit(percept)

    async def _feed(self, batch: list[Media]) -> list[Percept]:
        async with self._clock.working(self.name), asyncio.timeout(self._options.hang / SECOND):
            if self._worker is None:
                self._worker = await self._thread.run(self._factory)
            return await self._thread.run(self._worker.feed, batch)

    async def _fail(self, error: Exception, at: Nanos) -> None:
        self._failures += 1
        hung = isinstance(error, TimeoutError)
        log.error(
            "sense_failed",
            sense=self.name,
            hung=hung,
            failures=self._failures,
            retry_s=as_seconds(self._pause),
            exc_info=None if hung else error,
        )
        if hung:
            self._thread.close()  # it ends by itself if it ever comes back
            self._thread = self._new_thread()
        self._worker = None
        if not self._lost:
            self._lost = True
            await self._emit(self._sense_percept(SENSE_LOST, at))
        await self._clock.sleep_until(self._clock.now() + self._pause)
        self._pause = min(2 * self._pause, self._options.backoff_most)
        self.inbox.clear()

    def _new_thread(self) -> Thread:
        return Thread(f"sense-{self.name}", self._nice)

    def _sense_percept(self, kind: str, at: Nanos) -> Percept:
        return Percept(kind=kind, label=self.name, start=at, end=at, confidence=1.0, worker=self.name)

    def reset(self) -> None:
        self.inbox.clear()
        self._worker = None

    def close(self) -> None:
        self._thread.close()

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
        )


def _end(media: Media) -> Nanos:
    return media.end if isinstance(media, AudioChunk) else media.at
