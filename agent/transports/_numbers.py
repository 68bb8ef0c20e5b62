"""Numbers about a call's connection, told every few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.journal import Metric
from agent.transports._intake import Intake
from agent.transports._link import Connection
from agent.transports._messages import Messages
from agent.transports._outbox import Outbox
from perception.timebase import SECOND, Nanos

_EVERY: Final[Nanos] = 5 * SECOND


class Numbers:
    """Of one call.

    Args:
        intake: what comes in.
        outbox: messages that go out.
        messages: of the client.
        now: the time, on the clock that is asked later.
    """

    def __init__(self, intake: Intake, outbox: Outbox, messages: Messages, now: Nanos) -> None:
        self._intake = intake
        self._outbox = outbox
        self._messages = messages
        self._told_at = now

    def step(self, now: Nanos, connection: Connection | None) -> Iterator[Metric]:
        """Yield what there is to tell since the last time, if it is time again; called ten times a second."""
        if now - self._told_at < _EVERY:
            return
        self._told_at = now
        more = connection.counts() if connection is not None else {}
        more |= {"messages_dropped_count": self._outbox.dropped, "messages_refused_count": self._messages.refused}
        yield from self._intake.measure(more)
