"""Events of a Realtime client to messages of ours, and back. Sans-IO: knows no socket and no clock."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.nesting import deeper
from agent.realtime.events import Emit, Events
from agent.realtime.heard import Heard
from agent.realtime.replies import Replies
from agent.realtime.session import Session
from agent.wire import Outbound

MOST_BYTES: Final = 512 * 1024
"""Of one event: eight seconds of sound at 24 kHz."""

_DEPTH: Final = 16
_LONGEST_NAME: Final = 128
_LONGEST_TEXT: Final = 4000

_UNSUPPORTED: Final[Mapping[str, str]] = {
    "conversation.item.delete": "what was said stays said",
    "conversation.item.retrieve": "items are not kept; every one was sent when it was new",
    "conversation.item.truncate": "sound leaves as fast as it is spoken, so the server knows what was heard",
    "output_audio_buffer.clear": "there is no such buffer; response.cancel stops the voice at once",
    "transcription_session.update": "sessions are of the type 'realtime'",
}


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound of the client.

    Attributes:
        pcm: 16 bit, mono, little-endian.
        rate_hz: samples per second.
    """

    pcm: bytes
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget the sound that waits."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of ours, in the order of the sound: a ``mark`` waits until what was sent before has been heard.

    Attributes:
        text: as it goes over the wire.
        mark: whether it waits.
    """

    text: str
    mark: bool = False


Command = Sound | Clear | Message


class Dialect:
    """One session.

    Args:
        emit: sends an event to the client; never blocks.
        session: its settings.
        everything: whether what the agent perceives and decides is told, too, as ``rapport.event``.
        media: whether sound travels beside the events, as media of WebRTC.
    """

    def __init__(self, emit: Emit, session: Session, *, everything: bool = False, media: bool = False) -> None:
        self._media = media
        self._session = session
        self._everything = everything
        self._events = Events(emit, session.id)
        self._replies = Replies(self._events, session)
        self._heard = Heard(self._events)
        self._held = False

    def begin(self) -> None:
        """Greet the client."""
        self._events.tell("session.created", session=self._session.shown())

    # From the client.

    def read(self, text: str | bytes) -> list[Command]:
        """Return what an event of the client asks for; whatever is not done it is told."""
        event = self._parse(text)
        if event is None:
            return []
        cause = event.get("event_id")
        cause = cause[:_LONGEST_NAME] if isinstance(cause, str) else None
        match event.get("type"):
            case "session.update":
                return self._update(event.get("session"), cause)
            case str() as known if self._media and known.startswith("input_audio_buffer."):
                told = f"{known} is not supported over WebRTC: the microphone's track is heard as it comes"
                self._refuse("unsupported_event", told, "type", cause)
            case "input_audio_buffer.append":
                return self._append(event.get("audio"), cause)
            case "input_audio_buffer.commit":
                return self._commit(cause)
            case "input_audio_buffer.clear":
                self._events.tell("input_audio_buffer.cleared")
                return [Clear()]
            case "conversation.item.create":
                return self._create(event.get("item"), cause)
            case "response.create":
                self._respond(event.get("response"), cause)
                return []
            case "response.cancel":
                return self._cancel(cause)
            case str() as known if known in _UNSUPPORTED:
                self._refuse("unsupported_event", f"{known} is not supported: {_UNSUPPORTED[known]}", "type", cause)
            case str() as strange:
                self._refuse("unknown_event", f"an event of the type {strange[:64]!r} is not known", "type", cause)
            case _:
                self._refuse("missing_type", "an event is a JSON object with a type", "type", cause)
        return []

    def overflowed(self, most_s: float) -> None:
        """Say that sound was not taken because too much of it waits."""
        message = f"more than {most_s:g} s of sound wait to be heard, which takes as long as it lasts; send it later"
        self._events.error("input_audio_buffer_full", message, param="audio")

    def _parse(self, text: str | bytes) -> dict[str, Any] | None:
        if isinstance(text, bytes):
            self._events.error("binary_message", "events are text; sound travels in input_audio_buffer.append")
            return None
        if len(text) > MOST_BYTES:
            self._events.error("event_too_large", f"an event has at most {MOST_BYTES} bytes, not {len(text)}")
            return None
        try:
            event = json.loads(text) if not deeper(text, _DEPTH) else None
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            self._events.error("invalid_json", f"an event is a JSON object, nested {_DEPTH} deep at most")
            return None
        return event

    def _update(self, wished: Any, cause: str | None) -> list[Command]:
        if not isinstance(wished, dict):
            self._refuse("invalid_type", "session is an object", "session", cause)
            return []
        before = self._session.turns
        commands = self._allow(wished["rapport"], cause) if "rapport" in wished else []
        for refused in self._session.update({key: value for key, value in wished.items() if key != "rapport"}):
            self._refuse("unsupported_parameter", refused.message, refused.param, cause)
        if not commands or len(wished) > 1:  # what is allowed is told once the server has done it
            self._events.tell("session.updated", session=self._session.shown())
        if before != self._session.turns:
            self._held = False
            commands.append(_push_to_talk(enabled=not self._session.turns, held=False))
        return commands

    def _allow(self, wished: Any, cause: str | None) -> list[Command]:
        """Take back what the agent perceives, or allow it again; asked for before any sound that still waits."""
        asked = wished if isinstance(wished, dict) else {}
        senses, recording = asked.get("senses"), asked.get("recording")
        named = senses is None or (isinstance(senses, list) and all(isinstance(name, str) for name in senses))
        known = bool(asked) and asked.keys() <= {"senses", "recording"}
        if not known or not named or not isinstance(recording, bool | None):
            told = 'session.rapport is {"senses": [names], "recording": true or false}, either may be left out'
            self._refuse("invalid_type", told, "session.rapport", cause)
            return []
        return [_message("client-message", {"t": "senses", "d": asked}, cause or "")]

    def _append(self, audio: Any, cause: str | None) -> list[Command]:
        try:
            pcm = base64.b64decode(audio, validate=True) if isinstance(audio, str) else None
        except (binascii.Error, ValueError):
            pcm = None
        if pcm is None or len(pcm) % 2:
            self._refuse("invalid_audio", "audio is 16-bit PCM in base64, a whole number of samples", "audio", cause)
            return []
        sound = Sound(pcm, self._session.input_hz)
        if self._session.turns or self._held or not pcm:
            return [sound]
        self._held = True
        self._heard.begin()
        return [_push_to_talk(enabled=True, held=True), sound]

    def _commit(self, cause: str | None) -> list[Command]:
        if self._session.turns:
            told = "the agent notices by itself when a turn is over; to commit, set audio.input.turn_detection to null"
            self._refuse("turn_detection_is_on", told, None, cause)
            return []
        if not self._held:
            self._refuse("input_audio_buffer_commit_empty", "no sound was appended since the last commit", None, cause)
            return []
        self._held = False
        self._heard.commit()
        return [_push_to_talk(enabled=True, held=False)]

    def _create(self, item: Any, cause: str | None) -> list[Command]:
        role = item.get("role") if isinstance(item, dict) else None
        if not isinstance(item, dict) or item.get("type") != "message" or role != "user":
            told = "items that a client makes are messages of the role 'user' with input_text"
            self._refuse("unsupported_item", told, "item", cause)
            return []
        content = item.get("content")
        parts = content if isinstance(content, list) else []
        texts = [p.get("text") for p in parts if isinstance(p, dict) and p.get("type") == "input_text"]
        words = [text for text in texts if isinstance(text, str)]
        text = "\n".join(words).strip()
        if len(words) != len(parts) or not 0 < len(text) <= _LONGEST_TEXT:
            told = (
                f"the content is input_text of 1 to {_LONGEST_TEXT} characters; sound goes to input_audio_buffer.append"
            )
            self._refuse("unsupported_content", told, "item.content", cause)
            return []
        name = item.get("id")
        self._heard.typed(text, name[:_LONGEST_NAME] if isinstance(name, str) and name else None)
        return [_message("send-text", {"content": text}, "")]

    def _respond(self, wished: Any, cause: str | None) -> None:
        """The agent answers by itself; so there is nothing to do, or nothing that could be done."""
        asked = sorted(key for key, value in wished.items() if value is not None) if isinstance(wished, dict) else []
        if asked:
            told = f"response.{asked[0][:64]} is not supported: the agent's own policy decides what is said"
            self._refuse("unsupported_parameter", told, f"response.{asked[0][:64]}", cause)
        elif not self._heard.unanswered:
            told = "nothing was said or typed that is unanswered; the agent decides by itself when it speaks"
            self._refuse("nothing_to_answer", told, None, cause)

    def _cancel(self, cause: str | None) -> list[Command]:
        if self._replies.running is None:
            self._refuse("response_cancel_not_active", "there is no response that could be cancelled", None, cause)
            return []
        self._replies.end("client_cancelled")
        return [_message("client-message", {"t": "stop", "d": {}}, cause or "")]

    def _refuse(self, code: str, message: str, param: str | None, cause: str | None) -> None:
        self._events.error(code, message, param=param, cause=cause)

    # To the client.

    def told(self, text: str) -> None:
        """Turn a message of ours into events."""
        message = json.loads(text)
        data = message.get("data") or {}
        match message["type"]:
            case "server-message":
                self._told(data)
            case "server-response" if data.get("t") == "senses":
                self._session.senses, self._session.recording = data["d"]["senses"], data["d"]["recording"]
                self._events.tell("session.updated", session=self._session.shown())
            case "error":
                self._events.error("fatal", str(data.get("message", "")))
            case "error-response":
                self._events.error("not_done", str(data.get("error", "")), cause=message.get("id") or None)
            case _:
                pass  # what is said twice, or only to those who speak our protocol

    def sounded(self, reply: int, pcm: bytes | memoryview) -> None:
        """Turn sound of the agent into events."""
        self._replies.sound(reply, pcm)

    def _told(self, data: Mapping[str, Any]) -> None:
        match data["t"]:
            case "caption" if data["speaker"] == "user":
                if data["final"]:
                    self._heard.words(data["text"])
                    self._heard.unanswered = True
            case "caption":
                self._heard.unanswered = False
                self._replies.words(data["reply"], data["text"], final=data["final"], cut=data["cut"])
            case "percept" if data["kind"] == "speech_started":
                self._heard.started(data["start"])
            case "percept" if data["kind"] == "speech_ended":
                self._heard.stopped(data["end"])
            case "state":
                self._session.senses = data["senses"]
            case "voice":
                self._voice(data["reply"], data["state"], cut=bool(data.get("cut")))
            case _:
                pass
        if self._everything or data["t"] == "resource" or data.get("event") in Outbound.TO_THE_PERSON:
            self._events.tell("rapport.event", event=dict(data))

    def _voice(self, reply: int, state: str, *, cut: bool) -> None:
        if state == "stopped":
            self._replies.quiet(reply)
        if self._media and state in ("started", "stopped"):
            self._replies.voice(reply, "cleared" if cut else state)


def _message(type: str, data: Mapping[str, Any], id: str, *, mark: bool = False) -> Message:
    return Message(json.dumps({"label": "rtvi-ai", "type": type, "id": id, "data": data}), mark)


def _push_to_talk(*, enabled: bool, held: bool) -> Message:
    return _message("client-message", {"t": "push-to-talk", "d": {"enabled": enabled, "held": held}}, "", mark=True)
