"""The situations of the choice part: their schema, and the half that is held out.

They are tables of ``policy/data/empathy/choice.toml``, which also names the held-out file and its checksum, so that a
change of what nobody may tune on is told. Whatever breaks the schema is told with file, situation and field.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Any, Final

from perception.context import CUE_AFFECT, CUE_ARRIVAL, CUE_END_OF_TURN, CUE_LEAVING, CUE_SILENCE
from perception.percept import LOOKS, MANNERS, UNCERTAIN
from policy.affect import acceptable
from policy.decision import EMOTIONS, STRATEGIES
from policy.fields import Fields

FOLDER: Final = resources.files("policy").joinpath("data", "empathy")
TUNING: Final = "choice.toml"
MOODS: Final = ("heavy", "glad", "even")
ACTIONS: Final = ("speak", "backchannel", "express", "wait")
CUES: Final = (CUE_END_OF_TURN, CUE_AFFECT, CUE_SILENCE, CUE_ARRIVAL, CUE_LEAVING)
KINDS: Final = (
    "masked", "agrees", "heavy", "smile", "glad", "moved", "manner", "quiet", "plain", "advice", "cross", "bye", "who",
    "three", "falls", "long", "comes", "goes", "small",
)  # fmt: skip
"""What is tried: words that hide something, and the same kind of words that do not; a smile over distress; glad words
over tears; words whose sense only the manner tells; a wish for quiet; anger at the agent; who it is; no third question;
a face that falls, a long silence, somebody who comes or goes; and the plain cases of all of these."""

CONTRADICTIONS: Final = frozenset({"masked", "smile", "moved", "manner"})
"""Kinds in which the words alone mislead or say too little."""


class ItemError(ValueError):
    """A file breaks the schema; the message names file, situation and field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One turn: who (``person`` or ``agent``), the words, and how face, voice and gaze went with them."""

    who: str
    text: str
    face: tuple[str, ...] = ()
    voice: str = ""
    gaze: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What goes on in the silence after the last turn.

    Attributes:
        seconds: how long it lasts.
        face: the expression in it from its second second on; ``""`` if nothing is seen.
        presence: who comes or goes: ``arrived`` or ``left``, and after how many seconds.
    """

    seconds: float
    face: str = ""
    presence: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A set of actions, strategies (of what is spoken) and display emotions."""

    actions: frozenset[str]
    strategies: frozenset[str]
    emotions: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One situation.

    Attributes:
        id: unique in both files.
        kind: one of :data:`KINDS`.
        mood: one of :data:`MOODS`; over ``heavy`` nothing happy may be shown and nothing glad said.
        cue: what the agent answers.
        turns: of both sides; the last one is the person's where the end of a turn is answered.
        after: the silence that follows; ``None`` for a short one.
        good: what is acceptable.
        bad: what is unacceptable; what is in neither is neither.
        why: what it is about, for people.
    """

    id: str
    kind: str
    mood: str
    cue: str
    turns: tuple[Said, ...]
    after: After | None
    good: Options
    bad: Options
    why: str


@dataclass(frozen=True, slots=True)
class Halves:
    """All situations.

    Attributes:
        tuning: those that may be used to set something.
        held: those that may not.
        sha256: of the held-out file.
    """

    tuning: tuple[Situation, ...]
    held: tuple[Situation, ...]
    sha256: str


def load(folder: Traversable = FOLDER) -> Halves:
    """Read both halves.

    Raises:
        ItemError: a file is missing or breaks the schema, or the held-out half is not what its checksum says.
    """
    table = _table(_bytes(folder, TUNING), TUNING)
    named = table.get("held_out")
    if (
        not isinstance(named, dict)
        or not isinstance(named.get("file"), str)
        or not isinstance(named.get("sha256"), str)
    ):
        raise ItemError(f'{TUNING}: held_out has to name the held-out half: file = "NAME", sha256 = "..."')
    name, wanted = named["file"], named["sha256"]
    raw = _bytes(folder, name)
    found = hashlib.sha256(raw).hexdigest()
    if found != wanted:
        raise ItemError(
            f"{name}: its sha256 is {found}, but {TUNING} names {wanted}; take the change back, for figures on the "
            "held-out half are comparable only while it stays as it is"
        )
    halves = Halves(_situations(table, TUNING), _situations(_table(raw, name), name), found)
    ids = [item.id for item in (*halves.tuning, *halves.held)]
    for one in ids:
        if ids.count(one) > 1:
            raise ItemError(f"{name}: id {one!r} is taken; every situation needs one of its own")
    return halves


def _bytes(folder: Traversable, name: str) -> bytes:
    try:
        return folder.joinpath(name).read_bytes()
    except OSError as error:
        raise ItemError(f"{name}: cannot be read ({error.strerror}); reinstall the package") from None


def _table(raw: bytes, name: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ItemError(f"{name}: is no valid TOML: {error}") from None


def _situations(table: Mapping[str, Any], name: str) -> tuple[Situation, ...]:
    found = table.get("situation")
    if not isinstance(found, list) or not found:
        raise ItemError(f"{name}: has no [[situation]]")
    return tuple(_situation(_Fields(entry, f"{name}, situation {n}")) for n, entry in enumerate(found, 1))


def _situation(fields: _Fields) -> Situation:
    fields.only("id", "kind", "mood", "cue", "turns", "then", "good", "bad", "why")
    fields.where = f"{fields.where} ({fields.text('id')})"
    cue = fields.name("cue", CUES) if "cue" in fields.value else CUE_END_OF_TURN
    turns = tuple(_said(part) for part in fields.tables("turns"))
    if cue == CUE_END_OF_TURN and (not turns or turns[-1].who != "person"):
        raise fields.error("turns", "has to end with the person, whose turn is answered")
    if cue != CUE_END_OF_TURN and turns and turns[-1].who == "person":
        raise fields.error("turns", f"has to end with the agent, for the cue is {cue}")
    if any(a.who == b.who for a, b in pairwise(turns)):
        raise fields.error("turns", "has two turns of the same side in a row; write them as one")
    after = _after(fields.inner("then")) if "then" in fields.value else None
    if cue != CUE_END_OF_TURN and after is None:
        raise fields.error("then", f"is missing; the cue {cue} comes in a silence")
    mood = fields.name("mood", MOODS)
    good, bad = _options(fields.inner("good")), _options(fields.inner("bad"))
    # Tender is younger than these judgements.
    looks = acceptable(good.emotions, heavy=mood == "heavy") - bad.emotions
    item = Situation(
        id=fields.text("id"),
        kind=fields.name("kind", KINDS),
        mood=mood,
        cue=cue,
        turns=turns,
        after=after,
        good=replace(good, emotions=looks),
        bad=bad,
        why=fields.text("why"),
    )
    if not item.good.actions or not item.good.emotions or ("speak" in item.good.actions and not item.good.strategies):
        raise fields.error("good", "needs an action, an emotion, and a strategy where speaking is acceptable")
    for what in ("actions", "strategies", "emotions"):
        if both := getattr(item.good, what) & getattr(item.bad, what):
            raise fields.error("bad", f"has {', '.join(sorted(both))} among its {what}, which good has as well")
    if item.mood == "heavy" and "happy" not in item.bad.emotions:
        raise fields.error("bad", "needs happy among its emotions, for the mood is heavy")
    return item


def _said(fields: _Fields) -> Said:
    fields.only("who", "text", "face", "voice", "gaze")
    return Said(
        who=fields.name("who", ("person", "agent")),
        text=fields.text("text"),
        face=fields.names("face", (*LOOKS, UNCERTAIN)),
        voice=fields.name("voice", MANNERS) if "voice" in fields.value else "",
        gaze=fields.name("gaze", ("towards", "away")) if "gaze" in fields.value else "",
    )


def _after(fields: _Fields) -> After:
    fields.only("seconds", "face", "presence")
    presence = tuple((p.name("label", ("arrived", "left")), p.number("at")) for p in fields.tables("presence"))
    return After(
        seconds=fields.number("seconds"),
        face=fields.name("face", LOOKS) if "face" in fields.value else "",
        presence=presence,
    )


def _options(fields: _Fields) -> Options:
    fields.only("actions", "strategies", "emotions")
    return Options(
        actions=frozenset(fields.names("actions", ACTIONS)),
        strategies=frozenset(fields.names("strategies", STRATEGIES)),
        emotions=frozenset(fields.names("emotions", EMOTIONS)),
    )


class _Fields(Fields):
    """One table of situations, and where it stands."""

    fault = ItemError

    def names(self, field: str, known: Sequence[str]) -> tuple[str, ...]:
        found = self.value.get(field, [])
        if not isinstance(found, list) or any(one not in known for one in found):
            raise self.error(field, f"is {found!r}, expected a list of {', '.join(known)}")
        return tuple(found)

    def number(self, field: str) -> float:
        found = self.value.get(field)
        if not isinstance(found, (int, float)) or isinstance(found, bool) or found < 0:
            raise self.error(field, f"is {found!r}, expected seconds, 0 or more")
        return float(found)

    def inner(self, field: str) -> _Fields:
        return _Fields(self.value.get(field), f"{self.where}: {field}")

    def tables(self, field: str) -> tuple[_Fields, ...]:
        found = self.value.get(field, [])
        if not isinstance(found, list):
            raise self.error(field, f"is {found!r}, expected a list of tables")
        return tuple(_Fields(one, f"{self.where}: {field}[{n}]") for n, one in enumerate(found, 1))
