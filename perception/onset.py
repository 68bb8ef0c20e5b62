"""Soft onsets: a voice that begins breathily is believed late by Silero, though it is plainly loud.

Silero's network doubts a breathy vowel ("Oh,") for up to half a second: its probability rises to a quarter and stays
there. :class:`SoftOnset` believes such a sound sooner where three things come together: the probability has risen for
some hops, they are about as loud as this person's voice, and all that was heard just before was far quieter. A
hum of a machine fails the second, and music or a fan that goes on fails the third.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from perception.silero import HOP

_SILENT_DB: Final = -90.0
_KNOWN: Final = 0.8
"""Probability from which a hop counts for the level of the person's voice."""
_FOLLOW: Final = 0.05
"""Share of a new hop in the level of the voice, which follows over about 20 hops."""
_LAG: Final = 4
"""Hops before the doubt that are left out: the sound begins up to so much before Silero's probability rises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftOptions:
    """When a doubtful sound counts as the beginning of a voice.

    Attributes:
        mean: mean probability over ``hops`` from which it does; above 1, never.
        least: least probability of each of them.
        hops: consecutive hops of 32 ms.
        below_voice_db: how far their mean level may lie below the level of the person's voice.
        above_room_db: how far it has to lie above all that was heard before it.
        before: hops before it that have to be so quiet.
        first_db: stands for the level of the voice before any was heard, dBFS.
    """

    mean: float = 0.25
    least: float = 0.12
    hops: int = 4
    below_voice_db: float = 6.0
    above_room_db: float = 20.0
    before: int = 6
    first_db: float = -24.0

    def __post_init__(self) -> None:
        if self.hops < 1 or self.before < 1:
            raise ValueError(f"hops and before are at least 1, got {self.hops} and {self.before}")


def level_db(sound: NDArray[np.float32]) -> float:
    """Return the level of ``sound`` in dBFS, at least -90."""
    power = float(np.mean(np.square(sound, dtype=np.float64))) if len(sound) else 0.0
    return max(_SILENT_DB, 10.0 * float(np.log10(power + 1e-12)))


class SoftOnset:
    """A pure state machine over the probabilities and levels of consecutive hops.

    Args:
        options: when it believes.
    """

    def __init__(self, options: SoftOptions) -> None:
        self._o = options
        self._voice_db = options.first_db
        self.reset()

    def reset(self) -> None:
        """Forget what was heard just now, as after a break in the sound; the level of the voice stays."""
        keep = self._o.hops + _LAG + self._o.before
        self._recent: deque[tuple[float, float]] = deque(maxlen=keep)

    def step(self, probability: float, level: float, end: int) -> int | None:
        """Take in the next hop; return where a soft voice began, if it is believed with this hop.

        Args:
            probability: Silero's, 0..1.
            level: of the hop, dBFS.
            end: index of the first sample after the hop.
        """
        o = self._o
        if probability >= _KNOWN:
            self._voice_db += _FOLLOW * (level - self._voice_db)
        self._recent.append((probability, level))
        heard = list(self._recent)
        now, before = heard[-o.hops :], heard[: -o.hops - _LAG]
        if len(before) < o.before:
            return None
        believed = [p for p, _ in now]
        if sum(believed) < o.mean * o.hops or min(believed) < o.least:
            return None
        mean = sum(db for _, db in now) / o.hops
        loud = mean >= self._voice_db - o.below_voice_db
        fresh = mean >= max(db for _, db in before) + o.above_room_db
        return end - o.hops * HOP if loud and fresh else None
