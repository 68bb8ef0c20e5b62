"""Typed conversations with the safety lane, through the live loop on the virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.action import Resource
from agent.clock import VirtualClock
from agent.initiative import InitiativeOptions
from agent.journal import Decided, Event, Note
from agent.lane import SafetyLane
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.staged import Mute
from agent.thinking import Thinker
from perception.media import AudioChunk, Media, Text
from perception.timebase import MS, SECOND, Nanos
from policy.decision import Decision, Express, Speak
from policy.safety.detector import CLASSIFIER, HINT, NONE, PLAIN, Finding, Look, Lookout, check_patterns
from tests.agent.stage import COSTS, quiet

STEP: Nanos = 12 * SECOND


@dataclass
class Met:
    """What came of one line."""

    said: str
    answered: str = ""
    strategies: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def by_lane(self) -> bool:
        """Whether any of it came from the lane."""
        return "safety" in self.strategies

    @property
    def only_lane(self) -> bool:
        """Whether all of it came from the lane."""
        return self.strategies != [] and set(self.strategies) == {"safety"}


class Told(Lookout):
    """A look-out whose classifier is told what to find in a line; patterns are the real ones."""

    def __init__(
        self, hints: Mapping[str, tuple[str, float]] | None = None, plain: Mapping[str, tuple[str, float]] | None = None
    ) -> None:
        super().__init__()
        self.hints = dict(hints or {})
        self.plain = dict(plain or {})

    def look(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Look:
        found = check_patterns(words)
        if found is not None:
            return Look(PLAIN, found.kind, found.confidence, found.by, found)
        for table, level in ((self.plain, PLAIN), (self.hints, HINT)):
            if words in table:
                kind, sure = table[words]
                finding = Finding(kind, sure, "It is in the words.", plain=level == PLAIN, by=CLASSIFIER)
                return Look(level, kind, sure, CLASSIFIER, finding)
        return Look(NONE, "", 0.0, "")

    def weigh(self, words: str, before: Sequence[str] = (), distress: float = 0.0) -> Finding | None:
        return self.look(words, before, distress).finding


def hold(
    lines: Sequence[str],
    mind: Thinker,
    lane: SafetyLane,
    options: CallOptions | None = None,
    *,
    quiet_for: Nanos = 0,
    on: Callable[[Event], None] | None = None,
) -> list[Met]:
    """Type ``lines`` one after the other, and return what came of each; silences last ``quiet_for`` at the end."""
    options = options or CallOptions(greeting=False)
    options = replace(
        options,
        greeting=False,
        reflexes=False,
        turns=replace(options.turns, silence=options.turns.silence if quiet_for else 0),
        initiative=options.initiative if quiet_for else InitiativeOptions(enabled=False),
    )
    caller = Loopback(_script(lines, quiet_for))
    events: list[Event] = []
    sinks = [events.append, *([on] if on is not None else [])]
    clock = VirtualClock(COSTS)
    clock.run(Call(caller, Parts([], mind, Mute(), options, lane), clock, sinks).run())
    return [_met(text, n, len(lines), caller, events) for n, text in enumerate(lines)]


def _script(lines: Sequence[str], quiet_for: Nanos) -> Iterator[Media]:
    end = STEP * (len(lines) + 1) + quiet_for
    items: list[Text | AudioChunk] = [Text(text, at=STEP * (n + 1)) for n, text in enumerate(lines)]
    items += quiet(end / SECOND)
    yield from sorted(items, key=lambda item: item.end if isinstance(item, AudioChunk) else item.at)


def _met(text: str, n: int, count: int, caller: Loopback, events: Sequence[Event]) -> Met:
    begin = STEP * (n + 1) - MS
    end = STEP * (n + 2) - MS if n + 1 < count else 1 << 62
    met = Met(text)
    for event in events:
        if begin <= event.at < end:
            if isinstance(event.body, Decided):
                met.decisions.append(event.body.decision)
            elif isinstance(event.body, Note) and event.body.event.startswith("safety"):
                met.notes.append(f"{event.body.event}:{event.body.data['kind']}:{event.body.data['danger']}")
    met.answered = " ".join(d.text for d in met.decisions if isinstance(d, Speak))
    met.strategies = [d.strategy for d in met.decisions if isinstance(d, Speak)]
    met.looks = [d.emotion for d in met.decisions if isinstance(d, (Speak, Express))]
    met.cards = [a.kind for at, a in caller.actions if begin <= at < end and isinstance(a, Resource)]
    return met
