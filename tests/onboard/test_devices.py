"""Which device is meant, the sound card's thread, a camera that goes away, and the echo."""

from __future__ import annotations

import asyncio
import builtins
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.clock import SystemClock, VirtualClock
from agent.onboard import card, echo
from agent.onboard.card import Card
from agent.onboard.devices import DeviceError, Found, choose
from agent.onboard.lens import Lens, cameras
from perception.timebase import SECOND

THERE = [
    Found("microphone", 0, "HDA Intel: ALC257 Analog"),
    Found("microphone", 3, "USB Mic: Audio (hw:1,0)", default=True),
    Found("microphone", 4, "USB Headset"),
    Found("speaker", 0, "HDA Intel: ALC257 Analog", default=True),
]


@pytest.mark.parametrize(
    ("kind", "wanted", "index"),
    [
        ("microphone", "", 3),
        ("microphone", "4", 4),
        ("microphone", "usb headset", 4),
        ("microphone", "alc257", 0),
        ("speaker", "", 0),
    ],
)
def test_a_device_is_chosen(kind: str, wanted: str, index: int) -> None:
    assert choose(kind, wanted, THERE).index == index


@pytest.mark.parametrize(
    ("kind", "wanted", "says"),
    [
        ("microphone", "usb", "2 fit (agent talk --list-devices); choose one of: 3 USB Mic: Audio (hw:1,0); 4 USB Hea"),
        ("microphone", "9", "there is none (agent talk --list-devices); choose one of: 0 HDA"),
        ("camera", "", "this machine has no camera; plug one in, or do without: --camera none"),
    ],
)
def test_what_cannot_be_chosen_is_named(kind: str, wanted: str, says: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose(kind, wanted, THERE)
    assert says in str(caught.value)


class FakePortAudio:
    """What is used of sounddevice: streams that ask for sound when a test says so."""

    class PortAudioError(Exception): ...

    def __init__(self, *, most_rate: int = 48_000, channels: int = 1, fails: int = 0) -> None:
        self.default = SimpleNamespace(device=(0, 1))
        self.streams: list[Any] = []
        self.fails = fails
        self._most_rate, self._channels = most_rate, channels

    def query_devices(self, index: int | None = None) -> Any:
        both = [
            {"name": "Mic", "max_input_channels": 2, "max_output_channels": 0, "default_samplerate": 44_100.0},
            {"name": "Box", "max_input_channels": 0, "max_output_channels": 2, "default_samplerate": 44_100.0},
        ]
        return both if index is None else both[index]

    def _open(self, **given: Any) -> Any:
        channels = given["channels"] if isinstance(given["channels"], tuple) else (given["channels"],)
        if given["samplerate"] > self._most_rate or min(channels) < self._channels or self.fails > 0:
            self.fails -= 1
            raise self.PortAudioError("Invalid sample rate")
        stream = SimpleNamespace(**{**given, "latency": (0.01, 0.02), "started": 0, "closed": 0})
        stream.start = lambda: setattr(stream, "started", stream.started + 1)
        stream.close = lambda: setattr(stream, "closed", stream.closed + 1)
        self.streams.append(stream)
        return stream

    Stream = InputStream = OutputStream = _open


class Tape:
    """A line that hears and counts."""

    def __init__(self) -> None:
        self.near: list[float] = []
        self.far: list[float] = []
        self.given = 0

    def hear(self, near: Any, far: Any) -> None:
        self.near.append(float(near[0]))
        self.far.append(float(far[0]))

    def next(self, count: int) -> Any:
        self.given += 1
        return np.full(count, self.given, np.float32)

    def over(self) -> None: ...


def in_card(use: Callable[[Card, Tape, FakePortAudio], Any], sd: FakePortAudio, **names: str) -> None:
    async def main() -> None:
        sound, tape = Card(**names, sd=sd), Tape()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(sound.run(tape, SystemClock()))
            await asyncio.sleep(0)
            await use(sound, tape, sd)
            task.cancel()
        assert sd.streams[-1].closed == 1
        sound.close()

    asyncio.run(main())


def ask(stream: Any, *values: float) -> list[float]:
    """Be PortAudio: ask for blocks, from another thread; return what came."""
    played: list[float] = []

    def work() -> None:
        for value in values:
            out = np.zeros((stream.blocksize, 1), np.float32)
            near = np.full((stream.blocksize, 1), value, np.float32)
            stream.callback(near, out, stream.blocksize, None, None)
            played.append(float(out[0, 0]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return played


def test_the_sound_card_gets_what_lies_ready_and_hands_over_what_it_heard_with_what_it_played() -> None:
    async def use(sound: Card, tape: Tape, sd: FakePortAudio) -> None:
        stream = sd.streams[0]
        assert stream.started == 1
        assert ask(stream, 0.1, 0.2) == [1, 2]
        await asyncio.sleep(0)
        assert tape.near == pytest.approx([0.1, 0.2])
        assert tape.far == [1, 2]
        assert ask(stream, 0.3) == [3]
        assert sound.holes == 0

    in_card(use, FakePortAudio())


def test_a_late_loop_leaves_a_hole_and_never_more_than_ten_blocks_behind_it() -> None:
    async def use(sound: Card, tape: Tape, sd: FakePortAudio) -> None:
        assert ask(sd.streams[0], *[0.0] * 30) == [1, 2, 3] + [0] * 27
        assert sound.holes == 27
        await asyncio.sleep(0)
        assert len(tape.near) == 30
        assert tape.given == 3 + 10

    in_card(use, FakePortAudio())


def test_rate_and_channels_are_those_that_the_card_can_do() -> None:
    sd = FakePortAudio(most_rate=44_100, channels=2)
    found = Card(sd=sd)
    assert found.rate_hz == 44_100
    assert sd.streams[0].channels == (2, 2)
    assert found.delay_s == pytest.approx(0.03)
    assert not Card(microphone="none", sd=FakePortAudio()).hears
    with pytest.raises(DeviceError, match="microphone 'Mic' and speaker 'Box': cannot be opened"):
        Card(sd=FakePortAudio(most_rate=8000))
    with pytest.raises(DeviceError, match="neither a microphone nor a speaker"):
        Card(microphone="none", speaker="none", sd=FakePortAudio())


def test_a_sound_card_that_is_unplugged_is_tried_again() -> None:
    clock = VirtualClock({})

    async def main() -> None:
        sd = FakePortAudio()
        sound, tape = Card(sd=sd), Tape()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(sound.run(tape, clock))
            await clock.sleep_until(SECOND)
            sd.fails = 8
            sd.streams[0].finished_callback()
            await clock.sleep_until(4 * SECOND)
            assert len(sd.streams) == 1
            await clock.sleep_until(8 * SECOND)
            assert len(sd.streams) == 2
            assert sd.streams[1].started == 1
            assert sd.streams[1].samplerate == 48_000
            task.cancel()

    clock.run(main())


def test_what_is_missing_for_sound_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(error: Exception) -> Any:
        def load(name: str, *rest: Any, **more: Any) -> Any:
            if name == "sounddevice":
                raise error
            return real(name, *rest, **more)

        return load

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing(ImportError("no")))
    with pytest.raises(DeviceError, match=r"pip install 'rapport-agent\[local\]'"):
        card.library()
    monkeypatch.setattr(builtins, "__import__", missing(OSError("PortAudio library not found")))
    with pytest.raises(DeviceError, match="libportaudio2"):
        card.library()


class FakeCapture:
    """A camera with a few pictures, that is unplugged after them."""

    def __init__(self, pictures: int, *, there: bool = True) -> None:
        self.left, self.there, self.released = pictures, there, 0
        self.asked: dict[int, float] = {}

    def isOpened(self) -> bool:  # noqa: N802
        return self.there

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return self.left >= 0, np.full((2, 2, 3), (1, 2, 3), np.uint8)

    def set(self, key: int, value: float) -> bool:
        self.asked[key] = value
        return True

    def release(self) -> None:
        self.released += 1


def test_a_camera_gives_rgb_at_its_pace_and_comes_back_after_it_was_unplugged() -> None:
    opened = [FakeCapture(1), FakeCapture(0, there=False), FakeCapture(1)]
    waiting = list(opened)
    seen: list[tuple[float, list[int]]] = []

    async def main() -> None:
        clock = SystemClockInSteps()
        lens = Lens(2, "Cam", opened=lambda index: waiting.pop(0) if waiting else FakeCapture(0, there=False))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(
                lens.run(lambda pixels: seen.append((clock.now() / SECOND, pixels[0, 0].tolist())), clock)
            )
            while len(seen) < 2:
                await asyncio.sleep(0.001)
            task.cancel()
        lens.close()

    asyncio.run(main())
    assert [pixel for _, pixel in seen] == [[3, 2, 1], [3, 2, 1]]
    assert seen[1][0] - seen[0][0] >= 4, "it was tried twice, two seconds apart"
    assert [c.released for c in opened[:2]] == [1, 1]


class SystemClockInSteps(SystemClock):
    """A clock whose sleeps take no time, and count."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0

    def now(self) -> int:
        return super().now() + self.slept

    async def sleep_until(self, deadline: int) -> None:
        self.slept += max(0, deadline - self.now())
        await asyncio.sleep(0)


def test_a_camera_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(DeviceError, match="camera Cam: cannot be opened; close what else uses it"):
        Lens(0, "Cam", opened=lambda index: FakeCapture(0, there=False))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the names of cameras in a folder")
def test_cameras_are_listed_by_the_name_that_the_kernel_has_for_them(tmp_path: Path) -> None:
    for number, index, name in ((10, 0, "Second"), (2, 0, "Front Cam"), (3, 1, "Front Cam")):
        node = tmp_path / f"video{number}"
        node.mkdir()
        (node / "index").write_text(f"{index}\n")
        (node / "name").write_text(f"{name}\n")
    found = [(one.index, one.name) for one in cameras(tmp_path)]
    assert found == [(2, "Front Cam"), (10, "Second")]
    assert sum(one.default for one in cameras(tmp_path)) == 1
    assert cameras(tmp_path / "none") == []


def talk(seconds: float, hz: float = 140.0) -> Any:
    t = np.arange(round(16_000 * seconds)) / 16_000
    shape = np.clip(np.sin(2 * np.pi * 1.3 * t) + 0.4, 0, 1)
    tones = sum(np.sin(2 * np.pi * k * (hz + 20 * np.sin(4 * t)) * t) / k for k in range(1, 18))
    return (0.12 * shape * tones).astype(np.float32)


@pytest.mark.slow
def test_the_echo_is_taken_out_and_the_person_is_not() -> None:
    far = talk(6.0)
    room = np.zeros(2000, np.float32)
    room[640], room[700:1600:97] = 0.35, 0.05
    near = np.convolve(far, room)[: len(far)].astype(np.float32)
    near[64_000:80_000] += 0.8 * talk(1.0, 190.0)
    canceller = echo.make("cancel", 0.04)
    heard = np.concatenate([canceller.clean(near[n : n + 317], far[n : n + 317]) for n in range(0, len(near), 317)])
    assert len(near) - len(heard) < 160

    def power_db(samples: Any) -> float:
        return float(10 * np.log10(np.mean(np.square(samples)) + 1e-12))

    for second in (1.0, 2.0, 3.0, 5.2):
        span = slice(round(second * 16_000), round(second * 16_000) + 12_000)
        assert power_db(near[span]) - power_db(heard[span]) > 20, f"second {second}"
    span = slice(64_000, 80_000)
    assert power_db(0.8 * talk(1.0, 190.0)) - power_db(heard[span]) < 6


def test_half_duplex_is_deaf_while_it_speaks_and_shortly_after() -> None:
    found = echo.make("half-duplex", 0.05)
    hum, quiet = np.full(320, 0.1, np.float32), np.zeros(320, np.float32)
    heard = [bool(found.clean(hum, far).any()) for far in [quiet] * 2 + [hum] * 3 + [quiet] * 20]
    assert heard[:2] == [True, True]
    assert not any(heard[2 : 5 + 17])
    assert heard[-2:] == [True, True]


def test_how_echo_is_treated_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(echo.make("off"), echo.Through)
    assert isinstance(echo.make("auto"), echo.Canceller)
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    assert isinstance(echo.make("auto"), echo.HalfDuplex)
    with pytest.raises(DeviceError, match=r"not installed: pip install 'rapport-agent\[local\]'; .*--half-duplex"):
        echo.make("cancel")
    with pytest.raises(DeviceError, match="echo 'loud': expected one of auto, cancel, half-duplex, off"):
        echo.make("loud")
