"""What is unusual about how something was said, for this speaker.

Everything is relative to the speaker: each measure is compared with the median and the median absolute
deviation of the speaker's own earlier phrases, because absolute levels say more about the microphone, and
absolute pitch more about the larynx, than about the mood. One sentence alone says little about melody and
pace, so those are averaged over the latest phrases first. These are rules over pitch and level, no
trained recogniser of emotions; the labels say what can be heard, not what is felt.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from perception.prosody import Measures

FLAT, TREMBLING, RISING, FALLING = "flat", "trembling", "rising", "falling"
LOUD, QUIET, SLOW, FAST, NEUTRAL = "loud", "quiet", "slow", "fast", "neutral"

PITCH, RANGE, LOUDNESS, RATE, TREMOR, FINAL = "pitch", "range", "loudness", "rate", "tremor", "final"

_SPREAD = {PITCH: 1.0, RANGE: 0.8, LOUDNESS: 1.5, RATE: 0.45, TREMOR: 0.025, FINAL: 2.0}
"""Smallest spread assumed, so that a very even start does not make everything unusual: semitones,
semitones, dB, syllables per second, share of the range, semitones."""
_USUAL = {RANGE: (6.0, 2.0), RATE: (4.7, 1.0), TREMOR: (0.10, 0.05)}
"""Median and spread over speakers, until the speaker is known. Loudness and pitch have none."""
_KNOWN = 5
_KEPT = 40
_FOUNDING = 8
_THEN_EVERY = 4
_LEARN_S = 0.6
_POOLED = frozenset({RANGE, RATE, TREMOR})
_POOL_S = 12.0
_POOL_PHRASES = 6


@dataclass(frozen=True, slots=True)
class Manner:
    """A judgement.

    Attributes:
        label: one of the nine labels.
        confidence: 0..1; at most 0.3 for the first phrases.
        z: by measure, how many spreads it lies above the speaker's median.
    """

    label: str
    confidence: float
    z: Mapping[str, float]


class Speaker:
    """What is usual for one speaker.

    It rests on the first eight phrases and, so that a mood that lasts does not become usual within a
    minute, on every fourth one after them.
    """

    def __init__(self) -> None:
        self._heard = 0
        self._known: dict[str, deque[float]] = {name: deque(maxlen=_KEPT) for name in _SPREAD}
        self._latest: deque[Measures] = deque(maxlen=_POOL_PHRASES - 1)

    @property
    def phrases(self) -> int:
        """Phrases that the baseline rests on, at most 40."""
        return len(self._known[PITCH])

    def learn(self, measures: Measures) -> None:
        """Take a finished phrase into what is usual."""
        self._latest.append(measures)
        if measures.voiced_s < _LEARN_S:
            return
        self._heard += 1
        if self._heard > _FOUNDING and self._heard % _THEN_EVERY:
            return
        for name, value in _values(measures).items():
            self._known[name].append(value)

    def judge(self, measures: Measures, *, finished: bool = True) -> Manner:
        """Compare a phrase with what is usual.

        Args:
            measures: of the phrase, or of its latest stretch.
            finished: whether its end was heard; without, its final pitch is not judged.
        """
        pool = self._pool(measures)
        z = {name: self._z(name, pool if name in _POOLED else [measures]) for name in _SPREAD}
        candidates = [
            (z[TREMOR] / 2.5, TREMBLING),
            (-z[RANGE] / 2.0, FLAT),
            (z[LOUDNESS] / 2.0, LOUD),
            (-z[LOUDNESS] / 2.0, QUIET),
            (z[RATE] / 2.0, FAST),
            (-z[RATE] / 2.0, SLOW),
        ]
        if finished:
            candidates.append((min(z[FINAL] / 2.0, measures.pitch_final_st / 3.0), RISING))
            candidates.append((min(-z[FINAL] / 2.0, -measures.pitch_final_st / 3.0), FALLING))
        strength, label = max(candidates)
        if strength < 1.0:
            return Manner(NEUTRAL, self._trust(measures) * (1.0 - max(0.0, strength) / 2), z)
        return Manner(label, self._trust(measures) * min(1.0, strength / 2), z)

    def _trust(self, measures: Measures) -> float:
        known = 1.0 if self.phrases >= _KNOWN else 0.3 * (1 + self.phrases) / (1 + _KNOWN)
        return known * min(1.0, measures.voiced_s)

    def _usual(self, name: str) -> tuple[float, float] | None:
        known = np.array(self._known[name])
        prior = _USUAL.get(name)
        if len(known) < 3:
            return prior
        median = float(np.median(known))
        spread = max(_SPREAD[name], 1.4826 * float(np.median(np.abs(known - median))))
        if prior is not None and len(known) < _KNOWN:
            return (median + prior[0]) / 2, max(spread, prior[1])
        return median, spread

    def _pool(self, measures: Measures) -> list[Measures]:
        pool = [measures]
        for phrase in reversed(self._latest):
            if sum(known.voiced_s for known in pool) + phrase.voiced_s > _POOL_S:
                break
            pool.append(phrase)
        return pool

    def _z(self, name: str, phrases: list[Measures]) -> float:
        """Return the distance from the median, in standard errors of it and of the phrases' mean."""
        usual = self._usual(name)
        if usual is None:
            return 0.0
        values, weights = zip(*((_values(phrase)[name], phrase.voiced_s) for phrase in phrases), strict=True)
        error = usual[1] * math.sqrt(1 / len(phrases) + math.pi / 2 / max(3, len(self._known[name])))
        return (float(np.average(values, weights=weights)) - usual[0]) / error


def _values(measures: Measures) -> dict[str, float]:
    return {
        PITCH: 12 * math.log2(measures.pitch_hz),
        RANGE: measures.pitch_range_st,
        LOUDNESS: measures.loudness_db,
        RATE: measures.rate_hz,
        TREMOR: measures.tremor_st / max(1.0, measures.pitch_range_st),
        FINAL: measures.pitch_final_st,
    }
