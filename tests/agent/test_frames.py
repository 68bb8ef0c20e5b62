"""The binary messages of a WebSocket, the pictures in them, and the order in which they may come."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.frames import HEADER, MOST_BYTES, Frame, FrameError, Kind, pack, unpack
from agent.transports._heard import Order, raised
from agent.transports._inbound import Decimator
from agent.transports._picture import decode, size_of_jpeg
from perception.timebase import MS, SECOND
from tests.sockets import jpeg, rgb, sound, tone

VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "protocol.vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["name"])
def test_the_good_vectors_are_read_as_they_are_described(vector: dict[str, object]) -> None:
    frame = unpack(bytes.fromhex(str(vector["hex"])))
    told = {
        "kind": frame.kind.name.lower(),
        "detail": frame.detail,
        "reply": frame.reply,
        "time_us": frame.time_us,
        "payload": frame.payload.hex(),
    }
    assert {k: vector[k] for k in told} == told
    assert pack(frame.kind, frame.detail, frame.time_us, bytes(frame.payload), frame.reply).hex() == vector["hex"]
    if "samples" in vector:
        assert np.frombuffer(frame.payload, "<i2").tolist() == vector["samples"]
    if "size" in vector:
        pixels = decode(frame.kind, frame.payload)
        assert [pixels.shape[1], pixels.shape[0]] == vector["size"]


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=lambda v: v["name"])
def test_the_bad_vectors_are_refused_by_name(vector: dict[str, str]) -> None:
    assert fault(bytes.fromhex(vector["hex"])) == vector["error"]


def fault(data: bytes) -> str:
    """Name what is wrong with a message; nothing if it is a frame."""
    try:
        frame = unpack(data)
        if frame.kind is Kind.JPEG:
            size_of_jpeg(frame.payload)
    except FrameError as error:
        return error.name
    return ""


@given(st.binary(max_size=400))
def test_whatever_comes_is_a_frame_or_an_error(data: bytes) -> None:
    if not fault(data):
        frame = unpack(data)
        assert pack(frame.kind, frame.detail, frame.time_us, bytes(frame.payload), frame.reply) == data


@given(st.binary(min_size=1, max_size=300), st.sampled_from([Kind.JPEG, Kind.RGB]))
def test_whatever_comes_as_a_picture_is_one_or_an_error(data: bytes, kind: Kind) -> None:
    for body in (data, b"\xff\xd8" + data + b"\xff\xd9"):
        with contextlib.suppress(FrameError):
            assert decode(kind, body).ndim == 3


def test_too_big_a_frame_is_refused() -> None:
    with pytest.raises(FrameError, match="at most") as refused:
        unpack(pack(Kind.JPEG, 0, 0, bytes(MOST_BYTES)))
    assert refused.value.name == "oversize_frame"


def test_pictures_are_made_right() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :, 0] = 200
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done
    assert abs(decode(Kind.JPEG, bytes(data)).astype(int) - pixels).max() < 8
    raw = struct.pack("<HH", 60, 40) + pixels.tobytes()
    assert np.array_equal(decode(Kind.RGB, raw), pixels)
    assert decode(Kind.JPEG, jpeg(1920, 1080)).shape == (720, 1280, 3)


def test_the_size_is_known_before_anything_is_decoded() -> None:
    assert size_of_jpeg(jpeg(320, 200)) == (320, 200)
    for data, name in (
        (jpeg(320, 200)[:-40], "truncated_frame"),
        (b"GIF89a" + bytes(50), "not_a_picture"),
        (jpeg(64, 48, 120, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "not_a_picture"),
        (_claiming(jpeg(), 60_000, 60_000), "picture_too_large"),
        (_claiming(jpeg(), 4096, 4096), "picture_too_large"),
        (jpeg()[:-2] + b"\xff\xda\x00\x02" * 9 + b"\xff\xd9", "not_a_picture"),
    ):
        with pytest.raises(FrameError) as refused:
            size_of_jpeg(data)
        assert refused.value.name == name
    with pytest.raises(FrameError):  # the header says more than there is
        decode(Kind.JPEG, _claiming(jpeg(), 640, 400)[:300] + b"\xff\xd9")


def _claiming(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_every_rate_becomes_the_same_sound(rate_hz: int) -> None:
    frames = [unpack(sound(n, rate_hz)) for n in range(25)]
    decimator = Decimator()
    heard = np.concatenate([decimator.feed(raised(f)) for f in frames])
    want = np.frombuffer(b"".join(tone(n) for n in range(25)), "<i2").astype(np.float32) / 32768
    assert np.abs(heard[100:-100] - want[100 : len(heard) - 100]).max() < 0.002


def test_frames_follow_one_another() -> None:
    order = Order(0)
    assert [order.ticks(unpack(sound(n))) for n in range(3)] == [0, 960, 1920]
    near = pack(Kind.PCM16, 16, 3 * 20_000 + 4000, tone(3))
    assert order.ticks(unpack(near)) == 2880, "a clock that is read is a little off"
    gap = pack(Kind.PCM16, 16, 200_000, tone(4))
    assert order.ticks(unpack(gap)) == 9600
    with pytest.raises(FrameError, match="ms before the end of the one before") as refused:
        order.ticks(unpack(pack(Kind.PCM16, 16, 150_000, tone(5))))
    assert refused.value.name == "time_backwards"
    assert order.ticks(unpack(pack(Kind.PCM16, 16, 220_000, tone(5)))) == 10_560, "and it goes on where it was"


def test_pictures_follow_one_another_by_source() -> None:
    def shot(detail: int, time_us: int) -> Frame:
        return unpack(pack(Kind.RGB, detail, time_us, rgb(2, 2)))

    order = Order(0)
    assert order.picture(shot(0, 1_000_000)) == 90_000
    assert order.picture(shot(1, 500_000)) == 45_000
    for time_us in (1_000_000, 999_999):
        with pytest.raises(FrameError) as refused:
            order.picture(shot(0, time_us))
        assert refused.value.name == "time_backwards"


def test_no_more_is_taken_than_a_microphone_and_a_camera_send() -> None:
    order = Order(0)
    for n in range(50 * 60):
        order.count(unpack(sound(n)), n * 20 * MS)

    def flood(frame: Frame, at: int) -> None:
        for _ in range(1000):
            order.count(frame, at)

    with pytest.raises(FrameError, match="faster than time") as refused:
        flood(unpack(sound(0, ms=200)), 60 * SECOND)
    assert refused.value.name == "too_much"
    order = Order(0)
    picture = unpack(pack(Kind.RGB, 0, 0, rgb()))
    for n in range(30 * 20):
        order.count(picture, n * 33 * MS)
    with pytest.raises(FrameError, match="pictures"):
        flood(picture, 20 * SECOND)


def test_the_header_has_the_layout_of_the_document() -> None:
    assert HEADER.size == 16
    assert pack(Kind.PCM16, 16, 0x0807060504030201, b"\x00\x80", 0x0D0C0B0A).hex() == (
        "01011000" + "0a0b0c0d" + "0102030405060708" + "0080"
    )
