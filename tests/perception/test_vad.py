"""The voice activity worker on real speech."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from agent.models import resolve
from perception.media import RATE_HZ, AudioChunk
from perception.percept import SPEECH_ENDED, SPEECH_STARTED, Percept
from perception.timebase import MS, SECOND
from perception.workers import vad
from tests.speech_samples import (
    SENTENCES,
    chunked,
    clicks,
    feed,
    pink,
    random_cuts,
    say,
    silence,
    tones,
    voiced_span,
)

pytestmark = pytest.mark.models


@cache
def factory() -> vad.VadFactory:
    return vad.load(resolve=resolve)


def spoken(text: str) -> np.ndarray:
    sound = say(text)
    first, last = voiced_span(sound, floor=0.003)
    return np.concatenate([silence(1.0), sound[first:last], silence(1.0)])


@pytest.mark.slow
def test_speech_starts_and_ends_where_it_does() -> None:
    onset_ms, offset_ms, known_ms = [], [], []
    for text in SENTENCES[:6]:
        sound = spoken(text)
        percepts: list[Percept] = []
        worker = factory()()
        for chunk in chunked(sound):
            new = worker.feed([chunk])
            if new and not percepts:
                known_ms.append((chunk.end - SECOND) / MS)
            percepts += new
        assert [percepts[0].kind, percepts[-1].kind] == [SPEECH_STARTED, SPEECH_ENDED]
        onset_ms.append((percepts[0].start - SECOND) / MS)
        offset_ms.append((percepts[-1].end - (len(sound) - RATE_HZ) * SECOND // RATE_HZ) / MS)
        assert percepts[-1].number("silence_ms") == 192
    assert max(known_ms) <= 160
    assert all(-40 <= late <= 70 for late in onset_ms), onset_ms
    assert all(-40 <= late <= 200 for late in offset_ms), offset_ms


def test_no_speech_in_noise_clicks_and_tones() -> None:
    for other in (silence(4), pink(4), pink(4, 0.02), clicks(4), clicks(4, every_s=0.1), tones(4)):
        assert feed(factory()(), chunked(other)) == []


def test_percepts_do_not_depend_on_the_cuts_and_know_no_future() -> None:
    sound = np.concatenate([spoken(SENTENCES[1]), spoken(SENTENCES[2])])
    whole = factory()().feed([AudioChunk(sound.copy(), start=0)])
    assert len(whole) >= 4
    for seed in range(3):
        assert feed(factory()(), chunked(sound, random_cuts(seed)), batch=1 + seed) == whole
    for cut in (25_000, 40_000, 70_000):
        before = feed(factory()(), chunked(sound[:cut]))
        assert before == whole[: len(before)]
        assert all(p.end <= cut * SECOND // RATE_HZ for p in before)


def test_speech_is_over_when_the_sound_breaks_off() -> None:
    sound = spoken(SENTENCES[0])[: 2 * RATE_HZ]
    worker = factory()()
    assert [p.kind for p in feed(worker, chunked(sound))] == [SPEECH_STARTED]
    later = feed(worker, chunked(silence(0.5), start=90 * SECOND))
    assert [p.kind for p in later] == [SPEECH_ENDED]
    assert abs(later[0].end - 2 * SECOND) < 100 * MS


def test_two_calls_share_no_state() -> None:
    one, other = factory()(), factory()()
    sound = chunked(spoken(SENTENCES[0]))
    alone = feed(factory()(), sound)
    mixed = [
        p for chunk in sound for p in (one.feed([chunk]), other.feed([AudioChunk(-chunk.samples, chunk.start)]))[0]
    ]
    assert mixed == alone


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="silence_ms"):
        vad.load(resolve=resolve, silence_ms=5000)
    with pytest.raises(TypeError):
        vad.load(resolve=resolve, treshold=0.5)
