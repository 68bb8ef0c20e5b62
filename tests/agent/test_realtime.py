"""Events of Realtime clients, read and written without a server."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from agent.realtime.dialect import MOST_BYTES, Clear, Command, Dialect, Message, Sound
from agent.realtime.session import Session


class Client:
    """Says events and keeps what it is told."""

    def __init__(self, *, everything: bool = False) -> None:
        self.told: list[dict[str, Any]] = []
        self.session = Session("s", "rapport-scripted", voice="plain")
        self.dialect = Dialect(self.told.append, self.session, everything=everything)

    def say(self, type: str, **fields: Any) -> list[Command]:
        return self.dialect.read(json.dumps({"type": type, **fields}))

    def hear(self, **data: Any) -> None:
        self.dialect.told(json.dumps({"label": "rtvi-ai", "type": "server-message", "data": data}))

    def caption(self, speaker: str, text: str, *, final: bool = False, reply: int = 0, cut: bool = False) -> None:
        self.hear(t="caption", speaker=speaker, text=text, final=final, reply=reply, cut=cut)

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.told]

    @property
    def errors(self) -> list[tuple[str, str | None]]:
        return [(e["error"]["code"], e["error"]["param"]) for e in self.told if e["type"] == "error"]

    def last(self, type: str) -> dict[str, Any]:
        return next(event for event in reversed(self.told) if event["type"] == type)


def sound(samples: int = 2400) -> str:
    return base64.b64encode(bytes(2 * samples)).decode()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", "invalid_json"),
        ("[]", "invalid_json"),
        ("[" * 5000, "invalid_json"),
        ('{"type": 1}', "missing_type"),
        ("{}", "missing_type"),
        ('{"type": "sing"}', "unknown_event"),
        ('{"type": "conversation.item.delete", "item_id": "x"}', "unsupported_event"),
        ('{"type": "session.update", "session": 1}', "invalid_type"),
        ('{"type": "input_audio_buffer.append"}', "invalid_audio"),
        ('{"type": "input_audio_buffer.append", "audio": "%"}', "invalid_audio"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "invalid_audio"),
        ('{"type": "input_audio_buffer.commit"}', "turn_detection_is_on"),
        ('{"type": "response.cancel"}', "response_cancel_not_active"),
        ('{"type": "response.create"}', "nothing_to_answer"),
        ('{"type": "response.create", "response": {"tools": []}}', "unsupported_parameter"),
        ('{"type": "conversation.item.create"}', "unsupported_item"),
        ('{"type": "conversation.item.create", "item": {"type": "message", "role": "system"}}', "unsupported_item"),
        ('{"type": "conversation.item.create", "item": {"type": "message", "role": "user"}}', "unsupported_content"),
        ('{"type": "x", "pad": "' + "x" * MOST_BYTES + '"}', "event_too_large"),
    ],
)
def test_what_makes_no_sense_is_answered_by_name(text: str, code: str) -> None:
    client = Client()
    assert client.dialect.read(text) == []
    assert [found for found, _ in client.errors] == [code]
    assert client.told[0]["error"]["message"]


def test_binary_messages_are_answered_too() -> None:
    client = Client()
    assert client.dialect.read(b"\x00") == []
    assert client.errors == [("binary_message", None)]


def test_an_error_names_the_event_it_is_about() -> None:
    client = Client()
    client.say("sing", event_id="mine")
    assert client.told[0]["error"]["event_id"] == "mine"


@pytest.mark.parametrize(
    ("wished", "params"),
    [
        ({"type": "realtime", "output_modalities": ["audio"], "tools": [], "tool_choice": "auto", "include": None}, []),
        ({"type": "transcription"}, ["session.type"]),
        ({"model": "gpt-realtime"}, ["session.model"]),
        ({"output_modalities": ["text"]}, ["session.output_modalities"]),
        ({"instructions": "x", "temperature": 1}, ["session.instructions", "session.temperature"]),
        ({"voice": "alloy"}, ["session.voice"]),
        ({"audio": {"output": {"voice": "plain", "speed": 1.0}}}, []),
        (
            {"audio": {"output": {"voice": "alloy", "speed": 2}}},
            ["session.audio.output.voice", "session.audio.output.speed"],
        ),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}}, ["session.audio.output.format"]),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, ["session.audio.input.format"]),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": True}}}}, ["session.audio.input.format"]),
        ({"audio": {"input": {"transcription": {"model": "whisper-1", "language": "en"}}}}, []),
        ({"audio": {"input": {"transcription": {"language": "de"}}}}, ["session.audio.input.transcription.language"]),
        ({"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": True}}}}, []),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}}},
            ["session.audio.input.turn_detection.threshold"],
        ),
        ({"audio": {"input": {"turn_detection": {"type": "none"}}}}, ["session.audio.input.turn_detection.type"]),
        ({"audio": {"input": {"transcription": None}}}, ["session.audio.input.transcription"]),
        ({"audio": {"input": None}}, ["session.audio.input"]),
        ({"input_audio_transcription": None}, ["session.input_audio_transcription"]),
        ({"rapport": None}, ["session.rapport"]),
        ({"rapport": {"senses": "vad"}}, ["session.rapport"]),
        ({"rapport": {"senses": [], "sense": []}}, ["session.rapport"]),
        ({"audio": {"sideways": 1}}, ["session.audio.sideways"]),
        ({"x" * 99: 1}, ["session." + "x" * 64]),
    ],
)
def test_settings_are_taken_or_named(wished: dict[str, Any], params: list[str]) -> None:
    client = Client()
    assert client.say("session.update", session=wished) == []
    assert [param for _, param in client.errors] == params
    assert client.told[-1]["type"] == "session.updated"
    assert client.told[-1]["session"] == client.session.shown()


def test_the_rate_of_the_sound_is_the_clients_choice() -> None:
    client = Client()
    client.say("session.update", session={"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}})
    assert client.say("input_audio_buffer.append", audio=sound(160)) == [Sound(bytes(320), 16000)]
    assert client.last("session.updated")["session"]["audio"]["input"]["format"]["rate"] == 16000


def wishes(commands: list[Command]) -> list[Any]:
    return [json.loads(c.text)["data"]["d"] for c in commands if isinstance(c, Message)]


def test_a_client_that_commits_itself_holds_the_button() -> None:
    client = Client()
    off = client.say("session.update", session={"audio": {"input": {"turn_detection": None}}})
    assert wishes(off) == [{"enabled": True, "held": False}]
    client.say("input_audio_buffer.commit")
    assert client.errors == [("input_audio_buffer_commit_empty", None)]
    first = client.say("input_audio_buffer.append", audio=sound())
    assert wishes(first) == [{"enabled": True, "held": True}]
    assert isinstance(first[-1], Sound)
    assert len(client.say("input_audio_buffer.append", audio=sound())) == 1
    assert wishes(client.say("input_audio_buffer.commit")) == [{"enabled": True, "held": False}]
    item = client.last("input_audio_buffer.committed")["item_id"]
    client.caption("user", "Hello.", final=True)
    assert client.last("conversation.item.input_audio_transcription.completed")["item_id"] == item
    assert client.types.count("input_audio_buffer.committed") == 1
    client.say("response.create")
    assert len(client.errors) == 1
    client.say("input_audio_buffer.append", audio=sound())
    client.say("input_audio_buffer.commit")
    assert client.last("input_audio_buffer.committed")["item_id"] != item
    assert client.last("input_audio_buffer.committed")["previous_item_id"] == item
    on = client.say("session.update", session={"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    assert wishes(on) == [{"enabled": False, "held": False}]


def test_clear_forgets_what_waits() -> None:
    client = Client()
    assert client.say("input_audio_buffer.clear") == [Clear()]
    assert client.types == ["input_audio_buffer.cleared"]


def test_a_turn_of_the_person() -> None:
    client = Client()
    client.hear(t="percept", kind="speech_started", start=1.0, end=1.1)
    client.hear(t="percept", kind="speech_ended", start=1.0, end=2.5)
    client.caption("user", "I am", final=False)
    client.caption("user", "I am here.", final=True)
    assert client.types == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert client.told[0]["audio_start_ms"] == 1000
    assert client.told[1]["audio_end_ms"] == 2500
    assert client.told[-1]["usage"] == {"type": "duration", "seconds": 1.5}
    assert len({event["item_id"] for event in client.told if "item_id" in event}) == 1
    assert len({event["event_id"] for event in client.told}) == len(client.told)


def test_a_reply_said_to_its_end() -> None:
    client = Client()
    client.caption("agent", "Oh.", reply=3)
    client.dialect.sounded(3, b"\x01\x00")
    client.caption("agent", "Oh. Tell me.", reply=3)
    client.dialect.sounded(3, b"\x02\x00")
    client.caption("agent", "Oh. Tell me.", final=True, reply=3)
    assert client.types == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    deltas = [e["delta"] for e in client.told if e["type"] == "response.output_audio_transcript.delta"]
    assert "".join(deltas) == "Oh. Tell me." == client.last("response.output_audio_transcript.done")["transcript"]
    assert base64.b64decode(client.last("response.output_audio.delta")["delta"]) == b"\x02\x00"
    assert client.told[-1]["response"]["status"] == "completed"
    count = len(client.told)
    client.dialect.sounded(3, b"\x03\x00")
    client.hear(t="voice", state="stopped", reply=3)
    assert len(client.told) == count, "a reply that is over is told of no more"


def test_a_reply_that_is_cut_says_what_was_heard() -> None:
    client = Client()
    client.caption("agent", "Oh. Tell me more about it.", reply=1)
    client.hear(t="voice", state="stopped", reply=1, cut=True)
    client.caption("agent", "Oh. Tell", final=True, reply=1, cut=True)
    done = client.told[-1]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert done["output"][0]["content"][0]["transcript"] == "Oh. Tell"
    assert done["output"][0]["status"] == "incomplete"


def test_a_reply_of_which_nothing_was_heard_is_closed_by_the_next() -> None:
    client = Client()
    client.caption("agent", "Well", reply=1)
    client.caption("agent", "Now", reply=2)
    done = client.last("response.done")["response"]
    assert done["status"] == "cancelled"
    assert client.types.count("response.created") == 2


def test_a_sound_of_listening_is_a_response_without_words() -> None:
    client = Client()
    client.dialect.sounded(1, b"\x01\x00")
    client.hear(t="voice", state="stopped", reply=1)
    assert client.told[-1]["response"]["status"] == "completed"
    assert client.told[-1]["response"]["output"][0]["content"][0]["transcript"] == ""


def test_a_cancelled_response_is_over_at_once() -> None:
    client = Client()
    client.caption("agent", "Well, you know", reply=1)
    (stop,) = client.say("response.cancel", event_id="mine")
    assert isinstance(stop, Message)
    assert json.loads(stop.text)["data"]["t"] == "stop"
    assert client.told[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    client.dialect.sounded(1, b"\x00\x00")
    client.caption("agent", "Well", final=True, reply=1, cut=True)
    assert client.told[-1]["type"] == "response.done"
    assert client.types.count("response.done") == 1


def test_typed_words_are_an_item_and_no_second_one_when_they_are_taken_up() -> None:
    client = Client()
    content = [{"type": "input_text", "text": "Hi."}]
    item = {"id": "mine", "type": "message", "role": "user", "content": content}
    (sent,) = client.say("conversation.item.create", item=item)
    assert isinstance(sent, Message)
    assert json.loads(sent.text)["type"] == "send-text"
    assert client.last("conversation.item.done")["item"]["id"] == "mine"
    count = len(client.told)
    client.caption("user", "Hi.", final=True)
    assert len(client.told) == count
    client.say("response.create")
    assert client.errors == []


def test_who_can_help_is_always_told_and_the_rest_on_request() -> None:
    plain, curious = Client(), Client(everything=True)
    for client in (plain, curious):
        client.hear(t="display", emotion="warm", gesture="nod", intensity=0.5, reply=1)
        client.hear(t="resource", kind="self_harm", country="x", contacts=[], reviewed="2026-01-01", reply=1)
    assert [e["event"]["t"] for e in plain.told] == ["resource"]
    assert [e["event"]["t"] for e in curious.told] == ["display", "resource"]


def test_what_our_side_refuses_is_an_error() -> None:
    client = Client()
    client.dialect.told(json.dumps({"label": "rtvi-ai", "type": "error-response", "id": "a", "data": {"error": "No."}}))
    client.dialect.told(json.dumps({"label": "rtvi-ai", "type": "error", "data": {"message": "Gone.", "fatal": True}}))
    assert [(e["error"]["message"], e["error"]["event_id"]) for e in client.told] == [("No.", "a"), ("Gone.", None)]


def test_consent_is_taken_back_in_mid_call() -> None:
    client = Client()
    client.dialect.begin()
    assert client.last("session.created")["session"]["rapport"] == {"senses": None, "recording": True}
    commands = client.say("session.update", session={"rapport": {"senses": [], "recording": False}}, event_id="mine")
    assert wishes(commands) == [{"senses": [], "recording": False}]
    assert not any(c.mark for c in commands if isinstance(c, Message)), "it waits for no sound"
    assert "session.updated" not in client.types, "nothing is told as done before it is"
    done = {"t": "senses", "d": {"senses": [], "recording": False}}
    client.dialect.told(json.dumps({"label": "rtvi-ai", "type": "server-response", "id": "mine", "data": done}))
    assert client.last("session.updated")["session"]["rapport"] == {"senses": [], "recording": False}
    client.hear(t="state", senses=["vad"], consent=True)
    assert client.session.shown()["rapport"]["senses"] == ["vad"]


def test_one_part_of_consent_is_taken_back_alone() -> None:
    client = Client()
    assert wishes(client.say("session.update", session={"rapport": {"recording": False}})) == [{"recording": False}]
    both = {"rapport": {"senses": ["vad"]}, "audio": {"input": {"turn_detection": None}}}
    assert len(client.say("session.update", session=both)) == 2
    assert client.types == ["session.updated"]
