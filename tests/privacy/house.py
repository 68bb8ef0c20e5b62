"""A whole call behind the gate: scripted senses that note what they are fed, on the virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.action import Action
from agent.clock import VirtualClock
from agent.initiative import InitiativeOptions
from agent.journal import Event
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.privacy.agreement import Agreement
from agent.privacy.gate import Gate
from agent.privacy.journal_file import JournalFile, lines_of
from agent.privacy.ledger import Ledger
from agent.privacy.owed import Debt
from agent.staged import Line, Reporting
from agent.transports import Signal
from agent.turns import TurnOptions
from agent.voices.plain import PlainVoice
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import Percept
from perception.timebase import MS, SECOND, Nanos
from tests.agent.stage import COSTS, Mind, Mindful, kind_words

Change = tuple[Nanos, frozenset[str] | None, Agreement | None]
"""When, and what the caller allows from then on."""

PERSON = Agreement("2", "en", recording=True)


class Watched:
    """A scripted sense that keeps the instants of what it is fed."""

    def __init__(self, name: str, lines: Sequence[Line] = (), *, sees: bool = False) -> None:
        self.name = name
        self.accepts: tuple[type[AudioChunk] | type[VideoFrame], ...] = (VideoFrame if sees else AudioChunk,)
        self.fed: list[Nanos] = []
        self._lines = sorted(lines, key=lambda line: line[0])

    def __call__(self) -> _Watching:
        return _Watching(Reporting(list(self._lines)), self.fed)


class _Watching:
    def __init__(self, inner: Reporting, fed: list[Nanos]) -> None:
        self._inner = inner
        self._fed = fed

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        self._fed += [m.end if isinstance(m, AudioChunk) else m.at for m in media]
        return self._inner.feed(media)


class Caller(Loopback):
    """A caller who changes their mind at given times."""

    def __init__(
        self, script: Iterable[Media | tuple[Nanos, Signal]], changes: Sequence[Change], *, hang_up: bool = False
    ) -> None:
        super().__init__(self._with(script, sorted(changes, key=lambda c: c[0])), senses=frozenset(), hang_up=hang_up)
        self.agreement: Agreement | None = None
        self._left = sorted(changes, key=lambda c: c[0])
        self._apply(0)

    def _apply(self, now: Nanos) -> None:
        while self._left and self._left[0][0] <= now:
            _, self.senses, self.agreement = self._left.pop(0)

    def _with(
        self, script: Iterable[Media | tuple[Nanos, Signal]], changes: Sequence[Change]
    ) -> Iterable[Media | tuple[Nanos, Signal]]:
        due = list(changes)
        for item in script:
            at = item[0] if isinstance(item, tuple) else item.end if isinstance(item, AudioChunk) else item.at
            while due and due[0][0] <= at:
                self._apply(due.pop(0)[0])
                yield at, Signal("senses")
            yield item


@dataclass
class Held:
    """What came of a call."""

    caller: Caller
    ledger: Ledger
    mind: Mind
    events: list[Event]
    journal: Path
    call: Call
    actions: list[tuple[Nanos, Action]] = field(default_factory=list)

    @property
    def lines(self) -> list[dict[str, object]]:
        return lines_of(self.journal)


def hold(
    folder: Path,
    script: Iterable[Media | tuple[Nanos, Signal]],
    workers: Sequence[Watched],
    changes: Sequence[Change],
    *,
    ledger: Ledger | None = None,
    mind: Mind | None = None,
    store_s: float = 0.0,
    hang_up: bool = False,
    probe: Callable[[Call], None] | None = None,
    greeting: bool = False,
    file: Callable[..., JournalFile] = JournalFile,
) -> Held:
    """Hold a call to its end; the journal keeps words where the caller allows that."""
    caller = Caller(script, changes, hang_up=hang_up)
    ledger = ledger or Ledger(folder / "state")
    mind = mind or Mind(kind_words)
    events: list[Event] = []
    options = CallOptions(
        greeting=greeting,
        reflexes=False,
        turns=TurnOptions(silence=0),
        lost_after=3600 * SECOND,
        initiative=InitiativeOptions(enabled=False),
    )
    clock = VirtualClock(COSTS | {w.name: 5 * MS for w in workers} | {"consent": round(store_s * SECOND)})
    gate = Gate(caller, ledger, workers)
    path = folder / "journals" / "2026-11-25T120000000+0000-loopback.jsonl"
    journal = file(path, personal=lambda: gate.recording)
    gate.journal = journal
    gate.debt = debt = Debt(ledger.folder, caller.call_id)
    made: list[Call] = []

    def look(event: Event) -> None:
        events.append(event)
        if probe is not None and made:
            probe(made[0])

    async def main() -> None:
        await gate.begin(clock)
        made.append(Call(gate, Parts(workers, Mindful(mind), PlainVoice(), options), clock, [look, journal]))
        await made[0].run()

    try:
        clock.run(main())
    finally:
        debt.close()
        journal.close()
    return Held(caller, ledger, mind, events, path, made[0], caller.actions)
