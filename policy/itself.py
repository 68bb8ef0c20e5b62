"""Questions about the agent itself: which one somebody asks, and the lines that answer it. Pure; no model needed.

``policy/data/itself.toml`` has the questions by topic, with patterns and examples, and the lines by fact. A clause is
matched by patterns first; what they do not know is compared with the examples by the sentence encoder, where there is
one, and taken for the nearest question only if it is near enough, and nearer by a margin than any ordinary sentence.
Which facts hold is not known here: :mod:`agent.itself` knows the running configuration and the call.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np

from policy.embedding import Embed
from policy.honesty import asks_ai
from policy.kept import Vectors
from policy.words import load_table, plain

TOPICS: Final = (
    "recording",
    "listeners",
    "data",
    "senses",
    "maker",
    "abilities",
    "time",
    "timer",
    "language",
    "nature",
    "name",
)

HUMAN: Final = "nature.human"

MOST: Final = 2
"""Questions that are answered in one reply."""

NEAR: Final = (0.55, 0.7)
"""Cosine of a clause with the nearest example from which it may be that question; of one that names nothing of it."""

MARGIN: Final = (0.03, 0.1)
"""By how much that must exceed the cosine with the nearest ordinary sentence, likewise."""

SHARE: Final = 0.9
"""Score of a linear classifier, 1 for a question about the agent and 0 for the rest, that makes up for distance."""

NEAR_OF_SHARE: Final = 0.48
"""Cosine that is near enough then."""

LEAST_SHARE: Final = 0.45
"""Score of that classifier without which no distance is near enough."""

_RIDGE: Final = 1.0
_LONGEST: Final = 18
"""Words of a clause that is compared with examples."""

_MARKS: Final = re.compile(r"(?<=[.?!;:])\s+|\s+(?:--?|—|–)\s+|\n+|…")
_PARTS: Final = re.compile(
    r"(?:,\s*(?:and|but|or|so|like)?|\s(?:and|but))\s+(?=(?:then |if so,? |if not,? )?"
    r"(?:for how|how|when|where|who|whose|what|which|why|"
    r"can|could|do|does|did|are|is|will|would|am|has|have)(?:'s|n't)?\b)",
    re.IGNORECASE,
)
"""Between two questions in one sentence."""

_SUPPOSED: Final = re.compile(r"\b(?:if|in case|unless|suppose|supposing) (?:\w+ ){0,2}$")
_YOU: Final = re.compile(r"\b(?:you|your|yours|yourself)\b")
_CLASS: Final = re.compile(r"(?<!\?)<(\w+)>")
_QUOTE: Final = re.compile(r'["“”«»][^"“”«»]{0,400}["“”«»]?')


@dataclass(frozen=True, slots=True)
class Asked:
    """One question about the agent.

    Attributes:
        ask: ``topic.name`` of the question, as in ``itself.toml``.
        clause: the clause in which it was found, in plain form.
        by: ``pattern`` or ``example``.
        sure: 0..1; the cosine where an example found it.
    """

    ask: str
    clause: str
    by: str = "pattern"
    sure: float = 1.0

    @property
    def topic(self) -> str:
        """One of :data:`TOPICS`."""
        return self.ask.partition(".")[0]


@dataclass(frozen=True, slots=True)
class _Clause:
    text: str
    raw: str
    question: bool

    @property
    def parts(self) -> tuple[_Clause, ...]:
        """Return the questions that are put in one sentence, two or more; nothing where others are quoted."""
        found = _PARTS.split(self.raw)
        if len(found) < 2 or _reported(self.text) is not None:
            return ()
        return tuple(_Clause(text, raw.strip(), self.question) for raw in found if (text := _typed(raw)))

    @property
    def asks(self) -> bool:
        """Tell whether it asks or orders something."""
        bare = _bare(self.text)
        told = self.question or any(_shape(name).search(bare) is not None for name in ("question", "order", "tag"))
        return told and _shape("idle").search(bare) is None

    @property
    def names(self) -> bool:
        """Tell whether it names the agent, or something that is asked about it."""
        return _shape("about").search(self.text) is not None


class Questions:
    """Finds questions about the agent in what somebody says.

    Args:
        embed: the sentence encoder; patterns alone without it.
    """

    def __init__(self, embed: Embed | None = None) -> None:
        self._embed = embed
        self._rows: dict[str, slice] = {}
        self._near: Vectors | None = None
        self._ordinary: Vectors | None = None
        self._weights: Vectors = np.zeros(1, np.float32)

    def read(self, words: str) -> tuple[Asked, ...]:
        """Return the questions about the agent in ``words``, in the order in which they come, at most :data:`MOST`."""
        found: dict[str, Asked] = {}
        for clause in _clauses(words):
            for asked in _match(clause) or self._likeness(clause):
                found.setdefault(asked.ask, asked)
        return tuple(found.values())[:MOST]

    def _likeness(self, clause: _Clause) -> tuple[Asked, ...]:
        asked = self._compare(clause)
        if asked is not None:
            return (asked,)
        parts = (self._compare(part) for part in clause.parts if part.names)
        return tuple(replace(part, clause=clause.text) for part in parts if part is not None)

    def _compare(self, clause: _Clause) -> Asked | None:
        count = len(clause.text.split())
        if self._embed is None or not clause.asks or not 2 <= count <= _LONGEST:
            return None
        if _reported(clause.text) is not None or any(_shape(n).search(clause.text) for n in ("theirs", "quoted")):
            return None
        if self._near is None:
            self._learn(self._embed)
        assert self._near is not None
        assert self._ordinary is not None
        vector = self._embed([_spoken(clause)])[0]
        cosines = self._near @ vector
        sure, strict = float(cosines.max()), 0 if clause.names else 1
        margin = sure - float((self._ordinary @ vector).max())
        share = float(vector @ self._weights[:-1] + self._weights[-1])
        near = sure >= NEAR[strict] and margin >= MARGIN[strict] and share >= LEAST_SHARE
        if not near and not (share >= SHARE and sure >= NEAR_OF_SHARE and margin >= MARGIN[0]):
            return None
        # Which one it is, three examples tell better than one.
        score = {name: float(np.sort(cosines[rows])[-3:].mean()) for name, rows in self._rows.items()}
        return Asked(max(score, key=lambda name: score[name]), clause.text, "example", sure)

    def _learn(self, embed: Embed) -> None:
        examples: list[str] = []
        for name, entry in _table().items():
            self._rows[name] = slice(len(examples), len(examples) + len(entry["examples"]))
            examples += entry["examples"]
        near = embed(examples)
        self._ordinary = embed(load_table("itself")["ordinary"]["examples"])
        self._weights = _separate(near, self._ordinary)
        self._near = near


def _separate(about: Vectors, ordinary: Vectors) -> Vectors:
    """Fit a ridge regression that is 1 on ``about`` and 0 on ``ordinary``; return its weights, the bias last."""
    vectors = np.vstack([about, ordinary]).astype(np.float64)
    vectors = np.hstack([vectors, np.ones((len(vectors), 1))])
    wanted = np.repeat([1.0, 0.0], [len(about), len(ordinary)])
    square = vectors.T @ vectors + _RIDGE * np.eye(vectors.shape[1])
    weights: Vectors = np.linalg.solve(square, vectors.T @ wanted).astype(np.float32)
    return weights


def texts() -> tuple[str, ...]:
    """Return every text that is embedded when the first clause is compared."""
    examples = [text for entry in _table().values() for text in entry["examples"]]
    return tuple(dict.fromkeys((*examples, *load_table("itself")["ordinary"]["examples"])))


def search(words: str) -> tuple[Asked, ...]:
    """Return the questions about the agent that patterns find in ``words``."""
    return Questions().read(words)


def rest(words: str, asked: Sequence[Asked]) -> str:
    """Return what was said beside the questions."""
    clauses = {one.clause for one in asked}
    return " ".join(clause.raw for clause in _clauses(words) if clause.text not in clauses).strip()


def told(words: str, asked: Sequence[Asked]) -> tuple[str, str]:
    """Return what was told before the first of the questions, and after it; other questions are left out."""
    clauses = {one.clause for one in asked}
    sides: tuple[list[str], list[str]] = ([], [])
    late = False
    for clause in _clauses(words):
        late = late or clause.text in clauses
        if clause.text not in clauses and not clause.asks:
            sides[late].append(clause.raw)
    return " ".join(sides[0]), " ".join(sides[1])


def speaks_to(text: str) -> bool:
    """Tell whether ``text`` speaks of whoever listens."""
    return _YOU.search(_typed(text)) is not None


def asks() -> tuple[str, ...]:
    """Return the names of all questions, ``topic.name``."""
    return tuple(_table())


def line(key: str, *, turn: int, said: Sequence[str] = (), slots: Mapping[str, str] | None = None) -> str:
    """Choose a line of ``[line]`` and fill its slots; one that was not said yet while there are such.

    Args:
        key: the fact that holds.
        turn: number of the person's turn.
        said: what the agent said so far.
        slots: values by name.

    Raises:
        KeyError: there is no such list, or a slot of the line has no value.
    """
    filled: list[str] = [text.format_map(slots or {}) for text in load_table("itself")["line"][key]]
    heard = [plain(text) for text in said]
    order = sorted(range(len(filled)), key=lambda place: zlib.crc32(f"{key}#{turn}#{place}".encode()))
    last = {place: _last(plain(filled[place]), heard) for place in order}
    return filled[min(order, key=lambda place: last[place])]


def _last(text: str, heard: Sequence[str]) -> int:
    return max((number for number, turn in enumerate(heard) if text in turn), default=-1)


def _clauses(words: str) -> Iterator[_Clause]:
    """Yield the sentences of ``words`` without what leads up to a question, and without what is quoted."""
    for raw in _MARKS.split(_QUOTE.sub(" ", words)):
        text = _typed(raw)
        if not text:
            continue
        question = raw.rstrip(" '’)").endswith("?")
        yield _Clause(text, raw.strip(), question)


def _typed(raw: str) -> str:
    """Return ``raw`` in plain form, with what people type for short written out."""
    typed: Mapping[str, str] = load_table("itself")["typed"]
    return " ".join(typed.get(word, word) for word in plain(raw).split())


def _bare(text: str) -> str:
    return _shape("aside").sub("", _shape("lead").sub("", f"{text} ").strip())


def _spoken(clause: _Clause) -> str:
    """Return the clause as the examples are written."""
    bare = _bare(clause.text) or clause.text
    return f"{bare[0].upper()}{bare[1:]}{'?' if clause.question or _shape('question').search(bare) else '.'}"


def _match(clause: _Clause) -> tuple[Asked, ...]:
    """Return what patterns find in a clause: one question, or those that its parts put beside each other."""
    parts = dict.fromkeys(ask for part in clause.parts if (ask := _first(part)) is not None)
    whole = _first(clause)
    found = tuple(parts) if len(parts) > 1 or whole is None else tuple(dict.fromkeys((*parts, whole)))
    return tuple(Asked(ask, clause.text) for ask in found)


def _first(clause: _Clause) -> str | None:
    forms = dict.fromkeys((clause.text, _shape("aside").sub("", clause.text), _bare(clause.text)))
    if _shape("quoted").search(clause.text) is not None:
        return None
    reported = _reported(clause.text)
    for ask, always, questions in _compiled():
        for form in forms:
            found = always.search(form) or (
                questions.search(form) if questions is not None and clause.question else None
            )
            if found is None:
                continue
            place = clause.text.find(found.group(0))
            if reported is not None and reported.start() < max(0, place):
                continue
            return ask
    if clause.question and asks_ai(clause.text) and not reported and _shape("anyone").search(clause.text) is None:
        return HUMAN
    return None


def _reported(text: str) -> re.Match[str] | None:
    """Return where ``text`` says what others say; "if she asked" does not."""
    for found in _shape("reported").finditer(text):
        if _SUPPOSED.search(text[: found.start()]) is None:
            return found
    return None


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    asked = load_table("itself")["ask"]
    return {f"{topic}.{name}": entry for topic, names in asked.items() for name, entry in names.items()}


@cache
def _compiled() -> tuple[tuple[str, re.Pattern[str], re.Pattern[str] | None], ...]:
    return tuple((name, _one(entry["patterns"]), _one(entry.get("questions", ()))) for name, entry in _table().items())  # type: ignore[misc]


def _one(patterns: Sequence[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(rf"(?<![\w'])(?:{_widened(pattern)})(?![\w'])" for pattern in patterns))


def _widened(pattern: str) -> str:
    """Put the classes of words into a pattern; a class may name others."""
    classes: Mapping[str, str] = load_table("itself")["words"]
    wide = _CLASS.sub(lambda found: f"(?:{classes[found[1]]})", pattern)
    return wide if wide == pattern else _widened(wide)


@cache
def _shape(name: str) -> re.Pattern[str]:
    """Return an expression of ``[clause]``: what a clause looks like."""
    return re.compile(load_table("itself")["clause"][name])
