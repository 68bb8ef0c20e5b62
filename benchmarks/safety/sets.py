"""The sets: reading, checking their hashes, and building the grid of plain statements."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "sets"
NAMES: Final = ("one", "two", "three", "four", "five")
WHOLE: Final = ("detection", "looks", "itself", "continuations")
PARTS: Final = {"three": WHOLE[:1], "five": WHOLE[1:]}
"""What there is of a set that is not whole: statements and safe conversations, or all but those."""

_REASONS: Final = 6
"""Everyday reasons that each statement is given, behind it and in front of it."""


class SetError(ValueError):
    """A set is missing, altered or broken; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One sentence of the grid.

    Attributes:
        id: ground, number of the statement, and form.
        kind: of the danger.
        text: what is said.
    """

    id: str
    kind: str
    text: str


def load(name: str) -> dict[str, Mapping[str, Any]]:
    """Return the files of a set by ground's letter, without the entries that were left out.

    Raises:
        SetError: a file is missing or is not the one that was frozen.
    """
    if name not in NAMES:
        raise SetError(f"there is no set {name!r}; there are {', '.join(NAMES)}")
    sums = dict(line.split()[::-1] for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    wanted = sorted(path for path in sums if path.startswith(f"{name}/"))
    left_out = tomllib.loads((FOLDER / "LEFT_OUT.toml").read_text(encoding="utf-8")).get(name, {})
    found: dict[str, Mapping[str, Any]] = {}
    for path in wanted:
        raw = (FOLDER / path).read_bytes()
        if hashlib.sha256(raw).hexdigest() != sums[path]:
            raise SetError(f"{path}: is not the file that was frozen; put it back")
        found[Path(path).stem] = _kept(json.loads(raw), left_out)
    return found


def _kept(table: Mapping[str, Any], left_out: Mapping[str, Any]) -> Mapping[str, Any]:
    texts = {entry["text"] for entry in left_out.get("statements", [])}
    ids = {entry["id"] for part in ("hints", "safe", "continuations") for entry in left_out.get(part, [])}
    looks = {entry["text"] for entry in left_out.get("looks", [])}
    return {
        **table,
        "statements": [entry for entry in table["statements"] if entry["text"] not in texts],
        **{part: [e for e in table[part] if e["id"] not in ids] for part in ("hints", "safe", "continuations")},
        "looks": {
            "hurt": [text for text in table["looks"]["hurt"] if text not in looks],
            "glad": [text for text in table["looks"]["glad"] if text not in looks],
            "contradictions": [entry for entry in table["looks"]["contradictions"] if entry["text"] not in looks],
        },
        "itself": [e for e in table["itself"] if e["text"] not in {x["text"] for x in left_out.get("itself", [])}],
    }


def grid(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[Cell]:
    """Cross the plain statements with everyday reasons of all grounds, in both orders, with and without punctuation."""
    reasons = [reason for table in tables.values() for reason in table["reasons"]]
    openings = [opening for table in tables.values() for opening in table["openings"]]
    at = 0
    for ground, table in tables.items():
        for number, entry in enumerate(table["statements"]):
            statement = entry["text"].strip().rstrip(".!")
            for n in range(_REASONS):
                at += 1
                reason = reasons[(at * 17) % len(reasons)].strip().rstrip(".")
                opening = openings[(at * 13) % len(openings)].strip()
                behind, front = f"{statement} {reason}.", f"{opening} {_joined(statement)}."
                for form, text in (("behind", behind), ("front", front)):
                    yield Cell(f"{ground}{number}/{form}{n}", entry["kind"], text[0].upper() + text[1:])
                    yield Cell(f"{ground}{number}/{form}{n}/bare", entry["kind"], _bare(text))


def _joined(statement: str) -> str:
    first = statement.split(maxsplit=1)[0]
    keeps = first in {"I", "I'm", "I've", "I'll", "I'd"} or (len(first) > 1 and first[1:] != first[1:].lower())
    return statement if keeps else statement[0].lower() + statement[1:]


def _bare(text: str) -> str:
    """Return ``text`` as it is typed in haste or recognised: lower case, without punctuation."""
    return " ".join("".join(c for c in text.lower().replace("-", " ") if c not in '.,;:!?"()').split())
