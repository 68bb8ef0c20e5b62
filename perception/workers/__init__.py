"""The contract of a perception worker, and how to add one.

A worker turns media into percepts. It is synchronous, imports no asyncio, reads no clock, and knows
time only from the media it is fed. One module in this folder (or any importable module, named with its
dots in the configuration) is one worker; it needs a single function::

    def load(*, resolve: Resolve, **options: Any) -> WorkerFactory

which reads weights once and returns a factory. The factory makes one :class:`Worker`, with its own
state, for each call. Three laws, held by ``tests/test_worker_contract.py`` for every module here:

* the percepts do not depend on how the media were cut into batches;
* a worker is causal: changing the future of its media changes no percept about the past;
* percepts come out in an order in which ``end`` never goes back by more than the worker's own window,
  and none lies in the future of the media it was fed.

A worker may raise: the runtime logs it, reports ``sense_lost`` and makes a fresh one from the factory. It may crash,
hang or take too much memory: where it is heavy, it lives in a process of its own (``perception`` in the
configuration). What goes in and out there are media, percepts, and the options of ``load``, which have to be what
TOML can say; a worker sees nothing of the runtime in either place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import Percept

Resolve = Callable[[str], Path]
"""From the name of an embedded model to its verified path on this machine; raises if it is not there."""


class Worker(Protocol):
    """The state of one sense in one call."""

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Take in a batch, oldest first, all of the accepted types; return what is newly known.

        Audio comes as 16 kHz mono in chunks of any length. A jump in ``start`` is a gap in the sound.
        Pictures come when the camera sends them, at any size; under load the newest only.
        """
        ...


class WorkerFactory(Protocol):
    """Loaded weights; makes a :class:`Worker` per call. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """The sense, as used in percepts, configuration and metrics."""
        ...

    @property
    def accepts(self) -> tuple[type[AudioChunk] | type[VideoFrame] | type[Text], ...]:
        """The media types that this worker wants to be fed."""
        ...

    def __call__(self) -> Worker:
        """Return a fresh worker, at the start of a call."""
        ...
