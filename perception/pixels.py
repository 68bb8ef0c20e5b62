"""Cut squares and thumbnails out of pictures, in the geometry that the networks were trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.litert import Floats

Pixels = NDArray[np.uint8]

# The workers are the unit of parallelism: OpenCV's own pool would steal the cores of the others.
cv2.setNumThreads(1)


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square in a picture.

    Attributes:
        x: centre, pixels from the left.
        y: centre, pixels from the top.
        side: side, pixels.
        angle: clockwise rotation, radians.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether there is something to cut out: finite, and at least four pixels wide."""
        return math.isfinite(self.x + self.y + self.side + self.angle) and self.side >= 4.0

    def to_picture(self, out: int) -> Floats:
        """Return the affine matrix, shape ``(2, 3)``, from pixels of the ``out`` x ``out`` cut-out to the picture."""
        cos, sin, zoom, half = math.cos(self.angle), math.sin(self.angle), self.side / out, self.side / 2
        return np.array(
            [
                [cos * zoom, -sin * zoom, self.x - (cos - sin) * half],
                [sin * zoom, cos * zoom, self.y - (sin + cos) * half],
            ],
            np.float32,
        )


def cut(picture: Pixels, region: Region, out: int) -> Pixels:
    """Return the region as ``(out, out, 3)``; black where it lies outside the picture."""
    matrix = region.to_picture(out)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cutout: Pixels = cv2.warpAffine(picture, matrix, (out, out), flags=flags)
    return cutout


def to_unit(pixels: Pixels, low: float = 0.0, high: float = 1.0) -> Floats:
    """Map 0..255 to ``low..high`` and add a batch axis in front."""
    values = pixels.astype(np.float32)
    values *= (high - low) / 255.0
    if low:
        values += low
    return values[None]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A picture shrunk to fit a square, with bars.

    Attributes:
        values: float32, shape ``(1, side, side, 3)``.
        scale: pixels of the square per pixel of the picture.
        left: width of the left bar.
        top: height of the upper bar.
    """

    values: Floats
    scale: float
    left: int
    top: int


def letterbox(picture: Pixels, side: int, low: float, high: float) -> Letterbox:
    """Fit ``picture`` into a square of ``side`` pixels, values ``low..high``, black bars."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    small = cv2.resize(picture, (inner_width, inner_height), interpolation=method)
    left, top = (side - inner_width) // 2, (side - inner_height) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + inner_height, left : left + inner_width] = small
    return Letterbox(to_unit(square, low, high), scale, left, top)


def thumbnail(picture: Pixels, width: int, height: int) -> Pixels:
    """Return the whole picture in grey, shape ``(height, width)``, its aspect ratio not kept."""
    step = min(picture.shape[0] // (2 * height), picture.shape[1] // (2 * width))
    if step > 1:  # to average over all pixels of a large picture costs a millisecond and shows nothing more
        picture = np.ascontiguousarray(picture[::step, ::step])
    shrinks = picture.shape[0] >= height and picture.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    grey: Pixels = cv2.cvtColor(cv2.resize(picture, (width, height), interpolation=method), cv2.COLOR_RGB2GRAY)
    return grey


def square_around(points: Floats, scale: float, angle: float = 0.0) -> Region:
    """Return the square around ``points`` (n, >=2), ``scale`` times as large as their longer extent."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    centre = (low + high) / 2
    return Region(float(centre[0]), float(centre[1]), float((high - low).max()) * scale, angle)
