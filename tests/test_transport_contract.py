"""What every transport promises, whoever is behind it. Add a :class:`Case` for a new one.

A case's caller sends at least three seconds of sound and pictures.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.action import Caption, Display, HoldAudio, PlayAudio, StopAudio
from agent.clock import Clock, SystemClock, VirtualClock
from agent.journal import Event, Note
from agent.loopback import Loopback
from agent.models import resolve_clip
from agent.onboard.devices import See
from agent.onboard.files import FileSound
from agent.onboard.station import Station
from agent.transports import Hangup, Signal, Transport
from agent.transports.local import load as local_door
from agent.transports.replay import load
from agent.transports.webrtc import Offer
from agent.transports.webrtc import load as webrtc_door
from perception.media import RATE_HZ, AudioChunk, Media, Text, VideoFrame
from perception.timebase import MS, SECOND, Nanos, from_ticks
from tests.media_samples import write_sound
from tests.rtc import Client
from tests.sockets import Pipe, called, opened, talk

TOLERANCE: Nanos = 60 * MS
"""A frame of sound, a frame of the packetizer, and the step of the clock."""


@dataclass(frozen=True)
class Case:
    """One transport under test.

    Attributes:
        name: of the transport.
        call: from a clean folder to a caller in a call.
        clock: makes the clock of the call, and runs on it.
        listens: whether the caller is still there when its media are over.
    """

    name: str
    call: Callable[[Path], AbstractAsyncContextManager[Transport]]
    clock: Callable[[], Clock] = lambda: VirtualClock({})
    listens: bool = True

    def run(self, folder: Path, use: Callable[[Transport, Clock], Awaitable[None]]) -> None:
        clock = self.clock()

        async def main() -> None:
            async with self.call(folder) as transport:
                await use(transport, clock)

        if isinstance(clock, VirtualClock):
            clock.run(main())
        else:
            asyncio.run(main())


def script(seconds: int) -> list[Media]:
    sound: list[Media] = [AudioChunk(np.zeros(320, np.float32), n * 20 * MS) for n in range(50 * seconds)]
    pictures = [VideoFrame(np.zeros((48, 64, 3), np.uint8), n * 100 * MS) for n in range(10 * seconds)]
    return sorted([*sound, *pictures], key=lambda m: m.end if isinstance(m, AudioChunk) else m.at)


@asynccontextmanager
async def loopback(_: Path) -> AsyncIterator[Transport]:
    transport = Loopback(script(4))
    yield transport
    await transport.close()


@asynccontextmanager
async def gone(_: Path) -> AsyncIterator[Transport]:
    transport = Loopback(script(4), hang_up=True)
    yield transport
    await transport.close()


class Hands:
    """Take a caller out of the hands of a door, which waits until the test has finished with it."""

    def __init__(self) -> None:
        self.here: asyncio.Future[Transport] = asyncio.get_running_loop().create_future()
        self.done = asyncio.Event()

    async def answer(self, transport: Transport) -> None:
        self.here.set_result(transport)
        await self.done.wait()


@asynccontextmanager
async def replay(folder: Path) -> AsyncIterator[Transport]:
    """A clip in place of the caller, and a WAV file for what is said."""
    hands = Hands()
    door = load(path=resolve_clip("single-face"), tail_s=1.0, output=folder / "talk.wav")
    async with asyncio.TaskGroup() as group:
        group.create_task(door.open(hands.answer))
        yield await hands.here
        hands.done.set()


@asynccontextmanager
async def webrtc(_: Path) -> AsyncIterator[Transport]:
    """A stock aiortc caller who hangs up after three and a half seconds."""
    hands = Hands()

    async def hang_up() -> None:
        clock = SystemClock()
        await clock.sleep_until(3500 * MS)
        caller.say("disconnect-bot")

    door = webrtc_door(loopback=True, consent="given")
    caller = Client()
    async with asyncio.TaskGroup() as group:
        opened = group.create_task(door.open(hands.answer))
        await asyncio.sleep(0)
        try:
            await caller.accept(await door.offer(Offer(**await caller.offer())))
            leaving = group.create_task(hang_up())
            yield await hands.here
            leaving.cancel()
        finally:
            hands.done.set()
            await caller.close()
            opened.cancel()


@asynccontextmanager
async def on_board(_: Path) -> AsyncIterator[Transport]:
    """Devices in memory: a microphone that hears nothing, and a camera in the dark."""

    class Dark:
        async def run(self, see: See, clock: Clock) -> None:
            while True:
                await clock.sleep_until(clock.now() + 100 * MS)
                see(np.zeros((48, 64, 3), np.uint8))

        def close(self) -> None: ...

    sound = FileSound()
    sound.hears = True
    station = Station(sound, Dark())
    hands = Hands()
    async with station.running(SystemClock()), asyncio.TaskGroup() as group:
        group.create_task(local_door(station=station).open(hands.answer))
        yield await hands.here
        hands.done.set()


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[Transport]:
    """A recording in place of the microphone, a clip in place of the camera, and a WAV file as the speaker."""
    hands = Hands()
    write_sound(folder / "hum.wav", seconds=3.0)
    door = local_door(
        microphone=str(folder / "hum.wav"),
        speaker=str(folder / "said.wav"),
        camera=str(resolve_clip("single-face")),
        tail_s=0.5,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(door.open(hands.answer))
        yield await hands.here
        hands.done.set()


@asynccontextmanager
async def websocket(_: Path) -> AsyncIterator[Transport]:
    """A caller with sound and pictures over a WebSocket, who hangs up after three and a half seconds."""
    hands = Hands()

    async def talk_and_leave(pipe: Pipe) -> None:
        await talk(pipe, 3.5)
        pipe.say("disconnect-bot")

    async with opened(hands.answer) as door, called(door) as pipe, asyncio.TaskGroup() as group:
        talking = group.create_task(talk_and_leave(pipe))
        try:
            yield await hands.here
            talking.cancel()
        finally:
            hands.done.set()


CASES = [
    Case("loopback", loopback),
    Case("loopback-live", loopback, SystemClock),
    Case("loopback-hangup", gone, listens=False),
    Case("replay", replay),
    Case("replay-live", replay, SystemClock),
    Case("webrtc", webrtc, SystemClock, listens=False),
    Case("websocket", websocket, SystemClock, listens=False),
    Case("local", local),
    Case("local-live", on_board, SystemClock),
]


@pytest.fixture(
    params=[pytest.param(c, marks=[pytest.mark.models, pytest.mark.slow]) for c in CASES], ids=lambda c: c.name
)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def beep(seconds: float, rate_hz: int = 24_000) -> list[AudioChunk]:
    """Chunks of 100 ms."""
    step = rate_hz // 10
    sound = np.full(step, 0.1, np.float32)
    return [AudioChunk(sound.copy(), from_ticks(n * step, rate_hz), rate_hz) for n in range(round(seconds * 10))]


async def during_call(
    transport: Transport, clock: Clock, work: Callable[[], Coroutine[Any, Any, None]]
) -> list[tuple[Nanos, Media | Signal]]:
    """Receive while ``work`` is done; return what was fed and when."""
    fed: list[tuple[Nanos, Media | Signal]] = []
    async with asyncio.TaskGroup() as group:

        async def receive() -> None:
            try:
                await transport.receive(lambda item: fed.append((clock.now(), item)), clock)
            except Hangup:
                pass

        task = group.create_task(receive())
        await work()
        task.cancel()
    return fed


def test_it_has_a_name_and_senses(case: Case, tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        assert transport.call_id
        assert transport.call_id == transport.call_id
        assert transport.senses is None or isinstance(transport.senses, frozenset)

    case.run(tmp_path, use)


def test_media_come_in_order_and_never_from_the_future(case: Case, tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        async def work() -> None:
            await clock.sleep_until(2 * SECOND)

        fed = await during_call(transport, clock, work)
        sound = [(t, m) for t, m in fed if isinstance(m, AudioChunk)]
        pictures = [(t, m) for t, m in fed if isinstance(m, VideoFrame)]
        assert len(sound) > 50
        assert len(pictures) > 10
        assert 0 <= sound[0][1].start < 500 * MS
        assert 0 <= pictures[0][1].at < 500 * MS
        for now, chunk in sound:
            assert chunk.rate_hz == RATE_HZ
            assert chunk.end <= now + 5 * MS
            assert now - chunk.end < 250 * MS
        for now, frame in pictures:
            assert frame.at <= now + 5 * MS
        assert [c.start for _, c in sound] == sorted(c.start for _, c in sound)
        assert [f.at for _, f in pictures] == sorted(f.at for _, f in pictures)

    case.run(tmp_path, use)


@pytest.mark.parametrize("rate_hz", [24_000, 16_000])
def test_sound_is_paced_and_counted(case: Case, tmp_path: Path, rate_hz: int) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        async def work() -> None:
            await clock.sleep_until(100 * MS)
            assert transport.first_out(1) is None
            assert transport.played(1) == 0
            began = clock.now()
            sent: Nanos = 0
            for chunk in beep(1.0, rate_hz):
                await transport.send(PlayAudio(chunk, reply=1))
                sent += chunk.duration
                assert transport.played(1) >= sent - 200 * MS - TOLERANCE, "too much is unplayed"
                assert transport.played(1) <= clock.now() - began + TOLERANCE, "faster than time"
            assert clock.now() - began >= 800 * MS - TOLERANCE
            await clock.sleep_until(began + 1300 * MS)
            assert abs(transport.played(1) - SECOND) <= TOLERANCE
            first = transport.first_out(1)
            assert first is not None
            assert began - TOLERANCE <= first <= began + 150 * MS
            assert transport.first_out(2) is None

        await during_call(transport, clock, work)

    case.run(tmp_path, use)


def test_stop_forgets_what_is_unplayed_at_once_and_later(case: Case, tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        async def work() -> None:
            for chunk in beep(0.5):
                await transport.send(PlayAudio(chunk, reply=1))
            await transport.send(StopAudio(1))
            heard = transport.played(1)
            assert heard < 500 * MS
            began = clock.now()
            for chunk in beep(2.0):
                await transport.send(PlayAudio(chunk, reply=1))
            assert clock.now() - began < 500 * MS, "a stopped reply still takes time"
            await clock.sleep_until(clock.now() + 300 * MS)
            assert transport.played(1) - heard <= TOLERANCE
            for chunk in beep(0.2):
                await transport.send(PlayAudio(chunk, reply=2))
            await clock.sleep_until(clock.now() + 400 * MS)
            assert abs(transport.played(2) - 200 * MS) <= TOLERANCE

        await during_call(transport, clock, work)

    case.run(tmp_path, use)


def test_stop_frees_a_waiting_sender(case: Case, tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        async def work() -> None:
            async with asyncio.TaskGroup() as group:

                async def talk() -> None:
                    for chunk in beep(30.0):
                        await transport.send(PlayAudio(chunk, reply=1))

                task = group.create_task(talk())
                await clock.sleep_until(clock.now() + 500 * MS)
                assert not task.done()
                await transport.send(StopAudio(1))
                await clock.sleep_until(clock.now() + 200 * MS)
                assert task.done()

        await during_call(transport, clock, work)

    case.run(tmp_path, use)


def test_hold_pauses_and_loses_nothing(case: Case, tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        async def work() -> None:
            for chunk in beep(0.5):
                await transport.send(PlayAudio(chunk, reply=1))
            await transport.send(HoldAudio(held=True, reply=1))
            heard = transport.played(1)
            await clock.sleep_until(clock.now() + 400 * MS)
            assert transport.played(1) - heard <= TOLERANCE
            await transport.send(HoldAudio(held=False, reply=1))
            await clock.sleep_until(clock.now() + 500 * MS)
            assert abs(transport.played(1) - 500 * MS) <= TOLERANCE

        await during_call(transport, clock, work)

    case.run(tmp_path, use)


def test_everything_else_is_taken(case: Case, tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        async def work() -> None:
            await transport.send(Caption("agent", "Hello", final=True, reply=1))
            await transport.send(Display("warm", "nod", 0.5))
            transport.tell(Event(clock.now(), Note("state", data={"state": "listening"})))

        await during_call(transport, clock, work)

    case.run(tmp_path, use)


def test_it_may_be_closed_twice_and_before_it_began(case: Case, tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        await transport.close()
        await transport.close()

    case.run(tmp_path, use)


def test_it_says_when_the_caller_is_gone(case: Case, tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        try:
            await transport.receive(lambda _: None, clock)
        except Hangup:
            assert not case.listens
        else:
            assert case.listens
        assert clock.now() > 2 * SECOND

    if isinstance(case.clock(), VirtualClock) or not case.listens:
        case.run(tmp_path, use)


def test_loopback_plays_signals_and_texts_at_their_time() -> None:
    clock = VirtualClock({})
    items: list[Media | tuple[Nanos, Signal]] = [Text("hi", SECOND), (2 * SECOND, Signal("stop"))]
    fed: list[tuple[Nanos, object]] = []
    caller = Loopback(items, until=5 * SECOND)
    clock.run(caller.receive(lambda item: fed.append((clock.now(), item)), clock))
    assert fed == [(SECOND, items[0]), (2 * SECOND, Signal("stop"))]
    assert clock.now() == 5 * SECOND


def test_loopback_keeps_what_came_back() -> None:
    clock = VirtualClock({})
    caller = Loopback(script(1))

    async def main() -> None:
        async def work() -> None:
            await clock.sleep_until(300 * MS)
            await caller.send(Caption("agent", "Hello", final=True))
            caller.tell(Event(clock.now(), Note("x")))

        await during_call(caller, clock, work)

    clock.run(main())
    assert caller.actions == [(300 * MS, Caption("agent", "Hello", final=True))]
    assert caller.of(Caption) == [Caption("agent", "Hello", final=True)]
    assert [e.body for e in caller.events] == [Note("x")]


@pytest.mark.models
@pytest.mark.slow
def test_a_replay_writes_down_both_sides(tmp_path: Path) -> None:
    async def use(transport: Transport, clock: Clock) -> None:
        async def work() -> None:
            await clock.sleep_until(SECOND)
            for chunk in beep(0.5):
                await transport.send(PlayAudio(chunk, reply=1))
            await clock.sleep_until(2500 * MS)

        await during_call(transport, clock, work)

    Case("replay", replay).run(tmp_path, use)
    with wave.open(str(tmp_path / "talk.wav")) as talk:
        assert (talk.getnchannels(), talk.getframerate(), talk.getsampwidth()) == (2, 24_000, 2)
        sound = np.frombuffer(talk.readframes(talk.getnframes()), "<i2").reshape(-1, 2) / 32768
    assert len(sound) >= 2.4 * 24_000
    loud = np.flatnonzero(np.abs(sound[:, 1]) > 0.05)
    assert loud[0] == pytest.approx(24_000, abs=1_200)
    assert loud[-1] == pytest.approx(36_000, abs=1_200)
