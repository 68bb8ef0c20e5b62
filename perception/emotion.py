"""What a face expresses: two small classifiers, averaged, smoothed, and read against the person's own rest.

``facex`` (200 x 200) and ``fer`` (64 x 64) err on different faces. On a woman who first cries and then laughs
their mean never calls the crying happy, which a smile detector does: the mouth of a crying face is drawn
wide like that of a smiling one. So a smile alone is never read as joy here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from perception.facemesh import Face, Movements
from perception.litert import Floats, Network
from perception.percept import LOOKS, UNCERTAIN
from perception.pixels import Pixels, cut, square_around, to_unit
from perception.timebase import SECOND, Nanos

CLASSES: Final = LOOKS
NEUTRAL: Final = CLASSES.index("neutral")

VALENCE: Final = np.array([-0.5, -0.65, -0.6, 0.85, 0.0, -0.65, 0.2])
"""How pleasant each class is, -1..1."""

_FER_ORDER: Final = np.array([0, 1, 2, 3, 6, 4, 5])
"""Where ``fer`` has our classes; ``facex`` has them in our order."""
_FACE_POINTS: Final = 468
"""Points of the face without the irises."""


class ExpressionNetworks:
    """The two classifiers. Not thread-safe.

    Args:
        fer: weights of ``fer``.
        facex: weights of ``facex``.
    """

    def __init__(self, fer: bytes, facex: bytes) -> None:
        self._fer = Network(fer)
        self._facex = Network(facex)

    def fer(self, picture: Pixels, face: Face) -> Floats:
        """Return one probability per class, by the small network (under 1 ms)."""
        votes: Floats = self._fer(to_unit(_grey(picture, face, 1.1, 64), -1.0, 1.0)[..., None])[0][0]
        return np.take(votes, _FER_ORDER)

    def facex(self, picture: Pixels, face: Face) -> Floats:
        """Return one probability per class, by the large network (about 17 ms)."""
        view = to_unit(_grey(picture, face, 1.4, 200))[..., None]
        votes: Floats = self._facex(np.repeat(view, 3, axis=3))[0][0]
        return votes


def _grey(picture: Pixels, face: Face, scale: float, side: int) -> Pixels:
    region = square_around(face.points[:_FACE_POINTS], scale)
    grey: Pixels = cv2.cvtColor(cut(picture, region, side), cv2.COLOR_RGB2GRAY)
    return grey


def at_rest(movements: Movements) -> bool:
    """Return whether the face does nothing: no smile, frown, sneer or squeeze, no raised brows, no open mouth."""
    return all(movements[name] < most for name, most in _REST)


_REST: Final = (
    ("mouthSmile", 0.2),
    ("mouthFrown", 0.2),
    ("mouthStretch", 0.25),
    ("mouthUpperUp", 0.2),
    ("noseSneer", 0.2),
    ("eyeBlink", 0.4),
    ("browInnerUp", 0.4),
    ("browOuterUp", 0.4),
    ("jawOpen", 0.1),
)


@dataclass(frozen=True, slots=True)
class Expression:
    """What a face expresses now.

    Attributes:
        label: one of :data:`CLASSES`, or ``uncertain``.
        confidence: probability of the strongest class, smoothed.
        probabilities: per class, as the networks gave them.
        smoothed: per class, over the last second and against the person's own rest.
        valence: -1 (unpleasant) to 1 (pleasant), from the smoothed ones.
    """

    label: str
    confidence: float
    probabilities: tuple[float, ...]
    smoothed: tuple[float, ...]
    valence: float


class ExpressionFilter:
    """Smooths probabilities, and learns what the face reads as when it does nothing.

    Some faces read as sad or angry at rest. The probabilities seen at rest (:func:`at_rest`) are averaged over
    half a minute, and what they hold beyond neutral is moved to neutral from then on, by at most half a class;
    a person who weeps is not at rest, so weeping is never learnt as their normal face.

    Args:
        smoothing: time constant of the smoothing.
    """

    _REST_SECONDS: Final = 30.0
    _REST_NEEDED: Final = 10
    _MOST_MOVED: Final = 0.5

    def __init__(self, smoothing: Nanos) -> None:
        self._smoothing = smoothing
        self.lose()

    def lose(self) -> None:
        """Forget the person."""
        self._rest: Floats = np.zeros(len(CLASSES), np.float32)
        self._rest_seen = 0
        self.interrupt()

    def interrupt(self) -> None:
        """Forget what was expressed, but not who did: the face was out of sight for a moment."""
        self._mean: Floats | None = None
        self._at: Nanos = 0

    def step(self, at: Nanos, probabilities: Floats, *, least: float, resting: bool, reliable: bool) -> Expression:
        """Take in one measurement.

        Args:
            at: its instant.
            probabilities: one per class, float32, summing to 1.
            least: probability below which the label is ``uncertain``.
            resting: whether the face does nothing.
            reliable: whether the face is seen well enough to tell; if not, the label is ``uncertain`` and
                nothing is learnt.
        """
        if resting and reliable:
            self._learn(at, probabilities)
        if reliable:
            self._blend(at, self._against_rest(probabilities))
        mean = self._mean if self._mean is not None else probabilities
        top = int(mean.argmax())
        sure = reliable and float(mean[top]) >= least
        return Expression(
            label=CLASSES[top] if sure else UNCERTAIN,
            confidence=min(1.0, max(0.0, float(mean[top]))) if reliable else 0.0,
            probabilities=tuple(float(p) for p in probabilities),
            smoothed=tuple(float(p) for p in mean),
            valence=float(mean @ VALENCE),
        )

    def _blend(self, at: Nanos, value: Floats) -> None:
        if self._mean is None:
            self._mean = value
        else:
            keep = math.exp(-max(0, at - self._at) / self._smoothing)
            self._mean = keep * self._mean + (1.0 - keep) * value
        self._at = at

    def _learn(self, at: Nanos, probabilities: Floats) -> None:
        self._rest_seen += 1
        share = max(1.0 / self._rest_seen, 1.0 - math.exp(-max(0, at - self._at) / (self._REST_SECONDS * SECOND)))
        self._rest = self._rest + np.float32(share) * (probabilities - self._rest)

    def _against_rest(self, probabilities: Floats) -> Floats:
        if self._rest_seen < self._REST_NEEDED:
            return probabilities
        usual = np.minimum(self._rest, self._MOST_MOVED)
        usual[NEUTRAL] = 0.0
        moved = np.minimum(probabilities, usual)
        result: Floats = probabilities - moved
        result[NEUTRAL] += moved.sum()
        return result
