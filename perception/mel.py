"""Whisper's log-mel spectrogram, the front end of both the recogniser and the end-of-turn model.

The filters are Slaney's triangular mel bank (linear below 1 kHz, logarithmic above, equal area), the
frames 25 ms Hann windows every 10 ms, centred, with reflected edges (Radford et al., *Robust Speech
Recognition via Large-Scale Weak Supervision*, 2022, section 2.2).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from perception.media import RATE_HZ

FRAME = 160
"""Samples from one frame to the next: 10 ms."""

_FFT = 400
_BANDS = 80
_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = float(np.log(6.4) / 27.0)


def _to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))


@cache
def _filters() -> NDArray[np.float32]:
    top = _BREAK_MEL + np.log(RATE_HZ / 2 / _BREAK_HZ) / _LOG_STEP
    edges = _to_hz(np.linspace(0.0, top, _BANDS + 2))
    bins = np.fft.rfftfreq(_FFT, 1.0 / RATE_HZ)
    widths = np.diff(edges)
    slopes = edges[:, None] - bins[None, :]
    triangles = np.maximum(0.0, np.minimum(-slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None], dtype=np.float32)


@cache
def _window() -> NDArray[np.float32]:
    return np.hanning(_FFT + 1)[:-1].astype(np.float32)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute Whisper's features of a stretch of 16 kHz sound.

    Args:
        samples: float32, shape ``(n,)``, at least 201 of them.

    Returns:
        float32, shape ``(80, n // 160)``; roughly -1..1.5, with a floor 2 below the maximum.

    Raises:
        ValueError: too few samples to reflect at the edges.
    """
    if len(samples) <= _FFT // 2:
        raise ValueError(f"log_mel wants more than {_FFT // 2} samples, got {len(samples)}")
    padded = np.pad(samples, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::FRAME][: len(samples) // FRAME]
    spectrum = scipy.fft.rfft(frames * _window(), axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    mel = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    return np.asarray((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0, dtype=np.float32)
