"""Decoding one stream of a media file into what a microphone or a camera would have sent.

FFmpeg's output is trusted for its samples and pixels only. Time stamps are checked and repaired here, and
damaged packets are left out, so that whatever comes out is ordered, bounded and of one format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from perception.media import RATE_HZ, AudioChunk, VideoFrame
from perception.timebase import MS, SECOND, Nanos, from_ticks, to_ticks

CHUNK = to_ticks(20 * MS, RATE_HZ)
"""Samples per chunk."""

MAX_PIXELS = 4096 * 2304
MAX_SIDE = 1280
"""Larger pictures are scaled down to this; no sense here sees more in them."""

_SHORTEST_GAP: Nanos = 15 * MS
_DRIFT: Nanos = 80 * MS
_LEAP: Nanos = 60 * SECOND
_BAD_PACKETS = 100
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,nut,ivf,h264,hevc,mjpeg,"
    "wav,w64,aiff,au,caf,flac,mp3,aac,ogg,amr,wv"
)
"""Demuxers that may open a file: no playlists (which open other files) and no text shown as video."""


def open_container(path: Path) -> Any:
    """Open a file with FFmpeg, as a file whatever its name looks like, and only as one of the known formats.

    Raises:
        av.error.FFmpegError: it cannot.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    return av.open(f"file:{path.resolve()}", metadata_errors="replace", options=options)


def stream_of(container: Any, kind: str) -> Any:
    """Return the first decodable stream of ``kind`` that is not a cover picture, or ``None``."""
    for stream in getattr(container.streams, kind):
        context = stream.codec_context
        if context is None or stream.disposition & Disposition.attached_pic:
            continue
        if kind == "audio" and not context.sample_rate:
            continue
        return stream
    return None


class _Times:
    """Repairs time stamps that jump back, or more than a minute ahead, by moving all that follow.

    Args:
        note: takes a sentence for the person.
        back: how far back a stamp may lie without being repaired.
    """

    def __init__(self, note: Callable[[str], None], back: Nanos) -> None:
        self._note = note
        self._back = back
        self._shift: Nanos = 0

    def settle(self, stamp: Nanos | None, expected: Nanos | None) -> Nanos:
        """Return the instant to use for ``stamp``, where ``expected`` would continue what came before."""
        if stamp is None:
            return expected or 0
        at = stamp + self._shift
        if expected is None or expected - self._back <= at <= expected + _LEAP:
            return at
        self._note("its time stamps jump in places; it plays on without the jump")
        self._shift += expected - at
        return expected


class Reader:
    """One stream of the file, decoded in order; times are those of the file."""

    kind = ""

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        self._container = open_container(path)
        self._stream = stream_of(self._container, self.kind)
        self._stream.codec_context.thread_count = 1
        self._note = note

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[AudioChunk | VideoFrame]:
        raise NotImplementedError

    def _frames(self) -> Iterator[Any]:
        bad = 0
        packets = self._container.demux(self._stream)
        while bad < _BAD_PACKETS:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError) as error:
                bad += 1
                fault = "takes too much memory" if isinstance(error, MemoryError) else "is damaged"
                self._note(f"some of its {self.kind} {fault} and is left out")
                continue
            bad = 0
            yield from frames

    def _stamp(self, frame: Any) -> Nanos | None:
        if frame.pts is None:
            return None
        instant: Nanos = round(frame.pts * (frame.time_base or self._stream.time_base) * SECOND)
        return instant


class Sound(Reader):
    """The sound: 16 kHz mono in 20 ms chunks; shorter ones before a gap and at the end."""

    kind = "audio"

    def __iter__(self) -> Iterator[AudioChunk]:
        times = _Times(self._note, back=_DRIFT)
        segment: _Segment | None = None
        for frame in self._frames():
            if not frame.sample_rate or not frame.samples:
                continue
            at = times.settle(self._stamp(frame), None if segment is None else segment.heard)
            if segment is None:
                segment = _Segment(at, frame)
            elif at - segment.heard > _DRIFT or not segment.like(frame):
                yield from segment.finish()
                segment = _Segment(max(at, segment.end), frame)
            yield from segment.feed(frame)
        if segment is not None:
            yield from segment.finish()


class _Segment:
    """Sound without a gap: times are counted in samples from its begin, stamps within 80 ms are not believed."""

    def __init__(self, begin: Nanos, frame: Any) -> None:
        self._begin = begin
        self._shape = _shape(frame)
        self._rate_hz: int = frame.sample_rate
        self._resampler = av.AudioResampler(format="s32", layout="mono", rate=RATE_HZ)
        self._waiting = np.zeros(0, np.float32)
        self._taken = self._given = 0

    @property
    def heard(self) -> Nanos:
        """End of what was fed."""
        return self._begin + from_ticks(self._taken, self._rate_hz)

    @property
    def end(self) -> Nanos:
        """End of what came out."""
        return self._begin + from_ticks(self._given, RATE_HZ)

    def like(self, frame: Any) -> bool:
        return _shape(frame) == self._shape

    def feed(self, frame: Any) -> Iterator[AudioChunk]:
        self._taken += frame.samples
        frame.pts = None
        return self._cut(self._resampler.resample(frame), CHUNK)

    def finish(self) -> Iterator[AudioChunk]:
        return self._cut(self._resampler.resample(None), 1)

    def _cut(self, parts: list[Any], least: int) -> Iterator[AudioChunk]:
        # In whole numbers, FFmpeg mixes channels so that full scale stays full scale; in floats it does not.
        mixed = [part.to_ndarray().reshape(-1) / np.float32(1 << 31) for part in parts]
        sound = np.concatenate([self._waiting, *mixed]).astype(np.float32)
        while len(sound) >= least:
            piece = sound[:CHUNK].copy()
            yield AudioChunk(piece, self.end)
            self._given += len(piece)
            sound = sound[CHUNK:]
        self._waiting = sound


def _shape(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


class Pictures(Reader):
    """The pictures: upright RGB, at most about 60 per second, or the first of each slot of ``1 / most_hz``."""

    kind = "video"

    def __init__(self, path: Path, note: Callable[[str], None], most_hz: float = 0.0) -> None:
        super().__init__(path, note)
        self._slot: Nanos = round(SECOND / most_hz) if most_hz > 0 else 0

    def __iter__(self) -> Iterator[VideoFrame]:
        times = _Times(self._note, back=SECOND)
        step = round(SECOND / float(self._stream.average_rate or 25))
        last: Nanos | None = None
        for frame in self._frames():
            at = times.settle(self._stamp(frame), None if last is None else last + step)
            if last is not None and at < last + _SHORTEST_GAP:
                continue
            if self._slot and last is not None and at // self._slot == last // self._slot:
                continue
            if frame.width * frame.height > MAX_PIXELS:
                self._note(f"pictures of {frame.width}x{frame.height} are too large and left out")
                continue
            last = at
            yield VideoFrame(_upright(frame), at)


def _upright(frame: Any) -> NDArray[np.uint8]:
    """Return the picture as RGB, scaled down if it is large, turned as the file asks."""
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    if scale < 1.0:
        frame = frame.reformat(width=max(2, round(frame.width * scale)), height=max(2, round(frame.height * scale)))
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))
