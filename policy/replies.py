"""The curated lines: what is said when no model's words are wanted or good enough.

A line is chosen by a hash of the turn and is not said twice in a call while others are left, so the same
window always gives the same line. See ``policy/data/replies.toml``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

from policy.words import load_table, plain

Rank = Callable[[Sequence[str]], Mapping[str, float]]
"""From lines to how well each goes with the words, as a cosine."""

_CLOSE: Final = 0.12
SLOT: Final = "{topic}"
_NO_MOOD: Final = frozenset({"act", "crisis", "runtime", "lost", "backchannel"})


@cache
def table() -> Mapping[str, tuple[str, ...]]:
    """Return all lines by ``section/name``."""
    return {
        f"{section}/{name}": tuple(lines)
        for section, names in load_table("replies").items()
        for name, lines in names.items()
    }


def pick(
    topic: str,
    *,
    turn: int,
    words: str = "",
    said: Sequence[str] = (),
    nouns: Sequence[str] = (),
    allow: Callable[[str], bool] | None = None,
    rank: Rank | None = None,
) -> tuple[str, str]:
    """Choose a line, and say from which table it came.

    When all lines of ``topic`` have been said, one of a neighbouring strategy is better than a repetition.

    Args:
        topic: ``section/name`` in the table.
        turn: number of the person's turn.
        words: what the person said; the same turn and words give the same line.
        said: what the agent said so far; a cut reply counts when its beginning was heard.
        nouns: the person's own noun phrases for the slot, best first; lines with a slot need one.
        allow: a further condition on the line; left aside only if nothing meets it.
        rank: how well a line goes with the words; the best comes first, and turns and words break what is close.

    Raises:
        KeyError: no such table.
    """
    heard = [plain(text) for text in said]
    seed = f"{turn}#{plain(words)}"
    order = _candidates(topic, seed, nouns, rank)
    for name in neighbours(topic):
        lines = order if name == topic else _candidates(name, seed, nouns, rank)
        for line in lines:
            if (allow is None or allow(line)) and _last_said(line, heard) < 0:
                return line, name
    allowed = [line for line in order if allow is None or allow(line)] or order
    return min(allowed, key=lambda line: _last_said(line, heard)), topic


def neighbours(topic: str) -> tuple[str, ...]:
    """Return ``topic`` and the tables to turn to when it has nothing new left."""
    section, _, name = topic.partition("/")
    if topic == "act/masked":
        return (topic, "sadness/question", "sadness/affirmation")
    if section in {"act", "runtime", "lost"}:
        return (topic,)
    if section == "crisis":
        return (topic, "crisis/follow") if name != "medical" else (topic,)
    if name == "information":
        return (topic, "act/normal") if section == "heavy" else (topic,)
    others = ("reflection", "affirmation", "question", "restatement")
    return (topic, *(f"{section}/{other}" for other in others if other != name))


def was_said(topic: str, said: Sequence[str]) -> bool:
    """Tell whether a line of ``topic``, or its heard beginning, is among what the agent said."""
    heard = [plain(text) for text in said]
    return any(_last_said(line, heard) >= 0 for line in table()[topic])


def lines() -> tuple[str, ...]:
    """Return all curated lines without a slot."""
    return tuple(dict.fromkeys(line for group in table().values() for line in group if SLOT not in line))


def greeting() -> str:
    """Return the first line of a call; it says that an AI is speaking."""
    return table()["act/greeting"][0]


def fallback(turn: int = 0) -> str:
    """Return what to say when the policy failed or came too late."""
    lines = table()["runtime/fallback"]
    return lines[turn % len(lines)]


def silence(turn: int = 0) -> str:
    """Return what to say into a long silence."""
    lines = table()["runtime/silence"]
    return lines[turn % len(lines)]


def lost(sense: str, turn: int = 0) -> str:
    """Return what to say when ``sense`` (a name as in a percept's label) has dropped out."""
    lines = table()[f"lost/{_organ(sense)}"]
    return lines[turn % len(lines)]


def back(sense: str) -> str:
    """Return what to say when ``sense`` works again; ``""`` where that needs no word."""
    lines = table().get(f"lost/{_organ(sense)}_back", ("",))
    return lines[0]


def tokens(heavy: bool = False, light: bool = False) -> tuple[str, ...]:
    """Return the sounds of listening for the mood of the moment."""
    return table()["backchannel/heavy" if heavy else "backchannel/light" if light else "backchannel/plain"]


@cache
def strategy_by_line() -> Mapping[str, str]:
    """Return the strategy of each curated line of a mood, by its plain text; lines with a slot are left out."""
    out: dict[str, str] = {}
    for topic, lines in table().items():
        section, _, name = topic.partition("/")
        if section not in _NO_MOOD:
            out.update((plain(line), name) for line in lines if SLOT not in line)
    return out


def _organ(sense: str) -> str:
    if sense in {"face", "camera", "video", "expression", "gaze", "gesture", "vision"}:
        return "face"
    return "voice" if sense in {"asr", "vad", "microphone", "audio", "hearing", "speech"} else "other"


def _candidates(topic: str, seed: str, nouns: Sequence[str], rank: Rank | None) -> list[str]:
    lines = [line.replace(SLOT, nouns[0]) if nouns else line for line in table()[topic] if SLOT not in line or nouns]
    if topic.startswith("crisis/"):
        return lines  # in the order of their urgency

    def chance(line: str) -> float:
        return zlib.crc32(f"{topic}#{seed}|{line}".encode()) / 2**32

    if rank is None:
        return sorted(lines, key=chance)
    fit = rank(lines)
    return sorted(lines, key=lambda line: _CLOSE * chance(line) - fit[line])


def _last_said(line: str, heard: Sequence[str]) -> int:
    """Return the index of the agent turn that contains ``line`` or its heard beginning; -1 if none does."""
    text = plain(line)
    for index in range(len(heard) - 1, -1, -1):
        turn = heard[index]
        if text in turn or (len(turn) >= 8 and text.startswith(turn)):
            return index
    return -1
