"""Trains the classifier of danger (:mod:`policy.safety.classifier`): low-rank updates of MPNet's lower part and a head.

It learns from conversations (:mod:`policy.training.danger_talks`), each turn of which is a window, and from sentences
(:mod:`policy.training.veiled_sentences`), of which each pass takes some, alone or behind turns of a harmless
conversation. Of everyday talk, each pass takes windows that are read worst, and some others. What is kept is the
running mean of the weights. ``python tools/train_veiled.py`` runs it.
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

from policy.safety.classifier import CLASSES, LAYERS, MOST_TOKENS, PLACES, SCALE, checked, join
from policy.safety.detector import KINDS
from policy.training.danger_talks import ANY, EITHER, HINT, NONE, PLAIN, SAFE, Example, Talk, Turns
from policy.training.veiled_sentences import Sentences
from policy.words import plain

_READ_AT_ONCE: Final = 64

Updates = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it is trained.

    Attributes:
        seeds: one member each.
        rank: of the updates.
        lowest: layers below it keep the updates that they began with.
        epochs: passes over the conversations.
        rate: highest learning rate of the updates.
        head_rate: the same of the head.
        harmless: share of the harmless turns of conversations that each pass takes; of those with danger it takes all.
        sentences: of those written one by one, in each pass.
        joined: joined sentences in each pass.
        stated: of what is said outright, or denied, in each pass.
        everyday: windows of the corpus in each pass.
        drawn: windows of the corpus from which they are taken: half of them those that are read worst.
        batch: windows per step.
        mean: share of the running mean that a step keeps.
        smooth: share of a label that is spread over all classes.
        away: chance that the danger of a sentence is carried elsewhere, and so is harmless.
        dress: chance that a sentence is dressed.
        behind: chance that a sentence, or a conversation's beginning, stands behind turns of a harmless conversation.
    """

    seeds: tuple[int, ...] = (2,)
    rank: int = 16
    lowest: int = 4
    epochs: int = 1
    rate: float = 2e-4
    head_rate: float = 5e-4
    harmless: float = 0.6
    sentences: int = 1200
    joined: int = 200
    stated: int = 800
    everyday: int = 600
    drawn: int = 1200
    batch: int = 32
    mean: float = 0.99
    smooth: float = 0.03
    away: float = 0.06
    dress: float = 0.1
    behind: float = 0.25


@dataclass(frozen=True, slots=True)
class Given:
    """What is learned from.

    Attributes:
        talks: each turn with danger once in a pass.
        sentences: of which each pass takes some.
    """

    talks: Sequence[Talk]
    sentences: Sentences


class Updated(nn.Module):
    """A linear layer with a low-rank update, which is of 32-bit floats whatever the layer is of."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.folded = False

    def fold(self) -> None:
        """Add the update to the layer for good, which saves its time where it is not trained."""
        with torch.no_grad():
            self.base.weight += (self.b @ self.a * SCALE).to(self.base.weight.dtype)
        self.folded = True

    def forward(self, x: Tensor) -> Tensor:
        """Return the updated product; shape ``(..., out)``."""
        if self.folded:
            whole: Tensor = self.base(x)
            return whole
        a, b = self.a.to(x.dtype), self.b.to(x.dtype)
        found: Tensor = self.base(x) + (x @ a.T) @ b.T * SCALE
        return found


class Student(nn.Module):
    """MPNet's lower layers with updates in each, and the head over the mean and the highest of the last turn's outputs.

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
        self.base.encoder.layer = self.base.encoder.layer[:LAYERS]
        for module in self.base.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # the updates are small enough; to draw for it takes a quarter of the time
        self.updates: dict[str, Updated] = {}
        for number, place in ((n, p) for n in range(len(self.base.encoder.layer)) for p in PLACES):
            owner: Any = self.base.encoder.layer[number]
            *names, last = place.split(".")
            for name in names:
                owner = getattr(owner, name)
            updated = Updated(getattr(owner, last), rank)
            setattr(owner, last, updated)
            self.updates[f"{number}.{place}"] = updated
        self.head = nn.Linear(2 * self.base.config.hidden_size, CLASSES)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, windows: Sequence[Sequence[str]]) -> Tensor:
        """Return scores, shape ``(len(windows), 9)``."""
        joined = [join([self._tokenizer.encode(turn).ids for turn in checked(window)]) for window in windows]
        longest = max(len(ids) for ids, _ in joined)
        ids, mask, last = (torch.zeros((len(joined), longest), dtype=torch.long) for _ in range(3))
        for row, (found, begin) in enumerate(joined):
            ids[row, : len(found)] = torch.tensor(found)
            mask[row, : len(found)] = 1
            last[row, begin : len(found)] = 1
        hidden = self.base(input_ids=ids, attention_mask=mask).last_hidden_state
        kept = last.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * kept).sum(1) / kept.sum(1)
        highest = hidden.masked_fill(kept == 0, -1e4).amax(1)
        scores: Tensor = self.head(torch.cat([mean, highest], -1))
        return scores

    def learnt(self) -> dict[str, nn.Parameter]:
        """Return what can be trained, by the name under which it is kept."""
        found = {f"{name}.{side}": getattr(layer, side) for name, layer in self.updates.items() for side in ("a", "b")}
        return found | {"head.weight": self.head.weight, "head.bias": self.head.bias}

    def begin(self, start: Mapping[str, NDArray[Any]], lowest: int) -> dict[str, nn.Parameter]:
        """Take over what was learnt before, and return what is to be trained: the layers from ``lowest`` on, the head.

        What ``start`` holds for layers that are not there, or for another head, is passed over.
        """
        learnt = self.learnt()
        with torch.no_grad():
            for name, value in start.items():
                if name in learnt and learnt[name].shape == value.shape:
                    learnt[name].copy_(torch.from_numpy(value.astype(np.float32)))
        for name, layer in self.updates.items():
            if int(name.partition(".")[0]) < lowest:
                layer.fold()
        for name, parameter in learnt.items():
            number = name.partition(".")[0]
            parameter.requires_grad_(number == "head" or int(number) >= lowest)
        return {name: parameter for name, parameter in learnt.items() if parameter.requires_grad}


def train(
    path: Path,
    options: Options,
    given: Given,
    seed: int,
    told: Callable[[str], None] = lambda _: None,
    *,
    start: Mapping[str, NDArray[Any]] | None = None,
    kept: Path | None = None,
) -> Updates:
    """Train one member and return what it learnt by name, the running mean of it.

    Args:
        path: folder of the base.
        options: how.
        given: what is learned from.
        seed: of the first updates and of the order.
        told: takes a line after each pass.
        start: what an earlier run learnt; without it all layers are trained, whatever ``options.lowest`` is.
        kept: file in which a pass is kept when it is done, and from which a run goes on that was broken off.
    """
    torch.manual_seed(seed)
    student = Student(path, options.rank, torch.bfloat16)
    trained = student.begin(start or {}, options.lowest if start else 0)
    head = [trained[name] for name in trained if name.startswith("head")]
    body = [trained[name] for name in trained if not name.startswith("head")]
    groups = [{"params": body, "highest": options.rate}, {"params": head, "highest": options.head_rate}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    mean = {name: value.detach().clone() for name, value in student.learnt().items()}
    done, step = _go_on(kept, trained, mean, optimiser)
    student.train()
    for epoch in range(done, options.epochs):
        chance = random.Random(f"{seed}.{epoch}")
        batches = _batches(_lesson(student, options, given, chance, first=epoch == 0), options.batch, chance)
        total = 0.0
        for number, batch in enumerate(batches):
            step += 1
            over = (epoch + number / len(batches)) / options.epochs
            for group in optimiser.param_groups:
                group["lr"] = group["highest"] * min(1.0, 20.0 * over + 0.01) * max(0.02, 1.0 - over)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = student([_spoken(turns, chance) for turns, _ in batch]).float()
            loss = loss_of(scores, [label for _, label in batch], options.smooth)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
            optimiser.step()
            keep = min(options.mean, step / (step + 10))
            for name, value in trained.items():
                mean[name].lerp_(value.detach(), 1.0 - keep)
            total += loss.item()
        told(f"seed {seed}, pass {epoch + 1} of {options.epochs}: loss {total / len(batches):.3f}")
        _keep(kept, trained, mean, optimiser, epoch + 1, step)
    return {name: value.numpy() for name, value in mean.items()}


def named(runs: Sequence[Updates]) -> dict[str, NDArray[np.float16]]:
    """Return what several runs learnt as it is written: each tensor under ``MEMBER.NAME``."""
    return {
        f"{member}.{name}": value.astype(np.float16) for member, run in enumerate(runs) for name, value in run.items()
    }


def member_of(tensors: Mapping[str, NDArray[Any]], member: int) -> Updates:
    """Return what one member learnt, of what :func:`named` has written."""
    prefix = f"{member}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def loss_of(scores: Tensor, labels: Sequence[int], smooth: float) -> Tensor:
    """Return the mean cross entropy; of a label that several classes fit, that of its being any of them."""
    logs = torch.log_softmax(scores, -1)
    allowed = torch.tensor([[one in _classes(label) for one in range(CLASSES)] for label in labels])
    right = torch.logsumexp(logs.masked_fill(~allowed, -torch.inf), -1)
    return -((1.0 - smooth) * right + smooth * logs.mean(-1)).mean()


def _classes(label: int) -> Sequence[int]:
    if label == ANY:
        return range(HINT, CLASSES)
    if label < EITHER:
        return (label,)
    return (label - EITHER + HINT, label - EITHER + PLAIN)


def _keep(
    path: Path | None,
    trained: Mapping[str, Tensor],
    mean: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    done: int,
    step: int,
) -> None:
    from safetensors.torch import save_file

    if path is None:
        return
    found = {f"mean.{name}": value for name, value in mean.items()}
    for name, value in trained.items():
        state = optimiser.state[value]
        found |= {f"now.{name}": value.detach()} | {f"{key}.{name}": state[key] for key in _MOMENTS}
    fresh = path.with_name(f".{path.name}.new")
    save_file({name: value.contiguous() for name, value in found.items()}, fresh, {"done": f"{done} {step}"})
    fresh.replace(path)


def _go_on(
    path: Path | None, trained: Mapping[str, Tensor], mean: Mapping[str, Tensor], optimiser: torch.optim.Optimizer
) -> tuple[int, int]:
    """Take over what was kept; return the passes and the steps that are done."""
    from safetensors import safe_open

    if path is None or not path.is_file():
        return 0, 0
    with torch.no_grad(), safe_open(path, "pt") as found:
        done, step = map(int, found.metadata()["done"].split())
        for name, value in mean.items():
            value.copy_(found.get_tensor(f"mean.{name}"))
        for name, value in trained.items():
            value.copy_(found.get_tensor(f"now.{name}"))
            optimiser.state[value] = {"step": torch.tensor(float(step))}
            optimiser.state[value] |= {key: found.get_tensor(f"{key}.{name}") for key in _MOMENTS}
    return done, step


_MOMENTS: Final = ("exp_avg", "exp_avg_sq")


def _lesson(student: Student, options: Options, given: Given, chance: random.Random, *, first: bool) -> list[Example]:
    """Return the examples of one pass."""
    safe = [talk.turns for talk in given.talks if talk.kind == SAFE]
    sentences = given.sentences
    own = chance.sample(sentences.own, min(options.sentences, len(sentences.own)))
    lesson = [_framed(example, sentences.frames, options, chance) for example in own]
    for pool, number in ((sentences.joined, options.joined), (sentences.stated, options.stated)):
        lesson += chance.sample(pool, min(number, len(pool)))
    told = (window for talk in given.talks for window in talk.windows())
    lesson += [(turns, label) for turns, label in told if label != NONE or chance.random() < options.harmless]
    lesson = [_behind(example, safe, options, chance) for example in lesson]
    return lesson + _everyday(student, sentences.everyday, options, chance, worst=not first)


def _everyday(
    student: Student, pool: Sequence[Example], options: Options, chance: random.Random, *, worst: bool
) -> list[Example]:
    """Draw everyday talk; with ``worst``, half of it is what is taken for danger most."""
    drawn = chance.sample(pool, min(options.drawn if worst else options.everyday, len(pool)))
    if not worst or len(drawn) <= options.everyday:
        return drawn
    drawn.sort(key=_length)
    shares: list[float] = []
    student.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for at in range(0, len(drawn), _READ_AT_ONCE):
            scores = student([turns for turns, _ in drawn[at : at + _READ_AT_ONCE]]).float()
            shares += torch.softmax(scores, -1)[:, NONE].tolist()
    student.train()
    order = sorted(range(len(drawn)), key=shares.__getitem__)
    half = options.everyday // 2
    return [drawn[n] for n in (*order[:half], *chance.sample(order[half:], options.everyday - half))]


def _framed(example: Example, frames: Mapping[str, Sequence[str]], options: Options, chance: random.Random) -> Example:
    (*before, text), label = example
    if label != NONE and chance.random() < options.away:
        return (*before, chance.choice(frames["away"]).format(text.lower())), NONE
    if chance.random() < options.dress:
        return (*before, chance.choice(frames["dress"]).format(text)), label
    return example


def _behind(example: Example, safe: Sequence[Turns], options: Options, chance: random.Random) -> Example:
    """Put what is said first in a conversation behind turns of a harmless one, where chance wants it."""
    turns, label = example
    if len(turns) > 1 or not safe or chance.random() >= options.behind:
        return example
    before = chance.choice(safe)
    return (*before[: chance.randint(1, min(3, len(before)))], *turns), label


def _spoken(turns: Turns, chance: random.Random) -> Turns:
    """Return a window as it might be heard: without its punctuation, or its last turn without a word."""
    if chance.random() < 0.4:
        turns = tuple(plain(text) or text for text in turns)
    words = turns[-1].split()
    if len(words) > 5 and chance.random() < 0.2:
        words.pop(chance.randrange(len(words)))
    return (*turns[:-1], " ".join(words))


def _batches(lesson: list[Example], size: int, chance: random.Random) -> list[list[Example]]:
    """Shuffle, and put windows of like length together, so that little is padded."""
    chance.shuffle(lesson)
    found: list[list[Example]] = []
    for at in range(0, len(lesson), size * 20):
        near = sorted(lesson[at : at + size * 20], key=_length)
        found += [near[i : i + size] for i in range(0, len(near), size)]
    chance.shuffle(found)
    return found


def _length(example: Example) -> int:
    return sum(map(len, example[0]))


assert len(KINDS) * 2 + 1 == CLASSES
