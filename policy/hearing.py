"""The sound of one call as the language model takes it in: encoder states by span, each computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np

from perception.context import ContextWindow
from perception.media import RATE_HZ, AudioChunk
from perception.timebase import Nanos, to_ticks
from policy.script import Heard
from policy.signals import Floats
from policy.sound import Ears

_KEPT: Final = 256
"""Spans that are remembered, about eight minutes of speech: longer than a window's turns."""


class Hearing:
    """Remembers the states of spans whose sound has long left the window. Belongs to one call and one thread."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._known: OrderedDict[tuple[Nanos, Nanos], Floats] = OrderedDict()

    def of(self, window: ContextWindow) -> Heard:
        """Return what gives the states of a span: from memory, or from the sound in ``window``."""

        def states(begin: Nanos, stop: Nanos) -> Floats | None:
            key = (begin, stop)
            if key not in self._known:
                sound = between(window.audio, begin, stop)
                if sound is None:
                    return None
                self._known[key] = self._ears.states(sound)
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            return self._known[key]

        return states


def between(audio: tuple[AudioChunk, ...], begin: Nanos, stop: Nanos) -> Floats | None:
    """Return the samples of a span, shape ``(n,)`` at 16 kHz, gaps as zeros; ``None`` where its start is missing."""
    found = [chunk for chunk in audio if chunk.start < stop and chunk.end > begin]
    if not found or found[0].start > begin or any(chunk.rate_hz != RATE_HZ for chunk in found):
        return None
    return filled(found, begin, stop)


def filled(audio: Sequence[AudioChunk], begin: Nanos, stop: Nanos) -> Floats:
    """Return the samples of a span, shape ``(n,)`` at 16 kHz, zeros wherever nothing is known."""
    out = np.zeros(to_ticks(stop - begin, RATE_HZ), np.float32)
    for chunk in audio:
        if chunk.start >= stop or chunk.end <= begin or chunk.rate_hz != RATE_HZ:
            continue
        at = to_ticks(chunk.start - begin, RATE_HZ)
        first = max(0, -at)
        part = chunk.samples[first : len(out) - at]
        out[at + first : at + first + len(part)] = part
    return out
