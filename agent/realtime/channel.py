"""A data channel that speaks Realtime; sound travels beside it. Fits :class:`agent.transports._translated.Tongue`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from agent.realtime.dialect import Dialect, Message
from agent.realtime.session import Session


class RealtimeTongue:
    """One client.

    Args:
        session: its settings.
        everything: whether it is told what the agent perceives and decides.
    """

    def __init__(self, session: Session, *, everything: bool) -> None:
        session.commits = False
        self._send: Callable[[str], None] = lambda text: None
        self._dialect = Dialect(self._emit, session, everything=everything, media=True)

    def begin(self, send: Callable[[str], None]) -> None:
        """The channel is open."""
        self._send = send
        self._dialect.begin()

    def read(self, message: str | bytes) -> list[str]:
        """Return what an event asks for, as messages of ours."""
        return [command.text for command in self._dialect.read(message) if isinstance(command, Message)]

    def told(self, text: str) -> None:
        """Turn a message of ours into events."""
        self._dialect.told(text)

    def _emit(self, event: dict[str, Any]) -> None:
        self._send(json.dumps(event))
