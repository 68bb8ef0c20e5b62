"""One-off conversions of fetched files into the form that the backends load, each deterministic to the byte.

The manifest pins the sha256 of what comes out, so a converted model is verified like a fetched one. That
is why the files are written here field by field rather than by a library's ``save_pretrained``, whose
output changes with its version.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.convert_reader import zipped_base, zipped_reader

Converter = Callable[[Mapping[str, Path], Path], None]
"""Takes the fetched inputs by name and an empty folder; leaves the finished files in the folder."""

_TENSOR_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL_TOKEN = 3
"""The token type of GGUF that marks a special token."""


def gguf_llama(inputs: Mapping[str, Path], into: Path) -> None:
    """Turn a quantised llama GGUF file into a transformers folder with bfloat16 safetensors.

    The tokenizer splits digits one by one before the byte-level step, as the ``smollm`` pre-tokenizer
    does upstream; transformers' own GGUF import leaves that step out.

    Args:
        inputs: ``model.gguf``.
        into: folder to fill.

    Raises:
        ValueError: the file is not a llama model with a ``smollm`` byte-level tokenizer and tied embeddings.
    """
    from gguf import GGUFReader

    reader = GGUFReader(str(inputs["model.gguf"]))
    meta: dict[str, Any] = {}
    for key, entry in reader.fields.items():
        meta[key] = entry.contents()
    if meta.get("general.architecture") != "llama" or meta.get("tokenizer.ggml.pre") != "smollm":
        raise ValueError("expected a llama GGUF file with a smollm tokenizer")
    _write_json(into / "config.json", _llama_config(meta))
    _write_json(into / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2})
    _write_json(into / "tokenizer.json", _byte_level_tokenizer(meta))
    _write_json(into / "tokenizer_config.json", _tokenizer_config(meta))
    (into / "chat_template.jinja").write_bytes(str(meta["tokenizer.chat_template"]).encode())
    _write_safetensors(into / "model.safetensors", _llama_tensors(reader.tensors, meta))


CONVERTERS: Mapping[str, Converter] = {
    "gguf-llama": gguf_llama,
    "zipped-base": zipped_base,
    "zipped-reader": zipped_reader,
}
"""What the manifest may name in ``convert``."""


def _llama_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    heads = meta["llama.attention.head_count"]
    width = meta["llama.embedding_length"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": meta["tokenizer.ggml.bos_token_id"],
        "dtype": "bfloat16",
        "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
        "head_dim": width // heads,
        "hidden_act": "silu",
        "hidden_size": width,
        "intermediate_size": meta["llama.feed_forward_length"],
        "max_position_embeddings": meta["llama.context_length"],
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": meta["llama.block_count"],
        "num_key_value_heads": meta["llama.attention.head_count_kv"],
        "pad_token_id": meta["tokenizer.ggml.padding_token_id"],
        "rms_norm_eps": _shortest(meta["llama.attention.layer_norm_rms_epsilon"]),
        "rope_parameters": {"rope_theta": _shortest(meta["llama.rope.freq_base"]), "rope_type": "default"},
        "tie_word_embeddings": True,
        "vocab_size": meta["llama.vocab_size"],
    }


def _byte_level_tokenizer(meta: Mapping[str, Any]) -> dict[str, Any]:
    tokens: list[str] = meta["tokenizer.ggml.tokens"]
    types: list[int] = meta["tokenizer.ggml.token_type"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": token} | flags
            for i, (token, kind) in enumerate(zip(tokens, types, strict=True))
            if kind == _CONTROL_TOKEN
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in meta["tokenizer.ggml.merges"]],
        },
    }


def _tokenizer_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    tokens: list[str] = meta["tokenizer.ggml.tokens"]
    return {
        "bos_token": tokens[meta["tokenizer.ggml.bos_token_id"]],
        "clean_up_tokenization_spaces": False,
        "eos_token": tokens[meta["tokenizer.ggml.eos_token_id"]],
        "model_max_length": meta["llama.context_length"],
        "pad_token": tokens[meta["tokenizer.ggml.padding_token_id"]],
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": tokens[meta["tokenizer.ggml.unknown_token_id"]],
    }


def _llama_tensors(tensors: Sequence[Any], meta: Mapping[str, Any]) -> dict[str, npt.NDArray[np.uint16]]:
    from gguf.quants import dequantize

    heads = {"attn_q": meta["llama.attention.head_count"], "attn_k": meta["llama.attention.head_count_kv"]}
    found: dict[str, npt.NDArray[np.uint16]] = {}
    for tensor in tensors:
        weight = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
        parts = tensor.name.split(".")
        if parts[0] == "blk":
            if parts[2] in heads:
                weight = _unpermute(weight, heads[parts[2]])
            name = f"model.layers.{parts[1]}.{_TENSOR_NAMES[parts[2]]}.weight"
        elif parts[0] == "output":
            raise ValueError("expected tied embeddings, found a separate output matrix")
        else:
            name = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}[parts[0]]
        found[name] = _bfloat16(weight)
    return found


def _unpermute(weight: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Undo the row order that llama.cpp uses for rotary embeddings: pairs side by side, not halves apart."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _bfloat16(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Round to nearest, ties to even, and keep the upper 16 bits."""
    bits = np.ascontiguousarray(weight).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def _write_safetensors(path: Path, tensors: Mapping[str, npt.NDArray[np.uint16]]) -> None:
    """Write bfloat16 tensors in the safetensors format, names in order, the header padded to 8 bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in sorted(tensors):
        header[name] = {
            "dtype": "BF16",
            "shape": list(tensors[name].shape),
            "data_offsets": [at, at + tensors[name].nbytes],
        }
        at += tensors[name].nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(head)) + head)
        for name in sorted(tensors):
            out.write(tensors[name].astype("<u2", copy=False).tobytes())


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_bytes((json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())


def _shortest(value: float) -> float:
    """Return the shortest decimal of a number that was stored as float32."""
    return float(str(np.float32(value)))
