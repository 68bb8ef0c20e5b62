"""A call behind a client whose messages are of another language: between the connection and the call they are turned
into ours, and ours into theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from agent.transports._link import Channel, Connection, Link
from agent.transports._reorder import Packet
from perception.media import VideoFrame
from perception.timebase import Nanos

_NOTHING: Final = "ping: 0"


class Tongue(Protocol):
    """What a client speaks. Nothing here may block or raise."""

    def begin(self, send: Callable[[str], None], /) -> None:
        """The channel is open, and ``send`` sends over it."""
        ...

    def read(self, message: str | bytes, /) -> list[str]:
        """Return what a message of the client says, in ours."""
        ...

    def told(self, text: str, /) -> None:
        """Tell the client a message of ours."""
        ...


class TranslatedLink:
    """Stands for the call before a connection; fits :class:`agent.transports._link.Link`.

    Args:
        link: the call.
        tongue: of its client.
    """

    def __init__(self, link: Link, tongue: Tongue) -> None:
        self._link = link
        self._tongue = tongue

    @property
    def reply(self) -> int:
        """Number of the reply whose sound leaves."""
        return self._link.reply

    def heard(self, peer: Connection, packet: Packet) -> None:
        """An Opus packet has come."""
        self._link.heard(peer, packet)

    def listened(self, peer: Connection, samples: NDArray[np.float32], ticks: int) -> None:
        """Sound has come."""
        self._link.listened(peer, samples, ticks)

    def seen(self, peer: Connection, frame: av.VideoFrame, source: str) -> None:
        """A picture has been decoded."""
        self._link.seen(peer, frame, source)

    def glimpsed(self, peer: Connection, ticks: int, source: str) -> Nanos | None:
        """A picture has come."""
        return self._link.glimpsed(peer, ticks, source)

    def shown(self, peer: Connection, frame: VideoFrame) -> None:
        """A picture that was worth it has been decoded."""
        self._link.shown(peer, frame)

    def said(self, peer: Connection, message: str | bytes) -> None:
        """A message has come. One that asks for nothing still counts among those of which there may be so many."""
        for text in self._tongue.read(message) or (_NOTHING,):
            self._link.said(peer, text)

    def opened(self, peer: Connection, channel: Channel) -> None:
        """The channel is there."""
        self._link.opened(peer, _TranslatedChannel(channel, self._tongue))

    def changed(self, peer: Connection) -> None:
        """The state of the connection has changed."""
        self._link.changed(peer)

    def abused(self, peer: Connection, why: str) -> None:
        """Messages were ended."""
        self._link.abused(peer, why)


class _TranslatedChannel:
    def __init__(self, channel: Channel, tongue: Tongue) -> None:
        self._channel = channel
        self._tongue = tongue
        tongue.begin(self._pass_on)

    @property
    def ready(self) -> bool:
        return self._channel.ready

    def send(self, text: str) -> None:
        self._tongue.told(text)

    def when_ready(self, flush: Callable[[], None]) -> None:
        self._channel.when_ready(flush)

    def _pass_on(self, text: str) -> None:
        """Send an event. What is for a client that does not read is lost: one message of ours is several events."""
        if self._channel.ready:
            try:
                self._channel.send(text)
            except ConnectionError:
                return
