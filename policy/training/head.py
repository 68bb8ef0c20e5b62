"""Trains :mod:`policy.head` on the corpus: a few small networks, in minutes on a CPU, the same every time.

Several strategies and display emotions fit a situation, so each is a yes or no of its own (binary cross-entropy); the
mood is one of many. Noise on what is seen and heard, and senses that are missing, are part of every epoch, so that no
sense is relied on alone. The dev part decides when to stop.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from perception.context import ContextWindow, Entry
from perception.percept import EXPRESSION, GAZE, GESTURE, PROSODY, Percept
from policy.cues import cues_of
from policy.decision import LEARNED_EMOTIONS
from policy.embedding import Embed
from policy.head import FEATURES, STRATEGY_NAMES, Floats, features_of
from policy.reading import MOODS
from policy.training.corpus import Situation
from policy.training.scenes import window_of

_BATCH: Final = 32
_CHOICES: Final = len(STRATEGY_NAMES) + len(LEARNED_EMOTIONS)
_OUTPUTS: Final = _CHOICES + len(MOODS)
_CHOOSING, _MOOD = 3.0, 0.5
"""Weights of the two losses: what is decided, and what only helps to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How it is trained.

    Attributes:
        networks: that are averaged.
        hidden: units of each.
        epochs: at most.
        views: how often each situation is seen with other noise.
        rate: of AdamW.
        decay: of the weights.
        dropout: share of features that are left out in each step.
        seed: of everything that is random.
    """

    networks: int = 5
    hidden: int = 256
    epochs: int = 60
    views: int = 6
    rate: float = 1e-3
    decay: float = 0.05
    dropout: float = 0.5
    seed: int = 7


def train(found: Sequence[Situation], dev: Sequence[Situation], embed: Embed, recipe: Recipe | None = None) -> Any:
    """Return the weights, as ``safetensors`` writes them: name to float16 array.

    Args:
        found: what is trained on.
        dev: decides when to stop.
        embed: the sentence encoder.
        recipe: how.
    """
    import torch

    recipe = recipe or Recipe()
    rng = np.random.default_rng(recipe.seed)
    views = [_features(found, embed, None)]
    views += [_features(found, embed, rng) for _ in range(recipe.views - 1)]
    targets = torch.from_numpy(_targets(found))
    held, wanted = torch.from_numpy(_features(dev, embed, None)), torch.from_numpy(_targets(dev))
    weights: dict[str, Any] = {}
    for n in range(recipe.networks):
        torch.manual_seed(recipe.seed + n)
        network = torch.nn.Sequential(
            torch.nn.Dropout(recipe.dropout / 2),
            torch.nn.Linear(FEATURES, recipe.hidden),
            torch.nn.ReLU(),
            torch.nn.Dropout(recipe.dropout),
            torch.nn.Linear(recipe.hidden, _OUTPUTS),
        )
        optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        best, kept = float("inf"), network.state_dict()
        for epoch in range(recipe.epochs):
            network.train()
            features = torch.from_numpy(views[epoch % len(views)])
            order = torch.randperm(len(features))
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                optimiser.zero_grad()
                _loss(network(features[rows]), targets[rows]).backward()
                optimiser.step()
            network.eval()
            with torch.no_grad():
                missed = float(_loss(network(held), wanted))
            if missed < best:
                best, kept = missed, copy.deepcopy(network.state_dict())
        for ours, theirs in (("in.w", "1.weight"), ("in.b", "1.bias"), ("out.w", "4.weight"), ("out.b", "4.bias")):
            weights[f"{n}.{ours}"] = kept[theirs].numpy().astype(np.float16)
    return weights


def save(weights: Any, path: Path) -> None:
    """Write the weights."""
    from safetensors.numpy import save_file

    save_file(weights, path, metadata={"encoder": "all-MiniLM-L6-v2", "features": str(FEATURES)})


def _features(found: Sequence[Situation], embed: Embed, rng: np.random.Generator | None) -> Floats:
    windows = [window_of(s) for s in found]
    if rng is not None:
        windows = [_noisy(window, rng) for window in windows]
    return np.stack([features_of(cues_of(window), embed) for window in windows])


def _noisy(window: ContextWindow, rng: np.random.Generator) -> ContextWindow:
    """Let senses be missing, unsure, or wrong now and then."""
    gone = {kind for kind in (EXPRESSION, PROSODY, GAZE, GESTURE) if rng.random() < 0.15}
    entries: list[Entry] = []
    for entry in window.entries:
        if not isinstance(entry, Percept):
            entries.append(entry)
        elif entry.kind not in gone and not (entry.kind == EXPRESSION and rng.random() < 0.2):
            entries.append(_unsure(entry, rng))
    return replace(window, entries=tuple(entries))


def _unsure(percept: Percept, rng: np.random.Generator) -> Percept:
    sure = float(np.clip(percept.confidence + rng.normal(0, 0.12), 0.3, 0.98))
    data = dict(percept.data)
    shares = [name for name in data if name != "valence"]
    if percept.kind == EXPRESSION and shares:
        noisy = np.array([float(data[name]) for name in shares]) + rng.gamma(0.3, 0.12, len(shares))  # type: ignore[arg-type]
        data |= {name: float(value) for name, value in zip(shares, noisy / noisy.sum(), strict=True)}
    return replace(percept, confidence=sure, data=data)


def _targets(found: Sequence[Situation]) -> Floats:
    rows = np.zeros((len(found), _OUTPUTS), np.float32)
    names = (*STRATEGY_NAMES, *LEARNED_EMOTIONS, *MOODS)
    for row, situation in zip(rows, found, strict=True):
        row[[names.index(name) for name in situation.strategies]] = 1.0
        row[[len(STRATEGY_NAMES) + LEARNED_EMOTIONS.index(name) for name in situation.emotions]] = 1.0
        row[_CHOICES + MOODS.index(situation.mood)] = 1.0
    return rows


def _loss(outputs: Any, targets: Any) -> Any:
    import torch

    cut = [len(STRATEGY_NAMES), len(LEARNED_EMOTIONS), len(MOODS)]
    pairs = list(zip(torch.split(outputs, cut, -1), torch.split(targets, cut, -1), strict=True))
    choosing = sum(torch.nn.functional.binary_cross_entropy_with_logits(o, t) for o, t in pairs[:2])
    return _CHOOSING * choosing + _MOOD * torch.nn.functional.cross_entropy(*pairs[2], label_smoothing=0.02)
