"""Speech recognition: ``partial`` while the person speaks, ``transcript`` at every pause.

An utterance is speech with gaps shorter than ``gap_ms``. At each pause in it of ``pause_ms`` the whole
utterance so far is recognised by the base model *speculatively*, before anybody knows whether the person
has finished; if the voice comes back within the gap, the next pause brings a ``transcript`` with the same
utterance number and a higher revision, which replaces the last. In between, each ``growing_ms`` of new
voice brings a ``partial``: the last transcript, and a quick recognition of what came after it, of which
the words that two hypotheses agreed on stay (``committed`` of them) and the tail may change. A partial
is to be shown, never to be acted upon. What is likely made up (noise, silence, a cough) is not reported.

**What does not depend on the batches.** The points at which speech is recognised, and what is recognised
there, are a function of the sound alone. A batch of up to ``shed_ms`` of sound therefore gives the same
percepts however the sound was cut. A longer batch means that the worker is behind, and it then skips what
is stale by the end of the batch: partials that are not the last thing in it, and pauses after which the
voice came back in the same utterance. What never depends on the batches is the last transcript of each
utterance: its words, times, number and revision (a revision counts the pauses, also those skipped).

Data of a ``transcript``: ``utterance``, ``revision``, ``word_starts`` and ``word_ends`` (seconds since the
call began, one per word of the label in languages with spaces), ``language``, ``avg_logprob``,
``no_speech``, and, where the recogniser is unsure of a word, ``alternatives``: what else may have been said, likeliest
first, without signs. They are to be asked back about where they would matter (:mod:`policy.safety.misheard`), and never
leave memory. Data of a ``partial``: ``utterance``, ``committed``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.agreement import Agreement
from perception.ear import Ear
from perception.media import AudioChunk, Media
from perception.percept import PARTIAL, TRANSCRIPT, Datum, Percept
from perception.silero import Silero, load_silero
from perception.timebase import MS, as_seconds
from perception.utterances import Closed, Cuts, Growing, Pause, Point, Resumed, Utterances
from perception.whisper import SURE, Heard, Whisper
from perception.workers import Resolve

AUTO = "auto"
_ENGLISH = "en"
_AGREEING = 2
_SPARE_S = 4.0
_LOOSE_S = 0.2
_MOST_ALTERNATIVES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be tuned.

    Attributes:
        language: ISO 639-1 code, or ``auto``: each utterance is asked for its language until two in a row
            agree with a probability above 0.7; unsure ones count as English.
        partials: ``tiny-en`` (English only; in another language the base model does it), ``base`` or ``off``.
        alternatives: most hypotheses of the second decode of a transcript in which a word is unsure; 0 for none.
        shed_ms: a batch with more sound than this skips what is stale, see the module.
        cuts: where utterances are cut.
    """

    language: str = _ENGLISH
    partials: str = "tiny-en"
    alternatives: int = 5
    shed_ms: float = 400
    cuts: Cuts = field(default_factory=Cuts)

    def __post_init__(self) -> None:
        if self.partials not in {"tiny-en", "base", "off"}:
            raise ValueError(f"partials is tiny-en, base or off, not {self.partials!r}")
        if not 0 <= self.alternatives <= _MOST_ALTERNATIVES:
            raise ValueError(f"alternatives is {self.alternatives!r}, expected 0 (none) to {_MOST_ALTERNATIVES}")


@dataclass(frozen=True, slots=True)
class Models:
    """Loaded weights, shared by all calls.

    Attributes:
        silero: an open session.
        base: the multilingual model.
        quick: the model for partials in English, or ``None`` if they are not wanted or the base model does them.
    """

    silero: Any
    base: Whisper
    quick: Whisper | None


class Asr:
    """The worker. See the module."""

    def __init__(self, models: Models, options: Options) -> None:
        self._models = models
        self._options = options
        self._ear = Ear(Silero(models.silero), keep_s=options.cuts.longest_s + _SPARE_S)
        self._utterances = Utterances(options.cuts)
        self._tongue = _Tongue(options.language)
        self._forget()

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Take in sound; return what was said in it."""
        behind = sum(chunk.duration for chunk in media if isinstance(chunk, AudioChunk)) > self._options.shed_ms * MS
        waiting: list[tuple[Point, NDArray[np.float32]]] = []
        for hop in self._ear.hear(media):
            for point in self._utterances.step(hop):
                if behind:
                    waiting = [(old, sound) for old, sound in waiting if not _stale(old, point)]
                span = (point.begin, point.end) if isinstance(point, Growing | Pause) else (hop.end, hop.end)
                waiting.append((point, self._ear.between(*span)))
        return [percept for point, sound in waiting for percept in self._attend(point, sound)]

    def _attend(self, point: Point, sound: NDArray[np.float32]) -> list[Percept]:
        if isinstance(point, Growing):
            return self._show(point, sound)
        if isinstance(point, Pause):
            return self._recognise(point, sound)
        if isinstance(point, Closed):
            self._tongue.vote(self._last)
            self._forget()
        return []

    def _forget(self) -> None:
        self._last: Heard | None = None
        self._shown: tuple[str, ...] = ()
        self._read = 0
        self._agreement = Agreement()

    def _show(self, point: Growing, sound: NDArray[np.float32]) -> list[Percept]:
        if self._options.partials == "off":
            return []
        quick = self._models.quick if self._tongue.wanted == _ENGLISH else None
        heard = (quick or self._models.base).decode(
            sound[max(0, self._read - point.begin) :], language=self._tongue.wanted
        )
        if not heard.believed:
            return []
        known = tuple(self._last.text.split()) if self._last else ()
        words = known + self._agreement.add(heard.text.split())
        if words == self._shown:
            return []
        self._shown = words
        data: dict[str, Datum] = {
            "utterance": point.utterance,
            "committed": len(known) + len(self._agreement.committed),
        }
        return [self._percept(PARTIAL, " ".join(words), point.onset, point.end, heard, data)]

    def _recognise(self, point: Pause, sound: NDArray[np.float32]) -> list[Percept]:
        heard = self._models.base.decode(
            sound, language=self._tongue.wanted, timed=True, alternatives=self._options.alternatives
        )
        if not heard.believed:
            return []
        self._last = heard
        self._shown = ()
        self._read = (point.stop + point.end) // 2
        self._agreement = Agreement()
        starts, ends = self._times(point, heard)
        data: dict[str, Datum] = {
            "utterance": point.utterance,
            "revision": point.revision,
            "word_starts": starts,
            "word_ends": ends,
            "language": heard.language,
            "avg_logprob": heard.avg_logprob,
            "no_speech": heard.no_speech,
        }
        if heard.alternatives:
            data["alternatives"] = heard.alternatives
        return [self._percept(TRANSCRIPT, heard.text, point.onset, point.stop, heard, data)]

    def _times(self, point: Pause, heard: Heard) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Turn word times into the call's seconds; no word lies in silence, where the alignment lets them begin."""
        begin, onset, stop = (as_seconds(self._ear.instant(at)) for at in (point.begin, point.onset, point.stop))
        gaps = [(as_seconds(self._ear.instant(a)), as_seconds(self._ear.instant(b))) for a, b in point.gaps]
        starts, ends = [], []
        for first, last in zip(heard.starts, heard.ends, strict=True):
            start, end = (min(max(begin + t, onset), stop) for t in (first, last))
            for quiet, voice in gaps:
                if quiet - _LOOSE_S <= start < voice and end > voice:
                    start = voice
                elif start < quiet < end <= voice:
                    end = quiet
            starts.append(round(start, 3))
            ends.append(round(end, 3))
        return tuple(starts), tuple(ends)

    def _percept(self, kind: str, text: str, start: int, end: int, heard: Heard, data: dict[str, Datum]) -> Percept:
        confidence = min(1.0, math.exp(heard.avg_logprob))
        return Percept(kind, text, self._ear.instant(start), self._ear.instant(end), confidence, "asr", data)


def _stale(old: Point, new: Point) -> bool:
    if isinstance(old, Growing):
        return isinstance(new, Growing | Pause)
    return isinstance(old, Pause) and isinstance(new, Resumed) and old.utterance == new.utterance


class _Tongue:
    """Which language is spoken."""

    def __init__(self, language: str) -> None:
        self.wanted: str | None = None if language == AUTO else language
        self._guess = ""
        self._agreeing = 0

    def vote(self, heard: Heard | None) -> None:
        """Take in the last recognition of an utterance."""
        if self.wanted is not None or heard is None or heard.language_probability < SURE:
            return
        self._agreeing = self._agreeing + 1 if heard.language == self._guess else 1
        self._guess = heard.language
        if self._agreeing == _AGREEING:
            self.wanted = self._guess


class AsrFactory:
    """Makes one :class:`Asr` per call."""

    name = "asr"
    accepts = (AudioChunk,)

    def __init__(self, models: Models, options: Options) -> None:
        self._models = models
        self._options = options

    def __call__(self) -> Asr:
        """Return a worker that has heard nothing."""
        return Asr(self._models, self._options)


def load(*, resolve: Resolve, workers: int = 1, **options: Any) -> AsrFactory:
    """Load the models; see :class:`Options` and :class:`perception.utterances.Cuts`, whose fields are options too.

    Args:
        resolve: finds embedded models.
        workers: utterances, of different calls, that may be recognised at the same time.
        options: fields of ``Options`` or of ``Cuts``.

    Raises:
        TypeError: an option is unknown.
        ValueError: an option is out of its range.
    """
    cuts = {field.name: options.pop(field.name) for field in fields(Cuts) if field.name in options}
    chosen = Options(cuts=Cuts(**cuts), **options)
    base = Whisper(resolve("whisper-base"), workers=workers)
    if not base.knows(chosen.language) and chosen.language != AUTO:
        raise ValueError(f"no language {chosen.language!r}")
    quick = None
    if chosen.partials == "tiny-en" and chosen.language in {AUTO, _ENGLISH}:
        quick = Whisper(resolve("whisper-tiny-en"), pad_minimum=False, window_s=12.0, workers=workers)
    return AsrFactory(Models(load_silero(resolve("silero-vad")), base, quick), chosen)
