"""What a call and its present connection know of each other, whatever the connection is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from agent.transports._reorder import Packet
from perception.media import VideoFrame
from perception.timebase import Nanos


class Connection(Protocol):
    """One connection of a call, which may outlive several."""

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        ...

    @property
    def over(self) -> bool:
        """Whether it has failed or been closed; it never comes back."""
        ...

    def flush(self) -> None:
        """Let through what was kept back for something that did not come; called ten times a second."""
        ...

    def counts(self) -> dict[str, int]:
        """Return what was lost since the connection began, by name."""
        ...

    def say_goodbye(self, text: str) -> None:
        """Send a last message, if that is possible."""
        ...

    def close_channels(self) -> None:
        """Take and send no more messages."""
        ...

    async def close(self) -> None:
        """Free everything, within some seconds; may be called by several at once."""
        ...


class Channel(Protocol):
    """What carries messages to the client."""

    @property
    def ready(self) -> bool:
        """Whether it takes a message now."""
        ...

    def send(self, text: str) -> None:
        """Send a message; never blocks.

        Raises:
            ConnectionError: it is closed.
        """
        ...

    def when_ready(self, flush: Callable[[], None]) -> None:
        """Have ``flush`` called when it takes messages again."""
        ...


class Link(Protocol):
    """What a connection tells its call. Nothing here may block or raise."""

    @property
    def reply(self) -> int:
        """Number of the reply whose sound leaves."""
        ...

    def heard(self, peer: Connection, packet: Packet) -> None:
        """An Opus packet has come, in order."""
        ...

    def listened(self, peer: Connection, samples: NDArray[np.float32], ticks: int) -> None:
        """Sound has come: float32 mono at 48 kHz, which begins at ``ticks`` of that rate."""
        ...

    def seen(self, peer: Connection, frame: av.VideoFrame, source: str) -> None:
        """A picture has been decoded."""
        ...

    def glimpsed(self, peer: Connection, ticks: int, source: str) -> Nanos | None:
        """A picture has come, at ``ticks`` of 90 kHz; return its instant if it is worth decoding."""
        ...

    def shown(self, peer: Connection, frame: VideoFrame) -> None:
        """A picture that was worth it has been decoded."""
        ...

    def said(self, peer: Connection, message: str | bytes) -> None:
        """A message has come."""
        ...

    def opened(self, peer: Connection, channel: Channel) -> None:
        """The channel for messages is there."""
        ...

    def changed(self, peer: Connection) -> None:
        """``peer.connected`` or ``peer.over`` has changed."""
        ...

    def abused(self, peer: Connection, why: str) -> None:
        """Messages were ended, because of what was sent."""
        ...
