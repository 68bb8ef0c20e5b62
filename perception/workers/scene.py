"""The picture as a whole: light, motion, cuts, and whether the camera still sees.

Percepts:

* ``scene`` ``dark`` / ``bright`` (data ``luma``, 0..1) and ``motion`` / ``still`` (data ``motion``, 0..1), at the
  start and whenever they change.
* ``scene`` ``cut``: from one picture to the next everything is different (data ``difference``, 0..1).
* ``sense_lost`` ``camera`` when the picture is blank (a closed shutter) or frozen, data ``frozen`` 0 or 1;
  ``sense_back`` ``camera`` when it moves again. While the sense is lost, nothing else is reported.

Whether somebody arrives or leaves is told by the face worker. A camera that sends nothing at all cannot be
seen from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from perception.frozen import PATIENCE, FrozenDetector
from perception.media import Media, VideoFrame
from perception.percept import SCENE, SENSE_BACK, SENSE_LOST, Percept
from perception.pixels import Pixels, thumbnail
from perception.slots import Slots
from perception.timebase import MS, Nanos, seconds
from perception.workers import Resolve

NAME = "scene"
CAMERA: Final = "camera"
_WIDTH, _HEIGHT = 80, 60
_LIGHT_SETTLES: Final = 500 * MS
_ACTIVITY_SETTLES: Final = 800 * MS


@dataclass(frozen=True, slots=True)
class SceneFactory:
    """Settings; makes one :class:`SceneWorker` per call. Lightness is 0..1.

    Attributes:
        rate_hz: pictures analysed per second.
        frozen: time after which a picture that is the same to the last bit counts as frozen.
        blank: time after which a picture without any content counts as blank.
        dark: lightness below which it is dark.
        bright: lightness above which it is bright again.
        motion: mean change per picture above which there is motion.
        still: mean change per picture below which there is none.
    """

    rate_hz: float = 10.0
    frozen: Nanos = PATIENCE
    blank: Nanos = 500 * MS
    dark: float = 0.16
    bright: float = 0.22
    motion: float = 0.03
    still: float = 0.012

    @property
    def name(self) -> str:
        """The sense."""
        return NAME

    @property
    def accepts(self) -> tuple[type[VideoFrame]]:
        """Pictures."""
        return (VideoFrame,)

    def __call__(self) -> SceneWorker:
        """Return a fresh worker."""
        return SceneWorker(self)


def load(*, resolve: Resolve, rate_hz: float = 10.0, frozen_s: float = 1.5, blank_s: float = 0.5) -> SceneFactory:
    """Make the factory; there are no weights.

    Args:
        resolve: not used.
        rate_hz: pictures analysed per second.
        frozen_s: see :class:`SceneFactory`.
        blank_s: see :class:`SceneFactory`.

    Raises:
        ValueError: a rate or time is not above zero.
    """
    Slots(rate_hz)
    if not (frozen_s > 0.0 and blank_s > 0.0):
        raise ValueError("frozen_s and blank_s must be above 0")
    return SceneFactory(rate_hz=rate_hz, frozen=seconds(frozen_s), blank=seconds(blank_s))


class _Settled:
    """A label that changes only when the new one has held for a while; the first one, if so wished, at once."""

    def __init__(self, patience: Nanos, *, at_once: bool = False) -> None:
        self._patience = patience
        self._at_once = at_once
        self._next = ""
        self._since: Nanos = 0
        self.label = ""

    def step(self, at: Nanos, label: str) -> Nanos | None:
        """Take in the label at ``at``; return since when it holds, if that makes it the new one."""
        if label != self._next:
            self._next, self._since = label, at
        first = self._at_once and not self.label
        if label == self.label or (at - self._since < self._patience and not first):
            return None
        self.label = label
        return self._since


class SceneWorker:
    """Watches the picture of one call's camera."""

    _CUT: Final = 0.12
    _CUT_HISTOGRAM: Final = 0.5
    _CUT_GAP: Final = 500 * MS
    _BLANK_SPREAD: Final = 1.5

    def __init__(self, factory: SceneFactory) -> None:
        self._limits = factory
        self._slots = Slots(factory.rate_hz)
        self._frozen = FrozenDetector(factory.frozen)
        self._small_before: Pixels | None = None
        self._light = _Settled(_LIGHT_SETTLES, at_once=True)
        self._activity = _Settled(_ACTIVITY_SETTLES)
        self._level = 0.0
        self._content_at: Nanos | None = None
        self._cut_at: Nanos | None = None
        self._lost = False

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Analyse the pictures of the camera that are due; return what has changed."""
        percepts: list[Percept] = []
        for frame in self._slots.pictures(media):
            percepts += self._see(frame)
        return percepts

    def _see(self, frame: VideoFrame) -> list[Percept]:
        at, small = frame.at, thumbnail(frame.pixels, _WIDTH, _HEIGHT)
        small_before, self._small_before = self._small_before, small
        if float(small.std()) > self._BLANK_SPREAD or self._content_at is None:
            self._content_at = at
        frozen = self._frozen.step(at, frame.pixels)
        blank = at - self._content_at >= self._limits.blank
        if frozen or blank:
            if self._lost:
                return []
            self._lost = True
            since = self._content_at if blank else self._frozen.since
            return [_percept(SENSE_LOST, CAMERA, since, at, 0.9, frozen=float(frozen))]
        found: list[Percept] = []
        if self._lost:
            if float(small.std()) <= self._BLANK_SPREAD:
                return []
            self._lost = False
            found.append(_percept(SENSE_BACK, CAMERA, at, at, 0.9))
        found += self._see_light(at, small)
        if small_before is not None:
            difference = float(cv2.absdiff(small, small_before).mean()) / 255
            found += self._see_cut(at, small, small_before, difference)
            found += self._see_motion(at, difference)
        return found

    def _see_light(self, at: Nanos, small: Pixels) -> list[Percept]:
        luma, limits = float(small.mean()) / 255, self._limits
        limit = limits.bright if self._light.label == "dark" else limits.dark
        since = self._light.step(at, "dark" if luma < limit else "bright")
        return [] if since is None else [_percept(SCENE, self._light.label, since, at, 0.9, luma=luma)]

    def _see_cut(self, at: Nanos, small: Pixels, before: Pixels, difference: float) -> list[Percept]:
        if difference < self._CUT or (self._cut_at is not None and at - self._cut_at < self._CUT_GAP):
            return []
        old, new = (np.bincount(picture.ravel() >> 4, minlength=16) / picture.size for picture in (before, small))
        moved = float(np.abs(new - old).sum()) / 2
        if moved < self._CUT_HISTOGRAM:
            return []
        self._cut_at = at
        return [_percept(SCENE, "cut", at, at, min(1.0, moved), difference=difference)]

    def _see_motion(self, at: Nanos, difference: float) -> list[Percept]:
        self._level += (difference - self._level) * 0.3
        limit = self._limits.still if self._activity.label == "motion" else self._limits.motion
        since = self._activity.step(at, "motion" if self._level > limit else "still")
        if since is None:
            return []
        return [_percept(SCENE, self._activity.label, since, at, 0.8, motion=min(1.0, self._level))]


def _percept(kind: str, label: str, start: Nanos, end: Nanos, confidence: float, **data: float) -> Percept:
    return Percept(kind, label, start, end, confidence, NAME, data)
