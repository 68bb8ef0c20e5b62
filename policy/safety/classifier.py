"""A classifier of danger that reads a conversation: MPNet, taught by texts of this project, in eight-bit integers.

What it judges is the last turn of a person, in the light of their turns before. It runs on CTranslate2, as speech
recognition does, so that it is there before any policy is, and whatever becomes of one. The base is the lower part of a
sentence encoder (all-mpnet-base-v2; MPNet, Song et al., 2020); what it was taught are low-rank updates (LoRA, Hu et
al., 2022) and a small head, which lie in ``policy/data/veiled.safetensors`` and are made by
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
"""Of the finished classifier in the model store."""
BASE: Final = "mpnet"
"""Of its base in the model store, which only training needs."""
HEAD: Final = "head.bin"
"""In the folder of a member: 32-bit floats, little-endian, a row of weights and their bias for each class."""
CLASSES: Final = 9
"""None, then a hint of each of the detector's ``KINDS``, then each of them said plainly."""
LAYERS: Final = 8
"""Of the base's twelve. The upper four hardly help here, and take a third of the time."""
MOST_TOKENS: Final = 72
"""What is read of a window at once."""
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

Window = Sequence[str]
"""A person's turns, oldest first; the last one is judged."""

_FIRST: Final = ("There is something that I would like to tell you about.", "It is about last night.")


class Reader:
    """Reads windows; see the module. Safe to use from several threads.

    Args:
        path: folder of the classifier.

    Where it has several members, their scores are averaged. It reads 72 tokens of a window: of a longer one the oldest
    words go first, and a last turn that is longer by itself keeps its end. It uses one thread, and does not hold up
    others of Python's meanwhile.

    Raises:
        OSError: a head is missing.
        ValueError: a head has another number of classes.
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

    def __call__(self, windows: Sequence[Window], /) -> NDArray[np.float32]:
        """Return the probabilities that the last turns hint at danger, or say it plainly; the rest to 1 is harmless.

        Returns:
            float32 of shape ``(len(windows), 8)``: a hint of each of the detector's ``KINDS``, then each said plainly.

        Raises:
            TypeError: a window is a string.
            ValueError: a window has no turn.
        """
        if not windows:
            return np.zeros((0, CLASSES - 1), np.float32)
        joined = [join([self._tokenizer.encode(turn).ids for turn in checked(window)]) for window in windows]
        # The table of places lies where CTranslate2 keeps that of token types: where attention has a bias for how far
        # apart two tokens are, it leaves no other room for one.
        encoded = [ids for ids, _ in joined]
        places = [list(range(len(ids))) for ids in encoded]
        scores = np.zeros((len(windows), CLASSES))
        for encoder, head in self._members:
            hidden = np.array(encoder.forward_batch(encoded, token_type_ids=places).last_hidden_state)
            last = [rows[begin : len(ids)] for rows, (ids, begin) in zip(hidden, joined, strict=True)]
            pooled = np.stack([np.concatenate([rows.mean(axis=0), rows.max(axis=0), [1.0]]) for rows in last])
            scores += pooled @ head.T / len(self._members)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        found: NDArray[np.float32] = (shares / shares.sum(axis=-1, keepdims=True))[:, 1:].astype(np.float32)
        return found


def checked(window: Window) -> Window:
    """Return a window that can be read.

    Raises:
        TypeError: it is a string.
        ValueError: it has no turn.
    """
    if isinstance(window, str):
        raise TypeError(f"a window is a sequence of turns, not a string: write ({window[:40]!r},)")
    if not window:
        raise ValueError("a window has no turn; give it at least the one that is to be judged")
    return window


def join(turns: Sequence[Sequence[int]]) -> tuple[list[int], int]:
    """Join the tokens of a window.

    Args:
        turns: tokens of each turn between the marks of a text, oldest first; at least one, none longer than 72.

    Returns:
        At most 72 tokens, short of the oldest where there are more; and where those of the last turn begin.
    """
    *earlier, last = turns
    before = [token for turn in earlier for token in turn]
    before = before[max(0, len(before) + len(last) - MOST_TOKENS) :]
    return [*before, *last], len(before)


def _head(path: Path) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.frombuffer(path.read_bytes(), "<f4")
    if found.size % CLASSES or not found.size:
        raise ValueError(f"{path}: expected a row for each of {CLASSES} classes; agent models fetch {NAME}")
    return found.reshape(CLASSES, -1)


def load(path: Path) -> Reader:
    """Load the classifier that ships, ready to read at once.

    Args:
        path: its folder.
    """
    reader = Reader(path)
    reader([_FIRST])  # the first look takes longer, and would make the first turn of a call late
    return reader
