"""The contract of a transport, and how to add one.

One module here (or any importable module, named with its dots) is one way in. It needs::

    def load(**options: Any) -> Door

A :class:`Door` waits for callers and hands each of them to ``answer`` as a :class:`Transport`. Media come
in stamped with the call's clock; actions go out. Held by ``tests/test_transport_contract.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from agent.action import Action
from agent.clock import Clock
from agent.journal import Event
from perception.media import Media
from perception.timebase import Nanos

AT_END: Nanos = 1 << 62
"""As the instant of something that a file's caller types: after the file and the silence behind it."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A wish of the caller, or of the server, that is neither seen nor heard.

    Attributes:
        kind: ``stop`` (be quiet now), ``push_to_talk`` (with ``enabled`` and ``held``), ``senses`` (the
            transport's ``senses`` have changed), or ``closing`` (the server ends the call, after ``left``).
        enabled: whether push-to-talk is on.
        held: whether its button is down.
        left: time until the end.
    """

    kind: str
    enabled: bool = False
    held: bool = False
    left: Nanos = 0


Feed = Callable[[Media | Signal], None]
"""Hands one piece of media, or a signal, to the call; never blocks and never raises."""


class Hangup(Exception):
    """The caller is gone: nobody listens any more, the call ends at once and in good order."""


class Transport(Protocol):
    """One caller."""

    @property
    def call_id(self) -> str:
        """A random name for the call, in logs and in the journal."""
        ...

    @property
    def senses(self) -> frozenset[str] | None:
        """Names of the workers that the caller allows, or ``None`` for all. May change in mid-call."""
        ...

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Feed the caller's media, stamped on ``clock``.

        Returns when the media are over but the caller still listens (a file), so that a last reply may be
        given. Raises :class:`Hangup` when the caller is gone.
        """
        ...

    async def send(self, action: Action) -> None:
        """Carry out an action. ``PlayAudio`` waits while more than 200 ms is still unplayed."""
        ...

    def played(self, reply: int) -> Nanos:
        """How much sound of ``reply`` has left towards the person's ears so far."""
        ...

    def first_out(self, reply: int) -> Nanos | None:
        """When, on the call's clock, the first sound of ``reply`` left; ``None`` before that."""
        ...

    def tell(self, event: Event) -> None:
        """Show the caller an event of the call (percept, decision, turn, metric). Never blocks."""
        ...

    async def close(self) -> None:
        """Free everything; may be called twice."""
        ...


Answer = Callable[[Transport], Awaitable[None]]
"""Runs one call to its end. Returns, never raises for what one caller did."""


class Door(Protocol):
    """Where callers come in."""

    async def open(self, answer: Answer) -> None:
        """Let callers in until cancelled (or, for a file, until it has been played)."""
        ...
