"""Who speaks first: the agent, unless somebody has said something by the time at which it may be heard."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.action import Caption
from agent.parts import CallOptions
from agent.staged import Script
from agent.turns import TurnOptions
from perception.context import CUE_GREETING, CUE_QUESTION, ContextWindow, Turn
from perception.media import Text
from perception.timebase import MS, SECOND, Nanos
from policy import honesty, replies
from policy.decision import Decision, Speak
from tests.agent.stage import Mind, merged, play, quiet, said
from tests.privacy.house import PERSON, Held, Watched, hold

WORDS = "My dog died last night."


def answer(window: ContextWindow) -> list[Decision]:
    if window.cue == CUE_GREETING:
        return [Speak(text=replies.greeting(), tone="warm", emotion="warm", reason="The call begins.")]
    return [Speak(text="I am so sorry.", tone="soft", emotion="concern", strategy="reflection", reason="Loss.")]


def consented(folder: Path, at: Nanos, *typed: Text) -> Held:
    """Hold a call in which the person agrees, which takes a tenth of a second to store, and types."""
    workers = [Watched("ear")]
    changes = [(at, frozenset({"ear"}), PERSON)]
    script = merged(quiet(12), typed)
    return hold(folder, script, workers, changes, mind=Mind(answer), greeting=True, store_s=0.1)


def spoken(held: Held) -> list[Turn]:
    return [e.body for e in held.events if isinstance(e.body, Turn) and e.body.speaker == "agent"]


@pytest.mark.parametrize("after", [-100 * MS, 0, 20 * MS, 60 * MS])
def test_words_that_are_typed_at_the_consent_are_answered_and_not_dropped(tmp_path: Path, after: Nanos) -> None:
    """What a client says in its next line comes before the consent is stored, which takes up to a tenth of a second."""
    held = consented(tmp_path, 200 * MS, Text(WORDS, at=200 * MS + after))
    assert [window.cue for window in held.mind.windows] == [CUE_QUESTION]
    (turn,) = spoken(held)
    assert (turn.text, turn.cut) == ("I am so sorry.", False), "and nothing else in the same breath"
    final = [a for _, a in held.actions if isinstance(a, Caption) and a.speaker == "agent" and a.final]
    assert [caption.text for caption in final] == [turn.text], "the first thing that a client reads is the answer"


def test_who_says_nothing_is_greeted_once_the_consent_is_stored(tmp_path: Path) -> None:
    held = consented(tmp_path, 200 * MS)
    assert [window.cue for window in held.mind.windows] == [CUE_GREETING]
    assert [turn.text for turn in spoken(held)] == [replies.greeting()]


def test_whoever_has_typed_is_not_greeted_in_mid_call(tmp_path: Path) -> None:
    held = consented(tmp_path, 8 * SECOND, Text(WORDS, at=SECOND))
    assert [window.cue for window in held.mind.windows] == [CUE_QUESTION]


def test_words_in_the_midst_of_the_greeting_are_answered(tmp_path: Path) -> None:
    held = consented(tmp_path, 200 * MS, Text(WORDS, at=900 * MS))
    assert [window.cue for window in held.mind.windows] == [CUE_GREETING, CUE_QUESTION]
    greeting, turn = spoken(held)
    assert greeting.cut
    assert turn.text.startswith("I am so sorry.")


def test_whoever_speaks_at_once_is_answered_and_comforted_without_a_word_of_who_speaks() -> None:
    options = CallOptions(greeting=True, reflexes=False, turns=TurnOptions(silence=0))
    played = play(quiet(12), [Script("ear", said(WORDS, 0.05, 2.0))], answer, options=options)
    turns = [t for _, t in played.of(Turn) if isinstance(t, Turn)]
    assert [t.speaker for t in turns] == ["user", "agent"], "of the greeting nothing was heard"
    assert turns[1].text == "I am so sorry."
    assert not turns[1].cut


def test_whoever_types_at_once_is_answered_and_then_told_in_a_line_of_its_own(tmp_path: Path) -> None:
    def bake(window: ContextWindow) -> list[Decision]:
        return [Speak(text="What kind of cake?", tone="warm", emotion="warm", strategy="question", reason="A cake.")]

    changes = [(200 * MS, frozenset({"ear"}), PERSON)]
    script = merged(quiet(12), (Text("I baked a cake.", at=200 * MS),))
    held = hold(tmp_path, script, [Watched("ear")], changes, mind=Mind(bake), greeting=True, store_s=0.1)
    first, second = spoken(held)
    assert (first.text, second.text) == ("What kind of cake?", honesty.straight())
    assert second.start - first.end >= 1200 * MS
    final = [a for _, a in held.actions if isinstance(a, Caption) and a.speaker == "agent" and a.final]
    assert len({caption.reply for caption in final}) == 2, "two captions"
