"""How a tone sounds: the numbers behind each of :data:`policy.decision.TONES`.

Pitch, range, breath and tilt follow what listeners and corpora agree on for emotional speech (Scherer,
"Vocal communication of emotion", Speech Communication 40, 2003): comfort is slower, lower, flatter and
breathier, joy faster, higher and wider. Every setting keeps synthesised speech intelligible, which
``tests/agent/test_hibari.py`` holds to a word error rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from perception.timebase import MS, Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """One way of saying something. All factors are relative to the voice's own neutral.

    Attributes:
        speed: factor on the pace; 2 is twice as fast.
        pitch: factor on the mean of the fundamental frequency.
        range: factor on the spread of the fundamental around its mean, on a log scale; 0 is monotone.
        breath_db: decibels added to the noise in the voice.
        tilt_db: decibels taken off at half the sample rate, linearly less towards 0 Hz; more sounds softer.
        level_db: loudness relative to neutral, in decibels.
        clause_pause: silence after a comma, where text is cut there.
        sentence_pause: silence after a sentence.
    """

    speed: float = 1.0
    pitch: float = 1.0
    range: float = 1.0
    breath_db: float = 0.0
    tilt_db: float = 0.0
    level_db: float = 0.0
    clause_pause: Nanos = 140 * MS
    sentence_pause: Nanos = 320 * MS


NEUTRAL: Final = Tone()

_TABLE: Final[Mapping[str, Tone]] = MappingProxyType(
    {
        "neutral": NEUTRAL,
        "soft": Tone(
            speed=0.9,
            pitch=0.94,
            range=0.8,
            breath_db=5.2,
            tilt_db=13.0,
            level_db=-3.0,
            clause_pause=220 * MS,
            sentence_pause=520 * MS,
        ),
        "warm": Tone(
            speed=0.95,
            pitch=0.98,
            range=1.1,
            breath_db=2.0,
            tilt_db=5.0,
            level_db=-1.0,
            clause_pause=180 * MS,
            sentence_pause=400 * MS,
        ),
        "lively": Tone(
            speed=1.08,
            pitch=1.1,
            range=1.4,
            level_db=1.0,
            clause_pause=100 * MS,
            sentence_pause=220 * MS,
        ),
        "calm": Tone(
            speed=0.86,
            pitch=0.95,
            range=0.65,
            breath_db=1.0,
            tilt_db=6.0,
            level_db=-2.0,
            clause_pause=240 * MS,
            sentence_pause=560 * MS,
        ),
    }
)


def tone_of(name: str) -> Tone:
    """Return the settings of the tone called ``name``; an unknown one sounds neutral."""
    return _TABLE.get(name, NEUTRAL)
