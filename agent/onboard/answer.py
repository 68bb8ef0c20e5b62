"""A question that is asked aloud, and answered by yes or no.

Nobody has agreed to anything yet. So only two senses work on the answer, the one that notices a voice and the one that
knows words; how something is said or how anybody looks is not perceived, and the words are forgotten with the answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

from agent.action import Action, PlayAudio
from agent.clock import Clock
from agent.onboard.beside import beside
from agent.senses import Senses
from agent.streams import ending
from agent.transports import Feed, Hangup, Signal
from agent.voices import Voice
from perception.media import AudioChunk, Media
from perception.percept import TRANSCRIPT, Percept
from perception.timebase import MS, SECOND, Nanos
from perception.workers import WorkerFactory

YES, NO, UNCLEAR = "yes", "no", ""

_AGREES: Final = re.compile(
    r"\b(yes|yeah|yep|yup|sure|okay|ok|of course|go ahead|all right|alright|i agree|i do|please do|certainly)\b"
)
_REFUSES: Final = re.compile(r"\b(no|nope|nah|not|never|don'?t|do not|stop|rather|later|go away|leave me)\b")
_LONGEST: Final = 8
"""Words of an answer; who says more says something else."""

_HEARS: Final = ("vad", "asr")
_LOOK: Final[Nanos] = 50 * MS


class Speaker(Protocol):
    """Somebody who can be spoken to: a caller of the local transport."""

    async def receive(self, feed: Feed, clock: Clock) -> None:
        """Feed what is heard."""
        ...

    async def send(self, action: Action) -> None:
        """Play sound."""
        ...

    def played(self, reply: int) -> Nanos:
        """How much of it has been played."""
        ...


def judge(words: str) -> str:
    """Return what an answer says: ``yes``, ``no``, or ``""`` where that is not clear. In doubt it is no yes."""
    plain = re.sub(r"[^a-z' ]+", " ", words.lower().replace("’", "'"))
    if _REFUSES.search(plain):
        return NO
    return YES if _AGREES.search(plain) and len(plain.split()) <= _LONGEST else UNCLEAR


async def speak(caller: Speaker, voice: Voice, clock: Clock, text: str, *, tone: str = "warm", reply: int = 1) -> None:
    """Say ``text`` to somebody with whom there is no call, and return when it has been said."""
    length: Nanos = 0
    async with ending(voice.say(text, tone)) as chunks:
        async for chunk in chunks:
            await caller.send(PlayAudio(AudioChunk(chunk.samples, length, chunk.rate_hz), reply))
            length += chunk.duration
    while caller.played(reply) < length - _LOOK:
        await clock.sleep_until(clock.now() + _LOOK)


@asynccontextmanager
async def answers(caller: Speaker, workers: Sequence[WorkerFactory], clock: Clock) -> AsyncIterator[asyncio.Queue[str]]:
    """Listen for yes and no as long as the context is open; the queue has each answer that is clear.

    Args:
        caller: whose microphone it is.
        workers: of which those that notice a voice and know words are used.
        clock: of the devices.
    """
    found: asyncio.Queue[str] = asyncio.Queue()

    async def take(percept: Percept) -> None:
        if percept.kind == TRANSCRIPT and (said := judge(percept.label)):
            found.put_nowait(said)

    senses = Senses([w for w in workers if w.name in _HEARS], clock, take)

    def feed(media: Media | Signal) -> None:
        if isinstance(media, AudioChunk):
            senses.feed(media, None)

    async def listen() -> None:
        try:
            await caller.receive(feed, clock)
        except Hangup:
            pass

    async with beside(senses.run(), listen()):
        yield found


async def next_answer(found: asyncio.Queue[str], patience: Nanos) -> str:
    """Wait for a clear answer; ``""`` if none comes within ``patience``."""
    try:
        async with asyncio.timeout(patience / SECOND):
            return await found.get()
    except TimeoutError:
        return UNCLEAR
