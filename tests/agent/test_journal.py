from __future__ import annotations

import io
import json

import pytest

from agent.journal import Decided, Event, Journal, Metric, Note, Pondered, as_json
from agent.story import Story
from perception.context import Turn
from perception.percept import Percept
from perception.timebase import MS, SECOND
from policy.decision import Backchannel, Express, Speak, Thought, Wait

SAD = Percept("expression", "sad", SECOND, 1400 * MS, 0.71234567, "face", {"valence": -0.41234567})
WORDS = Percept("transcript", "my dog died", 0, SECOND, 0.9, "asr", {"word_starts": (0.1, 0.4, 0.7)})
EVENTS = [
    Event(1500 * MS, SAD),
    Event(1600 * MS, WORDS),
    Event(1700 * MS, Turn("user", "my dog died", 0, SECOND)),
    Event(
        1800 * MS,
        Decided(
            Speak(text="I am so sorry.", strategy="reflection", emotion="concern", reason="Loss.", evidence=(SAD,)), 1
        ),
    ),
    Event(1900 * MS, Decided(Express(emotion="concern", gesture="nod", reason="Sad face."))),
    Event(1950 * MS, Decided(Backchannel(token="mm", reason="A pause."))),
    Event(1960 * MS, Decided(Wait(reason="They think."))),
    Event(2000 * MS, Metric("voice_to_voice", 0.61234567, 1)),
    Event(2100 * MS, Note("policy_failed", "error", {"late": True})),
    Event(2200 * MS, Pondered(Thought(text="Their dog died; they are sad.", mind="omni"), 2)),
    Event(2300 * MS, Note("mind_failed", "warning", {"mind": "omni", "why": "late", "next": "compact", "reply": 2})),
    Event(2400 * MS, Decided(Wait(reason="They cry.", mind="compact"), 2)),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e.body).__name__)
def test_every_event_is_one_flat_json_object(event: Event) -> None:
    line = as_json(event)
    assert json.loads(json.dumps(line)) == json.loads(json.dumps(line))
    assert line["type"] in ("percept", "turn", "thought", "decision", "metric", "note")
    assert line["t"] == event.at / SECOND


def test_the_fields_that_scripts_rely_on() -> None:
    percept, _, turn, speak, express, *_ = (as_json(e) for e in EVENTS)
    assert (percept["kind"], percept["label"], percept["confidence"], percept["worker"]) == (
        "expression",
        "sad",
        0.7123,
        "face",
    )
    assert (turn["speaker"], turn["text"]) == ("user", "my dog died")
    assert (speak["action"], speak["strategy"], speak["emotion"], speak["reason"]) == (
        "speak",
        "reflection",
        "concern",
        "Loss.",
    )
    assert speak["evidence"][0]["label"] == "sad"
    assert (express["action"], express["strategy"]) == ("express", None)
    thought, fell, wait = (as_json(e) for e in EVENTS[-3:])
    assert {
        "type": "thought",
        "reply": 2,
        "mind": "omni",
        "text": "Their dog died; they are sad.",
    }.items() <= thought.items()
    assert (fell["mind"], fell["why"], fell["next"]) == ("omni", "late", "compact")
    assert wait["mind"] == "compact"
    assert "mind" not in express, "where one mind stands alone it has no name"


def written(*, personal: bool) -> list[dict[str, object]]:
    out = io.StringIO()
    journal = Journal(out, personal=personal)
    for event in EVENTS:
        journal(event)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_without_leave_no_word_and_no_look_is_written() -> None:
    lines = written(personal=False)
    assert len(lines) == len(EVENTS)
    text = json.dumps(lines)
    for secret in ("dog", "died", "sorry", "sad", "Loss", "cry", "-0.41"):
        assert secret not in text
    assert lines[2]["words_count"] == 3
    assert lines[7]["value"] == 0.6123
    assert lines[9] == {"t": 2.2, "type": "thought", "reply": 2, "mind": "omni", "words_count": 6}


def test_with_leave_everything_is_written_under_names_that_say_so() -> None:
    lines = written(personal=True)
    text = json.dumps(lines)
    for word in ("my dog died", "I am so sorry.", "sad", "Loss."):
        assert word in text
    bare = [{k: v for k, v in line.items() if not k.startswith("pii.")} for line in lines]
    assert bare == written(personal=False)


def test_the_story_tells_changes_once() -> None:
    story = Story()
    lines = [story.line(e) for e in EVENTS]
    assert story.line(EVENTS[0]) is None, "the same expression again is no news"
    assert lines[0] == " 0:01.5  face      sad (0.71)"
    assert lines[1] is None
    assert lines[2] == " 0:01.7  user      “my dog died”"
    assert lines[3] == " 0:01.8  decides   speak · reflection · concern: Loss. [expression sad]"
    assert lines[7] == " 0:02.0  took      voice to voice 612 ms"
    assert lines[8] == " 0:02.1  note      policy failed"
    assert lines[9] == " 0:02.2  thinks    Their dog died; they are sad."
    assert lines[10] == " 0:02.3  note      the mind omni was late; compact goes on"
