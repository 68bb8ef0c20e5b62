"""Soft onsets: what is believed before Silero believes it, and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agent.models import resolve
from perception.media import RATE_HZ
from perception.onset import SoftOnset, SoftOptions, level_db
from perception.percept import SPEECH_ENDED, SPEECH_STARTED, Percept
from perception.silero import HOP, Segmenter
from perception.timebase import MS, SECOND
from perception.workers import vad
from tests.speech_samples import chunked, feed, pink, silence, tones

QUIET = [(0.0, -70.0)] * 12
BREATHY = [(0.2, -16.0), (0.4, -15.0), (0.3, -15.0), (0.28, -16.0), (0.2, -17.0)]


def heard(hops: list[tuple[float, float]], options: SoftOptions | None = None) -> list[tuple[int, int]]:
    """Return the hops with which an onset is believed, and where it lies, in hops."""
    soft = SoftOnset(options or SoftOptions())
    found = []
    for number, (probability, level) in enumerate(hops):
        at = soft.step(probability, level, (number + 1) * HOP)
        if at is not None:
            found.append((number, at // HOP))
    return found


def test_a_loud_doubtful_sound_after_quiet_is_believed_within_four_hops() -> None:
    assert heard(QUIET + BREATHY)[0] == (15, 12)


@pytest.mark.parametrize(
    "hops",
    [
        QUIET + [(p, level - 20.0) for p, level in BREATHY],
        [(0.1, -25.0)] * 12 + BREATHY,
        QUIET + [(0.02, level) for _, level in BREATHY],
        QUIET + [(0.2, level) for _, level in BREATHY],
        QUIET[:5] + BREATHY[:4],
    ],
    ids=[
        "far quieter than a voice",
        "over a noise that goes on",
        "no voice at all",
        "too doubtful",
        "too little known",
    ],
)
def test_other_sounds_are_not(hops: list[tuple[float, float]]) -> None:
    assert heard(hops) == []


def test_how_loud_it_has_to_be_follows_the_voice_of_the_person() -> None:
    murmur = [(p, level - 12.0) for p, level in BREATHY]
    assert heard(QUIET + murmur) != []
    after_loud = QUIET + [(0.95, -12.0)] * 80 + QUIET
    assert max(at for _, at in heard(after_loud + murmur)) < len(after_loud), "far below this voice"
    after_soft = QUIET + [(0.95, -40.0)] * 80 + QUIET
    whisper = [(p, level - 24.0) for p, level in BREATHY]
    assert max(at for _, at in heard(after_soft + whisper)) == len(after_soft) + 1, "as loud as this voice"


def test_it_can_be_switched_off_and_checks_its_options() -> None:
    assert heard(QUIET + BREATHY, SoftOptions(mean=1.1)) == []
    with pytest.raises(ValueError, match="at least 1"):
        SoftOptions(hops=0)
    with pytest.raises(ValueError, match="soft must be positive"):
        vad.Options(soft=0.0)


def test_the_level_of_a_sound_has_a_floor() -> None:
    assert level_db(np.zeros(HOP, np.float32)) == -90.0
    assert level_db(np.zeros(0, np.float32)) == -90.0
    assert level_db(np.full(HOP, 0.1, np.float32)) == pytest.approx(-20.0, abs=0.01)


def test_doubt_ends_where_a_voice_is_heard() -> None:
    segments = Segmenter(min_silence=3)
    assert segments.begin(100).began
    assert segments.doubtful
    segments.step(0.9, 5 * HOP)
    assert not segments.doubtful
    for number in range(6, 9):
        edge = segments.step(0.0, number * HOP)
    assert edge is not None
    assert not edge.began


class Detector:
    """Stands for Silero's session: says what it is told to, hop by hop."""

    def __init__(self, probabilities: list[float]) -> None:
        self._left = list(probabilities)

    def run(self, names: Any, inputs: dict[str, Any]) -> tuple[Any, Any, Any]:
        found = self._left.pop(0) if self._left else 0.0
        return np.asarray([[found]], np.float32), inputs["h"], inputs["c"]


def spoken(probabilities: list[float], **options: float) -> list[Percept]:
    """What the worker reports of loud sound in the hops that have any probability, and of silence in the others."""
    rng = np.random.default_rng(1)
    sound = [0.15 * rng.normal(size=HOP) * (p > 0) + 1e-4 * rng.normal(size=HOP) for p in probabilities]
    worker = vad.Vad(Detector(probabilities), vad.Options(**options))
    return feed(worker, chunked(np.concatenate(sound).astype(np.float32)))


OH = [0.2, 0.4, 0.33, 0.26, 0.18, 0.25, 0.3, 0.3, 0.25]


def test_a_breathy_vowel_begins_speech_in_the_worker() -> None:
    found = spoken([0.0] * 20 + OH + [0.9] * 20 + [0.0] * 10)
    assert [p.kind for p in found] == [SPEECH_STARTED, SPEECH_ENDED]
    assert found[0].start == 20 * HOP * SECOND // RATE_HZ
    assert found[0].end - found[0].start == 4 * HOP * SECOND // RATE_HZ
    assert found[0].confidence < 0.5
    assert "doubtful" not in found[1].data
    late = spoken([0.0] * 20 + OH + [0.9] * 20 + [0.0] * 10, soft=1.1)
    assert late[0].start > found[0].start


def test_a_sound_that_stayed_doubtful_is_told_as_such() -> None:
    found = spoken([0.0] * 20 + OH + [0.0] * 20)
    assert [p.kind for p in found] == [SPEECH_STARTED, SPEECH_ENDED]
    assert found[1].data["doubtful"] == 1.0
    assert found[1].end - found[0].start < 400 * MS


@pytest.mark.models
def test_noise_and_tones_begin_nothing_in_the_worker() -> None:
    worker = vad.load(resolve=resolve)
    for other in (pink(3, 0.2), tones(3), np.concatenate([silence(1.0), pink(2, 0.3)])):
        found: list[Percept] = feed(worker(), chunked(other))
        assert [p for p in found if p.kind in (SPEECH_STARTED, SPEECH_ENDED)] == []
