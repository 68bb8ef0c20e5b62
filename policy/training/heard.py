"""The corpus as it was heard: reads what ``python -m agent.rendering`` wrote, and makes windows of it.

A folder holds ``heard.jsonl``, one line per item of the corpus, and ``states/ID.safetensors`` with the states of the
encoder (:mod:`policy.sound`) under ``turn-N``, float16 of shape ``(tokens, 3072)``. Row 0 begins with the sound of the
turn; up to half a second of what follows it is in the last rows. All instants are those of the item's sound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from perception.context import CUE_END_OF_TURN, ContextWindow, Entry, Turn
from perception.percept import PROSODY, SPEECH_ENDED, SPEECH_STARTED, Percept
from perception.timebase import MS, Nanos
from policy.sound import WIDTH
from policy.training import scenes
from policy.training.corpus import VOICES, Choice, Situation

INDEX: Final = "heard.jsonl"
STATES: Final = "states"
ENGINES: Final = ("hibari", "espeak-ng")
NOISES: Final = ("clean", "white", "pink", "babble")

Item = Situation | Choice
States = NDArray[np.float16]

_AFTER: Final[Nanos] = 600 * MS
_OF_THE_VOICE: Final = frozenset({PROSODY, SPEECH_STARTED, SPEECH_ENDED})


class HeardError(ValueError):
    """The store is broken; the message names file, line and field, or the file of states that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How an item was spoken and recorded.

    Attributes:
        engine: one of :data:`ENGINES`.
        speakers: name of the voice, by who speaks.
        manners: of each turn of the item, as spoken; ``""`` where nobody asked for one, and for the agent.
        noise: one of :data:`NOISES`.
        snr_db: level of a neutral line over the noise; ``None`` where it is clean.
        level_db: gain of the microphone.
        seed: everything was drawn with it.
    """

    engine: str
    speakers: Mapping[str, str]
    manners: tuple[str, ...]
    noise: str
    snr_db: float | None
    level_db: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardTurn:
    """One turn of a person.

    Attributes:
        turn: its index in the item.
        text: words that were recognised in it; empty where there were none.
        start: where its sound begins.
        end: first instant after it.
        prosody: what the worker said of the voice.
        speech: stretches of voice, as ``speech_ended`` reports them.
    """

    turn: int
    text: str
    start: Nanos
    end: Nanos
    prosody: tuple[Percept, ...]
    speech: tuple[Percept, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One item.

    Attributes:
        id: of the item.
        condition: how it was spoken.
        turns: those of persons, in order.
        agent: begin and end of the gaps that stand for turns of the agent, by index in the item.
        folder: of the store.
    """

    id: str
    condition: Condition
    turns: tuple[HeardTurn, ...]
    agent: Mapping[int, tuple[Nanos, Nanos]]
    folder: Path

    def states(self, turn: int) -> States:
        """Read the states of a turn, float16 of shape ``(tokens, 3072)``.

        Raises:
            KeyError: ``turn`` is no person's.
            HeardError: they are missing or of another shape.
        """
        from safetensors import SafetensorError, safe_open

        if turn not in {t.turn for t in self.turns}:
            raise KeyError(f"turn {turn} of {self.id!r} is no person's")
        path = states_path(self.folder, self.id)
        try:
            with safe_open(path, framework="np") as file:
                found: States = file.get_tensor(state_name(turn))
        except (OSError, SafetensorError) as error:
            fix = f"remove the line of {self.id!r} from {self.folder / INDEX} and render again"
            raise HeardError(f"{path}: no states of turn {turn} ({error}); {fix}") from error
        if found.dtype != np.float16 or found.ndim != 2 or found.shape[1] != WIDTH:
            raise HeardError(
                f"{path}: {state_name(turn)} is {found.dtype} {found.shape}, not float16 (tokens, {WIDTH})"
            )
        return found


def states_path(folder: Path, name: str) -> Path:
    """Return where the states of an item are."""
    return folder / STATES / f"{name}.safetensors"


def state_name(turn: int) -> str:
    """Return under which name the states of a turn are in the file."""
    return f"turn-{turn}"


def load(folder: Path) -> dict[str, Heard]:
    """Read ``heard.jsonl``; the states stay on disk.

    A last line without an end is of a run that is still writing, and left out.

    Raises:
        FileNotFoundError: there is none.
        HeardError: a line breaks the schema.
    """
    path = folder / INDEX
    text = path.read_text(encoding="utf-8")
    found: dict[str, Heard] = {}
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise HeardError(f"{path}, line {number}: is no JSON ({error})") from None
        heard = _heard(_Line(value, f"{path}, line {number}"), folder)
        if heard.id in found:
            raise HeardError(f"{path}, line {number}: id {heard.id!r} is there twice")
        found[heard.id] = heard
    return found


def window_of(item: Item, heard: Heard) -> ContextWindow:
    """Return what is known as the last turn of ``item`` has just ended: words and voice as heard, looks as imagined.

    Face, gaze and gestures are those of :func:`policy.training.scenes.window_of`, moved to when the turn was spoken.
    A turn in which no words were recognised is not among the turns.

    Raises:
        HeardError: ``heard`` is of another item.
    """
    spans = {t.turn: (t.start, t.end) for t in heard.turns} | dict(heard.agent)
    if heard.id != item.id or sorted(spans) != list(range(len(item.turns))):
        raise HeardError(f"what was heard of {heard.id!r} does not fit the turns of {item.id!r}; render it again")
    by_turn = {t.turn: t for t in heard.turns}
    entries: list[Entry] = []
    for index, (turn, seen) in enumerate(_scenes(item)):
        start, end = spans[index]
        if index not in by_turn:
            entries.append(replace(turn, start=start, end=end))
            continue
        known = by_turn[index]
        move = _mover((turn.start, turn.end), (start, end))
        looks = [replace(p, start=move(p.start), end=move(p.end)) for p in seen]
        began = [Percept(SPEECH_STARTED, "", p.start, p.start, p.confidence, p.worker) for p in known.speech]
        percepts = [*began, *looks, *known.prosody, *known.speech]
        percepts.sort(key=lambda percept: percept.end)
        entries += percepts
        if known.text:
            entries.append(Turn(turn.speaker, known.text, start, end))
    last = max(end for _, end in spans.values())
    return ContextWindow(start=0, end=last + _AFTER, entries=tuple(entries), cue=CUE_END_OF_TURN)


def _scenes(item: Item) -> Iterator[tuple[Turn, list[Percept]]]:
    """Yield each turn of the imagined window with what was seen during it."""
    seen: list[Percept] = []
    for entry in scenes.window_of(item).entries:
        if isinstance(entry, Turn):
            yield entry, seen
            seen = []
        elif isinstance(entry, Percept) and entry.kind not in _OF_THE_VOICE:
            seen.append(entry)


def _mover(source: tuple[Nanos, Nanos], target: tuple[Nanos, Nanos]) -> Callable[[Nanos], Nanos]:
    scale = (target[1] - target[0]) / (source[1] - source[0])
    return lambda instant: target[0] + round((instant - source[0]) * scale)


def _heard(line: _Line, folder: Path) -> Heard:
    return Heard(
        id=line.text("id"),
        condition=_condition(line.inner("condition")),
        turns=tuple(_turn(turn) for turn in line.list("turns")),
        agent={gap.whole("turn"): gap.span() for gap in line.list("agent")},
        folder=folder,
    )


def _condition(line: _Line) -> Condition:
    speakers = line.inner("speakers")
    return Condition(
        engine=line.name("engine", ENGINES),
        speakers={who: speakers.text(who) for who in speakers.value},
        manners=line.names("manners", ("", *VOICES)),
        noise=line.name("noise", NOISES),
        snr_db=None if line.value.get("snr_db") is None else line.number("snr_db"),
        level_db=line.number("level_db"),
        seed=line.whole("seed"),
    )


def _turn(line: _Line) -> HeardTurn:
    start, end = line.span()
    return HeardTurn(
        turn=line.whole("turn"),
        text=line.text("text", empty=True),
        start=start,
        end=end,
        prosody=tuple(_percept(p, PROSODY, "prosody") for p in line.list("prosody")),
        speech=tuple(_percept(p, SPEECH_ENDED, "vad") for p in line.list("speech")),
    )


def _percept(line: _Line, kind: str, worker: str) -> Percept:
    start, end = line.span()
    label = line.name("label", VOICES) if kind == PROSODY else ""
    data = line.inner("data")
    numbers = {key: data.number(key) for key in data.value}
    confidence = line.number("confidence")
    if not 0.0 <= confidence <= 1.0:
        raise line.error("confidence", f"is {confidence}, expected 0 to 1")
    return Percept(kind, label, start, end, confidence, worker, numbers)


class _Line:
    """An object of the file, and where it stands."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise HeardError(f"{where}: is no object")
        self.value: Mapping[str, Any] = value
        self.where = where

    def error(self, field: str, what: str) -> HeardError:
        return HeardError(f"{self.where}: {field} {what}")

    def inner(self, field: str) -> _Line:
        return _Line(self.value.get(field), f"{self.where}: {field}")

    def list(self, field: str) -> tuple[_Line, ...]:
        found = self.value.get(field)
        if not isinstance(found, list):
            raise self.error(field, f"is {found!r}, expected a list")
        return tuple(_Line(value, f"{self.where}: {field}[{n}]") for n, value in enumerate(found))

    def text(self, field: str, *, empty: bool = False) -> str:
        found = self.value.get(field)
        if not isinstance(found, str) or not (found or empty):
            raise self.error(field, f"is {found!r}, expected a text")
        return found

    def name(self, field: str, known: tuple[str, ...]) -> str:
        found = self.text(field, empty=True)
        if found not in known:
            raise self.error(field, f"is {found!r}, expected one of {', '.join(filter(None, known))}")
        return found

    def names(self, field: str, known: tuple[str, ...]) -> tuple[str, ...]:
        found = self.value.get(field)
        if not isinstance(found, list) or any(name not in known for name in found):
            raise self.error(field, f"is {found!r}, expected a list of {', '.join(filter(None, known))}")
        return tuple(found)

    def number(self, field: str) -> float:
        found = self.value.get(field)
        if not isinstance(found, int | float) or isinstance(found, bool):
            raise self.error(field, f"is {found!r}, expected a number")
        return float(found)

    def whole(self, field: str) -> int:
        found = self.value.get(field)
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise self.error(field, f"is {found!r}, expected a whole number from 0")
        return found

    def span(self) -> tuple[Nanos, Nanos]:
        start, end = self.whole("start_ns"), self.whole("end_ns")
        if end < start:
            raise self.error("end_ns", f"is {end}, before start_ns")
        return start, end
