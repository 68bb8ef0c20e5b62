"""A voice without a model: a sine that lasts as long as the words would.

For tests and for replays that must repeat exactly on any machine. Nobody should have to listen to it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import numpy as np
from numpy.typing import NDArray

from agent.spoken import clauses
from agent.tone import Tone, tone_of
from perception.media import AudioChunk
from perception.timebase import MS, Nanos, from_ticks, to_ticks
from perception.workers import Resolve

RATE_HZ = 16_000
CHARACTER: Nanos = 60 * MS
"""Time that one letter or digit takes at speed 1; the gap between two words takes as long."""

_PITCH_HZ = 200.0
_LEVEL = 0.1
_FADE = to_ticks(5 * MS, RATE_HZ)
_PIECE = to_ticks(100 * MS, RATE_HZ)


def load(*, resolve: Resolve) -> PlainVoice:
    """Return the voice; there is nothing to load."""
    return PlainVoice()


class PlainVoice:
    """A sine per word; see the module."""

    name = "plain"
    rate_hz = RATE_HZ

    async def say(self, text: str, tone: str, /) -> AsyncGenerator[AudioChunk, None]:
        """Yield the sound of ``text`` in pieces of at most 100 ms, clause by clause."""
        how = tone_of(tone)
        at = 0
        for clause in clauses(text, how):
            words = np.concatenate([_word(word, how) for word in clause.text.split()])
            for part in (words, np.zeros(to_ticks(clause.pause, RATE_HZ), np.float32)):
                for begin in range(0, len(part), _PIECE):
                    piece = part[begin : begin + _PIECE].copy()
                    yield AudioChunk(piece, from_ticks(at, RATE_HZ), RATE_HZ)
                    at += len(piece)

    def close(self) -> None:
        """Do nothing: it holds nothing."""


def _word(word: str, tone: Tone) -> NDArray[np.float32]:
    """Return the sine of one word and the gap after it, float32 of shape ``(n,)``."""
    step = to_ticks(round(CHARACTER / tone.speed), RATE_HZ)
    length = step * sum(c.isalnum() for c in word)
    sound = np.sin(2.0 * np.pi * _PITCH_HZ * tone.pitch / RATE_HZ * np.arange(length))
    sound *= _LEVEL * 10.0 ** (tone.level_db / 20.0)
    fade = min(_FADE, length // 2)
    ramp = np.linspace(0.0, 1.0, fade)
    sound[:fade] *= ramp
    sound[length - fade :] *= ramp[::-1]
    return np.concatenate((sound, np.zeros(step))).astype(np.float32)
