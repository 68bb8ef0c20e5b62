"""Where a run is: a bar with rate and time left on stderr; where stderr is no terminal, a line now and then."""

from __future__ import annotations

import sys
from typing import Any, Self

from agent.bench.records import Record
from agent.bench.running import Counts
from agent.clock import SystemClock
from perception.timebase import SECOND, Nanos, as_seconds

_EVERY: Nanos = 10 * SECOND


class Meter:
    """A context manager. Also takes the progress of building a data set."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._clock = SystemClock()
        self._task: Any = None
        self._first = 0
        self._told: Nanos = -_EVERY
        self._step = (0, 0)
        self._label = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._bar.stop()

    def told(self, counts: Counts, record: Record | None) -> None:
        """Show where a run is."""
        if record is None:
            self._first = counts.done
            begun = f", {counts.done} of them done before" if counts.done else ""
            self._console.print(f"{counts.total} replays{begun}", highlight=False)
            self._task = self._bar.add_task("replaying", total=counts.total, completed=counts.done, rate="")
            return
        if record.error:
            self.say(f"{record.id} {record.task_type}: {record.error}")
        passed = as_seconds(self._clock.now())
        per_minute = 60 * (counts.done - self._first) / max(passed, 0.001)
        rate = f"{per_minute:.1f} per minute" + (f", {counts.failed} failed" if counts.failed else "")
        self._bar.update(self._task, completed=counts.done, rate=rate)
        if not self._console.is_terminal and (counts.done == counts.total or self._due()):
            left = (counts.total - counts.done) / max(per_minute, 0.001)
            self._console.print(f"{counts.done} of {counts.total}, {rate}, {left:.1f} minutes left", highlight=False)

    def step(self, label: str, total: int, done: int = 0) -> None:
        """Begin to build something of ``total`` parts."""
        self._label = label
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(label, total=total, completed=done, rate="")
        if not self._console.is_terminal:
            self._console.print(f"{label} ({total})", highlight=False)

    def advance(self, count: int) -> None:
        """Count parts that are built."""
        if self._task is not None:
            self._bar.advance(self._task, count)

    def say(self, text: str) -> None:
        """Tell something."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _due(self) -> bool:
        now = self._clock.now()
        if now - self._told < _EVERY:
            return False
        self._told = now
        return True
