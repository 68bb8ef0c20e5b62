"""What goes when the person takes a sense back: all that was known through it, in memory and on disk.

Of a refused sense its percepts go. Where the words go, so does what was said: spoken turns of the person, and turns of
the agent, which give the person's words back. Typed words stay, for they were not perceived. Where another sense goes,
the reasons and the evidence of decisions go from the journal, for they may speak of it, and what the agent showed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent.consent import permitted
from agent.privacy.journal_file import JournalFile, lines_of, mask_file, rewrite
from agent.privacy.masking import PREFIX, strip
from agent.sense_map import Sense, SenseMap
from perception.context import Entry, RollingContext, Turn
from perception.media import Text
from perception.percept import PARTIAL, TRANSCRIPT, Percept

_RESTS: Final = frozenset({"reason", "evidence", "emotion", "tone", "gesture", "intensity"})
"""Keys of a decision that rest on what was seen and heard."""

_WORDS: Final = frozenset({PARTIAL, TRANSCRIPT})


class Left:
    """What is left of things when only some senses are still allowed.

    Args:
        allowed: names of the senses that still are, ``None`` for all.
        workers: of the call.
        reporters: names of the workers that gave words; where none is known, every one that hears may have.
        recording: whether words may still be written down.
    """

    def __init__(
        self,
        allowed: frozenset[str] | None,
        workers: Sequence[Sense],
        reporters: Iterable[str] = (),
        *,
        recording: bool = True,
    ) -> None:
        self._allowed = allowed
        known = SenseMap.of(workers)
        self._names = known.names
        self._recording = recording
        self.words = allowed is None or (set(reporters) & self._names or known.ears) <= allowed

    def entry(self, entry: Entry) -> Entry | None:
        """Return what is left of an entry of the context; ``None`` for nothing."""
        if isinstance(entry, Text):
            return entry
        if isinstance(entry, Turn):
            return entry if self.words or _typed(entry.speaker, entry.start, entry.end) else None
        return permitted(entry, self._allowed, self._names)

    def line(self, line: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what is left of a line of the journal; ``None`` for nothing."""
        kept = dict(line) if self._recording else strip(line)
        match line.get("type"):
            case "percept":
                known = Percept(str(line.get("kind")), "", 0, 0, 0.0, str(line.get("worker")))
                return kept if permitted(known, self._allowed, self._names) is not None else None
            case "turn":
                typed = _typed(str(line.get("speaker")), line.get("start"), line.get("end"))
                return kept if self.words or typed else _bare(kept, line)
            case "thought":
                return kept if self._allowed is None else strip(kept)
            case "decision" if self._allowed is not None:
                gone = _RESTS if self.words else _RESTS | {"text"}
                return {key: value for key, value in kept.items() if key.removeprefix(PREFIX) not in gone}
        return kept


def unlearn(context: RollingContext, allowed: frozenset[str] | None, workers: Sequence[Sense]) -> bool:
    """Let a call's memory go of what was known through senses that are not allowed any more.

    Args:
        context: the memory.
        allowed: names of the senses that still are.
        workers: of the call.

    Returns:
        Whether what was said went, too.
    """
    left = Left(allowed, workers, reporters_of(context.entries))
    context.forget(left.entry)
    return not left.words


def erase_withdrawn(
    journal: JournalFile,
    allowed: frozenset[str] | None,
    workers: Sequence[Sense],
    *,
    recording: bool,
) -> None:
    """Let a call's journal go of what was known through senses that are not allowed any more.

    Args:
        journal: of the call.
        allowed: names of the senses that still are.
        workers: of the call.
        recording: whether words may still be written down; if not, all words and looks go.

    Raises:
        OSError: it cannot be written.
    """
    journal.erase(Left(allowed, workers, reporters_in(journal.lines()), recording=recording).line)


def erase_from(
    path: Path,
    allowed: frozenset[str] | None,
    workers: Sequence[Sense],
    *,
    recording: bool,
) -> None:
    """Do the same to the journal of a call that is over.

    Raises:
        OSError: it cannot be written.
    """
    change = Left(allowed, workers, reporters_in(lines_of(path)), recording=recording).line
    try:
        rewrite(path, change)
    except OSError:
        mask_file(path, change)


def reporters_of(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the names of the workers whose words are among the entries."""
    return frozenset(e.worker for e in entries if isinstance(e, Percept) and e.kind in _WORDS)


def reporters_in(lines: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the names of the workers whose words are among the lines of a journal."""
    return frozenset(str(line.get("worker")) for line in lines if line.get("kind") in _WORDS)


def _typed(speaker: str, start: object, end: object) -> bool:
    """Whether a turn was typed: then it took no time to say."""
    return speaker == "user" and start == end


def _bare(kept: dict[str, Any], line: Mapping[str, Any]) -> dict[str, Any] | None:
    return None if line.get("speaker") == "user" else strip(kept)
