"""Messages on their way to the client: bounded, the least important give way first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from aiortc import InvalidStateError, RTCDataChannel

from agent.transports._link import Channel
from agent.wire import Outbound

CAPACITY: Final = 256
_FULL: Final = 128 * 1024
"""Bytes that may wait inside aiortc before messages are kept back here."""


class DataChannel:
    """A data channel of aiortc as a :class:`agent.transports._link.Channel`."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        channel.bufferedAmountLowThreshold = _FULL // 2

    @property
    def ready(self) -> bool:
        """Whether it takes a message now."""
        return self._channel.readyState == "open" and self._channel.bufferedAmount <= _FULL

    def send(self, text: str) -> None:
        """Send a message; never blocks.

        Raises:
            ConnectionError: it is closed.
        """
        try:
            self._channel.send(text)
        except (InvalidStateError, ValueError) as error:
            raise ConnectionError("the data channel is closed") from error

    def when_ready(self, flush: Callable[[], None]) -> None:
        """Have ``flush`` called when it takes messages again."""
        self._channel.on("bufferedamountlow", flush)
        self._channel.on("open", flush)


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
        self._channel: Channel | None = None
        self._held = False

    def __len__(self) -> int:
        return len(self._waiting)

    def attach(self, channel: Channel | None) -> None:
        """Send over ``channel`` from now on."""
        self._channel, self._held = channel, False
        if channel is not None:
            channel.when_ready(self.flush)
            self.flush()

    def hold(self, held: bool) -> None:
        """Keep messages back: what is handed to a connection that is then replaced is lost with it."""
        self._held = held
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
        while self._waiting and not self._held and channel is not None and channel.ready:
            try:
                channel.send(self._waiting[0][0])
            except ConnectionError:
                return
            self._waiting.popleft()

    def _drop(self) -> None:
        self.dropped += 1
        for index, (_, droppable) in enumerate(self._waiting):
            if droppable:
                del self._waiting[index]
                return
        self._waiting.popleft()
