"""Whether a caller is still there: live, degraded, lost, closed; and whether their line may go to somebody else.

A sign of life is a packet, a picture or a message. Without one a link is degraded, then lost, and in the end closed.
A connection that the other side has closed is lost at once; the call waits for another one. While the house has room
a caller is waited for as long as the limits say. Where somebody else asks for the last line, whoever said goodbye has
no more claim to it, a closed connection has one for as long as a link takes to count as degraded (a page that goes on
elsewhere is back by then), and a silent one until it is lost.
"""

from __future__ import annotations

from typing import Final, Literal

from agent.transports._limits import CallLimits
from perception.timebase import SECOND, Nanos

LinkState = Literal["live", "degraded", "lost", "closed"]

_STALL: Final[Nanos] = SECOND
"""Between two looks; what goes beyond is this machine's own sleep, and no silence of the caller."""


class Liveness:
    """What is known of one caller's being there.

    Args:
        limits: how long each state lasts.
        now: when the caller first asked; all times are on that clock.

    Attributes:
        seen_at: of the last sign of life.
        state: of the link, as of the last :meth:`look`.
    """

    def __init__(self, limits: CallLimits, now: Nanos) -> None:
        self.seen_at = now
        self.state: LinkState = "live"
        self._limits = limits
        self._cut_at: Nanos | None = None
        self._said_bye = False
        self._looked_at: Nanos | None = None

    def sign(self, now: Nanos) -> None:
        """Something came."""
        self.seen_at = now

    def attached(self, now: Nanos) -> None:
        """There is a new connection, or it stands."""
        self.seen_at, self._cut_at, self._said_bye = now, None, False

    def cut(self, now: Nanos) -> None:
        """The other side has closed the connection, or it has failed."""
        if self._cut_at is None:
            self._cut_at = now

    def step_out(self, now: Nanos) -> None:
        """The caller said goodbye, and may yet come back."""
        self.cut(now)
        self._said_bye = True

    def silent(self, now: Nanos) -> Nanos:
        """Return how long nothing has come."""
        return now - self.seen_at

    def gone(self, now: Nanos) -> str:
        """Return why the caller counts as gone, or nothing."""
        if self._cut_at is not None:
            return "connection closed" if now - self._cut_at > self._limits.return_within else ""
        return "no sign of life" if self.silent(now) > self._limits.dead_after else ""

    def look(self, now: Nanos) -> LinkState | None:
        """Follow the link, several times a second; return its state if that has changed."""
        stalled = now - self._looked_at - _STALL if self._looked_at is not None else 0
        self._looked_at = now
        if stalled > 0:
            self.seen_at = min(now, self.seen_at + stalled)
            self._cut_at = min(now, self._cut_at + stalled) if self._cut_at is not None else None
        silent, limits = self.silent(now), self._limits
        state: LinkState = "live"
        if self.gone(now):
            state = "closed"
        elif self._cut_at is not None or silent > limits.lost_after:
            state = "lost"
        elif silent > limits.degraded_after:
            state = "degraded"
        if state == self.state:
            return None
        self.state = state
        return state

    def yields_at(self) -> Nanos:
        """Return from when on the line goes to whoever asks for it, if nothing more comes."""
        if self._cut_at is None:
            return self.seen_at + self._limits.lost_after
        return self._cut_at if self._said_bye else self._cut_at + self._limits.degraded_after
