"""A reader of veiled danger: MPNet, taught by sentences of this project, in eight-bit integers.

It runs on CTranslate2, as speech recognition does, so that it is there before any policy is, and whatever becomes of
one. The base is a sentence encoder (all-mpnet-base-v2; MPNet, Song et al., 2020); what it was taught are low-rank
updates (LoRA, Hu et al., 2022) and a small head, which lie in ``policy/data/veiled.safetensors`` and are made by
:mod:`policy.training.veiled`. When the models are fetched, ``agent.convert_reader`` puts the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FILE: Final = Path(__file__).parent.parent / "data" / "veiled.safetensors"
"""What the base was taught."""
NAME: Final = "danger-reader"
"""Of the finished reader in the model store."""
BASE: Final = "mpnet"
"""Of its base in the model store, which only training needs."""
HEAD: Final = "head.bin"
"""In the folder of a member: 32-bit floats, little-endian, a row of weights and their bias for each class."""
CLASSES: Final = 5
MOST_TOKENS: Final = 96
"""What is read of a text at once."""
SCALE: Final = 2.0
"""By which the product of an update is multiplied."""

PLACES: Final = (
    "attention.attn.q",
    "attention.attn.k",
    "attention.attn.v",
    "attention.attn.o",
    "intermediate.dense",
    "output.dense",
)
"""The matrices of a layer that are updated."""

_FIRST: Final = "There is something that I would like to tell you about."


class Reader:
    """Reads sentences; see the module. Safe to use from several threads.

    Args:
        path: folder of the reader.

    It has several members, whose scores are averaged. Texts beyond 96 tokens keep their end. It uses one thread, and
    does not hold up others of Python's meanwhile.

    Raises:
        OSError: a head is missing.
        Exception: CTranslate2 or the tokenizer cannot read its file; each raises its own.
    """

    def __init__(self, path: Path) -> None:
        from ctranslate2 import Encoder
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(MOST_TOKENS, direction="left")
        self._tokenizer.no_padding()
        # "default" is the type that was saved, or 32-bit floats on a processor that has no eight-bit products.
        self._members = [
            (Encoder(str(head.parent), "cpu", compute_type="default", intra_threads=1), _head(head))
            for head in sorted(path.glob(f"*/{HEAD}"))
        ]
        if not self._members:
            raise FileNotFoundError(f"{path}: there is no {HEAD} in a folder of it; agent models fetch {NAME}")

    def __call__(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Return the probabilities of each of the detector's ``KINDS``, float32 of shape ``(len(texts), 4)``."""
        if not texts:
            return np.zeros((0, 4), np.float32)
        encoded = [self._tokenizer.encode(text).ids for text in texts]
        # The table of places lies where CTranslate2 keeps that of token types: where attention has a bias for how far
        # apart two tokens are, it leaves no other room for one.
        places = [list(range(len(ids))) for ids in encoded]
        scores = np.zeros((len(texts), CLASSES))
        for encoder, head in self._members:
            hidden = np.array(encoder.forward_batch(encoded, token_type_ids=places).last_hidden_state)
            told = [rows[: len(ids)] for rows, ids in zip(hidden, encoded, strict=True)]
            pooled = np.stack([np.concatenate([rows.mean(axis=0), rows.max(axis=0), [1.0]]) for rows in told])
            scores += pooled @ head.T / len(self._members)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        found: NDArray[np.float32] = (shares / shares.sum(axis=-1, keepdims=True))[:, 1:].astype(np.float32)
        return found


def _head(path: Path) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.frombuffer(path.read_bytes(), "<f4").reshape(CLASSES, -1)
    return found


def load(path: Path) -> Reader:
    """Load the reader that ships, ready to read at once.

    Args:
        path: its folder.
    """
    reader = Reader(path)
    reader([_FIRST])  # the first look takes longer, and would make the first turn of a call late
    return reader
