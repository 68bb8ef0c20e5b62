"""Levels, edges and edits of synthesised sound, on sound whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tone import Tone, tone_of
from agent.vocoder import CEILING, RATE_HZ, TARGET_RMS, Frames, finish, gated_rms, inflect
from policy.decision import TONES


def sine(seconds: float, level: float = 0.3, hz: float = 200.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def silence(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def frames(f0_hz: list[float]) -> Frames:
    flat = np.zeros((601, len(f0_hz)), np.float32)
    return Frames(flat, flat, flat, flat, flat, np.array(f0_hz, np.float32))


def test_silence_around_is_cut_to_20_and_60_ms() -> None:
    kept = finish(np.concatenate((silence(0.4), sine(0.5), silence(0.7))))
    assert len(kept) == pytest.approx((0.02 + 0.5 + 0.06) * RATE_HZ, abs=RATE_HZ // 100)


def test_pauses_do_not_count_as_quiet() -> None:
    talk = np.concatenate((sine(0.5), silence(1.5), sine(0.5)))
    assert gated_rms(talk) == pytest.approx(gated_rms(sine(0.5)), rel=0.05)
    assert gated_rms(silence(1.0)) == 0.0


@pytest.mark.parametrize("level", [0.002, 0.05, 0.9])
def test_loudness_is_the_same_whatever_came_in(level: float) -> None:
    assert gated_rms(finish(sine(1.0, level))) == pytest.approx(TARGET_RMS, rel=0.05)
    assert gated_rms(finish(sine(1.0, level), level_db=-6.0)) == pytest.approx(TARGET_RMS / 2, rel=0.05)


def test_a_peak_holds_the_level_back_instead_of_clipping() -> None:
    spiky = sine(1.0, 0.01)
    spiky[12_000] = 1.0
    assert np.abs(finish(spiky)).max() <= CEILING + 1e-6


@given(st.lists(st.floats(-1, 1, width=32), max_size=2000), st.floats(-20, 20))
def test_any_sound_stays_in_bounds(samples: list[float], level_db: float) -> None:
    made = finish(np.array(samples, np.float32), level_db)
    assert np.isfinite(made).all()
    assert np.abs(made).max(initial=0) <= CEILING + 1e-6


def test_too_quiet_to_hear_is_nothing() -> None:
    assert len(finish(sine(1.0, 1e-5))) == 0
    assert len(finish(sine(1.0, 5e-4))) == 0
    assert len(finish(np.zeros(0, np.float32))) == 0


def test_pitch_and_range_move_voiced_frames_only() -> None:
    made = inflect(frames([0.0, 150.0, 200.0, 266.7, 0.0]), Tone(pitch=1.1, range=0.5)).f0_hz
    assert made[0] == made[4] == 0.0
    assert made[2] == pytest.approx(220, rel=0.01)
    assert np.log(made[3] / made[1]) == pytest.approx(0.5 * np.log(266.7 / 150.0), rel=0.01)


def test_pitch_stays_in_a_voices_range() -> None:
    made = inflect(frames([100.0, 400.0]), Tone(pitch=1.5, range=4.0)).f0_hz
    assert made.min() >= 60.0
    assert made.max() <= 500.0


def test_breath_and_tilt_are_in_decibels() -> None:
    made = inflect(frames([200.0]), Tone(breath_db=6.02, tilt_db=12.04))
    assert np.exp(made.noise[0, 0]) == pytest.approx(2.0, rel=0.01)
    assert np.exp(made.harmonic[:, 0])[[0, -1]] == pytest.approx([1.0, 0.25], rel=0.01)


def test_neutral_changes_nothing() -> None:
    plain = frames([0.0, 150.0, 200.0])
    made = inflect(plain, tone_of("neutral"))
    assert np.allclose(made.f0_hz, plain.f0_hz)
    assert np.array_equal(made.harmonic, plain.harmonic)


def test_every_tone_of_the_policy_has_its_own_sound() -> None:
    assert len({tone_of(name) for name in TONES}) == len(TONES)
    assert tone_of("no such tone") == tone_of("neutral") == Tone()
