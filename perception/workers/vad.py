"""Voice activity: ``speech_started`` and ``speech_ended``.

``speech_started`` comes about 100 ms after a voice begins (two hops of 32 ms on top of Silero's own
delay) and carries the onset in ``start``; ``speech_ended`` comes after ``silence_ms`` of silence and
carries in ``end`` the instant at which the voice stopped. A breathy vowel, which Silero doubts for long, begins speech
sooner (:mod:`perception.onset`) and has a low confidence; if nothing in such speech was believed to its end,
``speech_ended`` has ``doubtful`` in its data. After a gap in the sound of more than 2 s an
open stretch of speech is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perception.ear import MAX_FILL, Ear, hops
from perception.media import RATE_HZ, AudioChunk, Media
from perception.onset import SoftOnset, SoftOptions, level_db
from perception.percept import SPEECH_ENDED, SPEECH_STARTED, Datum, Percept
from perception.silero import HOP, Segmenter, Silero, load_silero
from perception.workers import Resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be tuned.

    Attributes:
        on: probability at or above which a hop is voice.
        off: probability below which a hop is silence.
        min_speech_ms: voice until speech is believed.
        silence_ms: silence until speech has ended; at most 2 s.
        soft: mean probability of four hops from which a loud sound after quiet is a soft onset; above 1, none is.
    """

    on: float = 0.5
    off: float = 0.35
    min_speech_ms: float = 64
    silence_ms: float = 200
    soft: float = 0.25

    def __post_init__(self) -> None:
        if hops(self.silence_ms) * HOP > MAX_FILL - HOP:
            raise ValueError(f"silence_ms must stay below 2000, got {self.silence_ms}")
        if self.soft <= 0:
            raise ValueError(f"soft must be positive, got {self.soft}; above 1 there are no soft onsets")


class Vad:
    """The worker. See the module."""

    def __init__(self, session: Any, options: Options) -> None:
        self._ear = Ear(Silero(session))
        self._segments = Segmenter(
            on=options.on,
            off=options.off,
            min_speech=hops(options.min_speech_ms),
            min_silence=hops(options.silence_ms),
        )
        self._soft = SoftOnset(SoftOptions(mean=options.soft))
        self._recent = [0.0] * hops(options.min_speech_ms)

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Take in sound; return the beginnings and ends of speech in it."""
        found = []
        for hop in self._ear.hear(media):
            if hop.fresh:
                self._segments.reset()
                self._soft.reset()
            self._recent = [*self._recent[1:], hop.probability]
            edge = self._segments.step(hop.probability, hop.end)
            level = level_db(self._ear.between(hop.end - HOP, hop.end))
            soft = self._soft.step(hop.probability, level, hop.end)
            if soft is not None and edge is None and not self._segments.speaking:
                edge = self._segments.begin(soft)
            if edge is None:
                continue
            belief = sum(self._recent) / len(self._recent)
            onset = self._ear.instant(self._segments.onset)
            if edge.began:
                found.append(Percept(SPEECH_STARTED, "", onset, self._ear.instant(hop.end), belief, "vad"))
            else:
                stop = self._ear.instant(edge.at)
                told: dict[str, Datum] = {"silence_ms": (hop.end - edge.at) * 1000 / RATE_HZ}
                if self._segments.doubtful:
                    told["doubtful"] = 1.0
                found.append(Percept(SPEECH_ENDED, "", onset, stop, 1.0 - hop.probability, "vad", told))
        return found


class VadFactory:
    """Makes one :class:`Vad` per call."""

    name = "vad"
    accepts = (AudioChunk,)

    def __init__(self, session: Any, options: Options) -> None:
        self._session = session
        self._options = options

    def __call__(self) -> Vad:
        """Return a worker that has heard nothing."""
        return Vad(self._session, self._options)


def load(*, resolve: Resolve, **options: Any) -> VadFactory:
    """Load the worker; see :class:`Options`.

    Raises:
        TypeError: an option is unknown.
        ValueError: an option is out of its range.
    """
    return VadFactory(load_silero(resolve("silero-vad")), Options(**options))
