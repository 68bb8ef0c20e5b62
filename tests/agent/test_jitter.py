"""Pictures and sound that survive loss, over simulated networks in which time is an argument."""

from __future__ import annotations

import asyncio
import heapq
import queue
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from agent.journal import Event, Note
from agent.transports import _aiortc, _frames
from agent.transports._call import RemoteCall
from agent.transports._frames import Frame, FrameBuffer, Nacks, Part, VideoInlet, begins_key, signed
from agent.transports._latest import Latest
from agent.transports._limits import CallLimits
from perception.timebase import MS, SECOND, Nanos

VIDEO_HZ = 90_000
TRANSIT = 20 * MS
KEY, DELTA = b"\x10\x02\x00", b"\x11\x02\x00"
"""The beginning of a VP8 frame: the lowest bit is clear in a key frame (RFC 7741)."""


def part(
    sequence: int, timestamp: int, *, last: bool = True, key: bool = False, data: bytes = b"x", now: Nanos = 0
) -> Part:
    return Part(sequence & 0xFFFF, timestamp, last, key, data, 97, now)


def packet(sequence: int, timestamp: int, data: bytes, *, last: bool = True, first: bool = True) -> RtpPacket:
    found = RtpPacket(payload_type=97, marker=int(last), sequence_number=sequence & 0xFFFF, timestamp=timestamp)
    found.payload = bytes(VpxPayloadDescriptor(partition_start=int(first), partition_id=0)) + data
    found._data = data  # type: ignore[attr-defined]
    return found


# A sender and a receiver, with a network between them.


@dataclass
class Shown:
    """What came out: number of each picture, when, and how old it was."""

    sent: int = 0
    lost: int = 0
    packets: int = 0
    pictures: list[tuple[int, Nanos, Nanos]] = field(default_factory=list)

    def fresh(self, since: Nanos = 0) -> list[int]:
        return [n for n, at, age in self.pictures if age <= 500 * MS and at >= since]

    def stale(self) -> int:
        return sum(age > 500 * MS for _, _, age in self.pictures)


class Ours:
    def __init__(self, now: Callable[[], Nanos]) -> None:
        self.receiver = _aiortc.bare_receiver("video")
        codecs: dict[int, Any] = _aiortc.private(self.receiver, _aiortc.CODECS, dict)
        codecs[97] = _Codec()
        self.buffer: Any = VideoInlet(self.receiver, now)
        self.nacks: NackGenerator = Nacks(now)
        self.extra: queue.Queue[Any] = _aiortc.private(self.receiver, _aiortc.DECODER, queue.Queue)


class Stock(Ours):
    def __init__(self, now: Callable[[], Nanos]) -> None:
        super().__init__(now)
        self.buffer = JitterBuffer(capacity=512, is_video=True)
        self.nacks = NackGenerator()


class _Codec:
    name = "VP8"


@dataclass
class State:
    """Of the sender (whether the next picture is a key picture, its next number) and of the decoder."""

    key: bool = True
    sequence: int = 65_000
    events: int = 0
    next: int = 0
    whole: bool = False


def simulate(
    kind: Callable[[Callable[[], Nanos]], Ours],
    *,
    loss: float = 0.0,
    down: tuple[Nanos, Nanos] = (0, 0),
    hz: int = 12,
    packets: int = 1,
    seconds: int = 30,
    seed: int = 5,
) -> Shown:
    """Send pictures for ``seconds``; requests to send again and for key pictures cross the same network."""
    chance, clock, shown = random.Random(seed), [0], Shown()
    end = kind(lambda: clock[0])
    events: list[tuple[Nanos, int, Callable[[], None]]] = []
    history: dict[int, RtpPacket] = {}
    state = State()

    def later(at: Nanos, what: Callable[[], None]) -> None:
        state.events += 1
        heapq.heappush(events, (at, state.events, what))

    def cross(what: Callable[[], None]) -> None:
        shown.packets += 1
        if down[0] <= clock[0] < down[1] or chance.random() < loss:
            shown.lost += 1
        else:
            later(clock[0] + TRANSIT, what)

    def capture(number: int) -> None:
        shown.sent += 1
        head = KEY if state.key else DELTA
        state.key = False
        for k in range(packets):
            sequence, state.sequence = state.sequence, state.sequence + 1 & 0xFFFF
            data = (head if k == 0 else b"") + number.to_bytes(4, "big")
            sent = packet(sequence, number * VIDEO_HZ // hz, data, last=k == packets - 1, first=k == 0)
            history[sequence] = sent
            cross(lambda sent=sent: arrive(sent))  # type: ignore[misc]

    def arrive(sent: RtpPacket) -> None:
        if end.nacks.add(sent):
            missing = sorted(end.nacks.missing)
            cross(lambda: resend(missing))
        wants_key, frame = end.buffer.add(sent)
        if wants_key:
            cross(lambda: setattr(state, "key", True))
        while not end.extra.empty():
            decode(end.extra.get()[1].data)
        if frame is not None:
            decode(frame.data)

    def resend(missing: list[int]) -> None:
        for sequence in missing:
            if sequence in history and 0 < signed(state.sequence - sequence) <= 128:
                cross(lambda sent=history[sequence]: arrive(sent))  # type: ignore[misc]

    def decode(data: bytes) -> None:
        number = int.from_bytes(data[3:7], "big")
        state.whole = data[:1] == KEY[:1] or (number == state.next and state.whole)
        state.next = number + 1
        if state.whole:  # a decoder cannot go on from a picture that it has not seen
            shown.pictures.append((number, clock[0], clock[0] - number * SECOND // hz))

    for number in range(seconds * hz):
        later(number * SECOND // hz, lambda number=number: capture(number))  # type: ignore[misc]
    while events:
        clock[0], _, run = heapq.heappop(events)
        run()
    return shown


@pytest.mark.slow
@pytest.mark.parametrize(("hz", "packets"), [(12, 1), (30, 3), (15, 8)])
def test_nine_of_ten_pictures_are_fresh_at_ten_percent_loss_both_ways(hz: int, packets: int) -> None:
    here = simulate(Ours, loss=0.1, hz=hz, packets=packets)
    assert here.lost / here.packets == pytest.approx(0.1, abs=0.03), "the network is as bad as it should be"
    assert len(here.fresh()) >= 0.9 * here.sent
    assert here.stale() == 0


def test_a_perfect_network_shows_every_picture_at_once() -> None:
    here = simulate(Ours)
    assert here.lost == 0
    assert [n for n, _, _ in here.pictures] == list(range(here.sent))
    assert {age for _, _, age in here.pictures} == {TRANSIT}, "not one picture later, as with a buffer that waits"


@pytest.mark.slow
@pytest.mark.parametrize(("hz", "packets"), [(12, 1), (30, 3)])
def test_after_an_outage_the_present_is_shown_at_once_and_the_past_never(hz: int, packets: int) -> None:
    down = (8 * SECOND, 13 * SECOND)
    here, there = (simulate(k, down=down, hz=hz, packets=packets, seconds=30) for k in (Ours, Stock))
    for shown in (here, there):
        assert shown.lost >= 5 * hz * packets, "nothing came through"
        assert not [n for n, at, _ in shown.pictures if down[0] + SECOND < at < down[1]]
    first = min(at for n, at, age in here.pictures if at >= down[1] and age <= 500 * MS)
    assert first - down[1] <= 300 * MS
    assert here.stale() == 0
    # What it is for: aiortc's own buffer on the same packets.
    fresh = [at for _, at, age in there.pictures if at >= down[1] and age <= 500 * MS]
    assert there.stale() > 0 or not fresh or min(fresh) - down[1] > SECOND


def test_a_picture_is_whole_only_with_all_its_parts_in_any_order() -> None:
    buffer = FrameBuffer()
    assert buffer.push(part(7, 0, last=False, key=True, data=b"a"), 0) == []
    assert buffer.push(part(9, 0, data=b"c"), MS) == []
    assert buffer.push(part(8, 0, last=False, data=b"b"), 2 * MS) == [Frame(b"abc", 0, 97)]
    assert buffer.push(part(8, 0, last=False, data=b"b"), 3 * MS) == []
    assert buffer.late == 1


def test_a_picture_without_a_mark_ends_where_the_next_begins() -> None:
    buffer = FrameBuffer()
    assert buffer.push(part(1, 0, last=False, key=True, data=b"a"), 0) == []
    assert buffer.push(part(2, 3000, last=False, data=b"b"), 33 * MS) == [Frame(b"a", 0, 97)]


def test_packets_that_only_probe_the_path_are_no_picture() -> None:
    buffer = FrameBuffer()
    assert len(buffer.push(part(1, 0, key=True), 0)) == 1
    assert buffer.push(part(2, 0, last=False, data=b""), MS) == []
    assert len(buffer.push(part(3, 3000), 33 * MS)) == 1
    assert buffer.breaks == 0


def test_a_call_that_begins_without_a_key_picture_asks_for_one_again_and_again() -> None:
    buffer = FrameBuffer()
    asked = []
    for k in range(30):
        now = k * 100 * MS
        assert buffer.push(part(k, k * 9000, now=now), now) == []
        if buffer.wants_key(now):
            asked.append(now // MS)
    assert asked == [300 * k for k in range(10)]
    assert len(buffer.push(part(30, 30 * 9000, key=True, now=3 * SECOND), 3 * SECOND)) == 1
    assert not buffer.wants_key(3 * SECOND)


def test_a_hole_is_waited_for_and_then_broken_off() -> None:
    buffer = FrameBuffer(wait=300 * MS)
    assert len(buffer.push(part(0, 0, key=True, now=0), 0)) == 1
    for k in range(2, 8):
        now = k * 50 * MS
        assert buffer.push(part(k, k * 4500, now=now), now) == []
        assert not buffer.wants_key(now)
    assert buffer.push(part(8, 36_000, now=400 * MS), 400 * MS) == []
    assert buffer.breaks == 1
    assert buffer.wants_key(400 * MS)
    assert len(buffer.push(part(9, 40_500, key=True, now=450 * MS), 450 * MS)) == 1


def test_a_hole_that_is_filled_in_time_lets_all_pass_at_once() -> None:
    buffer = FrameBuffer()
    buffer.push(part(0, 0, key=True), 0)
    for k in range(2, 5):
        assert buffer.push(part(k, k * 3000, now=k * 33 * MS), k * 33 * MS) == []
    assert [f.timestamp for f in buffer.push(part(1, 3000, now=140 * MS), 140 * MS)] == [3000, 6000, 9000, 12_000]
    assert buffer.breaks == 0


@pytest.mark.slow
@given(st.permutations(range(20)), st.lists(st.integers(0, 60), min_size=20, max_size=20), st.sets(st.integers(1, 19)))
def test_pictures_come_out_in_order_once_and_memory_is_bounded(
    order: list[int], gaps: list[int], lost: set[int]
) -> None:
    buffer, now, out = FrameBuffer(), 0, []
    for number, gap in zip(order, gaps, strict=True):
        now += gap * MS
        if number not in lost:
            key = number % 7 == 0
            out += buffer.push(part(65_530 + number, number * 3000, key=key, now=now), now)
    assert [f.timestamp for f in out] == sorted({f.timestamp for f in out})
    assert len(buffer._parts) <= 20


@pytest.mark.slow
def test_a_flood_without_a_key_picture_takes_no_memory() -> None:
    buffer = FrameBuffer()
    for k in range(5000):
        buffer.push(part(2 * k, k, last=False, now=k * MS // 10), k * MS // 10)
        assert len(buffer._parts) <= 65


def test_what_is_missing_is_asked_for_every_hundred_milliseconds_and_not_for_ever() -> None:
    clock = [0]
    nacks = Nacks(lambda: clock[0])
    asked: list[tuple[int, list[int]]] = []
    for k, sequence in enumerate([10, *range(13, 40)]):
        clock[0] = k * 25 * MS
        if nacks.add(packet(sequence, 0, KEY)):
            asked.append((clock[0] // MS, sorted(nacks.missing)))
    assert asked == [(25, [11, 12]), (125, [11, 12]), (225, [11, 12])]


def test_a_leap_in_the_numbers_is_not_asked_for_packet_by_packet() -> None:
    nacks = Nacks(lambda: 0)
    assert not nacks.add(packet(0, 0, KEY))
    assert not nacks.add(packet(30_000, 0, KEY))
    assert nacks.add(packet(30_100, 0, KEY))
    assert len(nacks.missing) == 99
    assert not nacks.add(packet(30_000, 0, KEY)), "one that comes late is nothing new"


@pytest.mark.parametrize(
    ("codec", "payload", "data", "key"),
    [
        ("VP8", b"\x10", KEY, True),
        ("VP8", b"\x10", DELTA, False),
        ("VP8", b"\x00", KEY, False),
        ("VP8", b"\x11", KEY, False),
        ("VP8", b"\x10", b"", False),
        ("H264", b"", b"\0\0\0\1\x67sps\0\0\0\1\x68pps", True),
        ("H264", b"", b"\0\0\0\1\x09\0\0\0\1\x65idr", True),
        ("H264", b"", b"\0\0\0\1\x41slice", False),
        ("H264", b"", b"rest of a slice", False),
        ("AV1", b"", b"?", True),
    ],
)
def test_key_pictures_are_known_by_their_first_packet(codec: str, payload: bytes, data: bytes, key: bool) -> None:
    assert begins_key(codec, payload, data) is key


def test_a_decoder_that_cannot_keep_up_loses_pictures_and_not_memory() -> None:
    end = Ours(lambda: 0)
    shown = 0
    for k in range(100):
        wants_key, frame = end.buffer.add(packet(k, k * 3000, KEY if k == 0 else DELTA))
        shown += frame is not None
        if frame is not None:
            end.extra.put(frame)
        if k == 16:
            assert wants_key
    assert shown == 16
    assert end.buffer.dropped == 1
    assert end.extra.qsize() == 16


def test_only_the_latest_picture_waits_and_the_loop_need_not_run_for_it() -> None:
    async def main() -> None:
        frames, loop = Latest(), asyncio.get_running_loop()

        def decode() -> None:
            for k in range(100):
                asyncio.run_coroutine_threadsafe(frames.put(k), loop)

        thread = threading.Thread(target=decode)
        thread.start()
        thread.join()  # the loop has not run since
        assert frames.qsize() == 2
        assert frames.dropped == 98
        assert [await frames.get(), await frames.get()] == [98, 99]
        asyncio.run_coroutine_threadsafe(frames.put(None), loop)
        assert await frames.get() is None
        assert await frames.get() is None
        await asyncio.sleep(0)

    asyncio.run(main())


# What the transport takes from aiortc.

PRIVATE = ["BUFFER", "ESTIMATOR", "NACKS", "CODECS", "MAPPER", "DECODER", "FRAMES"]


def test_this_aiortc_has_every_part_where_it_is_replaced() -> None:
    _aiortc.check()


@pytest.mark.parametrize("name", PRIVATE)
def test_an_aiortc_that_has_moved_a_part_stops_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_aiortc, name, "_RTCRtpReceiver__elsewhere")
    with pytest.raises(RuntimeError, match=r"aiortc>=1\.16.*elsewhere"):
        _aiortc.check()


def test_an_aiortc_that_calls_otherwise_or_sends_too_much_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(JitterBuffer, "add", lambda self, packet, now: None)
        with pytest.raises(_aiortc.Moved, match=r"JitterBuffer\.add"):
            _aiortc.check()
    monkeypatch.setattr("aiortc.rtcsctptransport.SCTP_MAX_PACKET_LENGTH", 1200)
    with pytest.raises(_aiortc.Moved, match="1280 bytes"):
        _aiortc.check()


def test_all_that_is_replaced_is_replaced() -> None:
    receiver = _aiortc.bare_receiver("video")
    inlet = _frames.install(receiver, lambda: 0)
    assert getattr(receiver, _aiortc.BUFFER) is inlet
    assert isinstance(getattr(receiver, _aiortc.NACKS), Nacks)
    with pytest.raises(_aiortc.Moved):
        _frames.install(receiver, lambda: 0)


def test_the_state_of_the_link_is_told_as_it_changes() -> None:
    clock = _Now()
    told: list[tuple[int, str]] = []

    def watch(event: Event) -> None:
        if isinstance(event.body, Note) and event.body.event == "link":
            told.append((clock.time // SECOND, str(event.body.data["state"])))

    call = RemoteCall("c", clock, CallLimits(), {}, watch)
    for second in range(16):
        clock.time = second * SECOND + MS
        call._tick()
        assert not call.over or second >= 15
    assert told == [(2, "degraded"), (10, "lost"), (15, "closed")]
    assert call.over
    call = RemoteCall("c", clock, CallLimits(), {}, watch)
    for _ in range(5):
        clock.time += SECOND
        call._tick()
    call.life.sign(clock.time)
    call._tick()
    assert [state for _, state in told[3:]] == ["degraded", "live"]


class _Now:
    """A clock that is where it is put."""

    def __init__(self) -> None:
        self.time: Nanos = 0

    def now(self) -> Nanos:
        return self.time

    async def sleep_until(self, deadline: Nanos) -> None:
        self.time = deadline

    def working(self, label: str) -> Any:
        raise NotImplementedError
