"""From words to sound on its way out, and back: how much of what was planned has been heard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.action import Action, PlayAudio
from agent.clock import Clock
from agent.streams import end
from agent.voices import Voice
from perception.media import AudioChunk
from perception.timebase import MS, Nanos

Send = Callable[[Action], Awaitable[None]]

_PACE: Nanos = 62 * MS
"""Time that a character takes, until this reply has shown its own pace."""


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
    """

    def __init__(self, voice: Voice, clock: Clock, send: Send, reply: int) -> None:
        self._voice = voice
        self._clock = clock
        self._send = send
        self._reply = reply
        self._clauses: list[_Clause] = []
        self._end: Nanos = 0
        self.first_ready: Nanos | None = None
        """Instant at which the first sound was synthesised."""

    @property
    def duration(self) -> Nanos:
        """Sound made so far."""
        return self._end

    @property
    def text(self) -> str:
        """All words that were given to the voice."""
        return " ".join(clause.text for clause in self._clauses)

    async def say(self, text: str, tone: str) -> None:
        """Synthesise ``text`` and send it off, piece by piece."""
        clause = _Clause(text, self._end, self._end)
        self._clauses.append(clause)
        chunks = self._voice.say(text, tone)
        try:
            while True:
                async with self._clock.working("voice"):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    clause.whole = True
                    return
                if self.first_ready is None:
                    self.first_ready = self._clock.now()
                chunk = AudioChunk(chunk.samples, start=self._end, rate_hz=chunk.rate_hz)
                self._end = chunk.end
                if chunk.samples.any():  # a pause after the words is no part of them
                    clause.end = chunk.end
                await self._send(PlayAudio(chunk, self._reply))
        finally:
            await end(chunks)

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
