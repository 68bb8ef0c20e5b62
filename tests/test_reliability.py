"""The commands under ``benchmarks/reliability``, small: each proves its own impairment, then its figure."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from agent.transports._bodies import Bye, Offer
from benchmarks.reliability import Caller, capacity, cycles, house, loss, outage, packets, signalling, soak, vanish
from benchmarks.reliability.network import Direction, Network, Unproven
from benchmarks.reliability.resources import Resources
from tests.agent.test_guard_sdp import OFFERS

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


@pytest.fixture(scope="module")
def measured() -> list[Any]:
    """Loss, an outage and callers who vanish, side by side: they mostly wait."""

    async def main() -> list[Any]:
        found = await asyncio.gather(
            loss.measure(seconds=1.8, loss=0.1),
            outage.measure(seconds=2.0, after=2.0),
            vanish.measure(dead_after_s=1.5, return_within_s=0.5, connect_s=2.0),
            return_exceptions=True,
        )
        return list(found)

    return run(main)


def of(measured: list[Any], place: int) -> Any:
    """Return what one of them found.

    Raises:
        Exception: what it raised.
    """
    if isinstance(measured[place], BaseException):
        raise measured[place]
    return measured[place]


def test_loss_both_ways_takes_from_the_sound_what_it_must_and_no_more(measured: list[Any]) -> None:
    here, there, proof = of(measured, 0)
    assert "lost up" in proof
    assert here.delivered >= here.network - 0.03
    assert here.delivered > there.delivered + 0.1, "stock aiortc on an equally bad network"
    assert here.recovered > 0
    assert there.added_ms > here.added_ms + 50
    assert here.pictures >= 0.5, "a short run on a busy machine; the simulation holds the figure"


def test_an_outage_is_survived_by_the_same_call(measured: list[Any]) -> None:
    here, there, proof = of(measured, 1)
    assert "lost up 100.0%" in proof
    assert here.sound_s <= outage.SOUND_S
    assert here.picture_s <= outage.PICTURE_S
    assert here.stale == 0
    assert here.same_call
    assert here.replies <= outage.REPLIES
    assert there.stale > 0, "stock aiortc shows the past"


def test_who_is_gone_without_a_word_frees_the_line(measured: list[Any]) -> None:
    found = of(measured, 2)
    assert 1.4 <= found[vanish.CUT] <= 1.5 + 1.0
    assert 1.4 <= found[vanish.KILLED] <= 1.5 + 1.0
    assert 1.9 <= found[vanish.NEVER] <= 2.0 + 1.0


def test_strangers_at_the_door_leave_nothing_and_send_nobody_anywhere() -> None:
    found = asyncio.run(
        signalling.measure(120, 8, street=False, counted="at the sockets", lines=1, beyond=60, settle_s=0.5)
    )
    assert not [status for status in found.statuses if status >= 500]
    assert found.statuses[200] > 10
    assert found.statuses[400] > 10
    assert not found.leaked
    assert found.packets["taken"] > 0, "or else nothing was counted"
    assert not found.packets["denied"]
    assert found.busy == {503: 60}
    assert np.median(found.beyond) * 1000 <= signalling.CAPACITY_MS, "a short run on a busy machine"
    assert found.joined


def test_who_hangs_up_while_connecting_leaves_no_exception_behind() -> None:
    async def main() -> None:
        unhandled: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        apart = "\r\n".join(line for line in OFFERS["firefox"].split("\r\n") if "BUNDLE" not in line)
        async with house(max_calls=8) as found:
            for pause in 4 * (0.0, 0.003, 0.03, 0.05):  # which one meets the gap is chance
                answer = await found.door.offer(Offer(sdp=apart, type="offer"))
                await asyncio.sleep(pause)
                found.door.bye(Bye(pc_id=answer["pc_id"]))
            await found.empty()
        await asyncio.sleep(0.2)
        gc.collect()
        assert not unhandled

    asyncio.run(main())


def test_what_is_denied_is_told_apart() -> None:
    for address in signalling.TARGETS:
        if ":" not in address:
            assert packets.kind(address, 5000) == "denied", address
    for address in ("8.8.4.4", "2606:4700::1111"):
        assert packets.kind(address, 5000) == "taken"
        assert packets.kind(address, 53) == "denied"
    assert packets.kind("127.0.0.1", 5000) == "denied"
    assert packets.kind("127.0.0.1", 5000, loopback=True) == "taken"


SPIED = """
import asyncio
from benchmarks.reliability.packets import Spy

async def main():
    spy = Spy(loopback=True)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    transport.sendto(b"x", ("127.0.0.1", 5000))
    transport.sendto(b"x", ("127.0.0.1", 53))
    transport.close()
    assert spy.counts == {"taken": 1, "denied": 1}, spy.counts

asyncio.run(main())
"""
ALONE = """
import socket, sys, time
from benchmarks.reliability.packets import Sniffer, alone

why = alone()
if why:
    print(why)
    sys.exit(77)
with Sniffer() as sniffer, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
    for address in ("8.8.4.4", "10.0.0.1", "169.254.169.254", "127.0.0.1"):
        out.sendto(b"x", (address, 5000))
    time.sleep(0.4)
assert sniffer.counts == {"taken": 1, "denied": 3}, sniffer.counts
assert "169.254.169.254:5000" in sniffer.where
"""


def test_a_packet_to_a_denied_address_would_be_counted() -> None:
    here = Path(__file__).parent.parent
    found = subprocess.run([sys.executable, "-c", SPIED], cwd=here, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    found = subprocess.run([sys.executable, "-c", ALONE], cwd=here, capture_output=True, text=True, check=False)
    if found.returncode == 77:
        assert "no network namespace" in found.stdout or "no interface" in found.stdout
        pytest.skip(f"{found.stdout.strip()}; the kernel's count is not tested here, that at the sockets is")
    assert found.returncode == 0, found.stderr


LOAD = {"seconds": 10.0, "dropped": {}, "behind_s": {}, "lag_p99_ms": 4.0}


@pytest.mark.parametrize(
    ("change", "delivered", "failed"),
    [
        ({}, 1.0, ""),
        ({"dropped": {"vad": 3}}, 1.0, ""),
        ({"dropped": {"vad": 30, "face": 90}}, 1.0, "face lets 90"),
        ({"behind_s": {"asr": 2.5, "vad": 0.1}}, 1.0, r"asr is 2\.5 s behind"),
        ({"lag_p99_ms": 130.0}, 1.0, "event loop is 130 ms"),
        ({}, 0.9, "10% of the sound"),
    ],
)
def test_the_stage_that_does_not_keep_up_is_named(change: dict[str, Any], delivered: float, failed: str) -> None:
    found = capacity.judge(LOAD | change, 2, delivered, video=False)
    assert re.search(failed, found) if failed else not found


def test_one_call_is_no_load() -> None:
    steps = run(lambda: capacity.measure("media", video=False, seconds=1.0, most=1))
    assert [step.calls for step in steps] == [1]
    assert steps[0].load["live"] == 1
    assert steps[0].delivered > 0.8
    assert "event loop" in steps[0].load["cpu"]


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
    found = run(lambda: soak.measure(2.0, every=0.25))
    assert found.same_call
    assert found.pieces > 20
    assert found.grown["connections"] == 0
