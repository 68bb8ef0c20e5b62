"""What the agent owes whoever talks to it: to say that it is an AI, and to let them go.

``asks_ai`` and ``says_ai`` tell a question about that, and an answer to it; ``hooks`` is a lint for everything that is
said, curated or written: no guilt for leaving, no pleading, nothing that holds somebody in the call. Its patterns stand
in ``policy/data/gate.toml``, where they also keep a model from saying such a thing.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from policy import replies
from policy.words import lexicon, load_table, plain

HOLDING: Final = "holds somebody back, or makes them feel guilty for going"
"""The reason of the group of ``gate.toml`` that :func:`hooks` reads."""

_SAYS: Final = re.compile(
    r"\b(?:i'm|i am|it's|this is|am) (?:\w+ ){0,4}?(?:an ai|a computer programme|a machine|artificial)\b|"
    r"\ban ai (?:called|is)\b|\bno human on this side\b|\bnot a (?:person|human)\b"
)
_SENTENCE: Final = re.compile(r"(?<=[.?!])\s+")


def asks_ai(words: str) -> bool:
    """Tell whether somebody asks, or doubts, whom they are talking to."""
    return lexicon("act").search("identity", plain(words)) is not None


def says_ai(text: str) -> bool:
    """Tell whether ``text`` says that an AI is speaking."""
    return _SAYS.search(plain(text)) is not None


def straight(turn: int = 0) -> str:
    """Return a straight answer to who or what is speaking."""
    lines = replies.table()["act/identity"]
    return lines[turn % len(lines)]


def reminder(turn: int = 0) -> str:
    """Return what is said when it is time to say again that an AI is speaking."""
    lines = replies.table()["runtime/reminder"]
    return lines[turn % len(lines)]


def hooks(text: str) -> tuple[str, ...]:
    """Return what in ``text`` holds somebody back or makes them feel guilty for going; nothing if it lets them go."""
    lines = "\n".join(plain(part) for part in _SENTENCE.split(text))
    return tuple(match.group(0) for match in _holding().finditer(lines))


@cache
def _holding() -> re.Pattern[str]:
    groups = [group for group in load_table("gate")["never"] if group["reason"] == HOLDING]
    if not groups:
        raise ValueError(f'gate.toml: there is no group with reason = "{HOLDING}"; the lint of replies needs it')
    patterns = "|".join(pattern for group in groups for pattern in group["patterns"])
    return re.compile(rf"(?<![\w'])(?:{patterns})(?![\w'])", re.MULTILINE)
