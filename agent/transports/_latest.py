"""The latest decoded picture, and no other: what stands between the decoder's thread and the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

_KEPT: Final = 2
"""One that is about to be taken, and one that came meanwhile."""


class Latest:
    """Takes the place of the queue of aiortc's ``RemoteStreamTrack``, which has no bound.

    aiortc's decoder thread calls ``run_coroutine_threadsafe(queue.put(frame), loop)``. Here ``put`` keeps the
    picture at once, in that very thread, and only the waking up waits for the loop: however long the loop is
    held up, no more than two pictures are in memory.

    Attributes:
        dropped: pictures that a later one replaced before they were taken.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._frames: deque[Any] = deque(maxlen=_KEPT)
        self._ended = False
        self._news = asyncio.Event()

    def put(self, frame: Any) -> Coroutine[Any, Any, None]:
        """Keep a picture (``None``: there will be no more); from the decoder's thread."""
        if frame is None:
            self._ended = True
        else:
            self.dropped += len(self._frames) == _KEPT
            self._frames.append(frame)
        return self._wake()

    async def get(self) -> Any:
        """Return the next picture, or ``None`` at the end; on the event loop."""
        while True:
            self._news.clear()
            try:
                return self._frames.popleft()
            except IndexError:
                if self._ended:
                    return None
            await self._news.wait()

    def qsize(self) -> int:
        """How many pictures wait."""
        return len(self._frames)

    async def _wake(self) -> None:
        self._news.set()
