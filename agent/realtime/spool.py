"""Sound of a client that may come faster than it is spoken, as frames in time; and silence where nothing comes.

A client that streams a microphone has each piece passed on at once. One that sends a whole file has it heard in the
time that it lasts. When nothing has come for a while it is taken for silence, so that a turn comes to an end although
such clients send none; a little is kept back, for the next piece was recorded before it comes.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from agent.frames import Kind, pack
from agent.realtime.dialect import Message, Sound
from perception.timebase import MS, SECOND, Nanos

MOST_S: Final = 30.0
"""Sound that may wait."""

_PIECE: Final[Nanos] = 100 * MS
_TINY: Final[Nanos] = 20 * MS
"""Pieces that are shorter are put together where they wait."""

_EARLY: Final[Nanos] = 40 * MS
"""A piece may be passed on so long before it would be complete at a microphone: the way is not even."""

_STREAMING: Final[Nanos] = 600 * MS
_COMMITTED: Final[Nanos] = 200 * MS
_KEPT_BACK: Final[Nanos] = 60 * MS
_SILENCE_HZ: Final = 16_000
_MOST_MARKS: Final = 32


class Spool:
    """Of one client. Times are on the clock that is asked later.

    Attributes:
        streaming: whether pauses in the stream are likely the network's; else the client has said that it is done.
    """

    def __init__(self) -> None:
        self.streaming = True
        self._waiting: deque[Sound | Message] = deque()
        self._waiting_s = 0.0
        self._marks = 0
        self._base: Nanos | None = None
        self._us = 0
        self._silent = False

    @property
    def begun(self) -> bool:
        """Whether any sound has come."""
        return self._base is not None

    @property
    def crowded(self) -> bool:
        """Whether so many messages wait behind sound that no more should be read."""
        return self._marks >= _MOST_MARKS

    def append(self, sound: Sound) -> bool:
        """Take in sound; return whether there was room for it."""
        seconds = len(sound.pcm) / 2 / sound.rate_hz
        if self._waiting_s + seconds > MOST_S:
            return False
        step = 2 * sound.rate_hz * _PIECE // SECOND
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, Sound) and last.rate_hz == sound.rate_hz and _length(last) < _TINY:
            self._waiting.pop()
            sound = Sound(last.pcm + sound.pcm, sound.rate_hz)
        for begin in range(0, len(sound.pcm), step):
            self._waiting.append(Sound(sound.pcm[begin : begin + step], sound.rate_hz))
        self._waiting_s += seconds
        return True

    def mark(self, message: Message) -> None:
        """Take in a message that belongs behind the sound so far."""
        self._waiting.append(message)
        self._marks += 1

    def clear(self) -> None:
        """Forget the sound that waits; messages stay."""
        self._waiting = deque(entry for entry in self._waiting if isinstance(entry, Message))
        self._waiting_s = 0.0

    def next(self, now: Nanos) -> str | bytes | None:
        """Return what is due: a message, a frame of sound, or ``None``."""
        if self._waiting:
            head = self._waiting[0]
            if isinstance(head, Message):
                self._waiting.popleft()
                self._marks -= 1
                return head.text
            if self._base is None:
                self._base = now - _length(head)
            if self._due() > now:
                return None
            self._waiting.popleft()
            self._waiting_s = max(0.0, self._waiting_s - _length(head) / SECOND) if self._waiting else 0.0
            self._silent = False
            return self._frame(head)
        if self._base is None or self._due() > now:
            return None
        self._silent = True
        return self._frame(Sound(bytes(2 * _SILENCE_HZ * _PIECE // SECOND), _SILENCE_HZ))

    def wait(self, now: Nanos) -> Nanos:
        """Return how long nothing will be due, unless more comes; a second at most."""
        if self._waiting and (self._base is None or isinstance(self._waiting[0], Message)):
            return 0
        return SECOND if self._base is None else min(SECOND, max(0, self._due() - now))

    def _due(self) -> Nanos:
        """Return when the next piece, or else the next silence, is passed on."""
        assert self._base is not None
        end = self._base + self._us * 1000
        if self._waiting and isinstance(self._waiting[0], Sound):
            return end + _length(self._waiting[0]) - _EARLY
        if self._silent:
            return end + _PIECE + _KEPT_BACK
        return end + (_STREAMING if self.streaming else _COMMITTED)

    def _frame(self, sound: Sound) -> bytes:
        at = self._us
        self._us += _length(sound) // 1000
        return pack(Kind.PCM16, sound.rate_hz // 1000, at, sound.pcm)


def _length(sound: Sound) -> Nanos:
    return len(sound.pcm) // 2 * SECOND // sound.rate_hz
