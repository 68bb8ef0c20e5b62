"""The prosody worker: what is unusual about a voice, against itself."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from agent.models import resolve
from perception.manner import FALLING, FAST, FLAT, LOUD, NEUTRAL, QUIET, RISING, SLOW, TREMBLING, Speaker
from perception.media import RATE_HZ, AudioChunk
from perception.percept import PROSODY, Percept
from perception.prosody import FRAME, Contour, Measures, measure
from perception.timebase import SECOND, seconds
from perception.workers import prosody
from tests.speech_samples import SENTENCES, chunked, clicks, feed, pink, random_cuts, say, silence, tones

LABELS = {FLAT, TREMBLING, RISING, FALLING, LOUD, QUIET, SLOW, FAST, NEUTRAL}


@cache
def factory() -> prosody.ProsodyFactory:
    return prosody.load(resolve=resolve)


def talk(
    *, start_s: float = 0.0, gap_s: float = 0.5, texts: tuple[str, ...] = SENTENCES, **manner: Any
) -> list[AudioChunk]:
    parts = [part for text in texts for part in (say(text, **manner), silence(gap_s))]
    return chunked(np.concatenate(parts), start=seconds(start_s))


@cache
def after_neutral(**manner: Any) -> tuple[Percept, ...]:
    """Say the sentences neutrally, then again in a manner; return the percepts of the second time."""
    worker = factory()()
    first = talk()
    feed(worker, first)
    return tuple(feed(worker, talk(start_s=first[-1].end / SECOND, **manner)))


def share(percepts: tuple[Percept, ...], label: str) -> float:
    return float(np.mean([p.label == label for p in percepts]))


def median(percepts: tuple[Percept, ...], key: str) -> float:
    return float(np.median([p.number(key) for p in percepts]))


@pytest.mark.models
@pytest.mark.slow
def test_the_same_manner_again_is_neutral() -> None:
    percepts = after_neutral()
    assert len(percepts) >= len(SENTENCES)
    assert share(percepts, NEUTRAL) >= 0.8
    for key in ("z_range", "z_loudness", "z_rate", "z_tremor", "z_final"):
        assert abs(median(percepts, key)) < 2.0


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "manner"),
    [
        (FLAT, {"range_": 0.6}),
        (QUIET, {"gain": 0.4}),
        (LOUD, {"gain": 2.0}),
        (TREMBLING, {"tremor_st": 1.5}),
        (SLOW, {"speed": 0.6}),
        (FAST, {"speed": 1.5}),
    ],
)
def test_an_unusual_manner_gets_its_label_and_no_other_does(label: str, manner: dict[str, float]) -> None:
    assert share(after_neutral(**manner), label) >= 0.5
    assert share(after_neutral(), label) <= 0.1
    assert {p.label for p in after_neutral(**manner)} <= LABELS


@pytest.mark.models
@pytest.mark.slow
def test_measures_follow_what_was_changed() -> None:
    plain = after_neutral()
    narrow, wide = after_neutral(range_=0.6), after_neutral(range_=1.5)
    assert median(narrow, "pitch_range_st") < 0.8 * median(plain, "pitch_range_st")
    assert median(wide, "pitch_range_st") > 1.2 * median(plain, "pitch_range_st")
    assert median(narrow, "z_range") < -2 < 2 < median(wide, "z_range")
    assert share(wide, FLAT) == 0
    assert median(after_neutral(pitch=1.2), "pitch_hz") == pytest.approx(1.2 * median(plain, "pitch_hz"), rel=0.05)
    assert median(after_neutral(gain=0.4), "loudness_db") == pytest.approx(median(plain, "loudness_db") - 8, abs=1)
    slow, fast = after_neutral(speed=0.85), after_neutral(speed=1.2)
    assert median(slow, "rate_hz") < median(fast, "rate_hz")
    assert np.mean([p.number("z_rate") for p in slow]) < np.mean([p.number("z_rate") for p in fast]) - 0.5
    assert median(after_neutral(tremor_st=1.5), "tremor_st") > 1.4 * median(plain, "tremor_st")


@pytest.mark.models
@pytest.mark.slow
def test_before_the_speaker_is_known_confidence_is_low() -> None:
    percepts = feed(factory()(), talk(range_=0.6))
    assert all(p.confidence <= 0.3 for p in percepts if p.number("phrases") < 5)
    assert [p.number("phrases") for p in percepts][:3] == [0, 1, 2]
    assert max(p.confidence for p in percepts if p.number("phrases") >= 5) > 0.4


@pytest.mark.models
@pytest.mark.slow
def test_percepts_do_not_depend_on_the_cuts_and_know_no_future() -> None:
    long = "My sister called me last night and we talked for a long time about everything that happened in the spring."
    sound = np.concatenate([c.samples for c in talk(texts=(*SENTENCES[:3], long))])
    whole = factory()().feed([AudioChunk(sound.copy(), start=0)])
    assert len(whole) >= 4
    for seed in range(2):
        assert feed(factory()(), chunked(sound, random_cuts(seed)), batch=1 + 4 * seed) == whole
    for cut in (40_000, 100_000):
        before = feed(factory()(), chunked(sound[:cut]))
        assert before == whole[: len(before)]
        assert all(p.end <= cut * SECOND // RATE_HZ for p in before)


@pytest.mark.models
@pytest.mark.slow
def test_a_change_in_the_middle_of_long_speech_is_reported_before_its_end() -> None:
    worker = factory()()
    first = talk()
    feed(worker, first)
    loud = np.concatenate([say(text, gain=3.0)[3000:-6000] for text in SENTENCES[:4]])
    found = [
        (chunk.end, percept)
        for chunk in chunked(np.concatenate([loud, silence(0.5)]), start=first[-1].end)
        for percept in worker.feed([chunk])
    ]
    known, early = found[0]
    assert early.label == LOUD
    assert known < first[-1].end + seconds(4.5)
    assert found[-1][1].end - early.end > seconds(2)


@pytest.mark.models
@pytest.mark.slow
def test_pauses_are_counted() -> None:
    straight = feed(factory()(), talk(texts=SENTENCES[:1]))
    hurried = feed(factory()(), talk(texts=SENTENCES[:3], gap_s=0.0))
    halting = feed(factory()(), talk(texts=SENTENCES[:3], gap_s=0.5))
    assert hurried[-1].number("pause_ratio") < halting[-1].number("pause_ratio")
    assert straight[0].number("pause_ratio") < 0.1
    assert all(0 <= p.number("pause_ratio") < 1 for p in hurried + halting)


@pytest.mark.models
def test_no_voice_no_prosody() -> None:
    for other in (silence(4), pink(4), clicks(4), tones(4)):
        assert feed(factory()(), chunked(other)) == []


@pytest.mark.models
@pytest.mark.slow
def test_a_break_in_the_sound_does_not_disturb_what_follows() -> None:
    worker = factory()()
    sound = say(SENTENCES[0])
    feed(worker, chunked(sound[: len(sound) // 2]))
    later = feed(worker, chunked(np.concatenate([say(SENTENCES[1]), silence(0.5)]), start=100 * SECOND))
    assert later[0].kind == PROSODY
    assert later[0].end < 5 * SECOND
    assert all(p.start > 100 * SECOND for p in later[1:])
    assert len(later) >= 2


def melody(semitones: np.ndarray, loudness: float = -25.0) -> tuple[Contour, np.ndarray]:
    n = len(semitones)
    contour = Contour(110 * 2 ** (semitones / 12), np.full(n, 0.9), np.full(n, loudness))
    t = np.arange(n * FRAME) / RATE_HZ
    syllables = (0.55 + 0.45 * np.sin(2 * np.pi * 4.0 * t)) * 0.2
    return contour, (syllables * np.sin(2 * np.pi * 600 * t)).astype(np.float32)


def test_measures_of_a_known_melody() -> None:
    time = np.arange(125) * FRAME / RATE_HZ
    found = measure(*melody(3.0 * time))
    assert found is not None
    assert found.pitch_slope_st_s == pytest.approx(3.0, abs=0.01)
    assert found.pitch_range_st == pytest.approx(0.8 * 3.0 * time[-1], rel=0.03)
    assert found.pitch_final_st == pytest.approx(0.75, abs=0.1)
    assert found.loudness_db == -25
    assert found.rate_hz == pytest.approx(4.0, abs=0.6)
    assert found.voiced_s == pytest.approx(2.0)
    assert found.tremor_st < 0.1
    shaking = measure(*melody(0.8 * np.sin(2 * np.pi * 6 * time)))
    assert shaking is not None
    assert shaking.tremor_st == pytest.approx(0.8, abs=0.2)


def test_octave_errors_and_weak_ends_do_not_count() -> None:
    semitones = np.zeros(125)
    semitones[40:44] = 12
    contour, sound = melody(semitones)
    contour.loudness_db[-8:] = -60
    contour.pitch_hz[-8:] = 400
    found = measure(contour, sound)
    assert found is not None
    assert found.pitch_range_st == 0
    assert found.pitch_final_st == 0


def test_too_little_voice_is_not_measured() -> None:
    contour, sound = melody(np.zeros(60))
    contour.confidence[10:] = 0.1
    assert measure(contour, sound) is None


def usual(**changed: float) -> Measures:
    values = {"pitch_hz": 120.0, "pitch_range_st": 6.0, "pitch_slope_st_s": -1.0, "pitch_final_st": -1.0}
    values |= {"loudness_db": -30.0, "rate_hz": 4.5, "tremor_st": 0.6, "voiced_s": 1.5}
    return Measures(**(values | changed))


def known() -> Speaker:
    speaker = Speaker()
    for n in range(8):
        speaker.learn(usual(pitch_hz=120.0 + n % 3, loudness_db=-30 + n % 2))
    return speaker


@pytest.mark.parametrize(
    ("changed", "label"),
    [
        ({}, NEUTRAL),
        ({"pitch_final_st": 5.0}, RISING),
        ({"pitch_final_st": -7.0}, FALLING),
        ({"loudness_db": -20.0}, LOUD),
        ({"loudness_db": -40.0}, QUIET),
    ],
)
def test_one_phrase_is_enough_for_level_and_final_pitch(changed: dict[str, float], label: str) -> None:
    assert known().judge(usual(**changed)).label == label
    unfinished = known().judge(usual(**changed), finished=False).label
    assert unfinished == (NEUTRAL if label in {RISING, FALLING} else label)


def test_a_lasting_mood_does_not_become_usual_soon() -> None:
    speaker = known()
    labels = []
    for _ in range(20):
        labels.append(speaker.judge(usual(loudness_db=-40.0)).label)
        speaker.learn(usual(loudness_db=-40.0))
    assert labels == [QUIET] * 20


def test_a_scrap_of_voice_convinces_less() -> None:
    assert known().judge(usual(loudness_db=-40.0, voiced_s=0.3)).confidence < 0.31
    assert known().judge(usual(loudness_db=-40.0)).confidence > 0.9


@pytest.mark.parametrize("wrong", [{"gap_ms": 100}, {"gap_ms": 3000}, {"long_s": 0.5}, {"again_s": 0}])
def test_options_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="want"):
        prosody.Options(**wrong)
