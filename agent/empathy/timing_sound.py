"""The person's channel of a scripted conversation as sound, with the instants of every word group and pause.

Words are spoken by the embedded voice in several throats. A sentence with pauses in it is spoken whole and cut where
its first words end, so that the voice before a pause inside a sentence is that of somebody who goes on; each group of
words is trimmed to its voice and placed by the sample, so the truth about every pause is known. Coughs, sobs and
noises are synthesised from shaped noise and pulses. The same conversation gives the same samples.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from agent.empathy.timing_script import Person, Rest, Sight, Sound, Talk, Words
from agent.tone import Tone, tone_of
from perception.media import RATE_HZ
from perception.mel import log_mel
from perception.timebase import SECOND, Nanos

Samples = NDArray[np.float32]

FIRST_OVER_S: Final = 1.6
"""From the start to the first sound over the agent's opening."""
OVER_EVERY_S: Final = 3.0
CUT_IN_S: Final = 7.6
"""From the start to a turn that begins over the opening."""
AFTER_OPENING_S: Final = 1.0
HELD_S: Final = 1.5
"""Time that a held voice may lose over one sound."""
OPENING_TONE: Final = "warm"

_ROOM = 3e-4
_TAIL_S = 7.0
_QUIET = 0.004
_FRAME = RATE_HZ // 100
_FADE = RATE_HZ // 125
_AROUND = 5
"""Frames of 10 ms in which the quietest place of a cut is looked for."""


class Speaker(Protocol):
    """What is needed of the embedded voice."""

    @property
    def rate_hz(self) -> int:
        """Sample rate of what it renders."""
        ...

    def render(self, text: str, tone: Tone, /) -> NDArray[np.float32]:
        """Return all of ``text``, float32 of shape ``(n,)``."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the person's channel.

    Attributes:
        what: ``words``, ``pause``, ``over`` (lets something out over the agent's voice) or ``sound``.
        kind: of a pause; else the name of the sound, or ``words``.
        start: first instant.
        end: first instant after it.
        text: the words.
    """

    what: str
    kind: str
    start: Nanos
    end: Nanos
    text: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """The person's side of one conversation.

    Attributes:
        talk: what it was made from.
        samples: float32, shape ``(n,)``, 16 kHz.
        spans: what is where, in order.
        sights: what there is to see, and from when.
        turn: start and end of the person's turn.
        opening_s: how long the agent's opening sounds if nobody cuts it.
    """

    talk: Talk
    samples: Samples
    spans: tuple[Span, ...]
    sights: tuple[tuple[Nanos, str], ...]
    turn: tuple[Nanos, Nanos]
    opening_s: float

    def of(self, what: str) -> list[Span]:
        """Return the spans of one sort."""
        return [span for span in self.spans if span.what == what]


def make(talk: Talk, speaker: Speaker) -> Channel:
    """Speak the person's side of ``talk``."""
    seed = zlib.crc32(talk.id.encode())
    parts: list[tuple[int, Samples]] = []
    spans: list[Span] = []
    sights: list[tuple[Nanos, str]] = []

    def put(at: int, sound: Samples, what: str, kind: str, text: str = "") -> int:
        parts.append((at, sound))
        spans.append(Span(what, kind, _at(at), _at(at + len(sound)), text))
        return at + len(sound)

    for number, over in enumerate(talk.over):
        at = _ticks(FIRST_OVER_S + number * OVER_EVERY_S)
        if isinstance(over, Words):
            put(at, spoken(over.text, talk.who, speaker), "over", "words", over.text)
        else:
            put(at, sound_of(over.name, seed + number), "over", over.name)
    opening = len(speaker.render(talk.opening, tone_of(OPENING_TONE))) / speaker.rate_hz
    said = iter(groups([step.text for step in talk.says if isinstance(step, Words)], talk.who, speaker))
    at = begin = _ticks(CUT_IN_S if talk.cuts_in else opening + HELD_S * len(talk.over) + AFTER_OPENING_S)
    for number, step in enumerate(talk.says):
        match step:
            case Words(text):
                at = put(at, next(said), "words", "words", text)
            case Sound(name):
                at = put(at, sound_of(name, seed + number), "sound", name)
            case Rest(length_s, kind):
                spans.append(Span("pause", kind, _at(at), _at(at + _ticks(length_s))))
                at += _ticks(length_s)
            case Sight(name):
                sights.append((_at(at), name))
    samples = np.random.default_rng(seed).normal(0.0, _ROOM, at + _ticks(_TAIL_S)).astype(np.float32)
    for start, sound in parts:
        samples[start : start + len(sound)] += sound
    np.clip(samples, -1.0, 1.0, out=samples)
    samples.setflags(write=False)
    return Channel(talk, samples, tuple(spans), tuple(sights), (_at(begin), _at(at)), opening)


def groups(texts: Sequence[str], who: Person, speaker: Speaker) -> list[Samples]:
    """Return the sound of each group of words; groups of one sentence are cut from that sentence."""
    found: list[Samples] = []
    sentence: list[str] = []
    for text in texts:
        sentence.append(text)
        if text[-1] in ".!?":
            found += _cut(sentence, who, speaker)
            sentence = []
    return found + (_cut(sentence, who, speaker) if sentence else [])


def _cut(texts: Sequence[str], who: Person, speaker: Speaker) -> list[Samples]:
    whole = spoken(" ".join(texts), who, speaker)
    cuts = [0]
    for count in range(1, len(texts)):
        least = cuts[-1] + _FRAME
        cuts.append(max(least, _ending(spoken(" ".join(texts[:count]), who, speaker), whole)))
    parts = [whole[a:b].copy() for a, b in pairwise([*cuts, len(whole)])]
    for part in parts:
        fade = min(_FADE, len(part) // 2)
        ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        part[:fade] *= ramp
        part[len(part) - fade :] *= ramp[::-1]
    return [_trimmed(part) for part in parts]


def _ending(first: Samples, whole: Samples) -> int:
    """Return the sample of ``whole`` at which the words of ``first`` are over, where it is quietest thereabouts.

    By dynamic time warping with an open end (Sakoe and Chiba, *Dynamic programming algorithm optimization for spoken
    word recognition*, 1978) over log-mel frames.
    """
    a, b = (log_mel(sound).T for sound in (first, whole))
    far = np.linalg.norm(a[:, None, :] - b[None, :, :], axis=2)
    cost = np.where(np.arange(len(b)) < _AROUND, far[0], np.inf)
    for row in far[1:]:
        held = [np.pad(cost, (by, 0), constant_values=np.inf)[: len(b)] for by in range(3)]  # stays, one on, two on
        cost = row + np.minimum.reduce(held)
    end = int(np.argmin(cost))
    around = range(max(1, end - _AROUND), min(len(b) - 1, end + _AROUND) + 1)
    levels = {n: float(np.mean(whole[n * _FRAME : (n + 1) * _FRAME] ** 2)) for n in around}
    return min(levels, key=lambda n: levels[n]) * _FRAME + _FRAME // 2


def spoken(text: str, who: Person, speaker: Speaker) -> Samples:
    """Return ``text`` in the voice of ``who``, trimmed to where it is heard."""
    if text[-1].isalnum() and len(text.split()) > 1:
        text += ","  # a voice that goes on, not the fall of a sentence's end
    # Played slower by `throat`, resonances, pitch and pace all sink by it; the last two are asked for higher.
    tone = replace(who.tone, speed=who.tone.speed / who.throat, pitch=who.tone.pitch / who.throat)
    said = soxr.resample(speaker.render(text, tone), speaker.rate_hz * who.throat, RATE_HZ)
    return _trimmed(np.asarray(said, np.float32))


def _trimmed(sound: Samples) -> Samples:
    count = len(sound) // _FRAME
    loud = np.flatnonzero(np.sqrt(np.mean(sound[: count * _FRAME].reshape(count, _FRAME) ** 2, axis=1)) > _QUIET)
    if not len(loud):
        raise ValueError("the voice gave no sound for these words; write them with letters")
    return sound[loud[0] * _FRAME : (loud[-1] + 1) * _FRAME]


def sound_of(name: str, seed: int) -> Samples:
    """Return the sound called ``name``, one of :data:`agent.empathy.timing_script.SOUNDS`, at 16 kHz."""
    made = _MAKERS[name](np.random.default_rng(seed))
    loudest = float(np.max(np.abs(made)))
    return np.asarray(made * (_LEVEL[name] / loudest), np.float32)


def _noise(rng: np.random.Generator, length_s: float, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    band = butter(2, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos")
    found: NDArray[np.float64] = np.asarray(sosfilt(band, rng.normal(size=_ticks(length_s))))
    return found


def _decay(length: int, time_s: float, rise_s: float = 0.008) -> NDArray[np.float64]:
    t = np.arange(length) / RATE_HZ
    found: NDArray[np.float64] = np.minimum(1.0, t / rise_s) * np.exp(-t / time_s)
    return found


def _voiced(f0_hz: NDArray[np.float64], formants_hz: tuple[float, ...]) -> NDArray[np.float64]:
    """Pulses at a pitch through resonances: a voice without a word."""
    phase = np.cumsum(f0_hz) / RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0)
    sound: NDArray[np.float64] = np.asarray(lfilter([1.0], [1.0, -0.95], pulses))
    for hz in formants_hz:
        r = np.exp(-np.pi * 110.0 / RATE_HZ)
        sound = np.asarray(lfilter([1.0 - r], [1.0, -2.0 * r * np.cos(2 * np.pi * hz / RATE_HZ), r * r], sound))
    return sound - float(np.mean(sound))


def _silence(length_s: float) -> NDArray[np.float64]:
    return np.zeros(_ticks(length_s))


def _cough(rng: np.random.Generator) -> NDArray[np.float64]:
    parts: list[NDArray[np.float64]] = []
    for length_s in (0.22, 0.26):
        burst = _noise(rng, length_s, 350.0, 3800.0)
        t = np.arange(len(burst)) / len(burst)
        throat = _voiced(170.0 - 60.0 * t, (650.0, 1500.0))
        mixed = burst / np.max(np.abs(burst)) + 0.5 * throat / np.max(np.abs(throat))
        parts += [mixed * _decay(len(burst), 0.07), _silence(0.1)]
    return np.concatenate(parts[:-1])


def _sneeze(rng: np.random.Generator) -> NDArray[np.float64]:
    breath = _noise(rng, 0.3, 900.0, 4000.0) * np.linspace(0.05, 0.25, _ticks(0.3))
    burst = _noise(rng, 0.35, 700.0, 6500.0)
    return np.concatenate([breath, burst * _decay(len(burst), 0.1)])


def _door(rng: np.random.Generator) -> NDArray[np.float64]:
    thump = _noise(rng, 0.5, 60.0, 900.0)
    rattle = _noise(rng, 0.5, 1500.0, 5000.0)
    found: NDArray[np.float64] = thump * _decay(len(thump), 0.09, 0.002)
    return found + 0.15 * rattle * _decay(len(rattle), 0.04, 0.002)


def _keys(rng: np.random.Generator) -> NDArray[np.float64]:
    sound = _silence(1.3)
    for at_s in np.cumsum(rng.uniform(0.07, 0.16, 7)):
        click = _noise(rng, 0.03, 1800.0, 6500.0)
        begin = _ticks(float(at_s))
        sound[begin : begin + len(click)] += click * _decay(len(click), 0.008, 0.001) * rng.uniform(0.5, 1.0)
    return sound


def _hum(rng: np.random.Generator) -> NDArray[np.float64]:
    t = np.arange(_ticks(1.4)) / RATE_HZ
    tone: NDArray[np.float64] = sum((np.sin(2 * np.pi * 100.0 * k * t) / k for k in range(1, 6)), np.zeros(len(t)))
    swell: NDArray[np.float64] = np.abs(np.sin(np.pi * t / t[-1])) ** 0.5
    return (tone + 0.3 * _noise(rng, 1.4, 100.0, 1500.0)) * swell


def _laugh(rng: np.random.Generator) -> NDArray[np.float64]:
    parts: list[NDArray[np.float64]] = []
    for beat in range(4):
        t = np.arange(_ticks(0.1)) / _ticks(0.1)
        voice = _voiced(260.0 - 18.0 * beat - 40.0 * t, (700.0, 1250.0, 2600.0))
        breath = _noise(rng, 0.09, 800.0, 4000.0)
        parts += [voice / np.max(np.abs(voice)) * np.sin(np.pi * t) * 0.85**beat]
        parts += [0.12 * breath / np.max(np.abs(breath)) * np.sin(np.pi * np.arange(len(breath)) / len(breath))]
    return np.concatenate(parts)


def _sob(rng: np.random.Generator) -> NDArray[np.float64]:
    parts: list[NDArray[np.float64]] = []
    for beat in range(3):
        t = np.arange(_ticks(0.16)) / _ticks(0.16)
        f0 = (330.0 - 25.0 * beat) * (1.0 - 0.25 * t) * (1.0 + 0.03 * np.sin(2 * np.pi * 9.0 * t))
        voice = _voiced(f0, (500.0, 1400.0))
        breath = _noise(rng, 0.14, 500.0, 3500.0)
        parts += [voice / np.max(np.abs(voice)) * np.sin(np.pi * t) ** 0.7]
        parts += [0.25 * breath / np.max(np.abs(breath)) * np.linspace(1.0, 0.2, len(breath))]
    return np.concatenate(parts)


_MAKERS: Final[Mapping[str, Callable[[np.random.Generator], NDArray[np.float64]]]] = {
    "cough": _cough,
    "sneeze": _sneeze,
    "door": _door,
    "keys": _keys,
    "hum": _hum,
    "laugh": _laugh,
    "sob": _sob,
}
_LEVEL: Final[Mapping[str, float]] = {
    "cough": 0.35,
    "sneeze": 0.3,
    "door": 0.3,
    "keys": 0.12,
    "hum": 0.1,
    "laugh": 0.2,
    "sob": 0.15,
}
"""Loudest sample; a voice has about 0.5."""


def _ticks(length_s: float) -> int:
    return round(length_s * RATE_HZ)


def _at(sample: int) -> Nanos:
    return sample * SECOND // RATE_HZ
