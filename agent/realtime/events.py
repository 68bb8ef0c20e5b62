"""Events on their way to the client: numbered, and in the shape that OpenAI's libraries check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Emit = Callable[[dict[str, Any]], None]
"""Sends one event; never blocks."""


class Events:
    """Makes the events of one session.

    Args:
        emit: sends them.
        session: name of the session, part of every other name in it.
    """

    def __init__(self, emit: Emit, session: str) -> None:
        self._emit = emit
        self._session = session
        self._count = 0
        self.last_item: str | None = None

    def name(self, kind: str) -> str:
        """Return a new name, as ``item_…_7``."""
        self._count += 1
        return f"{kind}_{self._session}_{self._count}"

    def tell(self, type: str, **fields: Any) -> None:
        """Send an event."""
        self._emit({"type": type, "event_id": self.name("event"), **fields})

    def error(self, code: str, message: str, *, param: str | None = None, cause: str | None = None) -> None:
        """Say that something was not done.

        Args:
            code: why, for programs.
            message: why, for people, and what to do instead.
            param: field of the event that it is about.
            cause: ``event_id`` of the client's event.
        """
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": param, "event_id": cause}
        self.tell("error", error=error)

    def item(self, item: dict[str, Any]) -> None:
        """Say that there is a new item in the conversation."""
        self.tell("conversation.item.added", previous_item_id=self.last_item, item=item)
        self.last_item = str(item["id"])

    def item_done(self, item: dict[str, Any], previous: str | None) -> None:
        """Say that an item is complete."""
        self.tell("conversation.item.done", previous_item_id=previous, item=item)


def message(id: str, role: str, content: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    """Return a message as an item of the conversation."""
    return {"id": id, "object": "realtime.item", "type": "message", "status": status, "role": role, "content": content}
