"""What goes through the pipes comes out the same, and whatever else comes is refused by name."""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.housing.parcels import MAX_HEADER, BadParcel, Pipe, tell, told, unwrap, wrap
from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import Percept


@pytest.fixture
def ends() -> Iterator[tuple[Pipe, int]]:
    """A pipe to receive from, and the file descriptor to write to."""
    reading, writing = os.pipe()
    yield Pipe(reading, writing, most=1 << 24), writing
    os.close(reading)
    os.close(writing)


def test_media_come_out_the_same(ends: tuple[Pipe, int]) -> None:
    pipe, _ = ends
    pixels = np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)
    sent: list[Media] = [
        AudioChunk(np.linspace(-1, 1, 320, dtype=np.float32), 7),
        VideoFrame(np.rot90(pixels), 8, "screen"),
        Text("ü\n", 9, "single", ("A. yes", "B. no")),
        AudioChunk(np.zeros(0, np.float32), -1, 48_000),
        VideoFrame(pixels[::2, ::2], 10),
    ]
    listed, arrays = wrap(sent)
    pipe.send({"media": listed}, arrays)
    header, body = pipe.receive()
    found = unwrap(header["media"], body)
    for a, b in zip(sent, found, strict=True):
        if isinstance(a, AudioChunk) and isinstance(b, AudioChunk):
            assert (a.start, a.rate_hz) == (b.start, b.rate_hz)
            np.testing.assert_array_equal(a.samples, b.samples)
        elif isinstance(a, VideoFrame) and isinstance(b, VideoFrame):
            assert (a.at, a.source) == (b.at, b.source)
            np.testing.assert_array_equal(a.pixels, b.pixels)
        else:
            assert a == b


def test_percepts_come_out_the_same(ends: tuple[Pipe, int]) -> None:
    pipe, _ = ends
    numbers: dict[str, Any] = {"count": 2, "yaw": 0.1, "language": "en", "word_starts": (0.1, 1 / 3), "none": ()}
    numbers["alternatives"] = ("a bottle", "ein Bär")
    sent = Percept("face", "présent", 5, 6, 1 / 3, "face", numbers)
    numpys: dict[str, Any] = {"x": np.float32(0.5)}
    pipe.send({"percepts": [tell(sent), tell(Percept("a", "", 0, 0, np.float64(0.25), "b", numpys))]})
    header, _ = pipe.receive()
    assert [told(p) for p in header["percepts"]] == [sent, Percept("a", "", 0, 0, 0.25, "b", {"x": 0.5})]


def test_many_senders_do_not_mix(ends: tuple[Pipe, int]) -> None:
    pipe, _ = ends

    def send(k: int) -> None:
        for _ in range(20):
            pipe.send({"k": k}, [np.full(100_000, k, np.uint8)])

    senders = [threading.Thread(target=send, args=(k,)) for k in range(4)]
    for sender in senders:
        sender.start()
    for _ in range(80):
        header, body = pipe.receive()
        assert len(body) == 100_000
        assert set(np.unique(body)) == {header["k"]}
    for sender in senders:
        sender.join()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", TimeoutError),
        (struct.pack("<II", 10, 0) + b"{", TimeoutError),
        (struct.pack("<II", MAX_HEADER + 1, 0), BadParcel),
        (struct.pack("<II", 2, 1 << 25), BadParcel),
        (struct.pack("<II", 2, 0) + b"{]", BadParcel),
        (struct.pack("<II", 2, 0) + b"[]", BadParcel),
        (struct.pack("<II", 2, 0) + b"\xff\xfe", BadParcel),
    ],
)
def test_what_is_no_parcel_is_refused(ends: tuple[Pipe, int], data: bytes, error: type[Exception]) -> None:
    pipe, writing = ends
    os.write(writing, data)
    with pytest.raises(error):
        pipe.receive(0.01)


def test_the_end_of_the_other_side() -> None:
    reading, writing = os.pipe()
    pipe = Pipe(reading, writing)
    os.write(writing, struct.pack("<II", 10, 0) + b"{}")
    os.close(writing)
    with pytest.raises(EOFError):
        pipe.receive()
    os.close(reading)
    assert pipe.shut()
    with pytest.raises(BrokenPipeError):
        pipe.send({})


def test_what_is_too_long_is_not_sent(ends: tuple[Pipe, int]) -> None:
    pipe, _ = ends
    with pytest.raises(ValueError, match="too long"):
        pipe.send({"a": "x" * MAX_HEADER})
    with pytest.raises(TypeError, match="set does not go through a pipe"):
        pipe.send({"a": {1}})


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=3), inner), max_leaves=12
)
NEARLY = st.tuples(st.sampled_from(["sound", "picture", "text", "x"]), SCALARS, SCALARS, SCALARS, SCALARS).map(list)


@pytest.mark.slow
@given(JSON | st.lists(NEARLY, max_size=3), st.binary(max_size=64))
def test_any_other_media_are_refused(fields: Any, body: bytes) -> None:
    try:
        media = unwrap(json.loads(json.dumps(fields)), np.frombuffer(body, np.uint8))
    except BadParcel:
        return
    assert all(isinstance(item, AudioChunk | VideoFrame | Text) for item in media)


@pytest.mark.slow
@given(JSON | st.tuples(*[SCALARS] * 6, JSON).map(list))
def test_any_other_percept_is_refused(fields: Any) -> None:
    try:
        assert isinstance(told(json.loads(json.dumps(fields))), Percept)
    except BadParcel:
        pass
