"""Face and voice as numbers: known values, and what is unknown is never neutral."""

from __future__ import annotations

import numpy as np
import pytest

from perception.percept import EXPRESSION, FACE, GAZE, GESTURE, PROSODY, UNCERTAIN, Percept
from perception.timebase import SECOND
from policy.signals import FACES, LOOK, MEASURES, TONE, VOICES, Floats, look, tone
from tests.policy.windows import percept

HAPPY, NEUTRAL = FACES.index("happy"), FACES.index("neutral")
SEEN, UNSURE, ABSENT, VALENCE, GAZED, AWAY, TOWARDS, NOD, SHAKE, OTHER = range(len(FACES), LOOK)


def seen(*percepts: Percept, start: float = 0, end: float = 2) -> Floats:
    found = look(percepts, round(start * SECOND), round(end * SECOND))
    assert found is not None
    assert found.shape == (LOOK,)
    assert found.dtype == np.float32
    return found


def voiced(*percepts: Percept) -> Floats:
    found = tone(percepts, 0, 2 * SECOND)
    assert found is not None
    assert found.shape == (TONE,)
    return found


def test_expressions_are_a_mean_weighted_by_confidence() -> None:
    numbers = seen(
        percept(EXPRESSION, "happy", 0, 1, 0.6, happy=0.8, neutral=0.2, valence=0.5),
        percept(EXPRESSION, "neutral", 1, 2, 0.2, happy=0.0, neutral=1.0, valence=-0.1),
    )
    assert numbers[[HAPPY, NEUTRAL]] == pytest.approx([0.6, 0.4])
    assert numbers[VALENCE] == pytest.approx(0.35)
    assert numbers[[SEEN, UNSURE, ABSENT, GAZED]].tolist() == [1, 0, 0, 0]


def test_a_label_alone_counts_with_its_confidence() -> None:
    assert seen(percept(EXPRESSION, "happy", 0, 1, 0.75))[HAPPY] == pytest.approx(0.75)


def test_nothing_seen_is_none_and_neither_neutral_nor_uncertain() -> None:
    assert look([], 0, SECOND) is None
    assert look([percept(PROSODY, "flat", 0, 1)], 0, SECOND) is None
    assert look([percept(GAZE, UNCERTAIN, 0, 1)], 0, SECOND) is None
    neutral = seen(percept(EXPRESSION, "neutral", 0, 1, 0.7))
    unsure = seen(percept(EXPRESSION, UNCERTAIN, 0, 1, 0.3))
    absent = seen(percept(FACE, "absent", 0, 1))
    assert unsure[: len(FACES)].tolist() == [0] * len(FACES)
    assert [n[[SEEN, UNSURE, ABSENT]].tolist() for n in (neutral, unsure, absent)] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_half_uncertain_is_half_unsure() -> None:
    both = seen(percept(EXPRESSION, "sad", 0, 1), percept(EXPRESSION, UNCERTAIN, 1, 2, 0.2))
    assert both[[SEEN, UNSURE]].tolist() == [1, 0.5]


def test_gaze_is_a_share_and_gestures_are_flags() -> None:
    numbers = seen(
        *(percept(GAZE, label, n / 4, (n + 1) / 4) for n, label in enumerate(("away", "away", "away", "towards"))),
        percept(GESTURE, "nod", 0, 1),
        percept(GESTURE, "thumb_up", 0, 1),
    )
    assert numbers[[GAZED, AWAY, TOWARDS]].tolist() == [1, 0.75, 0.25]
    assert numbers[[NOD, SHAKE, OTHER]].tolist() == [1, 0, 1]
    for name in ("shake", "head_shake"):
        assert seen(percept(GESTURE, name, 0, 1))[[NOD, SHAKE, OTHER]].tolist() == [0, 1, 0]


def test_only_what_overlaps_the_span_counts() -> None:
    sad = percept(EXPRESSION, "sad", 1, 2)
    assert look([sad], 2 * SECOND, 3 * SECOND) is None
    assert look([sad], 0, SECOND) is None
    assert look([sad], 2 * SECOND - 1, 3 * SECOND) is not None


def test_a_tone_has_labels_and_halved_z_scores() -> None:
    scores = dict.fromkeys(MEASURES, 0.0) | {"z_pitch": 1.0, "z_loudness": -9.0}
    numbers = voiced(percept(PROSODY, "quiet", 0, 1, 0.6, **scores))
    assert numbers[VOICES.index("quiet")] == pytest.approx(0.6)
    assert numbers[: len(VOICES)].sum() == pytest.approx(0.6)
    assert numbers[len(VOICES) :].tolist() == [1, 0.5, 0, -2, 0, 0, 0, 1]


def test_a_voice_without_measurements_differs_from_an_average_one() -> None:
    imagined = voiced(percept(PROSODY, "flat", 0, 1, 0.6))
    average = voiced(percept(PROSODY, "flat", 0, 1, 0.6, **dict.fromkeys(MEASURES, 0.0)))
    assert (imagined[-1], average[-1]) == (0, 1)
    assert imagined[:-1].tolist() == average[:-1].tolist()


def test_an_unknown_voice_is_none_and_not_neutral() -> None:
    assert tone([], 0, SECOND) is None
    assert tone([percept(PROSODY, UNCERTAIN, 0, 1)], 0, SECOND) is None
    assert tone([percept(PROSODY, "flat", 3, 4)], 0, SECOND) is None
    assert voiced(percept(PROSODY, "neutral", 0, 1, 0.5))[VOICES.index("neutral")] == pytest.approx(0.5)


def test_what_is_no_number_is_average() -> None:
    numbers = voiced(percept(PROSODY, "flat", 0, 1, 0.6, z_pitch=float("nan"), z_rate=1.0))
    assert np.isfinite(numbers).all()
