"""A reader of veiled danger: MiniLM with low-rank updates and a small head, trained on sentences of this project.

It runs on numpy alone, so that it is there before any policy is, and whatever becomes of one. The base is the sentence
encoder that ships (all-MiniLM-L6-v2, a BERT of six layers); the updates (LoRA, Hu et al., 2022) and the head lie in
``policy/data/veiled.safetensors`` and are made by :mod:`policy.training.veiled`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

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

_FIRST: Final = "There is something that I would like to tell you about."
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
        member: of these, only that one.

    Texts beyond 96 tokens keep their end.

    Raises:
        OSError: a file is missing.
        KeyError: a file lacks a tensor.
        ValueError: the base is not of 32-bit floats.
    """

    def __init__(self, path: Path, updates: Path = FILE, member: int | None = None) -> None:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(MOST_TOKENS, direction="left")
        self._tokenizer.no_padding()
        tensor = _mapped(path / "model.safetensors")
        self._words = tensor("embeddings.word_embeddings.weight")
        self._places = tensor("embeddings.position_embeddings.weight")[:MOST_TOKENS]
        self._places = self._places + tensor("embeddings.token_type_embeddings.weight")[0]
        self._first = _pair(tensor, "embeddings.LayerNorm")
        self._layers = [_layer(tensor, f"encoder.layer.{number}.") for number in range(LAYERS)]
        with safe_open(str(updates), framework="np") as file:
            learnt = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
        members = sorted({name.partition(".")[0] for name in learnt})
        if member is not None:
            members = [members[member]]
            learnt = {name: value for name, value in learnt.items() if name.startswith(f"{members[0]}.")}
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
        x = self._words[np.concatenate(encoded)] + self._places[places]
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
            # The mapped matrix lies the other way round; multiplied from the left, it need not be copied.
            whole = np.ascontiguousarray((weight @ y.reshape(-1, y.shape[-1]).T).T).reshape(*y.shape[:-1], -1)
            return (whole + bias + low).astype(np.float32, copy=False)

        query, key, value = (dense(x, f"attention.self.{name}") for name in ("query", "key", "value"))
        mixed = np.concatenate([_attend(query[:, s], key[:, s], value[:, s]) for s in spans], axis=1)
        x = _normed(x + dense(mixed, "attention.output.dense"), layer["attention.output.LayerNorm"])
        y = dense(_gelu(dense(x, "intermediate.dense")), "output.dense")
        return _normed(x + y, layer["output.LayerNorm"])


def load(path: Path) -> Reader:
    """Load the reader that ships, ready to read at once.

    From then on numpy multiplies the matrices of this process on one thread: on a busy machine the threads of several
    processes spin for one another, which takes several times as long.

    Args:
        path: folder of the base.
    """
    threadpool_limits(limits=1, user_api="blas")
    reader = Reader(path)
    reader([_FIRST])  # brings the pages of the mapped file in, which would make the first turn of a call late
    return reader


def _mapped(path: Path) -> Callable[[str], Floats]:
    """Return what gives a tensor of the file by name.

    The file is mapped, not read: all that open it share its pages, and the rows of words that no text needs stay out of
    memory.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        head = json.loads(file.read(size))
    whole = np.memmap(path, np.uint8, "r", offset=8 + size)
    named = {name.removeprefix("bert."): about for name, about in head.items()}

    def tensor(name: str) -> Floats:
        about = named[name]
        if about["dtype"] != "F32":
            raise ValueError(
                f"{path}: {name} is {about['dtype']}, expected F32; agent models fetch gets the right file"
            )
        begin, end = about["data_offsets"]
        found: Floats = np.asarray(whole[begin:end]).view(np.float32).reshape(about["shape"])
        return found

    return tensor


def _turned(name: str, value: Floats) -> Floats:
    found: Floats = (value.T * (SCALE if name.endswith(".b") else 1.0)).astype(np.float32)
    return found


def _pair(tensor: Callable[[str], Floats], name: str) -> Pair:
    return tensor(f"{name}.weight"), tensor(f"{name}.bias")


def _layer(tensor: Callable[[str], Floats], prefix: str) -> Layer:
    found: Layer = {}
    for place in PLACES:
        weight, bias = _pair(tensor, prefix + place)
        found[place] = weight, bias
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
    """Return ``x`` times the normal distribution's share below it.

    By the rational approximation 7.1.26 of Abramowitz and Stegun (1964), right to 1.5e-7. The exact function took a
    quarter of the time that a sentence takes.
    """
    size = np.abs(x) * np.float32(0.7071067811865476)
    t = 1 / (1 + np.float32(0.3275911) * size)
    tail = np.full_like(t, _TAIL[0])
    for number in _TAIL[1:]:
        tail *= t
        tail += number
    tail *= t
    tail *= np.exp(-np.square(size))
    # The share beyond |x|, on one side.
    tail *= np.float32(0.5)
    found: Floats = x * np.where(x < 0, tail, 1 - tail)
    return found


_TAIL: Final = tuple(map(np.float32, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)))
