"""From a manner of the corpus to the settings of a voice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agent.tone import NEUTRAL, Tone
from perception.timebase import Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How something is said.

    Attributes:
        tone: pace, pitch, range, breath, tilt, level and pauses, relative to the speaker's neutral.
        tremor_st: amplitude in semitones of a wobble of the pitch; the level wobbles along.
        tremor_hz: its frequency.
        final_st: semitones by which the pitch is bent at the end of each sentence.
    """

    tone: Tone = NEUTRAL
    tremor_st: float = 0.0
    tremor_hz: float = 6.0
    final_st: float = 0.0


PLAIN = Delivery()


def delivery(manner: str, rng: np.random.Generator) -> Delivery:
    """Draw one way of saying something in a manner.

    The depths are those that :class:`perception.manner.Speaker` tells from a neutral baseline and that still leave
    the words intelligible.

    Args:
        manner: one of :data:`policy.training.corpus.VOICES`; ``""`` and ``neutral`` are spoken alike.
        rng: of the variation; nobody says two things alike.

    Raises:
        ValueError: there is no such manner.
    """
    speed, pitch, range_ = rng.uniform(0.95, 1.05), rng.uniform(0.97, 1.03), rng.uniform(0.9, 1.1)
    pauses = rng.uniform(0.8, 1.5)
    depth = rng.uniform(0.0, 1.0)
    usual = replace(_paused(NEUTRAL, pauses), speed=speed, pitch=pitch, range=range_)

    def between(least: float, most: float) -> float:
        return least + depth * (most - least)

    if manner in {"", "neutral"}:
        return Delivery(tone=usual)
    if manner == "flat":
        return Delivery(tone=replace(usual, range=between(0.15, 0.0), pitch=0.96 * pitch))
    if manner == "trembling":
        tone = replace(usual, range=0.5, level_db=-2.0, breath_db=2.0)
        return Delivery(tone=tone, tremor_st=between(1.0, 1.6), tremor_hz=rng.uniform(5.5, 7.0))
    if manner in {"rising", "falling"}:
        return Delivery(tone=usual, final_st=between(8.0, 11.0) * (1 if manner == "rising" else -1))
    if manner == "loud":
        return Delivery(tone=replace(usual, level_db=between(8.0, 12.0), pitch=1.1 * pitch, range=1.1 * range_))
    if manner == "quiet":
        return Delivery(tone=replace(usual, level_db=between(-7.0, -10.0), breath_db=3.0, tilt_db=8.0))
    if manner == "slow":
        return Delivery(tone=replace(_paused(NEUTRAL, 1.5 * pauses), speed=between(0.72, 0.6), pitch=pitch))
    if manner == "fast":
        return Delivery(tone=replace(_paused(NEUTRAL, 0.75 * pauses), speed=between(1.45, 1.7), pitch=pitch))
    raise ValueError(f"no manner {manner!r} is known to the voices")


def _paused(tone: Tone, factor: float) -> Tone:
    def longer(pause: Nanos) -> Nanos:
        return round(pause * factor)

    return replace(tone, clause_pause=longer(tone.clause_pause), sentence_pause=longer(tone.sentence_pause))
