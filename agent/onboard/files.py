"""Files in place of devices: a recording that is heard, a clip that is seen, and a WAV file that is played into."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Final

import numpy as np
import soxr

from agent.clock import Clock
from agent.media_file import MediaFile, open_media
from agent.offload import Thread
from agent.onboard.devices import DeviceError, Line, Samples, See
from perception.media import RATE_HZ, VideoFrame
from perception.timebase import MS, SECOND, Nanos, from_ticks

_RATE_HZ: Final = 48_000
"""That of most sound cards."""

_BLOCK: Final[Nanos] = 20 * MS
_LONGEST_S: Final = 1800
_PATIENCE_S: Final = 5.0


class FileSound:
    """A microphone that hears a recording once and silence after it, and a speaker that is a WAV file.

    Args:
        microphone: any file with sound; ``None`` for silence without an end.
        speaker: WAV file for what is played, 16 bit mono at 48 kHz, as long as the call; ``None`` for none.
        tail: silence after the end of the recording before it counts as over.
        echo: share of the speaker's sound that the microphone hears 40 ms later, as in a room.

    Raises:
        DeviceError: a file cannot be written, or has no sound, or more than half an hour of it.
        agent.media_file.MediaError: the recording cannot be read.
    """

    rate_hz = _RATE_HZ
    delay_s = 0.0

    def __init__(
        self, microphone: Path | None = None, speaker: Path | None = None, *, tail: Nanos = 3 * SECOND, echo: float = 0
    ) -> None:
        self.hears = microphone is not None
        self._sound = read_sound(microphone, self.rate_hz) if microphone is not None else None
        self._tail = tail
        self._echo = echo
        self._raw: IO[bytes] | None = None
        self._file: wave.Wave_write | None = None
        if speaker is not None:
            try:
                self._raw = speaker.open("wb")
            except OSError as error:
                raise DeviceError(f"speaker {speaker}: cannot be written ({error.strerror})") from None
            self._file = wave.open(self._raw, "wb")  # noqa: SIM115  closed by close()
            self._file.setparams((1, 2, self.rate_hz, 0, "NONE", ""))

    async def run(self, line: Line, clock: Clock) -> None:
        """Exchange a block every 20 ms, on ``clock``."""
        begin = clock.now()
        count = self.rate_hz * _BLOCK // SECOND
        far = np.zeros(count, np.float32)
        delayed = [far, far, far]
        blocks = 0
        over = False
        while True:
            blocks += 1
            await clock.sleep_until(begin + blocks * _BLOCK)
            near = self._heard((blocks - 1) * count, count)
            if self._echo:
                delayed = [*delayed[1:], far]
                near = near + np.float32(self._echo) * delayed[0]
            line.hear(near, far)
            far = line.next(count)
            if self._file is not None:
                self._file.writeframes((np.clip(far, -1, 1) * 32767).astype("<i2").tobytes())
            if not over and self._sound is not None and self._past(blocks * count):
                over = True
                line.over()

    def close(self) -> None:
        """Finish the speaker's file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
        if self._raw is not None:
            self._raw.close()

    def _past(self, heard: int) -> bool:
        end = len(self._sound) if self._sound is not None else 0
        return from_ticks(heard, self.rate_hz) >= from_ticks(end, self.rate_hz) + self._tail

    def _heard(self, begin: int, count: int) -> Samples:
        found = np.zeros(count, np.float32)
        if self._sound is not None:
            piece = self._sound[begin : begin + count]
            found[: len(piece)] = piece
        return found


def read_sound(path: Path, rate_hz: int) -> Samples:
    """Return all sound of a file, float32 mono of shape ``(n,)``; gaps in it are silence.

    Raises:
        DeviceError: there is none, or too much.
        agent.media_file.MediaError: it cannot be read.
    """
    with open_media(path, pictures=False) as media:
        if not media.hears:
            raise DeviceError(f"microphone {path}: the file has no sound; name one that has, or --mic none")
        pieces: list[Samples] = []
        given = 0
        for chunk in media:
            if isinstance(chunk, VideoFrame):
                continue
            gap = max(0, chunk.start * RATE_HZ // SECOND - given)
            pieces += [np.zeros(gap, np.float32), chunk.samples]
            given += gap + len(chunk.samples)
            if given > _LONGEST_S * RATE_HZ:
                raise DeviceError(f"microphone {path}: has more than {_LONGEST_S // 60} minutes of sound; cut it")
        found = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    resampled: Samples = soxr.resample(found, RATE_HZ, rate_hz)
    return resampled


class FileCamera:
    """A camera that sees a clip, over and over.

    Args:
        path: any file with pictures.
        most_hz: pictures per second at most, 0 for all.

    Raises:
        DeviceError: it has no pictures.
        agent.media_file.MediaError: it cannot be read.
    """

    _BATCH: Final = 8

    def __init__(self, path: Path, most_hz: float = 15.0) -> None:
        self._path = path
        self._most_hz = most_hz
        self._media: MediaFile | None = None
        self._thread: Thread | None = None
        with self._open() as media:
            if next(self._frames(media), None) is None:
                raise DeviceError(f"camera {path}: the file has no pictures; name one that has, or --camera none")

    async def run(self, see: See, clock: Clock) -> None:
        """Show each picture at its time, on ``clock``."""
        self._thread = Thread("clip")
        begin = clock.now()
        while True:
            async with clock.working("decode"):
                media = await self._thread.run(self._begin)
            frames = self._frames(media)
            last: Nanos = 0
            while True:
                async with clock.working("decode"):
                    batch = await self._thread.run(_some, frames, self._BATCH)
                if not batch:
                    break
                for frame in batch:
                    last = frame.at
                    await clock.sleep_until(begin + frame.at)
                    see(frame.pixels)
            media.close()
            begin += last + SECOND // 10

    def close(self) -> None:
        """End the decoder."""
        if self._media is not None:
            self._media.close()
        if self._thread is not None:
            self._thread.close(wait_s=_PATIENCE_S)
        if self._media is not None:  # that which it was just opening
            self._media.close()

    def _begin(self) -> MediaFile:
        self._media = self._open()
        return self._media

    def _open(self) -> MediaFile:
        return open_media(self._path, sound=False, most_hz=self._most_hz)

    @staticmethod
    def _frames(media: MediaFile) -> Iterator[VideoFrame]:
        return (frame for frame in media if isinstance(frame, VideoFrame))


def _some(frames: Iterator[VideoFrame], count: int) -> list[VideoFrame]:
    return list(islice(frames, count))
