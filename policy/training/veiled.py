"""Trains the reader of veiled danger (:mod:`policy.veiled`): low-rank updates of MiniLM and a head, for some members.

The sentences are ``policy/training/danger.toml``, ``policy/data/danger.toml`` and, as everyday talk, what people say in
the corpus where no situation calls for safety. Members differ by their seed; what is kept of each is the running mean
of its weights. ``python tools/train_veiled.py`` runs it, on the CPU in some minutes.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policy.safety import KINDS
from policy.training import corpus
from policy.veiled import LAYERS, MOST_TOKENS, PLACES, SCALE, WIDTH
from policy.words import load_table, plain

CLASSES: Final = ("none", *KINDS)
FOLDER: Final = Path(__file__).parent
HELD_CORPUS: Final = ("w7", "w8")
"""Parts of the corpus that no member sees, so that false alarms can be measured on them."""

Example = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it is trained.

    Attributes:
        seeds: one member each.
        rank: of the updates.
        epochs: passes over the sentences.
        joined: joined sentences in each pass.
        everyday: turns of the corpus in each pass.
        rate: highest learning rate.
        batch: sentences per step.
        mean: share of the running mean that a step keeps.
        smooth: share of a label that is spread over the others.
        away: chance that a danger is carried elsewhere, and so is harmless.
        dress: chance that a sentence is dressed.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    rank: int = 8
    epochs: int = 7
    joined: int = 600
    everyday: int = 350
    rate: float = 1.5e-3
    batch: int = 24
    mean: float = 0.99
    smooth: float = 0.05
    away: float = 0.06
    dress: float = 0.1


@dataclass(frozen=True, slots=True)
class Sentences:
    """What is learned from, each sentence with its class.

    Attributes:
        own: written one by one.
        joined: starts joined with ends, of which some go into each pass.
        everyday: turns of the corpus, likewise.
        frames: ``away`` and ``dress``.
    """

    own: Sequence[Example]
    joined: Sequence[Example]
    everyday: Sequence[Example]
    frames: Mapping[str, Sequence[str]]


class SentenceError(ValueError):
    """The file breaks its schema; the message names file, entry and field."""


def examples() -> Sentences:
    """Return all sentences.

    Raises:
        SentenceError: the file breaks its schema.
    """
    table, old = tomllib.loads((FOLDER / "danger.toml").read_text(encoding="utf-8")), load_table("danger")
    check(table)
    own: list[Example] = []
    for source in (table["danger"], old["veiled"]):
        own += [(text, CLASSES.index(kind)) for kind, texts in source.items() for text in texts]
    for texts in (*table["harmless"].values(), old["harmless"]["utterances"]):
        own += [(text, 0) for text in texts]
    everyday = [(text, 0) for text in sorted(set(_everyday()))]
    return Sentences(own, list(_joined(table["contrast"])), everyday, table["frames"])


def check(table: Mapping[str, Any]) -> None:
    """Check ``danger.toml``.

    Raises:
        SentenceError: it breaks the schema.
    """
    for section, known in (("danger", KINDS), ("harmless", None), ("frames", ("away", "dress"))):
        groups = table.get(section)
        if not isinstance(groups, Mapping) or not groups:
            raise SentenceError(f"danger.toml: [{section}] is missing")
        for group, texts in groups.items():
            if known is not None and group not in known:
                raise SentenceError(f"danger.toml: [{section}] {group} is none of {', '.join(known)}")
            _texts(texts, f"[{section}] {group}")
    for frame in (frame for group in table["frames"].values() for frame in group):
        if frame.count("{}") != 1:
            raise SentenceError(f"danger.toml: [frames] {frame!r} needs {{}} once, where the sentence goes")
    for number, contrast in enumerate(table.get("contrast", ()), 1):
        if contrast.get("kind") not in KINDS:
            raise SentenceError(f"danger.toml: [[contrast]] {number} kind is none of {', '.join(KINDS)}")
        for name in ("starts", "danger", "harmless"):
            _texts(contrast.get(name), f"[[contrast]] {number} {name}")


def _texts(texts: object, where: str) -> None:
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t.strip() for t in texts):
        raise SentenceError(f"danger.toml: {where} is no list of sentences")


def _joined(tables: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    for table in tables:
        for label, ends in ((CLASSES.index(table["kind"]), table["danger"]), (0, table["harmless"])):
            for start in table["starts"]:
                yield from ((f"{start} {end}", label) for end in ends if f"{start} {end}" not in table["never"])


def _everyday() -> Iterator[str]:
    for situation in corpus.situations():
        if "safety" not in situation.strategies and not situation.id.startswith(HELD_CORPUS):
            yield from (turn.text for turn in situation.turns if turn.who == "person")


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
        for name, tensor in _member(path, options, seed, given, told).items():
            found[f"{member}.{name}"] = tensor.numpy().astype(np.float16)
    return found


def _member(
    path: Path, options: Options, seed: int, given: Sentences, told: Callable[[str], None]
) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    chance = random.Random(seed)
    student = Student(path, options.rank)
    learnt = student.learnt()
    mean = {name: value.detach().clone() for name, value in learnt.items()}
    optimiser = torch.optim.AdamW(learnt.values(), lr=options.rate, weight_decay=0.01)
    step, steps = 0, 0
    student.train()
    for epoch in range(options.epochs):
        lesson = [_framed(example, given.frames, options, chance) for example in given.own]
        for some, most in ((given.joined, options.joined), (given.everyday, options.everyday)):
            lesson += chance.sample(some, min(most, len(some)))
        batches = _batches(lesson, options.batch, chance)
        steps = steps or options.epochs * len(batches)
        total = 0.0
        for batch in batches:
            step += 1
            rate = options.rate * min(1.0, step / 30) * max(0.02, 1.0 - step / steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            labels = torch.tensor([label for _, label in batch])
            scores = student([_spoken(text, chance) for text, _ in batch])
            loss = nn.functional.cross_entropy(scores, labels, label_smoothing=options.smooth)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(list(learnt.values()), 1.0)
            optimiser.step()
            keep = min(options.mean, step / (step + 10))
            for name, value in learnt.items():
                mean[name].lerp_(value.detach(), 1.0 - keep)
            total += loss.item()
        told(f"seed {seed}, pass {epoch + 1} of {options.epochs}: loss {total / len(batches):.3f}")
    return mean


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
