"""Face and voice as numbers: what the projectors of the language model take in beside words and sound.

Both are vectors of fixed length over a span of time. What was not seen or heard is zero together with its flag, so
that *unknown* differs from *neutral*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from perception.percept import EXPRESSION, FACE, GAZE, GESTURE, LOOKS, MANNERS, PROSODY, UNCERTAIN, Percept
from perception.timebase import Nanos

Floats = NDArray[np.float32]

FACES: Final = LOOKS
VOICES: Final = MANNERS
MEASURES: Final = ("z_pitch", "z_range", "z_loudness", "z_rate", "z_tremor", "z_final")

LOOK: Final = len(FACES) + 10
"""Numbers of a look: expressions; seen, unsure, absent; valence; gaze known, away, towards; nod, shake, others."""

TONE: Final = len(VOICES) + 1 + len(MEASURES) + 1
"""Numbers of a tone: labels; heard; z-scores; whether those are known."""

_FAR: Final = 4.0
"""Z-scores are clipped here."""


def look(percepts: Iterable[Percept], start: Nanos, end: Nanos) -> Floats | None:
    """Return what the eyes noticed in a span, shape ``(LOOK,)``, or ``None`` if nothing was reported."""
    found = [p for p in percepts if p.start < end and p.end > start]
    faces = [p for p in found if p.kind == EXPRESSION]
    gazes = [p for p in found if p.kind == GAZE and p.label != UNCERTAIN]
    gestures = {p.label for p in found if p.kind == GESTURE and p.label != UNCERTAIN}
    absent = any(p.kind == FACE and p.label == "absent" for p in found)
    if not (faces or gazes or gestures or absent):
        return None
    out = np.zeros(LOOK, np.float32)
    known = [p for p in faces if p.label != UNCERTAIN]
    weight = sum(p.confidence for p in known)
    if weight > 0:
        told = sum((p.confidence * _shares(p) for p in known), np.zeros(len(FACES), np.float32))
        out[: len(FACES)] = told / weight
        out[len(FACES)] = 1.0
        out[len(FACES) + 3] = sum(p.confidence * p.number("valence") for p in known) / weight
    rest = out[len(FACES) :]
    rest[1] = 1.0 - len(known) / len(faces) if faces else 0.0
    rest[2] = absent
    rest[4] = bool(gazes)
    rest[5:7] = [sum(p.label == side for p in gazes) / max(1, len(gazes)) for side in ("away", "towards")]
    rest[7] = "nod" in gestures
    rest[8] = bool(gestures & {"head_shake", "shake"})
    rest[9] = bool(gestures - {"nod", "head_shake", "shake"})
    return out


def tone(percepts: Sequence[Percept], start: Nanos, end: Nanos) -> Floats | None:
    """Return how a voice sounded in a span, shape ``(TONE,)``, or ``None`` if nothing is known."""
    found = [p for p in percepts if p.kind == PROSODY and p.label != UNCERTAIN and p.start < end and p.end > start]
    if not found:
        return None
    out = np.zeros(TONE, np.float32)
    for p in found:
        if p.label in VOICES:
            place = VOICES.index(p.label)
            out[place] = max(out[place], p.confidence)
    out[len(VOICES)] = 1.0
    measured = [p for p in found if any(name in p.data for name in MEASURES)]
    if measured:
        values = [measured[-1].number(name) for name in MEASURES]
        out[len(VOICES) + 1 : -1] = np.clip(np.nan_to_num(values), -_FAR, _FAR) / 2
        out[-1] = 1.0
    return out


def _shares(percept: Percept) -> Floats:
    """Return a probability per expression, from the percept's numbers or else from its label."""
    told = np.array([percept.number(name) for name in FACES], np.float32)
    if not told.any():
        told = np.array([percept.confidence if name == percept.label else 0.0 for name in FACES], np.float32)
    return told
