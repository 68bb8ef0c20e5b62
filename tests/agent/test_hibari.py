"""The embedded voice: its tones are what the table says, and it stays intelligible in all of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jiwer
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from agent.models import resolve
from agent.tone import NEUTRAL, Tone, tone_of
from agent.vocoder import CEILING, HUMS, RATE_HZ, TARGET_RMS, gated_rms, hum_of
from agent.voices.hibari import HibariVoice, load
from perception.timebase import MS, to_ticks
from policy.decision import TONES
from tests.speech_samples import SENTENCES

pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.fixture(scope="module")
def voice() -> Iterator[HibariVoice]:
    made = load(resolve=resolve)
    yield made
    made.close()


@cache
def _pitch() -> Any:
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1, spin=False)


def f0_hz(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """The pitch of the voiced parts, 10 ms or so apart."""
    found = _pitch().detect(soxr.resample(sound, RATE_HZ, 16_000), 16_000, fmin=60, fmax=500)
    return np.asarray(found.pitch_hz)[np.asarray(found.confidence) > 0.8]


def range_st(pitches: NDArray[np.float64]) -> float:
    return float(12 * np.log2(np.percentile(pitches, 90) / np.percentile(pitches, 10)))


def all_said(voice: HibariVoice, tone: Tone) -> list[NDArray[np.float32]]:
    return [voice.render(sentence, tone) for sentence in SENTENCES]


@pytest.fixture(scope="module")
def said(voice: HibariVoice) -> dict[str, list[NDArray[np.float32]]]:
    return {tone: all_said(voice, tone_of(tone)) for tone in TONES}


@pytest.fixture(scope="module")
def ear() -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(resolve("whisper-base")), device="cpu", compute_type="int8", cpu_threads=1)


def heard(ear: Any, sound: NDArray[np.float32]) -> str:
    padded = np.concatenate((np.zeros(RATE_HZ // 2, np.float32), sound, np.zeros(RATE_HZ // 2, np.float32)))
    segments, _ = ear.transcribe(
        soxr.resample(padded, RATE_HZ, 16_000), language="en", beam_size=1, without_timestamps=True
    )
    return " ".join(segment.text for segment in segments)


def plain_words(text: str) -> str:
    text = text.lower().replace("i'm", "i am").replace("haven't", "have not")
    return " ".join(re.sub(r"[^a-z' ]+", " ", text).split())


@pytest.mark.parametrize("tone", TONES)
def test_words_are_understood_in_every_tone(tone: str, said: dict[str, list[NDArray[np.float32]]], ear: Any) -> None:
    # One recording with pauses: five times cheaper than one decode of 30 s each.
    pause = np.zeros(RATE_HZ, np.float32)
    hypotheses = []
    for begin in range(0, len(SENTENCES), 5):
        parts = [p for sound in said[tone][begin : begin + 5] for p in (sound, pause)]
        hypotheses.append(plain_words(heard(ear, np.concatenate(parts))))
    reference = [plain_words(" ".join(SENTENCES[b : b + 5])) for b in range(0, len(SENTENCES), 5)]
    assert jiwer.wer(reference, hypotheses) <= 0.10


def test_pitch_follows_the_table(said: dict[str, list[NDArray[np.float32]]]) -> None:
    medians = {tone: np.median(np.concatenate([f0_hz(s) for s in sounds])) for tone, sounds in said.items()}
    for tone in TONES:
        assert medians[tone] / medians["neutral"] == pytest.approx(tone_of(tone).pitch, abs=0.05), tone
    assert medians["soft"] < medians["warm"] < medians["lively"]


def test_range_follows_the_table(said: dict[str, list[NDArray[np.float32]]]) -> None:
    ranges = {tone: np.mean([range_st(f0_hz(s)) for s in sounds]) for tone, sounds in said.items()}
    assert ranges["calm"] < ranges["soft"] < ranges["neutral"] < ranges["lively"]
    assert ranges["lively"] > 1.2 * ranges["neutral"]
    assert ranges["calm"] < 0.85 * ranges["neutral"]


def test_pace_follows_the_table(said: dict[str, list[NDArray[np.float32]]]) -> None:
    seconds = {
        tone: sum(len(s) - to_ticks(tone_of(tone).clause_pause, RATE_HZ) for s in sounds) / RATE_HZ
        for tone, sounds in said.items()
    }
    assert seconds["lively"] < seconds["neutral"] < seconds["warm"] < seconds["soft"] < seconds["calm"]
    assert seconds["calm"] > 1.05 * seconds["neutral"]


def test_loudness_follows_the_table(said: dict[str, list[NDArray[np.float32]]]) -> None:
    for tone, sounds in said.items():
        wanted = TARGET_RMS * 10 ** (tone_of(tone).level_db / 20)
        levels = [20 * np.log10(gated_rms(s) / wanted) for s in sounds]
        assert np.median(np.abs(levels)) < 0.5
        assert min(levels) > -4.0  # held back by the ceiling
        assert max(np.abs(s).max() for s in sounds) <= CEILING + 1e-6


def test_soft_has_less_treble_than_neutral(said: dict[str, list[NDArray[np.float32]]]) -> None:
    def treble_db(sounds: list[NDArray[np.float32]]) -> float:
        power = np.abs(np.fft.rfft(np.concatenate(sounds))) ** 2
        third = len(power) // 3
        return float(10 * np.log10(power[third:].sum() / power[:third].sum()))

    # Not by the whole tilt: breath adds noise up there.
    assert treble_db(said["soft"]) < treble_db(said["neutral"])


def test_edges_do_not_click(said: dict[str, list[NDArray[np.float32]]]) -> None:
    for sounds in said.values():
        for sound in sounds:
            assert np.abs(sound[:24]).max() < 0.01
            end = len(np.trim_zeros(sound, "b"))
            assert np.abs(sound[end - 24 : end]).max() < 0.01


def test_sound_begins_at_once(voice: HibariVoice) -> None:
    """The network leaves 0.3 s of silence in front of everything; none of it reaches the listener."""
    for text in ("I hear you.", "So what happened?", "Take your time."):
        sound = np.abs(voice.render(text, NEUTRAL))
        assert np.argmax(sound > 0.01) < 60 * RATE_HZ // 1000


def test_pauses_follow_tone_and_punctuation(voice: HibariVoice) -> None:
    for name in ("calm", "lively"):
        tone = tone_of(name)
        both = len(voice.render("I see. Go on.", tone))
        first, second = (len(voice.render(t, tone)) for t in ("I see.", "Go on."))
        between = to_ticks(tone.sentence_pause, RATE_HZ) - to_ticks(tone.clause_pause, RATE_HZ)
        assert both == first + second + between
    assert len(voice.render("mm-hm.", NEUTRAL)) - len(voice.render("mm-hm", NEUTRAL)) == to_ticks(140 * MS, RATE_HZ)


def test_seed_changes_the_noise_only() -> None:
    voices = [load(resolve=resolve, seed=s) for s in (1, 2)]
    one, two = (v.render("Take your time.", NEUTRAL) for v in voices)
    for v in voices:
        v.close()
    assert not np.array_equal(one, two)
    shorter = min(len(one), len(two))
    assert abs(len(one) - len(two)) < RATE_HZ // 10
    assert np.corrcoef(one[:shorter], two[:shorter])[0, 1] > 0.9


def test_voices_that_are_not_here_are_refused_without_a_download() -> None:
    with pytest.raises(ValueError, match="not on this machine"):
        load(resolve=resolve, voice="emma")
    with pytest.raises(ValueError, match=r"it has .*heart"):
        load(resolve=resolve, voice="hal")


@pytest.mark.parametrize("token", ["mm-hm", "Mm-hmm.", "mhm"])
def test_mm_hm_is_two_hums_that_rise(voice: HibariVoice, token: str) -> None:
    sound = voice.render(token, NEUTRAL)
    found = _pitch().detect(soxr.resample(sound, RATE_HZ, 16_000), 16_000, fmin=60, fmax=500)
    voiced = np.asarray(found.confidence) > 0.7
    edges = np.flatnonzero(np.diff(np.concatenate(([0], voiced.astype(int), [0]))))
    runs = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= 3]
    pitches = [np.median(np.asarray(found.pitch_hz)[a:b]) for a, b in runs]
    assert len(runs) == 2, "two hums with a breath between them"
    assert 1.5 < 12 * np.log2(pitches[1] / pitches[0]) < 8
    assert 0.35 < len(sound) / RATE_HZ < 0.9


@pytest.mark.parametrize("token", sorted(HUMS))
def test_hums_are_heard_as_hums(voice: HibariVoice, token: str, ear: Any) -> None:
    """Text-to-speech alone says "mama" here."""
    text = plain_words(heard(ear, voice.render(token, NEUTRAL)))
    assert re.fullmatch(r"((m+|h+m+|uh|um|ah)[ -]?)*", text), text


def test_words_that_look_like_hums_are_words() -> None:
    assert hum_of("Mm-hm.")
    assert not hum_of("mom")
    assert not hum_of("mm-hm, I see")
    assert not hum_of("")


@pytest.mark.parametrize(("token", "words"), [("I see.", "i see"), ("I hear you.", "i hear you"), ("Right.", "right")])
def test_listening_words_are_heard_as_words(voice: HibariVoice, token: str, words: str, ear: Any) -> None:
    assert plain_words(heard(ear, voice.render(token, tone_of("soft")))) == words


def test_numbers_and_markup_are_spoken(voice: HibariVoice, ear: Any) -> None:
    text = "I have **3 dogs** and 12 cats, see [my page](http://a.bc) 😀."
    said_words = heard(ear, voice.render(text, NEUTRAL)).lower()
    assert re.search(r"(3|three) dogs and (12|twelve) cats", said_words)
    assert "my page" in said_words
    assert not re.search(r"asterisk|star|http|slash", said_words)


def test_streamed_equals_rendered(voice: HibariVoice) -> None:
    text = "I hear you. That must have been hard; take your time."

    async def main() -> list[NDArray[np.float32]]:
        return [c.samples async for c in voice.say(text, "warm")]

    assert np.array_equal(np.concatenate(asyncio.run(main())), voice.render(text, tone_of("warm")))
