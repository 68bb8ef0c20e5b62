"""Blinks, and whether a person looks towards the camera."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

import numpy as np

from perception.facemesh import Face
from perception.headpose import HeadPose
from perception.timebase import MS, SECOND, Nanos

SHUT: Final = 0.5
OPEN: Final = 0.35
LONGEST_BLINK: Final = 400 * MS

_EYES: Final = ((468, 33, 133), (473, 362, 263))
"""Per eye: middle of the iris, corner on the left and on the right of the picture."""
_RADII_PER_WIDTH: Final = 2.0
"""An eye is about as wide as its ball, so half its width is the radius on which the iris turns."""


@dataclass(frozen=True, slots=True)
class Blink:
    """A short closing of the eyes.

    Attributes:
        start: first picture with shut eyes.
        end: first picture with open ones.
    """

    start: Nanos
    end: Nanos


class BlinkDetector:
    """Finds closings shorter than 400 ms between two openings.

    Eyes that look down also read as shut, but for longer, and a lid that hangs before and after is no blink.
    """

    def __init__(self) -> None:
        self._shut_since: Nanos | None = None
        self._open_before = False
        self._open = False

    def step(self, at: Nanos, shut: float) -> Blink | None:
        """Take in how far the eyes are shut (0..1) at ``at``; return the blink that it ends."""
        if shut > SHUT:
            if self._shut_since is None:
                self._shut_since, self._open_before = at, self._open
            self._open = False
        elif shut < OPEN:
            began, self._shut_since, self._open = self._shut_since, None, True
            if began is not None and self._open_before and at - began < LONGEST_BLINK:
                return Blink(began, at)
        return None

    def cast_down(self, at: Nanos) -> bool:
        """Return whether the eyes have been shut, or cast down, for longer than a blink at ``at``."""
        return self._shut_since is not None and at - self._shut_since >= LONGEST_BLINK

    def lose(self) -> None:
        """Forget the past: the face went out of sight, or it is another one."""
        self._shut_since = None
        self._open = False


@dataclass(frozen=True, slots=True)
class Sight:
    """A line of sight relative to the line to the camera, degrees: head and eyes together.

    Attributes:
        across: positive to the right of the picture.
        down: positive downwards.
    """

    across: float
    down: float


def line_of_sight(face: Face, pose: HeadPose) -> Sight:
    """Add the turn of the eyes in the head, from where the irises stand between the eye corners, to the head's."""
    across = down = 0.0
    for iris, left, right in _EYES:
        corner, other = face.points[left, :2], face.points[right, :2]
        axis = other - corner
        width = float(np.hypot(axis[0], axis[1]))
        if width <= 0.0:
            continue
        shift = face.points[iris, :2] - (corner + other) / 2
        across += float(shift[0] * axis[0] + shift[1] * axis[1]) / width**2 / 2
        down += float(shift[1] * axis[0] - shift[0] * axis[1]) / width**2 / 2
    return Sight(pose.yaw + _turn(across), pose.pitch + _turn(down))


def _turn(share: float) -> float:
    return math.degrees(math.asin(max(-1.0, min(1.0, share * _RADII_PER_WIDTH))))


Gaze = Literal["towards", "away", "uncertain"]


class GazeDetector:
    """Tells looking towards the camera from looking away, against the person's own usual line of sight.

    People look at the screen, not at the lens, and no two eyes are alike: the zero is the running median of
    the last half minute, begun at what is usual and never further than 15 degrees from it. The label changes
    when the other one has held for two pictures in a row, and between 15 and 20 degrees it stays as it is.
    """

    WINDOW: Final = 30 * SECOND
    NEAR_DEG: Final = 15.0
    FAR_DEG: Final = 20.0
    _USUAL: Final = Sight(0.0, -5.0)
    _PRIOR: Final = 20
    _REACH_DEG: Final = 15.0
    _SPACING: Final = 300 * MS

    def __init__(self) -> None:
        self._past: deque[tuple[Nanos, Sight]] = deque()
        self._zero = self._USUAL
        self._candidate: Gaze = "uncertain"
        self.label: Gaze = "uncertain"
        self.off_deg = 0.0

    def step(self, at: Nanos, sight: Sight | None, *, eyes_shut: bool) -> Gaze:
        """Take in one look.

        Args:
            at: its instant.
            sight: the line of sight; ``None`` where it cannot be told.
            eyes_shut: shut or cast down for longer than a blink.
        """
        if sight is None:
            now: Gaze = "uncertain"
        elif eyes_shut:
            now = "away"
        else:
            self._learn(at, sight)
            self.off_deg = math.hypot(sight.across - self._zero.across, sight.down - self._zero.down)
            limit = self.FAR_DEG if self.label == "towards" else self.NEAR_DEG
            now = "towards" if self.off_deg < limit else "away"
        if now == self._candidate:
            self.label = now
        self._candidate = now
        return self.label

    @property
    def confidence(self) -> float:
        """Belief in the label, 0..1."""
        if self.label == "uncertain":
            return 0.0
        share = min(1.0, self.off_deg / (2 * self.FAR_DEG))
        return max(0.5, 1.0 - share if self.label == "towards" else share)

    def lose(self) -> None:
        """Forget the person."""
        self._past.clear()
        self._zero = self._USUAL
        self._candidate = self.label = "uncertain"

    def _learn(self, at: Nanos, sight: Sight) -> None:
        if self._past and at - self._past[-1][0] < self._SPACING:
            return
        self._past.append((at, sight))
        while self._past[0][0] < at - self.WINDOW:
            self._past.popleft()
        usual, few = self._USUAL, max(0, self._PRIOR - len(self._past))
        across = median([s.across for _, s in self._past] + [usual.across] * few)
        down = median([s.down for _, s in self._past] + [usual.down] * few)
        self._zero = Sight(_near(across, usual.across, self._REACH_DEG), _near(down, usual.down, self._REACH_DEG))


def _near(value: float, middle: float, reach: float) -> float:
    return max(middle - reach, min(middle + reach, value))
