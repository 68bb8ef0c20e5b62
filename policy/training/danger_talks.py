"""Conversations that the classifier of danger is trained on: ``policy/training/danger/talks/*.jsonl``.

One object a line: ``{"kind", "turns": [...], "levels": [...]}``. Turns are what a person says; what was answered is
not written down. The level of a turn is that of the conversation up to it; ``README.md`` there is the datasheet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policy.safety.detector import KINDS

FOLDER: Final = Path(__file__).parent / "danger" / "talks"
LEVELS: Final = ("none", "hint", "plain")
SAFE: Final = "safe"
"""Kind of a conversation whose levels are all ``none``."""

NONE: Final = 0
HINT: Final = 1
"""Label of a hint of the first kind; those of the others follow it."""
PLAIN: Final = HINT + len(KINDS)
"""Label of the first kind said plainly; likewise."""
EITHER: Final = PLAIN + len(KINDS)
"""Label of a danger of the first kind, hinted at or said plainly; likewise."""
ANY: Final = EITHER + len(KINDS)
"""Label of a danger whose kind is not written down."""

Turns = tuple[str, ...]
Example = tuple[Turns, int]
"""A window, whose last turn is judged, and its label."""


class TalkError(ValueError):
    """A file breaks its schema; the message names file, line and field."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation.

    Attributes:
        kind: one of the detector's ``KINDS``, or ``safe``.
        turns: what the person says, oldest first.
        levels: of each turn, one of :data:`LEVELS`.
    """

    kind: str
    turns: Turns
    levels: tuple[str, ...]

    def windows(self) -> Iterator[Example]:
        """Yield each turn behind those before it, with its label."""
        for number, level in enumerate(self.levels, 1):
            yield self.turns[:number], label_of(self.kind, level)


def label_of(kind: str, level: str) -> int:
    """Return the label of a turn of ``level`` in a conversation of ``kind``."""
    return NONE if level == "none" else (HINT if level == "hint" else PLAIN) + KINDS.index(kind)


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of the files, short of their ending."""
    return sorted(path.stem for path in folder.glob("*.jsonl"))


def talks(without: Sequence[str] = (), folder: Path = FOLDER) -> list[Talk]:
    """Read all conversations but those of some files, in the order of files and lines.

    Args:
        without: names of files, short of their ending; those of no file are passed over.
        folder: where they lie.

    Raises:
        TalkError: a line breaks the schema.
    """
    return [talk for name in names(folder) if name not in without for talk in talks_of(name, folder)]


def talks_of(name: str, folder: Path = FOLDER) -> list[Talk]:
    """Read the conversations of one file.

    Raises:
        TalkError: there is no such file, or a line breaks the schema.
    """
    path = folder / f"{name}.jsonl"
    if not path.is_file():
        raise TalkError(f"there is no {path.name} in {folder.name}, only {', '.join(names(folder)) or 'no file'}")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_talk(line, f"{path.name}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _talk(line: str, where: str) -> Talk:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise TalkError(f"{where}: no JSON ({error})") from None
    if not isinstance(row, dict) or row.keys() != {"kind", "turns", "levels"}:
        raise TalkError(f'{where}: expected an object with "kind", "turns" and "levels"')
    kind, turns, levels = row["kind"], row["turns"], row["levels"]
    if kind != SAFE and kind not in KINDS:
        raise TalkError(f"{where}: kind {kind!r} is none of {', '.join((*KINDS, SAFE))}")
    if not isinstance(turns, list) or not turns or not all(isinstance(t, str) and t.strip() for t in turns):
        raise TalkError(f"{where}: turns is no list of what is said")
    if not isinstance(levels, list) or len(levels) != len(turns) or any(level not in LEVELS for level in levels):
        raise TalkError(f"{where}: levels has to name one of {', '.join(LEVELS)} for each turn")
    if (kind == SAFE) != all(level == "none" for level in levels):
        raise TalkError(f"{where}: kind is {kind}, which does not fit its levels")
    return Talk(kind, tuple(turns), tuple(levels))
