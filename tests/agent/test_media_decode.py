"""Files as media: right times, right pixels, and a clear word about everything that is wrong with a file."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from agent import media_decode
from agent.media_decode import (
    MediaError,
    MissingFile,
    NotAFile,
    NothingToPlay,
    NotMedia,
    TooLarge,
    open_here,
)
from agent.media_reader import MAX_SIDE
from agent.models import resolve_clip
from perception.media import AudioChunk, VideoFrame
from perception.timebase import MS, SECOND, as_seconds, from_ticks
from tests import scenes
from tests.media_samples import write_pictures, write_sound


def read(path: Path) -> tuple[list[AudioChunk], list[VideoFrame], list[str]]:
    with open_here(path) as media:
        everything = list(media)
        order = [m.end if isinstance(m, AudioChunk) else m.at for m in everything]
        assert order == sorted(order), "out of order"
        sound = [m for m in everything if isinstance(m, AudioChunk)]
        assert all(0 < len(c.samples) <= 320 and c.rate_hz == 16_000 for c in sound)
        return sound, [m for m in everything if isinstance(m, VideoFrame)], media.notes


def pitch_hz(chunks: list[AudioChunk]) -> float:
    sound = np.concatenate([c.samples for c in chunks])
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * 16_000 / len(sound))


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "layout", "format"),
    [
        ("a.wav", "pcm_s16le", 16_000, "mono", "s16"),
        ("a.wav", "pcm_s16le", 8_000, "mono", "s16"),
        ("a.wav", "pcm_s16le", 44_100, "stereo", "s16"),
        ("a.wav", "pcm_s32le", 48_000, "5.1", "s32"),
        ("a.wav", "pcm_f32le", 22_050, "stereo", "flt"),
        ("a.wav", "pcm_f64le", 96_000, "mono", "dbl"),
        ("a.flac", "flac", 44_100, "stereo", "s16"),
        ("a.m4a", "aac", 44_100, "stereo", "fltp"),
        ("a.mp3", "libmp3lame", 44_100, "mono", "fltp"),
        ("a.ogg", "libopus", 48_000, "stereo", "flt"),
        ("a.mkv", "pcm_s16le", 11_025, "mono", "s16"),
    ],
)
def test_any_sound_becomes_16_khz_mono(
    tmp_path: Path, name: str, codec: str, rate_hz: int, layout: str, format: str
) -> None:
    path = write_sound(tmp_path / name, codec, rate_hz=rate_hz, layout=layout, format=format)
    sound, pictures, notes = read(path)
    assert not pictures
    assert notes == ["there are no pictures in it"]
    assert sound[0].start == 0
    assert as_seconds(sound[-1].end) == pytest.approx(1.0, abs=0.06)
    assert pitch_hz(sound) == pytest.approx(440, abs=3)
    loudness = np.sqrt(np.mean(np.concatenate([c.samples for c in sound[5:-5]]) ** 2))
    assert loudness == pytest.approx(0.354, rel=0.1)
    for before, after in pairwise(sound):
        assert abs(after.start - before.end) <= 1


def test_info_says_what_is_in_the_file(tmp_path: Path) -> None:
    with open_here(write_pictures(tmp_path / "a.mkv", sound_from=0.0)) as media:
        info = media.info
    assert (info.width, info.height, info.rate_hz, info.channels) == (64, 48, 16_000, 1)
    assert (info.video, info.audio) == ("mpeg4", "pcm_s16le")
    assert info.duration is not None
    assert as_seconds(info.duration) == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
def test_pictures_are_rgb_at_their_times(tmp_path: Path) -> None:
    _, pictures, notes = read(write_pictures(tmp_path / "a.mkv"))
    assert [p.at for p in pictures] == [n * 40 * MS for n in range(25)]
    assert notes == ["there is no sound in it"]
    for picture in pictures:
        assert picture.pixels.shape == (48, 64, 3)
        assert picture.pixels[24, 8, 0] > 100 > picture.pixels[24, 8, 2]
        assert picture.pixels[24, 56, 2] > 100 > picture.pixels[24, 56, 0]


def test_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    instants = [0, 40, 400, 433, 466, 900, 2000, 2020, 2500]
    _, pictures, notes = read(write_pictures(tmp_path / "a.mkv", instants=instants))
    assert [p.at // MS for p in pictures] == instants
    assert notes == ["there is no sound in it"]


@pytest.mark.slow
def test_a_thousand_pictures_a_second_are_thinned(tmp_path: Path) -> None:
    _, pictures, _ = read(write_pictures(tmp_path / "a.mkv", instants=range(1000)))
    assert len(pictures) <= 67


@pytest.mark.slow
def test_late_sound_keeps_its_place(tmp_path: Path) -> None:
    sound, pictures, notes = read(write_pictures(tmp_path / "a.mkv", sound_from=0.5))
    assert pictures[0].at == 0
    assert sound[0].start == 500 * MS
    assert not notes


def test_a_file_that_begins_late_starts_at_zero(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mkv", instants=range(5000, 6000, 40), sound_from=5.2)
    sound, pictures, _ = read(path)
    assert pictures[0].at == 0
    assert sound[0].start == 200 * MS


def test_times_before_zero_start_at_zero(tmp_path: Path) -> None:
    """As an edit list or a priming encoder leaves them."""
    path = write_pictures(
        tmp_path / "a.mkv",
        instants=range(-400, 600, 40),
        sound_from=0.0,
        options={"avoid_negative_ts": "disabled"},
    )
    sound, pictures, _ = read(path)
    assert pictures[0].at == 0
    assert sound[0].start == 400 * MS


def test_a_stamp_an_hour_ahead_does_not_make_an_hour_of_silence(tmp_path: Path) -> None:
    instants = [*range(0, 400, 40), *range(3_600_000, 3_600_400, 40)]
    _, pictures, notes = read(write_pictures(tmp_path / "a.mkv", instants=instants))
    assert len(pictures) == 20
    assert pictures[-1].at < 2 * SECOND
    assert any("time stamps jump" in note for note in notes)


def test_streams_stamped_hours_apart_each_start_at_zero(tmp_path: Path) -> None:
    sound, pictures, notes = read(write_pictures(tmp_path / "a.mkv", sound_from=7200.0))
    assert sound[0].start == pictures[0].at == 0
    assert any("more than a minute apart" in note for note in notes)


def test_two_recordings_in_a_row_play_on(tmp_path: Path) -> None:
    """Two MPEG streams joined byte by byte: the stamps go back to the beginning in the middle."""
    one = write_sound(tmp_path / "one.ts", "mp2", rate_hz=48_000, layout="stereo", seconds=2.0).read_bytes()
    path = tmp_path / "both.ts"
    path.write_bytes(one + one)
    sound, _, notes = read(path)
    assert as_seconds(sound[-1].end) == pytest.approx(4.0, abs=0.15)
    assert any("time stamps jump" in note for note in notes)
    assert all(b.start >= a.end - 1 for a, b in pairwise(sound))


@pytest.mark.parametrize(("turn", "corner"), [(90, "top"), (-90, "bottom"), (180, "right")])
def test_a_phone_held_upright_gives_upright_pictures(tmp_path: Path, turn: int, corner: str) -> None:
    """The file asks for a turn of the picture, clockwise, in the matrix of its track header."""
    path = write_pictures(tmp_path / "a.mp4", size=(64, 48))
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    cos, sin = {90: (0, one), -90: (0, -one), 180: (-one, 0)}[turn]
    data[matrix : matrix + 36] = struct.pack(">9i", cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    _, pictures, _ = read(path)
    pixels = pictures[0].pixels
    assert pixels.shape == ((64, 48, 3) if abs(turn) == 90 else (48, 64, 3))
    height, width = pixels.shape[:2]
    where = {"top": (4, width // 2), "bottom": (height - 5, width // 2), "right": (height // 2, width - 5)}[corner]
    assert pixels[where][0] > 100 > pixels[where][2], "the red half of the picture is on the wrong side"


@pytest.mark.slow
def test_large_pictures_are_scaled_down(tmp_path: Path) -> None:
    _, pictures, _ = read(write_pictures(tmp_path / "a.mkv", size=(1920, 1080), instants=[0, 40]))
    assert pictures[0].pixels.shape == (720, MAX_SIDE, 3)


@pytest.mark.slow
def test_absurd_dimensions_are_refused(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.nut", "rawvideo", size=(8192, 4096), instants=[0], pix_fmt="gray")
    with pytest.raises(TooLarge, match="8192x4096"):
        open_here(path)


def test_absurd_length_is_refused(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mkv", instants=[0, 5 * 3_600_000])
    with pytest.raises(TooLarge, match=r"5\.0 hours are too long"):
        open_here(path)


def test_the_length_limit_holds_while_playing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(tmp_path / "a.mkv", seconds=3.0)
    with open_here(path) as media:
        monkeypatch.setattr(media_decode, "MAX_DURATION", 2 * SECOND)
        chunks = list(media)
        assert max(m.end for m in chunks if isinstance(m, AudioChunk)) <= 2 * SECOND
        assert any("the rest is left out" in note for note in media.notes)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    plain = write_sound(tmp_path / "plain.mp3", "libmp3lame", rate_hz=44_100, format="fltp")
    path = tmp_path / "cover.mp3"
    cover = np.full((64, 64, 3), 200, np.uint8)
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        sound = out.add_stream_from_template(source.streams.audio[0])
        art = out.add_stream("png", rate=1, width=64, height=64, pix_fmt="rgb24")
        art.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(cover, format="rgb24")
        picture.pts = 0
        for packet in art.encode(picture) + art.encode(None):
            out.mux(packet)
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = sound
                out.mux(packet)
    sound_chunks, pictures, notes = read(path)
    assert sound_chunks
    assert not pictures
    assert "there are no pictures in it" in notes


Make = Callable[[Path], Path]


def empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def noise(folder: Path) -> Path:
    path = folder / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(200_000))
    return path


def playlist(folder: Path) -> Path:
    write_sound(folder / "secret.wav")
    path = folder / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n", encoding="utf-8")
    return path


def concat(folder: Path) -> Path:
    write_sound(folder / "other.wav")
    path = folder / "list.mkv"
    path.write_text("ffconcat version 1.0\nfile other.wav\n", encoding="utf-8")
    return path


def headless(folder: Path) -> Path:
    """An MP4 whose index, at its end, is missing."""
    path = write_pictures(folder / "a.mp4")
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 2])
    return path


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda folder: folder / "gone.mp4", MissingFile, "no such file"),
        (lambda folder: folder, NotAFile, "directory"),
        (lambda _: Path(os.devnull), NotAFile, "not a regular file"),
        (empty, NotMedia, "empty"),
        (noise, NotMedia, "not a video or audio file"),
        (scenes.no_media, NotMedia, "not a video or audio file"),
        (playlist, NotMedia, "not a video or audio file"),
        (concat, NotMedia, "not a video or audio file"),
        (headless, NotMedia, "cut off before its index"),
    ],
)
def test_what_cannot_be_played_says_why(tmp_path: Path, make: Make, kind: type[MediaError], says: str) -> None:
    path = make(tmp_path)
    with pytest.raises(kind, match=says) as caught:
        open_here(path)
    assert str(path) in str(caught.value)


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sound(tmp_path / "a.wav").rename("concat:a.wav|b.wav")
    assert read(Path("concat:a.wav|b.wav"))[0]
    with pytest.raises(MissingFile):
        open_here("http://127.0.0.1:9/a.mp4")


def test_neither_sound_nor_pictures(tmp_path: Path) -> None:
    path = tmp_path / "titles.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ass")
        stream.codec_context.subtitle_header = b"[Script Info]\n[V4+ Styles]\n[Events]\n"
        out.start_encoding()
        packet = av.Packet(b"0,0,Default,,0,0,0,,Hello")
        packet.stream, packet.pts, packet.dts, packet.duration = stream, 0, 0, 1000
        out.mux(packet)
    with pytest.raises(NothingToPlay, match="neither sound nor pictures"):
        open_here(path)


@pytest.mark.models
@pytest.mark.slow
def test_a_truncated_file_plays_to_its_end_and_says_so(tmp_path: Path) -> None:
    sound, pictures, notes = read(scenes.truncated(tmp_path))
    assert 5 * SECOND < pictures[-1].at < 19 * SECOND
    assert sound[-1].end > 5 * SECOND
    assert any("truncated: it says 19.7 s, but ends after" in note for note in notes)


def test_a_truncated_wav_says_so(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", seconds=4.0)
    path.write_bytes(path.read_bytes()[:40_000])
    sound, _, _ = read(path)
    assert as_seconds(sound[-1].end) == pytest.approx(1.25, abs=0.05)


@pytest.mark.models
@pytest.mark.slow
def test_damage_in_the_middle_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "hurt.mp4"
    data = bytearray(scenes.crying_to_joyful(tmp_path).path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60_000] = np.random.default_rng(1).bytes(60_000)
    path.write_bytes(data)
    sound, pictures, notes = read(path)
    assert any("damaged" in note for note in notes)
    assert pictures[-1].at > 18 * SECOND
    assert sound[-1].end > 18 * SECOND


@pytest.mark.slow
def test_any_cut_and_any_flipped_byte_ends_in_media_or_a_media_error(tmp_path: Path) -> None:
    whole = write_pictures(tmp_path / "a.mp4", sound_from=None, options={"movflags": "faststart"}).read_bytes()
    rng = np.random.default_rng(5)
    path = tmp_path / "b.mp4"
    refused = played = 0
    for trial in range(150):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 1 + trial % 12):
            data[at] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data) + 1)] if trial % 3 == 0 else data)
        try:
            _, pictures, _ = read(path)
        except MediaError:
            refused += 1
        else:
            played += 1
            assert all(p.pixels.size for p in pictures)
    assert refused > 10
    assert played > 10


@pytest.mark.models
@pytest.mark.parametrize(
    ("clip", "frames", "first_sound_s"),
    [("wolfganglanger", 472, 0.0), ("carphone", 120, None), ("face-noface", 168, 2.43)],
)
@pytest.mark.slow
def test_real_clips(clip: str, frames: int, first_sound_s: float | None) -> None:
    sound, pictures, _ = read(resolve_clip(clip))
    assert len(pictures) == frames
    assert pictures[0].at == 0
    assert [p.at for p in pictures] == sorted({p.at for p in pictures})
    if first_sound_s is None:
        assert not sound
    else:
        assert as_seconds(sound[0].start) == pytest.approx(first_sound_s, abs=0.01)
        spoken = sum(len(c.samples) for c in sound)
        assert abs(from_ticks(spoken, 16_000) - (sound[-1].end - sound[0].start)) < 50 * MS


@pytest.mark.models
@pytest.mark.slow
def test_only_little_is_in_memory_at_a_time(tmp_path: Path) -> None:
    """All sound behind all pictures in the file: still no picture waits for sound."""
    path = tmp_path / "late.mkv"
    write_pictures(path, size=(640, 480), instants=range(0, 8000, 40), sound_from=0.0, sound_seconds=8.0)
    with open_here(path) as media:
        items = iter(media)
        head = [next(items) for _ in range(20)]
    assert {type(m) for m in head} == {AudioChunk, VideoFrame}
    assert max(m.end if isinstance(m, AudioChunk) else m.at for m in head) < SECOND
