"""An item of the corpus as the window that a call would have photographed at the end of its last turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from perception.context import CUE_END_OF_TURN, ContextWindow, Entry, Turn
from perception.percept import (
    EXPRESSION,
    GAZE,
    GESTURE,
    LOOKS,
    NEGATIVE,
    PROSODY,
    SPEECH_ENDED,
    SPEECH_STARTED,
    Percept,
)
from perception.timebase import MS, SECOND, Nanos
from policy.training.corpus import Choice, Said, Situation
from policy.words import tokens

_WORD: Final[Nanos] = 350 * MS
_GAP: Final[Nanos] = 600 * MS
_LOOK: Final[Nanos] = 400 * MS
_SURE: Final = 0.7
"""How sure the senses are on average where they are sure at all (medians of the workers on the test clips)."""


def window_of(item: Situation | Choice) -> ContextWindow:
    """Return what is known as the last turn of ``item`` is over; whoever is not the agent is heard and seen."""
    entries: list[Entry] = []
    at: Nanos = SECOND
    for said in item.turns:
        end = at + max(1, len(tokens(said.text))) * _WORD
        speaker = "agent" if said.who == "agent" else "user"
        if speaker == "user":
            entries.append(Percept(SPEECH_STARTED, "", at, at, 0.9, "vad"))
            entries.extend(_seen(said, at, end))
            entries.append(Percept(SPEECH_ENDED, "", at, end, 0.9, "vad"))
        entries.append(Turn(speaker, said.text, at, end))
        at = end + _GAP
    return ContextWindow(start=0, end=at, entries=tuple(entries), cue=CUE_END_OF_TURN)


def _seen(said: Said, begin: Nanos, end: Nanos) -> Iterator[Percept]:
    """Yield what the senses report of a turn: expressions one after another, voice, gaze, gestures."""
    if said.face:
        count = max(len(said.face), (end - begin) // _LOOK)
        for n in range(count):
            label = said.face[n * len(said.face) // count]
            start = begin + n * (end - begin) // count
            yield _look(label, start, begin + (n + 1) * (end - begin) // count)
    if said.voice:
        yield Percept(PROSODY, said.voice, begin, end, _SURE, "prosody")
    if said.gaze:
        yield Percept(GAZE, said.gaze, begin, end, _SURE, "face")
    for gesture in said.gestures:
        yield Percept(GESTURE, gesture, end - _LOOK, end, _SURE, "gesture")


def _look(label: str, start: Nanos, end: Nanos) -> Percept:
    if label not in LOOKS:
        return Percept(EXPRESSION, label, start, end, 0.3, "face")
    data = dict.fromkeys(LOOKS, (1.0 - _SURE) / (len(LOOKS) - 1)) | {label: _SURE}
    data["valence"] = 0.6 if label == "happy" else -0.5 if label in NEGATIVE else 0.0
    return Percept(EXPRESSION, label, start, end, _SURE, "face", data)
