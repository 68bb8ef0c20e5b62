"""What a model was given to answer: the words, and how many pictures and how much sound stood between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from perception.media import RATE_HZ
from perception.timebase import as_seconds
from policy.prompt import Line
from policy.reel import Part, Sight


@dataclass(frozen=True, slots=True)
class Given:
    """What one answer was asked with.

    A session that hands media to its model keeps it as ``given``; :mod:`agent.bench` records it.

    Attributes:
        messages: ``{role, content}`` in order; a picture and a stretch of sound stand as a line in brackets.
        frames: pictures.
        heard_s: seconds of sound.
    """

    messages: tuple[Mapping[str, str], ...]
    frames: int
    heard_s: float


def given(parts: Iterable[Part], system: str = "", asked: str = "") -> Given:
    """Return what a model is given with these parts of a call.

    Args:
        parts: lines, pictures and sound, oldest first.
        system: what is said in front of them.
        asked: what is said behind them.
    """
    told: list[tuple[str, str]] = [("system", system)] if system else []
    frames, heard = 0, 0
    for part in parts:
        if isinstance(part, Line):
            told.append((part.role, part.text))
        elif isinstance(part, Sight):
            frames += 1
            told.append(("user", f"[picture at {as_seconds(part.at):.1f} s]"))
        else:
            heard += part.count
            told.append(("user", f"[sound, {as_seconds(part.start):.1f} to {as_seconds(part.end):.1f} s]"))
    if asked:
        told.append(("user", asked))
    merged: list[tuple[str, list[str]]] = []
    for role, text in told:
        if merged and merged[-1][0] == role:
            merged[-1][1].append(text)
        else:
            merged.append((role, [text]))
    messages = tuple({"role": role, "content": "\n".join(texts)} for role, texts in merged)
    return Given(messages, frames, round(heard / RATE_HZ, 3))
