"""The call as a whole, on the virtual clock: exact times, no sleeps, no models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest

from agent.action import Caption, Display, HoldAudio, PlayAudio, StopAudio
from agent.clock import VirtualClock
from agent.initiative import InitiativeOptions
from agent.journal import Metric, Note
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.reply import ReplyOptions
from agent.staged import Script
from agent.transports import Signal
from agent.turns import TurnOptions
from agent.voices.plain import PlainVoice
from perception.context import CUE_GREETING, CUE_QUESTION, CUE_SILENCE, ContextWindow, Turn
from perception.media import AudioChunk, Text
from perception.percept import END_OF_TURN, SENSE_BACK, SENSE_LOST, SPEECH_ENDED, SPEECH_STARTED, Percept
from perception.timebase import MS, SECOND
from policy.decision import Backchannel, Decision, Express, Speak, Wait
from tests.agent.stage import COSTS, Mind, Mindful, Played, frames, kind_words, look, merged, percept, play, quiet, said

STILL = CallOptions(
    greeting=False, reflexes=False, turns=TurnOptions(silence=0), initiative=InitiativeOptions(enabled=False)
)


def test_a_turn_gets_its_reply() -> None:
    played = play(quiet(12), [Script("ear", said("My dog died last night.", 1.0, 3.0))])
    (_, user), (_, agent) = played.of(Turn)
    assert user == Turn("user", "My dog died last night.", SECOND, 3 * SECOND)
    assert isinstance(agent, Turn)
    assert (agent.speaker, agent.text, agent.cut) == (
        "agent",
        "I am sorry to hear that. Do you want to tell me more?",
        False,
    )
    assert 3.8 * SECOND < agent.start < 4.0 * SECOND, "0.8 s of silence after heavy words"
    assert [type(d) for d in played.decided] == [Express, Speak, Speak]


def test_what_the_person_sees_and_hears() -> None:
    played = play(quiet(12), [Script("ear", said("My dog died last night.", 1.0, 3.0))])
    captions = [a for _, a in played.caller.actions if isinstance(a, Caption)]
    assert captions[0] == Caption("user", "My dog", final=False)
    assert Caption("user", "My dog died last night.", final=True) in captions
    agent = [c for c in captions if c.speaker == "agent"]
    assert agent[0].text == "I am sorry to hear that."
    assert agent[-1] == Caption("agent", "I am sorry to hear that. Do you want to tell me more?", True, reply=1)
    assert {d.emotion for _, d in played.caller.actions if isinstance(d, Display)} == {"concern"}
    sound = sum(a.chunk.duration for _, a in played.caller.actions if isinstance(a, PlayAudio))
    assert played.caller.played(1) == pytest.approx(sound, abs=30 * MS)
    assert played.caller.closed == 1
    assert played.mind.closed == 1


def test_the_second_clause_is_written_while_the_first_is_heard() -> None:
    thought: list[int] = []

    class Slow(Mind):
        async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
            for decision in kind_words(window):
                yield decision
                thought.append(clock.now())

    mind = Slow(kind_words)
    clock = VirtualClock(COSTS)
    caller = Loopback(quiet(12))
    parts = Parts([Script("ear", said("Hello you.", 1.0, 2.0))], Mindful(mind), PlainVoice(), STILL)
    clock.run(Call(caller, parts, clock).run())
    first = caller.first_out(1)
    assert first is not None
    end_of_first_clause = first + 24 * 60 * MS
    assert thought[-1] < end_of_first_clause


def test_stages_are_measured() -> None:
    played = play(quiet(12), [Script("ear", said("We had a long day.", 1.0, 3.0))])
    metrics = {m.name: m.value for _, m in played.of(Metric) if isinstance(m, Metric)}
    assert metrics["end_of_turn"] == pytest.approx(0.640, abs=0.003)
    assert metrics["words"] == pytest.approx(0.0, abs=0.003)
    assert metrics["decide"] == pytest.approx(0.0, abs=0.001), "it was decided while the silence lasted"
    assert 0.64 < metrics["voice_to_voice"] < 0.70
    assert metrics["ear_dropped_count"] == 0


def test_an_interruption_leaves_only_what_was_heard() -> None:
    ear = said("My dog died last night.", 1.0, 3.0) + said("Wait, let me say it again.", 4.85, 6.4, utterance=2)
    played = play(quiet(20), [Script("ear", ear)])
    turns = [t for _, t in played.of(Turn) if isinstance(t, Turn)]
    assert [(t.speaker, t.cut) for t in turns] == [("user", False), ("agent", True), ("user", False), ("agent", False)]
    assert turns[1].text == "I am sorry to hear"
    kinds = [type(a) for _, a in played.caller.actions]
    assert kinds.index(HoldAudio) < kinds.index(StopAudio)
    held = next(t for t, a in played.caller.actions if isinstance(a, HoldAudio))
    assert held - 4.85 * SECOND < 150 * MS, "the voice is held within 150 ms of the person's first sound"
    cut = next(a for _, a in played.caller.actions if isinstance(a, Caption) and a.cut)
    assert (cut.text, cut.final) == (turns[1].text, True)
    assert [w.turns[-2].text for w in played.mind.windows[1:]] == ["I am sorry to hear"], (
        "the policy knows what was heard"
    )


def test_a_cough_does_not_cost_the_reply() -> None:
    ear = said("My dog died last night.", 1.0, 3.0) + said("", 4.4, 4.6, utterance=2)
    played = play(quiet(20), [Script("ear", ear)])
    turns = [t for _, t in played.of(Turn) if isinstance(t, Turn)]
    assert [t.cut for t in turns] == [False, False]
    assert [a.held for a in played.caller.of(HoldAudio) if isinstance(a, HoldAudio)] == [True, False]
    assert not played.caller.of(StopAudio)


def test_going_on_before_the_reply_is_heard_makes_one_reply() -> None:
    ear = said("We sold it.", 1.0, 3.0) + said("Last night.", 3.56, 4.5, utterance=2)
    options = replace(STILL, turns=TurnOptions(silence=0, drafts=False))
    played = play(quiet(20), [Script("ear", ear)], options=options)
    turns = [t for _, t in played.of(Turn) if isinstance(t, Turn)]
    assert [t.speaker for t in turns] == ["user", "user", "agent"]
    assert played.caller.first_out(1) is None, "nothing of the first one was heard"


def test_a_reply_that_was_prepared_in_a_pause_is_dropped_and_nobody_knows() -> None:
    ear = said("We sold it.", 1.0, 3.0) + said("All of it, last night.", 3.5, 5.0, utterance=2)
    played = play(quiet(20), [Script("ear", ear)])
    assert [t.text for _, t in played.of(Turn) if isinstance(t, Turn) and t.speaker == "user"] == [
        "We sold it. All of it, last night."
    ]
    notes = [n.event for _, n in played.of(Note) if isinstance(n, Note)]
    assert (notes.count("reply_drafted"), notes.count("draft_dropped")) == (2, 1)
    assert [w.turns[-1].text for w in played.mind.windows] == ["We sold it.", "We sold it. All of it, last night."]
    assert len(played.mind.windows[-1].turns) == 1, "the draft has left nothing in the context"
    first = next(t for t, a in played.caller.actions if isinstance(a, (PlayAudio, Display)))
    assert first >= 5.64 * SECOND
    assert {d.reply for d in played.caller.of(Display) if isinstance(d, Display)} == {2}


def test_a_draft_is_what_is_said_in_the_end() -> None:
    played = play(quiet(12), [Script("ear", said("We sold it.", 1.0, 3.0))])
    assert len(played.mind.windows) == 1, "the policy was asked once, in the pause"
    assert played.mind.windows[0].end < 3.4 * SECOND
    assert [t.speaker for _, t in played.of(Turn) if isinstance(t, Turn)] == ["user", "agent"]


def murmuring(pause: float) -> Played:
    """Somebody talks for five seconds, pauses, and goes on."""
    ear = [
        *said("So I went to the station because I", 1.0, 6.0)[:1],
        (round(6.2 * SECOND), percept(SPEECH_ENDED, 1.0, 6.0)),
        (round(6.26 * SECOND), percept(END_OF_TURN, 1.0, 6.2, "incomplete", probability=0.05)),
        (round((6.0 + pause + 0.1) * SECOND), percept(SPEECH_STARTED, 6.0 + pause, 6.1 + pause)),
    ]
    return play(quiet(12), [Script("ear", ear)], options=replace(STILL, reflexes=True))


def test_a_sound_of_listening_falls_into_the_pause() -> None:
    played = murmuring(1.5)
    (sound,) = [d for d in played.decided if isinstance(d, Backchannel)]
    first = played.caller.first_out(1)
    assert sound.token
    assert first is not None
    assert 6.26 * SECOND <= first <= 6.4 * SECOND
    assert not played.caller.of(StopAudio)


def test_a_sound_of_listening_stops_when_the_person_goes_on() -> None:
    played = murmuring(0.22)
    first = played.caller.first_out(1)
    assert first is not None
    assert [a.reply for a in played.caller.of(StopAudio) if isinstance(a, StopAudio)] == [1]
    assert first + played.caller.played(1) - 6.22 * SECOND < 300 * MS, "it lies over the words for less than 300 ms"


def test_a_look_grows_holds_and_fades() -> None:
    played = play(frames(16), [Script("eye", [look(2.0, "sad")], sees=True)], options=replace(STILL, reflexes=True))
    shown = [(t, a) for t, a in played.caller.actions if isinstance(a, Display)]
    assert [(a.emotion, round(t / SECOND, 1)) for t, a in shown] == [
        ("concern", 2.0),
        ("concern", 2.4),
        ("concern", 7.0),
        ("neutral", 8.5),
    ]
    onset, peak, fading, rest = (a.intensity for _, a in shown)
    assert onset < peak
    assert rest < fading < peak


def test_listening_is_a_decision_too() -> None:
    played = play(
        quiet(8),
        [Script("ear", said("I just need a moment.", 1.0, 3.0))],
        lambda _: [Wait(reason="They asked for it.")],
    )
    assert [type(d) for d in played.decided] == [Wait]
    assert not played.caller.of(PlayAudio)
    assert [t.speaker for _, t in played.of(Turn) if isinstance(t, Turn)] == ["user"]


def fail(window: ContextWindow) -> Iterable[Decision]:
    raise RuntimeError("no mind")
    yield


def test_a_failing_policy_is_covered_by_a_caring_line() -> None:
    played = play(quiet(15), [Script("ear", said("Hello.", 1.0, 2.0) + said("Are you there?", 9.0, 10.0, 2))], fail)
    turns = [t for _, t in played.of(Turn) if isinstance(t, Turn) and t.speaker == "agent"]
    assert [t.text for t in turns] == [ReplyOptions().fallback] * 2
    assert [n.event for _, n in played.of(Note) if isinstance(n, Note) and n.level == "error"] == ["policy_failed"] * 2


def test_a_policy_that_fails_in_mid_reply_keeps_what_was_said() -> None:
    def half(window: ContextWindow) -> Iterable[Decision]:
        yield Speak(text="I am sorry.", reason="Loss.")
        raise RuntimeError("no more")

    played = play(quiet(8), [Script("ear", said("Hello.", 1.0, 2.0))], half)
    assert [t.text for _, t in played.of(Turn) if isinstance(t, Turn)] == ["Hello.", "I am sorry."]


def test_a_policy_that_is_late_is_covered_too() -> None:
    class Stuck(Mind):
        async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
            await asyncio.Event().wait()
            yield Wait(reason="never")

    # Time must go on while the policy hangs, so the work is given a long fixed cost.
    clock = VirtualClock(COSTS | {"policy": 60 * SECOND})
    caller = Loopback(quiet(12))
    parts = Parts([Script("ear", said("Hello.", 1.0, 2.0))], Mindful(Stuck(kind_words)), PlainVoice(), STILL)
    clock.run(Call(caller, parts, clock).run())
    both = f"{ReplyOptions().filler} {ReplyOptions().fallback}"
    assert Caption("agent", both, final=True, reply=1) in caller.of(Caption)


def test_a_failing_voice_leaves_the_caption() -> None:
    class Hoarse(PlainVoice):
        async def say(self, text: str, tone: str, /):  # type: ignore[no-untyped-def]
            raise RuntimeError("no voice")
            yield

    clock = VirtualClock(COSTS)
    caller = Loopback(quiet(8))
    mind = Mind(kind_words)
    parts = Parts([Script("ear", said("Hello.", 1.0, 2.0))], Mindful(mind), Hoarse(), STILL)
    clock.run(Call(caller, parts, clock).run())
    final = [c for c in caller.of(Caption) if isinstance(c, Caption) and c.final and c.speaker == "agent"]
    assert final[0].text == f"I am sorry to hear that. {ReplyOptions().voiceless} Do you want to tell me more?"


def test_typed_words_are_answered() -> None:
    script = merged(quiet(8), [Text("hello there", at=2 * SECOND)])
    played = play(script, [Script("ear", [])])
    assert next(t.text for _, t in played.of(Turn) if isinstance(t, Turn)) == "hello there"
    assert len(played.mind.windows) == 1


def test_asked_to_stop_it_stops() -> None:
    script = merged(quiet(8), [Text("hello there", at=2 * SECOND)], [(3 * SECOND, Signal("stop"))])
    played = play(script, [Script("ear", [])])
    agent = [t for _, t in played.of(Turn) if isinstance(t, Turn) and t.speaker == "agent"]
    assert agent[0].cut
    assert played.caller.played(1) < 1100 * MS


def test_it_greets_and_asks_in_a_long_silence_but_not_for_ever() -> None:
    cues: list[str] = []

    def answer(window: ContextWindow) -> Iterable[Decision]:
        cues.append(window.cue)
        return [Wait(reason="Quiet.")]

    options = CallOptions(greeting=True, reflexes=False, turns=TurnOptions(silence=10 * SECOND, silence_most=2))
    play(quiet(100), [Script("ear", [])], answer, options=options)
    assert cues == [CUE_GREETING, CUE_SILENCE, CUE_SILENCE]


def test_a_camera_that_stops_is_reported_and_so_is_its_return() -> None:
    pictures = [f for f in frames(12) if not 3 * SECOND < f.at < 8 * SECOND]
    played = play(merged(quiet(12), pictures), [Script("ear", []), Script("eye", [], sees=True)])
    found = [(t, p.kind, p.label) for t, p in played.of(Percept) if isinstance(p, Percept)]
    assert [(k, label) for _, k, label in found] == [(SENSE_LOST, "camera"), (SENSE_BACK, "camera")]
    assert found[0][0] == pytest.approx(5.0, abs=0.6)
    assert found[1][0] == pytest.approx(8.0, abs=0.6)


def test_no_camera_at_all_is_reported_not_read_as_calm() -> None:
    played = play(quiet(5), [Script("ear", []), Script("eye", [], sees=True)])
    assert [(p.kind, p.label) for _, p in played.of(Percept) if isinstance(p, Percept)] == [(SENSE_LOST, "camera")]


def test_a_refused_sense_sees_nothing_and_is_known_to_be_refused() -> None:
    caller = Loopback(merged(quiet(8), frames(8)), senses=frozenset({"ear"}))
    eye = Script("eye", [look(1.5, "sad")], sees=True)
    played = play([], [Script("ear", said("Hello.", 1.0, 2.0)), eye], caller=caller)
    assert not [p for _, p in played.of(Percept) if isinstance(p, Percept) and p.worker == "eye"]
    (window,) = played.mind.windows
    assert window.refused == {"eye"}
    assert not window.frames
    assert window.audio


def test_nothing_is_perceived_before_consent() -> None:
    caller = Loopback(merged(quiet(8), frames(8)), senses=frozenset())
    played = play(
        [], [Script("ear", said("Hello.", 1.0, 2.0)), Script("eye", [look(1, "sad")], sees=True)], caller=caller
    )
    assert not played.of(Percept)
    assert not played.of(Turn)


def test_a_sense_refused_in_mid_call_is_silent_from_then_on() -> None:
    caller = Loopback(quiet(0))

    def until_five(items: Iterable[AudioChunk]) -> Iterable[AudioChunk]:
        for item in items:
            if item.start == 5 * SECOND:
                caller.senses = frozenset()
            yield item

    caller._script = until_five(quiet(12))
    ear = said("Hello.", 1.0, 2.0) + said("Still there?", 6.0, 7.0, 2)
    played = play([], [Script("ear", ear)], caller=caller)
    assert [t.text for _, t in played.of(Turn) if isinstance(t, Turn) and t.speaker == "user"] == ["Hello."]


def test_the_policy_reads_along_while_the_person_speaks() -> None:
    ear = said("My dog died last night and I do not know what to do.", 1.0, 6.0)
    played = play(quiet(15), [Script("ear", ear)])
    assert played.mind.prepared
    assert played.mind.prepared[0].cue == ""
    assert played.mind.prepared[0].hearing.startswith("My dog died")
    assert played.mind.prepared[0].end < played.mind.windows[0].end


def test_hanging_up_ends_the_call_at_once() -> None:
    caller = Loopback(quiet(4.6), hang_up=True)
    played = play([], [Script("ear", said("My dog died last night.", 1.0, 3.0))], caller=caller)
    assert played.end < 5 * SECOND
    assert played.caller.closed == 1
    agent = [t for _, t in played.of(Turn) if isinstance(t, Turn) and t.speaker == "agent"]
    assert agent[0].cut


def test_the_same_call_twice_is_the_same_journal() -> None:
    def once() -> list[str]:
        ear = said("My dog died last night.", 1.0, 3.0) + said("Wait, let me say it again.", 4.4, 6.0, utterance=2)
        eye = [look(t / 10, "sad") for t in range(10, 150, 4)]
        played = play(merged(quiet(20), frames(20)), [Script("ear", ear), Script("eye", eye, sees=True)])
        return [repr(e) for e in played.events]

    assert once() == once()


def test_a_recording_is_listened_to_and_only_questions_are_answered() -> None:
    options = CallOptions(
        greeting=False, reflexes=False, answers="questions", turns=TurnOptions(silence=0), prepare_every=3600 * SECOND
    )
    question = Text("Which emotion fits?", at=8 * SECOND, form="single", options=("A. sad", "B. happy"))
    ear = said("My dog died last night.", 1.0, 3.0) + said("I miss him.", 8.05, 9.0, utterance=2)
    answer = Speak(text="A", reason="A loss.")
    played = play(merged(quiet(12), [question]), [Script("ear", ear)], lambda _: [answer], options=options)
    (window,) = played.mind.windows
    assert window.cue == CUE_QUESTION
    assert [e for e in window.entries if isinstance(e, Text)] == [question]
    assert [t.text for t in window.turns] == ["My dog died last night."]
    assert played.decided == [answer]
    turns = [body for _, body in played.of(Turn)]
    assert [(t.speaker, t.text, t.cut) for t in turns if isinstance(t, Turn)] == [
        ("user", "My dog died last night.", False),
        ("user", "Which emotion fits?", False),
        ("agent", "A", False),
        ("user", "I miss him.", False),
    ]
