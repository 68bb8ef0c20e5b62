"""The converter of quantised llama files, against transformers' own reading of the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent import models
from agent.convert import gguf_llama

HEADS, KV_HEADS, WIDTH, INNER, LAYERS = 4, 2, 64, 96, 2
VOCABULARY = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"abcdefgh0123456789", "Ġ", "ab", "Ġab"]
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def random_llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=128,
        rope_parameters={"rope_theta": 1e4, "rope_type": "default"},
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            # Weights that bfloat16 can hold, so that the comparison can be tight.
            weight.copy_(weight.to(torch.bfloat16))
    return model


def write_gguf(model: Any, path: Path, *, pre: str = "smollm", untied: bool = False) -> None:
    """Write the model as llama.cpp's converter does: rotary pairs side by side."""
    from gguf import GGUFWriter

    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(1e4)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3, 3, 3] + [1] * (len(VOCABULARY) - 3))
    writer.add_token_merges(["a b", "Ġ ab"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{{ messages[0]['content'] }}")
    for name, tensor in model.state_dict().items():
        weight = tensor.numpy()
        if name.startswith("model.layers."):
            _, _, layer, part = name.split(".", 3)
            kind = NAMES[part.removesuffix(".weight")]
            if kind in ("attn_q", "attn_k"):
                heads = HEADS if kind == "attn_q" else KV_HEADS
                rows = weight.shape[0]
                weight = weight.reshape(heads, 2, rows // heads // 2, WIDTH).swapaxes(1, 2).reshape(rows, WIDTH)
            writer.add_tensor(f"blk.{layer}.{kind}.weight", np.ascontiguousarray(weight))
        elif name != "lm_head.weight" or untied:
            known = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
            writer.add_tensor(f"{known[name.removesuffix('.weight')]}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.slow
def test_computes_what_the_original_computes(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    original = random_llama()
    write_gguf(original, tmp_path / "model.gguf")
    folder = tmp_path / "out"
    folder.mkdir()
    gguf_llama({"model.gguf": tmp_path / "model.gguf"}, folder)
    converted = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([[1, 5, 9, 3, 12, 22, 7, 4, 2]])
    with torch.no_grad():
        assert torch.allclose(converted(ids).logits, original(ids).logits, atol=1e-5)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("ab ab").input_ids == [VOCABULARY.index("ab"), VOCABULARY.index("Ġab")]
    assert tokenizer("<|im_start|>a1<|im_end|>").input_ids == [1, 3, VOCABULARY.index("1"), 2]
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )
    assert tokenizer.apply_chat_template([{"role": "user", "content": "abc"}], tokenize=False) == "abc"


def test_makes_the_same_bytes_every_time(tmp_path: Path) -> None:
    write_gguf(random_llama(), tmp_path / "model.gguf")
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        gguf_llama({"model.gguf": tmp_path / "model.gguf"}, folder)
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    assert sorted(made[0]) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_refuses_what_it_would_convert_wrongly(tmp_path: Path) -> None:
    original = random_llama()
    write_gguf(original, tmp_path / "pre.gguf", pre="qwen2")
    with pytest.raises(ValueError, match="smollm"):
        gguf_llama({"model.gguf": tmp_path / "pre.gguf"}, tmp_path)
    write_gguf(original, tmp_path / "untied.gguf", untied=True)
    with pytest.raises(ValueError, match="tied"):
        gguf_llama({"model.gguf": tmp_path / "untied.gguf"}, tmp_path)


@pytest.mark.models
@pytest.mark.slow
def test_the_converted_language_model_speaks_and_splits_digits() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models.resolve("smollm2")
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "It's 2024, naïve 日本 😀\n"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert len(tokenizer("2024").input_ids) == 4
    language = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ask = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer(tokenizer.apply_chat_template(ask, tokenize=False, add_generation_prompt=True), return_tensors="pt")
    said = language.generate(**ids, max_new_tokens=8, do_sample=False)
    assert (
        tokenizer.decode(said[0, ids.input_ids.shape[1] :], skip_special_tokens=True)
        == "The capital of France is Paris."
    )
