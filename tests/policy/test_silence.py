"""Silence is an answer to words only where it was asked for."""

from __future__ import annotations

import asyncio
import json

import pytest

from perception.context import CUE_SILENCE
from policy.answer import consider, perform
from policy.backends import Policy
from policy.decision import EMOTIONS, Backchannel, Speak, Step, Wait
from policy.guard import Guard
from policy.leaning import WAIT, Leaning
from policy.reading import MOODS, KeywordReader, act_of
from policy.strategy import choose
from policy.training.corpus import FOLDER, SITUATIONS
from tests.policy.laws import answer
from tests.policy.windows import talk

TURNS = 300


def told() -> list[str]:
    """Every eighth or so of what persons say in the corpus."""
    found = [
        turn["text"]
        for path in sorted(FOLDER.glob(SITUATIONS))
        for line in path.read_text(encoding="utf-8").splitlines()
        for turn in json.loads(line)["turns"]
        if turn["who"] == "person"
    ]
    unlike = list(dict.fromkeys(found))
    return unlike[:: len(unlike) // TURNS][:TURNS]


def speaks(steps: list[Step]) -> bool:
    return any(isinstance(step, (Speak, Backchannel)) for step in steps)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "step"), [("compact_off", 1), ("compact_default", 30)])
def test_whoever_says_something_is_answered(name: str, step: int, request: pytest.FixtureRequest) -> None:
    """Three hundred turns through the head, and ten through the head and the language model together."""
    policy: Policy = request.getfixturevalue(name)

    async def collect() -> list[str]:
        session, silent = policy.session(), []
        for words in told()[::step]:
            steps = [decided async for decided in session.decide(talk(words))]
            if (any(isinstance(step, Wait) for step in steps) or not speaks(steps)) and act_of(words) != "quiet":
                silent.append(words)
        await session.close()
        return silent

    assert asyncio.run(collect()) == []


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_despair_over_homework_and_a_bare_no_are_answered(compact_default: Policy) -> None:
    first, second = (
        "I can't do this any more, this homework is impossible.",
        "I just want it all to be over. The exams.",
    )
    for window in (
        talk(first),
        talk(first, "That sounds exhausting.", second),
        talk("I failed again.", "Have you told anybody?", "No."),
        talk("Today is the day my son would have turned ten."),
    ):
        assert speaks(asyncio.run(answer(compact_default, window)))


def test_a_head_that_would_rather_wait_is_not_followed() -> None:
    shares = dict.fromkeys(("question", "restatement", "reflection", "affirmation", "suggestion"), 0.02)
    strategies = {**shares, "information": 0.02, "other": 0.02, "safety": 0.02, WAIT: 0.84}
    emotions = dict.fromkeys(EMOTIONS, 0.1)
    cues = consider(talk("I can't do this any more."), KeywordReader()).cues
    reading = KeywordReader().read(cues.words)
    choice = choose(reading, cues, leaning=Leaning(strategies, emotions, dict.fromkeys(MOODS, 1 / len(MOODS))))
    assert not choice.wait
    assert choice.topic


def test_silence_that_was_asked_for_is_kept() -> None:
    asked = talk("Please don't say anything for a while.")
    first = list(perform(consider(asked, KeywordReader())))
    said = " ".join(step.text for step in first if isinstance(step, Speak))
    assert said
    silence = talk("Please don't say anything for a while.", said, "x", cue=CUE_SILENCE)
    quiet = consider(
        type(silence)(start=0, end=silence.end + 30_000_000_000, entries=silence.entries[:-1], cue=CUE_SILENCE),
        KeywordReader(),
    )
    assert [type(step) for step in perform(quiet)] == [Wait]
    again = talk("Please be quiet.", "Of course. I'll be quiet, and I'm here.", "Shh, no words.")
    assert any(isinstance(step, Wait) for step in perform(consider(again, KeywordReader())))


@pytest.mark.parametrize(
    ("words", "quiet"),
    [
        ("Please be quiet for a moment.", True),
        ("I'm so tired. Please don't say anything.", True),
        ("You don't have to say anything.", True),
        ("Can we just sit here quietly?", True),
        ("My dad told me to shut up.", False),
        ("He won't leave me alone.", False),
        ("They just listen to music all day.", False),
        ("I had to stay quiet at dinner.", False),
        ("Why can't people leave me alone?", False),
        ("He can't talk now, he's on a ventilator.", False),
    ],
)
def test_a_wish_for_quiet_is_told_from_talk_of_quiet(words: str, quiet: bool) -> None:
    assert (act_of(words) == "quiet") == quiet


def test_a_mind_that_writes_its_own_words_may_wait_only_where_that_was_asked_for() -> None:
    guard, wait = Guard(), Wait(reason="So.")
    instead = guard.instead(talk("My dog died."), wait)
    assert instead is not None
    assert speaks(list(instead))
    assert guard.instead(talk("Please be quiet for a moment."), wait) is None
    assert guard.instead(talk("My dog died.", cue=CUE_SILENCE), wait) is None
    assert guard.instead(talk("My dog died."), Speak(text="Oh no.", reason="So.")) is None
