"""478 points on a face and 52 named movements of it, by the networks of MediaPipe's face landmarker.

The graph around the networks is re-implemented from the MediaPipe sources (Apache-2.0): a detector gives
the first region, after that each face's own points give the region of the next picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from perception.litert import Floats, Network
from perception.pixels import Pixels, Region, cut, square_around, to_unit
from perception.ssd import Detection

MESH_SIDE: Final = 256
MARGIN: Final = 1.5
RIGHT_EYE, LEFT_EYE = 33, 263
"""Outer eye corners; right and left are the person's own."""
UPPER_LIP, LOWER_LIP = 13, 14
"""Inner edges of the lips, in the middle."""

LOST: Final = 0.0
"""Presence logit below which the region holds no face; real faces give 13 to 25, noise gives -10."""

_BLEND_INPUT = np.array(
    [
        *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70),
        *(78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149),
        *(150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195),
        *(197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300),
        *(308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375),
        *(377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454),
        *(466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477),
    ]
)
"""The points that the movement network reads, in its order."""

_NAMES = """
    _neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
    eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight
    jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight
    mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
    mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft
    mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight
"""
MOVEMENTS: Final = tuple(_NAMES.split())
"""Names of the movements (ARKit blend shapes), in the order of the network's output."""

_INDEX: Final = {name: i for i, name in enumerate(MOVEMENTS)}


class Movements:
    """The 52 movements of one face at one instant, each 0..1.

    Args:
        values: float32, shape ``(52,)``.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Floats) -> None:
        if values.shape != (len(MOVEMENTS),):
            raise ValueError(f"there are {len(MOVEMENTS)} movements, not {values.shape}")
        self._values = values

    def __getitem__(self, name: str) -> float:
        """Return one movement, or the mean of both sides for a name without ``Left`` or ``Right``."""
        at = _INDEX.get(name)
        if at is not None:
            return float(self._values[at])
        return float(self._values[_INDEX[name + "Left"]] + self._values[_INDEX[name + "Right"]]) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """The points of one face.

    Attributes:
        points: shape ``(478, 3)``: x and y in pixels of the picture, z in the same unit, smaller is
            nearer to the camera.
        presence: logit that there is a face at all.
    """

    points: Floats
    presence: float

    @property
    def region(self) -> Region:
        """Where to look for this face in the next picture."""
        eyes = self.points[LEFT_EYE] - self.points[RIGHT_EYE]
        return square_around(self.points, MARGIN, math.atan2(float(eyes[1]), float(eyes[0])))

    @property
    def box(self) -> Floats:
        """Left, top, right, bottom, pixels."""
        flat = self.points[:, :2]
        return np.concatenate([flat.min(axis=0), flat.max(axis=0)])

    @property
    def lip_gap(self) -> float:
        """Opening of the mouth as a share of the distance between the outer eye corners."""
        eyes = float(np.linalg.norm(self.points[LEFT_EYE, :2] - self.points[RIGHT_EYE, :2]))
        gap = float(np.linalg.norm(self.points[UPPER_LIP, :2] - self.points[LOWER_LIP, :2]))
        return gap / eyes if eyes > 0.0 else 0.0


def region_of(found: Detection) -> Region:
    """Return where the face network should look, given what the face detector found."""
    right_eye, left_eye = found.points[0], found.points[1]
    angle = math.atan2(float(left_eye[1] - right_eye[1]), float(left_eye[0] - right_eye[0]))
    x, y = found.centre
    return Region(x, y, found.size * MARGIN, angle)


class FaceMesh:
    """Finds the points of a face whose region is known. Not thread-safe.

    Args:
        bundle: members of ``face_landmarker.task``.
    """

    def __init__(self, bundle: Mapping[str, bytes]) -> None:
        self._points = Network(bundle["face_landmarks_detector.tflite"])
        self._movements = Network(bundle["face_blendshapes.tflite"])

    def face(self, picture: Pixels, region: Region) -> Face | None:
        """Return the face in ``region`` of ``picture`` (h, w, 3), or ``None`` where there is none."""
        if not region.usable:
            return None
        raw, presence, _ = self._points(to_unit(cut(picture, region, MESH_SIDE)))
        logit = float(presence.ravel()[0])
        if not logit > LOST:
            return None
        flat = raw.reshape(-1, 3)
        matrix = region.to_picture(MESH_SIDE)
        points = np.empty_like(flat)
        points[:, :2] = flat[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        points[:, 2] = flat[:, 2] * (region.side / MESH_SIDE)
        return Face(points, logit) if np.isfinite(points).all() else None

    def movements(self, face: Face) -> Movements:
        """Return what the face does."""
        return Movements(self._movements(face.points[None, _BLEND_INPUT, :2])[0])
