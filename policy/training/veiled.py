"""Trains the reader of veiled danger (:mod:`policy.veiled`): low-rank updates of MiniLM and a head, for some members.

The sentences are those of :mod:`policy.training.veiled_sentences`. Members differ by their seed and by the fold of
sentences that each of them never sees, on which the threshold is set; what is kept of each is the running mean of its
weights. Of everyday talk, each pass takes turns that the member reads worst, and some others.
``python tools/train_veiled.py`` runs it, on one CPU in about an hour.
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

from policy.training.veiled_sentences import ANY, CLASSES, Example, Sentences, fold_of
from policy.veiled import LAYERS, MOST_TOKENS, PLACES, SCALE, WIDTH
from policy.words import plain

_READ_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it is trained.

    Attributes:
        seeds: one member each.
        rank: of the updates.
        rounds: of each, the passes over the sentences and the highest learning rate; a round begins with what was kept
            of the one before, and with a fresh optimiser.
        folds: into so many the sentences are dealt, and member ``n`` does not see fold ``n``; 0: each sees all.
        joined: joined sentences in each pass.
        everyday: turns of the corpus in each pass.
        drawn: turns of the corpus from which they are taken: half of them those that are read worst.
        batch: sentences per step.
        mean: share of the running mean that a step keeps.
        smooth: share of a label that is spread over the others.
        away: chance that a danger is carried elsewhere, and so is harmless.
        dress: chance that a sentence is dressed.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    rank: int = 16
    folds: int = 8
    rounds: tuple[tuple[int, float], ...] = ((4, 1.5e-3), (3, 8e-4))
    joined: int = 400
    everyday: int = 1200
    drawn: int = 2400
    batch: int = 24
    mean: float = 0.99
    smooth: float = 0.05
    away: float = 0.06
    dress: float = 0.1


class Updated(nn.Module):
    """A linear layer with a low-rank update."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Return the updated product; shape ``(..., out)``."""
        found: Tensor = self.base(x) + (x @ self.a.T) @ self.b.T * SCALE
        return found


class Student(nn.Module):
    """MiniLM with updates in each layer, and the head over the mean and the highest of its outputs.

    Args:
        path: folder of the base.
        rank: of the updates.
    """

    def __init__(self, path: Path, rank: int) -> None:
        super().__init__()
        from tokenizers import Tokenizer
        from transformers import AutoModel

        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(MOST_TOKENS, direction="left")
        self._tokenizer.no_padding()
        self.base = AutoModel.from_pretrained(path, local_files_only=True)
        self.base.requires_grad_(False)
        self.updates: dict[str, Updated] = {}
        for number, place in ((n, p) for n in range(LAYERS) for p in PLACES):
            owner: Any = self.base.encoder.layer[number]
            *names, last = place.split(".")
            for name in names:
                owner = getattr(owner, name)
            updated = Updated(getattr(owner, last), rank)
            setattr(owner, last, updated)
            self.updates[f"{number}.{place}"] = updated
        self.head = nn.Linear(2 * WIDTH, len(CLASSES))

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
    path: Path, options: Options, given: Sentences, told: Callable[[str], None] = lambda _: None
) -> dict[str, NDArray[np.float16]]:
    """Train all members and return their tensors, each under ``MEMBER.NAME``.

    Args:
        path: folder of the base.
        options: how.
        given: what is learned from.
        told: takes a line after each pass.
    """
    found: dict[str, NDArray[np.float16]] = {}
    for member, seed in enumerate(options.seeds):
        seen = [e for e in given.own if not options.folds or fold_of(e[0], options.folds) != member]
        mine = Sentences(seen, given.joined, given.everyday, given.frames)
        for name, tensor in _member(path, options, seed, mine, told).items():
            found[f"{member}.{name}"] = tensor.numpy().astype(np.float16)
    return found


def _member(
    path: Path, options: Options, seed: int, given: Sentences, told: Callable[[str], None]
) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    student = Student(path, options.rank)
    for number in range(len(options.rounds)):
        kept = _round(student, options, number, seed, given, told)
        with torch.no_grad():
            for name, value in student.learnt().items():
                value.copy_(kept[name].half())  # as it is written
    return {name: value.detach() for name, value in student.learnt().items()}


def _round(
    student: Student, options: Options, number: int, seed: int, given: Sentences, told: Callable[[str], None]
) -> dict[str, Tensor]:
    """Train ``student`` for one round and return the running mean of its weights."""
    torch.manual_seed(seed + 1000 * number)
    chance = random.Random(seed + 1000 * number)
    epochs, highest = options.rounds[number]
    learnt = student.learnt()
    mean = {name: value.detach().clone() for name, value in learnt.items()}
    optimiser = torch.optim.AdamW(learnt.values(), lr=highest, weight_decay=0.01)
    step, steps = 0, 0
    student.train()
    for epoch in range(epochs):
        lesson = [_framed(example, given.frames, options, chance) for example in given.own]
        lesson += chance.sample(given.joined, min(options.joined, len(given.joined)))
        lesson += _everyday(student, given.everyday, options, chance, worst=epoch > 0)
        batches = _batches(lesson, options.batch, chance)
        steps = steps or epochs * len(batches)
        total = 0.0
        for batch in batches:
            step += 1
            rate = highest * min(1.0, step / 30) * max(0.02, 1.0 - step / steps)
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
        told(f"seed {seed}, round {number + 1}, pass {epoch + 1} of {epochs}: loss {total / len(batches):.3f}")
    return mean


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
