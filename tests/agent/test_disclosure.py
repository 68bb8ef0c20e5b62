from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from agent.disclosure import Disclosing, Disclosure, DisclosureOptions
from agent.parts import CallOptions
from agent.staged import Script
from agent.thinking import Told
from agent.turns import TurnOptions
from perception.context import CUE_END_OF_TURN, CUE_GREETING, CUE_QUESTION, CUE_SILENCE, ContextWindow, Entry, Turn
from perception.media import Text
from perception.timebase import SECOND, Nanos
from policy import honesty, replies
from policy.decision import Express, Speak, Thought, Wait
from tests.agent.stage import play, quiet, said

HOUR = 3600 * SECOND
GREETING = Turn("agent", replies.greeting(), SECOND, 3 * SECOND)


def window(now: Nanos, *entries: Entry, cue: str = CUE_END_OF_TURN) -> ContextWindow:
    return ContextWindow(start=0, end=now, entries=entries, cue=cue)


def says(text: str, at: Nanos) -> Turn:
    return Turn("user", text, at, at + SECOND)


class Talker:
    """A session that answers with given steps, and tells whether its stream was closed."""

    def __init__(self, *steps: Told) -> None:
        self.steps = steps
        self.closed = 0
        self.ended = False

    async def prepare(self, window: ContextWindow, /) -> None: ...

    async def decide(self, window: ContextWindow, /) -> AsyncGenerator[Told, None]:
        try:
            for step in self.steps:
                yield step
        finally:
            self.ended = True

    async def close(self) -> None:
        self.closed += 1


def line(text: str = "I see.", *, emotion: str = "warm", strategy: str = "other") -> Speak:
    return Speak(text=text, reason="So it is.", emotion=emotion, strategy=strategy)


def told(session: Disclosing, at: ContextWindow) -> list[Told]:
    async def collect() -> list[Told]:
        return [step async for step in session.decide(at)]

    return asyncio.run(collect())


def words(steps: Sequence[Told]) -> list[str]:
    return [step.text for step in steps if isinstance(step, Speak)]


@pytest.mark.parametrize(("minor", "hours"), [(False, 3), (True, 1)])
def test_it_is_due_again_after_its_time(minor: bool, hours: int) -> None:
    disclosure = Disclosure(DisclosureOptions(minor=minor))
    disclosure.heard(window(5 * SECOND, GREETING))
    assert not disclosure.due(hours * HOUR)
    assert disclosure.due(hours * HOUR + 3 * SECOND)
    disclosure.heard(window(hours * HOUR + 9 * SECOND, Turn("agent", honesty.reminder(), 0, hours * HOUR + 9 * SECOND)))
    assert not disclosure.due(hours * HOUR + 10 * SECOND)


def test_only_what_was_heard_counts() -> None:
    disclosure = Disclosure()
    disclosure.heard(window(5 * SECOND, Turn("agent", "Hi, I'm Rapport,", SECOND, 2 * SECOND, cut=True)))
    assert disclosure.due(6 * SECOND)
    disclosure.heard(window(5 * SECOND, Turn("user", "I'm an AI, ha.", SECOND, 2 * SECOND)))
    assert disclosure.due(6 * SECOND)
    disclosure.heard(window(5 * SECOND, GREETING))
    assert not disclosure.due(6 * SECOND)


def test_a_greeting_that_was_cut_off_is_made_up_for() -> None:
    session = Disclosing(Talker(Express(reason="x", emotion="warm"), line()))
    cut = Turn("agent", "Hi,", SECOND, 2 * SECOND, cut=True)
    steps = told(session, window(9 * SECOND, cut, says("Hello, I've got a cold.", 5 * SECOND)))
    assert len(words(steps)) == 2
    assert honesty.says_ai(words(steps)[1])


@pytest.mark.parametrize("first", [line(), line("I am so sorry.", emotion="concern")])
def test_where_nothing_of_it_was_heard_the_answer_begins_with_it_also_one_that_comforts(first: Speak) -> None:
    session = Disclosing(Talker(Express(reason="x", emotion="warm"), first, line("Tell me more.")))
    steps = told(session, window(9 * SECOND, says("My dog died.", 5 * SECOND)))
    assert words(steps) == [replies.greeting(), first.text, "Tell me more."]
    assert isinstance(steps[0], Express)
    assert isinstance(steps[1], Speak)
    assert steps[1].emotion == first.emotion
    after = (says("My dog died.", 5 * SECOND), Turn("agent", " ".join(words(steps)), 10 * SECOND, 14 * SECOND))
    later = told(session, window(20 * SECOND, *after, says("He was old.", 18 * SECOND)))
    assert words(later) == [first.text, "Tell me more."], "once is enough"


@pytest.mark.parametrize(
    ("said", "answer", "expected"),
    [
        ("Hello.", ("Hello, this is Rapport.", "I'm an AI."), ["Hello, this is Rapport.", "I'm an AI."]),
        ("Hello.", ("Hello you.",), ["Hello you.", honesty.reminder()]),
        ("Are you human?", ("Why do you ask?",), ["Why do you ask?", honesty.straight()]),
        ("I baked a cake.", ("I'm an AI, so I have none.",), ["I'm an AI, so I have none."]),
    ],
)
def test_it_is_said_once_where_the_answer_says_it_anyway(said: str, answer: Sequence[str], expected: list[str]) -> None:
    session = Disclosing(Talker(*(line(text) for text in answer)))
    assert words(told(session, window(9 * SECOND, says(said, 5 * SECOND)))) == expected


def test_an_answer_to_danger_is_not_held_up_by_it() -> None:
    session = Disclosing(Talker(line("Please call now.", strategy="safety", emotion="concern")))
    assert words(told(session, window(9 * SECOND, says("I took all my pills.", 5 * SECOND)))) == ["Please call now."]


def test_a_call_without_a_greeting_leaves_the_start_to_its_application() -> None:
    session = Disclosing(Talker(line()), greets=False)
    assert words(told(session, window(9 * SECOND, says("Hello.", SECOND)))) == ["I see."]
    late = told(session, window(3 * HOUR, says("Hello.", 3 * HOUR - SECOND)))
    assert honesty.says_ai(words(late)[-1])


def test_the_reminder_comes_with_the_next_natural_reply_only() -> None:
    now = 4 * HOUR
    entries = (GREETING, says("And then we had cake.", now - 5 * SECOND))
    question = Text("Which?", at=now, form="single", options=("A", "B"))
    for silent in (
        told(Disclosing(Talker(line())), window(now, *entries, cue=CUE_SILENCE)),
        told(Disclosing(Talker(line())), window(now, *entries, cue=CUE_GREETING)),
        told(Disclosing(Talker(line())), window(now, *entries, question, cue=CUE_QUESTION)),
        told(Disclosing(Talker(Wait(reason="x"))), window(now, *entries)),
        told(Disclosing(Talker(line(strategy="safety", emotion="concern"))), window(now, *entries)),
    ):
        assert not any(honesty.says_ai(text) for text in words(silent))
    steps = told(Disclosing(Talker(Thought(text="hm"), line())), window(now, *entries))
    assert honesty.says_ai(words(steps)[-1])
    assert isinstance(steps[0], Thought)


def test_comfort_is_not_broken_off_at_once_but_not_put_off_for_ever() -> None:
    sad = line("That goes deep.", emotion="concern")
    entries = (GREETING, says("And then he was gone.", 0))
    just = window(3 * HOUR + 60 * SECOND, *entries)
    assert words(told(Disclosing(Talker(sad)), just)) == ["That goes deep."]
    later = window(3 * HOUR + 200 * SECOND, *entries)
    assert honesty.says_ai(words(told(Disclosing(Talker(sad)), later))[-1])


@pytest.mark.parametrize("emotion", ["warm", "calm", "concern"])
def test_comfort_is_known_by_what_was_said_whatever_its_look(emotion: str) -> None:
    cut = Turn("agent", "Hi,", SECOND, 2 * SECOND, cut=True)
    entries = (cut, says("My father died last night.", 5 * SECOND))
    comfort = line("That goes deep.", emotion=emotion)
    assert words(told(Disclosing(Talker(comfort)), window(9 * SECOND, *entries))) == ["That goes deep."]
    assert honesty.says_ai(words(told(Disclosing(Talker(comfort)), window(130 * SECOND, *entries)))[-1])


@pytest.mark.parametrize(
    "asked",
    [
        "Are you a robot?",
        "Wait, am I talking to a real person?",
        "You're only a machine, aren't you.",
        "Is there a human being on the other end?",
    ],
)
def test_who_asks_gets_a_straight_answer_whatever_the_policy_says(asked: str) -> None:
    entries = (GREETING, says(asked, 5 * SECOND))
    evasive = told(Disclosing(Talker(line("Why do you ask?"))), window(9 * SECOND, *entries))
    assert honesty.says_ai(words(evasive)[-1])
    straight = told(Disclosing(Talker(line("I'm an AI."))), window(9 * SECOND, *entries))
    assert words(straight) == ["I'm an AI."]


def test_the_stream_of_the_policy_is_closed_with_it() -> None:
    talker = Talker(line(), line("More."))
    session = Disclosing(talker)

    async def leave() -> None:
        stream = session.decide(window(9 * SECOND, GREETING, says("Hello.", 5 * SECOND)))
        assert isinstance(stream, AsyncGenerator)
        await anext(stream)
        await stream.aclose()
        await session.close()

    asyncio.run(leave())
    assert talker.ended
    assert talker.closed == 1


def test_a_draft_that_is_dropped_is_not_taken_for_said() -> None:
    session = Disclosing(Talker(line()))
    draft = window(4 * HOUR, GREETING, says("And then we had", 4 * HOUR - SECOND))
    assert honesty.says_ai(words(told(session, draft))[-1])
    again = window(4 * HOUR + SECOND, GREETING, says("And then we had cake.", 4 * HOUR - SECOND))
    assert honesty.says_ai(words(told(session, again))[-1])


@pytest.mark.parametrize("greets", [True, False])
def test_in_a_live_call_a_start_that_did_not_say_it_is_made_up_for(greets: bool) -> None:
    options = CallOptions(greeting=greets, reflexes=False, turns=TurnOptions(silence=0))
    ear = Script("ear", said("I baked a cake.", 5, 6))
    played = play(quiet(9), [ear], lambda _: [line("What kind?")], options=options)
    spoken = [d.text for d in played.decided if isinstance(d, Speak)]
    assert "What kind?" in spoken
    assert any(honesty.says_ai(text) for text in spoken) == greets


def test_it_cannot_be_switched_off() -> None:
    with pytest.raises(ValueError, match="cannot be switched off"):
        DisclosureOptions(every=0)
    with pytest.raises(ValueError, match=r"disclosure\.grace"):
        DisclosureOptions(grace=-1)
