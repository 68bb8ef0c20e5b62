"""Which words and percepts belong to which turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perception.percept import Percept
from perception.timebase import Nanos, seconds


@dataclass(frozen=True, slots=True)
class Stretch:
    """When a turn was spoken.

    Attributes:
        turn: its index in the item.
        start: first instant of its sound.
        end: first instant after it.
    """

    turn: int
    start: Nanos
    end: Nanos


def overlapped(percept: Percept, turns: Sequence[Stretch]) -> int | None:
    """Return the turn that a percept shares the most time with; ``None`` if there is none."""
    shared = {t.turn: min(percept.end, t.end) - max(percept.start, t.start) for t in turns}
    best = max(shared, key=lambda turn: shared[turn], default=None)
    return best if best is not None and shared[best] > 0 else None


def assign(transcripts: Sequence[Percept], turns: Sequence[Stretch]) -> dict[int, str]:
    """Return the recognised words of each turn, empty where there are none.

    Of each utterance the last revision counts. An utterance within one turn goes there as a whole; of one that spans
    several, each word goes to the turn nearest to its middle. What was recognised outside all turns is left out.
    """
    latest = {p.data["utterance"]: p for p in transcripts}
    texts: dict[int, list[str]] = {t.turn: [] for t in turns}
    for utterance in sorted(latest.values(), key=lambda p: p.start):
        touched = [t for t in turns if min(utterance.end, t.end) > max(utterance.start, t.start)]
        words = utterance.label.split()
        middles = _middles(utterance)
        if len(touched) > 1 and len(middles) == len(words):
            for word, middle in zip(words, middles, strict=True):
                texts[min(touched, key=lambda t: max(t.start - middle, middle - t.end, 0)).turn].append(word)
        elif touched:
            best = overlapped(utterance, touched)
            assert best is not None
            texts[best] += words
    return {turn: " ".join(words) for turn, words in texts.items()}


def _middles(utterance: Percept) -> list[Nanos]:
    starts, ends = utterance.series("word_starts"), utterance.series("word_ends")
    return [seconds((start + end) / 2) for start, end in zip(starts, ends, strict=True)]
