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
    assert (turn.text, turn.cut) == (f"{replies.greeting()} I am so sorry.", False)
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


def test_whoever_speaks_at_once_is_answered_and_told_that_it_is_an_ai() -> None:
    options = CallOptions(greeting=True, reflexes=False, turns=TurnOptions(silence=0))
    played = play(quiet(12), [Script("ear", said(WORDS, 0.05, 2.0))], answer, options=options)
    turns = [t for _, t in played.of(Turn) if isinstance(t, Turn)]
    assert [t.speaker for t in turns] == ["user", "agent"], "of the greeting nothing was heard"
    assert turns[1].text == f"{replies.greeting()} I am so sorry."
    assert not turns[1].cut
    assert honesty.says_ai(turns[1].text)
