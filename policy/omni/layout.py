"""How Qwen2.5-Omni lays out what it reads: tokens, patches of pictures, and a mel spectrogram.

The layouts are those of the published processor (``Qwen2_5OmniProcessor`` of transformers, whose picture part would
want torchvision and Pillow): pictures are scaled to whole 28 x 28 blocks and cut into patches of two frames each, sound
becomes Whisper's log-mel spectrogram. Words never become control tokens: ``<|im_end|>`` in what somebody said is read
as those ten characters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from perception.media import RATE_HZ

if TYPE_CHECKING:
    import torch

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of the pixels 0..1 that the vision tower was trained on (Radford et al., CLIP, 2021)."""

_HOP: Final = 160
_TAIL: Final = 400
"""Samples of silence behind the sound, as the published padding has it; the last window reaches into them."""

_LEAST_SAMPLES: Final = RATE_HZ // 10
_ASPECT: Final = 200
_PICTURES_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """How large a picture is read.

    Attributes:
        least: pixels of a picture; smaller ones are scaled up.
        most: pixels of a picture; larger ones are scaled down. HumanSense's training has 360 x 420.

    Raises:
        ValueError: a limit makes no sense; the message names it.
    """

    least: int = 128 * 28 * 28
    most: int = 360 * 420

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ValueError(f"least pixels is {self.least}; it is at least 1")
        if self.most < self.least:
            raise ValueError(f"most pixels is {self.most}, less than least ({self.least})")


class Layout:
    """The layouts of one model.

    Args:
        folder: of the model, with ``tokenizer.json``.
        config: of its thinker.

    Raises:
        FileNotFoundError: there is no ``tokenizer.json``.
        ValueError: a control token is missing from it.
    """

    def __init__(self, folder: Path, config: Any) -> None:
        from tokenizers import Tokenizer
        from transformers import WhisperFeatureExtractor

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; fetch the model's tokenizer.json into this folder")
        self.tokenizer = Tokenizer.from_file(str(path))
        self.tokenizer.encode_special_tokens = True
        self._path = path
        self.start, self.end = self._control("<|im_start|>"), self._control("<|im_end|>")
        self.audio, self.video, self.image = config.audio_token_id, config.video_token_id, config.image_token_id
        self.audio_start, self.audio_end = config.audio_start_token_id, config.audio_end_token_id
        self.vision_start = config.vision_start_token_id
        vision_end = getattr(config, "vision_end_token_id", None)
        self.vision_end = self._control("<|vision_eos|>") if vision_end is None else vision_end
        vision = config.vision_config
        self.patch, self.pair = int(vision.patch_size), int(vision.temporal_patch_size)
        self.merge = int(vision.spatial_merge_size)
        self._mel = WhisperFeatureExtractor(feature_size=config.audio_config.num_mel_bins)

    @property
    def placeholders(self) -> tuple[int, ...]:
        """Ids that stand for media and are never to be written."""
        return self.audio, self.image, self.video

    @property
    def unwritable(self) -> tuple[int, ...]:
        """Ids of control tokens that an answer never holds: all but its end."""
        known = self.tokenizer.get_added_tokens_decoder()
        return tuple(sorted(n for n, token in known.items() if token.special and n != self.end))

    @property
    def block(self) -> int:
        """Side of what one token of a picture shows, in pixels."""
        return self.patch * self.merge

    def encode(self, text: str) -> list[int]:
        """Return the ids of plain words; what looks like a control token is spelled out."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def opened(self, role: str) -> list[int]:
        """Return the ids that open a message of ``role`` in the model's chat template."""
        return [self.start, *self.encode(f"{role}\n")]

    def closed(self) -> list[int]:
        """Return the ids that close a message."""
        return [self.end, *self.encode("\n")]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words of an answer, up to its end."""
        words = ids[: ids.index(self.end)] if self.end in ids else ids
        return str(self.tokenizer.decode(list(words), skip_special_tokens=False))

    def spectrogram(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return log-mel features of sound at 16 kHz, shape ``(1, bands, frames)``, without padding to 30 s."""
        sound = np.pad(audio, (0, max(0, _LEAST_SAMPLES - len(audio))))
        frames = -(-len(sound) // _HOP)
        features = self._mel(
            np.pad(sound, (0, _TAIL + -(len(sound) + _TAIL) % _HOP)),
            sampling_rate=RATE_HZ,
            padding="do_not_pad",
            truncation=False,
            return_tensors="np",
        )["input_features"]
        return np.asarray(features[..., :frames], np.float32)

    def patches(self, frames: NDArray[np.uint8], height: int, width: int) -> tuple[torch.Tensor, tuple[int, int, int]]:
        """Scale frames and cut them into patches; of an odd number the last is shown twice.

        Args:
            frames: uint8 RGB, shape ``(F, 3, H, W)``.
            height: to scale to; a multiple of :attr:`block`.
            width: likewise.

        Returns:
            Float32 of shape ``(t * h * w, 3 * frames per patch * patch * patch)``, and ``(t, h, w)``.
        """
        import torch

        parts = [
            _scaled(torch.from_numpy(np.ascontiguousarray(frames[n : n + _PICTURES_AT_ONCE])), height, width)
            for n in range(0, len(frames), _PICTURES_AT_ONCE)
        ]
        pixels = torch.cat(parts)
        if short := -len(pixels) % self.pair:
            pixels = torch.cat([pixels, pixels[-1:].expand(short, -1, -1, -1)])
        steps, rows, columns = len(pixels) // self.pair, height // self.patch, width // self.patch
        cut = pixels.view(
            steps, self.pair, 3,
            rows // self.merge, self.merge, self.patch,
            columns // self.merge, self.merge, self.patch,
        ).permute(0, 3, 6, 4, 7, 2, 1, 5, 8)  # fmt: skip
        flat = cut.reshape(steps * rows * columns, 3 * self.pair * self.patch**2)
        return flat, (steps, rows, columns)

    def _control(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"{self._path}: has no token {token}; it is not the tokenizer of Qwen2.5-Omni")
        return int(found)


def tokens_of_mel(frames: int) -> int:
    """Return how many tokens the audio tower makes of ``frames`` of 10 ms: two convolution steps, 25 per second."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def frame_size(height: int, width: int, block: int, limits: Pixels) -> tuple[int, int]:
    """Return the height and width that a frame is scaled to: whole blocks, within the limits, in nearly its own shape.

    Raises:
        ValueError: one side is more than 200 times the other.
    """
    if max(height, width) > _ASPECT * min(height, width):
        raise ValueError(f"frames of {width} x {height} are more than {_ASPECT} times as long as wide")
    high, wide = (max(block, round(side / block) * block) for side in (height, width))
    if high * wide > limits.most:
        shrink = math.sqrt(height * width / limits.most)
        high, wide = (max(block, math.floor(side / shrink / block) * block) for side in (height, width))
    elif high * wide < limits.least:
        grow = math.sqrt(limits.least / (height * width))
        high, wide = (math.ceil(side * grow / block) * block for side in (height, width))
    return high, wide


def _scaled(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return ``(F, 3, height, width)`` float32 of the colours' mean and spread that the tower knows."""
    import torch

    pixels = frames
    if frames.shape[2:] != (height, width):
        # On whole numbers: this rounds between its two passes, as what the towers were trained with does.
        pixels = torch.nn.functional.interpolate(frames, (height, width), mode="bicubic", antialias=True)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std
