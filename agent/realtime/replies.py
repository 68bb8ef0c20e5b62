"""What the agent says, as responses: opened by the first words or the first sound, closed when all was heard."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final

from agent.realtime.events import Events, message
from agent.realtime.session import OUTPUT_HZ, Session

_REMEMBERED: Final = 16
"""Replies that are over, and of which late words and sounds are not told any more."""


@dataclass(slots=True)
class _Open:
    reply: int
    id: str
    item: str
    previous: str | None
    text: str = ""
    sound_bytes: int = field(default=0)


class Replies:
    """The responses of one session.

    Args:
        events: to the client.
        session: its settings.
    """

    def __init__(self, events: Events, session: Session) -> None:
        self._events = events
        self._session = session
        self._open: _Open | None = None
        self._over: dict[int, str] = {}

    @property
    def running(self) -> str | None:
        """Name of the response that is being said."""
        return self._open.id if self._open is not None else None

    def words(self, reply: int, text: str, *, final: bool, cut: bool) -> None:
        """Take in a caption: all words of a reply so far, or the words that were heard of it."""
        found = self._begin(reply)
        if found is None:
            return
        if not cut and text.startswith(found.text):
            delta, found.text = text[len(found.text) :], text
            if delta:
                self._tell(found, "response.output_audio_transcript.delta", delta=delta)
        elif cut:
            found.text = text
        if final:
            self.end("turn_detected" if cut else None)

    def sound(self, reply: int, pcm: bytes | memoryview) -> None:
        """Take in sound of a reply: 16 bit, mono."""
        found = self._begin(reply)
        if found is not None:
            found.sound_bytes += len(pcm)
            self._tell(found, "response.output_audio.delta", delta=base64.b64encode(pcm).decode("ascii"))

    def quiet(self, reply: int) -> None:
        """The voice has stopped by itself; a reply without words, a sound of listening, is over with it."""
        found = self._open
        if found is not None and found.reply == reply and not found.text:
            self.end(None)

    def voice(self, reply: int, state: str) -> None:
        """Tell of a voice that goes out otherwise than by events: ``started``, ``stopped`` or ``cleared``."""
        found = self._begin(reply) if state == "started" else self._open
        name = found.id if found is not None and found.reply == reply else self._over.get(reply)
        if name is not None:
            self._events.tell(f"output_audio_buffer.{state}", response_id=name)

    def end(self, cancelled: str | None) -> None:
        """Close the response that is open.

        Args:
            cancelled: why it was not said to its end, ``turn_detected`` or ``client_cancelled``; ``None`` if it was.
        """
        found, self._open = self._open, None
        if found is None:
            return
        if found.reply:
            self._over[found.reply] = found.id
            while len(self._over) > _REMEMBERED:
                del self._over[next(iter(self._over))]
        item = self._item(found, "incomplete" if cancelled else "completed")
        part = {"type": "audio", "transcript": found.text}
        self._tell(found, "response.output_audio.done")
        self._tell(found, "response.output_audio_transcript.done", transcript=found.text)
        self._tell(found, "response.content_part.done", part=part)
        self._events.tell("response.output_item.done", response_id=found.id, output_index=0, item=item)
        self._events.item_done(item, found.previous)
        details = {"type": "cancelled", "reason": cancelled} if cancelled else None
        status = "cancelled" if cancelled else "completed"
        self._events.tell("response.done", response=self._response(found, status, details, [item]))

    def _begin(self, reply: int) -> _Open | None:
        """Return the response of a reply, opened if need be; ``None`` if it is over."""
        if self._open is not None and self._open.reply == reply:
            return self._open
        if reply in self._over:
            return None
        self.end("turn_detected")
        events = self._events
        found = self._open = _Open(reply, events.name("resp"), events.name("item"), events.last_item)
        item = self._item(found, "in_progress") | {"content": []}
        events.tell("response.created", response=self._response(found, "in_progress", None, []))
        events.tell("response.output_item.added", response_id=found.id, output_index=0, item=item)
        events.item(item)
        self._tell(found, "response.content_part.added", part={"type": "audio", "transcript": ""})
        return found

    def _tell(self, found: _Open, type: str, **fields: Any) -> None:
        where = {"response_id": found.id, "item_id": found.item, "output_index": 0, "content_index": 0}
        self._events.tell(type, **where, **fields)

    def _item(self, found: _Open, status: str) -> dict[str, Any]:
        return message(found.item, "assistant", [{"type": "output_audio", "transcript": found.text}], status)

    def _response(
        self, found: _Open, status: str, details: dict[str, Any] | None, output: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "id": found.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": output,
            "conversation_id": f"conv_{self._session.id}",
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": OUTPUT_HZ}, "voice": self._session.voice}},
            "usage": None,
            "metadata": None,
        }
