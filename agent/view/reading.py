"""Reads a journal, line by line. A line that cannot be used is named and left out; the others stay."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.privacy.masking import PREFIX
from agent.view import ViewError

LONGEST_LINE: Final = 1 << 20
"""Bytes of a line that are read; the runtime writes some hundred."""

LONGEST_CALL_S: Final = 31 * 24 * 3600.0
"""Seconds of a call. What claims to be later is a broken line, and would squeeze all others into one point."""

_WORDS: Final = ("text", "reason")

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that was left out: its number, from 1, and why."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Read:
    """A journal.

    Attributes:
        name: of the file.
        lines: the events, in the order of their times, as :func:`agent.journal.as_json` writes them; keys that begin
            with ``pii.`` stand without that.
        bad: what was left out.
        personal: whether it holds what a person said or how they looked.
        withheld: whether such things were left out when it was written.
    """

    name: str
    lines: list[Line]
    bad: list[Bad]
    personal: bool
    withheld: bool


def read(path: Path) -> Read:
    """Read a journal.

    Raises:
        ViewError: the file cannot be read, or holds no event.
    """
    if path.is_dir():
        found = sorted(p.name for p in path.glob("*.jsonl"))
        which = f"name one of its journals, such as {found[-1]}" if found else "and there is no *.jsonl in it"
        raise ViewError(f"{path} is a folder; {which}")
    lines: list[Line] = []
    bad: list[Bad] = []
    personal = withheld = False
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(raw) > LONGEST_LINE and not raw.endswith(b"\n"):
                    bad.append(Bad(number, f"is longer than {LONGEST_LINE >> 20} MiB"))
                    while (more := file.readline(LONGEST_LINE)) and not more.endswith(b"\n"):
                        pass
                    continue
                if not raw.strip():
                    continue
                try:
                    line = _line(raw)
                except ValueError as error:
                    cut = "" if raw.endswith(b"\n") else ", and is cut off: the last thing that was written"
                    bad.append(Bad(number, f"{error}{cut}"))
                    continue
                own = _plain(line)
                personal = personal or own or _tells(line)
                withheld = withheld or _lacks(line)
                lines.append(line)
    except OSError as error:
        raise ViewError(f"{path}: cannot be read ({error.strerror}); name the journal of a call") from None
    if not lines:
        first = f"; line {bad[0].number} {bad[0].why}" if bad else ""
        raise ViewError(
            f"{path}: holds no event of a call{first}. Journals are written with journal.directory set, and by "
            "`agent replay FILE --json`"
        )
    lines.sort(key=lambda line: line["t"])
    return Read(path.name, lines, bad, personal, withheld)


def second(value: Any) -> float | None:
    """Return a time within a call in seconds, or ``None`` for anything that is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and 0 <= found <= LONGEST_CALL_S else None


def _line(raw: bytes) -> Line:
    try:
        line = json.loads(raw)
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is no JSON ({str(error).partition(':')[0].lower()})") from None
    if not isinstance(line, dict):
        raise ValueError("is no JSON object")
    if not isinstance(line.get("type"), str) or not line["type"]:
        raise ValueError('has no "type"')
    if "t" not in line:
        raise ValueError('has no "t"')
    if second(line["t"]) is None:
        raise ValueError(f'"t" is {json.dumps(line["t"])[:40]}, expected seconds of a call')
    return line


def _plain(line: Line) -> bool:
    """Lift what stands under ``pii`` to where the rest stands; return whether there was any."""
    found = False
    nested = line.pop("pii", None)
    for key, value in nested.items() if isinstance(nested, Mapping) else ():
        line.setdefault(str(key), value)
        found = True
    for key in [k for k in line if k.startswith(PREFIX)]:
        line.setdefault(key.removeprefix(PREFIX), line.pop(key))
        found = True
    return found


def _lacks(line: Line) -> bool:
    """Say whether words or looks were left out of a line when it was written."""
    match line["type"]:
        case "percept":
            return "label" not in line
        case "decision":
            return "reason" not in line
    return "words_count" in line and "text" not in line


def _tells(line: Line) -> bool:
    """Say whether words or looks stand in a line."""
    if line["type"] in ("metric", "note"):
        return False
    return any(line.get(key) for key in _WORDS) or (line["type"] == "percept" and bool(line.get("label")))
