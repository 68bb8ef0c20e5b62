"""How much of a reply was heard, while its sound is still being made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from agent.action import Action, PlayAudio
from agent.clock import VirtualClock
from agent.speech import Speech
from perception.media import AudioChunk
from perception.timebase import MS, SECOND, Nanos

LONG = "You can start wherever you like, with this morning or with last year, and I will follow you wherever it goes."


class Even:
    """A voice in which every character takes 60 ms, in pieces of 100 ms."""

    name = "even"
    rate_hz = 16_000

    async def say(self, text: str, tone: str, /) -> AsyncGenerator[AudioChunk, None]:
        for at in range(len(text) * 60 // 100):
            yield AudioChunk(np.full(1600, 0.1, np.float32), at * 100 * MS)

    def close(self) -> None: ...


def said(texts: list[str], until: Nanos) -> Speech:
    """Say clauses through a loudspeaker that takes sound until an instant, and then no more."""
    clock = VirtualClock({})
    full = asyncio.Event()

    async def send(action: Action) -> None:
        assert isinstance(action, PlayAudio)
        if speech.duration >= until:
            full.set()
            await asyncio.Event().wait()

    speech = Speech(Even(), clock, send, 1)

    async def talk() -> None:
        for text in texts:
            await speech.say(text, "warm")
        full.set()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(talk())
            await full.wait()
            task.cancel()

    clock.run(main())
    return speech


@pytest.mark.parametrize("played_s", [0.5, 2.0, 4.0])
def test_of_a_long_clause_only_the_words_that_were_heard_count(played_s: float) -> None:
    played = round(played_s * SECOND)
    heard = said([LONG], played + 200 * MS).heard(played)
    assert LONG.startswith(heard)
    assert len(heard) == pytest.approx(played_s / 0.06, abs=10), "and not nearly all of what was planned"


def test_the_pace_of_what_was_said_whole_counts_for_what_was_not() -> None:
    speech = said(["I am here.", LONG], 3 * SECOND)
    assert speech.heard(600 * MS) == "I am here."
    assert speech.heard(2600 * MS).startswith("I am here. You can start wherever you")
    assert len(speech.heard(2600 * MS)) < 60


def test_all_of_it_is_heard_in_the_end() -> None:
    speech = said([LONG], 60 * SECOND)
    assert speech.heard(speech.duration) == LONG
    assert speech.heard(0) == ""
