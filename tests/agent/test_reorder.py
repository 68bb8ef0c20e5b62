"""The reorder buffer beside aiortc's own, over a simulated network in which time is an argument."""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rate import RateCounter
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from agent.transports import _aiortc, _rate, _reorder
from agent.transports._reorder import AudioInlet, Packet, ReorderBuffer
from perception.timebase import MS, Nanos

PTIME = 20 * MS
TRANSIT = 10 * MS
SENT = 3000
BAD = range(500, 2000)
"""Packets that meet the bad stretch of the network."""

Push = Callable[[int, Nanos], list[int]]
"""Takes packet number and time of arrival; returns the numbers of the packets that come out."""


def stock() -> Push:
    """aiortc's buffer with aiortc's numbers."""
    buffer = JitterBuffer(capacity=16, prefetch=4)

    def push(number: int, now: Nanos) -> list[int]:
        packet = RtpPacket(payload_type=96, sequence_number=number & 0xFFFF, timestamp=number * 960)
        packet._data = b"x"  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        return [] if frame is None else [frame.timestamp // 960]

    return push


def ours() -> Push:
    buffer: ReorderBuffer[int] = ReorderBuffer()
    return lambda number, now: buffer.push(number & 0xFFFF, number, now)


@dataclass
class Outcome:
    network: float
    delivered: float
    delay_ms: float
    delay_p95_ms: float
    after_ms: float


def simulate(push: Push, *, loss: float = 0.0, burst: int = 1, jitter: Nanos = 0, seed: int = 1) -> Outcome:
    """Send 60 s of sound, 30 s of them through a bad network; say what came out and how late."""
    chance = random.Random(seed)
    arrivals: list[tuple[Nanos, int]] = []
    number = 0
    while number < SENT:
        if number in BAD and chance.random() < loss / burst:
            number += burst
            continue
        late = chance.randrange(jitter) if jitter and number in BAD else 0
        heapq.heappush(arrivals, (number * PTIME + TRANSIT + late, number))
        number += 1
    survivors = sum(n in BAD for _, n in arrivals)
    out: dict[int, Nanos] = {}
    order: list[int] = []
    while arrivals:
        now, number = heapq.heappop(arrivals)
        for found in push(number, now):
            out[found] = now - (found * PTIME + TRANSIT)
            order.append(found)
    assert order == sorted(set(order)), "in order, and each once"
    bad = sorted(out[n] for n in BAD if n in out)
    after = [out[n] for n in range(2100, 2900) if n in out]
    return Outcome(
        network=survivors / len(BAD),
        delivered=len(bad) / len(BAD),
        delay_ms=statistics.median(bad) / MS,
        delay_p95_ms=bad[int(0.95 * len(bad))] / MS,
        after_ms=statistics.median(after) / MS,
    )


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
def test_loses_no_more_than_the_network_and_stays_prompt(loss: float) -> None:
    there, here = simulate(stock(), loss=loss), simulate(ours(), loss=loss)
    assert here.delivered == pytest.approx(here.network)
    assert here.delay_ms == 0
    assert here.delay_p95_ms <= 60
    assert here.after_ms == 0
    # What it is for: aiortc's own buffer on the very same packets.
    assert there.delivered < there.network - 2.5 * loss
    assert there.after_ms >= 200


def test_bursts_of_loss() -> None:
    here = simulate(ours(), loss=0.05, burst=5)
    assert here.delivered == pytest.approx(here.network)
    assert here.after_ms == 0


def test_reordering_is_put_right_at_little_cost() -> None:
    there, here = simulate(stock(), jitter=60 * MS), simulate(ours(), jitter=60 * MS)
    assert here.delivered == 1.0
    assert here.delay_ms < 45 < there.delay_ms
    assert here.after_ms == 0


def test_a_perfect_network_costs_nothing() -> None:
    assert simulate(ours()).delay_p95_ms == 0
    assert simulate(stock()).delay_ms >= 80


def test_the_sequence_number_wraps() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer()
    out = [n for k in range(65_530, 65_545) for n in buffer.push(k & 0xFFFF, k, k * PTIME)]
    assert out == list(range(65_530, 65_545))


def test_a_sender_that_begins_anew_is_followed() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer()
    assert buffer.push(100, 1, 0) == [1]
    assert buffer.push(20_000, 2, PTIME) == [2]
    assert buffer.push(20_001, 3, 2 * PTIME) == [3]


def test_a_hole_is_waited_for_and_then_skipped() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(wait=60 * MS)
    assert buffer.push(0, 0, 0) == [0]
    assert buffer.push(2, 2, 20 * MS) == []
    assert buffer.push(3, 3, 40 * MS) == []
    assert buffer.overdue(79 * MS) == []
    assert buffer.overdue(80 * MS) == [2, 3]
    assert buffer.skipped == 1
    assert buffer.push(1, 1, 90 * MS) == []
    assert buffer.late == 1


@pytest.mark.slow
@given(st.permutations(range(12)), st.lists(st.integers(0, 30), min_size=12, max_size=12))
def test_any_order_comes_out_in_order_and_at_most_once(order: list[int], waits: list[int]) -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer()
    now, out = 0, []
    for number, wait in zip(order, waits, strict=True):
        now += wait * MS
        out += buffer.push(1000 + number, number, now)
    out += buffer.overdue(now + 60 * MS)
    assert out == sorted(set(out))
    assert len(out) + buffer.late == len(order)


def test_timestamps_are_unwrapped_and_the_decoder_thread_gets_nothing() -> None:
    found: list[Packet] = []
    inlet = AudioInlet(found.append, lambda: 0)
    for k in range(3):
        packet = RtpPacket(payload_type=96, sequence_number=k, timestamp=(0xFFFFFFFF - 900 + 960 * k) & 0xFFFFFFFF)
        packet._data = bytes([k])  # type: ignore[attr-defined]
        assert inlet.add(packet) == (False, None)
    assert [p.ticks - found[0].ticks for p in found] == [0, 960, 1920]
    assert [p.data for p in found] == [b"\0", b"\1", b"\2"]


def test_this_aiortc_has_the_buffer_where_it_is_replaced() -> None:
    _reorder.check()


def test_an_aiortc_that_has_moved_it_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_aiortc, "BUFFER", "_RTCRtpReceiver__somewhere_else")
    with pytest.raises(RuntimeError, match="aiortc"):
        _reorder.check()
    receiver: Any = object()
    with pytest.raises(RuntimeError, match="aiortc"):
        _reorder.install(receiver, AudioInlet(lambda packet: None, lambda: 0))


def test_this_aiortc_has_the_bandwidth_estimate_where_it_is_replaced() -> None:
    receiver = _reorder.bare_receiver("video")
    _rate.install(receiver)
    with pytest.raises(RuntimeError, match="aiortc"):
        _rate.install(_reorder.bare_receiver("audio"))


@pytest.mark.slow
@given(st.lists(st.integers(0, 5000), max_size=40))
def test_the_patient_counter_counts_like_aiortcs(gaps: list[int]) -> None:
    stock, patient = RateCounter(1000, 8000), _rate.PatientRateCounter(1000, 8000)
    now = 0
    for gap in gaps:
        now += gap
        stock.add(100 + gap, now)
        patient.add(100 + gap, now)
        assert patient.rate(now + 1) == stock.rate(now + 1)


def test_a_camera_that_was_off_for_days_costs_nothing() -> None:
    counter = _rate.PatientRateCounter(1000, 8000)
    counter.add(1, 0)
    counter.add(1, 10**12)
    assert counter.rate(10**12 + 1) == 8
