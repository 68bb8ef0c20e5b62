from __future__ import annotations

from typing import Any

import pytest

from perception.context import ContextWindow, Turn
from perception.media import Text
from perception.percept import (
    EXPRESSION,
    FACE,
    PROSODY,
    SENSE_BACK,
    SENSE_LOST,
    SPEECH_ENDED,
    SPEECH_STARTED,
    UNCERTAIN,
)
from perception.timebase import SECOND
from policy.cues import cues_of
from tests.policy.windows import percept, talk


def test_words_are_those_since_the_agent_spoke() -> None:
    window = talk("Hi.", "Hello. How are you?", "Not so good.", hearing="My dog died.")
    cues = cues_of(window)
    assert cues.words == "Not so good. My dog died."
    assert cues.before == ("Hi.",)
    assert cues.agent == ("Hello. How are you?",)
    assert cues.turns == 2
    assert cues.topics == ("your dog",)


def test_typed_words_count_and_an_answered_turn_leaves_none() -> None:
    typed = ContextWindow(start=0, end=5 * SECOND, entries=(Text("I feel low", SECOND),))
    assert cues_of(typed).words == "I feel low"
    answered = ContextWindow(
        start=0, end=9 * SECOND, entries=(Turn("user", "Hi", 0, SECOND), Turn("agent", "Hello.", SECOND, 2 * SECOND))
    )
    assert cues_of(answered).words == ""
    assert cues_of(answered).before == ("Hi",)
    assert cues_of(answered).silence == 7 * SECOND


def test_an_empty_window_knows_nothing() -> None:
    cues = cues_of(ContextWindow(start=0, end=0))
    assert (cues.words, cues.face, cues.voice, cues.gaze, cues.valence) == ("", None, None, None, None)
    assert cues.distress == 0.0
    assert cues.face_distress is None


def test_expressions_are_averaged_by_confidence() -> None:
    entries = (
        percept(EXPRESSION, "sad", 1, 2, 0.9, sad=0.8, neutral=0.2),
        percept(EXPRESSION, "neutral", 2, 3, 0.3, neutral=1.0),
    )
    cues = cues_of(ContextWindow(start=0, end=3 * SECOND, entries=entries))
    assert cues.face is not None
    assert cues.face["sad"] == pytest.approx(0.6)
    assert cues.face_distress == pytest.approx(0.6)


def test_old_looks_are_forgotten_and_uncertain_is_unknown_not_neutral() -> None:
    old = ContextWindow(start=0, end=30 * SECOND, entries=(percept(EXPRESSION, "sad", 1, 2),))
    assert cues_of(old).face is None
    doubt = tuple(percept(EXPRESSION, UNCERTAIN, i, i + 1) for i in range(5))
    assert cues_of(ContextWindow(start=0, end=5 * SECOND, entries=doubt)).face is None
    mostly = (*doubt, percept(EXPRESSION, "sad", 4, 5, 0.6))
    assert cues_of(ContextWindow(start=0, end=5 * SECOND, entries=mostly)).face is None


@pytest.mark.parametrize("sense", ["face", "camera", "expression"])
def test_a_refused_or_lost_face_is_unknown_even_if_it_was_seen_before(sense: str) -> None:
    seen: dict[str, Any] = {"face": "sad", "gaze": "away"}
    refused = cues_of(talk("Hello.", **seen, refused=[sense]))
    assert refused.face is None
    assert refused.face_at_words is None
    assert refused.distress == 0.0
    assert not any(p.kind == EXPRESSION for p in refused.evidence)
    gone = percept(SENSE_LOST, sense, 3)
    assert cues_of(talk("Hello.", **seen, extra=[gone])).face is None
    assert cues_of(talk("Hello.", **seen, extra=[gone, percept(SENSE_BACK, sense, 3.5)])).face is not None


def test_refusing_the_look_keeps_the_gaze_and_the_other_way_round() -> None:
    assert cues_of(talk("Hm.", face="sad", gaze="away", refused=["expression"])).gaze == "away"
    both = cues_of(talk("Hm.", face="sad", gaze="away", refused=["gaze"]))
    assert both.gaze is None
    assert both.face is not None


def test_a_face_that_left_is_unknown() -> None:
    assert cues_of(talk("Hm.", face="sad", extra=[percept(FACE, "absent", 3.5)])).face is None


def test_voice_and_its_numbers() -> None:
    entries = (percept(PROSODY, "trembling", 1, 2, 0.8, z_pitch=2.5, pitch_hz=210.0),)
    cues = cues_of(ContextWindow(start=0, end=3 * SECOND, entries=entries))
    assert cues.voice_distress == pytest.approx(0.8)
    assert dict(cues.voice_z) == {"z_pitch": 2.5}
    assert cues_of(talk("Hm.", voice="trembling", refused=["prosody"])).voice is None


def test_contradiction_names_its_signs_and_cites_them() -> None:
    cues = cues_of(talk("I'm okay.", face="sad", voice="flat", gaze="away"))
    assert cues.contradiction == "says fine; voice flat, face sad, gaze averted"
    assert {p.label for p in cues.evidence} == {"sad", "flat", "away"}
    starts = [p.start for p in cues.evidence]
    assert starts == sorted(starts)


def test_a_smile_before_the_words_does_not_contradict_them() -> None:
    smile = [percept(EXPRESSION, "happy", k / 2, k / 2 + 0.5, 0.9) for k in range(4)]
    tears = [percept(EXPRESSION, "sad", 2 + k / 2, 2.5 + k / 2, 0.7) for k in range(4)]
    told = Turn("user", "My dog died last night.", 2 * SECOND, 4 * SECOND)
    cues = cues_of(ContextWindow(start=0, end=4 * SECOND, entries=(*smile, *tears, told)))
    assert cues.contradiction == ""
    assert {p.label for p in cues.evidence} == {"sad"}
    during = Turn("user", "My dog died last night.", 0, 2 * SECOND)
    assert cues_of(ContextWindow(start=0, end=4 * SECOND, entries=(*smile, *tears, during))).contradiction


def test_talking_follows_the_voice() -> None:
    on = percept(SPEECH_STARTED, "", 1)
    assert cues_of(ContextWindow(start=0, end=2 * SECOND, entries=(on,))).talking
    off = percept(SPEECH_ENDED, "", 1, 2)
    assert not cues_of(ContextWindow(start=0, end=2 * SECOND, entries=(on, off))).talking


def test_a_question_in_a_set_form_is_none_of_the_persons_words() -> None:
    question = Text("Which emotion fits?", 4 * SECOND, form="single", options=("A. sad", "B. happy"))
    cues = cues_of(talk("My dog died.", extra=[question]))
    assert cues.words == "My dog died."
