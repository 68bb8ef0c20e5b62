"""Embeddings that ship: those of all curated lines and prototypes, so that a start does not compute them anew.

``policy/data/embeddings.npz`` holds a digest and a float16 vector per text. It is a cache: a text that is not in it is
embedded when needed. After editing the data files::

    python tools/keep_embeddings.py

writes it anew; a test says when that was forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

FILE: Final = Path(__file__).parent / "data" / "embeddings.npz"
_DIGEST: Final = 12


def digest(text: str) -> bytes:
    """Return the key of a text: 12 bytes of its sha256."""
    return hashlib.sha256(text.encode()).digest()[:_DIGEST]


def read(path: Path = FILE) -> dict[bytes, Vectors]:
    """Return the shipped unit vectors, float32 of shape ``(384,)``, by digest; none if there is no file."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as data:
        keys: NDArray[np.uint8] = data["digests"]
        vectors = data["vectors"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}


def write(vectors: Iterable[tuple[str, Vectors]], path: Path = FILE) -> None:
    """Write vectors by text, in an order that does not depend on the caller's."""
    rows = sorted((digest(text), vector) for text, vector in dict(vectors).items())
    keys = np.frombuffer(b"".join(key for key, _ in rows), np.uint8).reshape(-1, _DIGEST)
    np.savez_compressed(path, digests=keys, vectors=np.array([v for _, v in rows]).astype(np.float16))
