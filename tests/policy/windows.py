"""Windows as a call would photograph them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from perception.context import CUE_END_OF_TURN, ContextWindow, Entry, Turn
from perception.percept import EXPRESSION, GAZE, PROSODY, Percept
from perception.timebase import SECOND

BREATH = 4 * SECOND


def percept(kind: str, label: str, at: float, to: float | None = None, sure: float = 0.7, **data: float) -> Percept:
    """A percept from ``at`` to ``to`` seconds."""
    return Percept(kind, label, round(at * SECOND), round((at if to is None else to) * SECOND), sure, kind, data)


def talk(
    *said: str,
    face: str = "",
    voice: str = "",
    gaze: str = "",
    sure: float = 0.75,
    cue: str = CUE_END_OF_TURN,
    refused: Iterable[str] = (),
    extra: Iterable[Entry] = (),
    hearing: str = "",
) -> ContextWindow:
    """A dialogue that ends with the person: turns alternate, the last look and tone go with the last words."""
    entries: list[Entry] = []
    t = 0
    for i, text in enumerate(said):
        user = (len(said) - 1 - i) % 2 == 0
        if i == len(said) - 1:
            seconds = t / SECOND
            if face:
                entries += [percept(EXPRESSION, face, seconds + k / 2, seconds + k / 2 + 0.5, sure) for k in range(6)]
            if voice:
                entries.append(percept(PROSODY, voice, seconds, seconds + 3, sure))
            if gaze:
                entries.append(percept(GAZE, gaze, seconds, seconds + 3, sure))
        entries.append(Turn("user" if user else "agent", text, t, t + 3 * SECOND))
        t += BREATH
    entries.extend(extra)
    return ContextWindow(
        start=0, end=max(t, SECOND), entries=tuple(entries), cue=cue, refused=frozenset(refused), hearing=hearing
    )


def situation(entry: Mapping[str, Any]) -> ContextWindow:
    """The window of an entry of ``situations.toml``."""
    before = [text for told in entry.get("before", []) for text in (told, "I see. Please go on.")]
    looks = {key: entry[key] for key in ("face", "voice", "gaze") if key in entry}
    return talk(*before, entry["words"], **looks)
