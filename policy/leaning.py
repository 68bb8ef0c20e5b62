"""What a trained head makes of a moment; the rules of :mod:`policy.strategy` decide with it."""

from __future__ import annotations

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
