"""Whoever stands before the machine, as a caller; and files and other devices in their place."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.action import Caption, PlayAudio
from agent.clock import VirtualClock
from agent.media_file import MediaError
from agent.onboard.devices import DeviceError
from agent.onboard.files import FileSound
from agent.onboard.station import Station
from agent.transports import Hangup, Signal
from agent.transports._local import LocalCaller
from agent.transports.local import devices, load
from perception.media import AudioChunk, Text
from perception.timebase import MS, SECOND
from tests.media_samples import write_sound
from tests.onboard.place import MemoryCamera, MemorySound, place

Fed = list[tuple[float, Any]]


def beep(seconds: float) -> list[AudioChunk]:
    return [AudioChunk(np.full(2400, 0.2, np.float32), n * 100 * MS, 24_000) for n in range(round(seconds * 10))]


def call(
    use: Callable[[LocalCaller, VirtualClock], Awaitable[None]], station: Station | None = None, **options: Any
) -> tuple[Fed, list[str]]:
    """Receive while ``use`` runs; return what was fed when, and how it ended."""
    clock = VirtualClock({})
    station = station or place(camera=MemoryCamera())
    fed: Fed = []
    ended: list[str] = []

    async def answer(caller: Any) -> None:
        async def receive() -> None:
            try:
                await caller.receive(lambda item: fed.append((clock.now() / SECOND, item)), clock)
                ended.append("listens")
            except Hangup as why:
                ended.append(str(why))

        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(receive())
            await use(caller, clock)
            receiving.cancel()

    async def main() -> None:
        async with station.running(clock):
            await load(station=station, echo="off", **options).open(answer)

    clock.run(main())
    return fed, ended


def kinds(fed: Fed, after: float = 0.0, before: float = 1e9) -> set[str]:
    return {type(item).__name__ for at, item in fed if after <= at < before}


def test_nothing_is_perceived_before_the_person_agreed_nor_after_they_took_it_back() -> None:
    async def use(caller: LocalCaller, clock: VirtualClock) -> None:
        assert caller.senses == frozenset()
        assert caller.agreement is None
        await clock.sleep_until(SECOND)
        caller.agree(None, version="v1", locale="en", recording=True)
        assert caller.senses is None
        assert caller.agreement is not None
        assert (caller.agreement.version, caller.agreement.recording, caller.agreement.by) == ("v1", True, "person")
        await clock.sleep_until(2 * SECOND)
        caller.agree(frozenset())
        await clock.sleep_until(3 * SECOND)

    fed, _ = call(use, consent="required")
    assert kinds(fed, before=1.0) == set()
    assert kinds(fed, 1.0, 2.0) == {"Signal", "AudioChunk", "VideoFrame"}
    assert kinds(fed, 2.01) == set()


def test_time_goes_on_while_nothing_is_perceived() -> None:
    async def use(caller: LocalCaller, clock: VirtualClock) -> None:
        await clock.sleep_until(5 * SECOND)
        caller.agree(None)
        await clock.sleep_until(6 * SECOND)

    fed, _ = call(use, consent="required")
    sound = [(at, item) for at, item in fed if isinstance(item, AudioChunk)]
    assert sound
    assert all(0 <= at * SECOND - item.end < 40 * MS for at, item in sound)


def test_words_wishes_and_the_end() -> None:
    async def use(caller: LocalCaller, clock: VirtualClock) -> None:
        caller.type("too early")
        await clock.sleep_until(SECOND)
        caller.type("  I am tired. ")
        caller.type("   ")
        caller.hush()
        await clock.sleep_until(2 * SECOND)
        caller.hang_up("left")
        caller.hang_up("closed")
        await clock.sleep_until(3 * SECOND)

    fed, ended = call(use)
    assert [item for _, item in fed if isinstance(item, Text | Signal)] == [Text("I am tired.", SECOND), Signal("stop")]
    assert ended == ["left"]
    assert kinds(fed, 2.1) == set()


def test_what_is_played_moves_a_mouth_and_is_told() -> None:
    sound = MemorySound()
    levels: list[float] = []
    told: list[object] = []

    async def use(caller: LocalCaller, clock: VirtualClock) -> None:
        caller.on_sound = levels.append
        await clock.sleep_until(SECOND)
        for chunk in beep(0.5):
            await caller.send(PlayAudio(chunk, 1))
        await caller.send(Caption("agent", "Hm.", final=True))
        await clock.sleep_until(2 * SECOND)

    call(use, place(sound), shown=told.append)
    ((begin, end),) = sound.sounding()
    assert (begin, end) == pytest.approx((1.0, 1.5), abs=0.05)
    assert max(levels) == pytest.approx(0.2, abs=0.01)
    assert levels[-1] == 0.0
    assert len(levels) == 27 or len(levels) == 26
    assert told[-1] == Caption("agent", "Hm.", final=True)


def test_the_last_words_are_said_whole_and_nothing_else_with_them() -> None:
    sound = MemorySound()

    async def use(caller: LocalCaller, clock: VirtualClock) -> None:
        async def talk() -> None:
            for chunk in beep(20):
                await caller.send(PlayAudio(chunk, 1))

        async with asyncio.TaskGroup() as group:
            talking = group.create_task(talk())
            await clock.sleep_until(SECOND)
            await caller.part(beep(1.0))
            assert talking.done()
        assert 2 * SECOND <= clock.now() <= 2200 * MS
        await clock.sleep_until(3 * SECOND)

    fed, ended = call(use, place(sound))
    assert ended == ["goodbye"]
    assert any(item == Signal("stop") for _, item in fed)


def test_a_file_that_is_over_ends_the_call_and_the_caller_still_listens() -> None:
    async def use(caller: LocalCaller, clock: VirtualClock) -> None:
        await clock.sleep_until(3 * SECOND)
        for chunk in beep(0.3):
            await caller.send(PlayAudio(chunk, 1))
        await clock.sleep_until(4 * SECOND)
        assert caller.played(1) == 300 * MS

    fed, ended = call(use, place(MemorySound(lasts=2.0)))
    assert ended == ["listens"]
    assert kinds(fed, 2.03) == set()


def test_a_sound_device_that_fails_for_good_ends_the_call_and_says_why() -> None:
    class Broken(MemorySound):
        async def run(self, line: Any, clock: Any) -> None:
            await clock.sleep_until(SECOND)
            raise DeviceError("microphone 'Mic': is broken")

    station = place(Broken())

    async def use(caller: LocalCaller, clock: VirtualClock) -> None:
        await clock.sleep_until(2 * SECOND)

    _, ended = call(use, station)
    assert ended == ["listens"]
    assert station.broken == "microphone 'Mic': is broken"


def test_who_does_not_listen_is_given_nothing_and_a_watcher_sees_all_the_same() -> None:
    clock = VirtualClock({})
    seen: list[object] = []
    station = place(camera=MemoryCamera())
    station.watch = seen.append

    async def main() -> None:
        async with station.running(clock):
            await clock.sleep_until(SECOND)
        station.close()

    clock.run(main())
    assert len(seen) in (10, 11)


@pytest.mark.slow
def test_files_stand_in_for_devices(tmp_path: Path) -> None:
    heard = write_sound(tmp_path / "hum.flac", "flac", seconds=0.4, hz=500)
    clock = VirtualClock({})
    fed: list[AudioChunk] = []

    async def answer(caller: Any) -> None:
        await caller.receive(lambda item: fed.append(item) if isinstance(item, AudioChunk) else None, clock)
        for chunk in beep(0.3):
            await caller.send(PlayAudio(chunk, 1))
        await clock.sleep_until(clock.now() + SECOND // 2)

    said = tmp_path / "said.wav"
    door = load(microphone=str(heard), camera="none", speaker=str(said), tail_s=0.6, echo="off")
    clock.run(door.open(answer))
    sound = np.concatenate([chunk.samples for chunk in fed])
    assert len(sound) == pytest.approx(16_000, abs=400)
    assert 0.15 < np.abs(sound[1000:6000]).max() < 1.0
    assert np.abs(sound[8000:]).max() < 0.01
    spectrum = np.abs(np.fft.rfft(sound[1000:5000]))
    assert np.argmax(spectrum) * 4 == pytest.approx(500, abs=8)
    with wave.open(str(said)) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 48_000)
        played = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert np.count_nonzero(np.abs(played) > 0.1) == pytest.approx(0.3 * 48_000, rel=0.02)


def test_the_speaker_is_heard_in_a_room_of_files() -> None:
    near: list[float] = []

    class Line:
        def hear(self, heard: Any, far: Any) -> None:
            near.append(float(np.abs(heard).max()))

        def next(self, count: int) -> Any:
            return np.full(count, 1.0 if len(near) < 5 else 0.0, np.float32)

        def over(self) -> None: ...

    clock = VirtualClock({})

    async def main() -> None:
        async with asyncio.timeout(0.3):
            await FileSound(echo=0.5).run(Line(), clock)

    with pytest.raises(TimeoutError):
        clock.run(main())
    assert near[:10] == [0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0, 0, 0]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"microphone": "none.wav"}, "--speaker (the usual one): a file and a device do not go together"),
        ({"microphone": "none.wav", "speaker": "none"}, "none.wav: no such file"),
        ({"microphone": "none", "speaker": "no/such/folder.wav"}, "no/such/folder.wav: cannot be written (No such"),
        ({"camera": "none.mp4", "microphone": "none", "speaker": "none.wav"}, "none.mp4: no such file"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    names: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((DeviceError, MediaError)) as caught:
        devices(**({"camera": "none"} | names))  # type: ignore[arg-type]
    assert says in str(caught.value)


def test_an_option_that_makes_no_sense_is_named() -> None:
    with pytest.raises(ValueError, match="consent is 'perhaps', expected 'given' or 'required'"):
        load(station=place(), consent="perhaps")
    with pytest.raises(DeviceError, match="echo 'loud'"):
        load(station=place(), echo="loud")
