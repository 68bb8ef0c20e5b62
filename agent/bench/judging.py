"""Every question of a run with its verdicts: by the strict rules, and by the published scorer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.bench.records import Answer, Record, RunError
from policy.tasks import Ask, Item, Scored, Task

KINDS: Final = {
    "malformed": "the data set's entry cannot be used",
    "missing": "there is no record of it",
    "item_failed": "the item failed as a whole",
    "answer_failed": "the question failed",
    "no_answer": "nothing was answered",
    "not_understood": "an answer that names no choice",
}
"""Why an answer earns nothing whatever is right, by kind; all but the last lower the coverage."""

_WRONG: Final = Scored(credit=0.0)
_DROPPED: Final = Scored(credit=0.0, counts=False)


@dataclass(frozen=True, slots=True)
class Try:
    """One repetition of a question.

    Attributes:
        record: of its item; ``None`` if there is none.
        answer: what came of it; ``None`` if nothing was recorded.
        kind: one of :data:`KINDS`; ``""`` if there is an answer that was understood.
        message: what is known about the error.
        strict: verdict of the strict rules.
        reference: verdict of the published scorer.
    """

    record: Record | None
    answer: Answer | None
    kind: str
    message: str
    strict: Scored
    reference: Scored

    @property
    def answered(self) -> bool:
        """Whether there are words to judge."""
        return self.kind in ("", "not_understood")


@dataclass(frozen=True, slots=True)
class Judged:
    """A question with all its repetitions. ``ask`` is ``None`` for an entry from which no question could be read."""

    item: Item
    ask: Ask | None
    code: str
    tries: tuple[Try, ...]

    @property
    def cluster(self) -> str:
        """What it shares with other questions: its medium."""
        return self.item.media or self.item.id

    @property
    def strict(self) -> float:
        """Mean credit over the repetitions; what is not answered earns nothing."""
        return math.fsum(t.strict.credit for t in self.tries) / len(self.tries)

    @property
    def exact(self) -> float:
        """Share of the repetitions that are wholly right."""
        return sum(t.strict.exact for t in self.tries) / len(self.tries)

    @property
    def reference(self) -> float | None:
        """Mean credit over the repetitions that the published scorer counts; ``None`` if it counts none.

        Where it would have crashed it counts nothing.
        """
        credits = [t.reference.credit for t in self.tries if t.reference.counts and not t.reference.crash]
        return math.fsum(credits) / len(credits) if credits else None

    @property
    def steady(self) -> bool:
        """Whether all repetitions gave the same answer."""
        said = {t.strict.parsed or (t.answer.raw or "").strip() if t.answer else "" for t in self.tries if t.answered}
        return len(said) == 1 and all(t.answered for t in self.tries)


def selected(items: Sequence[Item], run: Mapping[str, Any]) -> list[Item]:
    """Return the items that a run is about, in the order of the data set.

    Raises:
        RunError: the run names items that the data set does not hold.
    """
    if run.get("selected") is None:
        return list(items)
    wanted = set(run["selected"])
    lacking = sorted(wanted - {item.id for item in items})
    if lacking:
        raise RunError(
            f"the data set does not hold {len(lacking)} of the {len(wanted)} items of the run, such as {lacking[0]!r}; "
            "report on the data set that it was made from"
        )
    return [item for item in items if item.id in wanted]


def judge(
    task: Task, items: Iterable[Item], records: Iterable[Record], *, repeats: int = 1, mode: str = "direct"
) -> list[Judged]:
    """Judge every question of ``items`` by both rules, in their order; records of other items are left aside.

    Args:
        task: says what is right.
        items: those that were selected.
        records: what came of them, in any order; the first of an item and repetition counts.
        repeats: how often each was to be asked.
        mode: ``direct`` or ``think``, as the questions were put.
    """
    known: dict[tuple[str, int], Record] = {}
    for record in records:
        known.setdefault((record.id, record.repeat), record)
    codes = code_of(task)
    return [
        Judged(
            item,
            ask,
            codes(item.task_type),
            tuple(_try(task, item, ask, known.get((item.id, repeat)), mode) for repeat in range(repeats)),
        )
        for item in items
        for ask in (item.asks or (None,))
    ]


def code_of(task: Task) -> Callable[[str], str]:
    """Return a function from a task type to the code of its group; what the table does not know is its own group."""
    known = {kind: group.code for group in task.groups for kind in group.task_types}
    taken = {group.code for group in task.groups}
    return lambda kind: known.get(kind, f"{kind} (other)" if kind in taken else kind or "(none)")


def repeats_of(records: Iterable[Record], run: Mapping[str, Any]) -> int:
    """Return how often each item was to be played: as the run says, or else as the records show."""
    repeat = run.get("repeat")
    return max(1, repeat if isinstance(repeat, int) else 0, *(1 + record.repeat for record in records))


def _try(task: Task, item: Item, ask: Ask | None, record: Record | None, mode: str) -> Try:
    answer = None if record is None or ask is None else next((a for a in record.answers if a.ask == ask.id), None)
    if item.problem or ask is None:
        kind, message = "malformed", item.problem
    elif record is None:
        kind, message = "missing", ""
    elif record.error:
        kind, message = "item_failed", record.error
    elif answer is not None and answer.error:
        kind, message = "answer_failed", answer.error
    elif answer is None or not (answer.raw or "").strip():
        kind, message = "no_answer", ""
    else:
        assert answer.raw is not None
        strict = task.score(item, ask, answer.raw, rules="strict", mode=mode)
        reference = task.score(item, ask, answer.raw, rules="reference", mode=mode)
        return Try(record, answer, "" if strict.parsed else "not_understood", "", strict, reference)
    # The published scorer sees an answer field that was left empty; an answer that came with an error is none.
    blank = answer.raw if answer is not None and kind == "no_answer" else None
    reference = _DROPPED if ask is None else task.score(item, ask, blank, rules="reference", mode=mode)
    return Try(record, answer, kind, message, _WRONG, reference)
