"""Making the files of the built-in set: the embedded voice in many throats, over stretches of the test clips."""

from __future__ import annotations

import math
import wave
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from agent import models
from agent.tone import Tone
from perception.timebase import SECOND

RATE_HZ: Final = 16_000
FPS: Final = 24
WIDTH, HEIGHT = 640, 360
PAUSE_S: Final = 0.35
"""Silence between two lines, unless one says otherwise."""

_LEAD_S, _TAIL_S = 0.4, 0.5
_ROOM = 3e-4
"""Noise of the room, so that silence is not digital zero."""

_Picture = NDArray[np.uint8]
_Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class View:
    """A stretch of a clip.

    Attributes:
        clip: its name in the manifest.
        from_s: second of the clip at which it begins.
        to_s: second at which it ends; the same for a still.
        box: left, top, width and height of what is cut out, in pixels of the clip; ``None`` for all of it.
        face: whether there is a face in it.
    """

    clip: str
    from_s: float
    to_s: float
    box: tuple[int, int, int, int] | None = None
    face: bool = True


@dataclass(frozen=True, slots=True)
class Shot:
    """One view, or two side by side. ``length_s`` is ``None`` where it lasts as long as the sound or the view."""

    views: tuple[View, ...]
    length_s: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody says.

    Attributes:
        who: name of the voice.
        text: the words.
        how: its tone, as the listener hears it.
        throat: factor on the resonances of the embedded voice.
        pause_s: silence before it.
    """

    who: str
    text: str
    how: Tone
    throat: float = 1.0
    pause_s: float = PAUSE_S


@dataclass(frozen=True, slots=True)
class Medium:
    """How one file is made; without shots it is sound alone."""

    name: str
    shots: tuple[Shot, ...]
    lines: tuple[Line, ...]

    @property
    def path(self) -> str:
        """Where it lies, relative to the folder of the set."""
        return f"data/videos/{self.name}.mp4" if self.shots else f"data/audios/{self.name}.wav"

    @property
    def faces(self) -> bool:
        """Whether a face is to be seen."""
        return any(view.face for shot in self.shots for view in shot.views)

    @property
    def words(self) -> str:
        """All that is said."""
        return " ".join(line.text for line in self.lines)


class Speaker(Protocol):
    """What is needed of the embedded voice."""

    @property
    def rate_hz(self) -> int:
        """Sample rate of what it renders."""
        ...

    def render(self, text: str, tone: Tone, /) -> NDArray[np.float32]:
        """Return all of ``text``, float32 of shape ``(n,)``."""
        ...

    def close(self) -> None:
        """Free weights and threads."""
        ...


def make(medium: Medium, path: Path, speaker: Speaker) -> None:
    """Write a medium; the same one gives the same samples and pictures.

    Raises:
        agent.models.ModelError: a clip is missing or altered.
    """
    sound = _spoken(medium, speaker) if medium.lines else None
    if not medium.shots:
        assert sound is not None, "a medium without shots has lines"
        _wav(path, _in_a_room(sound, len(sound), medium.name))
        return
    counts = _counts(medium.shots, None if sound is None else math.ceil(len(sound) * FPS / RATE_HZ))
    if sound is not None:
        sound = _in_a_room(sound, math.ceil(sum(counts) * RATE_HZ / FPS), medium.name)
    _mp4(path, (p for shot, n in zip(medium.shots, counts, strict=True) for p in _pictures(shot, n)), sound)


def _spoken(medium: Medium, speaker: Speaker) -> _Sound:
    """Return the lines one after the other, with silence around them, at :data:`RATE_HZ`."""
    parts = [_silence(_LEAD_S)]
    for count, line in enumerate(medium.lines):
        # Played slower by `throat`, resonances, pitch and pace all sink by it; the last two are asked for higher.
        how = replace(line.how, speed=line.how.speed / line.throat, pitch=line.how.pitch / line.throat)
        said = soxr.resample(speaker.render(line.text, how), speaker.rate_hz * line.throat, RATE_HZ)
        parts += [_silence(line.pause_s) if count or line.pause_s > PAUSE_S else said[:0], said]
    return np.concatenate([*parts, _silence(_TAIL_S)]).astype(np.float32)


def _silence(length_s: float) -> _Sound:
    return np.zeros(round(length_s * RATE_HZ), np.float32)


def _in_a_room(sound: _Sound, length: int, name: str) -> _Sound:
    """Return ``length`` samples of ``sound`` with the noise of a room, which is the same for the same name."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).normal(0.0, _ROOM, length).astype(np.float32)
    noise[: len(sound)] += sound[:length]
    return noise


def _counts(shots: tuple[Shot, ...], heard: int | None) -> list[int]:
    """Return the number of pictures of each shot; ``heard`` is how many the sound lasts."""
    counts = [
        max(1, round((max(v.to_s - v.from_s for v in s.views) if s.length_s is None else s.length_s) * FPS))
        for s in shots
    ]
    if heard is not None and shots[-1].length_s is None:
        counts[-1] = max(1, heard - sum(counts[:-1]))
    return counts


def _pictures(shot: Shot, count: int) -> Iterator[_Picture]:
    sides = [_there_and_back(view, count, WIDTH // len(shot.views)) for view in shot.views]
    return (np.concatenate(together, axis=1) for together in zip(*sides, strict=True))


def _there_and_back(view: View, count: int, width: int) -> Iterator[_Picture]:
    kept: list[_Picture] = []
    for picture in islice(_decoded(view), count):
        kept.append(_fitted(picture, view.box, width))
        yield kept[-1]
    period = 2 * (len(kept) - 1)
    for at in range(len(kept), count):
        turn = at % max(1, period)
        yield kept[min(turn, period - turn)]


def _decoded(view: View) -> Iterator[_Picture]:
    """Yield the pictures of a view at :data:`FPS`; each is the last one that had begun by then."""
    count = max(1, round((view.to_s - view.from_s) * FPS))
    with av.open(str(models.resolve_clip(view.clip))) as clip:
        stream = clip.streams.video[0]
        stream.codec_context.thread_count = 1
        if view.from_s > 1:
            clip.seek(round((view.from_s - 0.5) * av.time_base))  # to the key frame before
        instants = (round((view.from_s + n / FPS) * SECOND) for n in range(count))
        due = next(instants, None)
        current = None
        for frame in clip.decode(stream):
            at = round(((frame.pts or 0) - (stream.start_time or 0)) * (frame.time_base or Fraction(1)) * SECOND)
            while current is not None and due is not None and at > due:
                yield _rgb(current)
                due = next(instants, None)
            if due is None:
                return
            current = frame
        while current is not None and due is not None:
            yield _rgb(current)
            due = next(instants, None)


def _rgb(frame: av.VideoFrame) -> _Picture:
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _fitted(picture: _Picture, box: tuple[int, int, int, int] | None, width: int) -> _Picture:
    """Scale what is in ``box`` into ``width`` x :data:`HEIGHT`, with black around it."""
    import cv2

    if box is not None:
        left, top, across, down = box
        picture = picture[top : top + down, left : left + across]
    scale = min(width / picture.shape[1], HEIGHT / picture.shape[0])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    inner = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    found = np.zeros((HEIGHT, width, 3), np.uint8)
    x, y = (width - size[0]) // 2, (HEIGHT - size[1]) // 2
    found[y : y + size[1], x : x + size[0]] = inner
    return found


def _mp4(path: Path, pictures: Iterable[_Picture], sound: _Sound | None) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as out:
        video = out.add_stream("libx264", rate=FPS, options={"preset": "superfast", "crf": "32"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.thread_count = 1  # so that the same pictures give the same bytes
        if sound is not None:
            audio = out.add_stream("aac", rate=RATE_HZ, layout="mono")
            audio.bit_rate = 40_000
            heard = av.AudioFrame.from_ndarray(_s16(sound)[None], format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
            out.mux(audio.encode(heard))
            out.mux(audio.encode(None))
        for picture in pictures:
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode(None))


def _wav(path: Path, sound: _Sound) -> None:
    with path.open("wb") as file, wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(_s16(sound).tobytes())


def _s16(sound: _Sound) -> NDArray[np.int16]:
    return (np.clip(sound, -1.0, 1.0) * 32767).astype("<i2")


def frames(path: Path) -> int:
    """Return the number of pictures that a file says it has."""
    with av.open(str(path)) as container:
        return container.streams.video[0].frames
