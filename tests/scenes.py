"""The clip that the end-to-end tests share: a woman cries, then laughs, and says why.

The pictures are a real recording (crying until 6 s, worried until 9 s, joyful from 10 s) whose own sound
is silent; the words are synthesised, lower, flatter and slower than the agent's own voice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from agent.media_file import open_media
from agent.models import resolve, resolve_clip
from agent.tone import Tone
from agent.voices import hibari
from perception.media import VideoFrame
from perception.timebase import SECOND, Nanos, seconds, to_ticks

RATE_HZ = 48_000
DURATION: Nanos = seconds(19.68)
DISTRESS_UNTIL: Nanos = 6 * SECOND
JOY_FROM: Nanos = 10 * SECOND

_SAD = Tone(speed=0.9, pitch=0.84, range=0.55, breath_db=3.0, tilt_db=6.0, level_db=-3.0)
_GLAD = Tone(speed=1.02, pitch=0.92, range=1.15)


@dataclass(frozen=True)
class Line:
    """What she says, and when."""

    text: str
    start: Nanos
    end: Nanos


@dataclass(frozen=True)
class Scene:
    """The clip and the truth about it.

    Attributes:
        path: H.264 640x360 at 24 fps, with 48 kHz mono AAC.
        lines: what is said, in order.
        distress_until: until here her face is in distress.
        joy_from: from here it is joyful.
    """

    path: Path
    lines: tuple[Line, ...]
    distress_until: Nanos = DISTRESS_UNTIL
    joy_from: Nanos = JOY_FROM

    @property
    def transcript(self) -> str:
        return " ".join(line.text for line in self.lines)


def crying_to_joyful(folder: Path) -> Scene:
    """Write the clip into ``folder``, unless it is there, and return it."""
    path = folder / "crying_to_joyful.mp4"
    sound, lines = _speech()
    if not path.exists():
        _mux(path, sound, pictures=True)
    return Scene(path, lines)


def audio_only(folder: Path) -> Path:
    """Write the words without the pictures."""
    path = folder / "audio_only.m4a"
    _mux(path, _speech()[0], pictures=False)
    return path


def video_only(folder: Path) -> Path:
    """Write the pictures without the words."""
    path = folder / "video_only.mp4"
    _mux(path, None, pictures=True)
    return path


def truncated(folder: Path, share: float = 0.6) -> Path:
    """Write a file whose second part is missing; its index is at the front, so it plays until there."""
    whole = folder / "whole.mp4"
    _mux(whole, _speech()[0], pictures=True)
    path = folder / "truncated.mp4"
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def no_media(folder: Path) -> Path:
    """Write a text that calls itself a video."""
    path = folder / "no_media.mp4"
    path.write_text("To be, or not to be, that is the question.\n" * 50, encoding="utf-8")
    return path


def cut(clip: Path, short: Path, last_s: int) -> Path:
    """Write the first seconds of a file, as they are, and return where."""
    with av.open(str(clip)) as whole, av.open(str(short), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in (*whole.streams.video, *whole.streams.audio)}
        for packet in whole.demux():
            if packet.dts is None or packet.pts is None or packet.pts * Fraction(packet.time_base or 1) > last_s:
                continue
            packet.stream = streams[packet.stream_index]
            out.mux(packet)
    return short


def as_wav48k(path: Path) -> Path:
    """Write a file's sound for Chromium's fake microphone: WAV, 48 kHz mono s16, as long as the pictures."""
    with open_media(path) as media:
        parts = [m.samples for m in media if not isinstance(m, VideoFrame)]
    found = path.with_suffix(".wav")
    sound = soxr.resample(np.concatenate(parts), 16_000, RATE_HZ)
    fitted = np.zeros(to_ticks(DURATION, RATE_HZ), np.float32)
    fitted[: len(sound)] = sound[: len(fitted)]
    with av.open(str(found), "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        out.mux(stream.encode(_frame(fitted)))
        out.mux(stream.encode(None))
    return found


CODE_BITS = 10
CODE_PX = 16


def as_mjpeg(path: Path) -> Path:
    """Write a file's pictures for Chromium's fake camera: MJPEG, 640x480 at 30 fps, cropped to her side.

    Each picture bears its number as a row of `CODE_BITS` squares of `CODE_PX` pixels in the lower left corner, the
    highest bit first, white for one: where the cores are short, the camera skips pictures and waits.
    """
    found = path.with_suffix(".mjpeg")
    with open_media(path) as media, av.open(str(found), "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=30, width=640, height=480, pix_fmt="yuvj420p")
        stream.codec_context.options = {"qmin": "3", "qmax": "5"}
        pictures = (m for m in media if isinstance(m, VideoFrame))
        for count, picture in enumerate(_at_rate(pictures, 30)):
            height, width = picture.pixels.shape[:2]
            face = np.ascontiguousarray(picture.pixels[:, width - height * 4 // 3 :])
            frame = av.VideoFrame.from_ndarray(face, format="rgb24").reformat(640, 480, "rgb24")
            coded = frame.to_ndarray()
            for bit in range(CODE_BITS):
                one = count >> (CODE_BITS - 1 - bit) & 1
                coded[-CODE_PX:, bit * CODE_PX : (bit + 1) * CODE_PX] = 255 * one
            frame = av.VideoFrame.from_ndarray(coded, format="rgb24").reformat(640, 480, "yuvj420p")
            frame.pts, frame.time_base = count, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return found


@cache
def _speech() -> tuple[NDArray[np.float32], tuple[Line, ...]]:
    """Return the sound of the whole clip, 48 kHz mono, and the lines in it."""
    voice = hibari.load(resolve=resolve, seed=7)
    sound = np.random.default_rng(11).standard_normal(to_ticks(DURATION, RATE_HZ)).astype(np.float32) * 3e-4
    lines = []
    for at_s, text, tone in (
        (0.8, "My dog died last night.", _SAD),
        (2.8, "I really don't know what to do without him.", _SAD),
        (11.2, "But then my sister called, and we laughed about the day he stole the whole birthday cake.", _GLAD),
    ):
        said = soxr.resample(voice.render(text, tone), voice.rate_hz, RATE_HZ)
        begin = round(at_s * RATE_HZ)
        sound[begin : begin + len(said)] += said
        pause = tone.clause_pause
        lines.append(Line(text, seconds(at_s), seconds(at_s) + len(said) * SECOND // RATE_HZ - pause))
    voice.close()
    assert all(a.end < b.start for a, b in pairwise(lines))
    return sound, tuple(lines)


def _mux(path: Path, sound: NDArray[np.float32] | None, *, pictures: bool) -> None:
    with (
        av.open(str(resolve_clip("wolfganglanger"))) as clip,
        av.open(str(path), "w", options={"movflags": "faststart"}) as out,
    ):
        source = clip.streams.video[0]
        video = out.add_stream_from_template(source) if pictures else None
        audio = out.add_stream("aac", rate=RATE_HZ, layout="mono") if sound is not None else None
        if audio is not None and sound is not None:
            out.mux(audio.encode(_frame(sound)))
            out.mux(audio.encode(None))
        if video is not None:
            for packet in clip.demux(source):
                if packet.dts is not None:
                    packet.stream = video
                    out.mux(packet)


def _frame(sound: NDArray[np.float32]) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(
        (np.clip(sound, -1.0, 1.0) * 32767).astype(np.int16)[None], format="s16", layout="mono"
    )
    frame.sample_rate = RATE_HZ
    frame.pts, frame.time_base = 0, Fraction(1, RATE_HZ)
    return frame


def _at_rate(pictures: Iterator[VideoFrame], fps: int) -> Iterator[VideoFrame]:
    """Repeat or drop pictures so that there are ``fps`` per second for as long as the clip lasts."""
    current = next(pictures)
    following: Any = next(pictures, None)
    for count in range(DURATION * fps // SECOND):
        while following is not None and following.at <= count * SECOND // fps:
            current, following = following, next(pictures, None)
        yield current
