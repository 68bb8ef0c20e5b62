"""Trains the reader of veiled danger (:mod:`policy.safety.classifier`): low-rank updates of MPNet and a head.

The sentences are those of :mod:`policy.training.veiled_sentences`. It has several members, which differ by their first
random updates and by the order of what they were taught; what is kept of each is the running mean of its weights. Of
everyday talk, each pass takes turns that are read worst, and some others. ``python tools/train_veiled.py`` runs it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policy.safety.classifier import MOST_TOKENS, PLACES, SCALE
from policy.training.veiled_sentences import ANY, CLASSES, Example, Sentences
from policy.words import plain

_READ_AT_ONCE: Final = 64


Updates = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it is trained.

    Attributes:
        seeds: one member each.
        rank: of the updates.
        epochs: passes over the sentences.
        rate: highest learning rate.
        joined: joined sentences in each pass.
        everyday: turns of the corpus in each pass.
        drawn: turns of the corpus from which they are taken: half of them those that are read worst.
        batch: sentences per step.
        mean: share of the running mean that a step keeps.
        smooth: share of a label that is spread over the others.
        away: chance that a danger is carried elsewhere, and so is harmless.
        dress: chance that a sentence is dressed.
    """

    seeds: tuple[int, ...] = (0, 1)
    rank: int = 16
    epochs: int = 4
    rate: float = 6e-4
    joined: int = 400
    everyday: int = 1200
    drawn: int = 2400
    batch: int = 32
    mean: float = 0.99
    smooth: float = 0.05
    away: float = 0.06
    dress: float = 0.1


class Updated(nn.Module):
    """A linear layer with a low-rank update, which is of 32-bit floats whatever the layer is of."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Return the updated product; shape ``(..., out)``."""
        a, b = self.a.to(x.dtype), self.b.to(x.dtype)
        found: Tensor = self.base(x) + (x @ a.T) @ b.T * SCALE
        return found


class Student(nn.Module):
    """MPNet with updates in each layer, and the head over the mean and the highest of its outputs.

    Args:
        path: folder of the base.
        rank: of the updates.
        dtype: of the base's weights.
    """

    def __init__(self, path: Path, rank: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        from tokenizers import Tokenizer
        from transformers import AutoModel

        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(MOST_TOKENS, direction="left")
        self._tokenizer.no_padding()
        self.base = AutoModel.from_pretrained(path, local_files_only=True, dtype=dtype)
        self.base.requires_grad_(False)
        for module in self.base.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # the updates are small enough; to draw for it takes a quarter of the time
        self.updates: dict[str, Updated] = {}
        for number, place in ((n, p) for n in range(self.base.config.num_hidden_layers) for p in PLACES):
            owner: Any = self.base.encoder.layer[number]
            *names, last = place.split(".")
            for name in names:
                owner = getattr(owner, name)
            updated = Updated(getattr(owner, last), rank)
            setattr(owner, last, updated)
            self.updates[f"{number}.{place}"] = updated
        self.head = nn.Linear(2 * self.base.config.hidden_size, len(CLASSES))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return scores, shape ``(len(texts), 5)``."""
        encoded = [self._tokenizer.encode(text).ids for text in texts]
        longest = max(map(len, encoded))
        ids = torch.zeros((len(encoded), longest), dtype=torch.long)
        mask = torch.zeros((len(encoded), longest), dtype=torch.long)
        for row, found in enumerate(encoded):
            ids[row, : len(found)] = torch.tensor(found)
            mask[row, : len(found)] = 1
        hidden = self.base(input_ids=ids, attention_mask=mask).last_hidden_state
        kept = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * kept).sum(1) / kept.sum(1)
        highest = hidden.masked_fill(kept == 0, -1e4).amax(1)
        scores: Tensor = self.head(torch.cat([mean, highest], -1))
        return scores

    def learnt(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by the name under which it is kept."""
        found = {f"{name}.{side}": getattr(layer, side) for name, layer in self.updates.items() for side in ("a", "b")}
        return found | {"head.weight": self.head.weight, "head.bias": self.head.bias}


def train(
    path: Path, options: Options, given: Sentences, seed: int, told: Callable[[str], None] = lambda _: None
) -> Updates:
    """Train one member and return what it learnt by name, the running mean of it.

    Args:
        path: folder of the base.
        options: how.
        given: what is learned from.
        seed: of the first updates and of the order.
        told: takes a line after each pass.
    """
    torch.manual_seed(seed)
    chance = random.Random(seed)
    student = Student(path, options.rank, torch.bfloat16)
    learnt = student.learnt()
    mean = {name: value.detach().clone() for name, value in learnt.items()}
    optimiser = torch.optim.AdamW(learnt.values(), lr=options.rate, weight_decay=0.01)
    step, steps = 0, 0
    student.train()
    for epoch in range(options.epochs):
        batches = _batches(_lesson(student, options, given, chance, first=epoch == 0), options.batch, chance)
        steps = steps or options.epochs * len(batches)
        total = 0.0
        for batch in batches:
            step += 1
            rate = options.rate * min(1.0, step / min(100, steps / 10)) * max(0.02, 1.0 - step / steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            labels = torch.tensor([label for _, label in batch])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = student([_spoken(text, chance) for text, _ in batch]).float()
            loss = _loss(scores, labels, options.smooth)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(list(learnt.values()), 1.0)
            optimiser.step()
            keep = min(options.mean, step / (step + 10))
            for name, value in learnt.items():
                mean[name].lerp_(value.detach(), 1.0 - keep)
            total += loss.item()
        told(f"seed {seed}, pass {epoch + 1} of {options.epochs}: loss {total / len(batches):.3f}")
    return {name: value.numpy() for name, value in mean.items()}


def named(runs: Sequence[Updates]) -> dict[str, NDArray[np.float16]]:
    """Return what several runs learnt as it is written: each tensor under ``MEMBER.NAME``."""
    return {
        f"{member}.{name}": value.astype(np.float16) for member, run in enumerate(runs) for name, value in run.items()
    }


def _lesson(
    student: Student, options: Options, given: Sentences, chance: random.Random, *, first: bool
) -> list[Example]:
    """Return the examples of one pass."""
    lesson = [_framed(example, given.frames, options, chance) for example in given.own]
    lesson += chance.sample(given.joined, min(options.joined, len(given.joined)))
    return lesson + _everyday(student, given.everyday, options, chance, worst=not first)


def _loss(scores: Tensor, labels: Tensor, smooth: float) -> Tensor:
    """Return the mean cross entropy; of a danger without a kind, that of there being any."""
    unnamed = labels == ANY
    loss = nn.functional.cross_entropy(scores[~unnamed], labels[~unnamed], label_smoothing=smooth, reduction="sum")
    logs = torch.log_softmax(scores[unnamed], -1)[:, 1:]
    return (loss - torch.logsumexp(logs, -1).sum()) / len(labels)


def _everyday(
    student: Student, pool: Sequence[Example], options: Options, chance: random.Random, *, worst: bool
) -> list[Example]:
    """Draw everyday talk; with ``worst``, half of it is what is taken for danger most."""
    drawn = chance.sample(pool, min(options.drawn if worst else options.everyday, len(pool)))
    if not worst or len(drawn) <= options.everyday:
        return drawn
    drawn.sort(key=lambda example: len(example[0]))
    shares: list[float] = []
    student.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for at in range(0, len(drawn), _READ_AT_ONCE):
            scores = student([text for text, _ in drawn[at : at + _READ_AT_ONCE]]).float()
            shares += torch.softmax(scores, -1)[:, 0].tolist()
    student.train()
    order = sorted(range(len(drawn)), key=shares.__getitem__)
    half = options.everyday // 2
    return [drawn[n] for n in (*order[:half], *chance.sample(order[half:], options.everyday - half))]


def _framed(example: Example, frames: Mapping[str, Sequence[str]], options: Options, chance: random.Random) -> Example:
    text, label = example
    if label and chance.random() < options.away:
        return chance.choice(frames["away"]).format(text.lower()), 0
    if chance.random() < options.dress:
        return chance.choice(frames["dress"]).format(text), label
    return example


def _spoken(text: str, chance: random.Random) -> str:
    """Return ``text`` as it might be heard: without its punctuation, or without a word."""
    if chance.random() < 0.4:
        text = plain(text)
    words = text.split()
    if len(words) > 5 and chance.random() < 0.2:
        words.pop(chance.randrange(len(words)))
    return " ".join(words)


def _batches(lesson: list[Example], size: int, chance: random.Random) -> list[list[Example]]:
    """Shuffle, and put sentences of like length together, so that little is padded."""
    chance.shuffle(lesson)
    found: list[list[Example]] = []
    for at in range(0, len(lesson), size * 20):
        near = sorted(lesson[at : at + size * 20], key=lambda example: len(example[0]))
        found += [near[i : i + size] for i in range(0, len(near), size)]
    chance.shuffle(found)
    return found
