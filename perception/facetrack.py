"""Follow one person's face from picture to picture, and count the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from perception.facemesh import Face, FaceMesh, Movements, region_of
from perception.pixels import Pixels, Region
from perception.ssd import FULL_RANGE_FACE, SHORT_RANGE_FACE, Detection, Detector

ACQUIRE: Final = 5.0
"""Presence logit that a newly found face needs, twice in a row; a followed one is let go only below zero."""
CLOSER: Final = 1.4
"""How many times as large another face must be to be taken for the person who matters."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is seen in one picture.

    Attributes:
        face: the person's face, if there is one.
        people: faces in the picture, as of the latest count.
        another: whether ``face`` belongs to somebody else than before.
    """

    face: Face | None
    people: int
    another: bool = False


class FaceTracker:
    """Finds the largest face, keeps to it, and moves to another only when that one is clearly closer, twice in a row.

    The full-range detector finds and counts; where it sees nobody the short-range one, which does better on
    faces that are turned away, has a second try. A new face counts from the second picture on: what only looks
    like one rarely does so twice. Not thread-safe.

    Args:
        bundle: members of ``face_landmarker.task``.
        full_range: weights of the full-range detector.
    """

    def __init__(self, bundle: Mapping[str, bytes], full_range: bytes) -> None:
        self._full = Detector(full_range, FULL_RANGE_FACE)
        self._short = Detector(bundle["face_detector.tflite"], SHORT_RANGE_FACE)
        self._mesh = FaceMesh(bundle)
        self._region: Region | None = None
        self._confirmed = False
        self._shape: tuple[int, ...] = ()
        self._people = 0
        self._rival_before = False

    def step(self, picture: Pixels, *, count: bool) -> Sighting:
        """Look at the next picture (h, w, 3); ``count`` the people in it, too."""
        if picture.shape != self._shape:
            self._shape, self._region = picture.shape, None
        before = self._region
        face = self._mesh.face(picture, before) if before else None
        if face is not None and not self._confirmed:
            self._confirmed = face.presence >= ACQUIRE
            face = face if self._confirmed else None
        another = False
        if face is None:
            face = self._acquire(picture)
            self._confirmed = face is not None and before is not None and _near(face, before)
        elif count:
            rival = self._count(picture, face)
            if rival is not None:
                face, another = rival, True
        self._region = face.region if face else None
        return Sighting(face if self._confirmed else None, self._people, another)

    def movements(self, face: Face) -> Movements:
        """Return what ``face`` does."""
        return self._mesh.movements(face)

    def _acquire(self, picture: Pixels) -> Face | None:
        self._rival_before = False
        found = self._full(picture)
        self._people = len(found)
        for detection in sorted(found or self._short(picture), key=lambda d: -d.size):
            face = self._mesh.face(picture, region_of(detection))
            if face is not None and face.presence >= ACQUIRE:
                self._people = max(1, self._people)
                return face
        return None

    def _count(self, picture: Pixels, face: Face) -> Face | None:
        """Count the people; return the face of somebody closer than ``face`` who has been there the last time, too."""
        found = self._full(picture)
        own = [d for d in found if _inside(d, face)]
        others = [d for d in found if not _inside(d, face)]
        self._people = 1 + len(others)
        size = max((d.size for d in own), default=float((face.box[2:] - face.box[:2]).max()))
        rivals = [d for d in others if d.size > CLOSER * size]
        stays, self._rival_before = self._rival_before, bool(rivals)
        if not (rivals and stays):
            return None
        other = self._mesh.face(picture, region_of(max(rivals, key=lambda d: d.size)))
        return other if other is not None and other.presence >= ACQUIRE else None


def _near(face: Face, region: Region) -> bool:
    now = face.region
    return math.hypot(now.x - region.x, now.y - region.y) < region.side / 2


def _inside(detection: Detection, face: Face) -> bool:
    x, y = detection.centre
    left, top, right, bottom = face.box
    return bool(left <= x <= right and top <= y <= bottom)
