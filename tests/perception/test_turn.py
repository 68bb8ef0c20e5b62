"""The end-of-turn worker: its features, when it asks, and what it answers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.models import resolve
from perception.media import RATE_HZ, AudioChunk
from perception.mel import log_mel
from perception.percept import END_OF_TURN
from perception.timebase import SECOND
from perception.workers import turn
from tests.speech_samples import SENTENCES, chunked, clicks, feed, pink, random_cuts, say, silence, tones, voiced_span

# From the feature extractor that the model was published with (pipecat-ai 1.14.0), rows ::13, columns 520::62.
REFERENCE = {
    3.0: (
        "0.50612 1.86287 -0.04542 0.49498 0.05829 0.21982 -0.13713 0.44431 0.05933 0.82209 -0.13713 -0.13713 -0.13713 "
        "-0.13713 -0.13713 -0.13713 -0.13713 -0.13713 -0.13713 -0.13713 -0.13713 -0.13713 -0.13713 -0.13713 -0.13713 "
        "-0.13713 -0.13713 -0.13713 -0.13713 1.33693 -0.13713 -0.13713 -0.13713 -0.13713 -0.13713",
        -0.048924,
        0.314533,
    ),
    9.0: (
        "0.59744 0.53598 0.60334 0.60074 0.5999 0.94186 0.37469 1.36602 0.1805 -0.2467 -0.2467 -0.2467 -0.2467 0.48549 "
        "-0.2467 -0.2467 -0.2467 -0.2467 -0.2467 0.43485 -0.2467 -0.2467 -0.2467 -0.2467 -0.2467 -0.2467 -0.2467 "
        "-0.2467 1.23531 -0.10629 -0.2467 -0.2467 -0.2467 -0.2467 -0.2467",
        0.018585,
        0.500043,
    ),
}


def chirp(seconds: float) -> NDArray[np.float32]:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    voice = 0.3 * np.sin(2 * np.pi * (120 + 40 * np.sin(2 * np.pi * 0.7 * t)) * t)
    sweep = 0.05 * np.sin(2 * np.pi * 2500 * t * t / seconds)
    return np.asarray(voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)) + sweep, dtype=np.float32)


@cache
def factory(enough: float = 1.1) -> turn.TurnFactory:
    return turn.load(resolve=resolve, enough=enough)


@pytest.mark.parametrize("seconds", REFERENCE)
def test_features_are_those_that_the_model_was_trained_on(seconds: float) -> None:
    numbers, mean, deviation = REFERENCE[seconds]
    features = turn.turn_features(chirp(seconds))
    assert features.shape == (80, 800)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[::13, 520::62].ravel(), [float(n) for n in numbers.split()], atol=2e-4)
    np.testing.assert_allclose([features.mean(), features.std()], [mean, deviation], atol=2e-5)


def test_features_need_some_sound() -> None:
    with pytest.raises(ValueError, match="more than 200"):
        log_mel(np.zeros(200, np.float32))


def spoken(text: str) -> NDArray[np.float32]:
    sound = say(text)
    return np.concatenate([silence(0.6), sound[: voiced_span(sound)[1]], silence(1.6)])


@pytest.mark.models
@pytest.mark.slow
def test_it_asks_after_200_ms_and_again_until_1200() -> None:
    percepts = feed(factory()(), chunked(spoken("Can you help me with something?")))
    assert [p.number("silence_ms") for p in percepts] == [192, 384, 608, 800, 992, 1216]
    assert {p.kind for p in percepts} == {END_OF_TURN}
    assert all(abs(p.start - 0.93 * SECOND) < 0.1 * SECOND for p in percepts)
    for p in percepts:
        belief = p.number("probability")
        assert p.label == (turn.COMPLETE if belief >= 0.5 else turn.INCOMPLETE)
        assert p.confidence == max(belief, 1 - belief)


@pytest.mark.models
@pytest.mark.slow
def test_once_sure_it_asks_no_more_until_the_voice_is_back() -> None:
    sound = np.concatenate([spoken("Can you help me with something?")] * 2)
    asked = feed(turn.load(resolve=resolve)(), chunked(sound))
    everything = feed(factory()(), chunked(sound))
    assert [p.number("silence_ms") for p in asked] == [192, 192]
    assert all(p.number("probability") >= 0.8 for p in asked)
    assert {p.end for p in asked} < {p.end for p in everything}


@pytest.mark.models
@pytest.mark.slow
def test_finished_sentences_are_told_from_broken_off_ones() -> None:
    whole = ["Can you help me with something?", "I just need a little time.", "What do you think I should do?", "Yes."]
    broken = [
        "I told her the truth and",
        "The thing is that when I was",
        "So I went to the shop because",
        "And then the,",
    ]

    def first(text: str) -> float:
        return feed(factory()(), chunked(spoken(text)))[0].number("probability")

    finished, cut = [first(t) for t in whole], [first(t) for t in broken]
    assert np.mean([p > 0.5 for p in finished]) >= 0.75, finished
    assert np.mean(finished) > np.mean(cut) + 0.3, (finished, cut)


@pytest.mark.models
@pytest.mark.slow
def test_answers_do_not_depend_on_the_cuts_and_know_no_future() -> None:
    sound = np.concatenate([spoken(SENTENCES[1]), spoken(SENTENCES[3])])
    whole = factory()().feed([AudioChunk(sound.copy(), start=0)])
    assert len(whole) >= 10
    assert feed(factory()(), chunked(sound, random_cuts(1)), batch=3) == whole
    cut = 3 * RATE_HZ
    before = feed(factory()(), chunked(sound[:cut]))
    assert before == whole[: len(before)]
    assert all(p.end <= 3 * SECOND for p in before)


@pytest.mark.models
def test_it_never_asks_without_a_voice() -> None:
    for other in (silence(4), pink(4), clicks(4), tones(4)):
        assert feed(factory()(), chunked(other)) == []


@pytest.mark.models
def test_a_break_in_the_sound_ends_the_speech() -> None:
    worker = factory()()
    sound = spoken(SENTENCES[0])[: 2 * RATE_HZ]
    asked = feed(worker, chunked(sound)) + feed(worker, chunked(silence(2.0), start=60 * SECOND))
    assert asked
    assert all(p.end < 5 * SECOND for p in asked)


@pytest.mark.parametrize(
    "wrong", [{"first_ms": 0}, {"last_ms": 3000}, {"again_ms": 0}, {"first_ms": 900, "last_ms": 800}]
)
def test_options_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"want|positive"):
        turn.Options(**wrong)
