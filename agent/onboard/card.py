"""The sound card of this machine, through python-sounddevice (PortAudio).

PortAudio asks for sound in a thread of its own and must not be kept waiting. So a few blocks lie ready for it, and what
was heard is handed to the event loop, which puts the next block behind them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

import numpy as np
import structlog

from agent.clock import Clock
from agent.onboard.devices import DEFAULT, NONE, DeviceError, Found, Line, Samples, choose
from perception.timebase import SECOND, Nanos

log = structlog.get_logger(__name__)

_RATE_HZ: Final = 48_000
_BLOCK_S: Final = 0.02
_READY: Final = 3
"""Blocks that lie ready: how late the event loop may be before the sound has a hole."""

_MOST_READY: Final = 10
_AGAIN: Final[Nanos] = 2 * SECOND

INSTALL: Final = "pip install 'rapport-agent[local]'"
PORTAUDIO: Final = "apt-get install libportaudio2 (or portaudio of your system's packages)"


def library() -> Any:
    """Return python-sounddevice.

    Raises:
        DeviceError: it, or PortAudio, is not installed.
    """
    try:
        import sounddevice
    except ImportError:
        raise DeviceError(f"microphone and speaker need the package sounddevice: {INSTALL}") from None
    except OSError as error:
        raise DeviceError(f"microphone and speaker need PortAudio ({error}): {PORTAUDIO}") from None
    return sounddevice


def sound_devices(sd: Any) -> list[Found]:
    """Return the microphones and speakers of this machine.

    Args:
        sd: python-sounddevice.
    """
    usual_in, usual_out = sd.default.device
    found: list[Found] = []
    for index, one in enumerate(sd.query_devices()):
        name = str(one["name"])
        if one["max_input_channels"] > 0:
            found.append(Found("microphone", index, name, index == usual_in))
        if one["max_output_channels"] > 0:
            found.append(Found("speaker", index, name, index == usual_out))
    return found


class Card:
    """A microphone and a speaker.

    Args:
        microphone: number, name or part of the name; empty for the usual one, ``none`` for none.
        speaker: the same.
        sd: python-sounddevice, or what stands in for it.

    Raises:
        DeviceError: there is no such device, or it cannot be opened.
    """

    def __init__(self, microphone: str = DEFAULT, speaker: str = DEFAULT, sd: Any = None) -> None:
        self._sd = sd if sd is not None else library()
        there = sound_devices(self._sd)
        self._in = None if microphone == NONE else choose("microphone", microphone, there)
        self._out = None if speaker == NONE else choose("speaker", speaker, there)
        self.hears = self._in is not None
        if self._in is None and self._out is None:
            raise DeviceError("neither a microphone nor a speaker; name at least one of --mic and --speaker")
        self.rate_hz = _RATE_HZ
        self.delay_s = 0.0
        self.holes = 0
        """Blocks that were not ready in time."""
        self._ready: deque[Samples] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line: Line | None = None
        self._stopped = asyncio.Event()
        self._stream: Any = self._open(
            _RATE_HZ, *(self._usual(one) for one in (self._in, self._out) if one is not None)
        )

    async def run(self, line: Line, clock: Clock) -> None:
        """Exchange sound until cancelled; a device that is unplugged is tried again every two seconds."""
        self._loop, self._line = asyncio.get_running_loop(), line
        try:
            while True:
                if self._stream is None:
                    await clock.sleep_until(clock.now() + _AGAIN)
                    try:
                        self._stream = self._open(self.rate_hz)  # a call that goes on keeps its rate
                    except DeviceError:
                        continue
                    log.info("sound_device_back")
                self._stopped.clear()
                self._ready.clear()
                self._ready.extend(line.next(self._count) for _ in range(_READY))
                self._stream.start()
                await self._stopped.wait()
                log.warning("sound_device_lost", fix="plug it in again; it is tried every two seconds")
                self._shut()
        finally:
            self._line = None
            self._shut()

    def close(self) -> None:
        """Let go of the device."""
        self._line = None
        self._shut()

    @property
    def _count(self) -> int:
        return round(self.rate_hz * _BLOCK_S)

    def _shut(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _usual(self, one: Found) -> int:
        return int(self._sd.query_devices(one.index)["default_samplerate"])

    def _open(self, *rates: int) -> Any:
        wanted = [one for one in (self._in, self._out) if one is not None]
        why = ""
        for rate_hz in dict.fromkeys(rates):
            for channels in ((1, 1), (1, 2), (2, 2), (2, 1)):
                try:
                    stream = self._stream_of(rate_hz, channels)
                except (self._sd.PortAudioError, ValueError) as error:
                    why = why or str(error)
                    continue
                self.rate_hz = rate_hz
                latency = stream.latency
                self.delay_s = float(sum(latency)) if isinstance(latency, tuple) else 0.0
                return stream
        names = " and ".join(f"{one.kind} {one.name!r}" for one in wanted)
        raise DeviceError(f"{names}: cannot be opened ({why}); choose others: agent talk --list-devices")

    def _stream_of(self, rate_hz: int, channels: tuple[int, int]) -> Any:
        given = {
            "samplerate": rate_hz,
            "blocksize": round(rate_hz * _BLOCK_S),
            "dtype": "float32",
            "latency": "low",
            "finished_callback": self._finished,
        }
        if self._in is not None and self._out is not None:
            both = (self._in.index, self._out.index)
            return self._sd.Stream(device=both, channels=channels, callback=self._both, **given)
        if self._in is not None:
            return self._sd.InputStream(device=self._in.index, channels=channels[0], callback=self._listen, **given)
        assert self._out is not None
        return self._sd.OutputStream(device=self._out.index, channels=channels[1], callback=self._play, **given)

    # In PortAudio's thread.

    def _both(self, near: Any, out: Any, count: int, *_: object) -> None:
        out[:] = self._exchange(near, count)[:, None]

    def _listen(self, near: Any, count: int, *_: object) -> None:
        self._exchange(near, count)

    def _play(self, out: Any, count: int, *_: object) -> None:
        out[:] = self._exchange(None, count)[:, None]

    def _exchange(self, near: Any, count: int) -> Samples:
        try:
            far = self._ready.popleft()
        except IndexError:
            far = np.zeros(count, np.float32)
            self.holes += 1
        heard = np.array(near[:, 0], np.float32) if near is not None else np.zeros(count, np.float32)
        self._tell(self._deliver, heard, far)
        return far

    def _finished(self) -> None:
        self._tell(self._stopped.set)

    def _tell(self, function: Any, *arguments: Any) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass  # the loop is closed: nobody listens any more

    # On the event loop.

    def _deliver(self, near: Samples, far: Samples) -> None:
        line = self._line
        if line is None:
            return
        if self.hears:
            line.hear(near, far)
        if len(self._ready) < _MOST_READY:  # each hole leaves one more that waits, which covers the next delay
            self._ready.append(line.next(self._count))
