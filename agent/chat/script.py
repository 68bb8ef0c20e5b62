"""What a script of ``agent chat`` says: conversations, each a list of lines, as JSON or as JSON lines.

A line is a string, which is typed; ``{"say": "...", "face": "sad", "voice": "trembling"}``, which is spoken with that
face (one label or a list of them, one after the other) and that voice; or ``{"wait": 9}``, seconds of silence.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.config import ConfigError
from perception.percept import LOOKS, MANNERS, UNCERTAIN
from perception.timebase import Nanos, seconds

LONGEST: Final = 4000
"""Characters of a line."""
LONGEST_WAIT: Final = 3600
"""Seconds of silence."""

FACES: Final = (*LOOKS, UNCERTAIN)


class ScriptError(ConfigError):
    """A script that cannot be followed; the message names the entry and the field."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the person says: typed, or spoken where face or voice go with it."""

    say: str
    face: tuple[str, ...] = ()
    voice: str = ""

    @property
    def spoken(self) -> bool:
        """Whether it is spoken."""
        return bool(self.face or self.voice)


@dataclass(frozen=True, slots=True)
class Silence:
    """The person says nothing for so long."""

    lasts: Nanos


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation: its name in the output, and what the person says, in order."""

    id: str
    lines: tuple[Line | Silence, ...]

    @property
    def staged(self) -> bool:
        """Whether anything in it is spoken, so that senses have to report it."""
        return any(isinstance(line, Line) and line.spoken for line in self.lines)


def parse(text: str, where: str) -> list[Conversation]:
    """Read a script.

    Args:
        text: a JSON list of conversations, one conversation, or one a line.
        where: names the file in errors.

    Raises:
        ScriptError: it cannot be followed.
    """
    found: list[Conversation] = []
    names: dict[str, int] = {}
    for number, entry in enumerate(_entries(text, where), 1):
        conversation = _conversation(entry, number, where)
        if conversation.id in names:
            raise ScriptError(
                f"{where}: entry {number}: id {conversation.id!r} is that of entry {names[conversation.id]}"
            )
        names[conversation.id] = number
        found.append(conversation)
    if not found:
        raise ScriptError(f'{where}: there is no conversation, expected a list of {{"id": ..., "lines": [...]}}')
    return found


def _entries(text: str, where: str) -> list[Any]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        pass  # perhaps it is one a line
    else:
        return whole if isinstance(whole, list) else [whole]
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entries.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            why = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise ScriptError(f"{where}: line {number} is no JSON: {why}") from None
    return entries


def _conversation(entry: Any, number: int, where: str) -> Conversation:
    if not isinstance(entry, dict):
        raise ScriptError(f'{where}: entry {number} is {_shown(entry)}, expected {{"id": ..., "lines": [...]}}')
    here = f"{where}: entry {number}"
    _known(entry, ("id", "lines"), here)
    name = entry.get("id", str(number))
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name.strip():
        raise ScriptError(f"{here}: id is {_shown(name)}, expected a string")
    _whole(name, f"{here}: id")
    lines = entry.get("lines")
    if not isinstance(lines, list) or not lines:
        raise ScriptError(f"{here} ({name}): lines is {_shown(lines)}, expected a list of at least one line")
    return Conversation(name, tuple(_line(line, f"{here} ({name}): lines[{n}]") for n, line in enumerate(lines)))


def _line(line: Any, here: str) -> Line | Silence:
    if isinstance(line, str):
        return Line(_words(line, here))
    if not isinstance(line, dict):
        raise ScriptError(f'{here} is {_shown(line)}, expected a string, {{"say": ...}} or {{"wait": ...}}')
    if "wait" in line:
        _known(line, ("wait",), here)
        lasts = line["wait"]
        if isinstance(lasts, bool) or not isinstance(lasts, (int, float)) or not 0 < lasts <= LONGEST_WAIT:
            raise ScriptError(
                f"{here}.wait is {_shown(lasts)}, expected seconds, more than 0 and at most {LONGEST_WAIT}"
            )
        return Silence(seconds(lasts))
    _known(line, ("say", "face", "voice"), here)
    faces = line.get("face", [])
    faces = [faces] if isinstance(faces, str) else faces
    if not isinstance(faces, list):
        raise ScriptError(f"{here}.face is {_shown(faces)}, expected a label or a list of them")
    return Line(
        _words(line.get("say"), f"{here}.say"),
        tuple(_label(face, FACES, f"{here}.face") for face in faces),
        _label(line["voice"], MANNERS, f"{here}.voice") if line.get("voice") else "",
    )


def _words(found: Any, here: str) -> str:
    if not isinstance(found, str) or not found.strip():
        raise ScriptError(f"{here} is {_shown(found)}, expected words")
    if len(found) > LONGEST:
        raise ScriptError(f"{here} has {len(found)} characters, expected {LONGEST} or fewer")
    return _whole(found.strip(), here)


def _whole(text: str, here: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ScriptError(f"{here} holds half a character (a lone surrogate)") from None
    return text


def _label(found: Any, labels: Collection[str], here: str) -> str:
    if not isinstance(found, str) or found not in labels:
        raise ScriptError(f"{here} is {_shown(found)}, expected one of {', '.join(labels)}")
    return found


def _known(entry: Mapping[str, Any], keys: Collection[str], here: str) -> None:
    for key in entry:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.0)
            raise ScriptError(f"{here}: unknown field {key!r}; did you mean {near[0]}?")


def _shown(value: Any) -> str:
    return "missing" if value is None else json.dumps(value)[:60]
