"""What goes through the pipes between a process and its children: a small header in JSON, then raw arrays.

A parcel is ``<II``, the lengths of header and body in bytes, then both. Nothing is unpickled, and lengths are
bounded, because a child that a stranger's media have taken over must not be able to harm its parent.
"""

from __future__ import annotations

import json
import os
import select
import struct
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import Datum, Percept

Bytes = NDArray[np.uint8]

MAX_HEADER: Final = 1 << 20
MAX_BODY: Final = 1 << 28
_LENGTHS: Final = struct.Struct("<II")
_PIPE_BYTES: Final = 1 << 20
_F_SETPIPE_SZ: Final = 1031


class BadParcel(Exception):
    """The other side sent what is no parcel."""


class Pipe:
    """Two one-way pipes. One thread at a time may receive; any number may send.

    Args:
        reading: file descriptor to read from.
        writing: file descriptor to write to.
        most: longest body that is taken, bytes.
    """

    def __init__(self, reading: int, writing: int, *, most: int = MAX_BODY) -> None:
        self._reading = reading
        self._writing = writing
        self._most = most
        self._lock = threading.Lock()
        self._shut = False
        if sys.platform == "linux":
            import fcntl

            for end in (reading, writing):
                try:
                    fcntl.fcntl(end, _F_SETPIPE_SZ, _PIPE_BYTES)  # a whole picture without a change of process
                except OSError:
                    pass  # beyond what this user may have: slower, nothing else

    def send(self, header: Mapping[str, Any], arrays: Iterable[NDArray[Any]] = ()) -> None:
        """Send one parcel; waits while the other side does not read.

        Raises:
            OSError: the other side is gone.
            ValueError: it is too long.
        """
        head = json.dumps(header, default=_plain).encode()
        bodies = [np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in arrays]
        size = sum(len(body) for body in bodies)
        if len(head) > MAX_HEADER or size > MAX_BODY:
            raise ValueError(f"a parcel of {len(head)} + {size} bytes is too long")
        with self._lock:
            if self._shut:
                raise BrokenPipeError("the pipe is shut")
            self._write(memoryview(_LENGTHS.pack(len(head), size) + head))
            for body in bodies:
                self._write(body.data)

    def shut(self, wait_s: float = -1) -> bool:
        """Let nobody send any more; return whether that was possible within ``wait_s``, -1 being any time.

        It is not while somebody sends to a child that does not read.
        """
        if not self._lock.acquire(timeout=wait_s):
            return False
        self._shut = True
        self._lock.release()
        return True

    def receive(self, wait_s: float | None = None) -> tuple[dict[str, Any], Bytes]:
        """Return the next parcel: header, and body of shape ``(n,)``.

        Args:
            wait_s: longest time without any byte; ``None``, and where pipes cannot be waited for, for ever.

        Raises:
            EOFError: the other side is gone.
            TimeoutError: it is silent.
            BadParcel: it sends something else.
        """
        lengths = np.empty(_LENGTHS.size, np.uint8)
        self._fill(lengths, wait_s)
        head, size = _LENGTHS.unpack(lengths.tobytes())
        if head > MAX_HEADER or size > self._most:
            raise BadParcel(f"a parcel of {head} + {size} bytes")
        text, body = np.empty(head, np.uint8), np.empty(size, np.uint8)
        self._fill(text, wait_s)
        self._fill(body, wait_s)
        try:
            header = json.loads(text.tobytes())
        except ValueError as error:
            raise BadParcel("no JSON") from error
        if not isinstance(header, dict):
            raise BadParcel("no table")
        return header, body

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._writing, data) :]

    def _fill(self, into: Bytes, wait_s: float | None) -> None:
        view = into.data
        while view:
            if wait_s is not None and sys.platform != "win32":
                ready, _, _ = select.select([self._reading], [], [], wait_s)
                if not ready:
                    raise TimeoutError(f"nothing came for {wait_s:g} s")
            got = os.readv(self._reading, [view]) if sys.platform != "win32" else _read_into(self._reading, view)
            if not got:
                raise EOFError
            view = view[got:]


def _read_into(reading: int, view: memoryview) -> int:
    data = os.read(reading, len(view))
    view[: len(data)] = data
    return len(data)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not go through a pipe")


def wrap(media: Sequence[Media]) -> tuple[list[list[Any]], list[NDArray[Any]]]:
    """Return what describes ``media``, and their arrays."""
    told: list[list[Any]] = []
    arrays: list[NDArray[Any]] = []
    for item in media:
        match item:
            case AudioChunk():
                told.append(["sound", item.start, item.rate_hz, len(item.samples)])
                arrays.append(item.samples)
            case VideoFrame():
                told.append(["picture", item.at, item.source, *item.pixels.shape[:2]])
                arrays.append(item.pixels)
            case Text():
                told.append(["text", item.text, item.at, item.form, list(item.options)])
    return told, arrays


def unwrap(told: Sequence[Sequence[Any]], body: Bytes) -> list[Media]:
    """Return the media of a parcel; their arrays are parts of ``body``.

    Raises:
        BadParcel: it is not what :func:`wrap` makes.
    """
    media: list[Media] = []
    try:
        for kind, *fields in told:
            if kind == "sound":
                start, rate_hz, count = fields
                samples, body = body[: count * 4], body[count * 4 :]
                media.append(AudioChunk(samples.view(np.float32).reshape(count), int(start), int(rate_hz)))
            elif kind == "picture":
                at, source, height, width = fields
                size = height * width * 3
                pixels, body = body[:size], body[size:]
                media.append(VideoFrame(pixels.reshape(height, width, 3), int(at), str(source)))
            else:
                text, at, form, options = fields
                media.append(Text(str(text), int(at), str(form), tuple(str(o) for o in options)))
    except (OverflowError, TypeError, ValueError) as error:
        raise BadParcel(f"no media: {error}") from error
    if len(body):
        raise BadParcel(f"{len(body)} bytes too many")
    return media


def tell(percept: Percept) -> list[Any]:
    """Return a percept as JSON has it."""
    p = percept
    return [p.kind, p.label, p.start, p.end, p.confidence, p.worker, dict(p.data)]


def told(fields: Sequence[Any]) -> Percept:
    """Return the percept that :func:`tell` told of.

    Raises:
        BadParcel: it is none.
    """
    try:
        kind, label, start, end, confidence, worker, data = fields
        found: dict[str, Datum] = {str(key): _datum(value) for key, value in data.items()}
        return Percept(str(kind), str(label), int(start), int(end), float(confidence), str(worker), found)
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise BadParcel(f"no percept: {error}") from error


def _datum(value: Any) -> Datum:
    if isinstance(value, list):
        words = tuple(v for v in value if isinstance(v, str))
        return words if words and len(words) == len(value) else tuple(float(v) for v in value)
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"a {type(value).__name__} in a percept")
