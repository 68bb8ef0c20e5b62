"""Pictures of strangers: decoded as they were meant, and without a word on standard error, however broken."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.frames import FrameError, Kind
from agent.transports._picture import decode

SAMPLINGS = (
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


def scene(height: int, width: int) -> NDArray[np.uint8]:
    """Colours that differ in each corner."""
    y, x = np.mgrid[0:height, 0:width]
    found = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], -1).astype(np.uint8)
    found[: height // 4, : width // 3] = (200, 40, 40)
    return found


def jpeg(pixels: NDArray[np.uint8], *options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92, *options])[1])


def held(data: bytes, orientation: int, order: str = "<") -> bytes:
    """Say in a file how the camera was held."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    tags = struct.pack(f"{order}HHHI", 1, 0x112, 3, 1) + struct.pack(f"{order}HHI", orientation, 0, 0)
    segment = b"Exif\0\0" + head + tags
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def by_libjpeg(data: bytes) -> NDArray[np.uint8]:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert found is not None
    return np.asarray(found, np.uint8)


@contextmanager
def stderr() -> Iterator[list[bytes]]:
    """Collect what native code writes to standard error."""
    found: list[bytes] = []
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield found
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            found.append(file.read())


@pytest.mark.parametrize("size", [(480, 640), (61, 35), (97, 131), (720, 1280)])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_picture_is_decoded_as_libjpeg_does(size: tuple[int, int], sampling: int) -> None:
    data = jpeg(scene(*size), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
    found, other = decode(Kind.JPEG, data), by_libjpeg(data)
    assert found.shape == other.shape
    assert np.abs(found.astype(int) - other).mean() < 2
    assert found.flags.c_contiguous


def test_grey_is_grey() -> None:
    data = bytes(cv2.imencode(".jpg", scene(48, 64)[..., 0])[1])
    found = decode(Kind.JPEG, data)
    assert found.shape == (48, 64, 3)
    assert np.abs(found.astype(int) - found[..., :1]).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(10))
def test_whoever_held_the_camera_otherwise_stands_upright(orientation: int, order: str) -> None:
    data = held(jpeg(scene(48, 64)), orientation, order)
    found, other = decode(Kind.JPEG, data), by_libjpeg(data)
    assert found.shape == other.shape
    assert np.abs(found.astype(int) - other).mean() < 3


def test_a_broken_picture_is_shown_or_refused_and_nothing_is_written() -> None:
    whole = jpeg(scene(240, 320))
    start = whole.index(b"\xff\xda") + 20
    rng = np.random.default_rng(3)
    said: list[object] = []
    with stderr() as told:
        for _ in range(60):
            broken = bytearray(whole)
            for at in rng.integers(start, len(whole) - 4, 12):
                broken[at] = rng.integers(0, 255)
            try:
                said.append(decode(Kind.JPEG, bytes(broken)).shape)
            except FrameError as error:
                said.append(error.name)
    assert set(said) <= {(240, 320, 3), "not_a_picture"}
    assert told == [b""]


def test_libjpeg_would_have_written() -> None:
    """So that the test above can fail."""
    whole = bytearray(jpeg(scene(240, 320)))
    whole[-40:-10] = b"\x00" * 30
    del whole[-200:-60]
    with stderr() as told:
        by_libjpeg(bytes(whole))
    assert b"Corrupt JPEG data" in told[0]


def test_a_second_header_cannot_make_it_larger() -> None:
    small = jpeg(scene(48, 64))
    at = small.index(b"\xff\xc0")
    large = bytearray(small[2:])
    large[at - 2 + 5 : at - 2 + 9] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(FrameError, match="cannot be decoded"):
        decode(Kind.JPEG, small[:-2] + bytes(large))


def test_a_picture_for_print_is_refused() -> None:
    data = bytearray(jpeg(scene(48, 64)))
    at = data.index(b"\xff\xc0")
    data[at + 9] = 4
    with pytest.raises(FrameError, match="for print"):
        decode(Kind.JPEG, bytes(data))


@given(st.binary(max_size=64), st.integers(0, 60))
def test_whatever_says_how_it_was_held_is_read_or_passed_over(noise: bytes, at: int) -> None:
    data = held(jpeg(scene(16, 16)), 6)
    place = data.index(b"Exif") + 6 + at % 20
    changed = data[:place] + noise[:20] + data[place + len(noise[:20]) :]
    try:
        assert decode(Kind.JPEG, changed).shape == (16, 16, 3)
    except FrameError:
        pass
