"""What the tests of the visual workers share: clips decoded once, cameras made of them, and a turning head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator

from agent.models import resolve, resolve_clip
from perception.facemesh import Face, FaceMesh, region_of
from perception.litert import read_bundle
from perception.media import VideoFrame
from perception.percept import Percept
from perception.ssd import FULL_RANGE_FACE, Detector
from perception.timebase import MS, SECOND, Nanos, from_ticks
from perception.workers import Worker
from tests.video_samples import frames


@lru_cache(maxsize=4)
def clip(name: str, fps: float | None = None, limit: int | None = None) -> tuple[VideoFrame, ...]:
    """The pictures of a short clip; a long one is better streamed."""
    return tuple(frames(resolve_clip(name), fps=fps, limit=limit))


def stream(name: str) -> Iterator[VideoFrame]:
    return frames(resolve_clip(name))


@cache
def instant(name: str, index: int) -> Nanos:
    """When picture number ``index`` of the clip was taken."""
    return next(islice(stream(name), index, None)).at


def watch(worker: Worker, media: Iterable[VideoFrame], batch: int = 1) -> list[Percept]:
    percepts: list[Percept] = []
    rest = iter(media)
    while some := list(islice(rest, batch)):
        percepts += worker.feed(some)
    return percepts


def of(percepts: Iterable[Percept], kind: str, label: str | None = None) -> list[Percept]:
    return [p for p in percepts if p.kind == kind and label in (None, p.label)]


def camera(pictures: Iterable[NDArray[np.uint8]], fps: int = 10, start: Nanos = 0) -> list[VideoFrame]:
    return [VideoFrame(np.array(p), start + from_ticks(i, fps)) for i, p in enumerate(pictures)]


def live(picture: NDArray[np.uint8], count: int) -> Iterator[NDArray[np.uint8]]:
    """The same scene ``count`` times, by a sensor with a little noise."""
    for i in range(count):
        taken = picture.copy()
        taken[0, 0] = i % 256
        yield taken


def later(media: Iterable[VideoFrame], by: Nanos) -> list[VideoFrame]:
    return [replace(frame, at=frame.at + by) for frame in media]


def noise(count: int, size: tuple[int, int] = (240, 320), seed: int = 7) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]


@cache
def portrait() -> tuple[NDArray[np.uint8], Face]:
    """The neutral first picture of a clip, at 320 x 180, and the points of its face."""
    picture = cv2.resize(clip("single-face")[0].pixels, (320, 180), interpolation=cv2.INTER_AREA)
    found = Detector(resolve("face-detector-full").read_bytes(), FULL_RANGE_FACE)(picture)
    face = FaceMesh(read_bundle(resolve("face-landmarker"))).face(picture, region_of(found[0]))
    assert face is not None
    return picture, face


def turned(pitch_deg: float, yaw_deg: float) -> NDArray[np.uint8]:
    """The portrait with its head turned: the points are turned in space, and the picture is bent to follow them."""
    picture, face = portrait()
    height, width = picture.shape[:2]
    points = face.points.astype(np.float64)
    depth = float(np.ptp(points[:, 0])) * 0.5
    centre = np.array([points[:, 0].mean(), points[:, 1].mean(), points[:, 2].mean() + depth])
    p, y = math.radians(pitch_deg), math.radians(yaw_deg)
    nod = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    shake = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    moved = (points - centre) @ (nod @ shake).T + centre
    # A ring around the head and the border of the picture stay where they are.
    around = [
        (centre[0] + depth * 3.0 * math.cos(a), points[:, 1].mean() + depth * 3.4 * math.sin(a))
        for a in np.linspace(0, 2 * math.pi, 24, endpoint=False)
    ]
    border = [(x, y) for x in (0, width / 2, width - 1) for y in (0, height / 2, height - 1)]
    fixed = np.array(around + border)
    bend = LinearNDInterpolator(np.vstack([moved[:, :2], fixed]), np.vstack([points[:, :2], fixed]))
    columns, rows = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    source = bend(columns, rows).astype(np.float32)
    bent: NDArray[np.uint8] = cv2.remap(
        picture, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return bent


def moving_head(path: Callable[[float], tuple[float, float]], seconds: float) -> list[VideoFrame]:
    """A camera at 10 fps on the portrait, whose head has pitch and yaw ``path(t)`` at second ``t``."""
    return [VideoFrame(turned(*path(at / SECOND)), at) for at in range(0, round(seconds * SECOND), 100 * MS)]
