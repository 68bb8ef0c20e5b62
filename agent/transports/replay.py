"""A media file as the caller: its sound and pictures come in at their times, under whatever clock.

The file is decoded a little ahead, in a thread. Under a virtual clock time stands still meanwhile, so a
replay is as exact as the file and as fast as the senses.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from agent.action import Action
from agent.clock import Clock
from agent.journal import Event, Sink
from agent.media_file import MediaFile, open_media
from agent.media_reader import CHUNK
from agent.offload import Thread
from agent.player import Player
from agent.recorder import Recorder
from agent.transports import AT_END, Answer, Feed
from perception.media import RATE_HZ, AudioChunk, Text, VideoFrame
from perception.timebase import MS, Nanos, from_ticks, seconds, to_ticks

_BATCH = 24
"""Pieces of media decoded at once: a third of a second with sound and pictures."""

_AHEAD = 2
"""Batches that may wait for their time; the decoder waits beyond that."""

_STEP: Nanos = 20 * MS

_PATIENCE_S = 5.0
"""The file must not be closed while a batch is being decoded."""

_Batch = list[AudioChunk | VideoFrame]


def load(
    *,
    path: Path | str,
    tail_s: float = 3.0,
    output: Path | str | None = None,
    sink: Sink | None = None,
    texts: Sequence[Text] = (),
    sound: bool = True,
    pictures: bool = True,
    most_video_hz: float = 0.0,
    senses: frozenset[str] | None = None,
) -> ReplayDoor:
    """Return the door through which one file comes in.

    Args:
        path: any video or audio file.
        tail_s: silence after the end of the file, so that the last words get their answer.
        output: WAV file to write the talk to, the caller on the left and the agent on the right.
        sink: is told every event of the call.
        texts: what the caller types, in order of time; one at :data:`agent.transports.AT_END` comes after the silence.
        sound: whether the file's sound comes in.
        pictures: whether its pictures come in.
        most_video_hz: pictures per second at most, 0 for all.
        senses: which the caller allows, ``None`` for all.

    Raises:
        ValueError: ``tail_s`` is negative, or the texts are not in order.
    """
    if not tail_s >= 0:
        raise ValueError(f"tail_s is {tail_s}, expected 0 or more")
    if any(a.at > b.at for a, b in pairwise(texts)):
        raise ValueError("the texts are not in order of time")
    return ReplayDoor(
        partial(open_media, path, sound=sound, pictures=pictures, most_hz=most_video_hz),
        partial(Replay, tail=seconds(tail_s), sink=sink, texts=tuple(texts), senses=senses),
        None if output is None else Path(output),
    )


class ReplayDoor:
    """Lets one file in; see :func:`load`.

    Attributes:
        notes: what a person should know of the file, such as that it has no sound; complete after the call.
    """

    def __init__(self, opened: Callable[[], MediaFile], caller: Callable[..., Replay], output: Path | None) -> None:
        self.notes: tuple[str, ...] = ()
        self._opened = opened
        self._caller = caller
        self._output = output

    async def open(self, answer: Answer) -> None:
        """Answer one call, the file's.

        Raises:
            agent.media_file.MediaError: the file cannot be played, or the output cannot be written.
        """
        with self._opened() as media:
            caller = self._caller(media, recorder=None if self._output is None else Recorder(self._output))
            try:
                await answer(caller)
            finally:
                await caller.close()
                self.notes = tuple(media.notes)


class Replay:
    """The caller that a file is. Its ``call_id`` depends on the file only, so that two journals are the same.

    Args:
        media: the open file; is read once and not closed.
        tail: silence after its end.
        recorder: writes down what both sides said.
        sink: is told every event.
        texts: what the caller types, in order of time.
        senses: which the caller allows.
    """

    def __init__(
        self,
        media: MediaFile,
        *,
        tail: Nanos = 0,
        recorder: Recorder | None = None,
        sink: Sink | None = None,
        texts: Sequence[Text] = (),
        senses: frozenset[str] | None = None,
    ) -> None:
        self.senses = senses
        self._texts = deque(texts)
        self.call_id = f"{zlib.crc32(repr(media.info).encode()):08x}"
        self._media = media
        self._tail = tail
        self._recorder = recorder
        self._sink = sink
        self._decoder = Thread("decode")
        self._player = Player(recorder.right if recorder is not None else None)

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Feed the file and the silence after it; return when they are over.

        Raises:
            agent.media_file.MediaError: nothing in the file can be decoded.
        """
        begin = clock.now()
        self._player.start(clock)
        ready: asyncio.Queue[_Batch | Exception] = asyncio.Queue(_AHEAD)
        end = begin
        async with asyncio.TaskGroup() as group:
            group.create_task(self._decode(ready, clock), name="decode")
            while batch := await ready.get():
                if isinstance(batch, Exception):
                    break
                for media in batch:
                    end = begin + _available(media)
                    await self._type(feed, clock, end - begin, begin)
                    await clock.sleep_until(end)
                    feed(_moved(media, begin) if begin else media)
                    if self._recorder is not None and isinstance(media, AudioChunk):
                        self._recorder.left(media)
        if isinstance(batch, Exception):
            raise batch
        if not self._media.hears:
            await clock.sleep_until(end + self._tail)
        await self._type(feed, clock, AT_END, begin)

    async def _type(self, feed: Feed, clock: Clock, until: Nanos, begin: Nanos) -> None:
        """Type what is due before ``until``, or, at the end, all that is left."""
        while self._texts and (until == AT_END or self._texts[0].at < until):
            text = self._texts.popleft()
            if text.at < AT_END:
                await clock.sleep_until(begin + text.at)
            feed(replace(text, at=clock.now()))

    async def send(self, action: Action) -> None:
        """Play sound; there is nobody to see the rest."""
        await self._player.carry_out(action)

    def played(self, reply: int) -> Nanos:
        """How much of ``reply`` has been played."""
        return self._player.played(reply)

    def first_out(self, reply: int) -> Nanos | None:
        """When ``reply`` was first heard."""
        return self._player.first_out(reply)

    def tell(self, event: Event) -> None:
        """Pass the event on."""
        if self._sink is not None:
            self._sink(event)

    async def close(self) -> None:
        """Stop the decoder and finish the recording; may be called twice."""
        self._decoder.close(wait_s=_PATIENCE_S)
        if self._recorder is not None:
            self._player.finish()
            self._recorder.close()

    async def _decode(self, ready: asyncio.Queue[_Batch | Exception], clock: Clock) -> None:
        """Put batches, and an empty one at the end."""
        items = continuous(iter(self._media), self._tail) if self._media.hears else iter(self._media)
        more = True
        while more:
            async with clock.working("decode"):
                batch = await self._decoder.run(_take, items)
            await ready.put(batch)
            more = isinstance(batch, list) and bool(batch)


def _take(items: Iterator[AudioChunk | VideoFrame]) -> _Batch | Exception:
    try:
        return list(islice(items, _BATCH))
    except Exception as error:
        return error


def continuous(items: Iterator[AudioChunk | VideoFrame], tail: Nanos = 0) -> Iterator[AudioChunk | VideoFrame]:
    """Fill the gaps in the sound with silence, as a microphone would, and add ``tail`` of it after the end.

    Args:
        items: chunks at their end and frames at their instant, in that order, chunks of at most 20 ms.
        tail: silence after the last item.
    """
    given = 0
    end: Nanos = 0
    for media in items:
        available = _available(media)
        until = media.start if isinstance(media, AudioChunk) else available - _STEP
        for chunk in _silence(given, to_ticks(max(0, until), RATE_HZ), whole=isinstance(media, VideoFrame)):
            given += len(chunk.samples)
            yield chunk
        if isinstance(media, AudioChunk):
            given = max(given, to_ticks(media.end, RATE_HZ))
        end = max(end, available)
        yield media
    yield from _silence(given, to_ticks(end + tail, RATE_HZ))


def _silence(begin: int, end: int, *, whole: bool = False) -> Iterator[AudioChunk]:
    """Yield silence from one sample to another, in chunks of 20 ms; with ``whole`` no shorter one at the end."""
    while begin < end and (not whole or begin + CHUNK <= end):
        count = min(CHUNK, end - begin)
        yield AudioChunk(np.zeros(count, np.float32), from_ticks(begin, RATE_HZ))
        begin += count


def _available(media: AudioChunk | VideoFrame) -> Nanos:
    return media.end if isinstance(media, AudioChunk) else media.at


def _moved(media: AudioChunk | VideoFrame, by: Nanos) -> AudioChunk | VideoFrame:
    if isinstance(media, AudioChunk):
        return AudioChunk(media.samples, media.start + by, media.rate_hz)
    return VideoFrame(media.pixels, media.at + by, media.source)
