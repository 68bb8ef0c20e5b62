"""The omni policy keeps the laws of ``policy/backends/__init__.py`` and answers from what it has read along."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perception.context import CUE_GREETING, CUE_QUESTION, ContextWindow, Turn
from perception.media import AudioChunk, Text, VideoFrame
from perception.percept import EXPRESSION
from perception.timebase import SECOND
from policy.backends import omni
from policy.backends.omni import Omni, OptionError
from policy.decision import Express, Speak, Step, Thought, Wait
from policy.guard import Withheld
from policy.omni.memory import Memory
from policy.omni.store import Fixed
from policy.reel import Sight, Sound
from tests.omni.calls import in_one_pass
from tests.policy import laws
from tests.policy.laws import answer
from tests.policy.windows import talk

LONG = "My boss shouts at me every single day, in front of everyone, and I can't sleep any more."


def nothing(name: str) -> Path:
    raise AssertionError(f"{name} is not needed")


def opened(checkpoint: Path | str, **options: Any) -> Omni:
    given: dict[str, Any] = {
        "gate": False, "likeness": False, "least_pixels": 56 * 56, "most_pixels": 84 * 112, "think_tokens": 16,
    }  # fmt: skip
    return omni.load(resolve=nothing, checkpoint=str(checkpoint), device="cpu", **(given | options))


@pytest.fixture(scope="module")
def policy_(checkpoint: Path) -> Iterator[Omni]:
    made = opened(checkpoint)
    yield made
    made.close()


@pytest.fixture(scope="module")
def thinking(checkpoint: Path) -> Iterator[Omni]:
    made = opened(checkpoint, think=True, enhanced=True)
    yield made
    made.close()


def with_media(window: ContextWindow, seconds: float, seed: int = 0) -> ContextWindow:
    noise, dots = np.random.default_rng(seed), np.random.default_rng(seed + 100)
    audio = tuple(
        AudioChunk((noise.standard_normal(1_600) * 0.1).astype(np.float32), n * SECOND // 10)
        for n in range(round(seconds * 10))
    )
    frames = tuple(
        VideoFrame(dots.integers(0, 255, (60, 80, 3), dtype=np.uint8), n * SECOND // 2)
        for n in range(round(seconds * 2))
    )
    return replace(window, audio=audio, frames=frames, end=max(window.end, round(seconds * SECOND)))


def test_a_look_comes_before_the_words(policy_: Omni) -> None:
    found = asyncio.run(answer(policy_, with_media(talk(LONG, face="sad"), 5.0)))
    assert isinstance(found[0], Express)
    assert any(isinstance(step, Speak) for step in found)
    for step in found:
        assert not isinstance(step, Thought)
        assert step.reason
        assert 0 <= step.confidence <= 1
        assert any(percept.kind == EXPRESSION for percept in step.evidence)


def test_thoughts_come_first_and_are_never_spoken(thinking: Omni) -> None:
    found = asyncio.run(answer(thinking, talk(LONG, face="sad")))
    kinds = [type(step) for step in found]
    assert Thought in kinds
    assert kinds.index(Express) > max(n for n, kind in enumerate(kinds) if kind is Thought)
    spoken = " ".join(step.text for step in found if isinstance(step, Speak))
    assert all(step.text not in spoken for step in found if isinstance(step, Thought))


def test_the_same_window_gives_the_same_decisions(policy_: Omni) -> None:
    window = with_media(talk("Hello.", "Hi. What's on your mind?", LONG, face="sad", voice="trembling"), 8.0)
    asyncio.run(laws.the_same_window_gives_the_same_decisions(policy_, window, talk(LONG, "Other.", "Words.")))


def test_sound_and_pictures_change_the_answer(policy_: Omni) -> None:
    async def ask() -> list[str]:
        windows = [talk(LONG), *(with_media(talk(LONG), 6.0, seed) for seed in (1, 2))]
        audible = replace(windows[1], frames=())
        return [str(await answer(policy_, window)) for window in (*windows, audible)]

    assert len(set(asyncio.run(ask()))) == 4


def test_calls_do_not_see_each_other(policy_: Omni) -> None:
    windows = [talk(LONG), with_media(talk("My mum died in March.", face="sad"), 4.0), talk("Thanks, bye.")]
    asyncio.run(laws.calls_do_not_see_each_other(policy_, windows))


def test_after_reading_along_only_the_tail_is_read(policy_: Omni, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    sync = Memory.sync

    def counted(memory: Memory, *args: Any) -> int:
        reads.append(sync(memory, *args))
        return reads[-1]

    monkeypatch.setattr(Memory, "sync", counted)

    async def ask() -> None:
        session = policy_.session()
        window = with_media(talk(LONG, face="sad"), 9.9)
        await session.prepare(window)
        _ = [step async for step in session.decide(window)]
        await session.close()

    asyncio.run(ask())
    along, tail = reads
    assert along > 300
    assert tail < 600  # the last 1.9 s of sound and what is asked, a byte each
    assert tail < along


def test_heard_words_and_not_planned_ones_remain(policy_: Omni, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reply that was cut off, the next answer is that of a call in which only the heard words were read."""
    for kind in (Sight, Sound):
        monkeypatch.setattr(kind, "release", lambda medium: None)  # the one pass reads them again

    async def ask() -> None:
        session = policy_.session()
        window = with_media(talk(LONG, face="sad"), 4.0)
        await session.prepare(window)
        stream = session.decide(window)
        await anext(stream)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        heard = Turn("agent", "That sounds", 5 * SECOND, 6 * SECOND, cut=True)
        again = Turn("user", "No, wait.", 6 * SECOND, 7 * SECOND)
        later = replace(window, entries=(*window.entries, heard, again), end=7 * SECOND)
        after = [step async for step in session.decide(later)]
        pieces = list(session._memory._pieces)
        logits = torch.log_softmax(policy_.thinker.logits(session._memory.write()._last)[0], 0)
        assert float((logits - in_one_pass(policy_.thinker, pieces)).abs().max()) < 1e-4
        text = policy_.thinker.layout.decode([n for piece in pieces if isinstance(piece, tuple) for n in piece])
        spelled = "".join(
            policy_.thinker.layout.tokenizer.decode(list(piece), skip_special_tokens=False)
            for piece in pieces
            if isinstance(piece, tuple)
        )
        assert text
        assert "assistant\nThat sounds —\n<|im_end|>" in spelled
        assert spelled.count("<|im_start|>assistant") == 2  # what was heard, and what is asked for
        assert [type(step) for step in after]
        await session.close()

    asyncio.run(ask())


def test_media_are_let_go_once_they_are_read(policy_: Omni) -> None:
    async def ask() -> None:
        session = policy_.session()
        await session.prepare(with_media(talk(LONG, face="sad"), 8.0))
        media = [piece for piece in session._memory._pieces if isinstance(piece, Sight | Sound)]
        assert len(media) == 9
        for medium in media:
            with pytest.raises(RuntimeError, match="read and let go"):
                _ = medium.held
        await session.close()

    asyncio.run(ask())


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_closing_the_iterator_stops_the_work_within_100_ms(thinking: Omni, steps: int) -> None:
    asyncio.run(laws.closing_stops_at_once(thinking, with_media(talk(LONG, face="sad"), 6.0), steps))


@pytest.mark.slow
def test_cancelling_in_the_middle_leaves_the_session_usable(thinking: Omni) -> None:
    window, after = with_media(talk(LONG, face="sad"), 4.0), (0.0, 0.02, 0.1, 0.3)
    asyncio.run(laws.cancelling_leaves_the_session_usable(thinking, window, with_media(window, 8.0), after))


def test_danger_greeting_and_silence_ask_no_model(policy_: Omni) -> None:
    async def ask() -> None:
        session = policy_.session()
        danger = [step async for step in session.decide(talk("I want to kill myself."))]
        assert any(isinstance(step, Speak) and step.strategy == "safety" for step in danger)
        greeting = [step async for step in session.decide(talk(cue=CUE_GREETING))]
        assert "AI" in " ".join(step.text for step in greeting if isinstance(step, Speak))
        assert [type(step) async for step in session.decide(talk())] == [Wait]
        assert session._memory.length == 0
        await session.close()

    asyncio.run(ask())


def test_what_breaks_a_rule_is_not_spoken(checkpoint: Path) -> None:
    judging = opened(checkpoint, gate=True)
    try:
        with pytest.raises(Withheld):
            asyncio.run(answer(judging, talk(LONG)))
    finally:
        judging.close()


def test_a_question_gets_an_answer_and_nothing_else(policy_: Omni) -> None:
    question = Text("Is she sad? Reply with Yes or No.", 6 * SECOND, form="yes_no")
    window = with_media(ContextWindow(start=0, end=7 * SECOND, entries=(question,), cue=CUE_QUESTION), 6.0)
    (found,) = asyncio.run(answer(policy_, window))
    assert isinstance(found, Speak)
    assert 0 < len(found.text.encode(errors="ignore")) <= 64 * 3


def test_a_lack_of_memory_ends_the_answer_and_not_the_session(policy_: Omni, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        session, window = policy_.session(), with_media(talk(LONG, face="sad"), 4.0)
        whole = await answer(policy_, window)

        def short(*_: object, **__: object) -> None:
            raise torch.OutOfMemoryError("none left")

        with monkeypatch.context() as broken:
            broken.setattr(policy_.thinker.language.layers[1].mlp, "forward", short)
            with pytest.raises(torch.OutOfMemoryError):
                _ = [step async for step in session.decide(window)]
        assert [step async for step in session.decide(window)] == whole
        await session.close()

    asyncio.run(ask())


def test_a_long_call_stays_within_its_budget(checkpoint: Path) -> None:
    small = opened(checkpoint, budget=700)

    async def ask() -> list[int]:
        session, lengths = small.session(), list[int]()
        for seconds in range(2, 40, 2):
            await session.prepare(with_media(talk(LONG), float(seconds)))
            lengths.append(session._memory.length)
        await session.close()
        return lengths

    try:
        lengths = asyncio.run(ask())
    finally:
        small.close()
    assert max(lengths) < 700 + 400  # and the system's words, a byte each
    assert any(b < a - 200 for a, b in pairwise(lengths))


def test_caches_of_fixed_size_are_lent_and_come_back(checkpoint: Path) -> None:
    made = opened(checkpoint, slots=1, budget=1_000)
    try:
        first, second = made.session(), made.session()
        assert isinstance(first._store, Fixed)
        assert not isinstance(second._store, Fixed)
        window = with_media(talk(LONG, face="sad"), 4.0)

        async def both() -> list[list[Step]]:
            found = [[step async for step in session.decide(window)] for session in (first, second)]
            await first.close()
            return found

        one, other = asyncio.run(both())
        assert one == other
        made._thread.submit(int).result()
        third = made.session()
        assert third._store is first._store
        assert third._store.length == 0
    finally:
        made.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"checkpoint": "nowhere/at/all"}, r"checkpoint = 'nowhere/at/all': nowhere/at/all: no such folder"),
        ({"budget": 3}, "budget is 3 tokens"),
        ({"think_tokens": 0}, "think_tokens and answer_tokens are at least 1"),
        ({"most_pixels": 10}, "most pixels is 10, less than least"),
        ({"dtype": "int8"}, "dtype = 'int8' is none of"),
    ],
)
def test_an_option_that_cannot_be_is_told(checkpoint: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        opened(**({"checkpoint": checkpoint} | options))
