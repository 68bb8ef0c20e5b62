"""From words to sound on its way out, and back: how much of what was planned has been heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from agent.action import Action, PlayAudio
from agent.clock import Clock
from agent.streams import end
from agent.voices import Voice
from perception.media import AudioChunk
from perception.timebase import MS, SECOND, Nanos

Send = Callable[[Action], Awaitable[None]]

_PACE: Nanos = 62 * MS
"""Time that a character takes, until this reply has shown its own pace."""

_LONGEST: Nanos = 120 * SECOND
"""Most sound of one clause; a voice that makes more of it does not end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a voice is waited for.

    Attributes:
        first: for the first sound of a clause.
        next: between two pieces of it.
    """

    first: Nanos = 2 * SECOND
    next: Nanos = 2 * SECOND


@dataclass(slots=True)
class _Clause:
    text: str
    start: Nanos
    end: Nanos
    whole: bool = False
    """Whether all of its sound has been made."""


class Speech:
    """The sound of one reply.

    Args:
        voice: makes the sound.
        clock: of the call; encloses each piece of synthesis.
        send: where ``PlayAudio`` goes; waits while enough is unplayed, which paces the synthesis.
        reply: its number.
        patience: how long the voice is waited for.
    """

    def __init__(self, voice: Voice, clock: Clock, send: Send, reply: int, patience: Patience = Patience()) -> None:
        self._voice = voice
        self._clock = clock
        self._send = send
        self._reply = reply
        self._patience = patience
        self._clauses: list[_Clause] = []
        self._end: Nanos = 0
        self.first_ready: Nanos | None = None
        """Instant at which the first sound was synthesised."""
        self.first_took: Nanos = 0
        """How long the voice was waited for until then, from the clause it was given."""

    @property
    def duration(self) -> Nanos:
        """Sound made so far."""
        return self._end

    @property
    def text(self) -> str:
        """All words that were given to the voice."""
        return " ".join(clause.text for clause in self._clauses if clause.text)

    async def say(self, text: str, tone: str) -> None:
        """Synthesise ``text`` and send it off, piece by piece.

        Raises:
            TimeoutError: the voice was late.
            Exception: what the voice raised.
        """
        clause = self._clause(text)
        asked = self._clock.now()
        limit = self._patience.first
        chunks = self._voice.say(text, tone)
        try:
            while True:
                chunk = await self._next(chunks, limit)
                if chunk is None:
                    clause.whole = True
                    return
                if self.first_ready is None:
                    self.first_ready = self._clock.now()
                    self.first_took = self.first_ready - asked
                await self._out(clause, chunk)
                limit = self._patience.next
                if self._end - clause.start > _LONGEST:
                    raise RuntimeError("the voice does not come to an end")
        except Exception:
            clause.whole = True  # nothing further of it will sound
            raise
        finally:
            await end(chunks)

    async def play(self, text: str, chunks: Iterable[AudioChunk]) -> None:
        """Send off sound that was made before.

        Args:
            text: its words, as far as they are part of what is said in the reply.
            chunks: the sound.
        """
        clause = self._clause(text)
        for chunk in chunks:
            if self.first_ready is None:
                self.first_ready = self._clock.now()
            await self._out(clause, chunk)
        clause.whole = True

    def show(self, text: str) -> None:
        """Count words that are shown and not heard."""
        self._clause(text).whole = True

    def _clause(self, text: str) -> _Clause:
        clause = _Clause(text, self._end, self._end)
        self._clauses.append(clause)
        return clause

    async def _next(self, chunks: AsyncIterator[AudioChunk], limit: Nanos) -> AudioChunk | None:
        async with self._clock.working("voice"), asyncio.timeout(limit / SECOND):
            return await anext(chunks, None)

    async def _out(self, clause: _Clause, chunk: AudioChunk) -> None:
        chunk = AudioChunk(chunk.samples, start=self._end, rate_hz=chunk.rate_hz)
        self._end = chunk.end
        if chunk.samples.any():  # a pause after the words is no part of them
            clause.end = chunk.end
        await self._send(PlayAudio(chunk, self._reply))

    def heard(self, played: Nanos) -> str:
        """Return the words that were heard when ``played`` of the reply's sound has left.

        A clause that was cut gives its words in proportion to its letters, which is where a voice of even
        pace is; a word counts once it has begun. The sound is made only a little ahead of what is heard, so of a
        clause that is not finished the length is estimated from the pace of those before it.
        """
        done = [clause for clause in self._clauses if clause.whole and clause.text]
        letters = sum(len(clause.text) for clause in done)
        pace = sum(clause.end - clause.start for clause in done) / letters if letters else _PACE
        words: list[str] = []
        for clause in self._clauses:
            end = clause.end if clause.whole else max(clause.end, clause.start + round(pace * len(clause.text)))
            if end <= played and end > clause.start:
                words.append(clause.text)
            elif clause.start < played:
                words.append(_part(clause.text, (played - clause.start) / max(1, end - clause.start)))
        return " ".join(w for w in words if w)


def _part(text: str, share: float) -> str:
    budget = share * len(text)
    kept: list[str] = []
    position = 0
    for word in text.split():
        if position >= budget:
            break
        kept.append(word)
        position += len(word) + 1
    return " ".join(kept)
