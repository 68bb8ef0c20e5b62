"""What stock clients send, made up: every fragment, form and event is understood or refused, and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.realtime.calls import form_of
from agent.realtime.dialect import Dialect, Message
from agent.realtime.session import Session
from agent.refusal import Refused
from agent.whip import candidates
from agent.wire import WireError, parse

pytestmark = pytest.mark.slow

QUICK = settings(max_examples=150, deadline=None)

LINE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["a=mid:0", "a=mid:", "m=audio 9 X 0", "a=end-of-candidates", "a=ice-ufrag:x"]),
    st.text(max_size=40).map("a=candidate:{}".format),
)

WORD = st.sampled_from(
    [
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.truncate",
        "response.create",
        "response.cancel",
        "message",
        "user",
        "input_text",
        "realtime",
        "audio/pcm",
        "server_vad",
        "AAAA",
        "AAA=",
        "\ud800",
    ]
)
KEYS = (
    *("type", "session", "audio", "input", "output", "format", "rate", "turn_detection", "transcription", "item"),
    *("role", "content", "text", "response", "event_id", "id", "voice", "model", "language", "instructions"),
)
KEY = st.sampled_from(KEYS)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORD, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEY, inner, max_size=4)),
    max_leaves=12,
)
EVENT = st.builds(lambda rest, type: {**rest, "type": type}, st.dictionaries(KEY, VALUE, max_size=4), WORD)


@QUICK
@given(st.lists(LINE, max_size=12).map("\r\n".join))
def test_fragments(text: str) -> None:
    with contextlib.suppress(Refused):
        for candidate, mid in candidates(text):
            assert candidate.startswith("candidate:")
            assert 0 < len(mid) <= 32


@QUICK
@given(st.one_of(st.text(max_size=60), st.just("multipart/form-data; boundary=x")), st.binary(max_size=200))
@example("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="sdp"')
@example("multipart/form-data; boundary=x", b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--x--")
@example(
    "multipart/form-data; boundary*=utf-8''x", b"--x\r\nContent-Disposition: form-data; name*=nonsense''%ff\r\n\r\n"
)
@example("multipart/form-data; boundary=x", b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%\r\n--x--")
def test_forms(kind: str, raw: bytes) -> None:
    with contextlib.suppress(Refused):
        assert all(isinstance(value, bytes) for value in form_of(kind, raw).values())


@QUICK
@given(
    st.lists(st.one_of(EVENT.map(json.dumps), st.text(max_size=30), st.binary(max_size=8)), max_size=6), st.booleans()
)
def test_events(said: list[str | bytes], media: bool) -> None:
    told: list[dict[str, Any]] = []
    dialect = Dialect(told.append, Session("s", "m"), media=media)
    for text in said:
        before = len(told)
        commands = dialect.read(text)
        assert commands or len(told) > before or '"response.create"' in str(text), "an event was passed over in silence"
        for command in commands:
            if isinstance(command, Message):
                with contextlib.suppress(WireError):
                    parse(command.text)
    for event in told:
        json.dumps(event).encode("utf-8")
        assert event["type"]
