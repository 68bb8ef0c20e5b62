"""A percept: one fact that a worker reports, with a time span and a confidence.

``kind`` and ``label`` are open strings, so that a new worker needs no change here. The kinds below are
those that the runtime, the prompt or the page read by name.

======================  =====================================================  ==============================
kind                    label                                                  data
======================  =====================================================  ==============================
``speech_started``      ``""``; ``start`` is the onset of the voice
``speech_ended``        ``""``; ``end`` is where the voice stopped             ``silence_ms``
``partial``             words of the running utterance so far                  ``utterance``
``transcript``          words of the utterance up to a pause; a later one      ``utterance``, ``revision``,
                        with the same ``utterance`` number replaces it         ``word_starts``, ``word_ends``
                                                                               (seconds), ``language``,
                                                                               ``alternatives``
``end_of_turn``         ``complete`` or ``incomplete``                         ``probability``
``prosody``             ``flat trembling rising falling loud quiet slow        measured numbers and their
                        fast neutral``                                         z-scores
``expression``          ``angry disgust fear happy neutral sad surprise``      one probability per class,
                        or ``uncertain``                                       ``valence``
``face``                ``present`` or ``absent``                              ``count yaw pitch roll talking
                                                                               blink x y width height``
``gaze``                ``towards``, ``away`` or ``uncertain``
``blink`` ``talking``   ``""`` / ``started stopped``
``gesture``             ``nod head_shake thumb_up open_palm ...``
``presence``            ``arrived`` or ``left``                                ``count``
``scene``               ``dark bright cut motion still``
``sense_lost``          the name of the lost sense; its worker is silent       ``why``, where its process is away
``sense_back``          the name of the sense that is working again
======================  =====================================================  ==============================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from perception.timebase import Nanos

Datum = float | str | tuple[float, ...] | tuple[str, ...]

SPEECH_STARTED: Final = "speech_started"
SPEECH_ENDED: Final = "speech_ended"
PARTIAL: Final = "partial"
TRANSCRIPT: Final = "transcript"
END_OF_TURN: Final = "end_of_turn"
PROSODY: Final = "prosody"
EXPRESSION: Final = "expression"
FACE: Final = "face"
GAZE: Final = "gaze"
BLINK: Final = "blink"
TALKING: Final = "talking"
GESTURE: Final = "gesture"
PRESENCE: Final = "presence"
SCENE: Final = "scene"
SENSE_LOST: Final = "sense_lost"
SENSE_BACK: Final = "sense_back"

UNCERTAIN: Final = "uncertain"
"""The label for *looked, but cannot tell*; never acted upon."""

LOOKS: Final = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Labels of an expression beside :data:`UNCERTAIN`, in the order of its probabilities."""

MANNERS: Final = ("flat", "trembling", "rising", "falling", "loud", "quiet", "slow", "fast", "neutral")
"""Labels of prosody."""

NEGATIVE: Final = frozenset({"angry", "disgust", "fear", "sad"})
"""Expression labels that count as distress."""

_EMPTY: Mapping[str, Datum] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Percept:
    """One reported fact.

    Attributes:
        kind: what sort of fact, see the module table.
        label: its value in one word (for words: the words).
        start: first instant it speaks of.
        end: first instant after it; ``end >= start``.
        confidence: 0..1, the worker's own belief.
        worker: name of the worker that reports it.
        data: small numbers for those who want more than a word.
    """

    kind: str
    label: str
    start: Nanos
    end: Nanos
    confidence: float
    worker: str
    data: Mapping[str, Datum] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"percept {self.kind!r} of {self.worker!r} ends before it starts")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"percept {self.kind!r} of {self.worker!r} has confidence {self.confidence}")

    def number(self, key: str, default: float = 0.0) -> float:
        """Return the number under ``key``, or ``default`` where it is missing or no number."""
        value = self.data.get(key, default)
        return float(value) if isinstance(value, (int, float)) else default

    def series(self, key: str) -> tuple[float, ...]:
        """Return the numbers under ``key``, or none where it is missing or no series of numbers."""
        value = self.data.get(key, ())
        return tuple(v for v in value if not isinstance(v, str)) if isinstance(value, tuple) else ()
