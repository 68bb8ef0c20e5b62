"""The reflexes of a call at work: looks go out, sounds of listening are played and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from agent.action import Display, StopAudio
from agent.clock import Clock
from agent.journal import Body, Decided, Metric
from agent.speech import Speech
from agent.transports import Transport
from agent.voices import Voice
from perception.percept import SPEECH_STARTED, Percept
from perception.timebase import MS, Nanos, as_seconds
from policy.decision import Backchannel, Decision, Express
from policy.reflex import Reflex, ReflexOptions

log = structlog.get_logger(__name__)

OVERLAP: Nanos = 150 * MS
"""A sound of listening that would go on longer than this over the person's words is stopped."""


class Reacting:
    """Carries out what the reflexes decide.

    Args:
        options: when they act; ``None`` for never.
        voice: says the sounds of listening.
        transport: carries it all out.
        clock: of the call.
        record: takes what belongs in the journal.
        number: gives the next reply's number.
    """

    def __init__(
        self,
        options: ReflexOptions | None,
        *,
        voice: Voice,
        transport: Transport,
        clock: Clock,
        record: Callable[[Body], None],
        number: Callable[[], int],
    ) -> None:
        self.reflex = Reflex(options)
        self._options = options
        self._on = options is not None
        self._voice = voice
        self._transport = transport
        self._clock = clock
        self._record = record
        self._number = number
        self._task: asyncio.Task[None] | None = None
        self._speech: Speech | None = None
        self._playing = 0

    async def step(self, percept: Percept, now: Nanos, group: asyncio.TaskGroup, *, replying: bool) -> None:
        """Take in a percept, and react.

        Args:
            percept: what was perceived.
            now: the time on the call's clock.
            group: tasks of the call.
            replying: whether a reply is under way; then only distress changes the face.
        """
        if percept.kind == SPEECH_STARTED:
            await self.hush()
        if not self._on:
            return
        decision = self.reflex.step(percept, now)
        if decision is None or (replying and not _grave(decision)):
            return
        self._record(Decided(decision, 0, "reflex"))
        if isinstance(decision, Express):
            await self._show(decision)
            self._record(Metric("reflex", as_seconds(self._clock.now() - percept.end)))
        elif isinstance(decision, Backchannel):
            self._murmur(decision, group)

    async def tick(self, now: Nanos, *, replying: bool) -> None:
        """Let the face's look grow or fade."""
        decision = self.reflex.tick(now) if self._on else None
        if decision is not None and not replying:
            self._record(Decided(decision, 0, "reflex"))
            await self._show(decision)

    def forget(self) -> None:
        """Let go of what was seen and heard so far: a sense was taken back."""
        self.reflex = Reflex(self._options)

    def deadline(self) -> Nanos | None:
        """Return when :meth:`tick` has something to do."""
        return self.reflex.deadline() if self._on else None

    async def hush(self) -> None:
        """The person speaks: stop a sound of listening that would go on over the words."""
        speech, task = self._speech, self._task
        if speech is None or task is None:
            return
        if task.done() and speech.duration - self._transport.played(self._playing) <= OVERLAP:
            return
        self.cancel()
        await self._transport.send(StopAudio(self._playing))

    def cancel(self) -> None:
        """Stop making sound."""
        self._speech = None
        if self._task is not None:
            self._task.cancel()

    async def _show(self, decision: Express) -> None:
        await self._transport.send(Display(decision.emotion, decision.gesture, decision.intensity))

    def _murmur(self, decision: Backchannel, group: asyncio.TaskGroup) -> None:
        if self._task is not None and not self._task.done():
            return
        self._playing = self._number()
        self._speech = Speech(self._voice, self._clock, self._transport.send, self._playing)
        self._task = group.create_task(self._say(self._speech, decision.token), name=f"murmur:{self._playing}")

    async def _say(self, speech: Speech, token: str) -> None:
        try:
            await speech.say(token, "soft")
        except Exception as error:
            log.error("voice_failed", reply=self._playing, exc_info=error)


def _grave(decision: Decision) -> bool:
    """Whether a reflex may change the agent's face in the middle of its own reply: only to meet distress."""
    return (
        isinstance(decision, Express)
        and decision.gesture == "none"
        and decision.emotion in ("concern", "calm", "tender")
    )
