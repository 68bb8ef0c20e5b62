"""The sound of a call: each span is encoded once, and remembered when its sound has left."""

from __future__ import annotations

import numpy as np

from perception.context import ContextWindow
from perception.media import RATE_HZ, AudioChunk
from perception.timebase import MS, SECOND, Nanos
from policy.hearing import Hearing, between
from policy.signals import Floats
from policy.sound import Ears


class FakeEars(Ears):
    """One state for a span: its mean."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def states(self, samples: Floats) -> Floats:
        self.heard.append(len(samples))
        return np.full((1, 3072), samples.mean(), np.float32)


def chunk(at: Nanos, length: Nanos, level: float = 0.5, rate: int = RATE_HZ) -> AudioChunk:
    return AudioChunk(np.full(length * rate // SECOND, level, np.float32), at, rate)


def window(*audio: AudioChunk, end: Nanos = 10 * SECOND) -> ContextWindow:
    return ContextWindow(start=0, end=end, audio=audio)


def test_a_span_is_encoded_once_and_kept_when_its_sound_has_left() -> None:
    ears = FakeEars()
    hearing = Hearing(ears)
    first = hearing.of(window(chunk(0, 2 * SECOND)))(0, 2 * SECOND)
    again = hearing.of(window(chunk(0, 2 * SECOND), chunk(2 * SECOND, SECOND)))(0, 2 * SECOND)
    later = hearing.of(window())(0, 2 * SECOND)
    assert first is not None
    assert first is again is later
    assert ears.heard == [2 * RATE_HZ]


def test_another_span_is_another_matter() -> None:
    ears = FakeEars()
    of = Hearing(ears).of(window(chunk(0, SECOND, 0.2), chunk(SECOND, SECOND, 0.4)))
    found = [of(begin, stop) for begin, stop in ((0, SECOND), (SECOND, 2 * SECOND), (0, 2 * SECOND))]
    assert [round(float(f.mean()), 3) for f in found if f is not None] == [0.2, 0.4, 0.3]
    assert len(ears.heard) == 3


def test_sound_that_is_not_known_is_none_and_asked_for_again() -> None:
    ears = FakeEars()
    hearing = Hearing(ears)
    assert hearing.of(window())(0, SECOND) is None
    assert ears.heard == []
    assert hearing.of(window(chunk(0, SECOND)))(0, SECOND) is not None


def test_what_is_remembered_is_bounded() -> None:
    ears = FakeEars()
    hearing = Hearing(ears)
    of = hearing.of(window(chunk(0, 30 * SECOND)))
    for n in range(300):
        of(n * 100 * MS, (n + 1) * 100 * MS)
    gone = hearing.of(window())
    assert gone(0, 100 * MS) is None
    assert gone(299 * 100 * MS, 300 * 100 * MS) is not None


def test_a_gap_is_zeros() -> None:
    found = between((chunk(0, 500 * MS), chunk(SECOND, SECOND)), 0, 2 * SECOND)
    assert found is not None
    assert found.shape == (2 * RATE_HZ,)
    assert found.dtype == np.float32
    half = RATE_HZ // 2
    assert found[:half].tolist() == [0.5] * half
    assert not found[half:RATE_HZ].any()
    assert (found[RATE_HZ:] == 0.5).all()


def test_an_end_that_is_missing_is_zeros() -> None:
    found = between((chunk(0, SECOND),), 0, 2 * SECOND)
    assert found is not None
    assert not found[RATE_HZ:].any()


def test_a_start_that_is_missing_is_none() -> None:
    assert between((chunk(500 * MS, SECOND),), 0, SECOND) is None
    assert between((), 0, SECOND) is None
    assert between((chunk(2 * SECOND, SECOND),), 0, SECOND) is None


def test_the_samples_are_those_of_the_span() -> None:
    ramp = AudioChunk(np.arange(RATE_HZ, dtype=np.float32), 0)
    after = AudioChunk(np.arange(RATE_HZ, 2 * RATE_HZ, dtype=np.float32), SECOND)
    found = between((ramp, after), 750 * MS, 1250 * MS)
    assert found is not None
    np.testing.assert_array_equal(found, np.arange(3 * RATE_HZ // 4, 5 * RATE_HZ // 4))


def test_sound_at_another_rate_is_not_read() -> None:
    assert between((chunk(0, SECOND, rate=8000),), 0, SECOND) is None
