from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.action import Caption
from agent.clock import VirtualClock
from agent.config import Config, parse
from agent.disclosure import Disclosing
from agent.itself import REASON, Itself
from agent.itself_config import facts_of
from agent.itself_facts import Facts
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.staged import Script
from agent.thinking import Told
from agent.voices.plain import PlainVoice
from perception.context import CUE_END_OF_TURN, CUE_QUESTION, CUE_SILENCE, ContextWindow, Entry, Turn
from perception.media import AudioChunk, Text, VideoFrame
from perception.percept import EXPRESSION, FACE, SENSE_LOST, Percept
from perception.timebase import SECOND
from policy import honesty
from policy.decision import Express, Speak
from tests.agent.stage import COSTS, Mind, Mindful, kind_words, quiet

TALK = Path(__file__).parents[2] / "docs" / "privacy.md"
GREETED = Turn("agent", "Hi, I'm Rapport, an AI. I'm listening.", 0, SECOND)


class Sense:
    def __init__(self, name: str, *accepts: type) -> None:
        self.name, self.accepts = name, accepts

    def __call__(self) -> Sense:
        return self

    def feed(self, media: Sequence[Any]) -> list[Percept]:
        return []


SENSES = [Sense("asr", AudioChunk), Sense("prosody", AudioChunk), Sense("face", VideoFrame)]


class Caller(Loopback):
    """A caller whose gate says whether a journal is written, and whether words are."""

    def __init__(self, *, senses: frozenset[str] | None = None, journal: bool = False, recording: bool = False) -> None:
        super().__init__((), senses=senses)
        self.journal = object() if journal else None
        self.recording = recording


def config(**table: Any) -> Config:
    return parse(table, "test")


def window(*entries: Entry, cue: str = CUE_END_OF_TURN, **more: Any) -> ContextWindow:
    return ContextWindow(start=0, end=10 * SECOND, entries=(GREETED, *entries), cue=cue, **more)


def told(
    words: str | ContextWindow,
    settings: Config | Facts | None = None,
    caller: Caller | None = None,
    mind: Mind | None = None,
) -> list[Told]:
    facts = settings if isinstance(settings, Facts) else facts_of(settings or Config())
    shared = Itself(facts, SENSES)
    clock = VirtualClock(start=datetime(2026, 12, 1, 15, 10, tzinfo=UTC))
    session = shared.around(mind or Mind(kind_words), caller or Caller(), clock)
    at = words if isinstance(words, ContextWindow) else window(Turn("user", words, 8 * SECOND, 9 * SECOND))

    async def collect() -> list[Told]:
        return [step async for step in Disclosing(session).decide(at)]

    try:
        return asyncio.run(collect())
    finally:
        shared.close()


def answer(*args: Any, **kwargs: Any) -> str:
    return " ".join(step.text for step in told(*args, **kwargs) if isinstance(step, Speak))


FAR = {"use": "openai_api", "url": "https://models.example/v1", "model": "Org/Some-Chat-7B"}
HERE = {"use": "openai_api", "url": "http://127.0.0.1:8000/v1", "model": "Some-Chat-7B"}
CONFIGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {}),
    "journal": ({"journal": {"directory": "/tmp/j"}}, {"journal": True}),
    "words": ({"journal": {"directory": "/tmp/j", "personal": True}}, {"journal": True, "recording": True}),
    "words refused": ({"journal": {"directory": "/tmp/j", "personal": True}}, {"journal": True}),
    "served far": ({"policy": FAR}, {}),
    "served here": ({"policy": HERE}, {}),
    "words only, far": ({"policy": {**FAR, "hears": False, "sees": False}}, {}),
    "typed only": ({}, {"senses": frozenset()}),
}


@pytest.fixture(params=CONFIGS)
def case(request: pytest.FixtureRequest) -> tuple[str, Config, dict[str, Any]]:
    table, call = CONFIGS[request.param]
    return request.param, config(**table), call


ASKS = {
    "recording": "Are you recording this?",
    "who": "Who can hear me?",
    "tell": "Will you tell anyone?",
    "where": "Where do my words go?",
    "keep": "How long do you keep what I say?",
    "delete": "Can I delete what I told you?",
    "training": "Is this used to train you?",
    "cloud": "Is this sent to the cloud?",
}


@pytest.mark.parametrize("ask", ASKS)
def test_what_it_says_of_privacy_is_true_in_every_configuration(
    case: tuple[str, Config, dict[str, Any]], ask: str
) -> None:
    name, settings, call = case
    for turn in range(3):  # each of the variants
        before = [Turn("user", "Well.", k * SECOND, k * SECOND + 1) for k in range(1, turn + 1)]
        entries = [e for b in before for e in (b, Turn("agent", "Mm.", b.end, b.end + 1))]
        said = answer(window(*entries, Turn("user", ASKS[ask], 8 * SECOND, 9 * SECOND)), settings, Caller(**call))
        far = name in {"served far", "words only, far"}
        words = name == "words"
        assert said, (name, ask)
        # Whoever is sent the words is named wherever it matters, and nobody else is.
        assert ("models.example" in said) == far, said
        if ask == "recording":
            assert ("Yes, in writing" in said or "written log" in said) == words, said
            assert ("log" in said) == (name in {"journal", "words", "words refused"}), said
        if ask == "keep":
            assert "30 seconds" in said
            assert ("1 day" in said) == words, said
            assert ("30 days" in said) <= (name in {"journal", "words", "words refused"}), said
        if ask == "who":
            assert ("whoever runs me can read" in said.lower()) == words or "can read it" in said, said
        if ask == "delete":
            assert ("whoever runs me" in said.lower()) == (name in {"journal", "words", "words refused"}), said
        if ask == "cloud" and not far:
            assert said.startswith("No"), said
        if name == "words only, far":
            assert "picture" not in said.replace("Sound and pictures", "").replace("sound and pictures", "").replace(
                "words, sound or pictures", ""
            ).replace("sound or pictures", ""), said


def test_the_promises_it_makes_are_those_of_the_document() -> None:
    text = " ".join(TALK.read_text(encoding="utf-8").split())
    for promise in (
        "Sound and pictures are never written. They are in memory for 30 s",
        "`privacy.keep_words_days` (1)",
        "`privacy.keep_journals_days` (30)",
        "Nobody is recognised.",
        "no memory from one call to the next",
        "What is taken back in mid-call is fed nothing more from that moment",
        "What a served model (`openai_api`) was sent is with whoever runs it.",
    ):
        assert promise in text, promise
    facts = facts_of(Config())
    assert (facts.words_days, facts.journal_days, facts.media_span) == (1, 30, 30 * SECOND)


@pytest.mark.parametrize(
    ("settings", "has", "lacks"),
    [
        ({}, "", "danger"),
        ({"safety": {"webhook": "https://ops.example/hook"}}, "without", ""),
        (
            {"deployment": {"operator": "the Riverside Library"}, "safety": {"webhook": "https://ops.example/h"}},
            "Library",
            "",
        ),
    ],
)
def test_it_says_whom_it_tells_of_danger(settings: dict[str, Any], has: str, lacks: str) -> None:
    said = answer("Is this private?", config(**settings))
    assert has in said
    assert not lacks or lacks not in said


def faces(label: str = "present", look: str = "") -> list[Entry]:
    found: list[Entry] = [Percept(FACE, label, 9 * SECOND, 9 * SECOND, 0.9, "face", {"count": 1.0})]
    if look:
        shares = {look: 0.9}
        found += [Percept(EXPRESSION, look, t * SECOND, (t + 1) * SECOND, 0.9, "face", shares) for t in (6, 7, 8)]
    return found


LOST = Percept(SENSE_LOST, "camera", 5 * SECOND, 6 * SECOND, 1.0, "runtime")


@pytest.mark.parametrize(
    ("entries", "senses", "refused", "expected"),
    [
        (faces(), None, frozenset(), r"^Yes, .*see"),
        (faces("absent"), None, frozenset(), r"can't find a face|don't see anybody"),
        ([], None, frozenset(), r"haven't made out|can't make anything out"),
        ([LOST], None, frozenset(), r"no picture|No picture"),
        ([], frozenset({"asr", "prosody"}), frozenset({"face"}), r"isn't (?:allowed|switched on) for me"),
        ([], frozenset(), frozenset({"face", "asr", "prosody"}), r"isn't (?:allowed|switched on) for me"),
    ],
)
def test_it_says_what_it_sees_just_now(
    entries: list[Entry], senses: frozenset[str] | None, refused: frozenset[str], expected: str
) -> None:
    at = window(*entries, Turn("user", "Can you see me?", 8 * SECOND, 9 * SECOND), refused=refused)
    said = answer(at, caller=Caller(senses=senses))
    assert re.search(expected, said), said


@pytest.mark.parametrize(
    ("entry", "senses", "expected"),
    [
        (Turn("user", "Can you hear me?", 8 * SECOND, 9 * SECOND), None, r"^Yes"),
        (Text("Can you hear me?", 9 * SECOND), frozenset(), r"microphone isn't"),
        (Text("Can you hear me?", 9 * SECOND), None, r"haven't (?:heard|made out) any words"),
    ],
)
def test_it_says_whether_it_hears(entry: Entry, senses: frozenset[str] | None, expected: str) -> None:
    at = window(entry, cue=CUE_QUESTION if isinstance(entry, Text) else CUE_END_OF_TURN)
    assert re.search(expected, answer(at, caller=Caller(senses=senses)))


def test_where_feelings_are_not_read_it_claims_to_read_none() -> None:
    facts = facts_of(config(deployment={"context": "workplace"}))
    said = answer(window(*faces(), Turn("user", "How do I look?", 8 * SECOND, 9 * SECOND)), facts)
    assert "feel" in said
    hints = answer("Can you tell how I feel?", facts)
    assert "voice" not in hints
    assert "face" not in hints


def test_a_mind_that_sees_is_asked_what_there_is_to_see() -> None:
    mind = Mind(kind_words)
    at = window(*faces(), Turn("user", "What am I wearing?", 8 * SECOND, 9 * SECOND))
    told(at, config(policy=HERE), mind=mind)
    assert len(mind.windows) == 1
    assert "clothes" in answer(at) or "faces" in answer(at)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("What time is it?", "3:10 in the afternoon"),
        ("What's the date today?", "December"),
        ("What day is it?", "Tuesday"),
        ("What year is it?", "2026"),
    ],
)
def test_it_tells_time_and_date(words: str, expected: str) -> None:
    assert expected in answer(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Can you set a timer for ten minutes?", r"can't"),
        ("Can you call my sister?", r"can't"),
        ("Can you call an ambulance?", r"emergency number"),
        ("Can you look something up for me?", r"can't|no way"),
        ("Do you speak Spanish?", r"English"),
        ("Are you a therapist?", r"\bAI\b"),
        ("Are you human?", r"\bAI\b"),
        ("What's your name?", r"Rapport"),
        ("Which model are you?", r"model"),
        ("Who made you?", r"Rapport"),
        ("Will you remember me tomorrow?", r"call"),
    ],
)
def test_it_says_what_it_is_and_can(words: str, expected: str) -> None:
    steps = told(words)
    said = " ".join(step.text for step in steps if isinstance(step, Speak))
    assert re.search(expected, said), said
    speaks = [step for step in steps if isinstance(step, Speak)]
    assert all(step.strategy == "information" and step.reason.startswith(REASON) for step in speaks)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("compact", "SmolLM2|written beforehand"),
        ({"use": "compact", "adapter": "none", "answers": "likeness"}, "small models|no large"),
        ("scripted", "rules"),
        (FAR, "Some Chat 7B.*models.example"),
        (HERE, "Some Chat 7B"),
        ("my_robot.mind", "whoever runs me|Whoever runs me"),
    ],
)
def test_it_names_the_model_that_runs(policy: Any, expected: str) -> None:
    assert re.search(expected, answer("Which model are you?", config(policy=policy)))


def test_every_mind_of_a_chain_that_is_sent_words_is_told_of() -> None:
    settings = config(policy=HERE, fallback=[FAR], call={"mind_patience": 1.0, "mind_think": 1.0})
    assert "models.example" in answer("Is this recorded?", settings)


def test_whoever_asks_what_is_speaking_gets_a_straight_answer() -> None:
    said = answer("Are you a real person?")
    assert honesty.says_ai(said)
    assert len(said.split(". ")) <= 3, "and not twice"


def test_a_question_beside_something_heavy_does_not_lose_it() -> None:
    steps = told("My mum died on Monday. Are you recording this?")
    said = [step.text for step in steps if isinstance(step, Speak)]
    assert "sorry" in said[0]
    assert "record" in " ".join(said) or "written down" in " ".join(said) or "kept" in " ".join(said)
    assert {step.emotion for step in steps if isinstance(step, (Speak, Express))} == {"tender"}


def test_a_question_beside_something_else_leaves_room_for_it() -> None:
    said = [s.text for s in told("We went to the lake with the kids today. Can you hear me?") if isinstance(s, Speak)]
    assert len(said) == 2
    assert "on" in said[1] or "told" in said[1]


@pytest.mark.parametrize(
    "words",
    [
        "Sorry, do you speak Spanish? For my grandma, she would like you.",
        "Is this recorded? It's been so lovely, my daughter is getting married!",
        "Which model are you? I'm in a computer class, I'm curious.",
        "Can you see me? I'm waving at you.",
    ],
)
def test_nothing_cheerful_is_tacked_on_behind_an_answer(words: str) -> None:
    assert len([s for s in told(words) if isinstance(s, Speak)]) == 1


def test_a_thing_that_died_is_no_loss() -> None:
    assert "sorry" not in answer("What time is it? My watch has died on me.").lower()
    assert "sorry" in answer("What time is it? My father has died today.").lower()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("Where does my voice go, and how long does it stay there?", (r"computer I run on", r"30 seconds")),
        ("Are you recording, and how long do you keep what I say?", (r"^No", r"30 seconds")),
        ("Are you a real person, and do you ever feel sad?", (r"\bAI\b", r"feel")),
    ],
)
def test_both_halves_of_a_question_are_answered_and_nothing_twice(words: str, parts: tuple[str, ...]) -> None:
    said = answer(words)
    assert all(re.search(part, said) for part in parts), said
    assert said.count("30 seconds") <= 1
    assert len(re.findall(r"\bAI\b", said)) <= 1


@pytest.mark.parametrize("name", CONFIGS)
def test_both_halves_are_true_in_every_configuration(name: str) -> None:
    table, call = CONFIGS[name]
    said = answer("Where do my words go, and how long do you keep them?", config(**table), Caller(**call))
    assert said.count("models.example") == (1 if name in {"served far", "words only, far"} else 0), said
    assert ("1 day" in said) == (name == "words"), said


def typed(words: str) -> ContextWindow:
    return window(Text(words, 9 * SECOND), cue=CUE_QUESTION)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("You're not hearing me, are you, it's this mic.", r"microphone isn't"),
        ("Can you tell I've been crying, or can't you see me?", r"camera isn't.* your words"),
        ("Can you tell I'm smiling?", r"camera isn't.* your words"),
        ("Do I sound hoarse to you?", r"microphone isn't.* your words"),
        ("Could strangers look at me through this camera?", r"camera isn't.*(?:me|nobody)"),
    ],
)
def test_where_it_is_typed_to_it_claims_no_sense(words: str, expected: str) -> None:
    said = answer(typed(words), caller=Caller(senses=frozenset()))
    assert re.search(expected, said), said


@pytest.mark.parametrize(
    ("settings", "call", "kept"),
    [
        ({}, {}, True),
        ({"journal": {"directory": "/tmp/j", "personal": True}}, {"journal": True, "recording": True}, False),
    ],
)
def test_of_those_near_the_person_it_claims_to_know_nothing(
    settings: dict[str, Any], call: dict[str, Any], kept: bool
) -> None:
    said = answer("Would my dad be able to read any of this on the laptop?", config(**settings), Caller(**call))
    assert re.search(r"that device, I can't (?:know|tell)", said), said
    assert bool(re.search(r"None of your words|don't save", said)) == kept, said


def test_what_is_none_of_it_goes_to_the_mind() -> None:
    for words in ("Can you believe he said that?", "I can't hear myself think.", "My dog died."):
        mind = Mind(kind_words)
        told(words, mind=mind)
        assert len(mind.windows) == 1, words


def test_a_question_of_a_benchmark_and_a_silence_are_left_alone() -> None:
    mind = Mind(kind_words)
    asked = Text("Are you recording this?", 9 * SECOND, form="choice", options=("yes", "no"))
    told(window(asked, cue=CUE_QUESTION), mind=mind)
    told(window(Turn("user", "Are you recording this?", 8 * SECOND, 9 * SECOND), cue=CUE_SILENCE), mind=mind)
    assert len(mind.windows) == 2


def test_an_encoder_that_fails_leaves_the_patterns() -> None:
    def broken(texts: Sequence[str], /) -> Any:
        raise RuntimeError("no such thing")

    shared = Itself(Facts(), SENSES, lambda: broken)
    assert [a.ask for a in asyncio.run(shared.read("Are you recording this?"))] == ["recording.kept"]
    assert asyncio.run(shared.read("Do you happen to be holding on to my words?")) == ()
    shared.close()


def hold(itself: Itself | None, options: CallOptions, text: str) -> tuple[list[str], Mind]:
    mind = Mind(kind_words)
    caller = Loopback([*quiet(1.0), Text(text, SECOND), *quiet(4.0)])
    parts = Parts([Script("ear", [])], Mindful(mind), PlainVoice(), options, itself=itself)
    clock = VirtualClock(COSTS)
    clock.run(Call(caller, parts, clock, []).run())
    return [
        caption.text for _, caption in caller.actions if isinstance(caption, Caption) and caption.speaker == "agent"
    ], mind


@pytest.fixture
def shared() -> Iterator[Itself]:
    made = Itself(Facts(), SENSES)
    yield made
    made.close()


def test_it_stands_in_a_call_and_the_mind_is_not_asked(shared: Itself) -> None:
    options = CallOptions(greeting=False, reflexes=False)
    said, mind = hold(shared, options, "What's your name?")
    assert any("Rapport" in text for text in said)
    assert not mind.windows
    _, mind = hold(shared, replace(options, answers="questions"), "What's your name?")
    assert len(mind.windows) == 1, "who only listens for a benchmark's questions leaves them to the mind"
