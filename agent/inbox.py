"""The bounded queue in front of every worker: the sender never waits, the oldest gives way, and it counts."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue that never blocks its sender.

    When it is full the oldest item is dropped: ``capacity`` 1 is *latest wins*, for pictures.

    Args:
        capacity: most items that wait.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"an inbox needs room for one item at least, got capacity {capacity}")
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._filled = asyncio.Event()
        self.dropped = 0
        """Items that gave way."""
        self.peak = 0
        """Most items that ever waited."""

    def __len__(self) -> int:
        return len(self._items)

    @property
    def oldest(self) -> T | None:
        """What has waited for longest."""
        return self._items[0] if self._items else None

    def offer(self, item: T) -> None:
        """Put ``item`` in, dropping the oldest one if there is no room."""
        if len(self._items) == self._capacity:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self.peak = max(self.peak, len(self._items))
        self._filled.set()

    async def take_all(self) -> list[T]:
        """Wait until something is there, and take all of it, oldest first."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        items = list(self._items)
        self._items.clear()
        return items

    def clear(self) -> None:
        """Drop everything, uncounted (the items are not wanted any more)."""
        self._items.clear()
