from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from agent.disclosure import CUE_DISCLOSURE, Disclosing, Disclosure, DisclosureOptions
from agent.journal import Decided
from agent.parts import CallOptions
from agent.staged import Script
from agent.thinking import Told
from agent.turns import TurnOptions
from perception.context import CUE_END_OF_TURN, CUE_GREETING, CUE_QUESTION, CUE_SILENCE, ContextWindow, Entry, Turn
from perception.media import Text
from perception.timebase import MS, SECOND, Nanos
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


def lived(session: Disclosing, *entries: Turn | Speak) -> None:
    """Let a session see what is recorded of a call: turns, and what was decided."""
    for entry in entries:
        session.saw(Decided(entry, 1, CUE_END_OF_TURN) if isinstance(entry, Speak) else entry)


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


CUT = Turn("agent", "Hi,", SECOND, 2 * SECOND, cut=True)
HEAVY = says("My dog died.", 5 * SECOND)
LIGHT = says("I baked a cake.", 5 * SECOND)


def reply(text: str, at: Nanos, *, cut: bool = False) -> Turn:
    return Turn("agent", text, at, at + SECOND, cut=cut)


def test_a_greeting_that_was_cut_off_is_made_up_for_in_the_pause_after_the_answer() -> None:
    answer = line()
    session = Disclosing(Talker(Express(reason="x", emotion="warm"), answer))
    lived(session, CUT, LIGHT)
    assert words(told(session, window(9 * SECOND, CUT, LIGHT))) == ["I see."], "not in the same breath"
    lived(session, answer, reply("I see.", 9 * SECOND))
    assert session.alone(10 * SECOND + 1100 * MS, busy=False) == ""
    assert session.alone(10 * SECOND + 1200 * MS, busy=True) == "", "the person has begun to speak"
    assert session.alone(10 * SECOND + 1200 * MS, busy=False) == CUE_DISCLOSURE
    assert session.alone(12 * SECOND, busy=False) == "", "it is under way"
    (alone,) = words(told(session, window(12 * SECOND, CUT, LIGHT, cue=CUE_DISCLOSURE)))
    assert honesty.says_ai(alone)
    assert "again" not in alone, "it was not said before"
    lived(session, reply(alone, 12 * SECOND), says("And a pie.", 20 * SECOND), answer, reply("I see.", 22 * SECOND))
    assert session.alone(30 * SECOND, busy=False) == "", "once is enough"


@pytest.mark.parametrize("first", [line(), line("I am so sorry.", emotion="concern")])
def test_where_nothing_of_it_was_heard_the_answer_is_the_answer(first: Speak) -> None:
    session = Disclosing(Talker(Express(reason="x", emotion="warm"), first, line("Tell me more.")))
    lived(session, HEAVY)
    assert words(told(session, window(9 * SECOND, HEAVY))) == [first.text, "Tell me more."]


@pytest.mark.parametrize("emotion", ["warm", "calm", "concern", "tender", "sad"])
def test_comfort_is_not_followed_by_it_either_until_two_minutes_are_over(emotion: str) -> None:
    comfort = line("I am so sorry.", emotion=emotion)
    session = Disclosing(Talker(comfort))
    lived(session, HEAVY, comfort, reply("I am so sorry.", 9 * SECOND))
    assert session.alone(60 * SECOND, busy=False) == ""
    lived(session, says("He was my best friend. I miss him.", 125 * SECOND), comfort, reply("I see.", 130 * SECOND))
    assert session.alone(133 * SECOND, busy=False) == CUE_DISCLOSURE


def test_after_comfort_it_waits_for_an_answer_that_does_not_comfort() -> None:
    comfort, light = line("I am so sorry.", emotion="concern"), line("What kind?")
    session = Disclosing(Talker(light))
    lived(session, HEAVY, comfort, reply("I am so sorry.", 9 * SECOND), LIGHT)
    assert words(told(session, window(20 * SECOND, HEAVY, LIGHT))) == ["What kind?"]
    lived(session, light, reply("What kind?", 20 * SECOND))
    assert session.alone(23 * SECOND, busy=False) == CUE_DISCLOSURE


def test_whoever_leaves_no_pause_hears_it_at_the_end_of_the_next_answer_that_does_not_comfort() -> None:
    answer = line()
    first = (LIGHT, reply("I see.", 9 * SECOND))
    session = Disclosing(Talker(answer))
    lived(session, LIGHT, answer, first[1])
    sad = says("And then my mother died.", 11 * SECOND)
    lived(session, sad)
    assert words(told(session, window(13 * SECOND, *first, sad))) == ["I see."], "not with comfort"
    after = reply("I see.", 13 * SECOND)
    again = says("Anyway, a pie.", 15 * SECOND)
    lived(session, answer, after, again)
    assert words(told(session, window(17 * SECOND, *first, sad, after, again))) == ["I see.", honesty.reminder()]


def test_after_words_about_a_danger_it_is_never_said() -> None:
    safe = line("Please call now.", strategy="safety", emotion="concern")
    session = Disclosing(Talker(safe))
    lived(session, CUT, says("I took all my pills.", 200 * SECOND), safe, reply("Please call now.", 204 * SECOND))
    assert session.alone(230 * SECOND, busy=False) == ""


def test_the_person_has_the_first_word_after_an_opening_that_does_not_say_it() -> None:
    session = Disclosing(Talker(line()))
    lived(session, line("So, how was your day?"), reply("So, how was your day?", SECOND))
    assert session.alone(8 * SECOND, busy=False) == ""


def test_a_reply_that_was_cut_off_is_no_pause() -> None:
    session = Disclosing(Talker(line()))
    lived(session, LIGHT, line(), reply("I", 9 * SECOND, cut=True))
    assert session.alone(20 * SECOND, busy=False) == ""


@pytest.mark.parametrize(
    ("said", "answer", "expected"),
    [
        ("Hello.", ("Hello, this is Rapport.", "I'm an AI."), ["Hello, this is Rapport.", "I'm an AI."]),
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
    late = says("Hello.", 3 * HOUR - SECOND)
    lived(session, late, line(), reply("I see.", 3 * HOUR))
    assert session.alone(3 * HOUR + 3 * SECOND, busy=False) == CUE_DISCLOSURE


def owing(talker: Talker, since: Nanos) -> Disclosing:
    """Return a session that has let the person go without the reminder, since then, for want of a pause."""
    session = Disclosing(talker)
    lived(session, GREETING, says("We had cake.", since - SECOND), line(), reply("I see.", since), LIGHT)
    return session


def test_the_reminder_comes_with_the_next_natural_reply_only() -> None:
    now = 4 * HOUR
    entries = (GREETING, says("And then we had cake.", now - 5 * SECOND))
    question = Text("Which?", at=now, form="single", options=("A", "B"))

    def session(*steps: Told) -> Disclosing:
        return owing(Talker(*steps), now - 9 * SECOND)

    safe = line(strategy="safety", emotion="concern")
    for silent in (
        told(session(line()), window(now, *entries, cue=CUE_SILENCE)),
        told(session(line()), window(now, *entries, cue=CUE_GREETING)),
        told(session(line()), window(now, *entries, question, cue=CUE_QUESTION)),
        told(session(Wait(reason="x")), window(now, *entries)),
        told(session(safe), window(now, *entries)),
    ):
        assert not any(honesty.says_ai(text) for text in words(silent))
    steps = told(session(Thought(text="hm"), line()), window(now, *entries))
    assert honesty.says_ai(words(steps)[-1])
    assert isinstance(steps[0], Thought)


def test_the_reminder_after_hours_is_said_alone_where_there_is_a_pause() -> None:
    now, answer = 3 * HOUR + 10 * SECOND, line()
    session = Disclosing(Talker(answer))
    told_cake = says("And then we had cake.", now - 5 * SECOND)
    lived(session, GREETING, told_cake)
    assert words(told(session, window(now, GREETING, told_cake))) == ["I see."]
    lived(session, answer, reply("I see.", now))
    assert session.alone(now + 3 * SECOND, busy=False) == CUE_DISCLOSURE


def test_comfort_is_not_broken_off_at_once_but_not_put_off_for_ever() -> None:
    sad = line("That goes deep.", emotion="concern")
    entries = (GREETING, says("And then he was gone.", 0))
    session = owing(Talker(sad), 4 * HOUR)
    just = window(4 * HOUR + 119 * SECOND, *entries)
    assert words(told(session, just)) == ["That goes deep."]
    later = window(4 * HOUR + 121 * SECOND, *entries)
    assert honesty.says_ai(words(told(session, later))[-1])


def test_the_first_words_after_hours_of_silence_are_comforted_and_not_told_who_comforts() -> None:
    lost = says("My father died last night.", 5 * HOUR)
    session = Disclosing(Talker(line("That goes deep.")))
    lived(session, GREETING, lost)
    assert words(told(session, window(5 * HOUR + 3 * SECOND, GREETING, lost))) == ["That goes deep."]


@pytest.mark.parametrize("emotion", ["warm", "calm", "concern"])
def test_comfort_is_known_by_what_was_said_whatever_its_look(emotion: str) -> None:
    entries = (CUT, says("My father died last night.", 5 * SECOND))
    session = Disclosing(Talker(line("That goes deep.", emotion=emotion)))
    assert words(told(session, window(9 * SECOND, *entries))) == ["That goes deep."]
    assert honesty.says_ai(words(told(session, window(130 * SECOND, *entries)))[-1])


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
    session = owing(Talker(line()), 4 * HOUR - 20 * SECOND)
    draft = window(4 * HOUR, GREETING, says("And then we had", 4 * HOUR - SECOND))
    assert honesty.says_ai(words(told(session, draft))[-1])
    again = window(4 * HOUR + SECOND, GREETING, says("And then we had cake.", 4 * HOUR - SECOND))
    assert honesty.says_ai(words(told(session, again))[-1])


@pytest.mark.parametrize("greets", [True, False])
def test_in_a_live_call_a_start_that_did_not_say_it_is_made_up_for_in_a_reply_of_its_own(greets: bool) -> None:
    options = CallOptions(greeting=greets, reflexes=False, turns=TurnOptions(silence=0))
    ear = Script("ear", said("I baked a cake.", 0.05, 1))
    played = play(quiet(14), [ear], lambda _: [line("What kind?")], options=options)
    turns = [t.text for _, t in played.of(Turn) if isinstance(t, Turn) and t.speaker == "agent"]
    assert turns == (["What kind?", honesty.straight()] if greets else ["What kind?"])


def test_in_a_live_call_the_person_may_speak_into_the_pause() -> None:
    options = CallOptions(greeting=True, reflexes=False, turns=TurnOptions(silence=0))
    talk = said("I baked a cake.", 0.05, 1) + said("With lots of cherries in it.", 3.2, 5.5, 2)
    played = play(quiet(14), [Script("ear", talk)], lambda _: [line("I see.")], options=options)
    turns = [t.text for _, t in played.of(Turn) if isinstance(t, Turn) and t.speaker == "agent"]
    assert turns == ["I see.", f"I see. {honesty.reminder()}"]


def test_it_cannot_be_switched_off() -> None:
    with pytest.raises(ValueError, match="cannot be switched off"):
        DisclosureOptions(every=0)
    with pytest.raises(ValueError, match=r"disclosure\.grace"):
        DisclosureOptions(grace=-1)
    with pytest.raises(ValueError, match=r"disclosure\.pause"):
        DisclosureOptions(pause=-1)
