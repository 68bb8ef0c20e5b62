"""Hands and what they sign, by the networks of MediaPipe's gesture recogniser.

The graph around the networks is re-implemented from the MediaPipe sources (Apache-2.0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from perception.litert import Floats, Network
from perception.pixels import Pixels, Region, cut, to_unit
from perception.ssd import PALM, Detection, Detector

GESTURES: Final = (
    "none",
    "closed_fist",
    "open_palm",
    "pointing_up",
    "thumb_down",
    "thumb_up",
    "victory",
    "i_love_you",
)
"""What the classifier knows, in the order of its output."""

HAND_SIDE: Final = 224
LEAST_PRESENCE: Final = 0.5
_MARGIN: Final = 2.6
_SHIFT: Final = 0.5
_DEPTH: Final = 1.87
"""Ratio of the depth unit of the landmark network to its pixels, which makes depths those of MediaPipe."""
_WRIST_KEY, _MIDDLE_KEY = 0, 2
"""Among the key points of a palm: the wrist and the root of the middle finger."""


@dataclass(frozen=True, slots=True, eq=False)
class Hand:
    """The points of one hand.

    Attributes:
        points: shape ``(21, 3)``: x and y in pixels of the picture, z in the same unit; wrist first, then four
            points from root to tip of thumb, index, middle, ring and little finger.
        presence: 0..1, that there is a hand at all.
        right: 0..1, that it is a right hand, in a picture that is not mirrored.
    """

    points: Floats
    presence: float
    right: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the hand, pixels."""
        middle = (self.points[:, :2].min(axis=0) + self.points[:, :2].max(axis=0)) / 2
        return float(middle[0]), float(middle[1])


def region_of(palm: Detection) -> Region:
    """Return the square that holds the whole hand of ``palm``, fingers up."""
    along = palm.points[_MIDDLE_KEY] - palm.points[_WRIST_KEY]
    angle = math.pi / 2 + math.atan2(float(along[1]), float(along[0]))
    x, y = palm.centre
    shift = _SHIFT * float(palm.box[3] - palm.box[1])
    return Region(x + shift * math.sin(angle), y - shift * math.cos(angle), palm.size * _MARGIN, angle)


class HandNetworks:
    """Finds hands and classifies them. Not thread-safe.

    Args:
        bundle: members of ``gesture_recognizer.task``.
    """

    def __init__(self, bundle: Mapping[str, bytes]) -> None:
        self._palms = Detector(bundle["hand_detector.tflite"], PALM)
        self._points = Network(bundle["hand_landmarks_detector.tflite"])
        self._embedder = Network(bundle["gesture_embedder.tflite"])
        self._classifier = Network(bundle["canned_gesture_classifier.tflite"])

    def hands(self, picture: Pixels, most: int) -> list[Hand]:
        """Return up to ``most`` hands in ``picture`` (h, w, 3), the surest palms first."""
        found = (self._hand(picture, region_of(palm)) for palm in self._palms(picture)[:most])
        return [hand for hand in found if hand is not None]

    def gestures(self, points: Floats, right: float = 0.5) -> Floats:
        """Return one probability per gesture of :data:`GESTURES`.

        Args:
            points: of a hand, see :attr:`Hand.points`; where they lie and how large they are does not matter.
            right: that it is a right hand.
        """
        own = points - points[0]
        extent = float(np.ptp(points[:, :2], axis=0).max()) + 1e-5
        normal = (own / extent)[None].astype(np.float32)
        given = {"hand": normal, "world_hand": normal, "handedness": np.array([[1.0 - right]], np.float32)}
        embedding = self._embedder(*(given[name] for name in self._embedder.input_names))[0]
        votes: Floats = self._classifier(embedding)[0]
        return votes.ravel()

    def _hand(self, picture: Pixels, region: Region) -> Hand | None:
        if not region.usable:
            return None
        raw, presence, right, _ = self._points(to_unit(cut(picture, region, HAND_SIDE)))
        sure = float(presence.ravel()[0])
        if not sure >= LEAST_PRESENCE:
            return None
        flat = raw.reshape(21, 3)
        matrix = region.to_picture(HAND_SIDE)
        points = np.empty_like(flat)
        points[:, :2] = flat[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        points[:, 2] = flat[:, 2] * (region.side / HAND_SIDE * _DEPTH)
        return Hand(points, sure, float(right.ravel()[0])) if np.isfinite(points).all() else None
