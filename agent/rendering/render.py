"""One item of the corpus, spoken, recorded in a room, and heard by the workers of the runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent import build
from agent.config import Use
from agent.rendering.assign import Stretch, assign, overlapped
from agent.rendering.manner import PLAIN, delivery
from agent.rendering.noise import ROOM_DBFS, Noises
from agent.rendering.speak import BELOW_DB, SPEAKERS, Speaker, Voices, speakers
from agent.vocoder import TARGET_RMS
from perception.media import RATE_HZ, AudioChunk
from perception.percept import PROSODY, SPEECH_ENDED, TRANSCRIPT, Percept
from perception.timebase import from_ticks
from perception.workers import WorkerFactory
from policy.sound import MODEL, Ears
from policy.training.corpus import Said
from policy.training.heard import ENGINES, NOISES, Condition, Item
from policy.words import tokens

Array = NDArray[np.float32]
Resolve = Callable[[str], Path]

PASSAGE: Final = (
    "The library opens at nine in the morning.",
    "Lunch is usually around noon.",
    "It may rain in the afternoon.",
    "They painted the garden fence last year.",
    "The blue car is behind the house.",
    "He put the letter on the kitchen table.",
    "There is a small park near the school.",
)
"""What a speaker says first, in a neutral voice, so that the prosody worker knows how the speaker usually sounds."""

NOISE_SHARES: Final = (0.2, 0.2, 0.35, 0.25)
"""Of :data:`policy.training.heard.NOISES`."""

SNR_DB: Final = {"white": (8.0, 30.0), "pink": (8.0, 30.0), "babble": (14.0, 30.0)}
"""Least and most; in a louder babble the voice detector takes the crowd for the person."""

LEVEL_DB: Final = (-8.0, 3.0)

_NEUTRAL_RMS = TARGET_RMS * 10.0 ** (BELOW_DB / 20.0)
_WORD_S = 0.35
_LEAD_S, _TAIL_S = 0.4, 1.0
_BREATH_S = 0.35
_SETTLE_S = 1.8
_GAP_S = (0.75, 1.3)
_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the store keeps of an item.

    Attributes:
        line: as ``heard.jsonl`` has it, see :mod:`policy.training.heard`.
        states: by turn, float16 of shape ``(tokens, 3072)``.
        seconds: length of the item's sound.
    """

    line: dict[str, Any]
    states: dict[int, NDArray[np.float16]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Recording:
    """The sound of an item.

    Attributes:
        sound: float32, shape ``(n,)``, 16 kHz.
        begin: index at which the item begins; what is before it is for the prosody worker alone.
        spans: first and one after the last sample of each turn, counted from ``begin``.
    """

    sound: Array
    begin: int
    spans: tuple[tuple[int, int], ...]


class Renderer:
    """The voices, the room and the workers, loaded once.

    Args:
        resolve: finds models by name.
        seed: everything is drawn with it and the id of an item, so that an item is the same in whatever order.

    Raises:
        agent.rendering.speak.VoiceMissing: an engine is not on this machine.
        agent.models.ModelError: a model is missing.
    """

    def __init__(self, resolve: Resolve, seed: int) -> None:
        self._seed = seed
        self._voices = Voices()
        self._passages: dict[str, list[Array]] = {}
        # The pieces that partial transcripts cost are of no use here; the last words of an utterance are the same.
        parts = [Use("vad"), Use("asr", {"partials": "off"}), Use("prosody")]
        self._vad, self._asr, self._prosody = build.workers(parts, resolve)
        self._ears = Ears(resolve(MODEL))
        crowd = SPEAKERS[:: len(SPEAKERS) // 8]
        self._noises = Noises([line for speaker in crowd for line in self._passage(speaker)], seed)

    def render(self, item: Item) -> Rendered:
        """Speak and hear one item."""
        rng = generator(item, self._seed)
        condition = draw(item, self._seed, rng)
        recording = self._record(item.turns, condition, rng)
        item_sound = recording.sound[recording.begin :]
        spoken = {n: span for n, span in enumerate(recording.spans) if item.turns[n].who != "agent"}
        words = self._hear(self._asr, item_sound, 0, TRANSCRIPT)
        speech = self._hear(self._vad, item_sound, 0, SPEECH_ENDED)
        prosody = self._hear(self._prosody, recording.sound, recording.begin, PROSODY)
        stretches = [Stretch(n, from_ticks(a, RATE_HZ), from_ticks(b, RATE_HZ)) for n, (a, b) in spoken.items()]
        texts = assign(words, stretches)
        turns = [
            {
                "turn": place.turn,
                "text": texts[place.turn],
                "start_ns": place.start,
                "end_ns": place.end,
                "prosody": [_written(p) for p in prosody if overlapped(p, stretches) == place.turn],
                "speech": [_written(p) for p in speech if overlapped(p, stretches) == place.turn],
            }
            for place in stretches
        ]
        gaps = [
            {"turn": n, "start_ns": from_ticks(a, RATE_HZ), "end_ns": from_ticks(b, RATE_HZ)}
            for n, (a, b) in enumerate(recording.spans)
            if n not in spoken
        ]
        line = {"id": item.id, "condition": asdict(condition), "turns": turns, "agent": gaps}
        states = {n: self._states(item_sound, recording.spans, n) for n in spoken}
        return Rendered(line, states, len(item_sound) / RATE_HZ)

    def _record(self, turns: Sequence[Said], condition: Condition, rng: np.random.Generator) -> Recording:
        who = {name: _speaker(voice) for name, voice in condition.speakers.items()}
        before = self._introduction(list(who.values()))
        parts = [before, _pause(_LEAD_S)]
        at = len(parts[1])
        spans: list[tuple[int, int]] = []
        for said in turns:
            if said.who == "agent":
                sound = _pause(_WORD_S * max(1, len(tokens(said.text))))
            else:
                sound = self._voices.say(said.text, who[said.who], delivery(said.voice, rng))
            if not len(sound):
                raise ValueError(f"{who[said.who].name} has no sound for {said.text!r}")
            gap = _pause(float(rng.uniform(*_GAP_S)))
            spans.append((at, at + len(sound)))
            parts += [sound, gap]
            at += len(sound) + len(gap)
        sound = np.concatenate([*parts, _pause(_TAIL_S)])
        return Recording(self._room(sound, condition, rng), len(before), tuple(spans))

    def _introduction(self, voices: Sequence[Speaker]) -> Array:
        """Return the passage; of several speakers each says a part of it, in turns."""
        parts: list[Array] = []
        for n in range(len(PASSAGE)):
            parts += [self._passage(voices[n % len(voices)])[n], _pause(_BREATH_S)]
        return np.concatenate([*parts, _pause(_SETTLE_S)])

    def _passage(self, speaker: Speaker) -> list[Array]:
        if speaker.name not in self._passages:
            self._passages[speaker.name] = [self._voices.say(text, speaker, PLAIN) for text in PASSAGE]
        return self._passages[speaker.name]

    def _room(self, sound: Array, condition: Condition, rng: np.random.Generator) -> Array:
        floor = rng.standard_normal(len(sound), dtype=np.float32) * np.float32(10.0 ** (ROOM_DBFS / 20.0))
        mixed = sound + floor
        if condition.snr_db is not None:
            level = np.float32(_NEUTRAL_RMS * 10.0 ** (-condition.snr_db / 20.0))
            mixed += self._noises.take(condition.noise, len(sound), rng) * level
        return np.clip(mixed * np.float32(10.0 ** (condition.level_db / 20.0)), -1.0, 1.0).astype(np.float32)

    @staticmethod
    def _hear(factory: WorkerFactory, sound: Array, begin: int, kind: str) -> list[Percept]:
        """Return the percepts of one kind that lie in the item, which begins at sample ``begin``."""
        chunk = AudioChunk(sound.copy(), start=0)
        moved = from_ticks(begin, RATE_HZ)
        found: list[Percept] = []
        for p in factory().feed([chunk]):
            if p.kind == kind and p.start >= moved:
                found.append(Percept(p.kind, p.label, p.start - moved, p.end - moved, p.confidence, p.worker, p.data))
        return found

    def _states(self, sound: Array, spans: Sequence[tuple[int, int]], turn: int) -> NDArray[np.float16]:
        start, end = spans[turn]
        limit = spans[turn + 1][0] if turn + 1 < len(spans) else len(sound)
        stop = min(limit, end + round(_AFTER_S * RATE_HZ))
        return self._ears.spans(sound[start:stop]).astype(np.float16)


def generator(item: Item, seed: int) -> np.random.Generator:
    """Return the generator of all that is drawn for an item."""
    return np.random.default_rng([seed, int(hashlib.sha256(item.id.encode()).hexdigest()[:12], 16)])


def draw(item: Item, seed: int, rng: np.random.Generator) -> Condition:
    """Draw who speaks an item and in what room; two people have two voices of one engine."""
    engine = ENGINES[int(rng.integers(len(ENGINES)))]
    people = sorted({said.who for said in item.turns} - {"agent"})
    chosen = rng.permutation(len(speakers(engine)))[: len(people)]
    noise = str(rng.choice(NOISES, p=NOISE_SHARES))
    return Condition(
        engine=engine,
        speakers={who: speakers(engine)[n].name for who, n in zip(people, chosen, strict=True)},
        manners=tuple("" if said.who == "agent" else said.voice for said in item.turns),
        noise=noise,
        snr_db=None if noise == "clean" else round(float(rng.uniform(*SNR_DB[noise])), 2),
        level_db=round(float(rng.uniform(*LEVEL_DB)), 2),
        seed=seed,
    )


def _speaker(name: str) -> Speaker:
    return next(speaker for speaker in SPEAKERS if speaker.name == name)


def _pause(seconds: float) -> Array:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def _written(percept: Percept) -> dict[str, Any]:
    return {
        "label": percept.label,
        "confidence": percept.confidence,
        "start_ns": percept.start,
        "end_ns": percept.end,
        "data": dict(percept.data),
    }
