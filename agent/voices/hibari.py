"""The embedded voice: hibari-tts, an eight-megabyte model that speaks a hundred times faster than real time.

The weights of the voice ``heart`` are inside the package; nothing is ever downloaded. One clause is
synthesised at a time, in a thread of its own, so a reply starts after its first clause and a barge-in
throws away at most one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import perception.onnx  # noqa: F401  hibari imports onnxruntime, whose telemetry must be off by then
from agent.offload import Thread
from agent.spoken import clauses
from agent.tone import NEUTRAL, Tone, tone_of
from agent.vocoder import RATE_HZ, Frames, Hummer, finish, hum_of, inflect
from perception.media import AudioChunk
from perception.timebase import MS, from_ticks, to_ticks
from perception.workers import Resolve

_PIECE = to_ticks(100 * MS, RATE_HZ)
_NASAL = "ɪm mˈOst."
_BREATHY = "hˈʌm."


def load(*, resolve: Resolve, voice: str = "heart", seed: int = 0) -> HibariVoice:
    """Load the voice and say something to nobody, so that the first reply is not slower than the others.

    Args:
        resolve: unused; the weights come with the package.
        voice: name of a voice of hibari-tts whose weights are on this machine.
        seed: of the noise in the voice; the same seed gives the same samples.

    Raises:
        ValueError: there is no such voice, or its weights are not on this machine.
    """
    from hibari import Hibari
    from hibari.voices import VOICES, voice_path

    if voice not in VOICES:
        raise ValueError(f"hibari has no voice {voice!r}; it has {', '.join(sorted(VOICES))}")
    try:
        weights = Path(voice_path(voice, download_missing=False))
    except FileNotFoundError as missing:
        raise ValueError(f"the voice {voice!r} is not on this machine ({missing}); 'heart' always is") from missing
    return HibariVoice(Hibari(voice=voice, model=str(weights), threads=1), seed=seed)


class HibariVoice:
    """One loaded voice, shared by all calls.

    Args:
        engine: a ``hibari.Hibari``.
        seed: of the noise.
    """

    name = "hibari"
    rate_hz = RATE_HZ

    def __init__(self, engine: Any, *, seed: int = 0) -> None:
        self.engine = engine
        self._seed = seed
        self._thread = Thread("voice")
        self._hummer = Hummer(self._frames(_NASAL, 1.0), self._frames(_BREATHY, 1.0))
        self.render("Hello there; on May 3rd, Xanthippa and I paid $9.99.", NEUTRAL)

    async def say(self, text: str, tone: str, /) -> AsyncGenerator[AudioChunk, None]:
        """Yield the sound of ``text`` in pieces of at most 100 ms, contiguous, the first at ``start`` 0.

        Pauses are pieces of their own. Text with nothing to say yields nothing.
        """
        how = tone_of(tone)
        at = 0
        for clause in clauses(text, how):
            sound = await self._thread.run(self._clause, clause.text, how)
            pause = np.zeros(to_ticks(clause.pause, RATE_HZ) if len(sound) else 0, np.float32)
            for part in (sound, pause):
                for begin in range(0, len(part), _PIECE):
                    piece = part[begin : begin + _PIECE]
                    yield AudioChunk(piece, from_ticks(at, RATE_HZ), RATE_HZ)
                    at += len(piece)

    def render(self, text: str, tone: Tone) -> NDArray[np.float32]:
        """Return all of ``text`` as float32 of shape ``(n,)`` at 24 kHz, at once and in the calling thread."""
        parts = [np.zeros(0, np.float32)]
        for clause in clauses(text, tone):
            parts += [self._clause(clause.text, tone), np.zeros(to_ticks(clause.pause, RATE_HZ), np.float32)]
        return np.concatenate(parts)

    def close(self) -> None:
        """Stop the thread; a clause in the making is finished and thrown away."""
        self._thread.close(wait_s=1.0)

    def _clause(self, text: str, tone: Tone) -> NDArray[np.float32]:
        parts = [finish(self._wave(inflect(frames, tone)), tone.level_db) for frames in self._said(text, tone)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def _said(self, text: str, tone: Tone) -> Iterator[Frames]:
        hum = hum_of(text)
        if hum:
            yield self._hummer.frames(hum, tone.speed)
            return
        for phonemes in self.engine.phonemize(text):
            yield self._frames(phonemes, tone.speed)

    def _frames(self, phonemes: str, speed: float) -> Frames:
        feeds = {
            "ids": np.asarray([self.engine.ids(phonemes)], np.int64),
            "speed": np.asarray([speed], np.float32),
        }
        return Frames(*(output[0] for output in self.engine.sess.run(None, feeds)))

    def _wave(self, frames: Frames) -> NDArray[np.float32]:
        from hibari import dsp

        made: NDArray[np.float32] = dsp.synth(
            frames.harmonic,
            frames.phase,
            frames.noise,
            frames.residual,
            frames.residual_phase,
            frames.f0_hz,
            np.random.default_rng(self._seed),
        )
        return made
