"""The scripted conversations: what they hold, and what is said about a mistake in them."""

from __future__ import annotations

from typing import Any

import pytest

from agent.empathy.timing_script import (
    CLAUSE,
    FILLER,
    INSIDE,
    SENTENCE,
    SOB,
    Rest,
    ScriptError,
    Sound,
    Words,
    read,
    talks,
)

HEAD: dict[str, Any] = {"openings": {"hello": "Hello there."}, "voices": {"low": {"pitch": 0.8, "throat": 0.9}}}
GOOD: dict[str, Any] = {
    "id": "one",
    "opening": "hello",
    "who": "low",
    "over": ["yeah", "(cough)"],
    "cuts_in": True,
    "says": ["I had um", 0.5, "no time,", 0.6, "(sob)", 0.7, "none at all.", 0.8, "And", 0.4, "now?"],
}


def test_there_are_enough_of_them_and_half_are_kept_out_of_tuning() -> None:
    every = talks()
    assert len(every) >= 40
    assert len({talk.id for talk in every}) == len(every)
    assert sum(talk.held for talk in every) == len(every) // 2
    pauses = [step for talk in every for step in talk.says if isinstance(step, Rest)]
    assert {pause.kind for pause in pauses} == {INSIDE, FILLER, CLAUSE, SENTENCE, SOB}
    assert min(p.length_s for p in pauses) <= 0.4
    assert max(p.length_s for p in pauses) == 1.2
    assert sum(talk.cuts_in for talk in every) >= 20


def test_a_pause_is_named_after_what_comes_before_it() -> None:
    (talk,) = read({"talks": [GOOD]}, HEAD, "x", held=False)
    assert [step.kind for step in talk.says if isinstance(step, Rest)] == [FILLER, CLAUSE, SOB, SENTENCE, INSIDE]
    assert talk.over == (Words("yeah"), Sound("cough"))
    assert (talk.who.tone.pitch, talk.who.throat) == (0.8, 0.9)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"opening": "bye"}, "there is no opening 'bye'; there are hello"),
        ({"who": "nobody"}, "there is no voice 'nobody'; there are low"),
        ({"cuts_in": "yes"}, "cuts_in is 'yes', expected a bool"),
        ({"says": ["Hello", 3.0, "you."]}, "a pause of 3.0 s; pauses last from 0.3 to 1.2 s"),
        ({"says": [0.5, "Hello."]}, "expected a list that begins with words"),
        ({"says": ["Hello.", 0.5]}, "says ends with 0.5; the last thing that is heard has to be words"),
        ({"says": ["Hello.", "(yawn)"]}, r"says has '\(yawn\)'; there are cough"),
        ({"over": ["(away)"]}, r"over has '\(away\)', which is not heard"),
        ({"mood": "sad"}, "unknown field 'mood'"),
    ],
)
def test_a_mistake_is_told_with_file_talk_and_field(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ScriptError, match=told) as error:
        read({"talks": [GOOD | change]}, HEAD, "mine", held=False)
    assert "mine.toml: talk 'one'" in str(error.value)


def test_two_talks_of_one_name_are_told() -> None:
    with pytest.raises(ScriptError, match="same id"):
        read({"talks": [GOOD, GOOD]}, HEAD, "mine", held=False)


def test_an_unknown_key_of_a_voice_is_told() -> None:
    head = HEAD | {"voices": {"low": {"loudness": 3.0}}}
    with pytest.raises(ScriptError, match="voice 'low' has no 'loudness'"):
        read({"talks": [GOOD]}, head, "mine", held=False)
