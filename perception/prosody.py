"""How something was said, in numbers: melody, level, pace and tremor of a phrase.

Syllables are counted as peaks of the 300-2500 Hz level with a voice under them, after Pfitzinger, *Local
Speech Rate as a Combination of Syllable and Phone Rate* (1998), and de Jong & Wempe, *Praat Script to
Detect Syllable Nuclei* (2009). Tremor is the strongest periodicity of the pitch between 5 and 8 Hz, by a
Lomb-Scargle periodogram, which bridges the unvoiced stretches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

from perception.media import RATE_HZ

FRAME = 256
"""Samples per frame of pitch: 16 ms."""

_REFERENCE_HZ = 55.0
_VOICED = 0.5
_OCTAVE_ST = 10.0
_WEAK_DB = 18.0
_ENVELOPE = 160
_TREMOR_HZ = np.arange(5.0, 8.01, 0.25)


@dataclass(frozen=True, slots=True)
class Contour:
    """Pitch and level of a stretch of sound, one value per 16 ms.

    Attributes:
        pitch_hz: float64, shape ``(n,)``; meaningless where unvoiced.
        confidence: 0..1; voiced from 0.5.
        loudness_db: level, 0 at full scale.
    """

    pitch_hz: NDArray[np.float64]
    confidence: NDArray[np.float64]
    loudness_db: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured in a phrase.

    Attributes:
        pitch_hz: median of the pitch.
        pitch_range_st: 10th to 90th percentile, in semitones.
        pitch_slope_st_s: of a straight line through it, in semitones per second.
        pitch_final_st: the last 100 ms against the 400 ms before, in semitones.
        loudness_db: median level where voiced.
        rate_hz: syllables per second.
        tremor_st: amplitude of the strongest wobble of the pitch at 5-8 Hz.
        voiced_s: seconds of voice that this rests on.
    """

    pitch_hz: float
    pitch_range_st: float
    pitch_slope_st_s: float
    pitch_final_st: float
    loudness_db: float
    rate_hz: float
    tremor_st: float
    voiced_s: float


def measure(contour: Contour, sound: NDArray[np.float32]) -> Measures | None:
    """Measure a phrase.

    Args:
        contour: its pitch and level, ``n`` frames.
        sound: its samples, float32, shape ``(256 * n,)``.

    Returns:
        The measures, or ``None`` with less than a quarter of a second of voice.
    """
    semitones = 12 * np.log2(np.maximum(contour.pitch_hz, 1.0) / _REFERENCE_HZ)
    voiced = contour.confidence >= _VOICED
    if not voiced.any():
        return None
    voiced &= contour.loudness_db >= contour.loudness_db[voiced].max() - _WEAK_DB
    voiced &= np.abs(semitones - np.median(semitones[voiced])) < _OCTAVE_ST
    at = np.flatnonzero(voiced)
    if len(at) * FRAME < RATE_HZ // 4:
        return None
    time = at * (FRAME / RATE_HZ)
    pitch = semitones[at]
    low, high = np.percentile(pitch, [10, 90])
    return Measures(
        pitch_hz=float(_REFERENCE_HZ * 2 ** (np.median(pitch) / 12)),
        pitch_range_st=float(high - low),
        pitch_slope_st_s=float(np.polyfit(time, pitch, 1)[0]),
        pitch_final_st=float(np.median(pitch[-6:]) - np.median(pitch[-31:-6])),
        loudness_db=float(np.median(contour.loudness_db[at])),
        rate_hz=_syllables(sound, voiced) / (len(sound) / RATE_HZ),
        tremor_st=_tremor(semitones, voiced),
        voiced_s=len(at) * FRAME / RATE_HZ,
    )


@cache
def _speech_band() -> NDArray[np.float64]:
    return np.asarray(scipy.signal.butter(2, [300, 2500], btype="band", fs=RATE_HZ, output="sos"))


def _syllables(sound: NDArray[np.float32], voiced: NDArray[np.bool_]) -> int:
    band = scipy.signal.sosfiltfilt(_speech_band(), sound)
    power = (band[: len(band) // _ENVELOPE * _ENVELOPE] ** 2).reshape(-1, _ENVELOPE).mean(axis=1)
    level = 10 * np.log10(scipy.ndimage.gaussian_filter1d(power, 1.5, mode="constant") + 1e-9)
    peaks, _ = scipy.signal.find_peaks(level, prominence=0.7, distance=6, height=level.max() - 25)
    frames = np.minimum(peaks * _ENVELOPE // FRAME, len(voiced) - 1)
    wide = voiced | np.roll(voiced, 1) | np.roll(voiced, -1)
    return int(wide[frames].sum())


def _tremor(semitones: NDArray[np.float64], voiced: NDArray[np.bool_]) -> float:
    weight = voiced.astype(np.float64)
    trend = _smooth(semitones * weight) / np.maximum(_smooth(weight), 1e-6)
    wobble = np.clip((semitones - trend)[voiced], -2.5, 2.5)
    time = np.flatnonzero(voiced) * (FRAME / RATE_HZ)
    power = scipy.signal.lombscargle(time, wobble - wobble.mean(), 2 * np.pi * _TREMOR_HZ)
    return float(np.sqrt(4 * power.max() / len(wobble)))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(scipy.ndimage.gaussian_filter1d(values, 7.0, mode="constant"))
