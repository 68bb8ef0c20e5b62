"""Single-shot detectors of the BlazeFace family (Bazarevsky et al. 2019): faces and palms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.litert import Floats, Network
from perception.pixels import Pixels, letterbox

_OVERLAP = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """Something found.

    Attributes:
        box: left, top, right, bottom, in pixels of the picture.
        score: 0..1.
        points: key points, shape ``(n, 2)``, in pixels of the picture.
    """

    box: Floats
    score: float
    points: Floats

    @property
    def size(self) -> float:
        """The longer side of the box, pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box, pixels."""
        return float(self.box[0] + self.box[2]) / 2, float(self.box[1] + self.box[3]) / 2


@dataclass(frozen=True, slots=True)
class Anatomy:
    """How one detector was built.

    Attributes:
        side: pixels of its square input.
        cells: (cells per side, anchors per cell) of each of its grids, in the order of its outputs.
        points: key points per detection.
        low: input value of black.
        high: input value of white.
        threshold: least score.
    """

    side: int
    cells: tuple[tuple[int, int], ...]
    points: int
    low: float
    high: float
    threshold: float


SHORT_RANGE_FACE = Anatomy(128, ((16, 2), (8, 6)), 6, -1.0, 1.0, 0.5)
FULL_RANGE_FACE = Anatomy(192, ((48, 1),), 6, -1.0, 1.0, 0.6)
PALM = Anatomy(192, ((24, 2), (12, 6)), 7, 0.0, 1.0, 0.5)


def anchors(cells: tuple[tuple[int, int], ...]) -> Floats:
    """Return the anchor centres, shape ``(n, 2)``, 0..1."""
    grids = []
    for side, each in cells:
        row = (np.arange(side, dtype=np.float32) + 0.5) / side
        y, x = np.meshgrid(row, row, indexing="ij")
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(grids)


class Detector:
    """Finds faces or palms. Not thread-safe.

    Args:
        weights: the ``.tflite`` file.
        anatomy: how it was built.
    """

    def __init__(self, weights: bytes, anatomy: Anatomy) -> None:
        self._network = Network(weights)
        self._anatomy = anatomy
        self._anchors = anchors(anatomy.cells)
        first, second = self._network.output_shapes
        if {first[1], second[1]} != {len(self._anchors)}:
            raise ValueError(f"the detector has {first[1]} anchors, not {len(self._anchors)}")
        self._boxes_at = 0 if first[2] > second[2] else 1

    def __call__(self, picture: Pixels) -> list[Detection]:
        """Return what is found in ``picture`` (h, w, 3), best first."""
        shape = self._anatomy
        view = letterbox(picture, shape.side, shape.low, shape.high)
        outputs = self._network(view.values)
        logits = outputs[1 - self._boxes_at][0, :, 0]
        scores: Floats = 1.0 / (1.0 + np.exp(-logits.clip(-50.0, 50.0), dtype=np.float32))
        likely = scores > shape.threshold
        if not likely.any():
            return []
        raw = outputs[self._boxes_at][0][likely]
        centres = self._anchors[likely] * shape.side
        middle, half = raw[:, :2] + centres, raw[:, 2:4] / 2
        bars = np.array([view.left, view.top], np.float32)
        boxes = np.concatenate([middle - half - bars, middle + half - bars], axis=1).astype(np.float32) / view.scale
        points = raw[:, 4 : 4 + 2 * shape.points].reshape(-1, shape.points, 2) + centres[:, None]
        return suppress(boxes.astype(np.float32), scores[likely], ((points - bars) / view.scale).astype(np.float32))


def suppress(boxes: Floats, scores: Floats, points: Floats) -> list[Detection]:
    """Merge overlapping detections into their mean, weighted by score (as MediaPipe's weighted NMS does).

    Args:
        boxes: shape ``(n, 4)``.
        scores: shape ``(n,)``.
        points: shape ``(n, k, 2)``.
    """
    found: list[Detection] = []
    free: NDArray[np.bool_] = np.ones(len(scores), bool)
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=1)
    for best in np.argsort(-scores, kind="stable"):
        if not free[best]:
            continue
        low = np.maximum(boxes[best, :2], boxes[:, :2])
        high = np.minimum(boxes[best, 2:], boxes[:, 2:])
        common = np.clip(high - low, 0.0, None).prod(axis=1)
        same = free & (common > _OVERLAP * (area + area[best] - common))
        same[best] = True
        free &= ~same
        weights = scores[same] / scores[same].sum()
        found.append(
            Detection(
                box=(boxes[same] * weights[:, None]).sum(axis=0),
                score=float(scores[best]),
                points=(points[same] * weights[:, None, None]).sum(axis=0),
            )
        )
    return found
