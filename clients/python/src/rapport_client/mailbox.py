"""Events on their way to whoever reads them: bounded, what may be missed gives way first."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from rapport_client.events import Event, Metric, Note, Percept, Sound, Thought

_MISSABLE: Final = (Sound, Percept, Metric, Note, Thought)


class Mailbox:
    """Of one call.

    Attributes:
        missed: events that gave way.
    """

    def __init__(self, capacity: int) -> None:
        self.missed = 0
        self._capacity = capacity
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        """Keep an event."""
        self._waiting.append(event)
        if len(self._waiting) > self._capacity:
            self.missed += 1
            for index, found in enumerate(self._waiting):
                if isinstance(found, _MISSABLE):
                    del self._waiting[index]
                    break
            else:
                self._waiting.popleft()
        self._news.set()

    def forget_sound(self, reply: int) -> None:
        """Drop what waits of a reply's sound."""
        self._waiting = deque(e for e in self._waiting if not (isinstance(e, Sound) and e.reply == reply))

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._news.set()

    async def get(self) -> Event | None:
        """Return the next event, or ``None`` after the last."""
        while not self._waiting:
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()
