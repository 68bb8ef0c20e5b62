"""End of turn: after ``first_ms`` of silence, and then every ``again_ms`` until it is sure, has the person finished?

The answer is that of smart-turn v3 (Daily, BSD-2), which listens to melody and wording of the last 8 s.
It is called only where Silero heard a voice before: on silence and noise alone it says *complete*. It is
one voice among several: a narrator's list has it wait at sentence ends, so whoever reads it still needs a
longest silence after which a turn is over.

``end_of_turn`` has the label ``complete`` or ``incomplete``; ``start`` is the onset of the speech (with
gaps up to ``last_ms``), ``end`` the instant of the question; data: ``probability`` that the turn is
complete, and ``silence_ms`` since the voice stopped. Silence is counted in hops of 32 ms, so that 200 ms
are 192.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.ear import MAX_FILL, Ear, Hop, hops, samples
from perception.media import RATE_HZ, AudioChunk, Media
from perception.mel import log_mel
from perception.onnx import open_session
from perception.percept import END_OF_TURN, Percept
from perception.silero import HOP, Segmenter, Silero, load_silero
from perception.workers import Resolve

COMPLETE = "complete"
INCOMPLETE = "incomplete"

_WINDOW = 8 * RATE_HZ
_VARIANCE_FLOOR = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be tuned.

    Attributes:
        on: see :class:`perception.silero.Segmenter`.
        off: see there.
        min_speech_ms: voice until speech is believed.
        first_ms: silence until the first question.
        again_ms: further silence until the next one.
        last_ms: silence after which no more is asked; below 2 s.
        lead_ms: sound before the onset that the model hears too.
        threshold: probability from which the turn is called complete.
        enough: probability from which no more is asked in this pause; above 1, all is asked.
    """

    on: float = 0.5
    off: float = 0.35
    min_speech_ms: float = 64
    first_ms: float = 200
    again_ms: float = 200
    last_ms: float = 1200
    lead_ms: float = 500
    threshold: float = 0.5
    enough: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.first_ms <= self.last_ms or hops(self.last_ms) * HOP > MAX_FILL - HOP:
            raise ValueError("want 0 < first_ms <= last_ms < 2000")
        if self.again_ms <= 0:
            raise ValueError("again_ms must be positive")

    @property
    def questions(self) -> frozenset[int]:
        """Samples of silence, in whole hops, after which to ask."""
        count = int((self.last_ms - self.first_ms) // self.again_ms) + 1
        return frozenset(hops(self.first_ms + n * self.again_ms) * HOP for n in range(count))


class SmartTurn:
    """The loaded model; stateless, may be used from several threads at once.

    Args:
        session: an open smart-turn v3 session.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def probability(self, sound: NDArray[np.float32]) -> float:
        """Return the probability that the turn is complete.

        Args:
            sound: float32, shape ``(n,)``, 16 kHz, with the silence at its end; the last 8 s of it count.
        """
        features = turn_features(sound)
        return float(self._session.run(None, {"input_features": features[None]})[0].reshape(-1)[0])


def turn_features(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute what smart-turn reads: the last 8 s, padded in front, normalised; shape ``(80, 800)``."""
    window = np.zeros(_WINDOW, dtype=np.float32)
    recent = sound[-_WINDOW:]
    window[_WINDOW - len(recent) :] = recent
    return log_mel((window - window.mean()) / np.sqrt(window.var() + np.float32(_VARIANCE_FLOOR)))


class Turn:
    """The worker. See the module."""

    def __init__(self, silero: Any, model: SmartTurn, options: Options) -> None:
        self._options = options
        self._questions = options.questions
        self._model = model
        self._ear = Ear(Silero(silero), keep_s=_WINDOW / RATE_HZ)
        self._segments = Segmenter(
            on=options.on,
            off=options.off,
            min_speech=hops(options.min_speech_ms),
            min_silence=max(self._questions) // HOP,
        )
        self._sure = False

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Take in sound; return the answers that fell due in it."""
        answers = []
        for hop in self._ear.hear(media):
            if hop.fresh:
                self._segments.reset()
            edge = self._segments.step(hop.probability, hop.end)
            if self._segments.silence == 0:
                self._sure = False
            due = self._segments.speaking or edge is not None
            if due and not self._sure and self._segments.silence in self._questions:
                answers.append(self._ask(hop))
        return answers

    def _ask(self, hop: Hop) -> Percept:
        onset = self._segments.onset
        begin = max(0, onset - samples(self._options.lead_ms), hop.end - _WINDOW)
        probability = self._model.probability(self._ear.between(begin, hop.end))
        self._sure = probability >= self._options.enough
        complete = probability >= self._options.threshold
        return Percept(
            END_OF_TURN,
            COMPLETE if complete else INCOMPLETE,
            self._ear.instant(onset),
            self._ear.instant(hop.end),
            probability if complete else 1.0 - probability,
            "turn",
            {"probability": probability, "silence_ms": self._segments.silence * 1000 / RATE_HZ},
        )


class TurnFactory:
    """Makes one :class:`Turn` per call."""

    name = "turn"
    accepts = (AudioChunk,)

    def __init__(self, silero: Any, model: SmartTurn, options: Options) -> None:
        self._silero = silero
        self._model = model
        self._options = options

    def __call__(self) -> Turn:
        """Return a worker that has heard nothing."""
        return Turn(self._silero, self._model, self._options)


def load(*, resolve: Resolve, **options: Any) -> TurnFactory:
    """Load the models; see :class:`Options`.

    Raises:
        TypeError: an option is unknown.
        ValueError: an option is out of its range.
    """
    chosen = Options(**options)
    return TurnFactory(load_silero(resolve("silero-vad")), SmartTurn(open_session(resolve("smart-turn"))), chosen)
