"""A loaded thinker of Qwen2.5-Omni: what all calls share, and what one part of a call becomes in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from policy.omni.layout import Layout, Pixels, frame_size, tokens_of_mel
from policy.prompt import AGENT, PERSON, Line
from policy.reel import Part, Sight, Sound

if TYPE_CHECKING:
    import torch

DTYPES: Final = ("bfloat16", "float16", "float32", "int4")

_KINDS: Final = ("qwen2_5_omni", "qwen2_5_omni_thinker")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the folder, what is wrong, and the fix."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What the language model reads of one piece.

    Attributes:
        embeds: shape ``(n, hidden)``.
        positions: int64, shape ``(3, n)``: time, height and width of the rotary embedding, from 0.
    """

    embeds: torch.Tensor
    positions: torch.Tensor

    @property
    def reach(self) -> int:
        """How far the positions of what follows are moved on."""
        return int(self.positions.max()) + 1

    def __len__(self) -> int:
        return int(self.embeds.shape[0])


Piece = tuple[int, ...] | Sight | Sound
"""Ids of words and control tokens, a picture, or sound."""


class Thinker:
    """The weights, and how pieces go through the towers. Used by one thread at a time.

    Args:
        model: ``Qwen2_5OmniThinkerForConditionalGeneration``, in evaluation mode.
        layout: of its tokens and media.
        pixels: how large a picture is read.
    """

    def __init__(self, model: Any, layout: Layout, pixels: Pixels) -> None:
        self.model = model
        self.layout = layout
        self.pixels = pixels
        self.language = model.model.language_model
        self.device: torch.device = model.device
        self.dtype: torch.dtype = self.language.embed_tokens.weight.dtype
        self.words = int(model.lm_head.weight.shape[0])
        self.unwritable = [token for token in layout.unwritable if token < self.words]

    @property
    def hidden(self) -> int:
        """Width of the language model."""
        return int(self.language.embed_tokens.weight.shape[1])

    def tokens(self, piece: Piece) -> int:
        """Return how many tokens a piece takes, without computing it."""
        if isinstance(piece, Sight):
            height, width = self._size(piece)
            return height * width // self.layout.block**2 + 2
        if isinstance(piece, Sound):
            return tokens_of_mel(max(10, -(-piece.count // 160))) + 2
        return len(piece)

    def block(self, piece: Piece) -> Block:
        """Send a piece through its tower, or look its words up. Call it without gradients."""
        import torch

        if isinstance(piece, Sight):
            return self._picture(piece)
        if isinstance(piece, Sound):
            return self._sound(piece)
        ids = torch.tensor(piece, device=self.device)
        places = torch.arange(len(piece), device=self.device).expand(3, -1)
        return Block(self.language.embed_tokens(ids), places)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return float32 logits of states ``(n, hidden)``, shape ``(n, words)``."""
        logits: torch.Tensor = self.model.lm_head(hidden).float()
        return logits

    def _size(self, sight: Sight) -> tuple[int, int]:
        return frame_size(*sight.size, self.layout.block, self.pixels)

    def _picture(self, sight: Sight) -> Block:
        import torch

        layout, model = self.layout, self.model.model
        frames = np.ascontiguousarray(sight.frame.pixels.transpose(2, 0, 1)[None])
        patches, grid = layout.patches(frames, *self._size(sight))
        grids = torch.tensor([grid], device=self.device)
        seen = model.get_image_features(patches.to(self.device, self.dtype), grids)
        features = torch.cat(list(seen.pooler_output))
        return self._enclosed(features, (layout.vision_start, layout.vision_end), layout.image, image_grid_thw=grids)

    def _sound(self, sound: Sound) -> Block:
        import torch

        layout, model = self.layout, self.model.model
        mel = torch.from_numpy(layout.spectrogram(sound.samples)).to(self.device, self.dtype)
        mask = torch.ones(1, mel.shape[-1], dtype=torch.long, device=self.device)
        heard = model.get_audio_features(mel, feature_attention_mask=mask).last_hidden_state
        seconds = torch.tensor([mel.shape[-1]], device=self.device)
        return self._enclosed(heard, (layout.audio_start, layout.audio_end), layout.audio, audio_seqlens=seconds)

    def _enclosed(self, features: torch.Tensor, around: tuple[int, int], token: int, **shape: torch.Tensor) -> Block:
        """Put features between their marks, with the positions that the model's own index gives them."""
        import torch

        ids = torch.tensor([around[0], *[token] * len(features), around[1]], device=self.device)
        if "image_grid_thw" in shape:
            places, _ = self.model.get_rope_index(ids[None], attention_mask=torch.ones_like(ids)[None], **shape)
            places = places[:, 0]
        else:
            # Sound alone goes on one by one; the index wants a picture beside it to be computed at all.
            places = torch.arange(len(ids), device=self.device).expand(3, -1)
        marks = self.language.embed_tokens(ids[[0, -1]])
        embeds = torch.cat([marks[:1], features.to(marks.dtype), marks[1:]])
        return Block(embeds, places.to(self.device))


def load(
    folder: Path,
    *,
    dtype: str = "bfloat16",
    device: str = "cpu",
    attention: str = "sdpa",
    pixels: Pixels | None = None,
) -> Thinker:
    """Load a thinker, from the whole model as published or from its thinker alone. Only safetensors are read.

    Args:
        folder: of the checkpoint.
        dtype: ``bfloat16``, ``float16``, ``float32``, or ``int4`` (matrices in four bits by bitsandbytes, on CUDA).
        device: as torch names it.
        attention: implementation, as transformers names it.
        pixels: how large a picture is read.

    Raises:
        CheckpointError: a file is missing, is of another model or does not fit the rest, or memory is short.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # its lines would stand between those of the log
    if dtype not in DTYPES:
        raise CheckpointError(f"dtype = {dtype!r} is none of {', '.join(DTYPES)}")
    _check(folder)
    options: dict[str, Any] = {"dtype": getattr(torch, "bfloat16" if dtype == "int4" else dtype)}
    if dtype == "int4":
        options["quantization_config"] = _four_bits(device)
    try:
        model, told = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            attn_implementation=attention,
            device_map={"": device},
            output_loading_info=True,
            **options,
        )
        layout = Layout(folder, model.config)
    except torch.OutOfMemoryError as error:
        raise CheckpointError(
            f"{folder}: there is not enough memory on {device} for it in {dtype} ({str(error).splitlines()[0]}); "
            "free some, or use int4, the 3B checkpoint, or a served one"
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: cannot be loaded: {str(error).splitlines()[0]}") from error
    if missing := sorted(told["missing_keys"]):
        raise CheckpointError(
            f"{folder}: {len(missing)} weights are missing, {missing[0]} among them; it is a part of a checkpoint, "
            "fetch it again"
        )
    model.eval().requires_grad_(False)
    return Thinker(model, layout, pixels or Pixels())


def _check(folder: Path) -> None:
    """Name what is wrong with a folder before anything heavy is read."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; name one with a checkpoint, or fetch it")
    config = folder / "config.json"
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: has no {name}; fetch the whole checkpoint")
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
        kind = values.get("model_type") if isinstance(values, dict) else None
    except ValueError as error:
        raise CheckpointError(f"{config}: is no JSON: {error}") from error
    if kind not in _KINDS:
        raise CheckpointError(f"{config}: is of a {kind!r}, not of Qwen2.5-Omni; name another checkpoint")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise CheckpointError(f"{folder}: has no *.safetensors; pickled weights are not read")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if gone := sorted(named - {path.name for path in weights}):
            raise CheckpointError(f"{folder}: {len(gone)} files are missing, {gone[0]} among them; fetch it again")


def _four_bits(device: str) -> Any:
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise CheckpointError("dtype = 'int4' needs the package bitsandbytes: pip install bitsandbytes") from error
    if not device.startswith("cuda"):
        raise CheckpointError(f"dtype = 'int4' needs a CUDA device, not {device!r}; use bfloat16 or float32")
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=["audio_tower", "visual", "lm_head"],
    )


def script(parts: Sequence[Part], layout: Layout, system: str) -> list[Piece]:
    """Return parts of a reel as pieces, ending within a message: the chat template of the model, spelled out.

    For parts that go on, the pieces go on: those of the shorter list are a prefix of those of the longer one.
    """
    opened, closed = layout.opened, layout.closed()
    pieces: list[Piece] = [(*opened("system"), *layout.encode(system), *closed)]
    role = ""
    for part in parts:
        speaker = part.role if isinstance(part, Line) else PERSON
        if speaker != role:
            pieces.append((*(closed if role else ()), *opened(speaker)))
            role = speaker
        pieces.append(tuple(layout.encode(f"{part.text}\n")) if isinstance(part, Line) else part)
    if role != PERSON:
        pieces.append((*(closed if role else ()), *opened(PERSON)))
    return pieces


def asking(layout: Layout, text: str) -> Piece:
    """Return what closes the person's message with ``text`` and opens the answer."""
    return (*layout.encode(text), *layout.closed(), *layout.opened(AGENT))
