"""Decoding video and audio files into what a camera and a microphone would have sent, in this process.

What decodes a stranger's file can be crashed or stalled by it, so everybody but the process made for it
(:mod:`agent.media_child`) opens files with :func:`agent.media_file.open_media`.

Sound comes as 16 kHz mono in 20 ms chunks, pictures as upright RGB, merged in the order in which they
would have become available, from time zero. Sound and pictures are read through two readers of the same
file, so a badly interleaved file needs no more memory than a good one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from agent.media_reader import MAX_PIXELS, Pictures, Reader, Sound, open_container, stream_of
from perception.media import AudioChunk, VideoFrame
from perception.timebase import SECOND, Nanos, as_seconds

MAX_DURATION: Nanos = 4 * 3600 * SECOND
_APART: Nanos = 60 * SECOND


class MediaError(Exception):
    """A file cannot be played. The message is for the person who named it."""


class MissingFile(MediaError):
    """There is no such file."""


class NotAFile(MediaError):
    """It is a directory or a device."""


class UnreadableFile(MediaError):
    """The file may not be read."""


class NotMedia(MediaError):
    """The file is empty, or not video or audio."""


class NothingToPlay(MediaError):
    """The file has neither sound nor pictures that can be decoded."""


class TooLarge(MediaError):
    """The pictures are larger, the file is longer, or decoding takes more memory, than this program takes."""


class NeverEnds(MediaError):
    """Decoding goes on, or hangs, and nothing comes out of it."""


class Breaks(MediaError):
    """Decoding the file crashes the decoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What a file says about itself; ``None`` and 0 where it says nothing.

    Attributes:
        format: short name of the container.
        duration: length.
        audio: short name of the sound's codec, ``""`` if there is no sound.
        rate_hz: sample rate in the file.
        channels: number of channels in the file.
        video: short name of the pictures' codec, ``""`` if there are none.
        width: of the pictures in pixels, before rotation.
        height: the same.
        fps: mean pictures per second.
    """

    format: str
    duration: Nanos | None
    audio: str = ""
    rate_hz: int = 0
    channels: int = 0
    video: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0


class Decoding:
    """An open file; iterate once. A context manager. See :func:`open_here`.

    Attributes:
        info: what the file says about itself.
        notes: what a person should know, such as that there is no sound; grows while it is read.
    """

    def __init__(
        self, path: Path, info: MediaInfo, *, sound: bool = True, pictures: bool = True, most_hz: float = 0.0
    ) -> None:
        self.info = info
        self.notes: list[str] = []
        self._path = path
        self._readers: list[Reader] = []
        if info.audio and sound:
            self._readers.append(Sound(path, self._note))
        elif sound:
            self._note("there is no sound in it")
        if info.video and pictures:
            self._readers.append(Pictures(path, self._note, most_hz))
        elif pictures:
            self._note("there are no pictures in it")

    def __iter__(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield chunks at their end and frames at their instant, in that order of time, from zero.

        What cannot be decoded is left out and noted; so is a file that ends before its stated length.
        """
        streams: list[tuple[AudioChunk | VideoFrame, Iterator[AudioChunk | VideoFrame]]] = []
        for reader in self._readers:
            items = iter(reader)
            first = next(items, None)
            if first is None:
                self._note(f"its {reader.kind} cannot be decoded")
            else:
                streams.append((first, items))
        if not streams:
            raise NothingToPlay(f"{self._path}: nothing in it can be decoded; {'; '.join(self.notes)}")
        begins = [_begin(first) for first, _ in streams]
        together = max(begins) - min(begins) <= _APART
        if not together:
            self._note("sound and pictures are stamped more than a minute apart; each plays from its own start")
        timelines = [
            _moved(chain([first], items), -(min(begins) if together else begin))
            for (first, items), begin in zip(streams, begins, strict=True)
        ]
        end: Nanos = 0
        for media in heapq.merge(*timelines, key=_available):
            end = max(end, _available(media))
            if end > MAX_DURATION:
                self._note(f"it is longer than {MAX_DURATION // (3600 * SECOND)} hours; the rest is left out")
                return
            yield media
        self._check_length(end)

    @property
    def hears(self) -> bool:
        """Whether sound comes out of it."""
        return any(isinstance(reader, Sound) for reader in self._readers)

    def close(self) -> None:
        """Close the file; may be called twice."""
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> Decoding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _check_length(self, end: Nanos) -> None:
        stated = self.info.duration
        if stated is not None and end < stated - max(SECOND // 2, stated // 50):
            self._note(f"it is truncated: it says {as_seconds(stated):.1f} s, but ends after {as_seconds(end):.1f} s")


def open_here(path: Path | str, *, sound: bool = True, pictures: bool = True, most_hz: float = 0.0) -> Decoding:
    """Open a video or audio file.

    Args:
        path: of the file.
        sound: whether its sound is wanted.
        pictures: whether its pictures are wanted.
        most_hz: pictures per second that are converted, at most; 0 for all of them. They are the first of even
            slots of time, as the senses choose theirs.

    Raises:
        MediaError: one of its kinds, if the file cannot be played.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFile(f"{path}: no such file")
    if not path.is_file():
        raise NotAFile(f"{path}: is {'a directory' if path.is_dir() else 'not a regular file'}, not a media file")
    if path.stat().st_size == 0:
        raise NotMedia(f"{path}: the file is empty")
    with _open(path) as container:
        info = _inspect(container)
    if not info.audio and not info.video:
        raise NothingToPlay(f"{path}: has neither sound nor pictures that can be decoded")
    if not (info.audio and sound) and not (info.video and pictures):
        raise NothingToPlay(f"{path}: has no {'sound' if sound else 'pictures'}, and nothing else in it is wanted")
    if info.width * info.height > MAX_PIXELS:
        raise TooLarge(f"{path}: pictures of {info.width}x{info.height} are too large; at most {MAX_PIXELS} pixels")
    if info.duration is not None and info.duration > MAX_DURATION:
        hours = info.duration / (3600 * SECOND)
        raise TooLarge(f"{path}: {hours:.1f} hours are too long; at most {MAX_DURATION // (3600 * SECOND)}")
    return Decoding(path, info, sound=sound, pictures=pictures, most_hz=most_hz)


def _open(path: Path) -> Any:
    try:
        return open_container(path)
    except PermissionError as error:
        raise UnreadableFile(f"{path}: may not be read ({error.strerror})") from error
    except (av.error.FFmpegError, ValueError) as error:
        raise NotMedia(f"{path}: is not a video or audio file, or is cut off before its index") from error


def _inspect(container: Any) -> MediaInfo:
    sound = stream_of(container, "audio")
    pictures = stream_of(container, "video")
    duration = container.duration
    found: dict[str, Any] = {}
    if sound is not None:
        context = sound.codec_context
        found |= {"audio": context.name, "rate_hz": context.sample_rate, "channels": context.channels}
    if pictures is not None:
        context = pictures.codec_context
        found |= {"video": context.name, "width": context.width, "height": context.height}
        found["fps"] = float(pictures.average_rate or 0)
    return MediaInfo(
        format=container.format.name,
        duration=None if duration is None or duration < 0 else round(duration * SECOND / av.time_base),
        **found,
    )


def _begin(media: AudioChunk | VideoFrame) -> Nanos:
    return media.start if isinstance(media, AudioChunk) else media.at


def _available(media: AudioChunk | VideoFrame) -> Nanos:
    return media.end if isinstance(media, AudioChunk) else media.at


def _moved(items: Iterator[AudioChunk | VideoFrame], by: Nanos) -> Iterator[AudioChunk | VideoFrame]:
    for media in items:
        if isinstance(media, AudioChunk):
            yield AudioChunk(media.samples, media.start + by, media.rate_hz)
        else:
            yield VideoFrame(media.pixels, media.at + by, media.source)
