"""Workers that do harm when they are told to, for tests of the processes that workers live in.

What a worker does hangs on the first sample (or pixel) of a batch; see :data:`ORDERS`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import Datum, Percept
from perception.workers import Resolve

ORDERS = {"raise": 2.0, "die": 3.0, "block": 4.0, "leap": 5.0, "grow": 6.0, "fds": 7.0, "print": 8.0}
"""From an order to the sample that gives it."""

_KEPT: list[np.ndarray[Any, Any]] = []


class StandIn:
    """Tells of each batch: its number, how many media, and what it was told."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._batches = 0

    def feed(self, media: Sequence[Media]) -> list[Percept]:
        self._batches += 1
        last = media[-1]
        told = ""
        if isinstance(last, AudioChunk):
            order = float(last.samples[0])
            told = obey(next((name for name, value in ORDERS.items() if value == order), ""))
            start, end = last.start, last.end
            total = float(sum(float(m.samples.sum(dtype=np.float64)) for m in media if isinstance(m, AudioChunk)))
        else:
            assert isinstance(last, VideoFrame)
            start = end = last.at
            total = float(last.pixels.sum(dtype=np.int64))
        data: dict[str, Datum] = {
            "batch": self._batches,
            "sum": total,
            "pid": os.getpid(),
            "times": (1.5, 2.0),
            "told": told,
        }
        return [Percept("heard", str(len(media)), start, end, 0.1, self._name, data)]


def obey(order: str) -> str:
    match order:
        case "raise":
            raise RuntimeError("ear ache")
        case "die":
            ctypes.string_at(0)
        case "block":
            threading.Event().wait()
        case "leap":
            _KEPT.append(np.ones(8 << 30, np.uint8))
        case "grow":
            for _ in range(64):  # 640 MB, in pieces
                _KEPT.append(np.ones(10 << 20, np.uint8))
        case "fds":
            return "\n".join(_open_files())
        case "print":
            sys.stdout.write("a library talks\n")
            sys.stdout.flush()
            os.write(1, b"and so does its native part\n")
    return ""


def _open_files() -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return found


class Factory:
    """Makes stand-ins."""

    def __init__(self, name: str, *, sees: bool) -> None:
        self.name = name
        self.accepts: tuple[type[AudioChunk] | type[VideoFrame], ...] = (VideoFrame,) if sees else (AudioChunk,)

    def __call__(self) -> StandIn:
        return StandIn(self.name)


def load(*, resolve: Resolve, name: str = "ear", sees: bool = False, model: str = "", broken: str = "") -> Factory:
    """Load nothing, or the path of a model, or not even that."""
    if model:
        name = resolve(model).name
    if broken == "raise":
        raise ValueError("a broken ear")
    if broken:
        os._exit(3)
    return Factory(name, sees=sees)
