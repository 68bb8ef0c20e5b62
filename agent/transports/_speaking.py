"""The agent's voice as its caller is told of it: when it starts, when it stops, and when a reply was first heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent import wire
from perception.timebase import MS, Nanos

_PAUSE: Final[Nanos] = 350 * MS
"""Silence between two clauses that is still one stretch of speech."""

_REMEMBERED: Final = 256


class Speaking:
    """Of one call.

    Args:
        post: sends a message to the client.

    Attributes:
        reply: number of the reply that was heard last.
    """

    def __init__(self, post: Callable[[wire.Outbound], None]) -> None:
        self.reply = 0
        self._post = post
        self._firsts: dict[int, Nanos] = {}
        self._speaking = False
        self._sound_at: Nanos = 0

    def first_out(self, reply: int) -> Nanos | None:
        """When the first sound of ``reply`` was sent off, on the call's clock."""
        return self._firsts.get(reply)

    def left(self, reply: int, at: Nanos, now: Nanos) -> None:
        """The first sound of a reply leaves.

        Args:
            reply: its number.
            at: when, on the call's clock.
            now: the same in real time.
        """
        self.reply = reply
        self._firsts[reply] = at
        while len(self._firsts) > _REMEMBERED:
            del self._firsts[next(iter(self._firsts))]
        self._sound_at = now
        self._tell(speaking=True)

    def follow(self, now: Nanos, *, idle: bool) -> None:
        """Notice that the voice has stopped by itself; called ten times a second."""
        if not idle:
            self._sound_at = now
        elif now - self._sound_at > _PAUSE:
            self.quiet()

    def quiet(self) -> None:
        """The voice has stopped."""
        if self._speaking:
            self._tell(speaking=False)

    def cut(self, reply: int) -> None:
        """The voice was stopped: what a client has not played of ``reply`` is not to be played any more."""
        if self._speaking and reply == self.reply:
            self._tell(speaking=False, cut=True)
        elif reply in self._firsts:
            self._post(wire.ours("voice", state="stopped", reply=reply, cut=True))

    def _tell(self, *, speaking: bool, cut: bool = False) -> None:
        state = "started" if speaking else "stopped"
        self._post(wire.ours("voice", state=state, reply=self.reply, **({"cut": True} if cut else {})))
        if speaking != self._speaking:
            self._post(wire.Outbound(type=f"bot-{state}-speaking"))
        self._speaking = speaking
