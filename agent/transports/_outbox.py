"""Messages on their way to the client: bounded, the least important give way first."""

from __future__ import annotations

from collections import deque
from typing import Final

from aiortc import InvalidStateError, RTCDataChannel

from agent.wire import Outbound

CAPACITY: Final = 256
_FULL: Final = 128 * 1024
"""Bytes that may wait inside aiortc before messages are kept back here."""


class Outbox:
    """Keeps messages while no channel is open or while the client cannot keep up.

    Args:
        capacity: most messages that wait.

    Attributes:
        dropped: messages that gave way.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.dropped = 0
        self._waiting: deque[tuple[str, bool]] = deque()
        self._capacity = capacity
        self._channel: RTCDataChannel | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def attach(self, channel: RTCDataChannel | None) -> None:
        """Send over ``channel`` from now on."""
        self._channel = channel
        if channel is not None:
            channel.bufferedAmountLowThreshold = _FULL // 2
            channel.on("bufferedamountlow", self.flush)
            channel.on("open", self.flush)
            self.flush()

    def post(self, message: Outbound) -> None:
        """Send a message, or keep it; never blocks."""
        self.post_text(message.text(), droppable=message.droppable)

    def post_text(self, text: str, *, droppable: bool = False) -> None:
        """Send text that is a message already."""
        self._waiting.append((text, droppable))
        self.flush()
        if len(self._waiting) > self._capacity:
            self._drop()

    def flush(self) -> None:
        """Send what can be sent."""
        channel = self._channel
        while self._waiting and channel is not None and channel.readyState == "open":
            if channel.bufferedAmount > _FULL:
                return
            try:
                channel.send(self._waiting[0][0])
            except (ConnectionError, InvalidStateError, ValueError):
                return
            self._waiting.popleft()

    def _drop(self) -> None:
        self.dropped += 1
        for index, (_, droppable) in enumerate(self._waiting):
            if droppable:
                del self._waiting[index]
                return
        self._waiting.popleft()
