"""The scripted conversations of the measure of timing: what is written in ``policy/data/empathy/timing*.toml``."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import resources
from typing import Any, Final

from agent.tone import NEUTRAL, Tone

TUNING: Final = "timing"
HELD: Final = "timing_held"
TRAIN: Final = "timing_train"

SOUNDS: Final = ("cough", "sneeze", "door", "keys", "hum", "laugh", "sob")
"""What is heard of a person without words."""
SIGHTS: Final = ("away", "back", "sad", "happy")
"""What the camera would tell."""

INSIDE, FILLER, CLAUSE, SENTENCE, SOB = "inside", "filler", "clause", "sentence", "sob"
PAUSES: Final = (INSIDE, FILLER, CLAUSE, SENTENCE, SOB)
"""Kinds of pauses, by what comes before them."""

_SHORTEST_S, _LONGEST_S = 0.3, 1.2
_FILLERS: Final = ("um", "uh", "well")


class ScriptError(ValueError):
    """The conversations cannot be used; the message names the file, the conversation, the field and the fix."""


@dataclass(frozen=True, slots=True)
class Words:
    """Something that is said in one breath."""

    text: str


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound without words; ``name`` is one of :data:`SOUNDS`."""

    name: str


@dataclass(frozen=True, slots=True)
class Rest:
    """A pause. ``kind`` is one of :data:`PAUSES`."""

    length_s: float
    kind: str


@dataclass(frozen=True, slots=True)
class Sight:
    """Something to be seen from now on; ``name`` is one of :data:`SIGHTS`."""

    name: str


Step = Words | Sound | Rest | Sight


@dataclass(frozen=True, slots=True)
class Person:
    """A voice: changes of the embedded one, and a factor on its resonances."""

    name: str
    tone: Tone
    throat: float = 1.0


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation.

    Attributes:
        id: its name.
        opening: what the agent says first.
        who: the person's voice.
        over: what the person lets out meanwhile without wanting the turn.
        cuts_in: whether the person's turn begins over the opening.
        says: the person's turn.
        held: whether it is kept out of tuning.
    """

    id: str
    opening: str
    who: Person
    over: tuple[Words | Sound, ...]
    cuts_in: bool
    says: tuple[Step, ...]
    held: bool


def talks() -> tuple[Talk, ...]:
    """Return all conversations, those for tuning first.

    Raises:
        ScriptError: one of the files is not as it should be.
    """
    head = _table(TUNING)
    held = _bytes(HELD)
    digest = hashlib.sha256(held).hexdigest()
    if head.get("held_sha256") != digest:
        raise ScriptError(
            f"{TUNING}.toml: held_sha256 is {head.get('held_sha256')!r}, and {HELD}.toml has {digest}; conversations "
            "that are kept out of tuning are not to be changed: put the file back, or write down the new checksum"
        )
    return read(head, head, TUNING, held=False) + read(_table(HELD), head, HELD, held=True)


def training() -> tuple[Talk, ...]:
    """Return the conversations that the signs of an end are weighed on, besides those for tuning; none is measured.

    Raises:
        ScriptError: the file is not as it should be.
    """
    head, table = _table(TUNING), _table(TRAIN)
    return read(table, {**head, "openings": {**head["openings"], **table.get("openings", {})}}, TRAIN, held=False)


def held_sha256() -> str:
    """Return the checksum of the conversations that are kept out of tuning."""
    return hashlib.sha256(_bytes(HELD)).hexdigest()


def read(table: Mapping[str, Any], head: Mapping[str, Any], name: str, *, held: bool) -> tuple[Talk, ...]:
    """Check the conversations of a file and return them.

    Args:
        table: of the file.
        head: of the file with openings and voices.
        name: of the file, for errors.
        held: whether they are kept out of tuning.

    Raises:
        ScriptError: one is not as it should be.
    """
    where = f"{name}.toml"
    openings, voices = head.get("openings", {}), head.get("voices", {})
    found: list[Talk] = []
    for number, entry in enumerate(table.get("talks", ())):
        at = f"{where}: talk {entry.get('id') or number!r}"
        unknown = set(entry) - {"id", "opening", "who", "over", "cuts_in", "says"}
        if unknown:
            raise ScriptError(f"{at}: unknown field {sorted(unknown)[0]!r}; see the head of {TUNING}.toml")
        for key, kind in (("id", str), ("opening", str), ("who", str), ("over", list), ("cuts_in", bool)):
            if not isinstance(entry.get(key), kind):
                raise ScriptError(f"{at}: {key} is {entry.get(key)!r}, expected a {kind.__name__}")
        if entry["opening"] not in openings:
            raise ScriptError(f"{at}: there is no opening {entry['opening']!r}; there are {', '.join(openings)}")
        if entry["who"] not in voices:
            raise ScriptError(f"{at}: there is no voice {entry['who']!r}; there are {', '.join(voices)}")
        found.append(
            Talk(
                id=entry["id"],
                opening=openings[entry["opening"]],
                who=_person(entry["who"], voices[entry["who"]], where),
                over=tuple(_over(word, at) for word in entry["over"]),
                cuts_in=entry["cuts_in"],
                says=_steps(entry.get("says"), at),
                held=held,
            )
        )
    names = [talk.id for talk in found]
    if len(set(names)) < len(names):
        raise ScriptError(f"{where}: two talks have the same id; give each its own")
    return tuple(found)


def _person(name: str, value: Mapping[str, float], where: str) -> Person:
    known = {field.name for field in fields(Tone)} | {"throat"}
    unknown = set(value) - known
    if unknown:
        raise ScriptError(f"{where}: voice {name!r} has no {sorted(unknown)[0]!r}; it may have {', '.join(known)}")
    changes: dict[str, Any] = {k: v for k, v in value.items() if k != "throat"}
    return Person(name, replace(NEUTRAL, **changes), value.get("throat", 1.0))


def _over(word: Any, at: str) -> Words | Sound:
    step = _word(word, at, "over")
    if isinstance(step, Sight):
        raise ScriptError(f"{at}: over has {word!r}, which is not heard; use words or one of {', '.join(SOUNDS)}")
    return step


def _word(word: Any, at: str, key: str) -> Words | Sound | Sight:
    if not isinstance(word, str) or not word.strip():
        raise ScriptError(f"{at}: {key} has {word!r}, expected words, a pause in seconds or a name in round brackets")
    if not word.startswith("("):
        return Words(word)
    name = word.strip("()")
    if name in SOUNDS:
        return Sound(name)
    if name in SIGHTS:
        return Sight(name)
    raise ScriptError(f"{at}: {key} has {word!r}; there are {', '.join((*SOUNDS, *SIGHTS))}")


def _steps(says: Any, at: str) -> tuple[Step, ...]:
    if not isinstance(says, list) or not says or not isinstance(says[0], str) or says[0].startswith("("):
        raise ScriptError(f"{at}: says is {says!r}, expected a list that begins with words")
    steps: list[Step] = []
    for value in says:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not _SHORTEST_S <= value <= _LONGEST_S:
                raise ScriptError(
                    f"{at}: says has a pause of {value} s; pauses last from {_SHORTEST_S} to {_LONGEST_S} s"
                )
            steps.append(Rest(float(value), _kind(steps)))
        else:
            steps.append(_word(value, at, "says"))
    heard = [step for step in steps if not isinstance(step, Sight)]
    if not isinstance(heard[-1], Words):
        raise ScriptError(f"{at}: says ends with {says[-1]!r}; the last thing that is heard has to be words")
    return tuple(steps)


def _kind(steps: Sequence[Step]) -> str:
    heard = next(step for step in reversed(steps) if isinstance(step, Words | Sound))
    if isinstance(heard, Sound):
        return SOB
    text = heard.text.rstrip()
    if text[-1] in ".!?":
        return SENTENCE
    if text[-1] == ",":
        return CLAUSE
    return FILLER if text.split()[-1].lower() in _FILLERS else INSIDE


def _bytes(name: str) -> bytes:
    return resources.files("policy").joinpath("data", "empathy", f"{name}.toml").read_bytes()


def _table(name: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(_bytes(name).decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ScriptError(f"{name}.toml: is no valid TOML: {error}") from None
