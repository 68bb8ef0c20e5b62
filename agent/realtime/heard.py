"""What the person says, as items of the conversation."""

from __future__ import annotations

from collections import deque
from typing import Final

from agent.realtime.events import Events, message

_TYPED: Final = 16
"""Typed words that wait to be taken up."""


class Heard:
    """The person's turns of one session.

    Args:
        events: to the client.

    Attributes:
        unanswered: whether something was said since the last reply.
    """

    def __init__(self, events: Events) -> None:
        self.unanswered = False
        self._events = events
        self._item: str | None = None
        self._committed = False
        self._typed: deque[str] = deque(maxlen=_TYPED)
        self._began_s = self._ended_s = 0.0

    def begin(self) -> None:
        """The client begins to send one turn, to be committed by itself."""
        if self._committed:  # the one before had no words
            self._item, self._committed = None, False

    def started(self, at_s: float) -> None:
        """A voice begins."""
        self._began_s = self._ended_s = at_s
        self._events.tell("input_audio_buffer.speech_started", audio_start_ms=_ms(at_s), item_id=self._name())

    def stopped(self, at_s: float) -> None:
        """A voice pauses; whether the turn is over with it, the words will tell."""
        self._ended_s = at_s
        self._events.tell("input_audio_buffer.speech_stopped", audio_end_ms=_ms(at_s), item_id=self._name())

    def commit(self) -> None:
        """The sound so far is one turn."""
        if self._committed:
            return
        self._committed = self.unanswered = True
        name = self._name()
        previous = self._events.last_item
        self._events.tell("input_audio_buffer.committed", item_id=name, previous_item_id=previous)
        item = message(name, "user", [{"type": "input_audio", "transcript": None}])
        self._events.item(item)
        self._events.item_done(item, previous)

    def words(self, text: str) -> None:
        """The turn is over, and these are its words."""
        if text in self._typed:
            self._typed.remove(text)
            return
        self.commit()
        usage = {"type": "duration", "seconds": round(self._ended_s - self._began_s, 3)}
        kind = "conversation.item.input_audio_transcription.completed"
        self._events.tell(kind, item_id=self._name(), content_index=0, transcript=text, usage=usage)
        self._item, self._committed = None, False

    def typed(self, text: str, name: str | None) -> None:
        """Words were typed."""
        self._typed.append(text)
        self.unanswered = True
        previous = self._events.last_item
        item = message(name or self._events.name("item"), "user", [{"type": "input_text", "text": text}])
        self._events.item(item)
        self._events.item_done(item, previous)

    def _name(self) -> str:
        self._item = self._item or self._events.name("item")
        return self._item


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
