"""A question with its media as Qwen2.5-Omni reads it: token ids, rotary positions, patches and a mel spectrogram.

The layouts are those of the published processor (``Qwen2_5OmniProcessor`` of transformers, whose picture part would
want torchvision and Pillow): frames are scaled to whole 28 x 28 blocks and cut into patches of two frames each, sound
becomes Whisper's log-mel spectrogram, and where both are heard and seen their tokens take turns every two seconds.

Two things differ on purpose. Where a prompt would be longer than permitted, frames are thinned evenly until it fits,
instead of cutting tokens off, which would leave media without their places. And words of a data set never become
control tokens: ``<|im_end|>`` in a question is read as those ten characters.
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
from policy.training.omni_example import Media, OmniExample

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
class Limits:
    """How much of the media is read.

    Attributes:
        least_pixels: of a frame; smaller ones are scaled up.
        most_pixels: of a frame; larger ones are scaled down. HumanSense's training has 360 x 420.
        most_frames: of a medium.
        most_prompt: tokens of a prompt.

    Raises:
        ValueError: a limit makes no sense; the message names it.
    """

    least_pixels: int = 128 * 28 * 28
    most_pixels: int = 360 * 420
    most_frames: int = 768
    most_prompt: int = 16_384

    def __post_init__(self) -> None:
        for name in ("least_pixels", "most_frames", "most_prompt"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is at least 1")
        if self.most_pixels < self.least_pixels:
            raise ValueError(f"most_pixels is {self.most_pixels}, less than least_pixels ({self.least_pixels})")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """What the model reads of one example.

    Attributes:
        ids: int64, shape ``(T,)``; placeholders where media go.
        positions: int64, shape ``(3, T)``: time, height and width of the rotary embedding.
        patches: float32, shape ``(t * h * w, 3 * frames per patch * patch * patch)``; ``None`` without pictures.
        grid: int64, shape ``(1, 3)``: t, h, w of ``patches``.
        mel: float32, shape ``(1, bands, frames)``, 10 ms each; ``None`` without sound.
        thinned: frames that were left out so that it fits.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    patches: torch.Tensor | None = None
    grid: torch.Tensor | None = None
    mel: torch.Tensor | None = None
    thinned: int = 0


class Inputs:
    """Makes prompts for one model.

    Args:
        folder: of the model, with ``tokenizer.json``.
        thinker: the loaded ``Qwen2_5OmniThinkerForConditionalGeneration``; its configuration and rotary index are used.
        limits: how much of the media is read.

    Raises:
        FileNotFoundError: there is no ``tokenizer.json``.
        ValueError: a control token is missing from it.
    """

    def __init__(self, folder: Path, thinker: Any, limits: Limits) -> None:
        from tokenizers import Tokenizer
        from transformers import WhisperFeatureExtractor

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; fetch the model's tokenizer.json into this folder")
        self.limits = limits
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.encode_special_tokens = True
        self._thinker = thinker
        config = thinker.config
        self._start, self.end = self._control(path, "<|im_start|>"), self._control(path, "<|im_end|>")
        self._audio, self._video, self._image = config.audio_token_id, config.video_token_id, config.image_token_id
        self._audio_start, self._audio_end = config.audio_start_token_id, config.audio_end_token_id
        self._vision_start = config.vision_start_token_id
        vision_end = getattr(config, "vision_end_token_id", None)
        self._vision_end = self._control(path, "<|vision_eos|>") if vision_end is None else vision_end
        vision = config.vision_config
        self._patch, self._pair = int(vision.patch_size), int(vision.temporal_patch_size)
        self._merge = int(vision.spatial_merge_size)
        self._mel = WhisperFeatureExtractor(feature_size=config.audio_config.num_mel_bins)

    @property
    def placeholders(self) -> tuple[int, ...]:
        """Ids that stand for media and are never to be written."""
        return self._audio, self._image, self._video

    def encode(self, text: str) -> list[int]:
        """Return the ids of plain words; what looks like a control token is spelled out."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def target(self, text: str) -> list[int]:
        """Return the ids of an answer with its end."""
        return [*self.encode(text), self.end]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words of an answer, up to its end."""
        words = ids[: ids.index(self.end)] if self.end in ids else ids
        return str(self._tokenizer.decode(list(words), skip_special_tokens=False))

    def prompt(self, example: OmniExample) -> Prompt:
        """Read an example.

        Raises:
            ValueError: its media or words cannot be used, or are too long; the message names the example.
        """
        try:
            return self._prompt(example, example.read())
        except ValueError as error:
            told = str(error)
            raise ValueError(told if told.startswith(example.id) else f"{example.id}: {told}") from error

    def _prompt(self, example: OmniExample, media: Media) -> Prompt:
        import torch

        before = [self._start, *self.encode(f"system\n{example.system}"), self.end, *self.encode("\n"), self._start]
        after = [self.end, *self.encode("\n"), self._start, *self.encode("assistant\n")]
        if media.frames is None and media.audio is None:
            around = (before + self.encode(f"user\n{example.text}") + after, list[int]())
        else:
            around = before + self.encode("user\n"), self.encode(example.text) + after
        room = self.limits.most_prompt - sum(map(len, around))

        mel = None if media.audio is None else torch.from_numpy(self._spectrogram(media.audio))
        heard = 0 if mel is None else tokens_of_mel(mel.shape[-1])
        room -= heard + 2 * (heard > 0) + 2 * (media.frames is not None)
        if room < 0:
            raise ValueError(
                f"its prompt is {-room} tokens longer than most_prompt ({self.limits.most_prompt}), {heard} of them "
                "sound; leave it out or permit more"
            )
        patches = grid = None
        seconds, thinned = 0.0, 0
        if media.frames is not None:
            patches, grid, fps, thinned = self._pictures(media.frames, media.fps, room)
            seconds = self._pair / fps
        ids = [*around[0], *self._media_ids(grid, heard, seconds), *around[1]]
        tokens = torch.tensor(ids)
        positions, _ = self._thinker.get_rope_index(
            tokens[None],
            video_grid_thw=grid,
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            use_audio_in_video=grid is not None and mel is not None,
            audio_seqlens=None if mel is None else torch.tensor([mel.shape[-1]]),
            second_per_grids=None if grid is None else torch.tensor([seconds]),
        )
        return Prompt(ids=tokens, positions=positions[:, 0], patches=patches, grid=grid, mel=mel, thinned=thinned)

    def _media_ids(self, grid: torch.Tensor | None, heard: int, seconds: float) -> list[int]:
        sound, seen = [self._audio] * heard, list[int]()
        if grid is None:
            return [self._audio_start, *sound, self._audio_end] if heard else []
        steps, height, width = (int(n) for n in grid[0])
        each = height * width // self._merge**2
        if not heard:
            seen = [self._video] * (steps * each)
            return [self._vision_start, *seen, self._vision_end]
        config = self._thinker.config
        rate = config.position_id_per_seconds
        chunk = int(rate * config.seconds_per_chunk)
        shown = [int(step * seconds * rate) // chunk for step in range(steps) for _ in range(each)]
        ids = list[int]()
        turns = _chunks(shown), _chunks([n // chunk for n in range(heard)])
        for n in range(max(map(len, turns))):
            ids += [self._video] * (turns[0][n] if n < len(turns[0]) else 0)
            ids += [self._audio] * (turns[1][n] if n < len(turns[1]) else 0)
        return [self._vision_start, self._audio_start, *ids, self._audio_end, self._vision_end]

    def _spectrogram(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return log-mel features, shape ``(1, bands, frames)``, without padding to 30 s."""
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

    def _pictures(
        self, frames: NDArray[np.uint8], fps: float, room: int
    ) -> tuple[torch.Tensor, torch.Tensor, float, int]:
        """Return patches, grid, frames per second after thinning, and how many were left out."""
        import torch

        block = self._patch * self._merge
        height, width = frame_size(frames.shape[2], frames.shape[3], block, self.limits)
        each = height * width // block**2
        most = min(self.limits.most_frames, room // each * self._pair)
        if most < 1:
            raise ValueError(
                f"a pair of frames takes {each} tokens, and {max(0, room)} of most_prompt ({self.limits.most_prompt}) "
                "are left for them; permit more, or fewer pixels"
            )
        kept = np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)
        rate = fps if len(kept) == len(frames) else fps * len(kept) / len(frames)
        parts = [
            _scaled(torch.from_numpy(np.ascontiguousarray(frames[kept[n : n + _PICTURES_AT_ONCE]])), height, width)
            for n in range(0, len(kept), _PICTURES_AT_ONCE)
        ]
        pixels = torch.cat(parts)
        if short := -len(pixels) % self._pair:
            pixels = torch.cat([pixels, pixels[-1:].expand(short, -1, -1, -1)])
        steps, rows, columns = len(pixels) // self._pair, height // self._patch, width // self._patch
        cut = pixels.view(
            steps, self._pair, 3,
            rows // self._merge, self._merge, self._patch,
            columns // self._merge, self._merge, self._patch,
        ).permute(0, 3, 6, 4, 7, 2, 1, 5, 8)  # fmt: skip
        patches = cut.reshape(steps * rows * columns, 3 * self._pair * self._patch**2)
        return patches, torch.tensor([[steps, rows, columns]]), rate, len(frames) - len(kept)

    def _control(self, path: Path, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"{path}: has no token {token}; it is not the tokenizer of Qwen2.5-Omni")
        return int(found)


def tokens_of_mel(frames: int) -> int:
    """Return how many tokens the audio tower makes of ``frames`` of 10 ms: two convolution steps, 25 per second."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def frame_size(height: int, width: int, block: int, limits: Limits) -> tuple[int, int]:
    """Return the height and width that a frame is scaled to: whole blocks, within the limits, in nearly its own shape.

    Raises:
        ValueError: one side is more than 200 times the other.
    """
    if max(height, width) > _ASPECT * min(height, width):
        raise ValueError(f"frames of {width} x {height} are more than {_ASPECT} times as long as wide")
    high, wide = (max(block, round(side / block) * block) for side in (height, width))
    if high * wide > limits.most_pixels:
        shrink = math.sqrt(height * width / limits.most_pixels)
        high, wide = (max(block, math.floor(side / shrink / block) * block) for side in (height, width))
    elif high * wide < limits.least_pixels:
        grow = math.sqrt(limits.least_pixels / (height * width))
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


def _chunks(marks: Sequence[int]) -> list[int]:
    """Return the tokens per chunk, where ``marks`` names the stretch of time that each token falls into.

    The count goes up by one a token at most, also where time leaps further: the model's rotary index counts so.
    """
    counts, chunk = [0], 1
    for mark in marks:
        if mark >= chunk:
            counts.append(0)
            chunk += 1
        counts[-1] += 1
    return counts
