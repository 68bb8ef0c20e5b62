"""Media of a file for training, decoded as a replay decodes them: see :class:`policy.training.humansense.ReadMedia`.

A model places pictures and sound by counting, so what it is given keeps time: silence fills the gaps of the sound, and
the pictures' rate is measured where the file has fewer of them than were wanted, or more than may be.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.media_file import open_media
from perception.media import RATE_HZ, AudioChunk, VideoFrame
from perception.timebase import SECOND, to_ticks
from policy.training.omni_example import Media


def read_media(path: Path, /, *, fps: float, most_frames: int, pictures: bool, sound: bool) -> Media:
    """Decode a file; pictures are as large as a call would see them, and the first of them is at time zero.

    Args:
        path: of the file.
        fps: frames per second that are wanted; of a file with fewer, all are taken.
        most_frames: where there would be more, as many, evenly spread over the medium.
        pictures: whether frames are wanted.
        sound: whether sound is wanted.

    Returns:
        What there is of what was wanted; ``fps`` is that of the frames in it.

    Raises:
        MediaError: the file cannot be played, or has nothing of what is wanted.
        ValueError: ``fps`` or ``most_frames`` is not positive, or its pictures change their size.
    """
    if not 0 < fps < float("inf"):
        raise ValueError(f"fps is {fps}; name the frames per second that are wanted, more than 0")
    if most_frames < 1:
        raise ValueError(f"most_frames is {most_frames}; name how many frames may be kept, at least 1")
    frames, chunks = _Frames(most_frames), list[AudioChunk]()
    fps = _within(fps, most_frames, path)
    with open_media(path, sound=sound, pictures=pictures, most_hz=fps) as file:
        for piece in file:
            if isinstance(piece, VideoFrame):
                frames.add(piece)
            else:
                chunks.append(piece)
    kept = frames.kept()
    sizes = sorted({frame.pixels.shape[:2] for frame in kept})
    if len(sizes) > 1:
        spelled = " and ".join(f"{width}x{height}" for height, width in sizes)
        raise ValueError(f"{path}: its pictures change size, {spelled}; encode it anew in one size")
    return Media(
        frames=np.stack([frame.pixels.transpose(2, 0, 1) for frame in kept]) if kept else None,
        fps=_rate(kept, fps),
        audio=_joined(chunks) if chunks else None,
    )


def _within(fps: float, most: int, path: Path) -> float:
    """Return the rate at which a file has at most ``most`` frames by the length that it states."""
    with open_media(path) as file:
        duration = file.info.duration
    return min(fps, most * SECOND / duration) if duration else fps


class _Frames:
    """At most twice ``most`` frames, spread over what came so far: a file may be longer than it states."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._every = 1
        self._seen = 0
        self._kept = list[VideoFrame]()

    def add(self, frame: VideoFrame) -> None:
        if self._seen % self._every == 0:
            self._kept.append(frame)
        self._seen += 1
        if len(self._kept) == 2 * self._most:
            self._kept = self._kept[::2]
            self._every *= 2

    def kept(self) -> list[VideoFrame]:
        count = len(self._kept)
        if count <= self._most:
            return self._kept
        return [self._kept[n * count // self._most] for n in range(self._most)]


def _rate(frames: list[VideoFrame], wanted: float) -> float:
    """Return the mean frames per second, ``wanted`` where one frame or none tells nothing."""
    span = frames[-1].at - frames[0].at if frames else 0
    return (len(frames) - 1) * SECOND / span if span > 0 else wanted


def _joined(chunks: list[AudioChunk]) -> NDArray[np.float32]:
    """Return the sound from time zero, each chunk where its time stamp puts it, silence between them."""
    sound = np.zeros(max(to_ticks(chunk.end, RATE_HZ) for chunk in chunks), np.float32)
    for chunk in chunks:
        begin = to_ticks(chunk.start, RATE_HZ)
        sound[begin : begin + len(chunk.samples)] = chunk.samples[: len(sound) - begin]
    return sound
