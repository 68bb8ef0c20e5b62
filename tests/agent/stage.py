"""A stage for one call: scripted senses, a scripted mind, the plain voice, and the virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agent.clock import VirtualClock
from agent.initiative import InitiativeOptions
from agent.journal import Body, Decided, Event
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.staged import Script
from agent.transports import Signal
from agent.turns import TurnOptions
from agent.voices.plain import PlainVoice
from perception.context import ContextWindow
from perception.media import AudioChunk, Media, VideoFrame
from perception.percept import (
    END_OF_TURN,
    EXPRESSION,
    PARTIAL,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    Datum,
    Percept,
)
from perception.timebase import MS, SECOND, Nanos
from policy.decision import Decision, Express, Speak

COSTS = {"ear": MS, "eye": 20 * MS, "policy": 50 * MS, "prepare": 30 * MS, "voice": 10 * MS}


def quiet(seconds: float) -> list[AudioChunk]:
    """Twenty-millisecond chunks of silence."""
    return [AudioChunk(np.zeros(320, np.float32), start=i * 20 * MS) for i in range(round(seconds * 50))]


def frames(seconds: float, hz: int = 10) -> list[VideoFrame]:
    """Small grey pictures."""
    step = SECOND // hz
    return [VideoFrame(np.zeros((4, 4, 3), np.uint8), at=i * step) for i in range(round(seconds * hz))]


def merged(*streams: Iterable[Media | tuple[Nanos, Signal]]) -> list[Media | tuple[Nanos, Signal]]:
    """Streams in one order of time."""

    def when(item: Media | tuple[Nanos, Signal]) -> Nanos:
        if isinstance(item, tuple):
            return item[0]
        return item.end if isinstance(item, AudioChunk) else item.at

    return sorted((item for stream in streams for item in stream), key=when)


def percept(kind: str, start: float, end: float, label: str = "", **data: Datum) -> Percept:
    """A percept with its span in seconds."""
    return Percept(kind, label, round(start * SECOND), round(end * SECOND), 0.9, "ear", data)


def said(text: str, start: float, end: float, utterance: int = 1) -> list[tuple[Nanos, Percept]]:
    """What the ear reports of one utterance, with the delays of the real workers."""

    def at(seconds: float) -> Nanos:
        return round(seconds * SECOND)

    n = max(1, len(text.split()))
    starts = tuple(start + i * (end - start) / n for i in range(n))
    found = [
        (at(start + 0.1), percept(SPEECH_STARTED, start, start + 0.1)),
        (at(end + 0.2), percept(SPEECH_ENDED, start, end)),
        (at(end + 0.26), percept(END_OF_TURN, start, end + 0.2, "complete", probability=0.9)),
    ]
    if text:
        half = (start + end) / 2
        part = " ".join(text.split()[: n // 2 or 1])
        found += [
            (at(half), percept(PARTIAL, start, half, part, utterance=float(utterance))),
            (at(end + 0.3), percept(TRANSCRIPT, start, end, text, utterance=float(utterance), word_starts=starts)),
        ]
    return found


def look(at: float, label: str) -> tuple[Nanos, Percept]:
    """An expression that the eye reports."""
    when = round(at * SECOND)
    return when, Percept(EXPRESSION, label, when - 400 * MS, when, 0.8, "eye", {"valence": -0.5})


@dataclass
class Mind:
    """A policy whose answers are a function of the window; counts how it is used."""

    answer: Callable[[ContextWindow], Iterable[Decision]]
    name: str = "mind"
    windows: list[ContextWindow] = field(default_factory=list)
    prepared: list[ContextWindow] = field(default_factory=list)
    closed: int = 0

    def session(self) -> Mind:
        return self

    async def prepare(self, window: ContextWindow, /) -> None:
        self.prepared.append(window)

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
        self.windows.append(window)
        for decision in self.answer(window):
            yield decision

    async def close(self) -> None:
        self.closed += 1


class Mindful:
    """The policy around a :class:`Mind` (whose own ``close`` is the session's)."""

    def __init__(self, mind: Mind) -> None:
        self.name = mind.name
        self._mind = mind

    def session(self) -> Mind:
        return self._mind

    def close(self) -> None: ...


def kind_words(window: ContextWindow) -> list[Decision]:
    """The usual answer: a look and two clauses."""
    return [
        Express(emotion="concern", reason="They look sad."),
        Speak(text="I am sorry to hear that.", tone="soft", strategy="reflection", emotion="concern", reason="Loss."),
        Speak(text="Do you want to tell me more?", tone="soft", strategy="question", emotion="concern", reason="Loss."),
    ]


@dataclass
class Played:
    """What came of a call."""

    caller: Loopback
    events: list[Event]
    mind: Mind
    end: Nanos

    def of(self, kind: type[Body]) -> list[tuple[float, Body]]:
        """Bodies of one type with the second they became known."""
        return [(round(e.at / SECOND, 3), e.body) for e in self.events if isinstance(e.body, kind)]

    @property
    def decided(self) -> list[Decision]:
        return [e.body.decision for e in self.events if isinstance(e.body, Decided)]


def play(
    script: Iterable[Media | tuple[Nanos, Signal]],
    senses: Sequence[Script],
    answer: Callable[[ContextWindow], Iterable[Decision]] = kind_words,
    *,
    options: CallOptions | None = None,
    caller: Loopback | None = None,
) -> Played:
    """Hold one call under the virtual clock."""
    mind = Mind(answer)
    caller = caller or Loopback(script)
    options = options or CallOptions(
        greeting=False, reflexes=False, turns=TurnOptions(silence=0), initiative=InitiativeOptions(enabled=False)
    )
    events: list[Event] = []
    clock = VirtualClock(COSTS)
    parts = Parts(workers=senses, policy=Mindful(mind), voice=PlainVoice(), options=options)
    clock.run(Call(caller, parts, clock, [events.append]).run())
    return Played(caller, events, mind, clock.now())


GOLDEN = Path(__file__).parent / "golden"
