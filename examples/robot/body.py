"""What a robot is to this program, and what each emotion and gesture means for it.

To bring your own robot in, write a class with the methods of :class:`RobotBody`, all of which return at once. A
robot without a neck or without lights leaves those methods empty: whatever it has shows what it can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Head:
    """Where the head points, in degrees, and how far the body leans towards the person, 0..1.

    Attributes:
        yaw: to the person's right is positive.
        pitch: down is positive.
        roll: the crown to the person's right is positive.
        lean: towards the person.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    lean: float = 0.0


@dataclass(frozen=True, slots=True)
class Eyes:
    """What the eyes do.

    Attributes:
        open: 0 shut, 1 as usual, 1.3 wide.
        smile: how far the lower lids rise, 0..1.
        brow: inner ends of the brows, -1 down .. 1 up.
        gaze: right (positive) and down (positive), -1..1 each.
        pupil: size, 0..1.
    """

    open: float = 1.0
    smile: float = 0.1
    brow: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    pupil: float = 0.5


@dataclass(frozen=True, slots=True)
class Light:
    """A colour of the lights, each channel 0..1, and how fast they breathe, in Hz; 0 is steady."""

    red: float = 0.6
    green: float = 0.6
    blue: float = 0.8
    breathes_hz: float = 0.2


@dataclass(frozen=True, slots=True)
class Pose:
    """All of it at one moment, with the mouth, -1 sad .. 1 happy, and how far it is open, 0..1."""

    head: Head = Head()
    eyes: Eyes = Eyes()
    light: Light = Light()
    mouth: float = 0.25
    open: float = 0.0


class RobotBody(Protocol):
    """A robot. Every method is called up to thirty times a second and returns at once."""

    def turn_head(self, head: Head) -> None:
        """Point the head."""
        ...

    def set_eyes(self, eyes: Eyes) -> None:
        """Move lids, brows and gaze, or what stands for them on a display."""
        ...

    def set_light(self, light: Light) -> None:
        """Light the lamps."""
        ...

    def set_mouth(self, smile: float, open: float) -> None:
        """Shape the mouth: -1 sad .. 1 happy, and open 0..1 while the robot speaks."""
        ...

    def perceives(self, hearing: bool, seeing: bool) -> None:
        """Show people that they are perceived, by a light or a sound of its own: they have a right to know."""
        ...


POSES: Final[dict[str, Pose]] = {
    "neutral": Pose(),
    "warm": Pose(Head(roll=3), Eyes(smile=0.5, brow=0.1, pupil=0.7), Light(1.0, 0.62, 0.42, 0.18), mouth=0.7),
    "happy": Pose(Head(pitch=-4), Eyes(smile=0.85, brow=0.3, pupil=0.7), Light(1.0, 0.78, 0.25, 0.4), mouth=1.0),
    "concern": Pose(
        Head(roll=-5, pitch=4, lean=0.3), Eyes(brow=0.9, smile=0.15), Light(0.5, 0.58, 1.0, 0.15), mouth=-0.2
    ),
    "sad": Pose(
        Head(pitch=9), Eyes(open=0.72, brow=0.8, gaze=(0.0, 0.25), smile=0.05), Light(0.25, 0.45, 0.85, 0.1), mouth=-0.6
    ),
    "surprise": Pose(
        Head(pitch=-6), Eyes(open=1.3, brow=0.7, pupil=1.0, smile=0.0), Light(1.0, 0.5, 0.8, 0.6), 0.1, 0.35
    ),
    "curious": Pose(
        Head(roll=8, lean=0.25), Eyes(open=1.1, brow=0.4, pupil=0.85), Light(0.3, 0.95, 0.8, 0.3), mouth=0.3
    ),
    "tender": Pose(
        Head(roll=5, pitch=3, lean=0.2),
        Eyes(open=0.9, brow=0.6, smile=0.1, pupil=0.85),
        Light(0.85, 0.6, 0.7, 0.14),
        mouth=0.0,
    ),
    "calm": Pose(Head(), Eyes(open=0.82, smile=0.25, pupil=0.4), Light(0.5, 0.9, 0.6, 0.1), mouth=0.35),
}
"""What each of the agent's emotions looks like at its full strength."""

GESTURES: Final[dict[str, float]] = {"nod": 1.2, "tilt": 2.4, "lean_in": 3.2, "look_away": 2.2, "blink": 0.3}
"""How long each gesture takes, in seconds."""


def pose_of(emotion: str, intensity: float = 0.6) -> Pose:
    """Return the pose of an emotion at an intensity 0..1; one that is not known is neutral."""
    # Policies say 0.6 for an ordinary expression: that should already be plain to see.
    share = min(1.0, 0.35 + 0.85 * max(0.0, min(1.0, intensity)))
    return mix(POSES["neutral"], POSES.get(emotion, POSES["neutral"]), share)


def with_gesture(pose: Pose, name: str, x: float) -> Pose:
    """Return ``pose`` as far as a gesture has come, ``x`` 0..1; one that is not known changes nothing."""
    held = min(1.0, x / 0.25) * min(1.0, (1.0 - x) / 0.3) if 0.0 < x < 1.0 else 0.0
    held *= held * (3.0 - 2.0 * held)
    head, eyes = pose.head, pose.eyes
    match name:
        case "nod":
            head = replace(head, pitch=head.pitch + 11 * math.sin(4 * math.pi * x) * (1.0 - 0.4 * x) * (held > 0))
        case "tilt":
            head = replace(head, roll=head.roll + 12 * held)
        case "lean_in":
            head = replace(head, lean=min(1.0, head.lean + 0.8 * held), pitch=head.pitch + 3 * held)
        case "look_away":
            head = replace(head, yaw=head.yaw + 18 * held)
            eyes = replace(eyes, gaze=(eyes.gaze[0] + 0.7 * held, eyes.gaze[1] + 0.25 * held))
        case "blink":
            eyes = replace(eyes, open=eyes.open * (1.0 - held))
    return replace(pose, head=head, eyes=eyes)


def mix(a: Pose, b: Pose, share: float) -> Pose:
    """Return what lies between two poses: ``a`` at 0, ``b`` at 1."""

    def at(x: float, y: float) -> float:
        return x + (y - x) * share

    return Pose(
        Head(*(at(getattr(a.head, k), getattr(b.head, k)) for k in ("yaw", "pitch", "roll", "lean"))),
        Eyes(
            at(a.eyes.open, b.eyes.open),
            at(a.eyes.smile, b.eyes.smile),
            at(a.eyes.brow, b.eyes.brow),
            (at(a.eyes.gaze[0], b.eyes.gaze[0]), at(a.eyes.gaze[1], b.eyes.gaze[1])),
            at(a.eyes.pupil, b.eyes.pupil),
        ),
        Light(*(at(getattr(a.light, k), getattr(b.light, k)) for k in ("red", "green", "blue", "breathes_hz"))),
        at(a.mouth, b.mouth),
        at(a.open, b.open),
    )
