"""Real speech for tests: sentences spoken by the embedded voice, with its melody, pace and level edited.

The synthesiser's network returns pitch and spectrum per 12.5 ms frame before the vocoder, so both can be
edited with exactly known effect. The same arguments always give the same samples.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

import perception.onnx  # noqa: F401 -- sets the switches of onnxruntime before hibari imports it
from perception.media import RATE_HZ, AudioChunk
from perception.percept import Percept
from perception.timebase import Nanos, from_ticks
from perception.workers import Worker

SENTENCES = (
    "I think I am going to quit my job next month.",
    "My sister called me last night and we talked for two hours.",
    "Can you help me with something important?",
    "It was the best day of my life.",
    "I have not slept well since Monday.",
    "What do you think I should do about it?",
    "We walked along the river until the sun went down.",
    "Nobody told me that the meeting was moved to Friday.",
    "She makes the most wonderful bread every morning.",
    "I just need a little time to think about everything.",
)


@cache
def _voice() -> Any:
    from hibari import Hibari

    return Hibari(threads=1)


@cache
def say(
    text: str,
    *,
    speed: float = 1.0,
    pitch: float = 1.0,
    range_: float = 1.0,
    gain: float = 1.0,
    tremor_st: float = 0.0,
    final_st: float = 0.0,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Speak ``text``; float32, shape ``(n,)``, 16 kHz, read-only.

    Args:
        text: English.
        speed: pace, 1 is neutral.
        pitch: factor on the pitch.
        range_: factor on the excursions of the pitch around its mean, in log frequency.
        gain: factor on the samples.
        tremor_st: depth in semitones of a 6 Hz wobble of the pitch.
        final_st: semitones by which the pitch of the last 0.4 s of voice is bent, rising linearly.
        seed: of the noise part of the voice.
    """
    from hibari import dsp

    voice = _voice()
    parts = []
    for phonemes in voice.phonemize(text):
        ids = np.asarray([voice.ids(phonemes)], np.int64)
        outputs = voice.sess.run(None, {"ids": ids, "speed": np.asarray([speed], np.float32)})
        *spectrum, f0 = (output[0] for output in outputs)
        f0 = f0.copy()
        voiced = f0 > 40
        if voiced.any():
            mean = np.exp(np.log(f0[voiced]).mean())
            wobble = tremor_st / 12 * np.log(2) * np.sin(2 * np.pi * 6.0 * 0.0125 * np.arange(len(f0)))
            bend = np.zeros(len(f0))
            last = int(np.flatnonzero(voiced)[-1]) + 1
            bend[max(0, last - 32) : last] = np.linspace(0, final_st / 12 * np.log(2), min(32, last))
            f0[voiced] = mean * pitch * np.exp(range_ * np.log(f0[voiced] / mean) + (wobble + bend)[voiced])
        parts.append(dsp.synth(*spectrum, f0, np.random.default_rng(seed)))
    heard = soxr.resample(np.concatenate(parts), voice.sample_rate, RATE_HZ)
    sound = np.asarray(np.clip(heard * gain, -1.0, 1.0), dtype=np.float32)
    sound.flags.writeable = False
    return sound


def silence(seconds: float, *, noise: float = 0.0005, seed: int = 1) -> NDArray[np.float32]:
    """Return a quiet room: white noise of standard deviation ``noise``."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.standard_normal(round(seconds * RATE_HZ)) * noise, dtype=np.float32)


def pink(seconds: float, level: float = 0.1, *, seed: int = 2) -> NDArray[np.float32]:
    """Return pink noise of standard deviation ``level``."""
    n = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), n)
    return np.asarray(noise / noise.std() * level, dtype=np.float32)


def clicks(seconds: float, *, every_s: float = 0.25, seed: int = 3) -> NDArray[np.float32]:
    """Return 2.5 ms bursts, as of a keyboard."""
    rng = np.random.default_rng(seed)
    sound = silence(seconds)
    for at in range(0, len(sound) - 40, round(every_s * RATE_HZ)):
        sound[at : at + 40] += (rng.standard_normal(40) * 0.4).astype(np.float32)
    return sound


def tones(seconds: float) -> NDArray[np.float32]:
    """Return two sine tones, one of them pulsing, as of a ringing phone."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pulse = (np.sin(2 * np.pi * 2 * t) > 0).astype(np.float64)
    return np.asarray(0.2 * np.sin(2 * np.pi * 220 * t) + 0.1 * np.sin(2 * np.pi * 330 * t) * pulse, dtype=np.float32)


def voiced_span(sound: NDArray[np.float32], floor: float = 0.01) -> tuple[int, int]:
    """Return the first sample and the one after the last where the 10 ms mean level exceeds ``floor``."""
    level = np.convolve(np.abs(sound), np.ones(160) / 160, mode="same")
    loud = np.flatnonzero(level > floor)
    return int(loud[0]), int(loud[-1]) + 1


def chunked(sound: NDArray[np.float32], lengths: int | list[int] = 320, start: Nanos = 0) -> list[AudioChunk]:
    """Cut ``sound`` into chunks; ``lengths`` is one size in samples, or a list that is repeated."""
    sizes = [lengths] if isinstance(lengths, int) else lengths
    chunks = []
    at = turn = 0
    while at < len(sound):
        size = sizes[turn % len(sizes)]
        chunks.append(AudioChunk(sound[at : at + size].copy(), start=start + from_ticks(at, RATE_HZ)))
        at += size
        turn += 1
    return chunks


def feed(worker: Worker, chunks: list[AudioChunk], batch: int = 1) -> list[Percept]:
    """Feed ``chunks`` to ``worker``, ``batch`` of them at a time; return all percepts."""
    return [p for at in range(0, len(chunks), batch) for p in worker.feed(chunks[at : at + batch])]


def random_cuts(seed: int, longest: int = 1600) -> list[int]:
    """Return chunk sizes from one sample to ``longest``, small ones as likely as large ones."""
    rng = np.random.default_rng(seed)
    return [int(size) for size in np.exp(rng.uniform(0, np.log(longest), 97))]
