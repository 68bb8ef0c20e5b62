"""Every voice in ``agent/voices``: streams, stops, repeats, and is contiguous."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agent.voices
from agent.models import resolve
from agent.voices import Voice
from perception.media import AudioChunk
from perception.timebase import MS, SECOND, from_ticks
from policy.decision import TONES

NAMES = sorted(p.stem for p in Path(agent.voices.__file__).parent.glob("*.py") if not p.stem.startswith("_"))
LONG = " ".join(["I heard that you had a hard week, and I am glad that you came."] * 40)


@pytest.fixture(scope="module", params=[pytest.param(n, marks=[pytest.mark.models, pytest.mark.slow]) for n in NAMES])
def voice(request: pytest.FixtureRequest) -> Iterator[Voice]:
    made: Voice = importlib.import_module(f"agent.voices.{request.param}").load(resolve=resolve)
    yield made
    made.close()


async def collect(chunks: AsyncIterator[AudioChunk]) -> list[AudioChunk]:
    return [chunk async for chunk in chunks]


def spoken(voice: Voice, text: str, tone: str = "neutral") -> np.ndarray[Any, np.dtype[np.float32]]:
    chunks = asyncio.run(collect(voice.say(text, tone)))
    return np.concatenate([np.zeros(0, np.float32), *(c.samples for c in chunks)])


def test_there_are_voices() -> None:
    assert {"hibari", "plain"} <= set(NAMES)


def test_it_has_a_name_and_a_rate(voice: Voice) -> None:
    assert voice.name
    assert 8_000 <= voice.rate_hz <= 48_000


@pytest.mark.parametrize("tone", [*TONES, "no such tone"])
def test_chunks_are_contiguous_from_zero(voice: Voice, tone: str) -> None:
    chunks = asyncio.run(collect(voice.say("I hear you. Take all the time you need; I am here.", tone)))
    samples = 0
    for chunk in chunks:
        assert chunk.rate_hz == voice.rate_hz
        assert chunk.start == from_ticks(samples, voice.rate_hz)
        assert 0 < chunk.duration <= 500 * MS
        samples += len(chunk.samples)
    assert samples > voice.rate_hz
    sound = np.concatenate([c.samples for c in chunks])
    assert np.isfinite(sound).all()
    assert 0.01 < np.abs(sound).max() <= 1.0


def test_an_unknown_tone_sounds_neutral(voice: Voice) -> None:
    assert np.array_equal(spoken(voice, "Hello there.", "grumpy"), spoken(voice, "Hello there.", "neutral"))


def test_tones_differ(voice: Voice) -> None:
    lengths = {tone: len(spoken(voice, "That sounds very hard to me.", tone)) for tone in TONES}
    assert len(set(lengths.values())) == len(TONES)
    assert lengths["lively"] < lengths["neutral"] < lengths["soft"]


def test_the_same_words_give_the_same_samples(voice: Voice) -> None:
    first, other, again = (spoken(voice, t, "soft") for t in ("I see.", "Something else.", "I see."))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "😀🎉", "...", "—", "***", "你好", "\x00\x07", "<b></b>", "#"])
def test_nothing_to_say_is_no_error(voice: Voice, text: str) -> None:
    assert len(spoken(voice, text)) < 2 * voice.rate_hz


@pytest.mark.parametrize(
    "text",
    [
        "mm-hm",
        "I see",
        "oh",
        "$9.99 at 7:30 pm on 3/4/2025 & 50%",
        "Dr. J. K. Smith's naïve café",
        "a" * 700,
        "word " * 300,
        "!?" * 200 + "yes",
        "https://example.org/" + "x" * 900,
        "I'm 😀 so **very** `glad` [really](x)!",
        "1" * 40,
        "Ελληνικά and English",
    ],
)
def test_odd_words_are_said(voice: Voice, text: str) -> None:
    sound = spoken(voice, text)
    assert len(sound) > voice.rate_hz // 20
    assert np.abs(sound).max() <= 1.0


@settings(max_examples=40, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=40),
        st.text("0123456789.,:/-$£€%&'\"+=°# aeIVXkmMTst", max_size=40),
    )
)
def test_any_text_can_be_said(voice: Voice, text: str) -> None:
    assert np.isfinite(spoken(voice, text)).all()


def test_first_sound_comes_before_the_rest_is_made(voice: Voice) -> None:
    """The first chunk takes a small part of the work of the whole, whatever machine this is."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        chunks = voice.say(LONG, "neutral")
        began = loop.time()
        await anext(chunks)
        first = loop.time() - began
        rest = [c async for c in chunks]
        assert rest
        return first, loop.time() - began

    first, whole = asyncio.run(main())
    assert first < whole / 4


def test_closing_stops_the_work(voice: Voice) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        chunks = voice.say(LONG, "neutral")
        await anext(chunks)
        began = loop.time()
        await chunks.aclose()  # type: ignore[attr-defined]
        assert [c async for c in chunks] == []
        # The voice is free for the next words, not busy with the old.
        await anext(voice.say("Yes.", "neutral"))
        assert loop.time() - began < 1.0

    asyncio.run(main())


def test_cancelling_stops_the_work(voice: Voice) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(collect(voice.say(LONG * 5, "neutral")))
        await asyncio.sleep(0.01)
        task.cancel()
        began = loop.time()
        await asyncio.wait([task])
        assert loop.time() - began < 0.1 or task.done()
        await anext(voice.say("Yes.", "neutral"))
        assert loop.time() - began < 1.0

    asyncio.run(main())


def test_two_calls_share_it(voice: Voice) -> None:
    async def main() -> list[list[AudioChunk]]:
        texts = ["How was your day today?", "Tell me more about your sister."]
        return await asyncio.gather(*(collect(voice.say(t, "neutral")) for t in texts))

    both = asyncio.run(main())
    for chunks, text in zip(both, ["How was your day today?", "Tell me more about your sister."], strict=True):
        assert np.array_equal(np.concatenate([c.samples for c in chunks]), spoken(voice, text))


def test_its_pace_is_human(voice: Voice) -> None:
    text = "My sister called me last night and we talked for two hours about everything that happened."
    duration = from_ticks(len(spoken(voice, text)), voice.rate_hz)
    assert 3 * SECOND < duration < 9 * SECOND
