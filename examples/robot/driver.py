"""From what the call shows to a body that moves: the rules of time. Knows no clock and no robot.

Whoever runs it tells it what the call shows as it comes, and asks it thirty times a second to move the body.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

from examples.robot.body import GESTURES, Head, Pose, RobotBody, mix, pose_of, with_gesture

HZ = 30.0
"""How often :meth:`Driver.step` wants to be called."""

_SETTLES_S = 0.25
_MOUTH_FALLS = 0.55


class Driver:
    """Moves one body.

    Args:
        body: the robot.
        seed: of its small involuntary motions.
    """

    def __init__(self, body: RobotBody, seed: int = 0) -> None:
        self._body = body
        self._random = random.Random(seed)
        self._pose = self._goal = pose_of("neutral")
        self._gestures: list[tuple[str, float]] = []
        self._state = ""
        self._mouth = 0.0
        self._now = 0.0
        self._blinks_at = 2.0

    @property
    def pose(self) -> Pose:
        """Where the body is now, without its gestures."""
        return self._pose

    def show(self, emotion: str, gesture: str = "none", intensity: float = 0.6) -> None:
        """The agent shows something; what is not known is left out."""
        self._goal = pose_of(emotion, intensity)
        if gesture in GESTURES:
            self._gestures = [g for g in self._gestures if g[0] != gesture]
            self._gestures.append((gesture, self._now))

    def state(self, state: str) -> None:
        """The agent is ``listening``, ``thinking`` or ``speaking`` now."""
        self._state = state

    def sound(self, level: float) -> None:
        """The agent's voice sounds, root mean square 0..1."""
        self._mouth = max(self._mouth, min(1.0, max(0.0, (20 * math.log10(level + 1e-5) + 46) / 32)))

    def step(self, now: float) -> None:
        """Move the body to where it should be at ``now``, in seconds; never backwards."""
        passed = max(0.0, min(0.2, now - self._now))
        self._now = now
        self._pose = mix(self._pose, self._goal, 1.0 - math.exp(-passed / _SETTLES_S))
        if now >= self._blinks_at:
            self._gestures.append(("blink", now))
            self._blinks_at = now + self._random.uniform(2.5, 6.0)
        self._gestures = [(name, begun) for name, begun in self._gestures if now - begun < GESTURES[name]]
        pose = self._alive(self._pose)
        for name, begun in self._gestures:
            pose = with_gesture(pose, name, (now - begun) / GESTURES[name])
        self._body.turn_head(pose.head)
        self._body.set_eyes(pose.eyes)
        self._body.set_light(pose.light)
        self._body.set_mouth(pose.mouth, min(1.0, pose.open + 0.8 * self._mouth))
        self._mouth *= _MOUTH_FALLS ** (passed * HZ)

    def _alive(self, pose: Pose) -> Pose:
        """Breath, and a head that is never quite still; whoever listens leans in, whoever thinks looks up."""
        now, head, eyes = self._now, pose.head, pose.eyes
        lean = head.lean + (0.15 if self._state == "listening" else 0.0) + 0.03 * math.sin(1.3 * now)
        yaw = head.yaw + 1.2 * math.sin(0.6 * now) + 0.6 * math.sin(1.4 * now + 1)
        head = Head(yaw, head.pitch + 0.8 * math.sin(0.5 * now + 2), head.roll + 0.6 * math.sin(0.4 * now), lean)
        if self._state == "thinking":
            eyes = replace(eyes, gaze=(eyes.gaze[0] + 0.4, eyes.gaze[1] - 0.5))
        return replace(pose, head=head, eyes=eyes)
