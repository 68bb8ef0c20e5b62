"""A robot that draws itself: a white head with a dark face of light, for screens and for tests without hardware."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.offload import Thread
from examples.robot.body import Eyes, Head, Light, Pose

Picture = NDArray[np.uint8]
_Points = NDArray[np.float64]
_Color = tuple[float, float, float]
_Late = list[tuple[_Points, _Color]]

SIZE: Final = 720
_FINE: Final = 2
"""Everything is drawn so much larger, and made smaller at the end: smooth edges."""

_SHELL: Final = (246, 243, 240)
_SHADE: Final = (206, 202, 206)
_VISOR: Final = (30, 27, 44)
_TO_NEVER_FADE: Final = 0.35


class SimulatedRobot:
    """The body; :meth:`picture` shows it.

    Attributes:
        name: of what it shows, written below it.
        calls: how often it was told to move.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.calls = 0
        self._head, self._eyes, self._light = Head(), Eyes(), Light()
        self._mouth = (0.25, 0.0)
        self._senses = (False, False)

    def turn_head(self, head: Head) -> None:
        """Point the head."""
        self._head = head
        self.calls += 1

    def set_eyes(self, eyes: Eyes) -> None:
        """Move the eyes."""
        self._eyes = eyes

    def set_light(self, light: Light) -> None:
        """Light the lamps."""
        self._light = light

    def set_mouth(self, smile: float, open: float) -> None:
        """Shape the mouth."""
        self._mouth = smile, open

    def perceives(self, hearing: bool, seeing: bool) -> None:
        """Light the lamp that says so."""
        self._senses = hearing, seeing

    @property
    def pose(self) -> Pose:
        """How it stands."""
        return Pose(self._head, self._eyes, self._light, *self._mouth)

    def picture(self, now: float = 0.0) -> Picture:
        """Return what it looks like ``now`` (seconds), uint8 RGB of shape ``(720, 720, 3)``."""
        return self.picture_later(now)()

    def picture_later(self, now: float) -> Callable[[], Picture]:
        """Return what draws the picture of this moment, whenever it is called."""
        return partial(draw, self.pose, now, hearing=self._senses[0], seeing=self._senses[1], name=self.name)


class Window:
    """Shows a robot on the screen, with Tk.

    Raises:
        RuntimeError: Python has no Tk here, or there is no screen.
    """

    def __init__(self, robot: SimulatedRobot, title: str = "Robot") -> None:
        try:
            import tkinter
        except ImportError as error:
            fix = "install it (Debian: apt-get install python3-tk), or write pictures instead: --png FOLDER"
            raise RuntimeError(f"Python has no Tk here, which --window needs ({error}); {fix}") from None
        try:
            self._root: Any = tkinter.Tk()
        except tkinter.TclError as error:
            raise RuntimeError(f"there is no screen ({error}); write pictures instead: --png FOLDER") from None
        self._root.title(title)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._photo = tkinter.PhotoImage
        self._latest: Picture | None = None
        self._painter = Painter(robot, self._take)

    def show(self, now: float) -> None:
        """Have the robot drawn as it is ``now``, and show what has been drawn meanwhile."""
        self._painter(now)
        pixels, self._latest = self._latest, None
        if pixels is not None:
            ppm = b"P6 %d %d 255 " % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()
            self._kept = self._photo(data=ppm, format="PPM")
            self._label.configure(image=self._kept)
        self._root.update()

    def close(self) -> None:
        """Close it."""
        self._painter.close()
        self._root.destroy()

    def _take(self, pixels: Picture) -> None:
        self._latest = pixels


class Painter:
    """Draws a robot in a thread of its own, so that nobody who speaks waits for a picture. Too many are left out.

    Args:
        robot: who is drawn.
        take: is given each picture, in that thread.
        most_hz: pictures per second at most.
    """

    def __init__(self, robot: SimulatedRobot, take: Callable[[Picture], None], most_hz: float = 10.0) -> None:
        self._robot, self._take, self._step = robot, take, 1 / most_hz
        self._thread = Thread("painter", nice=5)
        self._busy = False
        self._due = 0.0

    def __call__(self, now: float) -> None:
        """Draw the robot as it is ``now``, if there is time for it."""
        if self._busy or now < self._due:
            return
        self._busy, self._due = True, now + self._step
        self._thread.post(self._paint, self._robot.picture_later(now))

    def close(self) -> None:
        """Finish the picture that is being drawn."""
        self._thread.close(wait_s=5.0)

    def _paint(self, picture: Callable[[], Picture]) -> None:
        try:
            self._take(picture())
        finally:
            self._busy = False


def draw(pose: Pose, now: float = 0.0, *, hearing: bool = False, seeing: bool = False, name: str = "") -> Picture:
    """Draw a pose.

    Args:
        pose: of the whole body.
        now: seconds; lights breathe with it.
        hearing: whether the lamp says that somebody is heard.
        seeing: the same of being seen.
        name: written below.

    Returns:
        uint8 RGB of shape ``(720, 720, 3)``.
    """
    light = _color(pose.light)
    breath = 1.0 - (1.0 - _TO_NEVER_FADE) * (0.5 - 0.5 * math.cos(2 * math.pi * pose.light.breathes_hz * now))
    canvas = _background(light)
    glow = np.zeros_like(canvas)
    _torso(canvas, glow, light, breath, lean=pose.head.lean)
    late = _head(canvas, glow, pose, light, breath)
    _lamp(canvas, glow, hearing=hearing, seeing=seeing)
    small = cv2.resize(glow, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    halo = cv2.resize(cv2.GaussianBlur(small, (0, 0), 7), (canvas.shape[1], canvas.shape[0]))
    canvas = np.minimum(255.0, canvas + 0.9 * halo)
    for points, color in late:
        _fill(canvas, points, color)
    found = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.uint8)
    if name:
        width = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 1)[0][0]
        place = ((SIZE - width) // 2, SIZE - 22)
        cv2.putText(found, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (58, 50, 74), 1, cv2.LINE_AA)
    return np.asarray(found, np.uint8)


# Parts. Coordinates are those of the finished picture, with the middle of the head at (0, 0).

_MIDDLE: Final = (SIZE / 2, 300.0)


def _color(light: Light) -> _Color:
    return 255 * light.red, 255 * light.green, 255 * light.blue


def _blend(a: _Color, b: _Color, share: float) -> _Color:
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def _background(light: _Color) -> NDArray[np.float32]:
    size = SIZE // 8  # there is nothing sharp in it
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    far = np.clip(np.hypot(x - 0.5, y - 0.4) / 0.75, 0, 1)[:, :, None]
    near, edge = np.array(_blend(light, (255, 252, 248), 0.72)), np.array(_blend(light, (226, 220, 232), 0.6))
    small = np.asarray(near * (1 - far) + edge * far, np.float32)
    return np.asarray(cv2.resize(small, (SIZE * _FINE, SIZE * _FINE), interpolation=cv2.INTER_LINEAR), np.float32)


def _box(width: float, height: float, square: float = 4.0, at: tuple[float, float] = (0, 0)) -> _Points:
    """A rounded box as a superellipse."""
    t = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    c, s = np.cos(t), np.sin(t)
    x = np.sign(c) * np.abs(c) ** (2 / square) * width / 2 + at[0]
    y = np.sign(s) * np.abs(s) ** (2 / square) * height / 2 + at[1]
    return np.stack([x, y], axis=1)


def _fill(canvas: NDArray[np.float32], points: _Points, color: _Color) -> None:
    place = (points + _MIDDLE) * _FINE * 16
    cv2.fillPoly(canvas, [np.round(place).astype(np.int32)], color, cv2.LINE_AA, 4)


def _line(canvas: NDArray[np.float32], points: _Points, color: _Color, width: float) -> None:
    place = np.round((points + _MIDDLE) * _FINE * 16).astype(np.int32)
    cv2.polylines(canvas, [place], False, color, round(width * _FINE), cv2.LINE_AA, 4)
    for end in (place[0], place[-1]):
        cv2.circle(canvas, (int(end[0]), int(end[1])), round(width * _FINE / 2 * 16), color, -1, cv2.LINE_AA, 4)


def _torso(
    canvas: NDArray[np.float32], glow: NDArray[np.float32], light: _Color, breath: float, *, lean: float
) -> None:
    rise = 10 * lean
    _fill(canvas, _box(96, 120, 5, (0, 190 + rise)), _SHADE)
    for ring in range(3):
        _fill(canvas, _box(108, 13, 4, (0, 168 + 22 * ring + rise)), (184, 180, 188))
    _fill(canvas, _box(430, 430, 3.2, (0, 428 + rise)), _SHADE)
    _fill(canvas, _box(418, 424, 3.2, (-4, 432 + rise)), _SHELL)
    shown = _blend((150, 146, 158), light, 0.25 + 0.75 * breath)
    _fill(canvas, _box(86, 86, 2, (0, 312 + rise)), (222, 218, 222))
    _fill(canvas, _box(62, 62, 2, (0, 312 + rise)), shown)
    _fill(glow, _box(62, 62, 2, (0, 312 + rise)), _blend((0, 0, 0), light, 0.55 * breath))


def _head(canvas: NDArray[np.float32], glow: NDArray[np.float32], pose: Pose, light: _Color, breath: float) -> _Late:
    """Draw the head; return what is drawn last, where no light falls."""
    head = pose.head
    turn, scale = math.radians(head.roll), 1 + 0.09 * head.lean
    c, s = math.cos(turn) * scale, math.sin(turn) * scale
    move = np.array([head.yaw * 1.6, head.pitch * 2.4 + 16 * head.lean])

    def placed(points: _Points, depth: float = 0.0) -> _Points:
        """Turn and move; what lies further in front moves further."""
        pivot = np.array([0.0, 150.0])
        shifted = points + np.array([head.yaw, head.pitch]) * depth - pivot
        return np.asarray(shifted @ np.array([[c, s], [-s, c]]) + pivot + move)

    for side in (-1, 1):
        _fill(canvas, placed(_box(58, 128, 3, (side * 206, 6)), -0.8), (172, 167, 178))
        lamp = placed(_box(20, 84, 3, (side * 226, 6)), -0.8)
        _fill(canvas, lamp, _blend((150, 146, 158), light, 0.3 + 0.7 * breath))
        _fill(glow, lamp, _blend((0, 0, 0), light, 0.6 * breath))
    _line(canvas, placed(np.array([[0.0, -170], [0.0, -222]]), -0.5), (172, 167, 178), 9)
    tip = placed(_box(34, 34, 2, (0, -232)), -0.5)
    _fill(canvas, tip, _blend((170, 166, 176), light, 0.35 + 0.65 * breath))
    _fill(glow, tip, _blend((0, 0, 0), light, 0.8 * breath))
    _fill(canvas, placed(_box(414, 352, 3.6)), _SHADE)
    _fill(canvas, placed(_box(402, 342, 3.6, (-4, -4))), _SHELL)
    _fill(canvas, placed(_box(150, 44, 2.4, (-88, -132))), (255, 254, 252))
    _fill(canvas, placed(_box(336, 252, 3.8, (0, 14)), 0.8), (120, 114, 130))
    _fill(canvas, placed(_box(328, 244, 3.8, (0, 14)), 0.8), _VISOR)
    shine = _blend((255, 255, 255), light, 0.55)
    late: _Late = []
    for side in (-1, 1):
        late += _eye(canvas, glow, pose.eyes, side, shine, lambda points: placed(points, 1.5))
    _mouth(canvas, glow, pose, shine, lambda points: placed(points, 1.5))
    return late


def _eye(
    canvas: NDArray[np.float32], glow: NDArray[np.float32], eyes: Eyes, side: int, shine: _Color, placed: Any
) -> _Late:
    x, y = side * 78.0 + 9 * eyes.gaze[0], -8.0 + 9 * eyes.gaze[1]
    height = max(7.0, 92 * min(1.3, eyes.open))
    ball = _box(74, height, 2.6, (x, y))
    # The lower lid pushes up as in a smile; the upper one slants with the brow.
    lift = 0.5 * height * eyes.smile
    t = (ball[:, 0] - x) / 37
    low = y + height / 2 - lift * (1.25 - 0.55 * t**2)
    slant = 0.22 * height * eyes.brow * t * side
    top = y - height / 2 + np.maximum(0.0, slant) + max(0.0, -eyes.brow) * 0.2 * height * (1 - t * side)
    middle = np.minimum(low, np.maximum(top, y))
    points = np.stack(
        [ball[:, 0], np.where(ball[:, 1] > middle, np.minimum(ball[:, 1], low), np.maximum(ball[:, 1], top))], 1
    )
    _fill(canvas, placed(points), shine)
    _fill(glow, placed(points), _blend((0, 0, 0), shine, 0.75))
    late: _Late = []
    if eyes.open > 0.45:
        size = 22 + 16 * eyes.pupil
        spot = (x + 11 * eyes.gaze[0], min(y + 9 * eyes.gaze[1], float(low.min()) - 0.35 * size))
        late = [
            (placed(_box(size, min(size, 0.8 * height), 2, spot)), _VISOR),
            (placed(_box(9, 9, 2, (spot[0] - 6, spot[1] - 8))), (255.0, 255.0, 255.0)),
        ]
    inner, outer = x - side * 30, x + side * 34
    lift_inner, lift_outer = 62 + 15 * eyes.brow, 62 - 9 * eyes.brow
    across = np.linspace(0, 1, 24)
    arch = np.stack(
        [
            inner + (outer - inner) * across,
            y - (lift_inner + (lift_outer - lift_inner) * across + 8 * np.sin(np.pi * across)),
        ],
        axis=1,
    )
    _line(canvas, placed(arch - [0.0, 6 * max(0.0, eyes.open - 1) * 10]), shine, 7)
    return late


def _mouth(canvas: NDArray[np.float32], glow: NDArray[np.float32], pose: Pose, shine: _Color, placed: Any) -> None:
    half = 44 + 10 * max(0.0, pose.mouth) - 10 * pose.open
    across = np.linspace(-1, 1, 40)
    bend = 20 * pose.mouth
    upper = np.stack([half * across, 84 - bend * across**2 + bend * 0.5 - 4 * pose.open * (1 - across**2)], axis=1)
    lower = upper + np.stack([0 * across, 34 * pose.open * (1 - across**2)], axis=1)
    if pose.open > 0.08:
        _fill(canvas, placed(np.concatenate([upper, lower[::-1]])), _blend((120, 60, 80), shine, 0.25))
        _line(canvas, placed(lower), shine, 8)
        _line(glow, placed(lower), _blend((0, 0, 0), shine, 0.6), 8)
    _line(canvas, placed(upper), shine, 8)
    _line(glow, placed(upper), _blend((0, 0, 0), shine, 0.6), 8)


def _lamp(canvas: NDArray[np.float32], glow: NDArray[np.float32], *, hearing: bool, seeing: bool) -> None:
    """Two small lamps on the chest: I hear you, I see you."""
    for x, on in ((-92.0, hearing), (92.0, seeing)):
        lamp = _box(17, 17, 2, (x, 312))
        _fill(canvas, _box(23, 23, 2, (x, 312)), (214, 209, 216))
        _fill(canvas, lamp, (255, 96, 84) if on else (168, 163, 173))
        if on:
            _fill(glow, lamp, (255, 90, 78))
