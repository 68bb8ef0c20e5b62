"""The person's face: whether there is one, where it points and looks, what it does and expresses.

Percepts, all ending at the picture they come from:

* ``face`` ``present`` / ``absent``, one per analysed picture. Data: ``count`` of people; ``yaw pitch roll`` in
  degrees; ``x y width height`` of the face as shares of the picture, ``x y`` being its left upper corner;
  ``talking`` 0 or 1; ``blink brow_up brow_down jaw_open smile`` 0..1; ``presence`` in logits.
* ``expression``: label of seven or ``uncertain``. Data: one probability per class, smoothed and against the
  person's own rest, from which label, confidence and ``valence`` come; ``raw_<class>``, as measured.
* ``gaze`` ``towards`` / ``away`` / ``uncertain``, when it changes and every two seconds. Data: ``off_deg``.
* ``blink``, ``talking`` ``started`` / ``stopped``, ``presence`` ``arrived`` / ``left`` with the new ``count``.
* nothing at all while the camera is frozen, which the scene worker reports.
* of a face that may be a bystander's (:mod:`perception.company`) only ``face`` ``present`` with ``count``, where it is,
  and ``bystander`` 1: no expression, no gaze, nothing that it does.
* ``gesture`` ``nod`` / ``head_shake``. They are reported here and not by the gesture worker because they need
  the head pose ten times a second, and to follow the face a second time would cost 7 % of a core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from perception import percept as kinds
from perception.company import Company
from perception.eyes import BlinkDetector, GazeDetector, line_of_sight
from perception.facemesh import Face, Movements
from perception.facetrack import FaceTracker
from perception.frozen import FrozenDetector
from perception.headpose import HeadPose, HeadPoser
from perception.litert import read_bundle
from perception.media import Media, VideoFrame
from perception.nod import NodDetector
from perception.percept import Datum, Percept
from perception.presence import PresenceDetector
from perception.slots import Slots
from perception.talking import TalkingDetector
from perception.timebase import SECOND, Nanos, seconds
from perception.workers import Resolve

if TYPE_CHECKING:
    from perception.expressing import Expressing

NAME = "face"
_GAZE_REFRESH: Nanos = 2 * SECOND


@dataclass(frozen=True, slots=True)
class FaceFactory:
    """The weights of the face networks, read once; makes one :class:`FaceWorker` per call.

    Attributes:
        bundle: members of ``face_landmarker.task``.
        full_range: the full-range face detector.
        mesh_hz: pictures analysed per second.
        people_hz: head counts per second, at most ``mesh_hz``.
        expressing: makes what reads the expression of one call's person; ``None``: expressions are not read, and
            nothing that the mouth and the brows do is reported.
        least_presence: logit below which an expression is ``uncertain``.
        most_yaw_deg: beyond it expression and gaze are ``uncertain``.
        least_width_px: width of a face below which expression and gaze are ``uncertain``.
    """

    bundle: Mapping[str, bytes]
    full_range: bytes
    mesh_hz: float = 10.0
    people_hz: float = 1.0
    expressing: Callable[[], Expressing] | None = None
    least_presence: float = 5.0
    most_yaw_deg: float = 35.0
    least_width_px: float = 24.0

    @property
    def name(self) -> str:
        """The sense."""
        return NAME

    @property
    def accepts(self) -> tuple[type[VideoFrame]]:
        """Pictures."""
        return (VideoFrame,)

    def __call__(self) -> FaceWorker:
        """Return a fresh worker."""
        return FaceWorker(self)


def load(
    *,
    resolve: Resolve,
    mesh_hz: float = 10.0,
    facex_hz: float = 2.5,
    people_hz: float = 1.0,
    smoothing_s: float = 0.7,
    least_probability: float = 0.5,
    least_talking: float = 0.7,
    least_presence: float = 5.0,
    most_yaw_deg: float = 35.0,
    expressions: bool = True,
) -> FaceFactory:
    """Read the weights.

    Args:
        resolve: finds ``face-landmarker`` and ``face-detector-full``; for expressions also ``fer`` and ``facex``.
        mesh_hz: pictures analysed per second.
        facex_hz: expressions per second.
        people_hz: head counts per second.
        smoothing_s: time constant of the expression, seconds.
        least_probability: below it an expression is ``uncertain``.
        least_talking: likewise, while the mouth talks: networks trained on photographs read speech as fear.
        least_presence: see :class:`FaceFactory`.
        most_yaw_deg: see :class:`FaceFactory`.
        expressions: whether to read what the face expresses; without, nothing that could is loaded.

    Raises:
        ValueError: a rate or the smoothing is not above zero, or a file is not what it should be.
    """
    if not smoothing_s > 0.0:
        raise ValueError(f"smoothing_s must be above 0, got {smoothing_s}")
    for rate_hz in (mesh_hz, facex_hz, people_hz):
        Slots(rate_hz)
    expressing: Callable[[], Expressing] | None = None
    if expressions:
        from perception.expressing import Expressing

        expressing = partial(
            Expressing,
            fer=resolve("fer").read_bytes(),
            facex=resolve("facex").read_bytes(),
            rate_hz=facex_hz,
            smoothing=seconds(smoothing_s),
            least_probability=least_probability,
            least_talking=least_talking,
        )
    return FaceFactory(
        bundle=read_bundle(resolve("face-landmarker")),
        full_range=resolve("face-detector-full").read_bytes(),
        mesh_hz=mesh_hz,
        people_hz=people_hz,
        expressing=expressing,
        least_presence=least_presence,
        most_yaw_deg=most_yaw_deg,
    )


class FaceWorker:
    """Watches the face of one call's person."""

    def __init__(self, factory: FaceFactory) -> None:
        self._limits = factory
        self._tracker = FaceTracker(factory.bundle, factory.full_range)
        self._poser = HeadPoser(factory.bundle)
        self._expressing = factory.expressing() if factory.expressing is not None else None
        self._mesh_slots = Slots(factory.mesh_hz)
        self._people_slots = Slots(factory.people_hz, phase=0.5)
        self._gaze = GazeDetector()
        self._blinks = BlinkDetector()
        self._talking = TalkingDetector()
        self._nods = NodDetector()
        self._presence = PresenceDetector()
        self._frozen = FrozenDetector()
        self._company = Company()
        self._gaze_told: tuple[str, Nanos] | None = None
        self._gaze_since: Nanos = 0
        self._misses = 0

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Analyse the pictures of the camera that are due; return what they show."""
        percepts: list[Percept] = []
        for frame in self._mesh_slots.pictures(media):
            percepts += self._see(frame)
        return percepts

    def _see(self, frame: VideoFrame) -> list[Percept]:
        at = frame.at
        if self._frozen.step(at, frame.pixels):  # no calm face from a camera that has stopped
            return self._lose(at)
        sighting = self._tracker.step(frame.pixels, count=self._people_slots.due(at))
        percepts: list[Percept] = []
        known = not self._company.stranger
        stranger = self._company.step(at, sighting.face, sighting.people, another=sighting.another)
        if sighting.another or (stranger and known):
            percepts += self._lose(at)
            self._forget()
        if sighting.face is None:
            percepts += self._lose(at)
            percepts.append(self._absent(at, sighting.people))
        elif stranger:
            self._misses = 0
            percepts.append(_bystander(frame, sighting.face, sighting.people))
        else:
            self._misses = 0
            percepts += self._face(frame, sighting.face, sighting.people)
        change = self._presence.step(at, sighting.people)
        if change is not None:
            if change.count == 0:
                self._forget()
            data = {"count": float(change.count)}
            percepts.append(_percept(kinds.PRESENCE, change.label, change.start, at, 0.9, data))
        return percepts

    def _face(self, frame: VideoFrame, face: Face, people: int) -> list[Percept]:
        at, (height, width) = frame.at, frame.pixels.shape[:2]
        pose = self._poser(face)
        moves = self._tracker.movements(face)
        plain = (
            face.presence >= self._limits.least_presence
            and abs(pose.yaw) <= self._limits.most_yaw_deg
            and float(face.box[2] - face.box[0]) >= self._limits.least_width_px
        )
        was_talking = self._talking.talking
        talks = self._talking.step(at, face.lip_gap)
        told = moves if self._expressing is not None else None
        found = [_present(at, face, pose, told, (width, height), people, talks, moves["eyeBlink"])]
        if talks != was_talking:
            found.append(_percept(kinds.TALKING, "started" if talks else "stopped", at, at, 0.8))
        blink = self._blinks.step(at, moves["eyeBlink"])
        if blink is not None:
            found.append(_percept(kinds.BLINK, "", blink.start, blink.end, 0.8))
        nod = self._nods.step(at, pose)
        if nod is not None and not (talks and nod.label == "nod"):  # who talks nods to the beat, not in answer
            data = {"size_deg": nod.size_deg, **_middle(face, width, height)}
            found.append(_percept(kinds.GESTURE, nod.label, nod.start, nod.end, nod.confidence, data))
        sight = line_of_sight(face, pose) if plain else None
        self._gaze.step(at, sight, eyes_shut=self._blinks.cast_down(at))
        found += self._tell_gaze(at)
        if self._expressing is not None:
            found += self._expressing.step(frame, face, moves, plain=plain, talking=talks)
        return found

    def _tell_gaze(self, at: Nanos) -> list[Percept]:
        label = self._gaze.label
        if self._gaze_told is None:
            self._gaze_told, self._gaze_since = (label, at), at
            if label == kinds.UNCERTAIN:  # it has only begun to look
                return []
        told, told_at = self._gaze_told
        if label == told and at - told_at < _GAZE_REFRESH:
            return []
        if label != told:
            self._gaze_since = at
        self._gaze_told = (label, at)
        return [
            _percept(kinds.GAZE, label, self._gaze_since, at, self._gaze.confidence, {"off_deg": self._gaze.off_deg})
        ]

    def _absent(self, at: Nanos, people: int) -> Percept:
        self._misses += 1
        belief = self._misses / (self._misses + 1)  # every further picture without a face makes it likelier
        return _percept(kinds.FACE, "absent", at, at, belief, {"count": float(people)})

    def _lose(self, at: Nanos) -> list[Percept]:
        """Let go of what needs an unbroken view."""
        found: list[Percept] = []
        if self._talking.talking:
            found.append(_percept(kinds.TALKING, "stopped", at, at, 0.5))
        self._talking.lose()
        self._blinks.lose()
        self._nods.lose()
        if self._expressing is not None:
            self._expressing.interrupt()
        if self._gaze_told is not None:
            self._gaze.step(at, None, eyes_shut=False)
            if self._gaze.label != self._gaze_told[0]:
                found += self._tell_gaze(at)
        return found

    def _forget(self) -> None:
        """Let go of what is peculiar to the person."""
        if self._expressing is not None:
            self._expressing.lose()
        self._gaze.lose()


def _present(
    at: Nanos,
    face: Face,
    pose: HeadPose,
    moves: Movements | None,
    size: tuple[int, int],
    people: int,
    talks: bool,
    shut: float,
) -> Percept:
    data: dict[str, Datum] = {
        "count": float(max(1, people)),
        "yaw": pose.yaw,
        "pitch": pose.pitch,
        "roll": pose.roll,
        **_place(face, *size),
        "talking": float(talks),
        "blink": shut,
    }
    if moves is not None:
        data["brow_up"] = (moves["browInnerUp"] + moves["browOuterUp"]) / 2
        data["brow_down"] = moves["browDown"]
        data["jaw_open"] = moves["jawOpen"]
        data["smile"] = moves["mouthSmile"]
    data["presence"] = face.presence
    return _percept(kinds.FACE, "present", at, at, _belief(face), data)


def _bystander(frame: VideoFrame, face: Face, people: int) -> Percept:
    height, width = frame.pixels.shape[:2]
    data = {"count": float(max(1, people)), **_place(face, width, height), "bystander": 1.0}
    return _percept(kinds.FACE, "present", frame.at, frame.at, _belief(face), data)


def _place(face: Face, width: int, height: int) -> dict[str, float]:
    scale = np.array([width, height, width, height], np.float32)
    left, top, right, bottom = (float(v) for v in np.clip(face.box / scale, 0.0, 1.0))
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def _belief(face: Face) -> float:
    return 1.0 / (1.0 + math.exp(-min(50.0, face.presence)))


def _middle(face: Face, width: int, height: int) -> dict[str, Datum]:
    left, top, right, bottom = (float(v) for v in face.box)
    return {"x": (left + right) / 2 / width, "y": (top + bottom) / 2 / height}


def _percept(
    kind: str, label: str, start: Nanos, end: Nanos, confidence: float, data: Mapping[str, Datum] | None = None
) -> Percept:
    return Percept(kind, label, start, end, confidence, NAME, data or {})
