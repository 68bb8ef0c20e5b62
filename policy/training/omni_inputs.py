"""A question with its media as Qwen2.5-Omni reads it: token ids, rotary positions, patches and a mel spectrogram.

The layouts are those of the published processor, see :mod:`policy.omni.layout`; where both are heard and seen their
tokens take turns every two seconds. One thing differs on purpose: where a prompt would be longer than permitted, frames
are thinned evenly until it fits, instead of cutting tokens off, which would leave media without their places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from policy.omni.layout import Layout, Pixels, frame_size, tokens_of_mel
from policy.training.omni_example import Media, OmniExample

if TYPE_CHECKING:
    import torch


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

    @property
    def pixels(self) -> Pixels:
        """The limits of one frame."""
        return Pixels(least=self.least_pixels, most=self.most_pixels)


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
        self.limits = limits
        self._layout = Layout(folder, thinker.config)
        self._thinker = thinker

    @property
    def end(self) -> int:
        """Id of what ends an answer."""
        return self._layout.end

    @property
    def placeholders(self) -> tuple[int, ...]:
        """Ids that stand for media and are never to be written."""
        return self._layout.placeholders

    def encode(self, text: str) -> list[int]:
        """Return the ids of plain words; what looks like a control token is spelled out."""
        return self._layout.encode(text)

    def target(self, text: str) -> list[int]:
        """Return the ids of an answer with its end."""
        return [*self.encode(text), self.end]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words of an answer, up to its end."""
        return self._layout.decode(ids)

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

        start, closed = self._layout.start, self._layout.closed()
        before = [start, *self.encode(f"system\n{example.system}"), *closed, start]
        after = [*closed, *self._layout.opened("assistant")]
        if media.frames is None and media.audio is None:
            around = (before + self.encode(f"user\n{example.text}") + after, list[int]())
        else:
            around = before + self.encode("user\n"), self.encode(example.text) + after
        room = self.limits.most_prompt - sum(map(len, around))

        mel = None if media.audio is None else torch.from_numpy(self._layout.spectrogram(media.audio))
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
            seconds = self._layout.pair / fps
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
        layout = self._layout
        sound, seen = [layout.audio] * heard, list[int]()
        if grid is None:
            return [layout.audio_start, *sound, layout.audio_end] if heard else []
        steps, height, width = (int(n) for n in grid[0])
        each = height * width // layout.merge**2
        if not heard:
            seen = [layout.video] * (steps * each)
            return [layout.vision_start, *seen, layout.vision_end]
        config = self._thinker.config
        rate = config.position_id_per_seconds
        chunk = int(rate * config.seconds_per_chunk)
        shown = [int(step * seconds * rate) // chunk for step in range(steps) for _ in range(each)]
        ids = list[int]()
        turns = _chunks(shown), _chunks([n // chunk for n in range(heard)])
        for n in range(max(map(len, turns))):
            ids += [layout.video] * (turns[0][n] if n < len(turns[0]) else 0)
            ids += [layout.audio] * (turns[1][n] if n < len(turns[1]) else 0)
        return [layout.vision_start, layout.audio_start, *ids, layout.audio_end, layout.vision_end]

    def _pictures(
        self, frames: NDArray[np.uint8], fps: float, room: int
    ) -> tuple[torch.Tensor, torch.Tensor, float, int]:
        """Return patches, grid, frames per second after thinning, and how many were left out."""
        import torch

        layout = self._layout
        height, width = frame_size(frames.shape[2], frames.shape[3], layout.block, self.limits.pixels)
        each = height * width // layout.block**2
        most = min(self.limits.most_frames, room // each * layout.pair)
        if most < 1:
            raise ValueError(
                f"a pair of frames takes {each} tokens, and {max(0, room)} of most_prompt ({self.limits.most_prompt}) "
                "are left for them; permit more, or fewer pixels"
            )
        kept = np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)
        rate = fps if len(kept) == len(frames) else fps * len(kept) / len(frames)
        patches, grid = layout.patches(frames[kept], height, width)
        return patches, torch.tensor([list(grid)]), rate, len(frames) - len(kept)


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
