"""What the listening language model reads: words, looks, tones and sound as one list of pieces that only grows.

:mod:`policy.prompt` renders a window for models that read text alone; here face, voice and sound keep their numbers.
A turn of the person is cut into spans of two seconds from its start; each gives what the eyes noticed in it and what
the ears' encoder made of it, as soon as it is over, and the words follow when the turn has ended. For two windows with
the same ``first`` the pieces of the earlier one are, up to its running turn, a prefix of the later one's, so that a
key/value cache stays valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from perception.context import ContextWindow, Turn
from perception.media import Text
from perception.percept import PROSODY, SPEECH_ENDED, SPEECH_STARTED, Percept
from perception.timebase import MS, SECOND, Nanos
from policy.cues import SIGHT, SOUND, lost_senses
from policy.prompt import Question
from policy.quoting import unmarked
from policy.signals import Floats, look, tone

SPAN: Final[Nanos] = 1920 * MS
"""Length of a stretch of sound and pictures that is read in one go: 12 tokens of sound."""

MOST_SPANS: Final = 15
"""Spans of one turn that are read; sound is kept for 30 s."""

SYSTEM: Final = "You listen on a call. Answer in one short, kind sentence."

_TAIL: Final[Nanos] = 400 * MS
"""A span shorter than this is left out; nothing can be told from it."""

_USER, _ASSISTANT, _END = "<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>\n"


@dataclass(frozen=True, slots=True)
class Words:
    """Text, markers of the chat template included."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the eyes noticed in a span, shape ``(LOOK,)``."""

    numbers: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """How a voice sounded in a turn, shape ``(TONE,)``."""

    numbers: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """States of the ears' encoder over a span, shape ``(tokens, 3072)``, 6.25 per second."""

    states: Floats


Piece = Words | Look | Tone | Sound

Heard = Callable[[Nanos, Nanos], Floats | None]
"""From a span of time to the states of the ears' encoder over it; ``None`` where the sound is not known."""


def script(window: ContextWindow, heard: Heard | None = None, *, system: str = SYSTEM) -> tuple[Piece, ...]:
    """Return ``window`` as pieces, ending within a message of the person; see :func:`answering`.

    Args:
        window: what is known; senses that are lost or refused at its end give no pieces.
        heard: gives sound; without it there is none.
        system: the system message.
    """
    lost = lost_senses(window)
    seen, voiced = list[Percept](), list[Percept]()
    ears = heard if not lost & SOUND else None
    out: list[Piece] = [Words(f"<|im_start|>system\n{system}{_END}")]
    role, last = "", window.start
    if window.summary:
        out.append(Words(f"{_USER}(earlier: {_plain(window.summary)})\n"))
        role = "user"
    for entry in window.entries:
        if isinstance(entry, Percept):
            # What arrives behind a turn leaves the turn's pieces as they were.
            if not lost & (SOUND if entry.kind == PROSODY else SIGHT):
                (voiced if entry.kind == PROSODY else seen).append(entry)
            continue
        if (isinstance(entry, Text) and entry.form) or not entry.text.strip():
            continue
        if isinstance(entry, Turn) and entry.speaker == "agent":
            if role == "user":
                out.append(Words(_END))
            out.append(Words(f"{_ASSISTANT}{_plain(entry.text)}{_END}"))
            role, last = "agent", entry.end
            continue
        if role != "user":
            out.append(Words(_USER))
            role = "user"
        if isinstance(entry, Turn):
            out.extend(_spans(entry.start, entry.end, seen, ears, over=True))
            told = tone(voiced, entry.start, entry.end)
            if told is not None:
                out.append(Tone(told))
            last = entry.end
            # A turn looks back no further than to its beginning; what is over need not be gone through again.
            seen, voiced = ([p for p in found if p.end > last] for found in (seen, voiced))
        else:
            out.extend(_glance(seen, last, entry.at))
            last = entry.at
        out.append(Words(f"{_plain(entry.text)}\n"))
    running = _running(window)
    if role != "user":
        out.append(Words(_USER))
    if running is not None and running >= last:
        out.extend(_spans(running, window.end, seen, ears, over=False))
    elif window.end - last > SECOND:
        out.extend(_glance(seen, last, window.end))
    if window.hearing.strip():
        out.append(Words(f"{_plain(window.hearing)}\n"))
    return tuple(out)


def answering() -> Words:
    """Return what closes the person's message and opens the answer."""
    return Words(f"{_END}{_ASSISTANT}")


def asking(question: Question) -> Words:
    """Return what closes the person's message, puts ``question`` and opens the answer."""
    return Words(f"{_END}{_USER}Question: {_plain(question.asked)}{_END}{_ASSISTANT}")


def _spans(start: Nanos, end: Nanos, seen: Sequence[Percept], ears: Heard | None, *, over: bool) -> Iterator[Piece]:
    """Yield looks and sound of a turn, span by span; of a running turn only the spans that are complete."""
    for place in range(MOST_SPANS):
        begin, stop = start + place * SPAN, start + (place + 1) * SPAN
        if stop > end and (not over or end - begin < _TAIL) and not (over and place == 0):
            return
        stop = min(stop, max(end, begin + 1))
        shown = look(seen, begin, stop)
        if shown is not None:
            yield Look(shown)
        states = ears(begin, stop) if ears is not None else None
        if states is not None and len(states):
            yield Sound(states)
        if stop >= end:
            return


def _glance(seen: Sequence[Percept], after: Nanos, until: Nanos) -> Iterator[Look]:
    shown = look(seen, max(after, until - 2 * SPAN), until)
    if shown is not None:
        yield Look(shown)


def _running(window: ContextWindow) -> Nanos | None:
    """Return when the turn that is not over began, as far as the voice tells; ``None`` if nobody talks."""
    begin = None
    for entry in window.entries:
        if isinstance(entry, Turn) and entry.speaker != "agent":
            begin = None
        elif isinstance(entry, Percept) and entry.kind == SPEECH_STARTED and begin is None:
            begin = entry.start
        elif isinstance(entry, Percept) and entry.kind == SPEECH_ENDED and not window.hearing.strip():
            begin = None
    return begin


def _plain(text: str) -> str:
    """Return ``text`` on one line and without markers of a chat template."""
    return " ".join(unmarked(text).split())
