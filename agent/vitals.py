"""How a call is doing inside: how old what it knows is, what waits, and what gave way. Numbers for the journal."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from agent.journal import Metric
from agent.pace import Pace
from agent.senses import Senses
from perception.percept import Percept
from perception.timebase import SECOND, Nanos, as_seconds

EVERY: Final[Nanos] = 5 * SECOND
PACE: Final[Nanos] = SECOND // 2
_RUNTIME: Final = "runtime"


class Vitals:
    """Watches one call.

    Args:
        senses: its workers.
        items: the queue in front of its reader.
        pace: takes how late the senses are, for all calls.
    """

    def __init__(self, senses: Senses, items: asyncio.Queue[Any], pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._paced: Nanos = 0
        self._senses = senses
        self._items = items
        self._seen: dict[str, Nanos] = {}
        self._dropped: dict[str, int] = {}
        self._due: Nanos = EVERY

    def saw(self, percept: Percept) -> None:
        """Remember how far each worker has come."""
        if percept.worker != _RUNTIME:
            self._seen[percept.worker] = max(percept.end, self._seen.get(percept.worker, 0))

    def ages(self, now: Nanos, reply: int) -> list[Metric]:
        """Return, for each worker that has ever reported, how old its last percept is when a reply begins."""
        return [Metric(f"{name}_age", as_seconds(now - end), reply) for name, end in sorted(self._seen.items())]

    def step(self, now: Nanos) -> list[Metric]:
        """Return, every five seconds, what gave way since, and how much waits where anything does."""
        if now >= self._paced:
            self._paced = now + PACE
            self._pace.saw(self, self._senses.late())
        if now < self._due:
            return []
        self._due = now + EVERY
        found: list[Metric] = []
        for report in self._senses.report():
            if report.dropped > self._dropped.get(report.name, 0):
                found.append(self._drops(report.name, report.dropped))
            if report.waiting > 1:  # one has just come in
                found.append(Metric(f"{report.name}_depth", report.waiting))
        if self._items.qsize():
            found.append(Metric("reader_depth", self._items.qsize()))
        return found

    def last(self) -> list[Metric]:
        """Return the lag of each sense over the call, and what gave way since the last step. The call is over."""
        self._pace.left(self)
        found: list[Metric] = []
        for report in self._senses.report():
            found.append(Metric(f"{report.name}_lag", report.lag_s))
            found.append(self._drops(report.name, report.dropped))
        return found

    def _drops(self, name: str, dropped: int) -> Metric:
        before, self._dropped[name] = self._dropped.get(name, 0), dropped
        return Metric(f"{name}_dropped_count", dropped - before)
