"""The commands under ``benchmarks/reliability``, small: each proves its own impairment, then its figure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np
import pytest

from benchmarks.reliability import Caller, cycles, house, loss, outage, soak
from benchmarks.reliability.network import Direction, Network, Unproven
from benchmarks.reliability.resources import Resources

pytestmark = pytest.mark.slow

T = TypeVar("T")


def run(measure: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what was measured; again, and at most three times, where others kept this process from running.

    Real time is measured here. An event loop that came half a second late says something about the machine.
    """

    async def watched() -> tuple[T, float]:
        late = 0.0

        async def probe() -> None:
            nonlocal late
            while True:
                due = time.monotonic() + 0.02
                await asyncio.sleep(0.02)
                late = max(late, time.monotonic() - due)

        task = asyncio.ensure_future(probe())
        try:
            return await measure(), late
        finally:
            task.cancel()

    for _ in range(2):
        found, late = asyncio.run(watched())
        if late < 0.5:
            return found
    return asyncio.run(watched())[0]


def test_loss_both_ways_takes_from_the_sound_what_it_must_and_no_more() -> None:
    here, there, proof = run(lambda: loss.measure(seconds=2.0, loss=0.1))
    assert "lost up" in proof
    assert here.delivered >= here.network - 0.03
    assert here.delivered > there.delivered + 0.1, "stock aiortc on an equally bad network"
    assert here.recovered > 0
    assert there.added_ms > here.added_ms + 50
    assert here.pictures >= 0.5, "a short run on a busy machine; the simulation holds the figure"


def test_an_outage_is_survived_by_the_same_call() -> None:
    here, there, proof = run(lambda: outage.measure(seconds=2.0, after=2.0))
    assert "lost up 100.0%" in proof
    assert here.sound_s <= outage.SOUND_S
    assert here.picture_s <= outage.PICTURE_S
    assert here.stale == 0
    assert here.same_call
    assert here.replies <= outage.REPLIES
    assert there.stale > 0, "stock aiortc shows the past"


def test_callers_who_come_and_go_leave_nothing() -> None:
    found = asyncio.run(cycles.measure(4))
    assert not found.failed
    assert all(count <= 0 for count in found.grown.values()), found.grown


def test_a_leak_would_be_seen() -> None:
    async def main() -> None:
        before = Resources.now()
        caller = Caller()
        await caller.offer()
        waiting = asyncio.ensure_future(asyncio.Event().wait())
        grown = Resources.now().grown(before)
        assert grown["connections"] == 1
        assert grown["files"] >= 1
        assert grown["tasks"] >= 1
        waiting.cancel()
        await caller.close()

    asyncio.run(main())


def test_a_network_that_is_not_bad_proves_nothing() -> None:
    network = Network()
    network.loss = 0.1
    for way in (network.up, network.down_link):
        for _ in range(1000):
            network.passes(way)
    assert "lost up" in network.prove(0.1)
    with pytest.raises(Unproven, match=r"not 50\.0%"):
        network.prove(0.5)
    network.reset()
    with pytest.raises(Unproven, match="not there"):
        network.prove(0.1)
    assert Direction(passed=90, lost=10).share == 0.1


def test_a_network_that_is_down_lets_nothing_through() -> None:
    async def main() -> None:
        async with house() as found:
            caller = await found.call(Caller(keep=False))
            await caller.heard(5)
            caller.network.down = True
            count = found.calls[0].intake.totals()["audio_received_count"]
            await asyncio.sleep(0.5)
            assert found.calls[0].intake.totals()["audio_received_count"] <= count + 1
            caller.network.down = False
            await asyncio.sleep(0.3)
            assert found.calls[0].intake.totals()["audio_received_count"] > count + 5

    asyncio.run(main())


def test_a_slope_comes_with_its_error() -> None:
    chance = np.random.default_rng(1)
    minutes = np.linspace(0, 10, 200)
    flat = np.stack((minutes, 100 + chance.normal(0, 0.2, 200)), axis=1)
    slope, error = soak.line(flat)
    assert abs(slope) < 3 * error < 0.05
    slope, error = soak.line(np.stack((minutes, 100 + minutes), axis=1))
    assert slope == pytest.approx(1.0)
    assert error < 1e-6


def test_a_short_soak_is_one_call_and_leaves_nothing() -> None:
    found = run(lambda: soak.measure(3.0, every=0.25))
    assert found.same_call
    assert found.pieces > 20
    assert found.grown["connections"] == 0
