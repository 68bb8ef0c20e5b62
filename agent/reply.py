"""One reply: the policy's decisions become actions, clause by clause, until it is said or cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from agent.action import Action, Caption, Display, Resource
from agent.clock import Clock
from agent.journal import Body, Decided, Metric, Note, Pondered
from agent.speech import Speech
from agent.streams import end
from agent.thinking import Alarm, Fell, Thinking, told_of
from agent.transports import Transport
from agent.voices import Voice
from perception.context import ContextWindow, Turn
from perception.timebase import MS, SECOND, Nanos, as_seconds
from policy import resources
from policy.decision import Backchannel, Decision, Express, Speak, Thought, Wait

log = structlog.get_logger(__name__)

Record = Callable[[Body], None]

_AHEAD = 4
"""Decisions that may wait for the voice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyOptions:
    """Limits of one reply.

    Attributes:
        first_decision: longest wait for the first decision, whatever was thought before it and whoever was asked.
        next_decision: longest wait for each further one.
        fallback: what is said when the policy failed or was too late.
    """

    first_decision: Nanos = 6 * SECOND
    next_decision: Nanos = 6 * SECOND
    fallback: str = "Sorry, I lost my thread for a moment. Could you say that again?"


class Reply:
    """One answer to one cue.

    Args:
        number: of the reply, from 1.
        window: what the policy is shown; its ``cue`` says why it is asked.
        asked: instant at which the person's words ended, or the cue arose.
        session: the call's share of the policy.
        voice: says it.
        transport: carries it out.
        clock: of the call.
        record: takes what belongs in the journal.
        options: limits.
        audible: is called when its first sound leaves.
        answers: the person's turn that it answers, if it answers one.
        waits: whether it only thinks until :meth:`let_out`.

    Attributes:
        emotion: what it has shown last.
    """

    def __init__(
        self,
        number: int,
        window: ContextWindow,
        asked: Nanos,
        *,
        session: Thinking,
        voice: Voice,
        transport: Transport,
        clock: Clock,
        record: Record,
        options: ReplyOptions,
        audible: Callable[[], None],
        answers: Turn | None = None,
        waits: bool = False,
    ) -> None:
        self.number = number
        self.answers = answers
        self.emotion = "neutral"
        self.held = False
        self._out = asyncio.Event()
        self._since = window.end
        if not waits:
            self._out.set()
        self._window = window
        self._asked = asked
        self._session = session
        self._transport = transport
        self._clock = clock
        self._record = record
        self._options = options
        self._audible = audible
        self._speech = Speech(voice, clock, self._send, number)
        self._reported = False
        self._shown = ""
        self._planned: list[str] = []

    async def run(self) -> None:
        """Think and talk to the end. Cancelling drops what is left."""
        decisions: asyncio.Queue[Decision | Alarm | None] = asyncio.Queue(_AHEAD)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._think(decisions), name="think")
            await self._talk(decisions)

    def let_out(self) -> None:
        """Let what was thought so far become actions, from now on."""
        self._since = self._clock.now()
        self._out.set()

    def turn(self, *, cut: bool) -> Turn | None:
        """Return what was heard of it as the agent's turn, or ``None`` if nothing was."""
        now = self._clock.now()
        start = self._transport.first_out(self.number)
        if start is None:
            if cut or not self._planned:
                return None
            return Turn("agent", " ".join(self._planned), now, now)  # shown as a caption, the voice failed
        played = self._transport.played(self.number)
        text = self._speech.heard(played) if cut else self._speech.text
        end = min(now, start + played) if cut else now
        return Turn("agent", text, start, max(start, end), cut=cut) if text else None

    async def _think(self, decisions: asyncio.Queue[Decision | Alarm | None]) -> None:
        due = self._clock.now() + self._options.first_decision
        said = False
        stream = self._session.decide(self._window)
        try:
            while True:
                left = due - self._clock.now()
                if left <= 0:
                    raise TimeoutError  # thoughts that are all there at once never wait, and so never time out
                async with self._clock.working("policy"), asyncio.timeout(left / SECOND):
                    step = await anext(stream, None)
                match step:
                    case None:
                        break
                    case Thought():
                        self._record(Pondered(step, self.number))
                    case Fell():
                        self._record(self._fall(step))
                    case Alarm():
                        await decisions.put(step)  # a reply that waits to be let out shows nothing yet
                    case _:
                        said = said or not isinstance(step, Express)
                        await decisions.put(step)
                        due = self._clock.now() + self._options.next_decision
        except Exception as error:
            late = isinstance(error, TimeoutError)
            told = {} if late else told_of(error)
            log.error(
                "policy_failed", reply=self.number, late=late, **told, exc_info=error if "error" in told else None
            )
            self._record(Note("policy_failed", "error", {"late": late, "reply": self.number}))
            if not said:
                await decisions.put(
                    Speak(
                        text=self._options.fallback,
                        tone="soft",
                        emotion="concern",
                        reason="The policy was late." if late else "The policy failed.",
                        confidence=0.0,
                    )
                )
        finally:
            await end(stream)
        await decisions.put(None)

    def _fall(self, fell: Fell) -> Note:
        data = {"mind": fell.mind, "why": fell.why, "next": fell.next, "reply": self.number}
        return Note("mind_failed", "warning", data | ({"error": fell.error} if fell.error else {}))

    async def _talk(self, decisions: asyncio.Queue[Decision | Alarm | None]) -> None:
        await self._out.wait()
        first = True
        while (decision := await decisions.get()) is not None:
            if isinstance(decision, Alarm):
                await self._alarm(decision)
                continue
            if first:
                first = False
                self._measure("decide", self._clock.now() - self._since)
            self._record(Decided(decision, self.number, self._window.cue))
            match decision:
                case Speak():
                    await self._speak(decision)
                case Express():
                    await self._send(Display(decision.emotion, decision.gesture, decision.intensity, reply=self.number))
                case Backchannel():
                    await self._say(decision.token, "soft")
                case Wait():
                    pass
        await self._drain()
        if self._planned:
            await self._send(Caption("agent", " ".join(self._planned), final=True, reply=self.number))

    async def _alarm(self, alarm: Alarm) -> None:
        """Show who can help. What was said is nobody's business but the person's: only the kind is recorded."""
        self._record(Note("safety", "warning", {"kind": alarm.kind, "plain": alarm.plain, "reply": self.number}))
        contacts = alarm.country.help(alarm.kind)
        day = resources.reviewed()
        await self._send(Resource(alarm.kind, alarm.country.name, contacts, day, reply=self.number))

    async def _speak(self, decision: Speak) -> None:
        await self._send(Display(decision.emotion, reply=self.number))
        self._planned.append(decision.text)
        await self._send(Caption("agent", " ".join(self._planned), final=False, reply=self.number))
        await self._say(decision.text, decision.tone)

    async def _say(self, text: str, tone: str) -> None:
        try:
            await self._speech.say(text, tone)
        except Exception as error:
            log.error("voice_failed", reply=self.number, exc_info=error)
            self._record(Note("voice_failed", "error", {"reply": self.number}))
        self._report()

    async def _send(self, action: Action) -> None:
        fresh = self._speech.first_ready is not None and self._shown == ""
        if fresh:
            self._shown = "sound"
            self._audible()
        if isinstance(action, Display):
            self.emotion = action.emotion
        await self._transport.send(action)
        self._report()

    async def _drain(self) -> None:
        """Wait until all sound has left; give up when it has not moved for two seconds, unless it is held."""
        played, since = -1, self._clock.now()
        while True:
            now = self._clock.now()
            done = self._transport.played(self.number)
            left = self._speech.duration - done
            if left <= 30 * MS:
                break
            if done != played or self.held:
                played, since = done, now
            elif now - since > 2 * SECOND:
                log.warning("playout_stalled", reply=self.number, left_s=as_seconds(left))
                break
            await self._clock.sleep_until(now + max(20 * MS, min(left, 200 * MS)))
        self._report()

    def _report(self) -> None:
        first = self._transport.first_out(self.number)
        if self._reported or first is None:
            return
        self._reported = True
        if self._speech.first_ready is not None:
            self._measure("voice", self._speech.first_ready - self._since)
        self._measure("voice_to_voice", first - self._asked)

    def _measure(self, name: str, value: Nanos) -> None:
        self._record(Metric(name, as_seconds(value), self.number))
