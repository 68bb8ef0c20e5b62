"""One call of ``agent chat``: who types or speaks from a script is the caller, and everything else is as live.

Typed words need no sense, so that no worker, camera or microphone is there, and the caller allows none but the ear,
which hears nothing. Where a line of a script is spoken, senses that bear the names of the real ones report it, as in
:mod:`agent.empathy.choice_stage`. The voice makes no sound: what is said stands at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from threading import Lock
from typing import Final

import numpy as np

from agent.action import Action
from agent.chat.script import Conversation, Line, Silence
from agent.chat.told import Teller, Turned
from agent.clock import Clock
from agent.empathy.choice_items import Said
from agent.empathy.choice_stage import WORDS_ONLY, spoken
from agent.journal import Event, Note
from agent.parts import CallOptions
from agent.staged import Line as Report
from agent.staged import Script
from agent.transports import Feed, Hangup
from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import FACE, PRESENCE, Percept
from perception.timebase import MS, SECOND, Nanos
from perception.workers import WorkerFactory

SENSES: Final = ("vad", "asr", "turn", "prosody", "face", "gesture")
_SEES: Final = frozenset({"face", "gesture"})
_CHUNK: Final[Nanos] = 100 * MS
_WORD: Final[Nanos] = 340 * MS
"""How long a word takes to be spoken."""

_BEGINS: Final[Nanos] = 15 * SECOND
"""Longest wait for an answer to begin; whoever has not begun by then stays silent."""

_BETWEEN: Final[Nanos] = SECOND
"""From the end of an answer to the next line."""

_NEVER: Final[Nanos] = 365 * 24 * 3600 * SECOND


def typed_only(options: CallOptions) -> CallOptions:
    """Return the options of a call in which nothing is heard: a microphone that is not there is not missed."""
    return dataclasses.replace(options, lost_after=_NEVER)


def deaf() -> list[WorkerFactory]:
    """Return senses that report nothing."""
    return [Script(name, (), sees=name in _SEES) for name in SENSES]


class Staged:
    """A sense that reports what it is told to, each percept once its time has been fed. For one call.

    Args:
        name: of the sense.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.accepts: tuple[type[AudioChunk] | type[VideoFrame], ...] = (VideoFrame if name in _SEES else AudioChunk,)
        self._lines: list[Report] = []
        self._lock = Lock()

    def __call__(self) -> Staged:
        """Begin the call."""
        return self

    def report(self, lines: Sequence[Report]) -> None:
        """Report these too."""
        with self._lock:
            self._lines = sorted([*self._lines, *lines], key=lambda line: line[0])

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Return what has become known by the end of ``media``."""
        last = media[-1]
        until = last.end if isinstance(last, AudioChunk) else last.at
        with self._lock:
            due = [percept for at, percept in self._lines if at <= until]
            self._lines = self._lines[len(due) :]
        return due


class Seat:
    """The caller.

    Args:
        talk: what the caller does; the call ends when it returns.
        teller: puts the turns together.
        staged: the senses that report what is spoken; nobody speaks without them.
        senses: what the caller allows.
        saw: takes each action, after the teller.
        heard: takes each event, likewise.
    """

    call_id = "chat"

    def __init__(
        self,
        talk: Callable[[Seat], Awaitable[None]],
        teller: Teller,
        *,
        staged: Sequence[Staged] = (),
        senses: frozenset[str] | None = WORDS_ONLY,
        saw: Callable[[Action], None] | None = None,
        heard: Callable[[Event], None] | None = None,
    ) -> None:
        self.senses = senses
        self.teller = teller
        self._talk = talk
        self._staged = {sense.name: sense for sense in staged}
        self._saw = saw
        self._heard = heard
        self._feed: Feed | None = None
        self._clock: Clock | None = None
        self._thinks = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._utterances = 0

    @property
    def clock(self) -> Clock:
        """That of the call, once it has begun."""
        assert self._clock is not None
        return self._clock

    # What the caller does.

    def type(self, words: str) -> None:
        """Type a line."""
        assert self._feed is not None
        self._thinks.clear()
        self._feed(Text(words, at=self.clock.now()))

    async def speak(self, line: Line) -> None:
        """Speak a line; returns at the end of its last word."""
        start = self.clock.now()
        end = start + max(2, len(line.say.split())) * _WORD
        self._utterances += 1
        said = Said(who="person", text=line.say, face=line.face, voice=line.voice)
        for name, reports in spoken(said, self._utterances, start, end).items():
            self._staged[name].report(reports)
        await self.clock.sleep_until(end)
        self._thinks.clear()

    async def answered(self) -> None:
        """Wait until an answer has begun, if one does in time, and is over."""
        try:
            async with asyncio.timeout(_BEGINS / SECOND):
                await self._thinks.wait()
        except TimeoutError:
            pass
        await self._idle.wait()

    async def pause(self, lasts: Nanos = _BETWEEN) -> None:
        """Say nothing for a while; returns when the agent does not speak either."""
        await self.clock.sleep_until(self.clock.now() + lasts)
        await self._idle.wait()

    # The contract of a transport.

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Let the caller talk, then hang up."""
        self._feed, self._clock = feed, clock
        async with asyncio.TaskGroup() as group:
            media = group.create_task(self._sit(), name="media") if self._staged else None
            await self._talk(self)
            if media is not None:
                media.cancel()
        raise Hangup("the caller has said everything")

    async def _sit(self) -> None:
        """Feed silence and grey pictures, and be seen to be there."""
        assert self._feed is not None
        here = Percept(FACE, "present", 0, 200 * MS, 0.95, "face")
        came = Percept(PRESENCE, "arrived", 0, 500 * MS, 0.9, "face", {"count": 1.0})
        self._staged["face"].report([(200 * MS, here), (500 * MS, came)])
        still = np.zeros((4, 4, 3), np.uint8)
        end = self.clock.now() // _CHUNK * _CHUNK
        while True:
            end += _CHUNK
            await self.clock.sleep_until(end)
            if end // _CHUNK % 2 == 0:
                self._feed(VideoFrame(still, at=end))
            self._feed(AudioChunk(np.zeros(_CHUNK * 16_000 // SECOND, np.float32), start=end - _CHUNK))

    async def send(self, action: Action) -> None:
        """Show the action."""
        self.teller.sent(action, self._clock.now() if self._clock is not None else 0)
        if self._saw is not None:
            self._saw(action)

    def played(self, reply: int) -> Nanos:
        """Return 0: nothing is heard."""
        return 0

    def first_out(self, reply: int) -> Nanos | None:
        """Return ``None``: nothing is heard."""
        return None

    def tell(self, event: Event) -> None:
        """Follow whose turn it is."""
        self.teller.took(event)
        match event.body:
            case Note(event="state", data={"state": "thinking"}):
                self._idle.clear()
                self._thinks.set()
            case Note(event="state", data={"state": "listening"}):
                self._idle.set()
        if self._heard is not None:
            self._heard(event)

    async def close(self) -> None:
        """Free nothing."""


def following(
    conversation: Conversation, told: Callable[[Turned], None], *, greets: bool
) -> Callable[[Seat], Awaitable[None]]:
    """Return what a caller does who follows a script.

    Args:
        conversation: the script.
        told: takes each turn when it is over.
        greets: whether the agent speaks first.
    """

    async def talk(seat: Seat) -> None:
        if greets:
            await seat.answered()
            await seat.pause()
            told(seat.teller.told())
        for number, line in enumerate(conversation.lines, 1):
            seat.teller.begin(number, line.say if isinstance(line, Line) else "", seat.clock.now())
            if isinstance(line, Silence):
                await seat.pause(line.lasts)
            else:
                if line.spoken:
                    await seat.speak(line)
                    seat.teller.ended(seat.clock.now())
                else:
                    seat.type(line.say)
                await seat.answered()
                await seat.pause()
            told(seat.teller.told())

    return talk
