"""The words of the data channel."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import wire
from agent.action import Caption, Display, Resource
from agent.journal import Decided, Event, Metric, Note, Pondered
from perception.context import Turn
from perception.percept import Percept
from perception.timebase import SECOND
from policy.decision import Speak, Thought, Wait
from policy.safety import helplines


def rtvi(type: str, data: Any = None, **more: Any) -> str:
    return json.dumps({"label": "rtvi-ai", "type": type, "id": "abcd1234", "data": data, **more})


def ask(t: str, d: Any = None) -> str:
    return rtvi("client-message", {"t": t, "d": d})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ping: 1763900000000", wire.Ping()),
        ("ping", wire.Ping()),
        (
            rtvi("client-ready", {"version": "2.1.0", "about": {"library": "x"}}),
            wire.ClientReady(id="abcd1234", version="2.1.0"),
        ),
        (rtvi("client-ready"), wire.ClientReady(id="abcd1234", version="2.1.0")),
        (rtvi("disconnect-bot", {}), wire.Disconnect()),
        (rtvi("send-text", {"content": "hello", "options": {"run_immediately": True}}), wire.SendText(content="hello")),
        (
            json.dumps(
                {
                    "type": "signalling",
                    "message": {"type": "trackStatus", "receiver_index": 1, "enabled": False},
                }
            ),
            wire.TrackStatus(receiver_index=1, enabled=False),
        ),
        (
            ask("consent", {"senses": ["vad", "face"], "version": 2}),
            wire.Consent(id="abcd1234", senses=frozenset({"vad", "face"}), version=2),
        ),
        (
            ask("consent", {"senses": [], "version": "2026-11", "locale": "de-AT", "recording": True}),
            wire.Consent(id="abcd1234", senses=frozenset(), version="2026-11", locale="de-AT", recording=True),
        ),
        (ask("senses", {"senses": []}), wire.Senses(id="abcd1234", senses=frozenset())),
        (
            ask("senses", {"senses": [], "recording": False}),
            wire.Senses(id="abcd1234", senses=frozenset(), recording=False),
        ),
        (ask("push-to-talk", {"held": True}), wire.PushToTalk(id="abcd1234", enabled=True, held=True)),
        (ask("stop"), wire.Stop(id="abcd1234")),
        (ask("ping", {"anything": 1}), wire.Echo(id="abcd1234")),
    ],
)
def test_understands(raw: str, expected: wire.Inbound) -> None:
    assert wire.parse(raw) == expected
    assert wire.parse(raw.encode()) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[1]", "object"),
        ("null", "object"),
        (b"\xff\xfe", "UTF-8"),
        ("[" * 17 + "]" * 17, "deeper"),
        ("[" * 8000, "deeper"),
        (json.dumps({"type": "client-ready"}), "label"),
        (json.dumps({"label": "rtvi-ai"}), "type"),
        (rtvi("append-to-context"), "Unsupported"),
        (rtvi("client-message", {"t": "dance"}), "unknown client-message"),
        (rtvi("client-message"), "unknown client-message"),
        (ask("consent", {"senses": "vad", "version": 1}), "senses"),
        (ask("consent", {"senses": ["vad"]}), "version"),
        (ask("consent", {"senses": ["x" * 65], "version": 1}), "senses"),
        (ask("senses", {"senses": [f"s{i}" for i in range(65)]}), "senses"),
        (ask("push-to-talk", {"held": "perhaps"}), "held"),
        (rtvi("send-text", {"content": ""}), "content"),
        (rtvi("send-text", {"content": "x" * 4001}), "content"),
        (rtvi("send-text", {"content": 5}), "content"),
        (json.dumps({"type": "signalling", "message": {"type": "renegotiate"}}), "signalling"),
        (json.dumps({"type": "signalling", "message": {"type": "trackStatus", "receiver_index": 9}}), "receiver_index"),
        (rtvi("send-text", {"content": "x" * wire.MAX_BYTES}), "bytes"),
        ("ä" * (wire.MAX_BYTES // 2 + 1), "bytes"),
    ],
)
def test_refuses_with_a_reason(raw: str | bytes, reason: str) -> None:
    with pytest.raises(wire.WireError, match=reason):
        wire.parse(raw)


def test_the_refusal_carries_the_id() -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.parse(ask("dance"))
    assert caught.value.id == "abcd1234"
    assert wire.error_response("abcd1234", "why").text() == (
        '{"label":"rtvi-ai","type":"error-response","id":"abcd1234","data":{"error":"why"}}'
    )


def test_brackets_inside_words_are_no_depth() -> None:
    assert wire.parse(rtvi("send-text", {"content": '[{"' * 500})) == wire.SendText(content='[{"' * 500)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.slow
@given(
    st.text()
    | st.binary()
    | st.builds(
        lambda label, type, id, data: json.dumps({"label": label, "type": type, "id": id, "data": data}),
        st.just("rtvi-ai") | _json,
        st.sampled_from(["client-ready", "client-message", "send-text", "signalling"]) | _json,
        _json,
        st.fixed_dictionaries({"t": st.sampled_from(["consent", "push-to-talk"]) | _json, "d": _json}) | _json,
    )
)
def test_anything_is_understood_or_refused(raw: str | bytes) -> None:
    try:
        found: wire.Inbound | str = wire.parse(raw)
    except wire.WireError as error:
        found = str(error)
    assert isinstance(found, wire.Inbound) or 0 < len(found) < 500


def test_bot_ready_has_the_same_id_and_the_right_version() -> None:
    [ready] = wire.bot_ready(wire.ClientReady(id="x", version="2.0.1"), {"policy": "compact"})
    assert json.loads(ready.text()) == {
        "label": "rtvi-ai",
        "type": "bot-ready",
        "id": "x",
        "data": {"version": "2.1.0", "about": {"policy": "compact"}},
    }
    [old] = wire.bot_ready(wire.ClientReady(id="x", version="1.2.0"), {})
    assert old.data is not None
    assert old.data["version"] == "1.2.0"
    warning, ready = wire.bot_ready(wire.ClientReady(id="x", version="nonsense"), {})
    assert (warning.type, ready.type) == ("error-response", "bot-ready")


SAD = Percept("expression", "sad", 0, SECOND, 0.8, "face", {"sad": 0.8})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (SAD, {"t": "percept", "kind": "expression", "label": "sad", "confidence": 0.8, "worker": "face"}),
        (Turn("user", "hi", 0, SECOND), {"t": "turn", "speaker": "user", "text": "hi", "start": 0.0, "end": 1.0}),
        (
            Decided(Speak(text="I am here.", reason="They cry.", evidence=(SAD,)), 3, "end_of_turn"),
            {"t": "decision", "action": "speak", "reply": 3, "text": "I am here.", "reason": "They cry."},
        ),
        (
            Decided(Wait(reason="They think.", mind="compact"), 3, "end_of_turn"),
            {"t": "decision", "action": "wait", "mind": "compact"},
        ),
        (
            Pondered(Thought(text="They cry.", mind="omni"), 3),
            {"t": "thought", "reply": 3, "text": "They cry.", "mind": "omni"},
        ),
        (Metric("decide", 0.25, 3), {"t": "metric", "name": "decide", "value": 0.25, "reply": 3}),
        (Note("reply_cut", data={"reply": 3}), {"t": "note", "event": "reply_cut", "level": "info", "reply": 3}),
    ],
)
def test_events_travel_as_versioned_server_messages(body: Any, expected: dict[str, Any]) -> None:
    [message] = wire.event(Event(2 * SECOND, body))
    sent = json.loads(message.text())
    assert sent["type"] == "server-message"
    assert sent["data"]["v"] == 1
    assert sent["data"]["at"] == 2.0
    assert expected.items() <= sent["data"].items()


def test_speaking_also_has_its_standard_word() -> None:
    started = wire.event(Event(0, Percept("speech_started", "", 0, 0, 1.0, "vad")))
    stopped = wire.event(Event(0, Percept("speech_ended", "", 0, 0, 1.0, "vad")))
    assert [m.type for m in started] == ["server-message", "user-started-speaking"]
    assert [m.type for m in stopped] == ["server-message", "user-stopped-speaking"]


def test_a_users_caption_is_a_transcription_with_partials() -> None:
    captions = wire.Captions()
    partial = captions.messages(Caption("user", "I lost", final=False))
    final = captions.messages(Caption("user", "I lost my job.", final=True))
    assert [m.type for m in partial] == ["server-message", "user-transcription"]
    assert partial[1].data is not None
    assert final[1].data is not None
    assert partial[1].data["final"] is False
    assert {"text": "I lost my job.", "user_id": "user", "final": True}.items() <= final[1].data.items()
    assert partial[1].droppable
    assert not final[1].droppable


def test_an_agents_caption_appends_what_is_new_once() -> None:
    captions = wire.Captions()
    sent = [
        captions.messages(Caption("agent", "I am sorry.", final=False, reply=1)),
        captions.messages(Caption("agent", "I am sorry. What happened?", final=False, reply=1)),
        captions.messages(Caption("agent", "I am sorry. What happened?", final=True, reply=1)),
        captions.messages(Caption("agent", "Hello.", final=True, reply=2)),
        captions.messages(Caption("agent", "Hel", final=True, reply=2, cut=True)),
    ]
    spoken = [m.data["text"] for messages in sent for m in messages if m.type == "bot-tts-text" and m.data]
    assert spoken == ["I am sorry.", "What happened?", "Hello."]
    outputs = [m.data for messages in sent for m in messages if m.type == "bot-output" and m.data]
    assert [o["spoken_status"] for o in outputs] == [
        "in-progress",
        "in-progress",
        "completed",
        "completed",
        "completed",
    ]
    assert [o["segment_id"] for o in outputs] == ["1", "1", "1", "2", "2"]


def test_a_display_says_what_the_face_shows() -> None:
    message = wire.display(Display("concern", "tilt", 0.71, reply=4))
    assert message.data == {
        "v": 1,
        "t": "display",
        "emotion": "concern",
        "gesture": "tilt",
        "intensity": 0.71,
        "reply": 4,
    }
    assert not message.droppable


def test_who_can_help_is_never_missed() -> None:
    contacts = helplines.country("GB").help("self_harm")
    message = wire.display(Resource("self_harm", "United Kingdom", contacts, date(2026, 1, 31), reply=2))
    assert message.data is not None
    assert message.data["t"] == "resource"
    assert message.data["reviewed"] == "2026-01-31"
    assert message.data["contacts"][0] == {"name": "Samaritans", "number": "116 123"}
    assert message.data["contacts"][1] == {"name": "Shout", "text": "85258"}
    assert message.data["emergency"] == {}
    assert not message.droppable


def test_where_the_country_is_not_known_the_client_may_choose_its_number() -> None:
    everywhere = helplines.country()
    message = wire.display(Resource("medical", everywhere.name, everywhere.help("medical"), date(2026, 1, 31)))
    assert message.data is not None
    assert (message.data["emergency"]["US"], message.data["emergency"]["AU"]) == ("911", "000")


def test_what_may_be_missed() -> None:
    assert all(m.droppable for m in wire.event(Event(0, Metric("x", 1.0))))
    assert all(m.droppable for m in wire.event(Event(0, Pondered(Thought(text="Hm."), 1))))
    assert not any(m.droppable for m in wire.event(Event(0, Turn("user", "hi", 0, 1))))


@pytest.mark.parametrize(
    "bad",
    [{"version": "I said so"}, {"version": ""}, {"version": -1}, {"version": 1, "locale": "x y"}, {"senses": [""]}],
)
def test_an_agreement_holds_no_words_of_anybody(bad: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError):
        wire.parse(ask("consent", {"senses": [], "version": 1} | bad))


def test_what_concerns_the_person_is_told_to_all_and_never_missed() -> None:
    for name in ("consent_stored", "consent_not_stored", "consent_withdrawn", "closing"):
        found = Event(SECOND, Note(name))
        assert wire.concerns_person(found)
        assert not any(message.droppable for message in wire.event(found))
    other = Event(SECOND, Note("media_drift"))
    assert not wire.concerns_person(other)
    assert all(message.droppable for message in wire.event(other))
    assert not wire.concerns_person(Event(SECOND, Metric("consent_stored", 1.0)))
