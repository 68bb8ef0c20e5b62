"""The voices do what their delivery says, measured in the sound."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.rendering.manner import PLAIN, Delivery, delivery
from agent.rendering.noise import Noises, babble, pink, white
from agent.rendering.shaping import bend, repitch, tilt, waver
from agent.rendering.speak import BELOW_DB, ESPEAK, HIBARI, SPEAKERS, Espeak, Speaker, VoiceMissing, Voices, speakers
from agent.tone import Tone
from agent.vocoder import TARGET_RMS, gated_rms
from perception.media import RATE_HZ
from policy.training.corpus import VOICES

TEXT = "They painted the garden fence last year."
needs_espeak = pytest.mark.skipif(shutil.which(ESPEAK) is None, reason="espeak-ng is not installed")
ENGINES = (HIBARI, pytest.param(ESPEAK, marks=needs_espeak))


@pytest.fixture(scope="module")
def voices() -> Voices:
    return Voices()


def first(engine: str) -> Speaker:
    return speakers(engine)[0]


def pitch(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the voiced pitch in semitones, one value per 16 ms."""
    from swift_f0 import SwiftF0

    found = SwiftF0(threads=1, spin=False).detect(sound, RATE_HZ, 60.0, 500.0)
    strong = found.loudness_db > found.loudness_db.max() - 18.0
    voiced = np.asarray(found.pitch_hz, np.float64)[(found.confidence >= 0.5) & strong]
    return np.asarray(12.0 * np.log2(voiced))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_neutral_line_has_its_level_and_is_the_same_every_time(engine: str, voices: Voices) -> None:
    sound = voices.say(TEXT, first(engine), PLAIN)
    assert sound.dtype == np.float32
    assert 1.5 < len(sound) / RATE_HZ < 4.0
    assert 20 * np.log10(gated_rms(sound) / TARGET_RMS) == pytest.approx(BELOW_DB, abs=1.0)
    np.testing.assert_array_equal(sound, voices.say(TEXT, first(engine), PLAIN))


@pytest.mark.parametrize("engine", ENGINES)
def test_loud_quiet_fast_and_slow_are(engine: str, voices: Voices) -> None:
    def said(manner: str) -> NDArray[np.float32]:
        return voices.say(TEXT, first(engine), delivery(manner, np.random.default_rng(1)))

    neutral = said("neutral")
    assert gated_rms(said("loud")) > 2.2 * gated_rms(neutral)
    assert gated_rms(said("quiet")) < 0.5 * gated_rms(neutral)
    assert len(said("fast")) < 0.8 * len(neutral)
    assert len(said("slow")) > 1.25 * len(neutral)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_end_of_a_sentence_rises_and_falls(engine: str, voices: Voices) -> None:
    def final(semitones: float) -> float:
        curve = pitch(voices.say(TEXT, first(engine), Delivery(final_st=semitones)))
        return float(np.median(curve[-6:]) - np.median(curve[:-25]))

    assert final(9.0) > final(0.0) + 3.0
    assert final(-9.0) < final(0.0) - 1.5


def test_a_flat_voice_has_no_melody(voices: Voices) -> None:
    lively, flat = (
        np.percentile(pitch(voices.say(TEXT, first(HIBARI), Delivery(tone=Tone(range=r)))), [10, 90])
        for r in (1.0, 0.1)
    )
    assert flat[1] - flat[0] < 0.5 * (lively[1] - lively[0])


@pytest.mark.parametrize("manner", ["", *VOICES])
def test_every_manner_of_the_corpus_can_be_spoken(manner: str) -> None:
    assert isinstance(delivery(manner, np.random.default_rng(0)), Delivery)


def test_an_unknown_manner_is_refused() -> None:
    with pytest.raises(ValueError, match="no manner 'calm'"):
        delivery("calm", np.random.default_rng(0))


def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(VoiceMissing, match=r"no program 'no-such-voice'.*apt install espeak-ng"):
        Espeak("no-such-voice")


@needs_espeak
def test_an_unknown_voice_of_the_program_is_told(voices: Voices) -> None:
    with pytest.raises(VoiceMissing, match="cannot speak with its voice 'xx-none'"):
        voices.say(TEXT, Speaker(name="x", engine=ESPEAK, voice="xx-none"), PLAIN)


def test_speakers_have_names_of_their_own() -> None:
    assert len({s.name for s in SPEAKERS}) == len(SPEAKERS)
    assert len(speakers(HIBARI)) == len(speakers(ESPEAK)) == len(SPEAKERS) // 2


def test_repitch_moves_the_pitch_and_not_the_formants() -> None:
    t = np.arange(RATE_HZ) / RATE_HZ
    source = sum(np.sin(2 * np.pi * 120 * k * t) * np.exp(-(((120 * k - 900) / 400) ** 2)) for k in range(1, 40))
    sound = np.asarray(0.1 * source, np.float32)
    moved = repitch(sound, np.full(len(sound), 5.0), RATE_HZ)
    assert len(moved) / len(sound) == pytest.approx(2 ** (-5 / 12), rel=0.01)
    spectrum = np.abs(np.fft.rfft(moved * np.hanning(len(moved)), RATE_HZ))
    at = np.arange(len(spectrum)).astype(float)
    assert (at * spectrum**2).sum() / (spectrum**2).sum() == pytest.approx(900, rel=0.12)
    comb = [spectrum[int(k * 120 * 2 ** (5 / 12)) - 3 :][:7].max() for k in range(4, 8)]
    assert min(comb) > 10 * np.median(spectrum[300:1500])


def test_bend_tilt_and_waver() -> None:
    curve = bend(1000, 1000.0, 6.0)
    assert (curve[0], curve[-1]) == (0.0, 6.0)
    noise = white(RATE_HZ, np.random.default_rng(0))
    before, after = (np.abs(np.fft.rfft(s)) for s in (noise, tilt(noise, 12.0)))
    assert 20 * np.log10(after[-200:].mean() / before[-200:].mean()) == pytest.approx(-12.0, abs=0.3)
    assert np.ptp(waver(np.ones(RATE_HZ, np.float32), RATE_HZ, 0.9, 6.0)) == pytest.approx(0.6, abs=0.01)


def test_noises_have_unit_level_and_their_colour() -> None:
    rng = np.random.default_rng(0)
    lines = [white(RATE_HZ, rng) * n for n in (1, 2, 3)]
    noises = Noises(lines, 1)
    for kind in ("white", "pink", "babble"):
        taken = noises.take(kind, 70 * RATE_HZ, rng)
        assert taken.shape == (70 * RATE_HZ,)
        assert taken.std() == pytest.approx(1.0, abs=0.05)
    assert not noises.take("clean", 10, rng).any()
    spectrum = np.abs(np.fft.rfft(pink(4 * RATE_HZ, rng))) ** 2
    assert 10 * np.log10(spectrum[400:800].mean() / spectrum[3200:6400].mean()) == pytest.approx(9.0, abs=1.0)
    with pytest.raises(ValueError, match="needs lines"):
        babble(100, [], rng)
