"""The playout ring: sound on its way out, at most a little ahead of what is heard.

Sans-IO: whoever plays calls :meth:`Playout.take` once per frame and so sets the pace. Nothing here knows a
clock. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from perception.media import AudioChunk
from perception.timebase import MS, Nanos, from_ticks, to_ticks

RATE_HZ = 24_000
"""The rate of the voices, which libopus takes as it is."""

CAPACITY: Nanos = 200 * MS
_PIECE: Nanos = 20 * MS
_FADE: Nanos = 5 * MS
_MEMORY = 256

Samples = NDArray[np.float32]
V = TypeVar("V")


@dataclass(slots=True)
class _Piece:
    samples: Samples
    reply: int


class Playout:
    """A bounded queue of sound, cut by reply.

    Args:
        rate_hz: the one rate at which samples leave; other rates are resampled on the way in.
        capacity: most sound that may be unplayed; :meth:`put` waits for room.

    Attributes:
        on_first: called with the reply's number when its first sample leaves.
    """

    def __init__(self, rate_hz: int = RATE_HZ, capacity: Nanos = CAPACITY) -> None:
        self.on_first: Callable[[int], None] | None = None
        self._rate_hz = rate_hz
        self._capacity = to_ticks(capacity, rate_hz)
        self._piece = min(to_ticks(_PIECE, rate_hz), self._capacity)
        self._fade = to_ticks(_FADE, rate_hz)
        self._pieces: deque[_Piece] = deque()
        self._queued = 0
        self._held = False
        self._held_reply: int | None = None
        self._closed = False
        self._rising = False
        self._tail: Samples | None = None
        self._taken: dict[int, int] = {}
        self._stopped: dict[int, None] = {}
        self._converter: _Converter | None = None
        self._room = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def rate_hz(self) -> int:
        """Samples per second of what :meth:`take` returns."""
        return self._rate_hz

    @property
    def ahead(self) -> Nanos:
        """How much sound is waiting."""
        return from_ticks(self._queued, self._rate_hz)

    @property
    def idle(self) -> bool:
        """Whether everything has been played."""
        return self._quiet.is_set()

    async def wait_idle(self) -> None:
        """Return once everything has been played or stopped."""
        await self._quiet.wait()

    async def put(self, chunk: AudioChunk, reply: int) -> None:
        """Append sound of ``reply``; wait until all of it has found room.

        Returns at once, and forgets the sound, if the reply is or gets stopped.
        """
        if self._stale(reply):
            return
        samples = self._convert(chunk, reply)
        for begin in range(0, len(samples), self._piece):
            piece = samples[begin : begin + self._piece]
            while not self._stale(reply) and self._queued + len(piece) > self._capacity:
                self._room.clear()
                await self._room.wait()
            if self._stale(reply):
                return
            self._append(piece, reply)

    def take(self, n: int) -> Samples | None:
        """Return the next ``n`` samples, float32 of shape ``(n,)``, or ``None`` if all is silent.

        What is missing at the end of a reply is filled up with silence.
        """
        out = np.zeros(n, np.float32)
        filled = 0
        if self._tail is not None:
            filled = min(n, len(self._tail))
            out[:filled] = self._tail[:filled]
            self._tail = self._tail[filled:] if filled < len(self._tail) else None
        heard = filled > 0
        while filled < n:
            if self._pausing() or (not self._pieces and not self._flush()):
                break
            filled += self._move(out[filled:])
            heard = True
        if not self._pieces and self._tail is None:
            self._quiet.set()
        self._room.set()
        return out if heard else None

    def stop(self, reply: int) -> None:
        """Forget what is unplayed of ``reply``, now and later; its next 5 ms fade out so that it does not click."""
        _remember(self._stopped, reply, None)
        if self._converter is not None and self._converter.reply == reply:
            self._converter = None
        front = self._pieces[0].reply if self._pieces else None
        if front == reply and not self._pausing() and self._taken.get(reply):
            self._tail = self._faded()
        if self._held_reply == reply:
            self._held, self._held_reply = False, None
        self._pieces = deque(p for p in self._pieces if p.reply != reply)
        self._queued = sum(len(p.samples) for p in self._pieces)
        if not self._pieces and self._tail is None:
            self._quiet.set()
        self._room.set()

    def hold(self, held: bool, reply: int | None = None) -> None:
        """Pause, or go on where it paused. Silence goes out meanwhile and nothing is lost.

        With ``reply`` only that reply is held, and stopping it lets the next one through.
        """
        was = self._pausing()
        started = bool(self._pieces) and self._taken.get(self._pieces[0].reply, 0) > 0
        self._held, self._held_reply = held, reply if held else None
        if self._pausing() and not was and started:
            self._tail = self._faded()
        self._rising = was and not self._pausing() and started

    def close(self) -> None:
        """Forget everything and release all who wait; what is put later is forgotten too."""
        self._closed = True
        self._pieces.clear()
        self._queued = 0
        self._tail = self._converter = None
        self._quiet.set()
        self._room.set()

    def played(self, reply: int) -> Nanos:
        """How much sound of ``reply`` has been taken; of the last 256 replies."""
        return from_ticks(self._taken.get(reply, 0), self._rate_hz)

    def _stale(self, reply: int) -> bool:
        return self._closed or reply in self._stopped

    def _pausing(self) -> bool:
        """Whether what is next must wait."""
        if not self._held or self._held_reply is None:
            return self._held
        return bool(self._pieces) and self._pieces[0].reply == self._held_reply

    def _convert(self, chunk: AudioChunk, reply: int) -> Samples:
        if chunk.rate_hz == self._rate_hz:
            self._flush()
            return chunk.samples
        if self._converter is None or not self._converter.fits(reply, chunk.rate_hz):
            self._flush()
            self._converter = _Converter(reply, chunk.rate_hz, self._rate_hz)
        return self._converter.feed(chunk.samples)

    def _append(self, samples: Samples, reply: int) -> None:
        self._pieces.append(_Piece(samples, reply))
        self._queued += len(samples)
        self._quiet.clear()

    def _flush(self) -> bool:
        """Append what the resampler still holds; return whether it held anything."""
        converter, self._converter = self._converter, None
        rest = converter.finish() if converter is not None else None
        if converter is None or rest is None or not len(rest):
            return False
        self._append(rest, converter.reply)
        return True

    def _move(self, out: Samples) -> int:
        """Move samples of the first piece to ``out``; return how many."""
        piece = self._pieces[0]
        count = min(len(out), len(piece.samples))
        out[:count] = piece.samples[:count]
        if self._rising:
            rise = min(count, self._fade)
            out[:rise] *= np.linspace(0.0, 1.0, rise, dtype=np.float32)
            self._rising = False
        first = piece.reply not in self._taken
        _remember(self._taken, piece.reply, self._taken.get(piece.reply, 0) + count)
        piece.samples = piece.samples[count:]
        if not len(piece.samples):
            self._pieces.popleft()
        self._queued -= count
        if first and self.on_first is not None:
            self.on_first(piece.reply)
        return count

    def _faded(self) -> Samples:
        head = self._pieces[0].samples[: self._fade]
        return head * np.linspace(1.0, 0.0, len(head), dtype=np.float32)


class _Converter:
    """One reply's resampler. What a stream resampler holds back comes out with :meth:`finish`."""

    def __init__(self, reply: int, from_hz: int, to_hz: int) -> None:
        self.reply = reply
        self._from_hz = from_hz
        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def fits(self, reply: int, from_hz: int) -> bool:
        return (self.reply, self._from_hz) == (reply, from_hz)

    def feed(self, samples: Samples) -> Samples:
        found: Samples = self._stream.resample_chunk(samples)
        return found

    def finish(self) -> Samples:
        found: Samples = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return found


def _remember(book: dict[int, V], reply: int, value: V) -> None:
    book[reply] = value
    while len(book) > _MEMORY:
        del book[next(iter(book))]
