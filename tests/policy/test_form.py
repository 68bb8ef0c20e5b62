from __future__ import annotations

import json
from typing import Any

import pytest

from perception.context import CUE_SILENCE, ContextWindow
from policy.decision import Backchannel, Express, Speak, Step, Thought, Wait
from policy.form import SCHEMA, Form, Garbled, request
from tests.policy.windows import talk

WINDOW = talk("My mum died in March.", face="sad")
GOOD: dict[str, Any] = {
    "action": "speak", "strategy": "reflection", "emotion": "concern", "tone": "soft",
    "words": "That is a heavy loss. I'm here, and I listen.",
}  # fmt: skip


def read(text: str, *, thinks: bool = False, pieces: int = 1) -> list[Step]:
    form = Form(WINDOW, thinks=thinks)
    found = [step for n in range(0, len(text), pieces) for step in form.push(text[n : n + pieces])]
    return found + form.finish()


@pytest.mark.parametrize("pieces", [1, 3, 7, 1000])
def test_any_pieces_give_the_same_steps(pieces: int) -> None:
    text = f"<think>She is old.\nShe is sad. So I stay with her.</think>\n{json.dumps(GOOD)}"
    found = read(text, thinks=True, pieces=pieces)
    assert " ".join(step.text for step in found if isinstance(step, Thought)) in {
        "She is old. She is sad. So I stay with her.", "She is old.\nShe is sad. So I stay with her.",
    }  # fmt: skip
    rest = [step for step in found if not isinstance(step, Thought)]
    assert [type(step) for step in rest] == [Express, Speak, Speak]
    assert [step.text for step in rest if isinstance(step, Speak)] == [
        "That is a heavy loss.", "I'm here, and I listen.",
    ]  # fmt: skip
    assert {step.reason for step in rest} == {"So I stay with her."}
    assert all(step.evidence for step in rest)


def test_the_face_and_the_first_sentence_come_while_the_rest_is_written() -> None:
    form, text = Form(WINDOW), json.dumps(GOOD)
    words = text.index('"words"')
    early = form.push(text[:words])
    assert [type(step) for step in early] == [Express]
    assert form.decided
    first = text.index(" I'm here")
    (spoken,) = form.push(text[words : first + 2])
    assert isinstance(spoken, Speak)
    assert (spoken.tone, spoken.strategy, spoken.emotion) == ("soft", "reflection", "concern")


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"action": "wait", "words": ""}, [Wait]),
        ({"action": "backchannel", "words": "mm-hm"}, [Backchannel]),
        ({"action": "backchannel", "words": ""}, [Backchannel]),
        ({"action": "backchannel", "words": "how dare you"}, [Backchannel]),
        ({"action": "express", "words": ""}, [Express]),
    ],
)
def test_every_action(change: dict[str, str], kinds: list[type]) -> None:
    found = read(json.dumps(GOOD | change), pieces=2)
    assert [type(step) for step in found] == kinds
    if kinds == [Backchannel]:
        assert getattr(found[0], "token") == "mm-hm"  # noqa: B009


def test_a_fence_around_it_is_taken_off() -> None:
    assert read(f"```json\n{json.dumps(GOOD)}\n```", pieces=1) == read(json.dumps(GOOD))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("I am sorry for your loss.", "no JSON object, but 'I am sorry"),
        ("", "no JSON object, but nothing"),
        ("[1, 2]", "no JSON object"),
        ('{"action": "dance", "strategy": "reflection"', "action is 'dance', which is none of speak"),
        ('{"action": "speak"', "EOF while parsing"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "tone"}), "tone is missing"),
        (json.dumps(GOOD | {"words": "  "}), "wants to speak, and has no words"),
        ('{"action": speak}', "expected value"),
    ],
)
def test_what_is_no_decision_is_told(text: str, told: str) -> None:
    with pytest.raises(Garbled, match=told):
        read(text, pieces=1000)


def test_a_thought_without_an_end_can_be_closed() -> None:
    form = Form(WINDOW, thinks=True)
    form.push("<think>It seems that she")
    assert form.thinking
    assert [step.text for step in form.stop_thinking() if isinstance(step, Thought)] == ["It seems that she"]
    assert not form.thinking
    assert form.push(json.dumps(GOOD))


def test_whoever_does_not_think_may_decide_at_once() -> None:
    assert read(json.dumps(GOOD), thinks=True) == read(json.dumps(GOOD))


def test_the_request_says_why_and_how() -> None:
    plain = request(WINDOW)
    assert plain.startswith("The person has finished speaking. Decide with one JSON object")
    assert "<think>" not in plain
    silent = ContextWindow(start=0, end=1, cue=CUE_SILENCE, hearing="and <|im_end|> then")
    full = request(silent, think=True, enhanced=True)
    assert full.startswith('(now says: "and < |im_end| > then") It has been quiet for a long while. Make sure of')
    assert "<think>" in full


def test_the_schema_has_the_fields_in_the_order_of_writing() -> None:
    assert list(SCHEMA["properties"]) == ["action", "strategy", "emotion", "tone", "words"]
    assert "safety" not in SCHEMA["properties"]["strategy"]["enum"]
