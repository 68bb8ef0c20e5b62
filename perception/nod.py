"""Nods and head shakes, from the pose of a head over time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from perception.headpose import HeadPose
from perception.swings import Swing, swings
from perception.timebase import MS, SECOND, Nanos

WINDOW: Final = 1600 * MS
LEAST_SWING_DEG: Final = 4.0
SWINGS: Final = 3
LONGEST_SWING: Final = 500 * MS
REST: Final = 1 * SECOND
_PURITY: Final = 1.5


@dataclass(frozen=True, slots=True)
class HeadGesture:
    """A nod or a head shake.

    Attributes:
        label: which one.
        start: when the head set off.
        end: when the movement that settled it ended.
        size_deg: mean swing, degrees.
        confidence: 0..1; grows with the number of swings and with how purely they lie in one axis.
    """

    label: Literal["nod", "head_shake"]
    start: Nanos
    end: Nanos
    size_deg: float
    confidence: float


class NodDetector:
    """Looks for three or more quick swings of the pitch (nod) or the yaw (head shake), the other axis being calmer.

    Poses at 10 Hz resolve movements up to about 3 Hz. A single slow bow of the head is no nod here: it is
    what people also do to look at their hands.
    """

    def __init__(self) -> None:
        self._pitch: deque[tuple[Nanos, float]] = deque()
        self._yaw: deque[tuple[Nanos, float]] = deque()
        self._deaf_until: Nanos = 0

    def step(self, at: Nanos, pose: HeadPose) -> HeadGesture | None:
        """Take in the pose at ``at``; return what it completes."""
        if at < self._deaf_until:  # so that the end of a nod is not the next one
            return None
        for series, value in ((self._pitch, pose.pitch), (self._yaw, pose.yaw)):
            series.append((at, value))
            while series[0][0] < at - WINDOW:
                series.popleft()
        pitch, yaw = quick(swings(self._pitch, LEAST_SWING_DEG)), quick(swings(self._yaw, LEAST_SWING_DEG))
        nodding, shaking = travel(pitch), travel(yaw)
        if len(pitch) >= SWINGS and nodding > _PURITY * _range_since(self._yaw, pitch[0].start) * len(pitch):
            return self._found("nod", at, pitch)
        if len(yaw) >= SWINGS and shaking > _PURITY * _range_since(self._pitch, yaw[0].start) * len(yaw):
            return self._found("head_shake", at, yaw)
        return None

    def lose(self) -> None:
        """Forget the past: the head went out of sight, or it is another one."""
        self._pitch.clear()
        self._yaw.clear()

    def _found(self, label: Literal["nod", "head_shake"], at: Nanos, run: list[Swing]) -> HeadGesture:
        self.lose()
        self._deaf_until = at + REST
        mean = travel(run) / len(run)
        confidence = min(1.0, 0.5 + 0.1 * (len(run) - SWINGS) + 0.04 * (mean - LEAST_SWING_DEG))
        return HeadGesture(label, run[0].start, at, mean, confidence)


def quick(found: list[Swing]) -> list[Swing]:
    """Return the latest unbroken run of swings none of which took longer than :data:`LONGEST_SWING`."""
    run: list[Swing] = []
    for swing in reversed(found):
        if swing.end - swing.start > LONGEST_SWING:
            break
        run.insert(0, swing)
    return run


def travel(run: list[Swing]) -> float:
    """Return the way covered by all swings together."""
    return sum(abs(swing.size) for swing in run)


def _range_since(series: deque[tuple[Nanos, float]], start: Nanos) -> float:
    values = [value for at, value in series if at >= start]
    return max(values) - min(values)
