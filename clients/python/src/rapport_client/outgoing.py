"""What waits to be sent: little, and of pictures only the latest."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from rapport_client.frames import Frame, Kind, pack

_MOST_SOUND: Final = 100
"""Frames of 20 ms that wait while the connection is lost; then the oldest give way."""

_KEPT_SOUND: Final = 10
"""Of these, what is sent over a new connection."""

_MOST_TEXTS: Final = 64
_FRAME_S: Final = 0.02
_AHEAD_S: Final = 0.02
_FRESH_S: Final = 0.1
"""A longer piece was not heard just now, and is sent at the pace at which it is to be heard."""

_GAP_S: Final = 0.25


class Outgoing:
    """Of one call, over all its connections.

    Attributes:
        dropped_s: seconds of sound that were never sent.
        skipped: pictures that a later one replaced.
        linked: whether there is a connection.
    """

    def __init__(self) -> None:
        self.dropped_s = 0.0
        self.skipped = 0
        self.linked = False
        self._texts: deque[str] = deque()
        self._sound: deque[bytes] = deque()
        self._pictures: dict[int, bytes] = {}
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._began = time.monotonic()
        self._rate_hz = 0
        self._base_s = 0.0
        self._counted = 0
        self._rest = b""
        self._pictured: dict[int, int] = {}

    @property
    def now_s(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._began

    def link(self) -> None:
        """There is a connection; what was heard while there was none is of no use any more."""
        while len(self._sound) > _KEPT_SOUND:
            self._sound.popleft()
            self.dropped_s += _FRAME_S
        self.linked = True

    def text(self, text: str) -> None:
        """Send a text."""
        self._texts.append(text)
        while len(self._texts) > _MOST_TEXTS:
            self._texts.popleft()
        self._news.set()

    async def sound(self, pcm: bytes, rate_hz: int) -> None:
        """Send sound; wait while it is ahead of time, or does not get away."""
        for at_s, frame in self._frames(pcm, rate_hz, _FRESH_S):
            ahead = at_s - self.now_s - _AHEAD_S
            if ahead > 0:
                await asyncio.sleep(ahead)
            while self.linked and len(self._sound) >= _MOST_SOUND:
                self._room.clear()
                await self._room.wait()
            self._keep(frame)

    def offer(self, pcm: bytes, rate_hz: int) -> None:
        """Send sound without waiting; what is too much drops the oldest."""
        for _, frame in self._frames(pcm, rate_hz):
            self._keep(frame)

    def picture(self, kind: Kind, source: int, payload: bytes) -> bool:
        """Send a picture; return whether the one before has been sent, and not been replaced."""
        fresh = source not in self._pictures
        at = max(int(self.now_s * 1e6), self._pictured.get(source, -1) + 1)
        self._pictured[source] = at
        self._pictures[source] = pack(Frame(kind, source, at, payload))
        self.skipped += not fresh
        self._news.set()
        return fresh

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Yield what is to be sent, for ever: words first, then sound, then pictures."""
        while True:
            while self._texts or self._sound or self._pictures:
                if self._texts:
                    yield self._texts.popleft()
                elif self._sound:
                    found = self._sound.popleft()
                    self._room.set()
                    yield found
                else:
                    yield self._pictures.pop(next(iter(self._pictures)))
            self._news.clear()
            await self._news.wait()

    def _frames(self, pcm: bytes, rate_hz: int, fresh_s: float = _MOST_SOUND * _FRAME_S) -> list[tuple[float, bytes]]:
        """Cut sound into frames of 20 ms, each with its time in seconds, counted in samples; a pause is a gap in it.

        Args:
            pcm: the sound.
            rate_hz: samples per second.
            fresh_s: of sound that comes after a pause, how much was heard before now.
        """
        now_s = self.now_s
        size = 2 * rate_hz // 50
        if rate_hz != self._rate_hz or now_s - (self._base_s + self._counted / rate_hz) > _GAP_S:
            self._rest = b"" if rate_hz != self._rate_hz else self._rest
            begins = now_s - min(fresh_s, (len(self._rest) + len(pcm)) / 2 / rate_hz)
            counted_s = self._base_s + self._counted / self._rate_hz if self._rate_hz else 0.0
            self._rate_hz, self._base_s, self._counted = rate_hz, max(begins, counted_s, 0.0), 0
        data = self._rest + pcm
        whole = len(data) // size * size
        self._rest = data[whole:]
        frames = []
        for begin in range(0, whole, size):
            at_s = self._base_s + self._counted / rate_hz
            frame = Frame(Kind.PCM16, rate_hz // 1000, round(at_s * 1e6), data[begin : begin + size])
            frames.append((at_s, pack(frame)))
            self._counted += size // 2
        return frames

    def _keep(self, frame: bytes) -> None:
        self._sound.append(frame)
        if len(self._sound) > _MOST_SOUND:
            self._sound.popleft()
            self.dropped_s += _FRAME_S
        self._news.set()
