"""What the tiny thinker of :mod:`policy.omni.tiny` is trained on, and how it looks as the whole published model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from policy.training.omni_example import Media
from policy.training.omni_inputs import Limits

SMALL = Limits(least_pixels=56 * 56, most_pixels=56 * 84, most_frames=16, most_prompt=700)


def as_published(source: Path, folder: Path) -> Path:
    """Write the same weights as the whole published model names them, with a part that is no thinker's."""
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    thinker = json.loads((source / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_5_omni", "thinker_config": thinker}))
    tensors = {"talker.thinker_to_talker_proj.weight": torch.zeros(2, 2)}
    for name, tensor in load_file(source / "model.safetensors").items():
        old = name.removeprefix("model.") if name.startswith(("model.visual", "model.audio_tower")) else name
        tensors["thinker." + old.replace("model.language_model.", "model.")] = tensor
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def media(seed: int = 0, *, frames: int = 4, seconds: float = 1.0, size: tuple[int, int] = (56, 56)) -> Media:
    """Noise to look at and to hear."""
    rng = np.random.default_rng(seed)
    return Media(
        frames=rng.integers(0, 255, (frames, 3, *size), dtype=np.uint8),
        fps=2.0,
        audio=(rng.standard_normal(int(16_000 * seconds)) * 0.1).astype(np.float32),
    )
