"""What the real workers report of a conversation, kept so that the same sound need not be recognised twice.

What a worker reports depends on the person's channel and on the batches in which it comes. Under the virtual clock with
fixed costs both are the same whatever the agent does, so a second row hears exactly what the first has heard, at the
same instants.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from perception.media import AudioChunk, Media
from perception.percept import Datum, Percept
from perception.timebase import Nanos
from perception.workers import Worker, WorkerFactory

_VERSION: Final = 2
"""Raise it when the same sound and options give other percepts."""

Batch = tuple[Nanos, list[Percept]]


@dataclass
class Ears:
    """The workers of one conversation, remembered or about to be.

    Args:
        workers: real ones.
        samples: of the person's channel.
        told: what else the percepts depend on: names, options, costs.
        folder: where they are kept.
    """

    workers: Sequence[WorkerFactory]
    samples: NDArray[np.float32]
    told: Mapping[str, Any]
    folder: Path
    _books: dict[str, list[Batch]] = field(default_factory=dict)
    known: bool = False

    def __post_init__(self) -> None:
        text = json.dumps([_VERSION, self.told], sort_keys=True, default=str).encode()
        digest = hashlib.sha256(text + self.samples.tobytes()).hexdigest()
        self._path = self.folder / f"{digest[:32]}.json"
        try:
            table = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        self._books = {name: [(at, [_percept(p) for p in found]) for at, found in book] for name, book in table.items()}
        self.known = True

    def factories(self) -> list[WorkerFactory]:
        """Return what hears the conversation."""
        if self.known:
            return [Remembered(w.name, w.accepts, self._books.get(w.name, [])) for w in self.workers]
        return [Recording(w, self._books.setdefault(w.name, [])) for w in self.workers]

    def heard_by(self) -> Mapping[int, Nanos]:
        """Return, by the ``id()`` of each percept, the end of the sound that its worker had been given by then."""
        return {id(percept): at for book in self._books.values() for at, found in book for percept in found}

    def keep(self) -> None:
        """Write down what was heard."""
        if self.known:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        table = {
            name: [[at, [_table(p) for p in found]] for at, found in book if found]
            for name, book in self._books.items()
        }
        new = self._path.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(table), encoding="utf-8")
        new.replace(self._path)


class Recording:
    """A worker that writes down what it reports."""

    def __init__(self, factory: WorkerFactory, book: list[Batch]) -> None:
        self.name = factory.name
        self.accepts = factory.accepts
        self._factory = factory
        self._book = book

    def __call__(self) -> Worker:
        """Return a worker that has heard nothing."""
        return _Recording(self._factory(), self._book)


class _Recording:
    def __init__(self, worker: Worker, book: list[Batch]) -> None:
        self._worker = worker
        self._book = book

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        found = self._worker.feed(media)
        self._book.append((_until(media), found))
        return found


class Remembered:
    """A worker that reports what another one has reported."""

    def __init__(self, name: str, accepts: tuple[Any, ...], book: Sequence[Batch]) -> None:
        self.name = name
        self.accepts = accepts
        self._book = book

    def __call__(self) -> Worker:
        """Return a worker that has heard nothing."""
        return _Remembered(self._book)


class _Remembered:
    def __init__(self, book: Sequence[Batch]) -> None:
        self._left = list(reversed(book))

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        until = _until(media)
        found: list[Percept] = []
        while self._left and self._left[-1][0] <= until:
            found += self._left.pop()[1]
        return found


def _until(media: Sequence[Media]) -> Nanos:
    last = media[-1]
    return last.end if isinstance(last, AudioChunk) else last.at


def _table(percept: Percept) -> list[Any]:
    return [
        percept.kind,
        percept.label,
        percept.start,
        percept.end,
        percept.confidence,
        percept.worker,
        dict(percept.data),
    ]


def _percept(row: Sequence[Any]) -> Percept:
    kind, label, start, end, confidence, worker, data = row
    read: dict[str, Datum] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return Percept(kind, label, start, end, confidence, worker, read)
