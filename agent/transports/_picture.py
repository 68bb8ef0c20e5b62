"""Pictures of strangers, looked at before they are decoded: how large, and of what kind."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.frames import SIZE, FrameError, Kind, check_size, size_of_rgb

_LONGEST_SIDE: Final = 1280
_MOST_SEGMENTS: Final = 256
_MOST_SCANS: Final = 4
"""Of a baseline file; one with more is made to keep the decoder busy."""

_SOI: Final = b"\xff\xd8"
_EOI: Final = b"\xff\xd9"
_SOS: Final = 0xDA
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_BASELINE: Final = frozenset({0xC0, 0xC1})
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})


def size_of_jpeg(data: bytes | memoryview) -> tuple[int, int]:
    """Return width and height of a JPEG file, without decoding it.

    Only baseline files are taken: a progressive one of the same size can keep a decoder busy for minutes.

    Raises:
        FrameError: ``not_a_picture`` if it is no JPEG or not baseline, ``truncated_frame`` if its end is missing,
            ``picture_too_large``.
    """
    data = bytes(data)
    if not data.startswith(_SOI):
        raise FrameError("not_a_picture", "what was sent as JPEG does not begin like one")
    if not data.rstrip(b"\x00").endswith(_EOI):
        raise FrameError("truncated_frame", "the end of the JPEG file is missing")
    found: tuple[int, int] | None = None
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _SOS:
            if found is None or data.count(b"\xff\xda", at) > _MOST_SCANS:
                break
            return found
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2:
            break
        if marker in _FRAMES:
            if marker not in _BASELINE or found is not None or at + 9 > len(data):
                raise FrameError("not_a_picture", "only baseline JPEG is taken, not progressive or lossless")
            found = int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
            check_size(*found)
        at += 2 + length
    raise FrameError("not_a_picture", "what was sent as JPEG is not put together like one")


def decode(kind: Kind, payload: bytes | memoryview) -> NDArray[np.uint8]:
    """Return a picture as uint8 RGB of shape ``(h, w, 3)``, upright, its longer side at most 1280; blocks.

    Raises:
        FrameError: as :func:`size_of_jpeg`, or ``not_a_picture`` if it cannot be decoded.
    """
    if kind is Kind.RGB:
        width, height = size_of_rgb(payload)
        return _smaller(np.frombuffer(payload, np.uint8, offset=SIZE.size).reshape(height, width, 3).copy())
    size = size_of_jpeg(payload)
    try:
        found = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        found = None
    if found is None or sorted(found.shape[:2]) != sorted(size):
        raise FrameError("not_a_picture", "the JPEG file cannot be decoded")
    return _smaller(found)


def _smaller(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer <= _LONGEST_SIDE:
        return pixels
    size = (max(1, width * _LONGEST_SIDE // longer), max(1, height * _LONGEST_SIDE // longer))
    found: NDArray[np.uint8] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return found
