"""A Qwen2.5-Omni thinker of 0.2 million random parameters and a tokenizer of bytes, to run every path without weights.

``python -m policy.omni.tiny FOLDER`` writes it. It understands nothing; what it writes is well-formed and meaningless.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

CONTROL: Final = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>",
    "<|vision_bos|>", "<|vision_eos|>", "<|IMAGE|>", "<|VIDEO|>",
)  # fmt: skip

_HIDDEN: Final = 64


def byte_tokenizer(control: Sequence[str]) -> Any:
    """Return a ``tokenizers.Tokenizer`` of all bytes, and of ``control`` as tokens of their own."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {token: n for n, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def build(folder: Path, seed: int = 0, *, places: int = 32_768) -> Path:
    """Write the model into ``folder``, as transformers lays a thinker out; what is there is written over.

    Args:
        folder: where to.
        seed: of the random weights.
        places: positions that the configuration allows.
    """
    import torch
    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()

    folder.mkdir(parents=True, exist_ok=True)
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
            "max_position_embeddings": places, "pad_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"], "bos_token_id": None,
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


def main(arguments: Sequence[str] = ()) -> int:
    """Write the model into the folder that is named, by default ``build/omni-tiny``."""
    folder = build(Path((arguments or sys.argv[1:] or ["build/omni-tiny"])[0]))
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    sys.stdout.write(f"{folder}: a random Qwen2.5-Omni thinker, {size:.1f} MiB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
