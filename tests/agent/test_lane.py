"""The safety lane in front of minds that are well, dead, hanging, or that came upon danger by themselves."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent import build
from agent.action import Caption, Resource
from agent.clock import VirtualClock
from agent.config import Config, Use
from agent.journal import Decided, Event, Journal, Note
from agent.lane import SafetyLane
from agent.loop import Call
from agent.loopback import Loopback
from agent.metrics import Metrics
from agent.parts import CallOptions, Parts
from agent.safety_options import ACKNOWLEDGE, SafetyOptions
from agent.staged import Script
from agent.thinking import Alarm, Thinking, Told
from agent.turns import TurnOptions
from agent.voices.plain import PlainVoice
from perception.context import CUE_AFFECT, CUE_GREETING, CUE_QUESTION, CUE_SILENCE, ContextWindow, Turn
from perception.media import Text
from perception.timebase import MS, SECOND
from policy.backends import scripted
from policy.decision import Decision, Express, Speak, Step, Wait
from policy.safety import helplines, responses
from policy.safety.detector import KINDS, Finding, Lookout
from tests.agent.stage import COSTS, Mind, Mindful, kind_words, quiet, said
from tests.policy.windows import talk

DANGER = "I want to kill myself."
StructuredLogs = list[Any]


@pytest.fixture
def log() -> Iterator[StructuredLogs]:
    with capture_logs() as found:
        yield found


class Sessions:
    """A mind that does as it is told."""

    def __init__(self, decide: Callable[[ContextWindow], AsyncIterator[Step]]) -> None:
        self._decide = decide
        self.asked = 0

    async def prepare(self, window: ContextWindow, /) -> None: ...

    def decide(self, window: ContextWindow, /) -> AsyncIterator[Step]:
        self.asked += 1
        return self._decide(window)

    async def close(self) -> None: ...


async def light(window: ContextWindow) -> AsyncIterator[Step]:
    yield Speak(text="Lovely weather today!", reason="Light.")


async def dead(window: ContextWindow) -> AsyncIterator[Step]:
    raise RuntimeError("gone")
    yield Wait(reason="never")


async def hanging(window: ContextWindow) -> AsyncIterator[Step]:
    await asyncio.Event().wait()
    yield Wait(reason="never")


def lane(locale: str = "", **more: Any) -> SafetyLane:
    return SafetyLane(Lookout(), SafetyOptions(locale=locale, **more))


def answer(window: ContextWindow, mind: Thinking | None = None, safety: SafetyLane | None = None) -> list[Told]:
    """Everything that is told about one window."""

    async def collect() -> list[Told]:
        session = (safety or lane()).around(mind or Sessions(light))
        return [told async for told in session.decide(window)]

    return asyncio.run(collect())


def words(told: Iterable[Told]) -> str:
    return " ".join(step.text for step in told if isinstance(step, Speak))


@pytest.mark.parametrize("mind", [light, dead, hanging])
def test_danger_is_answered_whatever_becomes_of_the_policy(mind: Callable[..., AsyncIterator[Step]]) -> None:
    inner = Sessions(mind)
    told = answer(talk(DANGER), inner, lane("GB"))
    assert inner.asked == 0
    assert told[0] == Alarm(kind="self_harm", country=helplines.country("GB"))
    assert isinstance(told[1], Express)
    assert {d.strategy for d in told if isinstance(d, Speak)} == {"safety"}
    assert {d.emotion for d in told if isinstance(d, (Speak, Express))} == {"concern"}
    assert "Samaritans on 1 1 6, 1 2 3" in words(told)


def test_other_words_are_the_policys() -> None:
    inner = Sessions(light)
    assert words(answer(talk("The exam is on Friday."), inner)) == "Lovely weather today!"
    assert inner.asked == 1
    assert words(answer(talk(cue=CUE_GREETING))) == "Lovely weather today!"


def test_a_benchmarks_question_is_nobodys_danger() -> None:
    asked = Text("Does she say that she wants to kill herself?", at=3 * SECOND, form="yes_no")
    window = talk("Hello.", cue=CUE_QUESTION)
    window = ContextWindow(
        start=window.start, end=window.end, entries=(*window.entries, asked), cue=CUE_QUESTION, hearing=""
    )
    assert words(answer(window)) == "Lovely weather today!"


def test_typed_danger_counts_like_spoken() -> None:
    window = ContextWindow(start=0, end=2 * SECOND, entries=(Text(DANGER, at=SECOND),), cue=CUE_QUESTION)
    assert isinstance(answer(window)[0], Alarm)


def line(topic: str, kind: str = "self_harm", locale: str = "", *heard: str) -> str:
    return " ".join(responses.choose(topic, kind, helplines.country(locale), heard))


def test_after_some_turns_the_policy_speaks_again() -> None:
    turns = [
        DANGER,
        line("plain"),
        "The rain is loud.",
        "a",
        "The cat sleeps.",
        "b",
        "Then we had cake.",
        "c",
        "Really.",
    ]
    check = line("check")
    assert words(answer(talk(*turns))).endswith(check), "it was never answered"
    later = [
        *turns,
        f"Hm. {check}",
        "It rained again.",
        "d",
        "So I stayed in.",
        "e",
        "I read a book.",
        "f",
        "A thin one.",
    ]
    assert words(answer(talk(*later))) == "Lovely weather today!"


def test_whoever_says_that_there_is_no_danger_is_believed() -> None:
    settled = words(answer(talk(DANGER, line("plain"), "It was only a joke, I'm safe.")))
    assert settled.startswith("Ah, I see.")
    later = talk(DANGER, line("plain"), "It was only a joke, I'm safe.", settled, "So, my exam.")
    assert words(answer(later)) == "Lovely weather today!"


def test_who_says_it_again_is_heard_again() -> None:
    told = answer(talk(DANGER, line("plain"), "No, I really will kill myself."))
    assert isinstance(told[0], Alarm)
    assert words(told).startswith("Thank you for saying it out loud.")


def test_who_goes_is_told_of_help_once_and_not_held_back() -> None:
    said = words(answer(talk(DANGER, line("plain", locale="US"), "Okay, bye."), safety=lane("US")))
    assert "call or text 9 8 8" in said
    assert "don't go" not in said.lower()
    again = talk(DANGER, line("plain", locale="US"), "Okay, bye.", said, "Bye then.")
    assert words(answer(again, safety=lane("US"))) == "Lovely weather today!"


def test_who_asks_for_an_ai_gets_a_straight_answer() -> None:
    inner = Sessions(light)
    answer(talk(DANGER, line("plain"), "Are you a real person?"), inner)
    assert inner.asked == 1


def after(*turns: str, cue: str) -> ContextWindow:
    """A dialogue that ends with the agent."""
    *before, last = turns
    window = talk(*before, cue=cue)
    spoken = Turn("agent", last, window.end, window.end + SECOND)
    return replace(window, entries=(*window.entries, spoken), end=window.end + 9 * SECOND)


def test_into_a_silence_it_says_one_quiet_word() -> None:
    told = answer(after(DANGER, line("plain"), cue=CUE_SILENCE))
    assert words(told) == "I'm still here. You don't have to say anything."
    later = answer(after(DANGER, f"{line('plain')} {words(told)}", cue=CUE_SILENCE))
    assert [type(step) for step in later] == [Wait]
    look = answer(after(DANGER, line("plain"), cue=CUE_AFFECT))
    assert [type(step) for step in look] == [Express]
    assert words(answer(after("I had cake.", "Nice.", cue=CUE_SILENCE))) == "Lovely weather today!"


def test_danger_that_the_policy_came_upon_is_shown_too() -> None:
    async def careful(window: ContextWindow) -> AsyncIterator[Step]:
        yield Express(emotion="concern", reason="r")
        yield Speak(text="Are you safe?", strategy="safety", reason="r")
        yield Speak(text="Please call someone.", strategy="safety", reason="r")

    told = answer(talk("They were at it again."), Sessions(careful))
    assert [type(step) for step in told] == [Express, Alarm, Speak, Speak]
    settled = line("denied")
    told = answer(talk(DANGER, line("plain"), "I'm safe now.", settled, "So, my exam."), Sessions(careful))
    assert [type(step) for step in told] == [Express, Speak, Speak], "help was shown a moment ago"


def test_whoever_is_cut_off_is_closed_at_once() -> None:
    closed: list[str] = []

    async def long(window: ContextWindow) -> AsyncIterator[Step]:
        try:
            yield Speak(text="One.", reason="r")
            yield Speak(text="Two.", reason="r")
        finally:
            closed.append("inner")

    async def cut() -> None:
        stream = lane().around(Sessions(long)).decide(talk("My exam went well."))
        await anext(stream)
        await stream.aclose()
        closed.append("outer")

    asyncio.run(cut())
    assert closed == ["inner", "outer"]


class Broken(Lookout):
    def weigh(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Finding | None:
        raise MemoryError


def test_without_the_classifier_patterns_look_for_danger() -> None:
    safety = SafetyLane(Broken())
    assert isinstance(answer(talk(DANGER), safety=safety)[0], Alarm)
    assert words(answer(talk("My exam went well."), safety=safety)) == "Lovely weather today!"
    assert safety.failures == 2


class Refuting(Lookout):
    """Finds nothing in what only patterns take for danger."""

    def weigh(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Finding | None:
        return None


@pytest.mark.parametrize("said", [(DANGER,), (DANGER, "Lovely weather today!", "The exam is on Friday.")])
def test_what_the_lane_let_pass_is_the_policys_to_answer(said: tuple[str, ...]) -> None:
    safety = SafetyLane(Refuting())
    windows: list[ContextWindow] = []

    async def note(window: ContextWindow) -> AsyncIterator[Step]:
        windows.append(window)
        yield Speak(text="Lovely weather today!", reason="Light.")

    assert words(answer(talk(*said), Sessions(note), safety)) == "Lovely weather today!"
    assert windows[0].cleared
    # A whole mind does not come upon it again.
    told = answer(talk(*said), scripted.load().session(), safety)
    assert told
    assert not any(isinstance(step, Alarm) for step in told)


def test_all_looks_for_a_reply_share_their_patience() -> None:
    slow = threading.Event()

    class Slow(Lookout):
        looks = 0

        def weigh(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Finding | None:
            self.looks += 1
            slow.wait(10)
            return None

    safety = SafetyLane(Slow(), SafetyOptions(patience=50 * MS))
    try:
        with capture_logs() as logged:
            answer(talk("One.", "a", "Two."), safety=safety)
        assert safety.failures == len(logged) == 1
        assert safety._lookout.looks == 1  # type: ignore[attr-defined]  # the others were not waited for
    finally:
        slow.set()
        safety.close()


def test_a_classifier_that_hangs_is_not_waited_for() -> None:
    release = threading.Event()

    class Slow(Lookout):
        def weigh(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Finding | None:
            release.wait(10)
            return None

    safety = SafetyLane(Slow(), SafetyOptions(patience=20 * MS))
    try:
        assert isinstance(answer(talk(DANGER), safety=safety)[0], Alarm)
    finally:
        release.set()
        safety.close()


@given(st.sampled_from(["sad", "happy", "angry", "neutral", "uncertain"]), st.sampled_from(KINDS))
def test_no_look_takes_a_danger_away(face: str, kind: str) -> None:
    said_plainly = {
        "self_harm": DANGER,
        "medical": "He is unconscious and not breathing.",
        "abuse": "My husband beats me.",
        "harm_others": "I'm going to kill him.",
    }[kind]
    assert isinstance(answer(talk(said_plainly, face=face))[0], Alarm)


def hold(text: str, mind: Mind, *, personal: bool = False) -> tuple[Loopback, list[Event], str]:
    """A whole call in which ``text`` is said; the caller, its events, and its journal."""
    options = CallOptions(greeting=False, reflexes=False, turns=TurnOptions(silence=0))
    caller, out = Loopback(quiet(16)), StringIO()
    events: list[Event] = []
    clock = VirtualClock(COSTS)
    ear = Script("ear", said(text, 1.0, 3.0))
    parts = Parts([ear], Mindful(mind), PlainVoice(), options, lane("US"))
    clock.run(Call(caller, parts, clock, [events.append, Journal(out, personal=personal)]).run())
    return caller, events, out.getvalue()


def test_a_whole_call_shows_help_before_it_speaks() -> None:
    mind = Mind(kind_words)
    caller, events, journal = hold("I want to kill myself.", mind)
    assert not mind.windows
    shown = caller.of(Resource)
    assert len(shown) == 1
    assert isinstance(shown[0], Resource)
    assert shown[0].contacts[0].number == "988"
    assert shown[0].contacts[-1].number == "911"
    order = [type(action) for _, action in caller.actions]
    assert order.index(Resource) < next(
        n for n, (_, a) in enumerate(caller.actions) if isinstance(a, Caption) and a.speaker == "agent"
    )
    notes = [e.body for e in events if isinstance(e.body, Note) and e.body.event == "safety"]
    assert [note.data["kind"] for note in notes] == ["self_harm"]
    lines = [json.loads(line) for line in journal.splitlines()]
    found = next(line for line in lines if line.get("event") == "safety")
    assert set(found) == {"t", "type", "event", "level", "kind", "danger", "plain", "reply"}
    assert "kill" not in journal
    metrics = Metrics()
    for event in events:
        metrics.observe(event)
    assert 'rapport_safety_total{kind="self_harm"} 1.0' in metrics.text().decode()


def test_a_call_without_danger_shows_none() -> None:
    mind = Mind(kind_words)
    caller, events, _ = hold("My exam was on Friday.", mind)
    assert mind.windows
    assert not caller.of(Resource)
    decided: list[Decision] = [e.body.decision for e in events if isinstance(e.body, Decided)]
    assert not [d for d in decided if isinstance(d, Speak) and d.strategy == "safety"]


def missing(name: str) -> Any:
    raise FileNotFoundError(name)


def test_a_lane_without_its_classifier_still_stands(log: StructuredLogs) -> None:
    found = build.lane(Config(), missing)
    assert found is not None
    assert isinstance(answer(talk(DANGER), safety=found)[0], Alarm)
    assert "safety_classifier_missing" in [entry["event"] for entry in log]


def test_every_start_without_the_lane_is_warned_of(log: StructuredLogs) -> None:
    off = SafetyOptions(enabled=False, acknowledge=ACKNOWLEDGE)
    assert build.lane(Config(safety=off), missing) is None
    assert [(entry["event"], entry["log_level"]) for entry in log] == [("safety_lane_off", "warning")]


def test_old_numbers_are_warned_of(log: StructuredLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helplines, "reviewed", lambda: date(2020, 1, 1))
    build.lane(Config(), missing)
    assert "safety_resources_old" in [entry["event"] for entry in log]


def test_a_runtime_has_the_lane_around_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(workers=(), policy=Use("scripted"), voice=Use("plain"))
    with build.runtime(config, missing) as runtime:
        assert runtime.parts.lane is not None
        assert runtime.describe()["safety"] == "on"
        assert runtime.webhook is None
    off = replace(config, safety=SafetyOptions(enabled=False, acknowledge=ACKNOWLEDGE))
    with build.runtime(off, missing) as runtime:
        assert runtime.parts.lane is None
        assert runtime.describe()["safety"] == "off"
