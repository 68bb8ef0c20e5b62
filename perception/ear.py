"""From chunks of any length, with gaps and overlaps, to one even line of 32 ms hops.

Each hearing worker holds an :class:`Ear` of its own, so that it stays a pure function of its media.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.media import RATE_HZ, AudioChunk, Media
from perception.silero import HOP, Silero
from perception.timebase import SECOND, Nanos

_SAMPLE: Nanos = SECOND // RATE_HZ
_SLACK = RATE_HZ // 1000
"""Gaps shorter than this (1 ms) are the rounding of some clock; closing them is better than a click."""
MAX_FILL = 2 * RATE_HZ
"""Samples of silence that at most stand in for a gap; every wait for silence in a worker is shorter."""


def samples(milliseconds: float) -> int:
    """Return the number of samples in a duration."""
    return round(milliseconds * RATE_HZ / 1000)


def hops(milliseconds: float) -> int:
    """Return the number of hops nearest to a duration, at least one."""
    return max(1, round(samples(milliseconds) / HOP))


@dataclass(frozen=True, slots=True)
class Hop:
    """512 samples that were heard.

    Attributes:
        end: index of the first sample after it.
        probability: Silero's belief that there is a voice in it, 0..1.
        fresh: whether the sound before it is lost, so that everything that was open is over.
    """

    end: int
    probability: float
    fresh: bool = False


class Ear:
    """The running sound of one call with its voice activity.

    Samples are counted from the first one heard. A gap is filled with silence, up to 2 s of it; after a
    longer gap everything starts afresh. Sound that was heard before (``start`` goes back) is dropped.
    What is not a number becomes silence.

    Args:
        silero: the running voice detector.
        keep_s: how many seconds of sound :meth:`between` can still return.
    """

    def __init__(self, silero: Silero, keep_s: float = 0.0) -> None:
        self._silero = silero
        self._keep = max(HOP, round(keep_s * RATE_HZ))
        self._line = np.zeros(2 * self._keep + HOP, dtype=np.float32)
        self._filled = 0
        self._end = 0
        self._origin: Nanos | None = None
        self._pending = np.zeros(0, dtype=np.float32)
        self._fresh = False

    def instant(self, index: int) -> Nanos:
        """Return the call's time at sample ``index``."""
        return (self._origin or 0) + index * _SAMPLE

    @property
    def first(self) -> int:
        """Index of the oldest sample that :meth:`between` can return."""
        return self._end - self._filled

    def between(self, start: int, end: int) -> NDArray[np.float32]:
        """Return a copy of the samples ``start:end``, as far as they are kept and finished hops."""
        start, end = (min(max(0, index - self.first), self._filled) for index in (start, end))
        return self._line[start:end].copy()

    def hear(self, media: Sequence[Media]) -> Iterator[Hop]:
        """Take in a batch of sound; yield every hop that is complete.

        Raises:
            TypeError: something in the batch is no sound.
            ValueError: a chunk is not at 16 kHz.
        """
        for chunk in media:
            if not isinstance(chunk, AudioChunk):
                raise TypeError(f"an ear hears AudioChunk, not {type(chunk).__name__}")
            if chunk.rate_hz != RATE_HZ:
                raise ValueError(f"an ear hears {RATE_HZ} Hz, not {chunk.rate_hz} Hz")
            yield from self._take(chunk)

    def _take(self, chunk: AudioChunk) -> Iterator[Hop]:
        sound = np.clip(np.nan_to_num(chunk.samples, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)
        if self._origin is None:
            self._origin = chunk.start
        here = self._end + len(self._pending)
        late = chunk.start - self.instant(here)
        if late < 0:
            sound = sound[-(late // _SAMPLE) :]
        elif late // _SAMPLE >= _SLACK:
            gap = late // _SAMPLE
            yield from self._push(np.zeros(min(gap, MAX_FILL), dtype=np.float32))
            if gap > MAX_FILL:
                self._restart(here + gap)
        yield from self._push(sound)

    def _push(self, sound: NDArray[np.float32]) -> Iterator[Hop]:
        sound = np.concatenate([self._pending, sound])
        whole = len(sound) // HOP * HOP
        self._pending = sound[whole:]
        for at in range(0, whole, HOP):
            hop = sound[at : at + HOP]
            self._remember(hop)
            fresh, self._fresh = self._fresh, False
            yield Hop(self._end, self._silero.step(hop), fresh)

    def _remember(self, hop: NDArray[np.float32]) -> None:
        if self._filled + HOP > len(self._line):
            self._line[: self._keep] = self._line[self._filled - self._keep : self._filled]
            self._filled = self._keep
        self._line[self._filled : self._filled + HOP] = hop
        self._filled += HOP
        self._end += HOP

    def _restart(self, index: int) -> None:
        self._pending = np.zeros(0, dtype=np.float32)
        self._filled = 0
        self._end = index
        self._silero.reset()
        self._fresh = True
