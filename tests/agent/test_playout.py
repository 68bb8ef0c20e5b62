"""The playout ring, without a loop where possible and without time anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.playout import Playout, Samples
from perception.media import AudioChunk
from perception.timebase import MS, SECOND

RATE = 24_000
FRAME = 480


def ramp(n: int, first: int = 0) -> AudioChunk:
    """Sound whose every sample says its own index, in units of 1e-6."""
    return AudioChunk(((np.arange(n) + first) * 1e-6).astype(np.float32), start=0, rate_hz=RATE)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 5))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_silence_is_none() -> None:
    playout = Playout()
    assert playout.take(FRAME) is None
    assert playout.idle


def test_puts_at_most_the_capacity_ahead_and_goes_on_as_it_is_played() -> None:
    async def main() -> None:
        playout = Playout(capacity=200 * MS)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(playout.put(ramp(RATE), 1))
            await settle()
            assert not task.done()
            heard: list[Samples] = []
            while (frame := playout.take(FRAME)) is not None:
                heard.append(frame)
                await settle()
                assert playout.ahead <= 200 * MS
            assert task.done()
        assert np.allclose(np.concatenate(heard), ramp(RATE).samples)
        assert playout.played(1) == SECOND
        assert playout.idle

    run(main())


def test_stop_empties_releases_the_waiter_and_fades_within_five_milliseconds() -> None:
    async def main() -> None:
        playout = Playout()
        loud = AudioChunk(np.full(RATE, 0.5, np.float32), start=0, rate_hz=RATE)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(playout.put(loud, 1))
            await settle()
            playout.take(FRAME)
            playout.stop(1)
            await settle()
            assert task.done()
        after = playout.take(FRAME)
        assert after is not None
        assert after[0] == pytest.approx(0.5)
        assert np.all(np.diff(after[:120]) <= 0)
        assert not after[120:].any()
        assert playout.take(FRAME) is None
        assert playout.idle
        assert playout.played(1) == 20 * MS
        await playout.put(loud, 1)
        assert playout.take(FRAME) is None, "sound of a stopped reply is stale"

    run(main())


def test_stop_spares_other_replies() -> None:
    async def main() -> None:
        playout = Playout()
        await playout.put(ramp(FRAME), 1)
        await playout.put(ramp(FRAME, 500), 2)
        playout.stop(1)
        heard = playout.take(FRAME)
        assert heard is not None
        assert np.allclose(heard, ramp(FRAME, 500).samples)
        assert playout.played(1) == 0
        assert playout.played(2) == 20 * MS

    run(main())


def test_hold_pauses_and_loses_nothing() -> None:
    async def main() -> None:
        playout = Playout()
        whole = ramp(4 * FRAME, 1000)
        await playout.put(whole, 1)
        first = playout.take(FRAME)
        playout.hold(True)
        fade = playout.take(FRAME)
        assert fade is not None
        assert not fade[120:].any()
        assert playout.take(FRAME) is None
        assert not playout.idle
        assert playout.played(1) == 20 * MS
        playout.hold(False)
        rest = [playout.take(FRAME) for _ in range(3)]
        assert playout.take(FRAME) is None
        heard = np.concatenate([f for f in (first, *rest) if f is not None])
        assert len(heard) == 4 * FRAME
        same = np.r_[0:FRAME, FRAME + 120 : 4 * FRAME]
        assert np.allclose(heard[same], whole.samples[same])
        assert np.all(np.abs(heard[FRAME : FRAME + 120]) <= whole.samples[FRAME : FRAME + 120] + 1e-9)

    run(main())


def test_stopping_a_held_reply_lets_the_next_one_through() -> None:
    async def main() -> None:
        playout = Playout()
        await playout.put(ramp(4 * FRAME), 1)
        playout.take(FRAME)
        playout.hold(True, 1)
        playout.take(FRAME)
        assert playout.take(FRAME) is None
        playout.stop(1)
        await playout.put(ramp(FRAME, 9), 2)
        heard = playout.take(FRAME)
        assert heard is not None
        assert np.allclose(heard, ramp(FRAME, 9).samples)

    run(main())


def test_close_releases_the_waiter_and_takes_nothing_more() -> None:
    async def main() -> None:
        playout = Playout()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(playout.put(ramp(RATE), 1))
            await settle()
            playout.close()
            await settle()
            assert task.done()
        await playout.put(ramp(RATE), 2)
        assert playout.take(FRAME) is None
        assert playout.idle

    run(main())


def test_first_sample_is_announced_once_per_reply() -> None:
    async def main() -> None:
        playout = Playout()
        seen: list[int] = []
        playout.on_first = seen.append
        await playout.put(ramp(FRAME * 2), 7)
        assert seen == []
        playout.take(FRAME)
        playout.take(FRAME)
        await playout.put(ramp(FRAME), 8)
        playout.take(FRAME)
        assert seen == [7, 8]

    run(main())


def test_idle_can_be_awaited() -> None:
    async def main() -> None:
        playout = Playout()
        await playout.put(ramp(FRAME + 1), 1)
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(playout.wait_idle())
            playout.take(FRAME)
            await settle()
            assert not waiter.done()
            last = playout.take(FRAME)
            assert last is not None
            assert not last[1:].any()
            await settle()
            assert waiter.done()

    run(main())


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_to_the_last_sample(rate_hz: int) -> None:
    async def main() -> None:
        playout = Playout(capacity=2 * SECOND)
        t = np.arange(rate_hz) / rate_hz
        tone = np.sin(2 * np.pi * 440 * t).astype(np.float32)
        for begin in range(0, rate_hz, 777):
            await playout.put(AudioChunk(tone[begin : begin + 777].copy(), start=0, rate_hz=rate_hz), 1)
        heard = []
        while (frame := playout.take(FRAME)) is not None:
            heard.append(frame)
        assert abs(playout.played(1) - SECOND) <= 1 * MS
        sound = np.concatenate(heard)[:RATE]
        expected = np.sin(2 * np.pi * 440 * np.arange(len(sound)) / RATE)
        middle = slice(RATE // 10, RATE * 9 // 10)
        assert np.max(np.abs(sound[middle] - expected[middle])) < 0.01

    run(main())


@pytest.mark.slow
@given(st.lists(st.integers(0, 3000), max_size=8), st.integers(1, 1000))
def test_any_chunking_and_any_frame_give_the_same_sound(sizes: list[int], frame: int) -> None:
    async def main() -> None:
        playout = Playout(capacity=2 * SECOND)
        whole = ramp(sum(sizes), 1)
        begin = 0
        for size in sizes:
            await playout.put(AudioChunk(whole.samples[begin : begin + size].copy(), start=0, rate_hz=RATE), 1)
            begin += size
        heard = []
        while (out := playout.take(frame)) is not None:
            heard.append(out)
        sound = np.concatenate(heard) if heard else np.zeros(0, np.float32)
        assert np.array_equal(sound[: sum(sizes)], whole.samples)
        assert not sound[sum(sizes) :].any()

    run(main())
