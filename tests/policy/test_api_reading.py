from __future__ import annotations

import json

import pytest

from policy.api_errors import Refused, Unreadable
from policy.api_events import Counts, Delta, Done, Lines, parse
from policy.api_reading import Reader, Unfold, closing, constraint
from policy.decision import Backchannel, Express, Speak, Step, Thought, Wait
from policy.form import SCHEMA, request
from tests.policy.windows import talk

URL = "http://server/v1"
WINDOW = talk("I failed the exam.", face="sad")
DECIDED = {
    "action": "speak",
    "strategy": "question",
    "emotion": "concern",
    "tone": "soft",
    "words": "That hurts. What happened?",
}
THOUGHT = 'A student. They say "fine" — but C:\\\\ and ünïcödé 😀 show <b>tears</b>. So I ask.'


def reader(*, thinks: bool = False) -> Reader:
    return Reader(WINDOW, thinks=thinks, url=URL, most=200)


def unfolded(text: str, every: int, *, silent: bool = False) -> str:
    unfold = Unfold(silent=silent)
    return "".join(unfold.push(text[i : i + every]) for i in range(0, len(text), every)) + unfold.finish()


@pytest.mark.parametrize("every", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_thought_of_an_object_comes_out_in_front_of_it(every: int, ascii_only: bool) -> None:
    whole = json.dumps({"think": THOUGHT, **DECIDED}, ensure_ascii=ascii_only)
    if ascii_only and every < 12:
        # A pair of surrogates that arrives in two pieces cannot be put together again.
        whole = whole.replace("\\ud83d\\ude00", "")
        expected = THOUGHT.replace("😀", "")
    else:
        expected = THOUGHT
    thought, mark, rest = unfolded(whole, every).removeprefix("<think>").partition("</think>")
    assert mark
    assert thought == expected
    assert json.loads(rest) == DECIDED
    assert json.loads(unfolded(whole, every, silent=True)) == DECIDED


@pytest.mark.parametrize("every", [1, 5, 1000])
@pytest.mark.parametrize("text", [json.dumps(DECIDED), "<think>So.</think>{}", "Hello", '{"th', '{"thinking": 1}', ""])
def test_whatever_has_no_thought_passes_as_it_is(text: str, every: int) -> None:
    assert unfolded(text, every) == text


@pytest.mark.parametrize("every", [1, 4, 1000])
def test_a_tag_inside_the_thought_does_not_end_it(every: int) -> None:
    whole = json.dumps({"think": "<think>One. </think>Two < three.</th", **DECIDED})
    assert unfolded(whole, every).startswith("<think>One. Two < three.</th</think>{")


def test_laid_out_json_is_read_too() -> None:
    assert unfolded('\n{\n  "think" : "So." ,\n  "action": "wait"\n}', 3) == '<think>So.</think>{"action": "wait"\n}'


def test_look_and_first_clause_come_before_the_last_word() -> None:
    found = reader()
    text = json.dumps(DECIDED)
    until = text.index("What") + 1
    early = found.push(Delta(text=text[:until]))
    assert [type(step) for step in early] == [Express, Speak]
    late = [*found.push(Delta(text=text[until:], finish="stop")), *found.finish()]
    assert [step.text for step in [*early, *late] if isinstance(step, Speak)] == ["That hurts.", "What happened?"]


def test_reasoning_that_the_server_sends_apart_is_a_thought() -> None:
    for answer in (DECIDED, {"think": "Doubled.", **DECIDED}):
        found = reader()
        steps = [
            *found.push(Delta(thought="They fai")),
            *found.push(Delta(thought="led.</think> So I ask.")),
            *found.push(Delta(text="\n\n" + json.dumps(answer)[:30])),
            *found.push(Delta(text=json.dumps(answer)[30:])),
            *found.push(Delta(thought="late", finish="stop")),
            *found.finish(),
        ]
        assert " ".join(step.text for step in steps if isinstance(step, Thought)) == "They failed. So I ask."
        assert [step.text for step in steps if isinstance(step, Speak)] == ["That hurts.", "What happened?"]
        assert any(isinstance(step, Express) and step.reason == "So I ask." for step in steps)


def test_reasoning_unasked_is_a_thought() -> None:
    found = reader()
    steps = [*found.push(Delta(text=f"<think>So.</think>{json.dumps(DECIDED)}", finish="stop")), *found.finish()]
    assert [type(step) for step in steps] == [Thought, Express, Speak, Speak]


@pytest.mark.parametrize(("action", "kind"), [("wait", Wait), ("backchannel", Backchannel)])
def test_listening_is_a_decision(action: str, kind: type) -> None:
    found = reader()
    steps = [*found.push(Delta(text=json.dumps({**DECIDED, "action": action, "words": ""}))), *found.finish()]
    assert [type(step) for step in steps] == [kind]


@pytest.mark.parametrize(
    ("text", "finish", "fix"),
    [
        ("Sure, I can help!", "stop", "words of its own"),
        ('I\'m "so" sorry for your dog.', "stop", "structured"),
        ("", "stop", "structured"),
        (json.dumps({**DECIDED, "action": "dance"}), "stop", "dance"),
        (json.dumps(DECIDED)[:40], "length", "raise most_tokens"),
        ("<think>On and on", "length", "raise most_tokens"),
    ],
)
def test_no_decision_is_named_with_its_fix(text: str, finish: str, fix: str) -> None:
    def read() -> list[Step]:
        found = reader()
        return [*found.push(Delta(text=text, finish=finish)), *found.finish()]

    with pytest.raises(Unreadable, match=fix) as caught:
        read()
    assert URL in str(caught.value)
    assert "help" not in str(caught.value)
    assert "dog" not in str(caught.value)
    assert caught.value.kind == "garbled"


def test_the_schema_is_sent_in_either_form_with_the_thought_first() -> None:
    portable = constraint("json_schema", think=False, think_tokens=100)["response_format"]["json_schema"]
    assert (portable["schema"], portable["strict"]) == (dict(SCHEMA), True)
    assert constraint("structured_outputs", think=False, think_tokens=100) == {"structured_outputs": {"json": SCHEMA}}
    assert constraint("none", think=True, think_tokens=100) == {}
    schema = constraint("structured_outputs", think=True, think_tokens=100)["structured_outputs"]["json"]
    assert next(iter(schema["properties"])) == schema["required"][0] == "think"
    assert schema["properties"]["think"]["maxLength"] == 400
    assert list(schema["properties"])[1:] == list(SCHEMA["properties"])
    assert "think" not in SCHEMA["properties"]


def test_the_prompt_says_where_the_thought_goes() -> None:
    plain = closing(WINDOW, think=True, enhanced=True, structured="none")
    assert plain == request(WINDOW, think=True, enhanced=True)
    assert closing(WINDOW, think=True, enhanced=True, structured="json_schema").startswith(plain)
    assert "first field" in closing(WINDOW, think=True, enhanced=True, structured="json_schema")
    assert closing(WINDOW, think=False, enhanced=False, structured="json_schema") == request(WINDOW)


@pytest.mark.parametrize("every", [1, 2, 3, 100])
def test_lines_are_cut_at_line_feeds_alone(every: int) -> None:
    text = "data: a\u2028b\x0c\r\n\r\n: c\n\ndata: d"
    lines = Lines()
    found = [line for i in range(0, len(text), every) for line in lines.push(text[i : i + every])]
    assert lines.waiting == len("data: d")
    assert [*found, *lines.finish()] == ["data: a\u2028b\x0c", "", ": c", "", "data: d"]
    assert lines.finish() == []


def test_events_are_read() -> None:
    def chunk(**choice: object) -> str:
        return "data: " + json.dumps({"choices": [{"index": 0, **choice}]})

    assert parse("", URL) == parse(": ping", URL) == parse("event: message", URL) == []
    assert parse("data: [DONE]", URL) == parse("data:[DONE]", URL) == [Done()]
    assert parse(chunk(delta={"role": "assistant", "content": None}), URL) == [Delta()]
    assert parse(chunk(delta={"content": "a"}, finish_reason="stop"), URL) == [Delta(text="a", finish="stop")]
    assert parse(chunk(delta={"reasoning_content": "a"}), URL) == [Delta(thought="a")]
    assert parse(chunk(delta={"reasoning": "a", "content": "b"}), URL) == [Delta(thought="a", text="b")]
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
    for choices in ([], [{"delta": {}, "finish_reason": "stop"}]):
        found = parse("data: " + json.dumps({"choices": choices, "usage": usage}), URL)
        assert found[0] == Counts(prompt=9, cached=8, completion=2)
    spare = {"choices": [], "usage": {"prompt_tokens": 9, "prompt_tokens_details": None}}
    assert parse("data: " + json.dumps(spare), URL) == [Counts(prompt=9)]


@pytest.mark.parametrize(
    "line",
    [
        "<html>",
        "data: {",
        "data: 3",
        'data: {"choices": 3}',
        'data: {"choices": [3]}',
        'data: {"choices": [{"delta": {"content": 3}}]}',
    ],
)
def test_what_is_no_event_is_named(line: str) -> None:
    with pytest.raises(Unreadable, match=URL):
        parse(line, URL)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no memory left", "code": 500}},
        {"object": "error", "message": "no memory left", "code": 500},
        {"error": "no memory left"},
    ],
)
def test_an_error_in_the_stream_is_the_servers_own(body: object) -> None:
    with pytest.raises(Refused, match="no memory left"):
        parse("data: " + json.dumps(body), URL)
