"""What a caller sends: sound, pictures, and typed words, all stamped on the call's clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.timebase import Nanos, from_ticks

RATE_HZ = 16_000
"""The sample rate of all sound inside Rapport, except where a voice states its own."""


def _freeze(array: NDArray[np.generic]) -> None:
    array.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """A stretch of mono sound.

    Attributes:
        samples: float32, shape ``(n,)``, -1..1; made read-only.
        start: instant of the first sample.
        rate_hz: samples per second.
    """

    samples: NDArray[np.float32]
    start: Nanos
    rate_hz: int = RATE_HZ

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(
                f"AudioChunk wants float32 of shape (n,), got {self.samples.dtype} of shape {self.samples.shape}"
            )
        _freeze(self.samples)

    @property
    def duration(self) -> Nanos:
        """Length of the chunk."""
        return from_ticks(len(self.samples), self.rate_hz)

    @property
    def end(self) -> Nanos:
        """First instant after the chunk."""
        return self.start + self.duration


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One picture.

    Attributes:
        pixels: uint8 RGB, shape ``(height, width, 3)``; made read-only. The size may change in mid-call.
        at: instant of capture.
        source: which camera, ``"camera"`` or ``"screen"``.
    """

    pixels: NDArray[np.uint8]
    at: Nanos
    source: str = "camera"

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(
                f"VideoFrame wants uint8 of shape (h, w, 3), got {self.pixels.dtype} of shape {self.pixels.shape}"
            )
        _freeze(self.pixels)


@dataclass(frozen=True, slots=True)
class Text:
    """Typed words: a chat line, or a benchmark's question.

    Attributes:
        text: the words.
        at: instant at which they were sent.
        form: how a question wants to be answered (``single``, ``multi``, ``number`` or ``yes_no``); ``""`` for
            words that want no more than a fitting reply.
        options: choices of a ``single`` or ``multi`` question, each with its letter: ``A. happy``.
    """

    text: str
    at: Nanos
    form: str = ""
    options: tuple[str, ...] = ()


Media = AudioChunk | VideoFrame | Text
