"""The corpus: situations that a listener meets, what fits them, and what does not; and multiple-choice items.

Both are JSON lines in ``policy/training/corpus/``, written for this project one by one; its README is the
datasheet. This module is the schema: whatever breaks it is told with file, line and field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from perception.percept import MANNERS
from policy.decision import LEARNED_EMOTIONS, STRATEGIES
from policy.fields import Fields
from policy.reading import MOODS
from policy.words import tokens

FOLDER: Final = Path(__file__).parent / "corpus"
SITUATIONS: Final = "situations-*.jsonl"
CHOICES: Final = "choices-*.jsonl"

FACES: Final = ("happy", "sad", "angry", "fear", "disgust", "surprise", "neutral", "uncertain")
VOICES: Final = MANNERS
GAZES: Final = ("towards", "away", "uncertain")
GESTURES: Final = (
    "nod",
    "shake",
    "wave",
    "thumb_up",
    "thumb_down",
    "open_palm",
    "closed_fist",
    "pointing_up",
    "victory",
)
AGES: Final = ("child", "teen", "young", "adult", "elder")
KINDS: Final = ("Emo_Strategy", "Psychological_Chat", "Rapport_Recognition", "Relation_Recognition",
                "Familiarity_Recognition", "Fraud_Recognition")  # fmt: skip
MOST_WORDS: Final = 30
"""Most words of a reply: what one can listen to in one go."""

T = TypeVar("T")


class CorpusError(ValueError):
    """A line breaks the schema; the message names file, line and field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One turn.

    Attributes:
        who: ``person`` or ``agent``.
        text: the words.
        face: expressions that the face showed while it was said, in order.
        voice: how it sounded, one of :data:`VOICES`; ``""`` if nothing is known.
        gaze: one of :data:`GAZES`; ``""`` if nothing is known.
        gestures: what head and hands did, in order.
    """

    who: str
    text: str
    face: tuple[str, ...] = ()
    voice: str = ""
    gaze: str = ""
    gestures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One situation, its last turn the person's.

    Attributes:
        id: unique in the corpus.
        mood: of the person at the end, one of :data:`policy.reading.MOODS`.
        topic: what it is about, in a few words.
        age: one of :data:`AGES`.
        turns: one to six of them.
        strategies: those that fit, best first; ``wait`` where saying nothing does.
        emotions: display emotions that fit, best first.
        replies: one to three that fit, at most :data:`MOST_WORDS` words each; may be empty where ``wait`` is best.
        bad: a reply that does harm or misses.
        why: what is wrong with it.
    """

    id: str
    mood: str
    topic: str
    age: str
    turns: tuple[Said, ...]
    strategies: tuple[str, ...]
    emotions: tuple[str, ...]
    replies: tuple[str, ...]
    bad: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One multiple-choice item in HumanSense's sense.

    Attributes:
        id: unique in the corpus.
        task_type: one of :data:`KINDS`.
        turns: what is heard and seen; speakers of a dialogue are ``a`` and ``b``, a lone one ``person``.
        question: the words.
        options: two to five, without letters.
        answer: index of the right one.
    """

    id: str
    task_type: str
    turns: tuple[Said, ...]
    question: str
    options: tuple[str, ...]
    answer: int


def situations(folder: Path = FOLDER) -> list[Situation]:
    """Read all situations, in the order of files and lines.

    Raises:
        CorpusError: a line breaks the schema.
    """
    return _read(folder, SITUATIONS, _situation)


def choices(folder: Path = FOLDER) -> list[Choice]:
    """Read all multiple-choice items, in the order of files and lines.

    Raises:
        CorpusError: a line breaks the schema.
    """
    return _read(folder, CHOICES, _choice)


def _read(folder: Path, pattern: str, make: Callable[[_Fields], T]) -> list[T]:
    found: list[T] = []
    seen: dict[str, str] = {}
    for path in sorted(folder.glob(pattern)):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path.name}, line {number}"
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise CorpusError(f"{where}: is no JSON ({error})") from None
            fields = _Fields(value, where)
            name = fields.text("id")
            if name in seen:
                raise CorpusError(f"{where}: id {name!r} is taken by {seen[name]}")
            seen[name] = where
            found.append(make(fields))
    return found


def _situation(fields: _Fields) -> Situation:
    fields.only("id", "mood", "topic", "age", "turns", "strategies", "emotions", "replies", "bad", "why")
    turns = fields.turns(("person", "agent"))
    if len(turns) > 6:
        raise fields.error("turns", f"has {len(turns)} turns, at most 6")
    if turns[-1].who != "person":
        raise fields.error("turns", "has to end with the person")
    strategies = fields.names("strategies", (*STRATEGIES, "wait"), least=1)
    replies = fields.texts("replies", least=0 if strategies[0] == "wait" else 1, most=3)
    for text in (*replies, *[t.text for t in turns if t.who == "agent"]):
        if len(tokens(text)) > MOST_WORDS:
            raise fields.error("replies", f"has {len(tokens(text))} words, at most {MOST_WORDS}: {text!r}")
    return Situation(
        id=fields.text("id"),
        mood=fields.name("mood", MOODS),
        topic=fields.text("topic"),
        age=fields.name("age", AGES),
        turns=turns,
        strategies=strategies,
        emotions=fields.names("emotions", LEARNED_EMOTIONS, least=1),
        replies=replies,
        bad=fields.text("bad"),
        why=fields.text("why"),
    )


def _choice(fields: _Fields) -> Choice:
    fields.only("id", "task_type", "turns", "question", "options", "answer")
    options = fields.texts("options", least=2, most=5)
    if len(set(options)) < len(options):
        raise fields.error("options", "has the same option twice")
    answer = fields.value.get("answer")
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(options):
        raise fields.error("answer", f"is {answer!r}, expected the index of an option")
    return Choice(
        id=fields.text("id"),
        task_type=fields.name("task_type", KINDS),
        turns=fields.turns(("person", "a", "b")),
        question=fields.text("question"),
        options=options,
        answer=answer,
    )


class _Fields(Fields):
    """One line, and where it stands."""

    fault, shape = CorpusError, "object"

    def text(self, field: str) -> str:
        found = self.value.get(field)
        if not isinstance(found, str) or not found.strip() or found != " ".join(found.split()):
            raise self.error(field, f"is {found!r}, expected words on one line without spaces around them")
        return found

    def texts(self, field: str, *, least: int, most: int) -> tuple[str, ...]:
        found = self.value.get(field)
        if not isinstance(found, list) or not least <= len(found) <= most:
            raise self.error(field, f"is {found!r}, expected a list of {least} to {most} texts")
        return tuple(_Fields({field: text}, self.where).text(field) for text in found)

    def names(self, field: str, known: Sequence[str], *, least: int = 0) -> tuple[str, ...]:
        found = self.value.get(field, [])
        if not isinstance(found, list) or len(found) < least or len(set(found)) < len(found):
            raise self.error(field, f"is {found!r}, expected a list of different names")
        return tuple(_Fields({field: name}, self.where).name(field, known) for name in found)

    def turns(self, speakers: Sequence[str]) -> tuple[Said, ...]:
        found = self.value.get("turns")
        if not isinstance(found, list) or not found:
            raise self.error("turns", "is to be a list of turns")
        return tuple(self._turn(turn, speakers, index) for index, turn in enumerate(found))

    def _turn(self, value: Any, speakers: Sequence[str], index: int) -> Said:
        fields = _Fields(value, f"{self.where}, turn {index + 1}")
        fields.only("who", "text", "face", "voice", "gaze", "gestures")
        return Said(
            who=fields.name("who", speakers),
            text=fields.text("text"),
            face=tuple(fields.names("face", FACES)),
            voice=fields.name("voice", VOICES) if "voice" in fields.value else "",
            gaze=fields.name("gaze", GAZES) if "gaze" in fields.value else "",
            gestures=fields.names("gestures", GESTURES),
        )


def lines(folder: Path = FOLDER) -> Iterator[str]:
    """Yield one line per file with what is in it, for a person."""
    for pattern, read in ((SITUATIONS, situations), (CHOICES, choices)):
        yield f"{pattern}: {len(read(folder))}"
