"""Edits of a finished voice: bends of the pitch that leave the formants where they are, tremor of the level, tilt."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

Array = NDArray[np.float32]
Curve = NDArray[np.float64]

FINAL_S: Final = 0.24
"""The bend at the end of a sentence takes this long."""

_TAIL_S = 0.12
_WINDOW_S = 0.032
_LIFTER_S = 0.0016


def bend(count: int, rate_hz: float, final_st: float, tail_s: float = _TAIL_S) -> Curve:
    """Return semitones per step, shape ``(count,)``: nothing, then a ramp to ``final_st``, held for ``tail_s``."""
    end = count - round(tail_s * rate_hz)
    at = np.arange(count) - (end - FINAL_S * rate_hz)
    return np.asarray(final_st * np.clip(at / (FINAL_S * rate_hz), 0.0, 1.0))


def tremor(count: int, rate_hz: float, depth: float, tremor_hz: float) -> Curve:
    """Return a sine of amplitude ``depth`` per step, shape ``(count,)``."""
    return np.asarray(depth * np.sin(2 * np.pi * tremor_hz / rate_hz * np.arange(count)))


def waver(sound: Array, rate_hz: int, tremor_st: float, tremor_hz: float) -> Array:
    """Let the level wobble with the pitch: one semitone goes with a third of the amplitude."""
    depth = min(0.45, tremor_st / 3.0)
    return (sound * (1.0 + tremor(len(sound), rate_hz, depth, tremor_hz))).astype(np.float32)


def repitch(sound: Array, semitones: Curve, rate_hz: int) -> Array:
    """Change the pitch of a voice over time.

    The samples are read faster or slower, which moves the formants along; a filter that follows puts the smooth
    spectral envelope back, found by cepstral liftering (Oppenheim & Schafer, *Homomorphic analysis of speech*, 1968).

    Args:
        sound: shape ``(n,)``.
        semitones: shape ``(n,)``.
        rate_hz: samples per second.

    Returns:
        The sound, shorter where the pitch was raised.
    """
    ratio = 2.0 ** (semitones / 12.0)
    clock = np.cumsum(1.0 / ratio)
    places = np.interp(np.arange(int(clock[-1])), clock, np.arange(len(sound)))
    warped = scipy.ndimage.map_coordinates(sound.astype(np.float64), places[None, :], order=3, mode="nearest")
    size = round(_WINDOW_S * rate_hz) // 4 * 4
    if len(warped) < 2 * size:
        return warped.astype(np.float32)
    hop = size // 4
    short = scipy.signal.ShortTimeFFT(scipy.signal.windows.hann(size, sym=False), hop, rate_hz)
    spectrum = short.stft(warped)
    middles = np.clip((np.arange(spectrum.shape[1]) + short.p_min) * hop, 0, len(warped) - 1)
    shift = np.interp(places[middles], np.arange(len(sound)), ratio)
    quefrency = max(2, round(_LIFTER_S * rate_hz))
    cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-7), axis=0)
    cepstrum[quefrency : len(cepstrum) - quefrency + 1] = 0.0
    envelope = np.fft.rfft(cepstrum, axis=0).real
    bins = np.arange(len(envelope))
    gains = np.empty_like(envelope)
    for n, factor in enumerate(shift):
        gains[:, n] = np.interp(bins * factor, bins, envelope[:, n]) - envelope[:, n]
    gains[:, np.abs(shift - 1.0) < 0.01] = 0.0
    made = short.istft(spectrum * np.exp(np.clip(gains, -3.0, 3.0)), k1=len(warped))
    return np.asarray(made, dtype=np.float32)


def tilt(sound: Array, tilt_db: float) -> Array:
    """Take ``tilt_db`` off at half the sample rate, linearly less towards 0 Hz."""
    spectrum = np.fft.rfft(sound)
    spectrum *= 10.0 ** (-tilt_db / 20.0 * np.linspace(0.0, 1.0, len(spectrum)))
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)
