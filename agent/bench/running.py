"""A whole run, from the plan to the last record; stopped at any moment, it goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.bench import pool
from agent.bench.child import Job
from agent.bench.plan import Selection, wanted
from agent.bench.records import Ledger, Record, read_records
from perception.timebase import Nanos
from policy.tasks import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Where a run is.

    Attributes:
        total: replays in all.
        done: of them finished, with those of earlier tries.
        failed: items that could not be replayed, of this try.
    """

    total: int
    done: int
    failed: int


def run(
    out: Path,
    chosen: Sequence[Item],
    identity: Mapping[str, Any],
    job: Job,
    selection: Selection,
    *,
    jobs: int,
    patience: Nanos,
    told: Callable[[Counts, Record | None], None],
) -> list[Record]:
    """Do what is left of a run and return all its records, in the order of the items.

    Args:
        out: folder of the run.
        chosen: the items, in the order in which they begin.
        identity: of the run.
        job: for the children.
        selection: tells how often.
        jobs: items at once.
        patience: longest real time for one item.
        told: is told where the run is, at the beginning and after every record.

    Raises:
        RunError: the folder holds another run or is in use, or a child cannot start.
    """
    everything = wanted(chosen, selection.repeat)
    with Ledger(out, identity) as ledger:
        left = [w for w in everything if (w.item.id, w.repeat) not in ledger.done]
        failed = 0

        def took(record: Record) -> None:
            nonlocal failed
            ledger.append(record)
            failed += bool(record.error)
            told(Counts(total=len(everything), done=len(ledger.done), failed=failed), record)

        told(Counts(total=len(everything), done=len(ledger.done), failed=0), None)
        # What needs no replay is written at once, and needs no child.
        for w in [w for w in left if w.item.problem]:
            took(pool.failed(w, f"malformed: {w.item.problem}"))
        left = [w for w in left if not w.item.problem]
        if left:
            try:
                asyncio.run(pool.run(left, job, jobs=jobs, patience=patience, took=took))
            except BaseExceptionGroup as group:
                raise _first(group) from None
    place = {(w.item.id, w.repeat): index for index, w in enumerate(everything)}
    found = [record for record in read_records(out) if (record.id, record.repeat) in place]
    return sorted(found, key=lambda record: place[record.id, record.repeat])


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def broken(records: Sequence[Record]) -> list[Record]:
    """Return the records whose item failed because of the machine, not because of the item."""
    return [record for record in records if record.error.startswith("the process that replayed it")]
