"""Files are decoded in a process of their own: the same media come out, and what a file does to it has a name."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from agent import media_file
from agent.media_decode import open_here
from agent.media_file import (
    Breaks,
    Limits,
    MediaError,
    MissingFile,
    NeverEnds,
    NotAFile,
    NothingToPlay,
    NotMedia,
    open_media,
)
from perception.media import AudioChunk, VideoFrame
from tests.media_samples import write_pictures

pytestmark = pytest.mark.slow  # a process is started in each


def test_the_same_comes_out_as_in_this_process(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mkv", sound_from=0.0)
    with open_media(path) as apart, open_here(path) as here:
        assert apart.info == here.info
        assert apart.hears
        pairs = list(zip(apart, here, strict=True))
        assert apart.notes == here.notes
    assert {type(m) for m, _ in pairs} == {AudioChunk, VideoFrame}
    for found, wanted in pairs:
        if isinstance(found, AudioChunk) and isinstance(wanted, AudioChunk):
            assert (found.start, found.rate_hz) == (wanted.start, wanted.rate_hz)
            np.testing.assert_array_equal(found.samples, wanted.samples)
        else:
            assert isinstance(found, VideoFrame)
            assert isinstance(wanted, VideoFrame)
            assert (found.at, found.source) == (wanted.at, wanted.source)
            np.testing.assert_array_equal(found.pixels, wanted.pixels)


def test_notes_are_known_at_once(tmp_path: Path) -> None:
    with open_media(write_pictures(tmp_path / "a.mkv")) as media:
        assert media.notes == ["there is no sound in it"]
        assert not media.hears


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("none", None, MissingFile), ("folder", "", NotAFile), ("noise", "no media at all" * 100, NotMedia)],
)
def test_what_cannot_be_played_says_why(tmp_path: Path, name: str, content: str | None, kind: type[MediaError]) -> None:
    path = tmp_path / name
    if content == "":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    with pytest.raises(kind, match=name):
        open_media(path)


def test_a_truncated_file_plays_to_its_end_and_says_so(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mkv", sound_from=0.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_media(path) as media:
        assert list(media)
        assert any("truncated" in note for note in media.notes)


def film(
    path: Path, codec: str, count: int, rate: int, *, size: tuple[int, int], patch: Callable[[bytes], bytes] = bytes
) -> Path:
    """The same encoded picture over and over."""
    with av.open(str(path), "w", format="nut") as out:
        stream: Any = out.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        grey = np.full((size[1], size[0], 3), 100, np.uint8)
        (packet,) = [p for f in (av.VideoFrame.from_ndarray(grey, format="rgb24"), None) for p in stream.encode(f)]
        data = patch(bytes(packet))
        for k in range(count):
            copy = av.Packet(data)
            copy.stream, copy.pts, copy.dts, copy.time_base = stream, k, k, Fraction(1, rate)
            copy.is_keyframe = True
            out.mux(copy)
    return path


def claiming(side: int) -> Callable[[bytes], bytes]:
    """Let a key picture of VP8 say that it is ``side`` pixels wide and high."""

    def patch(data: bytes) -> bytes:
        at = data.index(b"\x9d\x01\x2a") + 3
        return data[:at] + side.to_bytes(2, "little") * 2 + data[at + 4 :]

    return patch


def test_a_file_that_brings_nothing_is_given_up(tmp_path: Path) -> None:
    """A million pictures a second: hours of work for each that is wanted."""
    path = film(tmp_path / "busy.nut", "mjpeg", 700, 1_000_000, size=(2560, 1440))
    with (
        pytest.raises(NeverEnds, match=r"busy.nut: 1 s of work brought nothing"),
        open_media(path, limits=Limits(cpu_s=1)) as media,
    ):
        list(media)


def test_a_file_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    """The container says 64x48, the pictures in it 16,000x16,000."""
    path = film(tmp_path / "huge.nut", "libvpx", 3, 25, size=(64, 48), patch=claiming(16_000))
    with (
        pytest.raises(NothingToPlay, match=r"huge.nut: nothing in it.*takes too much memory"),
        open_media(path, limits=Limits(memory_mb=256)) as media,
    ):
        list(media)


def test_a_decoder_that_stands_still_is_given_up(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mkv", instants=range(0, 4000, 40), size=(320, 240))
    with open_media(path, limits=Limits(wait_s=0.3)) as media:
        items = iter(media)
        next(items)
        os.kill(media._child.pid, signal.SIGSTOP)
        with pytest.raises(NeverEnds, match=r"a.mkv: nothing came out of it for 0.3 s"):
            list(items)


def test_a_decoder_that_crashes_has_a_name(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mkv", instants=range(0, 4000, 40), size=(320, 240))
    with open_media(path) as media:
        items = iter(media)
        next(items)
        os.kill(media._child.pid, signal.SIGSEGV)
        with pytest.raises(Breaks, match=r"a.mkv: decoding it crashed the decoder.*-11"):
            list(items)


def test_a_file_that_is_closed_while_it_is_read(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mkv", instants=range(0, 4000, 40), size=(320, 240))
    media = open_media(path)
    found: list[Exception] = []

    def read() -> None:
        try:
            list(media)
        except MediaError as error:
            found.append(error)

    os.kill(media._child.pid, signal.SIGSTOP)
    reader = threading.Thread(target=read)
    reader.start()
    media.close()
    reader.join(5)
    assert not reader.is_alive()
    assert [type(error) for error in found] == [MediaError]


def test_every_kind_of_error_comes_through() -> None:
    of_files = {kind for kind in MediaError.__subclasses__() if kind.__module__ == "agent.media_decode"}
    assert set(media_file._KINDS.values()) == of_files
