"""What the senses make of a face and a voice: a model of their errors, for windows that were written and not seen.

The corpus says "sad"; the face worker would have said sad 0.58, sad 0.73, uncertain, sad 0.79. :func:`noisy` draws such
a run: scores around those measured for that expression, correlated in time and smoothed as the worker smooths them, a
label off the scores, ``uncertain`` where they are too low; a manner of voice off a table of confusions; a look or a
gesture that is missed. :func:`hushed` takes senses away altogether.

The parameters stand in ``noise.toml`` with what each rests on; ``tools/fit_noise.py`` measures them anew. A percept
that carries a worker's own measurements (``raw_`` scores, z-scores) was perceived and is left as it is.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from perception.context import ContextWindow, Entry
from perception.percept import (
    BLINK,
    EXPRESSION,
    FACE,
    GAZE,
    GESTURE,
    LOOKS,
    PROSODY,
    TALKING,
    UNCERTAIN,
    Datum,
    Percept,
)
from perception.timebase import SECOND, Nanos

FILE: Final = Path(__file__).parent / "noise.toml"
CLASSES: Final = LOOKS
SENSES: Final[Mapping[str, frozenset[str]]] = {
    "voice": frozenset({PROSODY}),
    "face": frozenset({EXPRESSION, FACE, BLINK, TALKING}),
    "gaze": frozenset({GAZE}),
    "gesture": frozenset({GESTURE}),
}
"""Kinds of percept by the sense that is taken away. When speech began and ended is kept: it belongs to the words."""

_SEEN: Final = frozenset({"face", "gaze", "gesture"})
_FEW: Final = 1e-4
_VALENCE: Final[Mapping[str, float]] = {
    "happy": 0.85,
    "sad": -0.65,
    "angry": -0.5,
    "fear": -0.6,
    "disgust": -0.65,
    "surprise": 0.2,
}
"""Weights of the face worker's ``valence`` (frames of distress fall below 0, of joy above)."""

Scores = NDArray[np.float64]


class NoiseError(ValueError):
    """The parameters are not what they should be; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The parameters.

    Attributes:
        rows: mean scores by true expression, ``CLASSES`` order, each summing to 1.
        spread: standard deviation of the logits around them, between turns.
        jitter: standard deviation of the logits from one percept to the next, within a turn.
        correlation: of that jitter between percepts, 0..1.
        smoothing: time constant with which scores follow a change of expression.
        least: probability below which an expression is ``uncertain``.
        lost: share of expressions whose picture cannot be relied on: ``uncertain`` with confidence 0.
        talking: mean scores of a calm face that talks.
        talking_share: share of turns in which speech is read into the face at all.
        talking_weight: how much at most, 0..1.
        talking_noticed: share of such expressions at which the worker knows that the mouth talks.
        least_talking: ``least`` while the mouth talks.
        voices: probabilities of the label heard, by manner of voice.
        voice_sure: mean and standard deviation of the confidence of a manner heard.
        gazes: probabilities of the label seen, by true gaze.
        gaze_sure: likewise its confidence.
        gesture_missed: share of gestures that are not seen.
        gesture_sure: mean and standard deviation of the confidence of a gesture.
    """

    rows: Mapping[str, tuple[float, ...]]
    spread: float
    jitter: float
    correlation: float
    smoothing: Nanos
    least: float
    lost: float
    talking: tuple[float, ...]
    talking_share: float
    talking_weight: float
    talking_noticed: float
    least_talking: float
    voices: Mapping[str, Mapping[str, float]]
    voice_sure: tuple[float, float]
    gazes: Mapping[str, Mapping[str, float]]
    gaze_sure: tuple[float, float]
    gesture_missed: float
    gesture_sure: tuple[float, float]

    def __post_init__(self) -> None:
        for name, row in (*self.rows.items(), ("talking", self.talking)):
            _sums_to_one(f"expression {name}", row)
            if len(row) != len(CLASSES):
                raise NoiseError(f"expression {name} has {len(row)} scores, expected {len(CLASSES)}")
        if missing := set(CLASSES) - set(self.rows):
            raise NoiseError(f"expression lacks rows for {', '.join(sorted(missing))}")
        for table in (self.voices, self.gazes):
            for name, shares in table.items():
                _sums_to_one(f"confusion of {name}", tuple(shares.values()))
        for field in (
            "correlation",
            "least",
            "lost",
            "talking_share",
            "talking_weight",
            "talking_noticed",
            "gesture_missed",
        ):
            if not 0.0 <= getattr(self, field) <= 1.0:
                raise NoiseError(f"{field} is {getattr(self, field)}, expected a share")


def _sums_to_one(name: str, row: Sequence[float]) -> None:
    if min(row) < 0.0 or abs(sum(row) - 1.0) > 0.01:
        raise NoiseError(f"{name}: shares add up to {sum(row):.3f}, expected 1")


def read(path: Path = FILE) -> Noise:
    """Read the parameters.

    Raises:
        NoiseError: they are not what they should be.
    """
    table: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    look, voice, gaze, gesture = (table[name] for name in ("expression", "prosody", "gaze", "gesture"))
    return Noise(
        rows={name: tuple(row) for name, row in look["rows"].items()},
        spread=look["spread"],
        jitter=look["jitter"],
        correlation=look["correlation"],
        smoothing=round(look["smoothing_s"] * SECOND),
        least=look["least"],
        lost=look["lost"],
        talking=tuple(look["talking"]["row"]),
        talking_share=look["talking"]["share"],
        talking_weight=look["talking"]["weight"],
        talking_noticed=look["talking"]["noticed"],
        least_talking=look["talking"]["least"],
        voices=voice["rows"],
        voice_sure=tuple(voice["sure"]),
        gazes=gaze["rows"],
        gaze_sure=tuple(gaze["sure"]),
        gesture_missed=gesture["missed"],
        gesture_sure=tuple(gesture["sure"]),
    )


@cache
def fitted() -> Noise:
    """Return the parameters of ``noise.toml``."""
    return read()


def noisy(window: ContextWindow, rng: np.random.Generator, *, noise: Noise | None = None) -> ContextWindow:
    """Return ``window`` with its percepts as the workers would have reported them.

    Args:
        window: what was written, as :func:`policy.training.scenes.window_of` makes it.
        rng: decides all that is drawn; the same state gives the same window.
        noise: the parameters, by default the fitted ones.
    """
    noise = noise or fitted()
    face = _Face(noise, rng)
    entries: list[Entry] = []
    for entry in window.entries:
        if not isinstance(entry, Percept) or _measured(entry):
            entries.append(entry)
        elif entry.kind == EXPRESSION:
            entries.append(face.see(entry))
        elif entry.kind == PROSODY:
            entries.append(_drawn(entry, noise.voices, noise.voice_sure, rng))
        elif entry.kind == GAZE:
            entries.append(_drawn(entry, noise.gazes, noise.gaze_sure, rng))
        elif entry.kind == GESTURE:
            if rng.random() >= noise.gesture_missed:
                entries.append(replace(entry, confidence=_sure(noise.gesture_sure, rng)))
        else:
            entries.append(entry)
    return replace(window, entries=tuple(entries))


def hushed(window: ContextWindow, senses: Collection[str]) -> ContextWindow:
    """Return ``window`` without the percepts of ``senses``, and without the sound or pictures they are read from.

    Args:
        window: what was perceived.
        senses: any of :data:`SENSES`. The words stay.

    Raises:
        ValueError: a sense is none of them.
    """
    if unknown := set(senses) - set(SENSES):
        raise ValueError(f"{', '.join(sorted(unknown))} is no sense; known are {', '.join(SENSES)}")
    gone = frozenset(kind for sense in senses for kind in SENSES[sense])
    return replace(
        window,
        entries=tuple(e for e in window.entries if not (isinstance(e, Percept) and e.kind in gone)),
        audio=() if "voice" in senses else window.audio,
        frames=() if _SEEN & set(senses) else window.frames,
    )


def _measured(percept: Percept) -> bool:
    return any(key.startswith(("raw_", "z_")) for key in percept.data)


def _drawn(
    percept: Percept, table: Mapping[str, Mapping[str, float]], sure: tuple[float, float], rng: np.random.Generator
) -> Percept:
    row = table.get(percept.label)
    if row is None:
        return percept
    shares = np.array(list(row.values()))
    label = str(rng.choice(list(row), p=shares / shares.sum()))
    return replace(percept, label=label, confidence=0.0 if label == UNCERTAIN else _sure(sure, rng))


def _sure(moments: tuple[float, float], rng: np.random.Generator) -> float:
    """Draw a confidence from the beta distribution of this mean and standard deviation."""
    mean, deviation = moments
    weight = max(2.0, mean * (1.0 - mean) / deviation**2 - 1.0)
    return float(rng.beta(mean * weight, (1.0 - mean) * weight))


class _Face:
    """The run of expressions of one window."""

    def __init__(self, noise: Noise, rng: np.random.Generator) -> None:
        self._noise = noise
        self._rng = rng
        self._scores: Scores | None = None
        self._wobble = np.zeros(len(CLASSES))
        self._at: Nanos = 0
        self._label = ""
        self._target: Scores = np.full(len(CLASSES), 1.0 / len(CLASSES))
        self._talks = False

    def see(self, percept: Percept) -> Percept:
        """Return the percept that the worker would have given."""
        noise, rng = self._noise, self._rng
        if percept.label not in noise.rows:
            return replace(percept, confidence=float(rng.uniform(0.0, noise.least)))
        if percept.label != self._label or percept.start - self._at > SECOND:
            self._turn(percept.label, fresh=percept.start - self._at > SECOND)
        fresh = rng.normal(0.0, noise.jitter, len(CLASSES))
        self._wobble = noise.correlation * self._wobble + math.sqrt(1.0 - noise.correlation**2) * fresh
        wanted = _softmax(np.log(self._target + _FEW) + self._wobble)
        if self._scores is None:
            self._scores = wanted
        else:
            share = 1.0 - math.exp(-(percept.end - self._at) / noise.smoothing)
            self._scores = self._scores + share * (wanted - self._scores)
        self._at = percept.end
        shares = dict(zip(CLASSES, map(float, self._scores), strict=True))
        valence = sum(_VALENCE.get(name, 0.0) * share for name, share in shares.items())
        data: dict[str, Datum] = {**shares, "valence": valence}
        best = CLASSES[int(np.argmax(self._scores))]
        top = float(np.max(self._scores))
        if rng.random() < noise.lost:
            return replace(percept, label=UNCERTAIN, confidence=0.0, data=data)
        noticed = self._talks and rng.random() < noise.talking_noticed
        least = noise.least_talking if noticed else noise.least
        return replace(percept, label=best if top >= least else UNCERTAIN, confidence=top, data=data)

    def _turn(self, label: str, *, fresh: bool) -> None:
        """Draw what the networks make of this expression on this person's face."""
        noise, rng = self._noise, self._rng
        self._label = label
        if fresh:
            self._scores = None
            self._wobble = rng.normal(0.0, noise.jitter, len(CLASSES))
        scores = _softmax(np.log(np.array(noise.rows[label]) + _FEW) + rng.normal(0.0, noise.spread, len(CLASSES)))
        self._talks = rng.random() < noise.talking_share
        if self._talks:
            weight = rng.uniform(0.0, noise.talking_weight)
            scores = (1.0 - weight) * scores + weight * np.array(noise.talking)
        self._target = scores


def _softmax(logits: Scores) -> Scores:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())
