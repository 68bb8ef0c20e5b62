"""A Qwen2.5-Omni thinker of 0.2 million random parameters with a tokenizer of bytes, as a folder on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

from policy.training.omni_example import Media
from policy.training.omni_inputs import Limits
from tests.byte_tokenizer import byte_tokenizer

CONTROL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>",
    "<|vision_bos|>", "<|vision_eos|>", "<|IMAGE|>", "<|VIDEO|>",
)  # fmt: skip
SMALL = Limits(least_pixels=56 * 56, most_pixels=56 * 84, most_frames=16, most_prompt=700)
_HIDDEN = 64


def build(folder: Path, seed: int = 0) -> Path:
    """Write the model into ``folder``, as transformers lays a thinker out."""
    folder.mkdir(parents=True)
    tokenizer = byte_tokenizer(CONTROL)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {token: tokenizer.token_to_id(token) for token in CONTROL}
    config = Qwen2_5OmniThinkerConfig(
        audio_config={
            "num_mel_bins": 128, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64,
            "d_model": 32, "output_dim": _HIDDEN, "n_window": 100, "max_source_positions": 1500,
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": _HIDDEN,
            "fullatt_block_indexes": [1], "patch_size": 14, "window_size": 112, "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        text_config={
            "vocab_size": tokenizer.get_vocab_size(), "hidden_size": _HIDDEN, "intermediate_size": 128,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 8192, "pad_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"],
            "bos_token_id": None,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6},
        },
        audio_token_index=ids["<|AUDIO|>"], image_token_index=ids["<|IMAGE|>"], video_token_index=ids["<|VIDEO|>"],
        audio_start_token_id=ids["<|audio_bos|>"], audio_end_token_id=ids["<|audio_eos|>"],
        vision_start_token_id=ids["<|vision_bos|>"], vision_end_token_id=ids["<|vision_eos|>"],
        pad_token_id=ids["<|endoftext|>"],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        thinker = Qwen2_5OmniThinkerForConditionalGeneration(config)
        # Random towers speak very softly; a model that cannot hear would pass no test of its ears.
        for module in (thinker.model.audio_tower.proj, thinker.model.visual.merger.mlp[-1]):
            module.weight.data *= 20
    thinker.save_pretrained(folder)
    return folder


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
