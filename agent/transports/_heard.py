"""Frames of a client's sound on their way in: are they in time, and may there be so many."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.frames import Frame, FrameError, Kind
from agent.transports._bucket import Bucket
from perception.timebase import Nanos

WIRE_HZ: Final = 48_000
_TOLERANCE: Final = WIRE_HZ // 100
"""A client that reads a clock rather than count its samples is off by less than 10 ms."""

_SOUND_PER_S: Final = 1.1
_SOUND_AT_ONCE_S: Final = 10.0
_FRAMES_PER_S: Final = 250.0
_PICTURES_PER_S: Final = 65.0
_BYTES_PER_S: Final = 24e6


class Order:
    """Sees that the frames of each track follow one another, and that there are not too many.

    Args:
        now: the time, on the clock that is asked later.
    """

    def __init__(self, now: Nanos) -> None:
        self._next_tick: int | None = None
        self._pictures: dict[int, int] = {}
        self._frames = Bucket(_FRAMES_PER_S, 4 * _FRAMES_PER_S, now)
        self._sound = Bucket(_SOUND_PER_S, _SOUND_AT_ONCE_S, now)
        self._shots = Bucket(_PICTURES_PER_S, 2 * _PICTURES_PER_S, now)
        self._bytes = Bucket(_BYTES_PER_S, 2 * _BYTES_PER_S, now)

    def count(self, frame: Frame, now: Nanos) -> None:
        """Count a frame.

        Raises:
            FrameError: ``too_much``: there are more than any microphone or camera sends.
        """
        if not self._frames.take(1, now):
            raise FrameError("too_much", f"more than {_FRAMES_PER_S:g} frames a second")
        if frame.kind is Kind.PCM16 and not self._sound.take(len(frame.payload) / 2 / frame.rate_hz, now):
            raise FrameError("too_much", "sound that comes faster than time goes by")
        if not frame.kind.sound and not (self._shots.take(1, now) and self._bytes.take(len(frame.payload), now)):
            most = f"{_PICTURES_PER_S:g} pictures or {_BYTES_PER_S / 1e6:g} million bytes of them a second"
            raise FrameError("too_much", f"more than {most}")

    def ticks(self, frame: Frame) -> int:
        """Return where a frame of sound begins, in ticks of 48 kHz.

        Raises:
            FrameError: ``time_backwards``: it begins before the end of the one before.
        """
        ticks = (frame.time_us * WIRE_HZ + 500_000) // 1_000_000
        length = len(frame.payload) // 2 * (WIRE_HZ // frame.rate_hz) if frame.kind is Kind.PCM16 else 0
        if self._next_tick is not None:
            behind = self._next_tick - ticks
            if behind > _TOLERANCE:
                early = f"{behind * 1000 // WIRE_HZ} ms before the end of the one before"
                raise FrameError("time_backwards", f"a frame of sound begins {early}")
            if frame.kind is Kind.PCM16 and behind >= -_TOLERANCE:
                ticks = self._next_tick
        self._next_tick = ticks + length
        return ticks

    def picture(self, frame: Frame) -> int:
        """Return when a picture was taken, in ticks of 90 kHz.

        Raises:
            FrameError: ``time_backwards``: not after the one before of the same source.
        """
        before = self._pictures.get(frame.detail, -1)
        if frame.time_us <= before:
            raise FrameError("time_backwards", f"a picture is of {before - frame.time_us} us before the last one")
        self._pictures[frame.detail] = frame.time_us
        return frame.time_us * 9 // 100


def raised(frame: Frame) -> NDArray[np.float32]:
    """Return PCM as float32 at 48 kHz, with zeros between the samples where it is slower.

    Whatever lies above the band of the frame is a mirror of it; the low-pass on the way to 16 kHz, which follows, takes
    that away.
    """
    pcm = np.frombuffer(frame.payload, "<i2")
    factor = WIRE_HZ // frame.rate_hz
    sound = np.zeros(factor * len(pcm), np.float32)
    sound[::factor] = pcm.astype(np.float32) * np.float32(factor / 32768)
    return sound
