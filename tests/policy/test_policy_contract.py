"""The laws of ``policy/backends/__init__.py``, held for every module there in each of its modes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import policy.backends
from perception.context import ContextWindow
from perception.percept import EXPRESSION
from perception.timebase import SECOND
from policy.backends import Policy
from policy.decision import Express, Speak, Thought, Wait
from tests.policy import laws
from tests.policy.laws import answer
from tests.policy.windows import percept, talk

MODULES = sorted(p.stem for p in Path(policy.backends.__file__).parent.glob("*.py") if p.stem != "__init__")
MODES = {"scripted": ["plain"], "compact": ["compact_off", "compact_default", "compact_first"]}
LONG = "My boss shouts at me every single day, in front of everyone, and I can't sleep any more."

pytestmark = [pytest.mark.models, pytest.mark.slow]


def test_every_backend_that_can_run_here_is_held_to_the_laws() -> None:
    needs_more = {"omni", "openai_api"}  # a big model, a server: they bring their own tests
    assert set(MODULES) - needs_more == set(MODES)


@pytest.fixture(params=[mode for modes in MODES.values() for mode in modes])
def policy_(request: pytest.FixtureRequest) -> Policy:
    found: Policy = request.getfixturevalue(request.param)
    return found


def test_a_look_comes_before_the_words(policy_: Policy) -> None:
    found = asyncio.run(answer(policy_, talk(LONG, face="sad")))
    assert isinstance(found[0], Express)
    assert any(isinstance(d, Speak) for d in found)
    for decision in found:
        assert not isinstance(decision, Thought)
        assert decision.reason
        assert 0.0 <= decision.confidence <= 1.0
        assert any(p.kind == EXPRESSION for p in decision.evidence)
        if isinstance(decision, Speak):
            assert decision.text == decision.text.strip() != ""


def test_there_is_always_a_decision(policy_: Policy) -> None:
    async def ask() -> None:
        for cue in ("", "end_of_turn", "question", "silence", "affect", "greeting", "something_new"):
            for window in (ContextWindow(start=0, end=0, cue=cue), talk("Hm", face="uncertain", cue=cue)):
                assert await answer(policy_, window), cue

    asyncio.run(ask())


def test_the_same_window_gives_the_same_decisions(policy_: Policy) -> None:
    window = talk("Hello.", "Hi. What's on your mind?", LONG, face="sad", voice="trembling")
    asyncio.run(laws.the_same_window_gives_the_same_decisions(policy_, window, talk(LONG, "Other.", "Words.")))


def test_calls_do_not_see_each_other(policy_: Policy) -> None:
    windows = [talk(LONG), talk("My mum died in March.", face="sad"), talk("Thanks, bye.")]
    asyncio.run(laws.calls_do_not_see_each_other(policy_, windows))


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_closing_the_iterator_stops_the_work_within_100_ms(policy_: Policy, steps: int) -> None:
    asyncio.run(laws.closing_stops_at_once(policy_, talk(LONG, face="sad"), steps))


def test_cancelling_in_the_middle_leaves_the_session_usable(policy_: Policy) -> None:
    window = talk(LONG, face="sad")
    asyncio.run(laws.cancelling_leaves_the_session_usable(policy_, window, window, (0.0, 0.02, 0.15, 0.6)))


def test_a_long_call_repeats_nothing_soon(policy_: Policy) -> None:
    async def ask() -> None:
        session = policy_.session()
        said: list[str] = []
        spoken: list[str] = []
        for turn in range(6):
            told = f"I feel so stressed, number {turn} of all my deadlines is tomorrow and I can't keep up."
            dialogue = [text for pair in zip([told] * turn, spoken, strict=True) for text in pair]
            found = [d async for d in session.decide(talk(*dialogue, told))]
            lines = [d.text for d in found if isinstance(d, Speak)]
            assert lines
            spoken.append(" ".join(lines))
            said += lines
        assert len(set(said)) == len(said)
        for i in range(len(spoken) - 2):
            assert not all("?" in text for text in spoken[i : i + 3])
        await session.close()

    asyncio.run(ask())


def test_when_nothing_was_said_it_waits(policy_: Policy) -> None:
    window = ContextWindow(start=0, end=SECOND, entries=(percept(EXPRESSION, "neutral", 0, 1),), cue="end_of_turn")
    assert [type(d) for d in asyncio.run(answer(policy_, window))] == [Wait]
