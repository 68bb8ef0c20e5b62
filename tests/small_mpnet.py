"""A small MPNet of random weights with a vocabulary of its own, in the files that the real one has."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch

SPECIAL = ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")


def small_mpnet(folder: Path, words: Iterable[str], *, layers: int = 2, width: int = 32) -> Path:
    """Write one that knows ``words``, and return ``folder``."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import MPNetConfig, MPNetModel

    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *sorted(set(words))))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens(list(SPECIAL))
    torch.manual_seed(7)
    config = MPNetConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        initializer_range=0.3,
    )
    folder.mkdir(parents=True, exist_ok=True)
    MPNetModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n", encoding="utf-8")
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert about["model_type"] == "mpnet"
    return folder
