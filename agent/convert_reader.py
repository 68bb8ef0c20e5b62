"""Makes the reader of danger out of its base and of what it was taught, for CTranslate2.

The base is MPNet: a transformer with learned places and, in each layer, one bias for how far apart two tokens are.
CTranslate2 has no loader for it, but every part of it: a BERT with T5's bias and, in the room of BERT's token types,
the table of places. Of its layers, the lower ones are kept, which were taught. The updates are added to the matrices
that they belong to, and all matrices become eight-bit integers with one scale for each row.

Sums are made element by element in double precision and in a fixed order, and the files are written field by field, so
that every machine makes the same bytes.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from policy.safety.classifier import FILE, HEAD, MOST_TOKENS, SCALE

_BASE_FILES: Final = ("README.md", "config.json", "model.safetensors", "tokenizer.json")
_FARTHEST: Final = 128
"""Tokens beyond which all are as far apart; MPNet's, which no file of it names."""
_TYPES: Final = {"float32": 0, "int8": 1, "int16": 2, "int32": 3}
"""As CTranslate2 numbers them."""
_HIGHEST: Final = 63.0
_ADD: Final = 1
"""How it adds several tables of embeddings."""
_GELU: Final = 3

_ABOUT: Final = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "[UNK]", "multi_query_attention": False}

Array = npt.NDArray[Any]
Variables = dict[str, Array]


def zipped_base(inputs: Mapping[str, Path], into: Path) -> None:
    """Take the base out of the zip archive in which it was published.

    Args:
        inputs: ``model.zip``: one folder with the files in it.
        into: folder to fill.

    Raises:
        ValueError: the archive is damaged, or lacks a file.
    """
    try:
        with zipfile.ZipFile(inputs["model.zip"]) as archive:
            members = {path.parts[1]: path for path in map(PurePosixPath, archive.namelist()) if len(path.parts) == 2}
            for name in _BASE_FILES:
                with archive.open(str(members[name])) as data, (into / name).open("wb") as out:
                    shutil.copyfileobj(data, out, 1 << 20)
    except KeyError as error:
        raise ValueError(f"model.zip: there is no {error}") from None
    except zipfile.BadZipFile as error:
        raise ValueError(f"model.zip: {error}") from None


def zipped_reader(inputs: Mapping[str, Path], into: Path) -> None:
    """Make the reader that ships; see :func:`make_reader`.

    Args:
        inputs: ``model.zip``: one folder with the base's files in it.
        into: folder to fill.

    Raises:
        ValueError: the archive is damaged, or what is in it is not the base that the updates belong to.
    """
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        zipped_base(inputs, Path(folder))
        make_reader(Path(folder), FILE, into)


def make_reader(base: Path, updates: Path, into: Path) -> None:
    """Make a reader: one folder for each member.

    Args:
        base: folder of the base, a transformers model of the kind ``mpnet``.
        updates: file of what its members were taught, each tensor under ``MEMBER.NAME``.
        into: folder to fill.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the base is of another kind or shape.
    """
    from safetensors.numpy import load_file

    config = json.loads((base / "config.json").read_bytes())
    if config.get("model_type") != "mpnet" or config.get("hidden_act") != "gelu":
        raise ValueError(f"{base}: expected an mpnet model with gelu, found {config.get('model_type')}")
    tensors, taught = (load_file(path) for path in (base / "model.safetensors", updates))
    about = _json(_ABOUT | {"layer_norm_epsilon": config["layer_norm_eps"]})
    vocabulary = _json(_tokens(json.loads((base / "tokenizer.json").read_bytes()), config["vocab_size"]))
    for member in sorted({name.partition(".")[0] for name in taught}):
        learnt = {
            name.removeprefix(f"{member}."): value for name, value in taught.items() if name.startswith(f"{member}.")
        }
        try:
            variables = _encoder(tensors, learnt, config)
            head = np.concatenate([learnt["head.weight"], learnt["head.bias"][:, None]], axis=1).astype("<f4")
        except KeyError as error:
            raise ValueError(f"{base} and {updates}: tensor {error} is missing") from None
        (into / member).mkdir()
        _write_model(into / member / "model.bin", variables)
        (into / member / HEAD).write_bytes(head.tobytes())
        (into / member / "config.json").write_bytes(about)
        (into / member / "vocabulary.json").write_bytes(vocabulary)
    shutil.copyfile(base / "tokenizer.json", into / "tokenizer.json")
    shutil.copyfile(base / "README.md", into / "README.md")  # the base's card, with its licence


def _encoder(tensors: Mapping[str, Array], learnt: Mapping[str, Array], config: Mapping[str, Any]) -> Variables:
    """Return the variables of CTranslate2's encoder."""
    found: Variables = {
        "num_heads": np.asarray(config["num_attention_heads"], np.int16),
        "pre_norm": np.asarray(0, np.int8),
        "activation": np.asarray(_GELU, np.int8),
        "embeddings_merge": np.asarray(_ADD, np.int8),
        "scale_embeddings": np.asarray(0, np.int8),
        "multi_query_attention": np.asarray(0, np.int8),
    }
    first = config["pad_token_id"] + 1  # rows before it stand for no place
    found |= _rows("embeddings_0", tensors["embeddings.word_embeddings.weight"])
    found["embeddings_1/weight"] = tensors["embeddings.position_embeddings.weight"][first : first + MOST_TOKENS]
    found |= _norm("layernorm_embedding", tensors, "embeddings.LayerNorm")
    for number in range(_taught(learnt)):
        layer, prefix = f"layer_{number}", f"encoder.layer.{number}."
        attention = f"{layer}/self_attention"
        for name, places in (
            (f"{attention}/linear_0", ("attention.attn.q", "attention.attn.k", "attention.attn.v")),
            (f"{attention}/linear_1", ("attention.attn.o",)),
            (f"{layer}/ffn/linear_0", ("intermediate.dense",)),
            (f"{layer}/ffn/linear_1", ("output.dense",)),
        ):
            found |= _rows(name, np.concatenate([_updated(tensors, learnt, number, place) for place in places]))
            found[f"{name}/bias"] = np.concatenate([tensors[f"{prefix}{place}.bias"] for place in places])
        found[f"{attention}/relative_attention_bias"] = tensors["encoder.relative_attention_bias.weight"]
        found[f"{attention}/relative_attention_max_distance"] = np.asarray(_FARTHEST, np.int32)
        found |= _norm(f"{attention}/layer_norm", tensors, f"{prefix}attention.LayerNorm")
        found |= _norm(f"{layer}/ffn/layer_norm", tensors, f"{prefix}output.LayerNorm")
    return {f"encoder/{name}": value for name, value in found.items()}


def _taught(learnt: Mapping[str, Array]) -> int:
    """Return how many layers were taught, from the lowest on; the reader has no others."""
    return 1 + max(int(name.partition(".")[0]) for name in learnt if not name.startswith("head"))


def _updated(tensors: Mapping[str, Array], learnt: Mapping[str, Array], number: int, place: str) -> Array:
    """Return a matrix with its update, in double precision."""
    found = tensors[f"encoder.layer.{number}.{place}.weight"].astype(np.float64)
    a, b = (learnt[f"{number}.{place}.{side}"].astype(np.float64) for side in "ab")
    for left, right in zip(b.T * SCALE, a, strict=True):
        found += left[:, None] * right  # a product of matrices would sum in another order on another processor
    return found


def _rows(name: str, weight: Array) -> Variables:
    """Return a matrix as integers with a scale for each row.

    They reach from -63 to 63: processors with AVX2 and no VNNI add two products with unsigned bytes in sixteen bits,
    and would cut off what is beyond. What is read differs no more from 32-bit floats for it.
    """
    scale = _HIGHEST / np.maximum(np.abs(weight).max(axis=1), 1e-30).astype(np.float64)
    whole = np.rint(weight * scale[:, None]).astype(np.int8)
    return {f"{name}/weight": whole, f"{name}/weight_scale": scale.astype(np.float32)}


def _norm(name: str, tensors: Mapping[str, Array], origin: str) -> Variables:
    return {f"{name}/gamma": tensors[f"{origin}.weight"], f"{name}/beta": tensors[f"{origin}.bias"]}


def _tokens(tokenizer: Mapping[str, Any], size: int) -> list[str]:
    """Return the token of each id, which CTranslate2 wants to know."""
    found = [f"[unused{number}]" for number in range(size)]
    for token, number in tokenizer["model"]["vocab"].items():
        found[number] = token
    for added in tokenizer["added_tokens"]:
        found[added["id"]] = added["content"]
    return found


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=0, sort_keys=True) + "\n").encode()


def _write_model(path: Path, variables: Variables) -> None:
    """Write variables as CTranslate2 reads them (binary version 6)."""
    with path.open("wb") as out:

        def text(value: str) -> None:
            out.write(struct.pack("<H", len(value) + 1) + value.encode() + b"\0")

        out.write(struct.pack("<I", 6))
        text("TransformerEncoderSpec")
        out.write(struct.pack("<II", 1, len(variables)))
        for name in sorted(variables):
            value = variables[name]
            text(name)
            out.write(struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape))
            out.write(struct.pack("<BI", _TYPES[value.dtype.name], value.nbytes))
            out.write(np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes())
        out.write(struct.pack("<I", 0))
