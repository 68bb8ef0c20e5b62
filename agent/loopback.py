"""A caller from a script, in memory: the transport that tests and embedders hold a call with.

It plays media and signals at their times and keeps everything that came back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.action import Action
from agent.clock import Clock
from agent.journal import Event
from agent.player import Player
from agent.transports import Feed, Hangup, Signal
from perception.media import AudioChunk, Media
from perception.timebase import Nanos


class Loopback:
    """One scripted caller.

    Args:
        script: media in order of time, and signals as pairs of their time and themselves.
        senses: what the caller allows.
        hang_up: whether the caller is gone at the end of the script, instead of listening on.
        until: the script lasts at least this long.
        on_action: called with each action as it arrives.

    Attributes:
        actions: every action and when it arrived.
        events: every event that was told.
        closed: how often the transport was closed.
    """

    call_id = "loopback"

    def __init__(
        self,
        script: Iterable[Media | tuple[Nanos, Signal]] = (),
        *,
        senses: frozenset[str] | None = None,
        hang_up: bool = False,
        until: Nanos = 0,
        on_action: Callable[[Action], None] | None = None,
    ) -> None:
        self.senses = senses
        self.actions: list[tuple[Nanos, Action]] = []
        self.events: list[Event] = []
        self.closed = 0
        self._script = script
        self._hang_up = hang_up
        self._until = until
        self._on_action = on_action
        self._clock: Clock | None = None
        self._player = Player()

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Play the script: sound when it ends, pictures, texts and signals at their instant."""
        self._clock = clock
        self._player.start(clock)
        for item in self._script:
            if isinstance(item, tuple):
                await clock.sleep_until(item[0])
                feed(item[1])
            else:
                await clock.sleep_until(item.end if isinstance(item, AudioChunk) else item.at)
                feed(item)
        await clock.sleep_until(self._until)
        if self._hang_up:
            raise Hangup("the script is over")

    async def send(self, action: Action) -> None:
        """Keep the action; play it if it is sound."""
        self.actions.append((self._clock.now() if self._clock is not None else 0, action))
        if self._on_action is not None:
            self._on_action(action)
        await self._player.carry_out(action)

    def played(self, reply: int) -> Nanos:
        """How much of ``reply`` has been played."""
        return self._player.played(reply)

    def first_out(self, reply: int) -> Nanos | None:
        """When ``reply`` was first heard."""
        return self._player.first_out(reply)

    def tell(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    async def close(self) -> None:
        """Count the goodbyes."""
        self.closed += 1

    def of(self, kind: type[Action]) -> list[Action]:
        """Return the actions of one kind, in order."""
        return [action for _, action in self.actions if isinstance(action, kind)]
