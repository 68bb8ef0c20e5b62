"""A transport around another one, for those that change a part of what passes."""

from __future__ import annotations

from agent.action import Action
from agent.clock import Clock
from agent.journal import Event
from agent.transports import Feed, Transport
from perception.timebase import Nanos


class Around:
    """Hands everything on to ``inner`` as it is; implements :class:`agent.transports.Transport`.

    Args:
        inner: the transport of the caller.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def call_id(self) -> str:
        """The caller's."""
        return self._inner.call_id

    @property
    def senses(self) -> frozenset[str] | None:
        """The caller's."""
        return self._inner.senses

    @property
    def types(self) -> bool:
        """Whether the caller can type."""
        return bool(getattr(self._inner, "types", True))

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Let the caller's media through."""
        await self._inner.receive(feed, clock)

    async def send(self, action: Action) -> None:
        """Hand an action on."""
        await self._inner.send(action)

    def played(self, reply: int) -> Nanos:
        """Ask the caller's transport."""
        return self._inner.played(reply)

    def first_out(self, reply: int) -> Nanos | None:
        """Ask the caller's transport."""
        return self._inner.first_out(reply)

    def tell(self, event: Event) -> None:
        """Hand an event on."""
        self._inner.tell(event)

    async def close(self) -> None:
        """Close the caller's transport."""
        await self._inner.close()
