"""Nobody is left in silence: every stage of a reply has its time, and something is said when it takes longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent.action import Action, Caption, PlayAudio, StopAudio
from agent.clock import VirtualClock
from agent.config import ConfigError, parse
from agent.farewell import HELP, LINE, Farewell
from agent.journal import Event, Metric, Note
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import Parts
from agent.reply import ReplyOptions
from agent.staged import Script
from agent.standby import Standby, VoiceHealth
from agent.thinking import Alarm, Told
from agent.transports import Signal
from agent.voices import Voice
from agent.voices.plain import PlainVoice
from agent.watch import SpeechWatch
from perception.context import ContextWindow, Turn
from perception.media import AudioChunk
from perception.timebase import MS, SECOND, Nanos
from policy import honesty
from policy.decision import Decision, Speak
from policy.safety.helplines import country
from tests.agent.stage import COSTS, Mind, Mindful, kind_words, merged, quiet, said
from tests.agent.test_loop import STILL

USUAL = ReplyOptions()
HELLO = Script("ear", said("Hello.", 1.0, 2.0) + said("Are you there?", 15.0, 16.0, 2))


class Flowing(VirtualClock):
    """Time that goes on while a policy or a voice keeps one waiting."""

    @asynccontextmanager
    async def working(self, label: str) -> AsyncIterator[None]:
        if label in ("policy", "voice"):
            yield
            return
        async with super().working(label):
            yield


class Slow(Mind):
    """Takes its time for its first decision."""

    after: Nanos = 4 * SECOND

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
        await asyncio.sleep(self.after / SECOND)
        for decision in kind_words(window):
            yield decision


def hold(
    mind: Mind, voice: Voice | None = None, *, caller: Loopback | None = None, standby: Standby | None = None
) -> tuple[Loopback, list[Event]]:
    """Hold one call in which two things are said."""
    events: list[Event] = []
    caller = caller or Loopback(quiet(27))
    clock = Flowing(COSTS)
    parts = Parts([HELLO], Mindful(mind), voice or PlainVoice(), STILL, standby=standby or Standby())
    clock.run(Call(caller, parts, clock, [events.append]).run())
    return caller, events


def notes(events: list[Event], name: str) -> list[Note]:
    return [e.body for e in events if isinstance(e.body, Note) and e.body.event == name]


def turns(events: list[Event]) -> list[str]:
    return [e.body.text for e in events if isinstance(e.body, Turn) and e.body.speaker == "agent"]


def kept(*lines: str) -> Standby:
    standby = Standby()
    asyncio.run(standby.warm(PlainVoice(), lines))
    return standby


def test_a_slow_policy_is_covered_by_a_filler() -> None:
    caller, events = hold(Slow(kind_words))
    assert [t.split(". ")[0] for t in turns(events)] == [USUAL.filler.rstrip(".")] * 2
    assert "sorry to hear" in turns(events)[0]
    first = caller.first_out(1)
    assert first is not None
    given = next(e.at for e in events if isinstance(e.body, Turn))
    assert first - given < 3100 * MS, "something is heard three seconds after the turn was given"
    assert len(notes(events, "reply_filler")) == 2
    tokens = [e.body.value for e in events if isinstance(e.body, Metric) and e.body.name == "first_token"]
    assert tokens == pytest.approx([4.0, 4.0], abs=0.01)


def test_a_quick_one_is_not() -> None:
    _, events = hold(Mind(kind_words))
    assert not notes(events, "reply_filler")
    assert USUAL.filler not in " ".join(turns(events))


class Hoarse(PlainVoice):
    """A voice that does not come, in one of several ways."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.asked = 0

    async def say(self, text: str, tone: str, /) -> AsyncGenerator[AudioChunk, None]:
        self.asked += 1
        if self.how == "hangs":
            await asyncio.Event().wait()
        async for chunk in super().say(text, tone):
            yield chunk
            if self.how == "breaks off":
                raise RuntimeError("no breath")
            if self.how == "stops":
                await asyncio.Event().wait()


@pytest.mark.parametrize("how", ["hangs", "breaks off", "stops"])
def test_a_voice_that_fails_is_told_of_once_and_left_alone(how: str) -> None:
    voice = Hoarse(how)
    caller, events = hold(Mind(kind_words), voice, standby=kept(*USUAL.lines))
    assert voice.asked == 2, "once in each reply: it rests in between"
    failed = notes(events, "voice_failed")
    assert [n.data["late"] for n in failed] == [how != "breaks off"] * 2
    shown = [a for a in caller.of(Caption) if isinstance(a, Caption) and a.final and a.speaker == "agent"]
    assert USUAL.voiceless in shown[0].text
    assert shown[0].text.endswith("Do you want to tell me more?")
    assert USUAL.voiceless not in shown[1].text, "not again within a minute"
    sound = sum(a.chunk.duration for a in caller.of(PlayAudio) if isinstance(a, PlayAudio))
    assert sound > 2 * SECOND, "what was kept is heard"
    assert "Do you want to tell me more?" in turns(events)[0]


def test_the_fallback_line_is_heard_even_without_mind_and_voice() -> None:
    def fail(window: ContextWindow) -> Iterable[Decision]:
        raise RuntimeError("no mind")
        yield

    caller, events = hold(Mind(fail), Hoarse("hangs"), standby=kept(*USUAL.lines))
    assert turns(events) == [USUAL.fallback, USUAL.fallback]
    assert caller.first_out(1) is not None
    assert USUAL.voiceless not in turns(events)[0]


def test_with_nothing_kept_it_is_read() -> None:
    caller, events = hold(Mind(kind_words), Hoarse("hangs"))
    assert not caller.of(PlayAudio)
    shown = [a.text for a in caller.of(Caption) if isinstance(a, Caption) and a.final and a.speaker == "agent"]
    assert USUAL.voiceless in shown[0]
    assert turns(events)[0].endswith("Do you want to tell me more?")


def test_a_voice_that_is_back_is_heard_again() -> None:
    health = VoiceHealth(10 * SECOND)
    assert health.usable(0)
    health.failed(0)
    assert health.tells(0)
    assert not health.usable(9 * SECOND)
    assert health.usable(10 * SECOND)
    health.failed(10 * SECOND)
    assert not health.usable(29 * SECOND), "the pause doubles"
    assert not health.tells(30 * SECOND)
    health.spoke()
    assert health.usable(0)
    assert health.tells(0)


class Stuck(Loopback):
    """A caller to whom no sound gets through, until it is stopped."""

    def __init__(self, script: list[AudioChunk]) -> None:
        super().__init__(script)
        self._stopped = asyncio.Event()

    async def send(self, action: Action) -> None:
        self.actions.append((0, action))
        if isinstance(action, StopAudio):
            self._stopped.set()
        elif isinstance(action, PlayAudio) and action.reply == 1:
            await self._stopped.wait()
        elif isinstance(action, PlayAudio):
            await self._player.carry_out(action)


def test_speech_that_does_not_leave_is_noticed_and_given_up() -> None:
    caller, events = hold(Mind(kind_words), caller=Stuck(quiet(27)))
    (silent,) = [e for e in events if isinstance(e.body, Note) and e.body.event == "reply_silent"]
    (stalled,) = [e for e in events if isinstance(e.body, Note) and e.body.event == "reply_stalled"]
    began = next(e.at for e in events if isinstance(e.body, Note) and e.body.data.get("state") == "speaking")
    assert SECOND <= silent.at - began < 1500 * MS
    assert 4 * SECOND <= stalled.at - began < 4600 * MS
    assert len(turns(events)) == 1, "the second answer is heard, of the first nothing was"
    assert caller.first_out(2) is not None


def test_the_watch_knows_a_pause_from_a_stall() -> None:
    watch = SpeechWatch(SECOND, 3 * SECOND)
    assert watch.step(0, SECOND, 0, held=False) == ""
    assert watch.step(2 * SECOND, SECOND, 0, held=True) == "", "held on purpose"
    assert watch.step(2500 * MS, SECOND, 0, held=False) == ""
    assert watch.step(3100 * MS, SECOND, 0, held=False) == "silent"
    assert watch.step(3200 * MS, SECOND, 0, held=False) == "", "told once"
    assert watch.step(3300 * MS, SECOND, 500 * MS, held=False) == ""
    assert watch.step(9 * SECOND, SECOND, SECOND, held=False) == "", "all of it has left"
    assert watch.step(10 * SECOND, 2 * SECOND, SECOND, held=False) == "silent"
    assert watch.step(13 * SECOND, 2 * SECOND, SECOND, held=False) == "stalled"


def test_a_reply_does_not_go_on_for_ever() -> None:
    def endless(window: ContextWindow) -> Iterable[Decision]:
        while True:
            yield Speak(text="And another thing, while we are at it.", reason="So it is.")

    events: list[Event] = []
    clock = VirtualClock(COSTS)
    ear = Script("ear", said("Hello.", 1.0, 2.0))
    options = replace(STILL, reply=ReplyOptions(whole=12 * SECOND))
    clock.run(
        Call(
            Loopback(quiet(30)), Parts([ear], Mindful(Mind(endless)), PlainVoice(), options), clock, [events.append]
        ).run()
    )
    assert len(notes(events, "reply_overran")) == 1
    (turn,) = [e.body for e in events if isinstance(e.body, Turn) and e.body.speaker == "agent"]
    assert not turn.cut
    assert 12 * SECOND < turn.end - turn.start < 17 * SECOND, "the clause that was begun is said to its end"


@pytest.mark.parametrize("at", [1.5, 3.0], ids=["while they talk", "while it talks"])
def test_a_server_that_stops_takes_its_leave(at: float) -> None:
    script = merged(quiet(27), [(round(at * SECOND), Signal("closing", left=20 * SECOND))])
    caller, events = hold(Mind(kind_words), caller=Loopback(script))
    (note,) = notes(events, "closing")
    assert note.data["seconds"] == 20
    (reply,) = {a.reply for a in caller.of(Caption) if isinstance(a, Caption) and a.text == LINE}
    begun = caller.first_out(reply)
    assert begun is not None
    assert begun - at * SECOND < 8 * SECOND


@pytest.mark.parametrize("danger", [True, False])
def test_whoever_was_in_danger_is_not_left_without_help(danger: bool) -> None:
    farewell = Farewell()
    farewell.danger = danger

    async def said() -> list[str]:
        return [step.text async for step in farewell.decide(ContextWindow(start=0, end=SECOND))]

    assert asyncio.run(said()) == ([LINE, HELP] if danger else [LINE])


def test_a_danger_that_the_lane_met_is_remembered() -> None:
    def alarmed(window: ContextWindow) -> Iterable[Told]:
        if window.cue == "end_of_turn":
            yield Alarm(kind="self_harm", country=country(""))
        yield Speak(text="I am here.", reason="A danger.", strategy="safety")

    script = merged(quiet(27), [(4 * SECOND, Signal("closing", left=20 * SECOND))])
    caller, _ = hold(Mind(alarmed), caller=Loopback(script))  # type: ignore[arg-type]
    assert any(isinstance(a, Caption) and a.text == f"{LINE} {HELP}" for a in caller.of(Caption))


@pytest.mark.parametrize("line", [LINE, HELP, *USUAL.lines])
def test_no_line_holds_anybody_or_claims_to_be_human(line: str) -> None:
    assert not honesty.hooks(line)
    assert len(line.split()) < 40


@pytest.mark.parametrize(
    ("key", "value"),
    [("first_sound", 0), ("filler_after", -1), ("stalled_after", 0.5), ("whole", 0), ("silent_after", 0)],
)
def test_a_budget_that_makes_no_sense_is_named(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"call\.reply\.{key}"):
        parse({"call": {"reply": {key: value}}}, "my.toml")


def test_what_a_voice_cannot_say_is_not_kept() -> None:
    standby = Standby()
    asyncio.run(standby.warm(Hoarse("breaks off"), ["Hello."]))
    assert not standby.sound("Hello.")
    assert kept("Hello.").sound("Hello.")
