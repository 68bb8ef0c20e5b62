"""Video and audio files as media: what a camera and a microphone would have sent.

Files come from strangers, and decoders are large native libraries. So each file is decoded in a process of its own,
which is bounded in memory and in time and ends with the file; whatever a file does to it, here it is a
:class:`MediaError` with a name.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from agent.housing.child import Child
from agent.housing.parcels import BadParcel, unwrap
from agent.media_decode import (
    MAX_DURATION,
    Breaks,
    MediaError,
    MediaInfo,
    MissingFile,
    NeverEnds,
    NotAFile,
    NothingToPlay,
    NotMedia,
    TooLarge,
    UnreadableFile,
)
from perception.media import AudioChunk, VideoFrame

__all__ = [
    "MAX_DURATION",
    "Breaks",
    "Limits",
    "MediaError",
    "MediaFile",
    "MediaInfo",
    "MissingFile",
    "NeverEnds",
    "NotAFile",
    "NotMedia",
    "NothingToPlay",
    "TooLarge",
    "UnreadableFile",
    "open_media",
]

_KINDS = {
    kind.__name__: kind
    for kind in (MissingFile, NotAFile, UnreadableFile, NotMedia, NothingToPlay, TooLarge, NeverEnds, Breaks)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What decoding one file may take.

    Attributes:
        memory_mb: megabytes beyond those of an idle decoder.
        cpu_s: seconds of work until the next piece of sound or picture comes out.
        wait_s: seconds of real time for the same.
    """

    memory_mb: int = 1024
    cpu_s: int = 30
    wait_s: float = 60.0


class MediaFile:
    """An open file; iterate once. A context manager. See :func:`open_media`.

    Attributes:
        info: what the file says about itself.
        notes: what a person should know, such as that there is no sound; grows while it is read.
        hears: whether sound comes out of it.
    """

    def __init__(self, path: Path, wanted: dict[str, Any], limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._receiving = threading.Lock()
        self._closed = False
        self._child = Child("agent.media_child")
        try:
            self._tell({"path": str(path), **wanted, "memory_mb": limits.memory_mb, "cpu_s": limits.cpu_s})
            self._next("ready", wait_s=_START_S)
            opened, _ = self._next("opened")
            self.info = MediaInfo(**opened["info"])
            self.notes: list[str] = opened["notes"]
            self.hears: bool = opened["hears"]
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[AudioChunk | VideoFrame]:
        """Yield chunks at their end and frames at their instant, in that order of time, from zero.

        What cannot be decoded is left out and noted; so is a file that ends before its stated length.

        Raises:
            MediaError: nothing in it can be decoded, or it breaks the limits.
        """
        self._tell({"do": "play"})
        while True:
            header, body = self._next("media", "end")
            self.notes[:] = header["notes"]
            if header["did"] == "end":
                return
            try:
                media = unwrap(header["media"], body)
            except BadParcel as error:
                raise Breaks(f"{self._path}: {_CRASH}") from error
            for item in media:
                if not isinstance(item, AudioChunk | VideoFrame):
                    raise Breaks(f"{self._path}: {_CRASH}")
                yield item

    def close(self) -> None:
        """End the decoder; may be called twice, and while another thread reads, which then gets a ``MediaError``."""
        if not self._closed:
            self._closed = True
            self._child.close(kill=True, drained=self._drain)

    def __enter__(self) -> MediaFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tell(self, header: dict[str, Any]) -> None:
        try:
            self._child.pipe.send(header)
        except OSError:
            pass  # it has ended, and what is read from it says why

    def _next(self, *expected: str, wait_s: float | None = None) -> tuple[dict[str, Any], Any]:
        wait_s = wait_s or self._limits.wait_s
        try:
            with self._receiving:
                if self._closed:
                    raise MediaError(f"{self._path}: is closed")
                header, body = self._child.pipe.receive(wait_s)
        except TimeoutError:
            raise NeverEnds(
                f"{self._path}: nothing came out of it for {wait_s:g} s; it is damaged, or made to stall"
            ) from None
        except (EOFError, BadParcel) as error:
            raise self._ended() from error
        did = header.get("did")
        if did == "error":
            raise _KINDS.get(str(header.get("kind")), MediaError)(str(header.get("says")))
        if did not in expected:
            raise Breaks(f"{self._path}: {_CRASH}")
        return header, body

    def _ended(self) -> MediaError:
        if self._closed:
            return MediaError(f"{self._path}: was closed while it was read")
        self._closed = True
        status = self._child.close()
        if status == -getattr(signal, "SIGXCPU", 0):
            work = f"{self._limits.cpu_s} s of work"
            return NeverEnds(f"{self._path}: {work} brought nothing out of it; it is damaged, or made to stall")
        return Breaks(f"{self._path}: {_CRASH} (status {status})")

    def _drain(self) -> None:
        with self._receiving:
            pass


_START_S = 60.0
_CRASH = "decoding it crashed the decoder; it is damaged, or made to do that"


def open_media(
    path: Path | str,
    *,
    sound: bool = True,
    pictures: bool = True,
    most_hz: float = 0.0,
    limits: Limits | None = None,
) -> MediaFile:
    """Open a video or audio file, in a process of its own.

    Args:
        path: of the file.
        sound: whether its sound is wanted.
        pictures: whether its pictures are wanted.
        most_hz: pictures per second that are converted, at most; 0 for all of them. They are the first of even
            slots of time, as the senses choose theirs.
        limits: what decoding may take.

    Raises:
        MediaError: one of its kinds, if the file cannot be played.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFile(f"{path}: no such file")
    return MediaFile(path, {"sound": sound, "pictures": pictures, "most_hz": most_hz}, limits or Limits())
