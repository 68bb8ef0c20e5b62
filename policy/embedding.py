"""Sentence embeddings from MiniLM (all-MiniLM-L6-v2), with plain transformers and mean pooling."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

import numpy as np

from policy import kept
from policy.kept import Vectors

__all__ = ["Embed", "Embedder", "Vectors"]

SIZE: Final = 384
_MOST_TOKENS: Final = 96
_KEPT: Final = 256
_BATCH: Final = 32


class Embed(Protocol):
    """From texts to unit vectors, float32 of shape ``(len(texts), n)``."""

    def __call__(self, texts: Sequence[str], /) -> Vectors:
        """Embed ``texts``."""
        ...


class Embedder:
    """MiniLM on the CPU; remembers recent texts, so that words embedded while they were spoken cost nothing later.

    Args:
        path: folder with the weights (safetensors) and ``tokenizer.json``.
        shipped: vectors by :func:`policy.kept.digest`; by default those that ship.

    Texts beyond 96 tokens keep their end, where people come to the point. Safe to use from several threads.
    """

    def __init__(self, path: Path, shipped: Mapping[bytes, Vectors] | None = None) -> None:
        from tokenizers import Tokenizer
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(_MOST_TOKENS, direction="left")
        self._tokenizer.no_padding()
        self._model = AutoModel.from_pretrained(path, local_files_only=True).eval()
        self._shipped = kept.read() if shipped is None else shipped
        self._kept: dict[str, Vectors] = {}
        self._known: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = Lock()

    def keep(self, texts: Sequence[str]) -> None:
        """Embed ``texts`` now and remember them for good."""
        vectors = self(texts)
        with self._lock:
            self._kept.update(zip(texts, vectors, strict=True))

    def __call__(self, texts: Sequence[str], /) -> Vectors:
        """Return unit vectors, float32 of shape ``(len(texts), 384)``."""
        with self._lock:
            found = {text: self._kept[text] for text in texts if text in self._kept}
            found.update((text, self._known[text]) for text in texts if text in self._known)
            fresh = self._look_up([text for text in dict.fromkeys(texts) if text not in found])
            found.update(fresh)
            self._known.update(fresh)
            for text in texts:
                if text in self._known:
                    self._known.move_to_end(text)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return np.stack([found[text] for text in texts]) if texts else np.zeros((0, SIZE), np.float32)

    def _look_up(self, texts: Sequence[str]) -> dict[str, Vectors]:
        found: dict[str, Vectors] = {}
        for text in texts:
            vector = self._shipped.get(kept.digest(text))
            if vector is not None:
                found[text] = vector
        new = [text for text in texts if text not in found]
        if new:
            found.update(zip(new, self.run(new), strict=True))
        return found

    def run(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed ``texts`` with the model, whether or not they are known."""
        import torch

        encoded = [(i, self._tokenizer.encode(text).ids) for i, text in enumerate(texts)]
        encoded.sort(key=lambda pair: len(pair[1]))
        out: list[Vectors] = [np.zeros(SIZE, np.float32)] * len(texts)
        for begin in range(0, len(encoded), _BATCH):
            batch = encoded[begin : begin + _BATCH]
            longest = max(len(ids) for _, ids in batch)
            ids = torch.zeros((len(batch), longest), dtype=torch.long)
            mask = torch.zeros((len(batch), longest), dtype=torch.long)
            for row, (_, found) in enumerate(batch):
                ids[row, : len(found)] = torch.tensor(found)
                mask[row, : len(found)] = 1
            with torch.no_grad():
                hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1).numpy()
            for row, (index, _) in enumerate(batch):
                out[index] = pooled[row]
        return out
