from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from agent.clock import SystemClock, VirtualClock
from agent.senses import Senses, SensesOptions
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import SENSE_BACK, SENSE_LOST, Percept
from perception.timebase import MS, SECOND


class Ear:
    def __init__(self, feed: Callable[[Sequence[Media]], list[Percept]]) -> None:
        self._feed = feed

    def feed(self, media: Sequence[Media]) -> list[Percept]:
        return self._feed(media)


class Factory:
    """A worker factory around a function per life: the first worker gets the first, and so on."""

    def __init__(self, *lives: Callable[[Sequence[Media]], list[Percept]], sees: bool = False) -> None:
        self.name = "ear"
        self.accepts: tuple[type[AudioChunk] | type[VideoFrame], ...] = (VideoFrame,) if sees else (AudioChunk,)
        self.lives = list(lives)
        self.made = 0

    def __call__(self) -> Ear:
        feed = self.lives[min(self.made, len(self.lives) - 1)]
        self.made += 1
        return Ear(feed)


def chunk(i: int) -> AudioChunk:
    return AudioChunk(np.zeros(320, np.float32), start=i * 20 * MS)


def frame(i: int) -> VideoFrame:
    return VideoFrame(np.zeros((2, 2, 3), np.uint8), at=i * 33 * MS)


def hear(media: Sequence[Media]) -> list[Percept]:
    last = media[-1]
    assert isinstance(last, AudioChunk)
    return [Percept("heard", str(len(media)), last.start, last.end, 1.0, "ear")]


def crash(_: Sequence[Media]) -> list[Percept]:
    raise RuntimeError("ear ache")


def collect(factory: Factory, feeds: int, options: SensesOptions | None = None) -> list[Percept]:
    clock = VirtualClock({"ear": 2 * MS})
    found: list[Percept] = []

    async def emit(percept: Percept) -> None:
        found.append(percept)

    async def main() -> None:
        senses = Senses([factory], clock, emit, options)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(senses.run())
            for i in range(feeds):
                await clock.sleep_until((i + 1) * 20 * MS)
                senses.feed(chunk(i), None)
            await clock.sleep_until(clock.now() + 100 * MS)
            task.cancel()

    clock.run(main())
    return found


def test_media_become_percepts_in_order() -> None:
    found = collect(Factory(hear), 10)
    assert [p.end for p in found] == [(i + 1) * 20 * MS for i in range(10)]


def test_a_crashing_worker_is_reported_lost_and_comes_back() -> None:
    factory = Factory(crash, crash, hear)
    found = collect(factory, 400)
    kinds = [p.kind for p in found]
    assert kinds[0] == SENSE_LOST
    assert kinds.count(SENSE_LOST) == 1, "one loss is reported once, however often the restart fails"
    assert kinds[1] == SENSE_BACK
    assert set(kinds[2:]) == {"heard"}
    assert factory.made == 3


def test_a_hanging_worker_is_given_up_and_comes_back() -> None:
    gate = threading.Event()

    def hang(_: Sequence[Media]) -> list[Percept]:
        gate.wait(20)
        return []

    factory = Factory(hang, hear)
    found: list[Percept] = []

    async def main() -> None:
        clock = SystemClock()
        back = asyncio.Event()

        async def emit(percept: Percept) -> None:
            found.append(percept)
            if percept.kind == "heard":
                back.set()

        senses = Senses([factory], clock, emit, SensesOptions(hang=50 * MS, backoff=10 * MS))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(senses.run())
            i = 0
            while not back.is_set():
                senses.feed(chunk(i), None)
                i += 1
                await clock.sleep_until(clock.now() + 10 * MS)
            task.cancel()

    asyncio.run(main())
    gate.set()
    assert [p.kind for p in found[:3]] == [SENSE_LOST, SENSE_BACK, "heard"]


def test_pictures_are_latest_wins() -> None:
    sizes: list[int] = []

    def see(media: Sequence[Media]) -> list[Percept]:
        sizes.append(len(media))
        return []

    factory = Factory(see, sees=True)

    async def emit(_: Percept) -> None:
        raise AssertionError

    async def main() -> None:
        senses = Senses([factory], clock, emit)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(senses.run())
            for i in range(10):
                senses.feed(frame(i), None)
            await clock.sleep_until(SECOND)
            task.cancel()
        (report,) = senses.report()
        assert report.dropped == 9

    clock = VirtualClock({"ear": 2 * MS})
    clock.run(main())
    assert sizes == [1]


@pytest.mark.parametrize(("allowed", "wanted"), [(None, True), (frozenset({"ear"}), True), (frozenset(), False)])
def test_a_refused_sense_is_never_fed(allowed: frozenset[str] | None, wanted: bool) -> None:
    async def emit(_: Percept) -> None: ...

    async def main() -> None:
        senses = Senses([Factory(hear)], SystemClock(), emit)
        assert senses.feed(chunk(0), allowed) is wanted
        assert senses.busy is wanted

    asyncio.run(main())
