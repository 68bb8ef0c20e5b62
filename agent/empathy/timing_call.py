"""One scripted conversation through the loop of a live call, under the virtual clock.

The person's channel is fed to the real workers; what they report is kept, so that another row hears the same without
the models. The agent's opening is scripted, so that there is a voice to be talked over; from the person's turn on the
row's own policy answers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.action import Action
from agent.clock import VirtualClock
from agent.empathy.timing_sound import OPENING_TONE, Channel
from agent.journal import Event
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.thinking import Thinker, Thinking, Told
from agent.tone import Tone
from agent.voices import Voice
from perception.context import CUE_GREETING, ContextWindow
from perception.media import RATE_HZ, AudioChunk, Media
from perception.percept import EXPRESSION, GAZE, Percept
from perception.timebase import MS, SECOND, Nanos, from_ticks
from perception.workers import Worker, WorkerFactory
from policy.decision import Speak, Wait

CHUNK: Final = RATE_HZ // 50
_LOOK_MS = 400


@dataclass(frozen=True, slots=True)
class Happened:
    """What came of one conversation.

    Attributes:
        channel: the person's side.
        actions: of the agent, and when.
        events: of the call.
        voices: of each reply that was heard: its number, from when, and how long it sounded.
        known: of each percept's ``id()``, the end of the sound that its worker had been given by then.
    """

    channel: Channel
    actions: tuple[tuple[Nanos, Action], ...]
    events: tuple[Event, ...]
    voices: Mapping[int, tuple[Nanos, Nanos]]
    known: Mapping[int, Nanos] = field(default_factory=dict)


def hold(
    channel: Channel,
    *,
    workers: Sequence[WorkerFactory],
    policy: Thinker,
    voice: Voice,
    options: CallOptions,
    costs: Mapping[str, Nanos] | None,
    known: Callable[[], Mapping[int, Nanos]] = dict,
) -> Happened:
    """Hold the conversation.

    Args:
        channel: the person's side.
        workers: that hear it.
        policy: answers the person's turn.
        voice: of the agent.
        options: of the call; the agent speaks first, and nobody is asked in silence.
        costs: fixed time for each label of work; ``None`` charges what it takes here.
        known: is asked in the end for :attr:`Happened.known`.
    """
    # The scripted opening stands for the greeting: what that would have said is not made up for in a pause.
    later = replace(options.disclosure, pause=3600 * SECOND)
    options = replace(options, greeting=True, disclosure=later, turns=replace(options.turns, silence=0))
    clock = VirtualClock(costs)
    caller = Loopback(_chunks(channel), until=from_ticks(len(channel.samples), RATE_HZ))
    events: list[Event] = []
    parts = Parts([*workers, Eye(channel)], Opening(policy, channel.talk.opening), voice, options)
    clock.run(Call(caller, parts, clock, [events.append]).run())
    voices: dict[int, tuple[Nanos, Nanos]] = {}
    for number in {a.reply for _, a in caller.actions if hasattr(a, "reply")}:
        first = caller.first_out(number)
        if first is not None:
            voices[number] = (first, caller.played(number))
    return Happened(channel, tuple(caller.actions), tuple(events), voices, known())


def _chunks(channel: Channel) -> Iterator[AudioChunk]:
    for begin in range(0, len(channel.samples), CHUNK):
        yield AudioChunk(channel.samples[begin : begin + CHUNK], from_ticks(begin, RATE_HZ))


class Eye:
    """The camera of a script: tells what is to be seen at its instants, and again every two seconds while it lasts."""

    name = "face"
    accepts = (AudioChunk,)

    def __init__(self, channel: Channel) -> None:
        self._sights = channel.sights

    def __call__(self) -> Worker:
        """Return an eye that has seen nothing."""
        return _Eye(self._sights)


class _Eye:
    def __init__(self, sights: Sequence[tuple[Nanos, str]]) -> None:
        self._left = list(sights)

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        until = media[-1].end if isinstance(media[-1], AudioChunk) else 0
        found: list[Percept] = []
        while self._left and self._left[0][0] <= until:
            at, name = self._left.pop(0)
            at = max(at, until - 20 * MS)
            if name in ("away", "back"):
                found.append(Percept(GAZE, "away" if name == "away" else "towards", at, at, 0.9, "face"))
            else:
                found.append(Percept(EXPRESSION, name, max(0, at - _LOOK_MS * MS), at, 0.85, "face"))
        return found


class Opening:
    """A policy that says a scripted opening, and leaves the rest to another.

    Args:
        policy: answers everything but the greeting.
        words: of the opening.
    """

    def __init__(self, policy: Thinker, words: str) -> None:
        self.name = policy.name
        self._policy = policy
        self._words = words

    def session(self) -> Thinking:
        """Begin a call."""
        return _Opening(self._policy.session(), self._words)

    def close(self) -> None:
        """The policy behind it stays open."""


class _Opening:
    def __init__(self, session: Thinking, words: str) -> None:
        self._session = session
        self._words = words

    async def prepare(self, window: ContextWindow, /) -> None:
        await self._session.prepare(window)

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Told]:
        if window.cue == CUE_GREETING:
            yield Speak(text=self._words, tone=OPENING_TONE, reason="The opening of the script.")
            return
        async for step in self._session.decide(window):
            yield step

    async def close(self) -> None:
        await self._session.close()


class Silent:
    """The mind of nobody: it always waits, so that the reflexes are alone."""

    name = "reflexes alone"

    def session(self) -> Thinking:
        """Begin a call."""
        return _Silent()

    def close(self) -> None:
        """Hold nothing."""


class _Silent:
    async def prepare(self, window: ContextWindow, /) -> None:
        pass

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Told]:
        yield Wait(reason="The reflexes are alone.")

    async def close(self) -> None:
        pass


class Echoed:
    """A voice that says every line once and remembers its sound: the same words and tone sound the same.

    Args:
        voice: the embedded one.
    """

    def __init__(self, voice: Any) -> None:
        self.name = voice.name
        self.rate_hz = voice.rate_hz
        self._voice = voice
        self._known: dict[tuple[str, str], list[AudioChunk]] = {}

    async def say(self, text: str, tone: str, /) -> AsyncGenerator[AudioChunk, None]:
        """Yield the sound of ``text``."""
        key = (text, tone)
        if key not in self._known:
            self._known[key] = [chunk async for chunk in self._voice.say(text, tone)]
        for chunk in self._known[key]:
            yield chunk

    def render(self, text: str, tone: Tone) -> NDArray[np.float32]:
        """Return all of ``text`` at once."""
        found: NDArray[np.float32] = self._voice.render(text, tone)
        return found

    def close(self) -> None:
        """Close the voice."""
        self._voice.close()
