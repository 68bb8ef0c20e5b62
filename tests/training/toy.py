"""A student small enough to train in a blink: the next token depends on the one before, through one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from policy.training.student import BaseMismatch, Sample

LETTERS = "._abcdef"
"""Tokens: the end, the beginning, and six letters."""
END, BEGIN = 0, 1


class Bigram:
    """A sequence of letters from ``control`` and ``table``; an example is a text, and what it is to answer to nothing.

    Args:
        base: its name.
        dropout: of the logits, from the global generator.
    """

    def __init__(self, base: str = "toy-base", dropout: float = 0.0) -> None:
        self._base, self._dropout = base, dropout
        generator = torch.Generator().manual_seed(1)
        size = len(LETTERS)
        self.table = torch.nn.Parameter(0.1 * torch.randn(size, size, generator=generator))
        self.control = torch.nn.Parameter(torch.zeros(size))
        self._reference = {name: p.detach().clone() for name, p in self.parameters().items()}
        self.spoilt: set[int] = set()
        self.asked = 0

    @property
    def base(self) -> str:
        return self._base

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        return {"table": self.table, "control": self.control}

    def weights(self) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in self.parameters().values()])

    def loss(self, examples: Sequence[str]) -> tuple[torch.Tensor, Mapping[str, float]]:
        self.asked += 1
        rows = []
        for text in examples:
            ids = torch.tensor([BEGIN, *(LETTERS.index(c) for c in text), END])
            logits = torch.nn.functional.dropout(self.table[ids[:-1]] + self.control, self._dropout)
            rows.append(torch.nn.functional.cross_entropy(logits, ids[1:]))
        loss = torch.stack(rows).mean()
        if self.asked in self.spoilt:
            loss = loss * float("nan")
        return loss, {"letters": sum(map(len, examples)) / len(examples)}

    def sample(
        self, example: str, count: int, *, generator: torch.Generator, temperature: float, most: int
    ) -> list[Sample]:
        found = []
        for _ in range(count):
            ids: list[int] = []
            while len(ids) < most and END not in ids:
                logits = (self.table[ids[-1] if ids else BEGIN] + self.control) / temperature
                ids.append(int(torch.multinomial(torch.softmax(logits, -1), 1, generator=generator)))
            text = "".join(LETTERS[i] for i in ids if i != END)
            found.append(Sample(tuple(ids), text, END in ids))
        return found

    def logprobs(self, example: str, samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(1, *(len(s.ids) for s in samples))
        ids = torch.zeros(len(samples), longest, dtype=torch.long)
        mask = torch.zeros(len(samples), longest)
        for row, sample in enumerate(samples):
            ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
            mask[row, : len(sample.ids)] = 1
        before = torch.cat([torch.full((len(samples), 1), BEGIN), ids[:, :-1]], 1)
        every = torch.log_softmax(self.table[before] + self.control, -1)
        return every.gather(-1, ids[..., None]).squeeze(-1), mask

    @contextmanager
    def reference(self) -> Iterator[None]:
        own = {name: p.detach().clone() for name, p in self.parameters().items()}
        self._put(self._reference)
        try:
            yield
        finally:
            self._put(own)

    def save(self, folder: Path) -> None:
        save_file({name: p.detach() for name, p in self.parameters().items()}, folder / "toy.safetensors")
        (folder / "toy.json").write_text(json.dumps({"base": self._base}), encoding="utf-8")

    def load(self, folder: Path) -> None:
        base = json.loads((folder / "toy.json").read_text(encoding="utf-8"))["base"]
        if base != self._base:
            raise BaseMismatch(f"{folder} belongs to {base}, not to {self._base}")
        self._put(load_file(folder / "toy.safetensors"))

    def _put(self, weights: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters().items():
                parameter.copy_(weights[name])


TEXTS = ("abc", "abcd", "bcd", "bcde", "cdef", "abcdef", "def", "ef", "abab", "cdcd", "fed")
