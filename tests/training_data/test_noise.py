from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from perception.context import ContextWindow, Turn
from perception.media import AudioChunk, VideoFrame
from perception.percept import EXPRESSION, GAZE, GESTURE, PROSODY, SPEECH_ENDED, UNCERTAIN, Percept
from perception.timebase import MS, SECOND
from policy.training.corpus import GAZES, VOICES, situations
from policy.training.noise import CLASSES, FILE, SENSES, NoiseError, fitted, hushed, noisy, read
from policy.training.parts import parts
from policy.training.scenes import window_of


@cache
def windows() -> tuple[ContextWindow, ...]:
    return tuple(window_of(s) for s in parts(situations()).train[:300])


def draw(window: ContextWindow, seed: int = 0) -> ContextWindow:
    return noisy(window, np.random.default_rng(seed))


def looks(label: str, count: int = 12) -> ContextWindow:
    step = 400 * MS
    entries = tuple(
        Percept(EXPRESSION, label, SECOND + n * step, SECOND + (n + 1) * step, 0.7, "face") for n in range(count)
    )
    return ContextWindow(start=0, end=10 * SECOND, entries=entries)


def seen(window: ContextWindow) -> list[Percept]:
    return [p for p in window.percepts if p.kind == EXPRESSION]


def test_windows_stay_windows() -> None:
    for n, window in enumerate(windows()):
        after = draw(window, n)
        assert after.turns == window.turns
        assert (after.start, after.end, after.cue) == (window.start, window.end, window.cue)
        kept = [p for p in window.percepts if p.kind != GESTURE]
        found = [p for p in after.percepts if p.kind != GESTURE]
        assert [(p.kind, p.start, p.end) for p in found] == [(p.kind, p.start, p.end) for p in kept]
        for percept in found:
            assert 0.0 <= percept.confidence <= 1.0
            if percept.kind == EXPRESSION:
                assert percept.label in {*CLASSES, UNCERTAIN}
            if percept.kind == PROSODY:
                assert percept.label in VOICES
            if percept.kind == GAZE:
                assert percept.label in GAZES


def test_scores_sum_to_one_and_the_label_is_the_highest() -> None:
    for percept in seen(draw(looks("sad"))):
        shares = [percept.number(name) for name in CLASSES]
        assert sum(shares) == pytest.approx(1.0)
        if percept.label != UNCERTAIN:
            assert percept.label == CLASSES[int(np.argmax(shares))]
            assert percept.confidence == pytest.approx(max(shares))
            assert percept.confidence >= fitted().least
        assert -0.7 <= percept.number("valence") <= 0.9


def test_same_seed_same_window() -> None:
    assert draw(looks("sad"), 4).entries == draw(looks("sad"), 4).entries
    assert draw(looks("sad"), 4).entries != draw(looks("sad"), 5).entries


@pytest.mark.parametrize("label", CLASSES)
def test_most_expressions_are_seen_for_what_they_are(label: str) -> None:
    found = Counter(p.label for seed in range(150) for p in seen(draw(looks(label), seed)))
    total = found.total()
    assert found[label] / total >= 0.6
    assert 0.01 <= found[UNCERTAIN] / total <= 0.35


def test_distress_is_hardly_ever_taken_for_joy() -> None:
    found = Counter(p.label for seed in range(300) for p in seen(draw(looks("sad"), seed)))
    assert found["happy"] / found.total() < 0.02


def test_neighbours_resemble_each_other() -> None:
    runs = [[p.number("sad") for p in seen(draw(looks("sad", 30), seed))] for seed in range(40)]
    steps = np.mean([np.mean(np.abs(np.diff(run))) for run in runs])
    apart = np.mean([np.mean(np.abs(np.array(run) - np.array(other))) for run, other in pairwise(runs)])
    assert steps < 0.6 * apart


def test_a_change_of_expression_shows_late() -> None:
    sad, happy = looks("sad", 6), looks("happy", 12)
    entries = (*sad.entries, *(replace(p, start=p.start + 2400 * MS, end=p.end + 2400 * MS) for p in happy.percepts))
    both = ContextWindow(start=0, end=20 * SECOND, entries=entries)
    found = [[p.number("happy") for p in seen(draw(both, seed))] for seed in range(100)]
    means = np.mean(found, axis=0)
    assert means[6] < 0.6
    assert means[6] < means[8] < means[12]


def test_what_workers_measured_is_left_alone() -> None:
    real = Percept(PROSODY, "flat", 0, SECOND, 0.4, "prosody", {"z_range": -2.0})
    raw = Percept(EXPRESSION, "sad", 0, SECOND, 0.8, "face", {"raw_sad": 0.8})
    window = ContextWindow(start=0, end=SECOND, entries=(real, raw))
    assert draw(window).entries == (real, raw)


def test_voices_are_confused_as_measured() -> None:
    table = fitted().voices
    for manner in ("flat", "loud"):
        one = ContextWindow(start=0, end=SECOND, entries=(Percept(PROSODY, manner, 0, SECOND, 0.7, "prosody"),))
        found = Counter(draw(one, seed).percepts[0].label for seed in range(600))
        for label, share in table[manner].items():
            assert found[label] / 600 == pytest.approx(share, abs=0.07)


def test_hushed_takes_away_one_sense_and_its_media() -> None:
    percepts = [Percept(kind, "x", 0, SECOND, 0.5, "w") for kinds in SENSES.values() for kind in sorted(kinds)]
    window = ContextWindow(
        start=0,
        end=SECOND,
        entries=(*percepts, Percept(SPEECH_ENDED, "", 0, SECOND, 0.9, "vad"), Turn("user", "Hi.", 0, SECOND)),
        audio=(AudioChunk(np.zeros(160, np.float32), 0),),
        frames=(VideoFrame(np.zeros((8, 8, 3), np.uint8), 0),),
    )
    for sense, kinds in SENSES.items():
        after = hushed(window, [sense])
        assert {p.kind for p in window.percepts} - {p.kind for p in after.percepts} == kinds
        assert bool(after.audio) == (sense != "voice")
        assert bool(after.frames) == (sense == "voice")
        assert after.turns == window.turns
    assert [p.kind for p in hushed(window, SENSES).percepts] == [SPEECH_ENDED]
    assert hushed(window, ()).entries == window.entries
    with pytest.raises(ValueError, match="smell is no sense"):
        hushed(window, ["smell"])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("correlation = 0", "correlation = 7", "correlation"),
        ("angry = [0.7", "angry = [0.1", "angry"),
        ("\nsad = [", "\nsade = [", "sad"),
    ],
)
def test_parameters_that_cannot_be_are_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "noise.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(NoiseError, match=told):
        read(path)
