"""A reader of veiled danger: MiniLM with low-rank updates and a small head, trained on sentences of this project.

It runs on numpy alone, so that it is there before any policy is, and whatever becomes of one. The base is the sentence
encoder that ships (all-MiniLM-L6-v2, a BERT of six layers); the updates (LoRA, Hu et al., 2022) and the head lie in
``policy/data/veiled.safetensors`` and are made by :mod:`policy.training.veiled`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FILE: Final = Path(__file__).parent / "data" / "veiled.safetensors"
LAYERS: Final = 6
WIDTH: Final = 384
MOST_TOKENS: Final = 96
SCALE: Final = 2.0
"""By which the product of an update is multiplied."""

PLACES: Final = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
"""The matrices of a layer that are updated."""

_HEADS: Final = 12
_EPS: Final = 1e-12

Floats = NDArray[np.float32]
Pair = tuple[Floats, Floats]
Layer = dict[str, Pair]


class Reader:
    """Reads sentences; see the module. Safe to use from several threads.

    Args:
        path: folder of the base, with ``model.safetensors`` and ``tokenizer.json``.
        updates: file of the updates and heads, one of each for every member; their scores are averaged.

    Texts beyond 96 tokens keep their end.

    Raises:
        OSError: a file is missing.
        KeyError: a file lacks a tensor.
    """

    def __init__(self, path: Path, updates: Path = FILE) -> None:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(MOST_TOKENS, direction="left")
        self._tokenizer.no_padding()
        with safe_open(str(path / "model.safetensors"), framework="np") as base:
            names = {name.removeprefix("bert."): name for name in base.keys()}  # noqa: SIM118

            def tensor(name: str) -> Floats:
                found: Floats = base.get_tensor(names[name]).astype(np.float32)
                return found

            # Half the memory; the rows that a text needs are few.
            self._words = tensor("embeddings.word_embeddings.weight").astype(np.float16)
            self._places = tensor("embeddings.position_embeddings.weight")[:MOST_TOKENS]
            self._places = self._places + tensor("embeddings.token_type_embeddings.weight")[0]
            self._first = _pair(tensor, "embeddings.LayerNorm")
            self._layers = [_layer(tensor, f"encoder.layer.{number}.") for number in range(LAYERS)]
        with safe_open(str(updates), framework="np") as file:
            learnt = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
        members = sorted({name.partition(".")[0] for name in learnt})
        names = {name: name.partition(".")[2] for name in learnt}
        # One array over all members for each tensor, so that their rows go through the base together.
        self._learnt = {
            name: np.stack([_turned(name, learnt[f"{member}.{name}"]) for member in members])
            for name in dict.fromkeys(names.values())
        }
        self._members = len(members)

    def __call__(self, texts: Sequence[str], /) -> Floats:
        """Return the probabilities of each of :data:`policy.safety.KINDS`, float32 of shape ``(len(texts), 4)``."""
        if not texts:
            return np.zeros((0, 4), np.float32)
        encoded = [self._tokenizer.encode(text).ids for text in texts]
        ends = np.cumsum([len(ids) for ids in encoded])
        spans = [slice(int(end) - len(ids), int(end)) for ids, end in zip(encoded, ends, strict=True)]
        places = np.concatenate([np.arange(len(ids)) for ids in encoded])
        x = self._words[np.concatenate(encoded)].astype(np.float32) + self._places[places]
        x = np.broadcast_to(_normed(x, self._first), (self._members, *x.shape))
        for number, layer in enumerate(self._layers):
            x = self._through(x, layer, number, spans)
        pooled = np.stack([np.concatenate([x[:, s].mean(axis=1), x[:, s].max(axis=1)], axis=-1) for s in spans], axis=1)
        scores = (pooled @ self._learnt["head.weight"] + self._learnt["head.bias"][:, None]).mean(axis=0)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        found: Floats = (shares / shares.sum(axis=-1, keepdims=True))[:, 1:].astype(np.float32)
        return found

    def _through(self, x: Floats, layer: Layer, number: int, spans: Sequence[slice]) -> Floats:
        """Return the output of one layer; ``x`` is of shape ``(members, tokens of all texts, 384)``."""

        def dense(y: Floats, place: str) -> Floats:
            weight, bias = layer[place]
            low = (y @ self._learnt[f"{number}.{place}.a"]) @ self._learnt[f"{number}.{place}.b"]
            whole = (y.reshape(-1, y.shape[-1]) @ weight).reshape(*y.shape[:-1], -1)
            return (whole + bias + low).astype(np.float32, copy=False)

        query, key, value = (dense(x, f"attention.self.{name}") for name in ("query", "key", "value"))
        mixed = np.concatenate([_attend(query[:, s], key[:, s], value[:, s]) for s in spans], axis=1)
        x = _normed(x + dense(mixed, "attention.output.dense"), layer["attention.output.LayerNorm"])
        y = dense(_gelu(dense(x, "intermediate.dense")), "output.dense")
        return _normed(x + y, layer["output.LayerNorm"])


def load(path: Path) -> Reader:
    """Load the reader that ships.

    Args:
        path: folder of the base.
    """
    return Reader(path)


def _turned(name: str, value: Floats) -> Floats:
    found: Floats = (value.T * (SCALE if name.endswith(".b") else 1.0)).astype(np.float32)
    return found


def _pair(tensor: Callable[[str], Floats], name: str) -> Pair:
    return tensor(f"{name}.weight"), tensor(f"{name}.bias")


def _layer(tensor: Callable[[str], Floats], prefix: str) -> Layer:
    found: Layer = {}
    for place in PLACES:
        weight, bias = _pair(tensor, prefix + place)
        found[place] = np.ascontiguousarray(weight.T), bias
    for place in ("attention.output.LayerNorm", "output.LayerNorm"):
        found[place] = _pair(tensor, prefix + place)
    return found


def _attend(query: Floats, key: Floats, value: Floats) -> Floats:
    """Let the tokens of one text look at one another; each of shape ``(members, tokens, 384)``."""

    def heads(x: Floats) -> Floats:
        return x.reshape(*x.shape[:2], _HEADS, -1).transpose(0, 2, 1, 3)

    scores = heads(query) @ heads(key).swapaxes(-1, -2) / np.sqrt(np.float32(WIDTH // _HEADS))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ heads(value)
    found: Floats = mixed.transpose(0, 2, 1, 3).reshape(query.shape)
    return found


def _normed(x: Floats, layer: tuple[Floats, Floats]) -> Floats:
    x = x - x.mean(axis=-1, keepdims=True)
    found: Floats = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(_EPS)) * layer[0] + layer[1]
    return found


def _gelu(x: Floats) -> Floats:
    from scipy.special import erf

    found: Floats = (x * np.float32(0.5) * (1 + erf(x * np.float32(0.7071067811865476)))).astype(np.float32)
    return found
