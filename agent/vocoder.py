"""Edits between a neural acoustic model and its vocoder: tone, hums, and levels.

The model of the ``hibari`` voice predicts, for each 12.5 ms frame, a fundamental frequency and the
envelopes of a source-filter vocoder: a pulse train through a harmonic filter, plus shaped noise, plus a
residual with free phase. Changing these before the waveform is made changes pitch and breath without the
artefacts of changing the waveform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.tone import Tone

Array = NDArray[np.float32]

RATE_HZ: Final = 24_000
HOP: Final = 300
"""Samples per frame."""

TARGET_RMS: Final = 0.1
"""Loudness of a neutral voice: -20 dBFS, over what is not a pause."""

CEILING: Final = 0.89
"""No sample is larger: -1 dBFS, so that a lossy codec has room."""

_VOICED_HZ = 40.0
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0
_DB_PER_NEPER = 20.0 / np.log(10.0)
_BIN_HZ = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """What the vocoder turns into sound. Envelopes are float32 of shape ``(601, frames)``, bins 20 Hz apart.

    Attributes:
        harmonic: log magnitude of the harmonic filter, in nepers.
        phase: its phase before ``pi * tanh``.
        noise: log magnitude of the noise, in nepers.
        residual: log magnitude of the residual, in nepers.
        residual_phase: its phase in radians.
        f0_hz: fundamental frequency, shape ``(frames,)``; below 40 is unvoiced.
    """

    harmonic: Array
    phase: Array
    noise: Array
    residual: Array
    residual_phase: Array
    f0_hz: Array

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Which frames have a pitch, shape ``(frames,)``."""
        return self.f0_hz > _VOICED_HZ


def inflect(frames: Frames, tone: Tone) -> Frames:
    """Return ``frames`` with the pitch, range, breath and tilt of ``tone`` (its speed is the model's input)."""
    f0_hz = frames.f0_hz.copy()
    voiced = frames.voiced
    if voiced.any():
        log = np.log(f0_hz[voiced])
        mean = log.mean()
        moved = np.exp(mean + np.log(tone.pitch) + tone.range * (log - mean))
        f0_hz[voiced] = np.clip(moved, _LOWEST_HZ, _HIGHEST_HZ)
    slope = np.linspace(0.0, tone.tilt_db / _DB_PER_NEPER, len(frames.harmonic), dtype=np.float32)[:, None]
    return replace(
        frames,
        harmonic=frames.harmonic - slope,
        residual=frames.residual - slope,
        noise=frames.noise + np.float32(tone.breath_db / _DB_PER_NEPER),
        f0_hz=f0_hz,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hum:
    """One stretch of a hum with the mouth closed, or of breath through the nose.

    Attributes:
        frames: its length in frames of 12.5 ms.
        pitch: fundamental relative to the voice's mean, evenly spaced points; empty for breath.
        level_db: relative to the loudest part.
    """

    frames: int
    pitch: tuple[float, ...] = ()
    level_db: float = 0.0


HUMS: Final[dict[str, tuple[Hum, ...]]] = {
    "mm-hm": (
        Hum(frames=12, pitch=(0.92, 0.86), level_db=-2.0),
        Hum(frames=8, level_db=-8.0),
        Hum(frames=22, pitch=(0.98, 1.15, 1.14, 1.08)),
    ),
    "mm": (Hum(frames=26, pitch=(1.0, 1.02, 0.92, 0.84)),),
    "hmm": (Hum(frames=5, level_db=-6.0), Hum(frames=34, pitch=(0.98, 1.02, 0.94, 0.84))),
}
"""Listening sounds. Text-to-speech reads them as words ("mama"), so they are made from a held /m/."""

_SPELLINGS: Final = {"mhm": "mm-hm", "mm-hmm": "mm-hm", "mmhm": "mm-hm", "mmm": "mm", "hm": "hmm"}


def hum_of(text: str) -> tuple[Hum, ...]:
    """Return the hum that ``text`` spells, or nothing if it is not one."""
    token = text.strip(" .,!?…").lower()
    return HUMS.get(_SPELLINGS.get(token, token), ())


class Hummer:
    """Makes hums in the timbre of a voice.

    Args:
        nasal: frames of a phrase with a long /m/ in it; the /m/ is found by its missing energy above 800 Hz.
        breathy: frames of a phrase that begins with /h/.

    Raises:
        ValueError: there is no nasal sound in ``nasal``.
    """

    def __init__(self, nasal: Frames, breathy: Frames) -> None:
        bins_hz = np.arange(len(nasal.harmonic)) * _BIN_HZ
        power = np.exp(2.0 * np.minimum(nasal.harmonic, 7.0))
        low = 10.0 * np.log10(power[bins_hz < 600].sum(axis=0))
        high = 10.0 * np.log10(power[(bins_hz >= 800) & (bins_hz < 4000)].sum(axis=0))
        held = nasal.voiced & (low > low.max() - 10.0) & (high < low - 18.0) & (high > low - 26.0)
        if not held.any():
            raise ValueError("no held nasal in the phrase that a hum is made from")
        onset = int(np.argmax(breathy.f0_hz > 100.0))
        self._mouth = np.median(nasal.harmonic[:, held], axis=1)
        self._phase = np.median(nasal.phase[:, held], axis=1)
        self._rustle = np.median(nasal.noise[:, held], axis=1)
        self._breath = np.median(breathy.noise[:, max(0, onset - 4) : max(1, onset)], axis=1)
        self._mean_hz = float(np.exp(np.log(nasal.f0_hz[nasal.voiced]).mean()))

    def frames(self, hum: Sequence[Hum], speed: float = 1.0) -> Frames:
        """Return the frames of ``hum``; at ``speed`` 2 half as many."""
        harmonic: list[Array] = []
        noise: list[Array] = []
        f0_hz: list[float] = []
        for part in hum:
            count = max(2, round(part.frames / speed))
            place = (np.arange(count) + 0.5) / count
            if part.pitch:
                points = np.linspace(0.0, 1.0, len(part.pitch))
                f0_hz += list(self._mean_hz * np.interp(place, points, part.pitch))
                swell = np.interp(place, [0.0, 0.15, 0.6, 1.0], [-6.0, 0.0, -1.0, -8.0])
                gains = (swell + part.level_db) / _DB_PER_NEPER
                harmonic += [self._mouth + gain for gain in gains]
                noise += [self._rustle + gain for gain in gains]
            else:
                f0_hz += [0.0] * count
                harmonic += [self._mouth - 12.0] * count
                noise += [self._breath + part.level_db / _DB_PER_NEPER] * count
        shape = _smooth(np.array(harmonic, np.float32).T)
        return Frames(
            harmonic=shape,
            phase=np.repeat(self._phase[:, None], shape.shape[1], axis=1).astype(np.float32),
            noise=_smooth(np.array(noise, np.float32).T),
            residual=np.full_like(shape, -20.0),
            residual_phase=np.zeros_like(shape),
            f0_hz=np.array(f0_hz, np.float32),
        )


def _smooth(envelope: Array) -> Array:
    padded = np.pad(envelope, ((0, 0), (1, 1)), mode="edge")
    smoothed: Array = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    return smoothed.astype(np.float32)


_BLOCK = RATE_HZ // 100
_LEAD = RATE_HZ * 20 // 1000
_TAIL = RATE_HZ * 60 // 1000
_FADE = RATE_HZ * 5 // 1000


def finish(samples: Array, level_db: float = 0.0) -> Array:
    """Return ``samples`` without silence around them, at an even loudness, faded in and out over 5 ms.

    Leaves 20 ms before and 60 ms after what is louder than 50 dB below the loudest 10 ms.
    Silence becomes empty.
    """
    blocks = _rms(samples)
    if not len(blocks) or not blocks.max():
        return np.zeros(0, np.float32)
    loud = np.flatnonzero(blocks > blocks.max() * 10.0 ** (-50 / 20))
    begin = max(0, int(loud[0]) * _BLOCK - _LEAD)
    end = min(len(samples), (int(loud[-1]) + 1) * _BLOCK + _TAIL)
    kept = samples[begin:end].astype(np.float32)
    loudness = gated_rms(kept)
    if not loudness:
        return np.zeros(0, np.float32)
    gain = TARGET_RMS * 10.0 ** (level_db / 20.0) / loudness
    kept *= np.float32(min(gain, CEILING / float(np.abs(kept).max())))
    fade = min(_FADE, len(kept) // 2)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    kept[:fade] *= ramp
    kept[len(kept) - fade :] *= ramp[::-1]
    return kept


def gated_rms(samples: Array) -> float:
    """Return the root mean square over those 10 ms blocks that are not pauses.

    The gate is that of ITU-R BS.1770: 10 dB below the mean power of what is above an absolute threshold,
    here -60 dBFS. Silence gives 0.
    """
    power = _rms(samples) ** 2
    power = power[power > 1e-6]
    if not len(power):
        return 0.0
    return float(np.sqrt(power[power > 0.1 * power.mean()].mean()))


def _rms(samples: Array) -> NDArray[np.float64]:
    whole = len(samples) // _BLOCK * _BLOCK
    blocks = samples[:whole].reshape(-1, _BLOCK).astype(np.float64)
    found: NDArray[np.float64] = np.sqrt((blocks**2).mean(axis=1))
    return found
