"""What the safety lane says: reviewed lines from ``policy/data/crisis.toml``, with the help of a country in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from policy.parse import sentences
from policy.safety.detector import FOLLOW, KINDS
from policy.safety.helplines import Contact, Country, said
from policy.words import load_table, plain

STILL: Final = "still"
BYE: Final = "bye"
SETTLED: Final = "settled"

_FILE: Final = "policy/data/crisis.toml"
_SLOTS: Final = re.compile(r"\{(\w+)\}")
_LEAST: Final = 8
_COMMON: Final = frozenset({"Centre", "Helpline", "Hotline", "Lifeline"})
"""Last words of names that take an article."""


class CrisisError(ValueError):
    """The file breaks its schema; the message names file, entry and field."""


@cache
def table() -> Mapping[str, tuple[str, ...]]:
    """Return all lines by topic: ``self_harm/plain``, ``follow/abuse``, ``bye/lines`` and so on.

    Raises:
        CrisisError: something is missing, or a line has a slot that is not known.
    """
    return parse(load_table("crisis"))


def parse(found: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Check the file and return its lines by topic."""
    wanted = {
        **dict.fromkeys(KINDS, ("plain", "veiled")),
        FOLLOW: KINDS,
        **dict.fromkeys((STILL, BYE, SETTLED), ("lines",)),
    }
    lines: dict[str, tuple[str, ...]] = {}
    for section, names in wanted.items():
        for name in names:
            where = f"{_FILE}: [{section}] {name}"
            table = found.get(section)
            given = table.get(name) if isinstance(table, Mapping) else None
            if not isinstance(given, list) or not given or not all(isinstance(line, str) for line in given):
                raise CrisisError(f"{where} is {given!r}, expected a list of lines")
            for line in given:
                strange = set(_SLOTS.findall(line)) - {"help", "emergency"}
                if strange:
                    raise CrisisError(f"{where}: no slot {{{strange.pop()}}}; there are {{help}} and {{emergency}}")
            lines[f"{section}/{name}"] = tuple(given)
    return lines


def lines(topic: str, country: Country, kind: str, heard: Sequence[str]) -> list[str]:
    """Return the sentences to say: the first line of a topic not yet said, from the beginning when all were.

    Args:
        topic: as in :func:`table`.
        country: whose help is named.
        kind: the danger.
        heard: what the agent said so far, oldest first.
    """
    every = [_filled(line, country, kind) for line in table()[topic]]
    order = sorted(every, key=lambda line: _last_said(line, heard))
    return list(sentences(order[0]))


def was_said(topic: str, country: Country, said: Sequence[str]) -> bool:
    """Tell whether one of the agent's turns is a line of ``topic``, or its heard beginning."""
    turns = [plain(text) for text in said]
    return any(_says(turn, line) for turn in turns for line in _spoken(topic, country))


@cache
def _spoken(topic: str, country: Country) -> tuple[str, ...]:
    """Return the lines of a topic as they are compared. Each reply asks for those of many topics."""
    lines = (_filled(line, country, kind) for line in table()[topic] for kind in KINDS)
    return tuple(dict.fromkeys(map(plain, lines)))


def settles(words: str) -> bool:
    """Tell whether ``words`` say that there is no danger, or none any more."""
    return _settling().search(plain(words)) is not None


@cache
def _settling() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w'])(?:{'|'.join(load_table('crisis')[SETTLED]['said'])})(?![\w'])")


def _filled(line: str, country: Country, kind: str) -> str:
    return line.replace("{emergency}", country.emergency_spoken).replace("{help}", _help(country, kind)).strip()


def _help(country: Country, kind: str) -> str:
    """Return one sentence that names who can help."""
    found = next((c for c in country.contacts if kind in c.kinds and c.number and c.number != country.emergency), None)
    if found is not None:
        return f"You can {_reach(found)}{f', {found.hours}' if found.hours else ', at any time'}."
    return country.help_spoken or f"You can call {country.emergency_spoken} at any time."


def _reach(contact: Contact) -> str:
    name = contact.name.replace("&", "and").rstrip("?").removeprefix(f"{contact.number} ")
    name = re.sub(r"\d+", lambda match: f"{' '.join(match.group())} ", name).strip()
    name = f"the {name}" if name.rsplit(" ", 1)[-1] in _COMMON else name
    if contact.text == contact.number:
        return f"call or text {said(contact.number)}, {name}"
    return f"call {name} on {said(contact.number)}"


def _last_said(line: str, heard: Sequence[str]) -> int:
    """Return the index of the agent turn with ``line`` or its heard beginning; -1 if none has it."""
    text = plain(line)
    return next((n for n in range(len(heard) - 1, -1, -1) if _says(plain(heard[n]), text)), -1)


def _says(turn: str, line: str) -> bool:
    """Tell whether a turn has a line, or is its beginning; both without punctuation."""
    return bool(turn) and (line in turn or (len(turn) >= _LEAST and line.startswith(turn)))
