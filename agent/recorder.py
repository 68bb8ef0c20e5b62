"""Writes a talk to a WAV file: the caller on the left, the agent on the right."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from agent.media_file import MediaError
from agent.playout import RATE_HZ
from perception.media import RATE_HZ as MEDIA_HZ
from perception.media import AudioChunk
from perception.timebase import to_ticks

_BLOCK = RATE_HZ // 2


class CannotRecord(MediaError):
    """The recording cannot be written."""


class Recorder:
    """One recording, 24 kHz stereo in 16 bits. Keeps only what the other side has not yet reached.

    Args:
        path: file to write; an older one is replaced.

    Raises:
        CannotRecord: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._raw = path.open("wb")
        except OSError as error:
            raise CannotRecord(f"{path}: cannot be written ({error.strerror})") from error
        self._file = wave.open(self._raw, "wb")  # noqa: SIM115  closed by close()
        self._file.setnchannels(2)
        self._file.setsampwidth(2)
        self._file.setframerate(RATE_HZ)
        self._up = soxr.ResampleStream(MEDIA_HZ, RATE_HZ, 1, dtype="float32")
        self._given = 0
        self._sides: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
        self._waiting = [0, 0]
        self._closed = False

    def left(self, chunk: AudioChunk) -> None:
        """Take the caller's sound, 16 kHz, in order; gaps become silence."""
        gap = to_ticks(chunk.start, MEDIA_HZ) - self._given
        samples = np.concatenate((np.zeros(max(0, gap), np.float32), chunk.samples))
        self._given += len(samples)
        self._add(0, self._up.resample_chunk(samples))

    def right(self, samples: NDArray[np.float32]) -> None:
        """Take the agent's sound, 24 kHz, silence too."""
        self._add(1, samples)

    def close(self) -> None:
        """Finish the file; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._add(0, self._up.resample_chunk(np.zeros(0, np.float32), last=True))
        longest = max(self._waiting)
        for side in (0, 1):
            self._add(side, np.zeros(longest - self._waiting[side], np.float32))
        self._write(longest)
        self._file.close()
        self._raw.close()

    def _add(self, side: int, samples: NDArray[np.float32]) -> None:
        self._sides[side].append(samples)
        self._waiting[side] += len(samples)
        if not self._closed and min(self._waiting) >= _BLOCK:
            self._write(min(self._waiting))

    def _write(self, count: int) -> None:
        both = np.zeros((count, 2), np.float32)
        for side, parts in enumerate(self._sides):
            sound = np.concatenate(parts) if parts else np.zeros(0, np.float32)
            both[:, side] = sound[:count]
            parts[:] = [sound[count:]]
            self._waiting[side] -= count
        self._file.writeframes((np.clip(both, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())
