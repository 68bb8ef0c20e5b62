"""The contract of a benchmark, and how to add one.

One module here (or any importable module, named with its dots) is one benchmark. It needs a single function::

    def load(**options: Any) -> Task

A task knows its items, how a question is put, and how an answer is scored. It replays nothing and reads no
media: :mod:`agent.bench` does that, through the loop of a live call. The same object scores a benchmark run and
rewards a training run. The laws, held by ``tests/test_task_contract.py``:

* the same folder gives the same items with the same ids, in the same order;
* an entry that cannot be used is an :class:`Item` with its ``problem``, never left out;
* ``score`` never raises, whatever the answer says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from perception.timebase import Nanos

SINGLE: Final = "single"
MULTI: Final = "multi"
NUMBER: Final = "number"
YES_NO: Final = "yes_no"
PATTERNS: Final = (SINGLE, MULTI, NUMBER, YES_NO)
"""How a question wants to be answered: one letter, a set of letters, a whole number, or yes or no."""

VARIANTS: Final = ("direct", "think", "enhanced", "enhanced-think")
"""How a question is put: answer at once; think, then answer; with the training-free enhancement of the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question about a medium.

    Attributes:
        id: stable, made from content; unique in the set.
        question: the words of the data set.
        pattern: one of :data:`PATTERNS`; anything else is kept and cannot be scored.
        answer: the right one, verbatim.
        options: the choices, verbatim, each with its letter (``A. happy``).
        at: instant of the medium at which it is asked; ``None`` for the end.
        asr: transcript that the data set gives, for the condition that shows it.
    """

    id: str
    question: str
    pattern: str
    answer: str
    options: tuple[str, ...] = ()
    at: Nanos | None = None
    asr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One medium and what is asked about it, in order of time.

    Attributes:
        id: stable, made from content; unique in the set.
        task_type: kind of the item, as the data set spells it.
        media: path of the file as the data set spells it, relative to its folder.
        asks: the questions; empty only if there is a ``problem``.
        sees: whether the pictures of the file count.
        hears: whether its sound counts.
        problem: why it cannot be used; ``""`` if it can.
        faces: whether a face is to be seen, where the data set tells; else ``None``.
    """

    id: str
    task_type: str
    media: str
    asks: tuple[Ask, ...]
    sees: bool = True
    hears: bool = True
    problem: str = ""
    faces: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A task of the benchmark, as its table names it.

    Attributes:
        code: short name, such as ``ES``.
        name: for people.
        level: 1 is perceiving, the highest is responding; 0 where a benchmark has none.
        task_types: spellings of ``Item.task_type`` that belong to it.
        n: published number of items; 0 where unknown.
        in_average: whether it counts in the published average.
    """

    code: str
    name: str
    level: int = 0
    task_types: tuple[str, ...] = ()
    n: int = 0
    in_average: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The verdict on one answer.

    Attributes:
        credit: 0, 0.5 or 1.
        counts: whether it is in the denominator.
        parsed: what the answer was understood to be; ``""`` if nothing.
        crash: why the published scorer would have crashed here; ``""`` if it would not.
    """

    credit: float
    counts: bool = True
    parsed: str = ""
    crash: str = ""

    @property
    def exact(self) -> bool:
        """Whether it is wholly right."""
        return self.credit == 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One row of a published table.

    Attributes:
        model: its name.
        subset: which part of the data set, such as ``full``.
        average: the printed average.
        cells: accuracy 0..1 by group code; unknown ones are not in it.
    """

    model: str
    subset: str
    average: float | None
    cells: Mapping[str, float] = field(default_factory=dict)


class Task(Protocol):
    """One benchmark."""

    @property
    def name(self) -> str:
        """As it is named in results."""
        ...

    @property
    def groups(self) -> Sequence[Group]:
        """Its tasks, in the order of the report. Items of other task types form groups of their own."""
        ...

    @property
    def published(self) -> Sequence[Published]:
        """What others have reached."""
        ...

    def items(self, folder: Path) -> Sequence[Item]:
        """Read the data set.

        Raises:
            TaskError: the folder does not hold it; the message names the file and the fix.
        """
        ...

    def media_path(self, folder: Path, item: Item) -> Path:
        """Return the file of an item inside ``folder``.

        Raises:
            TaskError: it is not there, or lies outside.
        """
        ...

    def ask(self, item: Item, ask: Ask, *, variant: str = "direct", asr: bool = False) -> str:
        """Return the words in which the question is put, with its options and how to answer.

        Args:
            item: of the data set.
            ask: the question.
            variant: one of :data:`VARIANTS`.
            asr: whether the data set's transcript is shown.
        """
        ...

    def score(self, item: Item, ask: Ask, raw: str | None, *, rules: str = "strict", mode: str = "direct") -> Scored:
        """Judge an answer.

        Args:
            item: of the data set.
            ask: the question.
            raw: what was answered, verbatim; ``None`` if nothing was.
            rules: ``strict`` or ``reference`` (the published scorer, bit for bit).
            mode: ``direct`` or ``think``: which form of answer was asked for.
        """
        ...

    def reward(self, item: Item, ask: Ask, raw: str) -> float:
        """Return the reward of an answer for reinforcement learning."""
        ...


class TaskError(Exception):
    """A data set cannot be read; the message names the file and the fix."""
