"""What Qwen2.5-Omni is trained on: a question about pictures, sound or both, and the answer.

Media are read when they are needed and not kept: a training set holds questions, not hours of pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TEXT: Final = "text"
VISION: Final = "vision"
AUDIO: Final = "audio"
BOTH: Final = "both"
MODALITIES: Final = (TEXT, VISION, AUDIO, BOTH)
"""What of the media reaches the model: nothing, frames only, sound only, or both, interleaved in time."""

SYSTEM: Final = (
    "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and "
    "visual inputs, as well as generating text and speech."
)
"""The sentence that every published prompt of the model opens with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Media:
    """Decoded media of one example.

    Attributes:
        frames: uint8 RGB, shape ``(F, 3, H, W)``; ``None`` without pictures.
        fps: frames per second of ``frames``.
        audio: float32 mono at 16 kHz, shape ``(n,)``, -1..1; ``None`` without sound.

    Raises:
        ValueError: an array has another type or shape, or is empty, or ``fps`` is not positive.
    """

    frames: NDArray[np.uint8] | None = None
    fps: float = 2.0
    audio: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        frames, audio = self.frames, self.audio
        if frames is not None and (
            frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape
        ):
            raise ValueError(f"frames are to be uint8 of shape (F, 3, H, W), not {frames.dtype} of {frames.shape}")
        if frames is not None and not 0 < self.fps < float("inf"):
            raise ValueError(f"fps is {self.fps}; name the frames per second, more than 0")
        if audio is not None and (audio.dtype != np.float32 or audio.ndim != 1 or not len(audio)):
            raise ValueError(f"audio is to be float32 of shape (n,) at 16 kHz, not {audio.dtype} of {audio.shape}")
        if audio is not None and not np.isfinite(audio).all():
            raise ValueError("audio holds NaN or infinity; decode it anew")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OmniExample:
    """One question.

    Attributes:
        id: names it in messages and records.
        text: the words of the question, as the model reads them after the media.
        modality: one of :data:`MODALITIES`.
        media: what it is about, or how to read it; not used where ``modality`` is ``text``.
        target: what the supervised stage teaches it to answer.
        answer: the right answer, as rewards compare it.
        pattern: how it wants to be answered, one of :data:`policy.tasks.PATTERNS`; ``""`` if freely.
        options: the choices, each with its letter.
        system: what the prompt opens with.

    Raises:
        ValueError: there is no such modality, or it has no media.
    """

    id: str
    text: str
    modality: str = TEXT
    media: Media | Callable[[], Media] | None = None
    target: str = ""
    answer: str = ""
    pattern: str = ""
    options: Sequence[str] = ()
    system: str = SYSTEM

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise ValueError(f"{self.id}: modality is {self.modality!r}; there are: {', '.join(MODALITIES)}")
        if self.modality != TEXT and self.media is None:
            raise ValueError(f"{self.id}: modality is {self.modality!r}, but there are no media")

    def read(self) -> Media:
        """Return what of the media reaches the model.

        Raises:
            ValueError: the medium lacks what the modality names.
        """
        if self.modality == TEXT or self.media is None:
            return Media()
        media = self.media if isinstance(self.media, Media) else self.media()
        found: dict[str, Any] = {"fps": media.fps}
        if self.modality in (VISION, BOTH):
            if media.frames is None:
                raise ValueError(f"{self.id}: modality is {self.modality!r}, but its medium has no pictures")
            found["frames"] = media.frames
        if self.modality in (AUDIO, BOTH):
            if media.audio is None:
                raise ValueError(f"{self.id}: modality is {self.modality!r}, but its medium has no sound")
            found["audio"] = media.audio
        return Media(**found)
