"""The voices: speakers of the embedded model and of espeak-ng, and a line spoken by one of them."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

import perception.onnx  # noqa: F401 -- sets the switches of onnxruntime before hibari imports it
from agent.rendering.manner import Delivery
from agent.rendering.shaping import bend, repitch, tilt, tremor, waver
from agent.spoken import clauses
from agent.vocoder import RATE_HZ as EMBEDDED_HZ
from agent.vocoder import Frames, finish, inflect
from perception.media import RATE_HZ
from perception.timebase import MS, Nanos, to_ticks

Array = NDArray[np.float32]

HIBARI: Final = "hibari"
ESPEAK: Final = "espeak-ng"
BELOW_DB: Final = -6.0
"""Level of a neutral line under the runtime's own voice, so that a loud one has room: -26 dBFS."""

_BENT_FROM: Nanos = 180 * MS
_FRAME_HZ = 80.0
_AIMED = 0.9
_HELD_S = 0.1
_FAINT = 3.5
"""Nepers of power, 15 dB: what is fainter at the end of a sentence is not heard as its melody."""
_TIMEOUT_S = 30.0
_LIMITS_WPM = 80, 450


class VoiceMissing(RuntimeError):
    """A program that speaks is not there; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who speaks.

    Attributes:
        name: unique over all engines.
        engine: :data:`HIBARI` or :data:`ESPEAK`.
        voice: of espeak-ng, as its option ``-v`` takes it; unused in the embedded engine, which has one.
        pitch: factor on the pitch of the voice (espeak-ng: its scale of 0..99, divided by 50).
        tract: factor on the frequencies of the formants; embedded engine only.
        speed: factor on the pace.
    """

    name: str
    engine: str
    voice: str = ""
    pitch: float = 1.0
    tract: float = 1.0
    speed: float = 1.0


def _hibari(name: str, pitch: float, tract: float, speed: float) -> Speaker:
    return Speaker(name=f"hibari-{name}", engine=HIBARI, pitch=pitch, tract=tract, speed=speed)


def _espeak(voice: str, pitch: float, speed: float) -> Speaker:
    return Speaker(name=f"espeak-{voice}", engine=ESPEAK, voice=voice, pitch=pitch, speed=speed)


SPEAKERS: Final = (
    _hibari("heart", 1.0, 1.0, 1.0),
    _hibari("bright", 1.12, 1.06, 1.05),
    _hibari("low", 0.92, 0.97, 0.95),
    _hibari("teen", 1.2, 1.1, 1.05),
    _hibari("alto", 0.85, 0.95, 1.0),
    _hibari("tenor", 0.68, 0.89, 1.05),
    _hibari("baritone", 0.6, 0.87, 1.0),
    _hibari("bass", 0.55, 0.85, 0.95),
    _hibari("reed", 0.62, 0.91, 0.92),
    _hibari("small", 1.28, 1.14, 0.98),
    _hibari("mid", 0.78, 0.93, 1.0),
    _hibari("calm", 1.04, 1.02, 0.9),
    _espeak("en-us", 1.0, 1.0),
    _espeak("en-gb", 0.9, 1.0),
    _espeak("en-us+f2", 1.0, 1.0),
    _espeak("en-gb+f4", 1.0, 0.95),
    _espeak("en-us+m3", 0.9, 1.05),
    _espeak("en-gb-x-rp", 1.1, 1.0),
    _espeak("en-gb-scotland+m1", 0.9, 0.95),
    _espeak("en-us+f5", 0.9, 1.0),
    _espeak("en-us+Andy", 1.0, 1.0),
    _espeak("en-gb+Annie", 1.0, 1.0),
    _espeak("en-us+Michael", 1.0, 1.0),
    _espeak("en-gb-x-rp+f1", 1.0, 1.0),
)


class Engine(Protocol):
    """Speaks one clause."""

    rate_hz: int

    def clause(self, text: str, speaker: Speaker, how: Delivery) -> Array:
        """Return ``text`` as float32 of shape ``(n,)`` at ``rate_hz``, trimmed and levelled; empty for no words."""
        ...


class Embedded:
    """The model that the runtime speaks with; its pitch and spectrum are edited before the waveform is made."""

    rate_hz = EMBEDDED_HZ

    def __init__(self) -> None:
        from hibari import Hibari

        self._engine: Any = Hibari(voice="heart", threads=1)

    def clause(self, text: str, speaker: Speaker, how: Delivery) -> Array:
        """See :class:`Engine`."""
        parts = [np.zeros(0, np.float32)]
        pieces = self._engine.phonemize(text)
        for n, phonemes in enumerate(pieces):
            last = n == len(pieces) - 1
            parts.append(self._piece(phonemes, speaker, how if last else replace(how, final_st=0.0)))
        return np.concatenate(parts)

    def _piece(self, phonemes: str, speaker: Speaker, how: Delivery) -> Array:
        from hibari import dsp

        tone = replace(how.tone, pitch=how.tone.pitch * speaker.pitch)
        ids = np.asarray([self._engine.ids(phonemes)], np.int64)
        speed = np.asarray([how.tone.speed * speaker.speed], np.float32)
        outputs = self._engine.sess.run(None, {"ids": ids, "speed": speed})
        frames = _tract(inflect(Frames(*(output[0] for output in outputs)), tone), speaker.tract)
        frames = _bent(frames, how)
        made = dsp.synth(
            frames.harmonic,
            frames.phase,
            frames.noise,
            frames.residual,
            frames.residual_phase,
            frames.f0_hz,
            np.random.default_rng(0),
        )
        if how.tremor_st:
            made = waver(made, EMBEDDED_HZ, how.tremor_st, how.tremor_hz)
        return finish(made, tone.level_db + BELOW_DB)


def _tract(frames: Frames, factor: float) -> Frames:
    """Move the formants: what was at ``f`` comes to ``f * factor``."""
    if factor == 1.0:
        return frames
    last = len(frames.harmonic) - 1
    at = np.minimum(np.arange(last + 1) / factor, last)
    low = np.minimum(at.astype(np.int64), last - 1)
    share = (at - low).astype(np.float32)[:, None]

    def moved(envelope: Array) -> Array:
        return np.asarray(envelope[low] * (1 - share) + envelope[low + 1] * share, dtype=np.float32)

    return replace(
        frames,
        harmonic=moved(frames.harmonic),
        phase=moved(frames.phase),
        noise=moved(frames.noise),
        residual=moved(frames.residual),
        residual_phase=frames.residual_phase[np.rint(at).astype(np.int64)],
    )


def _bent(frames: Frames, how: Delivery) -> Frames:
    """Let the pitch tremble, and end where it is to end: nine tenths of ``final_st`` away from the middle.

    A statement falls by itself, so that a bend on top of its own melody would make it level and not rising.
    """
    voiced = np.flatnonzero(frames.voiced)
    if not len(voiced) or not (how.tremor_st or how.final_st):
        return frames
    count = int(voiced[-1]) + 1
    pitch = 12.0 * np.log2(frames.f0_hz[voiced])
    if how.final_st:
        target = np.median(pitch) + _AIMED * how.final_st
        level = np.log(np.exp(2.0 * np.minimum(frames.harmonic[:, voiced], 7.0)).sum(axis=0))
        end = int(voiced[np.flatnonzero(level > level.max() - _FAINT)[-1]]) + 1
        share = np.pad(bend(end, _FRAME_HZ, 1.0, tail_s=_HELD_S), (0, count - end), mode="edge")[voiced]
        pitch = (1.0 - share) * pitch + share * target
    pitch = pitch + tremor(count, _FRAME_HZ, how.tremor_st, how.tremor_hz)[voiced]
    f0_hz = frames.f0_hz.copy()
    f0_hz[voiced] = np.clip(2.0 ** (pitch / 12.0), 60.0, 500.0)
    return replace(frames, f0_hz=f0_hz)


class Espeak:
    """The program espeak-ng, its pitch and level edited afterwards.

    Raises:
        VoiceMissing: it is not installed.
    """

    rate_hz = 22_050

    def __init__(self, program: str = ESPEAK) -> None:
        found = shutil.which(program)
        if found is None:
            raise VoiceMissing(
                f"there is no program {program!r} to speak with; install it, as with: apt install espeak-ng"
            )
        self._program = found

    def clause(self, text: str, speaker: Speaker, how: Delivery) -> Array:
        """See :class:`Engine`.

        Raises:
            VoiceMissing: the program fails, as where a voice of it is missing.
        """
        tone = how.tone
        options = {
            "-v": speaker.voice,
            "-s": str(round(min(max(165 * speaker.speed * tone.speed, _LIMITS_WPM[0]), _LIMITS_WPM[1]))),
            "-p": str(round(min(max(50 * speaker.pitch + 60 * np.log2(tone.pitch), 0), 99))),
            "-P": str(round(min(max(50 * tone.range, 0), 99))),
        }
        words = [word for pair in options.items() for word in pair]
        done = subprocess.run(
            [self._program, *words, "-D", "-z", "--stdin", "--stdout"],
            input=text.encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode or not done.stdout:
            said = done.stderr.decode(errors="replace").strip()
            raise VoiceMissing(
                f"{ESPEAK} cannot speak with its voice {speaker.voice!r} ({said}); install it with all of its voices"
            )
        sound = finish(_samples(done.stdout, self.rate_hz), tone.level_db + BELOW_DB)
        if not len(sound):
            return sound
        if tone.tilt_db:
            sound = tilt(sound, tone.tilt_db)
        if how.tremor_st or how.final_st:
            count = len(sound)
            curve = bend(count, self.rate_hz, how.final_st) + tremor(count, self.rate_hz, how.tremor_st, how.tremor_hz)
            sound = repitch(sound, curve, self.rate_hz)
        if how.tremor_st:
            sound = waver(sound, self.rate_hz, how.tremor_st, how.tremor_hz)
        return finish(sound, tone.level_db + BELOW_DB)


def _samples(riff: bytes, rate_hz: int) -> Array:
    with wave.open(io.BytesIO(riff)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (rate_hz, 1, 2):
            raise VoiceMissing(
                f"{ESPEAK} speaks at {file.getframerate()} Hz, not {rate_hz}; install version 1.50 or later"
            )
        # A program that writes to a pipe does not know the length that the header wants.
        body = file.readframes(len(riff))
    return np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.float32) / 32768.0


class Voices:
    """All engines, each loaded when first wanted."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}

    def engine(self, name: str) -> Engine:
        """Return an engine.

        Raises:
            VoiceMissing: it is not on this machine.
        """
        if name not in self._engines:
            self._engines[name] = Embedded() if name == HIBARI else Espeak()
        return self._engines[name]

    def say(self, text: str, speaker: Speaker, how: Delivery) -> Array:
        """Return ``text`` spoken, float32 of shape ``(n,)`` at 16 kHz; a neutral line has -26 dBFS.

        Raises:
            VoiceMissing: the engine is not on this machine.
        """
        engine = self.engine(speaker.engine)
        parts = [np.zeros(0, np.float32)]
        pieces = clauses(text, how.tone)
        for n, piece in enumerate(pieces):
            ends = n == len(pieces) - 1 or piece.pause >= _BENT_FROM
            parts.append(engine.clause(piece.text, speaker, how if ends else replace(how, final_st=0.0)))
            if n < len(pieces) - 1 and len(parts[-1]):
                parts.append(np.zeros(to_ticks(piece.pause, engine.rate_hz), np.float32))
        heard = soxr.resample(np.concatenate(parts), engine.rate_hz, RATE_HZ)
        return np.asarray(np.clip(heard, -1.0, 1.0), dtype=np.float32)


def speakers(engine: str) -> Sequence[Speaker]:
    """Return the speakers of one engine."""
    return [speaker for speaker in SPEAKERS if speaker.engine == engine]
