"""A Llama of some ten thousand random parameters with a tokenizer of bytes, as a folder on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from policy.omni.tiny import byte_tokenizer

CONTROL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
HIDDEN: Final = 32


def build(folder: Path, *, seed: int = 0, layers: int = 2) -> Path:
    """Write the model into ``folder``, laid out as the embedded one is."""
    folder.mkdir(parents=True)
    tokenizer = byte_tokenizer(CONTROL)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.token_to_id("<|im_start|>"),
        eos_token_id=tokenizer.token_to_id("<|im_end|>"),
        pad_token_id=tokenizer.token_to_id("<|endoftext|>"),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        # Small random weights let every position look alike; a model that heeds nothing would pass no test of its eyes.
        for weight in model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.25)
    model.save_pretrained(folder)
    return folder
