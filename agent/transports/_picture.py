"""Pictures of strangers, looked at before they are decoded: how large, and of what kind.

FFmpeg decodes them and not libjpeg, which writes what it finds wrong with a picture to standard error, where only lines
of the log belong.
"""

from __future__ import annotations

from typing import Any, Final

import av
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
_COLOURS: Final = frozenset({1, 3})
_EXIF: Final = b"Exif\x00\x00"
_ORIENTATION: Final = 0x112
_MOST_TAGS: Final = 64
_PADDING: Final = 64
"""By which a decoder may round up a side."""

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
            if marker not in _BASELINE or found is not None or at + 10 > len(data) or data[at + 9] not in _COLOURS:
                what = "only baseline JPEG in colour or grey is taken, not progressive, lossless or for print"
                raise FrameError("not_a_picture", what)
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
    return _smaller(_upright(_decoded(bytes(payload), *size_of_jpeg(payload)), _orientation_of(bytes(payload))))


def _decoded(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    codec: Any = av.CodecContext.create("mjpeg", "r")
    # A second header further on cannot make it larger than the first one says.
    codec.options = {"max_pixels": str((width + _PADDING) * (height + _PADDING))}
    try:
        found = codec.decode(av.Packet(data))
        pixels: NDArray[np.uint8] | None = found[0].to_ndarray(format="rgb24") if found else None
    except (av.FFmpegError, ValueError):
        pixels = None
    if pixels is None or pixels.shape != (height, width, 3):
        raise FrameError("not_a_picture", "the JPEG file cannot be decoded")
    return pixels


def _orientation_of(data: bytes) -> int:
    """Return how a camera was held, 1 to 8 as Exif has it; 1, upright, where a file does not say it."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker, length = data[at + 1 : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at : at + 1] != b"\xff" or marker == bytes([_SOS]) or length < 2:
            break
        if marker == b"\xe1" and data.startswith(_EXIF, at + 4):
            return _orientation_in(data[at + 4 + len(_EXIF) : at + 2 + length])
        at += 2 + length
    return 1


def _orientation_in(tiff: bytes) -> int:
    order: Any = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 1
    at = int.from_bytes(tiff[4:8], order)
    for k in range(min(int.from_bytes(tiff[at : at + 2], order), _MOST_TAGS)):
        tag = tiff[at + 2 + 12 * k : at + 14 + 12 * k]
        if int.from_bytes(tag[:2], order) == _ORIENTATION:
            found = int.from_bytes(tag[8:10], order)
            return found if 1 <= found <= 8 else 1
    return 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    if orientation >= 5:  # the first row is a column
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _smaller(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    longer = max(height, width)
    if longer <= _LONGEST_SIDE:
        return pixels
    size = (max(1, width * _LONGEST_SIDE // longer), max(1, height * _LONGEST_SIDE // longer))
    found: NDArray[np.uint8] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return found
