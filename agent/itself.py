"""The agent answers about itself: in words, from the running configuration and the call, before any mind is asked.

Whoever asks whether this is recorded, who can hear them, what it sees or what it can do gets an answer that is true of
this configuration at this moment, whatever the policy would have said. :mod:`policy.itself` finds the question,
:mod:`agent.itself_facts` knows what is true, and :mod:`agent.itself_answers` which lines say it. It stands inside the
safety lane, which looks for danger first, and inside :mod:`agent.disclosure`, which sees to it that an AI is called
one. Questions of a benchmark are left to the policy.

It keeps no state but the models: which lines were said is told from the window.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from agent.clock import Clock, wall
from agent.itself_answers import answers
from agent.itself_facts import Facts, now_of, slots
from agent.streams import ending
from agent.thinking import Thinking, Told, kind_of
from agent.transports import Transport
from perception.context import CUE_END_OF_TURN, CUE_QUESTION, ContextWindow
from perception.workers import WorkerFactory
from policy import affect
from policy.cues import Cues, cues_of
from policy.decision import Express, Speak
from policy.embedding import Embed
from policy.itself import Asked, Questions, line, rest, search, speaks_to, told
from policy.mood import SHOWN
from policy.prompt import question_of
from policy.words import mood_words, tokens

log = structlog.get_logger(__name__)

REASON: Final = "The person asks about"
"""How the reason of every answer about itself begins."""

_WHAT: Final = {
    "recording": "being recorded",
    "listeners": "who else can hear or read this",
    "data": "what happens to what they say and show",
    "senses": "what can be seen and heard",
    "maker": "who made this, and what it is made of",
    "abilities": "what it can do",
    "time": "the time or the date",
    "timer": "an alarm, a reminder or a message",
    "language": "the language",
    "nature": "what kind of thing is speaking",
    "name": "its name",
}
_MUCH: Final = 4
"""Words beside the question from which they are something told."""

_LONG: Final = 6
"""Words before the question from which somebody was in the middle of telling something."""


_BROKEN: Final = re.compile(
    r"\b(?:watch|clock|phone|battery|laptop|computer|tablet|screen|charger|mic|microphone|headset|camera|tv|wi-?fi|"
    r"internet|signal|line)(?:'s| is| has| have| had| just| all)* (?:died|dead|dying)\b",
    re.IGNORECASE,
)
"""A thing that has died is no loss to be sorry for."""


class Itself:
    """What all calls share of it.

    Args:
        facts: of the running configuration.
        workers: all senses.
        embed: gives the sentence encoder, if one is loaded by now; patterns alone find the questions without it.
    """

    def __init__(
        self, facts: Facts, workers: Sequence[WorkerFactory] = (), embed: Callable[[], Embed | None] = lambda: None
    ) -> None:
        self.facts = facts
        self.workers = tuple(workers)
        self._embed = embed
        self._questions: Questions | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="itself")

    def around(self, inner: Thinking, transport: Transport, clock: Clock) -> ItselfSession:
        """Stand around one call's session."""
        return ItselfSession(self, inner, transport, clock)

    async def read(self, words: str) -> tuple[Asked, ...]:
        """Return what is asked about the agent in ``words``; patterns alone tell where the encoder fails."""
        found = search(words)
        if found and "?" not in rest(words, found):
            return found
        try:
            near = await asyncio.get_running_loop().run_in_executor(self._thread, self._compare, words)
            return near or found
        except Exception as error:
            log.error("itself_encoder_failed", error=kind_of(error), fix="patterns alone find questions meanwhile")
            return found

    def warm(self) -> None:
        """Compile the patterns and embed the examples now, so that the first call does not wait for that."""
        search("Are you ready?")
        self._compare("Are you ready?")

    def close(self) -> None:
        """Free the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _compare(self, words: str) -> tuple[Asked, ...]:
        if self._questions is None:
            embed = self._embed()
            if embed is None:
                return ()
            self._questions = Questions(embed)
        return self._questions.read(words)


class ItselfSession:
    """One call's share of it.

    Args:
        shared: what all calls share.
        inner: the session of what thinks for the call.
        transport: the caller; tells which senses are allowed, and the gate whether a journal is written.
        clock: of the call.
    """

    def __init__(self, shared: Itself, inner: Thinking, transport: Transport, clock: Clock) -> None:
        self._shared = shared
        self._inner = inner
        self._transport = transport
        self._clock = clock

    async def prepare(self, window: ContextWindow, /) -> None:
        """Let the policy read along."""
        await self._inner.prepare(window)

    async def close(self) -> None:
        """Free what the policy held."""
        await self._inner.close()

    async def decide(self, window: ContextWindow, /) -> AsyncGenerator[Told, None]:
        """Answer a question about itself, or else let the policy decide."""
        if window.cue in {CUE_END_OF_TURN, CUE_QUESTION} and question_of(window) is None:
            cues = cues_of(window)
            asked = await self._shared.read(cues.words) if cues.words else ()
            told = self._answer(asked, window, cues) if asked else None
            if told is not None:
                for step in told:
                    yield step
                return
        async with ending(self._inner.decide(window)) as steps:
            async for step in steps:
                yield step

    def _answer(self, asked: Sequence[Asked], window: ContextWindow, cues: Cues) -> list[Told] | None:
        facts = self._shared.facts
        now = now_of(
            facts,
            window,
            cues,
            self._shared.workers,
            self._transport.senses,
            wall(self._clock),
            journal=getattr(self._transport, "journal", None) is not None,
            recording=bool(getattr(self._transport, "recording", False)),
        )
        keys = answers(asked, facts, now)
        if keys is None:
            return None  # a mind that sees or knows more answers better
        before, after = told(cues.words, asked)
        aside = f"{before} {after}".strip()
        hurts = len(tokens(aside)) >= _MUCH and affect.read(aside).heavy and _BROKEN.search(aside) is None
        heavy = hurts or affect.read(cues.words, cues.before).heavy or cues.distress >= SHOWN
        if hurts:
            keys.insert(0, "ack_loss" if "grief" in mood_words(aside) else "ack_hurt")
        elif len(tokens(before)) >= _LONG and not speaks_to(before):
            keys.append("go_on")  # what follows a question explains it, and nobody was interrupted
        emotion, tone = ("tender", "soft") if heavy else ("warm", "warm")
        what = " and ".join(dict.fromkeys(_WHAT[one.topic] for one in asked))
        reason = f"{REASON} {what}."
        sure = round(min(one.sure for one in asked), 3)
        values = slots(facts, now)
        lines = [line(key, turn=cues.turns, said=cues.agent, slots=values) for key in keys]
        return [
            Express(
                emotion=emotion,
                gesture="nod",
                intensity=0.5,
                reason=reason,
                evidence=cues.evidence,
                confidence=sure,
            ),
            *(
                Speak(
                    text=text,
                    tone=tone,
                    strategy="information",
                    emotion=emotion,
                    reason=reason,
                    evidence=cues.evidence,
                    confidence=sure,
                )
                for text in lines
            ),
        ]
