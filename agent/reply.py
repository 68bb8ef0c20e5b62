"""One reply: the policy's decisions become actions, clause by clause, until it is said or cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from agent.action import Action, Caption, Display, Resource, StopAudio
from agent.clock import Clock
from agent.journal import Body, Decided, Metric, Note, Pondered
from agent.reply_options import ReplyOptions
from agent.speech import Patience, Speech
from agent.standby import Mouth
from agent.streams import end
from agent.thinking import Alarm, Fell, Thinking, told_of
from agent.transports import Transport
from agent.watch import SLACK, SpeechWatch
from perception.context import CUE_END_OF_TURN, CUE_QUESTION, ContextWindow, Turn
from perception.timebase import MS, SECOND, Nanos, as_seconds
from policy.affect import settled
from policy.cues import Cues, cues_of
from policy.decision import Backchannel, Decision, Express, Speak, Thought, Wait
from policy.safety import helplines

__all__ = ["Record", "Reply", "ReplyOptions"]

log = structlog.get_logger(__name__)

Record = Callable[[Body], None]

_AHEAD = 4
"""Decisions that may wait for the voice."""

_AWAITED: Final = frozenset({CUE_END_OF_TURN, CUE_QUESTION})
"""Cues of which somebody waits for an answer."""


class Reply:
    """One answer to one cue.

    Args:
        number: of the reply, from 1.
        window: what the policy is shown; its ``cue`` says why it is asked.
        asked: instant at which the person's words ended, or the cue arose.
        session: the call's share of the policy.
        mouth: says it.
        transport: carries it out.
        clock: of the call.
        record: takes what belongs in the journal.
        options: budgets.
        audible: is called when its first sound leaves.
        answers: the person's turn that it answers, if it answers one.
        waits: whether it only thinks until :meth:`let_out`.

    Attributes:
        cue: why the policy was asked.
        emotion: what it has shown last.
        held: whether its sound is held back on purpose.
        stalled: whether its sound did not leave and was given up.
    """

    def __init__(
        self,
        number: int,
        window: ContextWindow,
        asked: Nanos,
        *,
        session: Thinking,
        mouth: Mouth,
        transport: Transport,
        clock: Clock,
        record: Record,
        options: ReplyOptions,
        audible: Callable[[], None],
        answers: Turn | None = None,
        waits: bool = False,
    ) -> None:
        self.number = number
        self.cue = window.cue
        self.answers = answers
        self.emotion = "neutral"
        self.held = False
        self.stalled = False
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
        self._mouth = mouth
        patience = Patience(first=options.first_sound, next=options.next_sound)
        self._speech = Speech(mouth.voice, clock, self._send, number, patience)
        self._reported = False
        self._cues: Cues | None = None
        self._danger = False
        self._shown = ""
        self._planned: list[str] = []

    async def run(self) -> None:
        """Think and talk to the end. Cancelling drops what is left."""
        decisions: asyncio.Queue[Decision | Alarm | None] = asyncio.Queue(_AHEAD)
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(self._think(decisions), name="think"),
                group.create_task(self._watch(), name="watch"),
            )
            await self._talk(decisions)
            for task in tasks:
                task.cancel()

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
        asked = self._clock.now()
        due = asked + self._options.first_decision
        said = thought = False
        stream = self._session.decide(self._window)
        try:
            while True:
                left = due - self._clock.now()
                if left <= 0:
                    raise TimeoutError  # thoughts that are all there at once never wait, and so never time out
                async with self._clock.working("policy"), asyncio.timeout(left / SECOND):
                    step = await anext(stream, None)
                if not thought and not isinstance(step, (Fell, Alarm)) and step is not None:
                    thought = True
                    self._measure("first_token", self._clock.now() - asked)
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
                        if not said and isinstance(step, Speak):
                            self._measure("first_sentence", self._clock.now() - asked)
                        said = said or not isinstance(step, Express)
                        await decisions.put(step)
                        due = self._clock.now() + self._options.next_decision
        except Exception as error:
            late = isinstance(error, TimeoutError)
            told = {} if late else told_of(error)
            log.error("policy_failed", reply=self.number, late=late, **told, exc_info=None if late else error)
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
        decision = await self._first(decisions)
        while decision is not None and not self.stalled:
            if isinstance(decision, Alarm):
                await self._alarm(decision)
            else:
                if first:
                    first = False
                    self._measure("decide", self._clock.now() - self._since)
                if self._overran():
                    break
                await self._carry_out(decision)
            decision = await decisions.get()
        await self._drain()
        if self._planned:
            await self._caption(final=True)

    async def _first(self, decisions: asyncio.Queue[Decision | Alarm | None]) -> Decision | Alarm | None:
        """Return the first decision; where somebody waits for it too long, say that it is on its way."""
        options = self._options
        if not options.filler_after or not options.filler or self._window.cue not in _AWAITED:
            return await decisions.get()
        try:
            async with asyncio.timeout((self._since + options.filler_after - self._clock.now()) / SECOND):
                return await decisions.get()
        except TimeoutError:
            self._record(Note("reply_filler", "warning", {"reply": self.number}))
            await self._words(options.filler, "soft")
        return await decisions.get()

    def _overran(self) -> bool:
        if self._clock.now() - self._since <= self._options.whole:
            return False
        self._record(Note("reply_overran", "warning", {"reply": self.number}))
        return True

    async def _carry_out(self, decision: Decision) -> None:
        # Whatever thinks, nothing smiles at a loss, and nothing frowns at good news.
        if self._cues is None:
            self._cues = cues_of(self._window)
        decision = settled(decision, self._cues, danger=self._danger)
        self._record(Decided(decision, self.number, self._window.cue))
        match decision:
            case Speak():
                await self._send(Display(decision.emotion, reply=self.number))
                await self._words(decision.text, decision.tone)
            case Express():
                await self._send(Display(decision.emotion, decision.gesture, decision.intensity, reply=self.number))
            case Backchannel():
                await self._say(decision.token, "soft")
            case Wait():
                pass

    async def _watch(self) -> None:
        """See that what is said leaves, until cancelled."""
        await self._out.wait()
        watch = SpeechWatch(self._options.silent_after, self._options.stalled_after)
        while True:
            await self._clock.sleep_until(self._clock.now() + 200 * MS)
            made, played = self._speech.duration, self._transport.played(self.number)
            found = watch.step(self._clock.now(), made, played, held=self.held)
            if found == "silent":
                self._record(Note("reply_silent", "warning", {"reply": self.number}))
            elif found == "stalled":
                log.error("playout_stalled", reply=self.number, left_s=as_seconds(made - played))
                self._record(Note("reply_stalled", "error", {"reply": self.number}))
                self.stalled = True
                await self._transport.send(StopAudio(self.number))
                return

    async def _alarm(self, alarm: Alarm) -> None:
        """Show who can help. What was said is nobody's business but the person's: only kind and level are recorded."""
        self._danger = True
        data = {"kind": alarm.kind, "danger": alarm.level, "reply": self.number}
        if alarm.danger:
            self._record(Note("safety", "warning", {**data, "plain": alarm.level == "plain"}))
        else:
            self._record(Note("safety_hint" if alarm.level == "hint" else "safety_card", "info", data))
        if alarm.shows:
            contacts = alarm.country.help(alarm.kind)
            day = helplines.reviewed()
            await self._send(Resource(alarm.kind, alarm.country.name, contacts, day, reply=self.number))

    async def _words(self, text: str, tone: str) -> None:
        """Show words, and say them."""
        await self._show(text)
        await self._say(text, tone)

    async def _show(self, text: str) -> None:
        self._planned.append(text)
        await self._caption(final=False)

    async def _caption(self, *, final: bool) -> None:
        words = helplines.written(" ".join(self._planned))
        await self._send(Caption("agent", words, final=final, reply=self.number))

    async def _say(self, text: str, tone: str) -> None:
        """Say words; where the voice fails, with sound that was kept, or else they are read."""
        health, speech = self._mouth.health, self._speech
        if not health.usable(self._clock.now()):
            speech.show(text)
            await self._make_up(text)
            return
        try:
            await speech.say(text, tone)
        except Exception as error:
            late = isinstance(error, TimeoutError)
            health.failed(self._clock.now())
            log.error("voice_failed", reply=self.number, late=late, exc_info=None if late else error)
            self._record(Note("voice_failed", "error", {"reply": self.number, "late": late}))
            await self._make_up(text)
        else:
            health.spoke()
        self._report()

    async def _make_up(self, text: str) -> None:
        kept = self._mouth.standby
        if sound := kept.sound(text):
            await self._speech.play("", sound)
        elif self._options.voiceless and self._mouth.health.tells(self._clock.now()):
            await self._show(self._options.voiceless)
            await self._speech.play(self._options.voiceless, kept.sound(self._options.voiceless))

    async def _send(self, action: Action) -> None:
        fresh = self._speech.first_ready is not None and self._shown == ""
        if fresh:
            self._shown = "sound"
            self._measure("first_sound", self._speech.first_took)
            self._audible()
        if isinstance(action, Display):
            self.emotion = action.emotion
        await self._transport.send(action)
        self._report()

    async def _drain(self) -> None:
        """Wait until all sound has left, or was given up."""
        while not self.stalled:
            left = self._speech.duration - self._transport.played(self.number)
            if left <= SLACK:
                break
            await self._clock.sleep_until(self._clock.now() + max(20 * MS, min(left, 200 * MS)))
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
