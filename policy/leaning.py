"""What a trained head makes of a moment; the rules of :mod:`policy.strategy` decide with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WAIT: Final = "wait"


@dataclass(frozen=True, slots=True)
class Leaning:
    """What the head makes of a moment; each sums to 1.

    Attributes:
        strategies: share per strategy, and for :data:`WAIT`.
        emotions: share per display emotion.
        moods: share per mood.
    """

    strategies: Mapping[str, float]
    emotions: Mapping[str, float]
    moods: Mapping[str, float]


def blend(head: Leaning, strategies: Mapping[str, float], emotions: Mapping[str, float], weight: float) -> Leaning:
    """Return the mean of a head's shares and of scores that each stand for *fits or not*.

    Args:
        head: shares.
        strategies: log-odds that each strategy fits.
        emotions: log-odds that each display emotion fits.
        weight: of the scores, where the head has 1.
    """
    return Leaning(_mixed(head.strategies, strategies, weight), _mixed(head.emotions, emotions, weight), head.moods)


def _mixed(shares: Mapping[str, float], scores: Mapping[str, float], weight: float) -> dict[str, float]:
    odds = {name: 1.0 / (1.0 + math.exp(-min(30.0, max(-30.0, score)))) for name, score in scores.items()}
    total = sum(odds.values()) or 1.0
    return {name: (share + weight * odds[name] / total) / (1.0 + weight) for name, share in shares.items()}
