"""The call: the one loop, live and bench.

One reader takes every percept in order and owns the context, the turn taker and the one reply task, so
there are no locks. Everything a call starts lives in its task group and ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from agent.action import Caption, Display, HoldAudio, StopAudio
from agent.clock import Clock
from agent.consent import permitted, refused_senses
from agent.journal import Body, Decided, Event, Metric, Note, Sink
from agent.parts import Parts
from agent.reply import Reply
from agent.senses import Senses
from agent.speech import Speech
from agent.transports import Hangup, Signal, Transport
from agent.turns import Consider, GiveWay, Hold, Move, Resume, TurnTaker
from agent.watch import NAMES, MediaType, MediaWatch
from perception.context import CUE_QUESTION, RollingContext, Turn
from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import (
    EXPRESSION,
    FACE,
    PARTIAL,
    PROSODY,
    SPEECH_ENDED,
    TRANSCRIPT,
    Percept,
)
from perception.timebase import MS, SECOND, Nanos, as_seconds
from policy.decision import Backchannel, Decision, Express
from policy.prompt import summarise, weigh
from policy.reflex import Reflex

log = structlog.get_logger(__name__)

INBOX = 64
"""Percepts that may wait for the reader; workers wait beyond that."""


_Item = Percept | Text | Signal

_PREPARING = frozenset({PARTIAL, TRANSCRIPT, EXPRESSION, PROSODY})


class Call:
    """One conversation, from the first frame to the last word.

    Args:
        transport: the caller.
        parts: workers, policy, voice and options.
        clock: zero when the call begins.
        sinks: take every event, such as a journal.
    """

    def __init__(self, transport: Transport, parts: Parts, clock: Clock, sinks: Iterable[Sink] = ()) -> None:
        self._transport = transport
        self._parts = parts
        self._options = parts.options
        self._clock = clock
        self._sinks = tuple(sinks)
        self._context = RollingContext(self._options.context, weigh=weigh, summarise=summarise)
        self._turns = TurnTaker(self._options.turns)
        self._reflex = Reflex()
        self._senses = Senses(parts.workers, clock, self._perceived, self._options.senses)
        self._session = parts.policy.session()
        self._items: asyncio.Queue[_Item] = asyncio.Queue(INBOX)
        self._reply: Reply | None = None
        self._reply_task: asyncio.Task[None] | None = None
        self._prepare_task: asyncio.Task[None] | None = None
        self._murmur_task: asyncio.Task[None] | None = None
        self._prepared_at: Nanos = 0
        self._stale = False
        self._replies = 0
        self._allowed: frozenset[str] | None = transport.senses
        self._watch = MediaWatch(self._options.lost_after)
        self._face_noted: Nanos = -SECOND
        self._greeted = False
        self._only_questions = self._options.answers == "questions"

    async def run(self) -> None:
        """Hold the conversation until the caller is gone."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                tasks = [
                    group.create_task(self._senses.run(), name="senses"),
                    group.create_task(self._read(), name="reader"),
                ]
                self._record(Note("call_started", data={"call": self._transport.call_id}))
                try:
                    await self._transport.receive(self._feed, self._clock)
                    await self._finish()
                except Hangup:
                    pass
                for task in (*tasks, self._prepare_task, self._murmur_task):
                    if task is not None:
                        task.cancel()
                await asyncio.wait(tasks)
                await self._drop(cut=True)
        finally:
            for report in self._senses.report():
                self._record(Metric(f"{report.name}_lag", report.lag_s))
                self._record(Metric(f"{report.name}_dropped_count", report.dropped))
            self._record(Note("call_ended", data={"replies": self._replies}))
            await self._session.close()
            await self._transport.close()

    # In: media, signals, percepts.

    def _feed(self, media: Media | Signal) -> None:
        if isinstance(media, (Signal, Text)):
            if self._items.full():
                self._record(Note("signal_dropped", "warning"))
            else:
                self._items.put_nowait(media)
            return
        self._notice_senses()
        if not self._senses.feed(media, self._allowed) and not self._options.keep_media:
            return
        if isinstance(media, AudioChunk):
            self._watch.saw(AudioChunk, media.end)
            self._context.hear(media)
        else:
            self._watch.saw(VideoFrame, media.at)
            self._context.see(media)

    def _notice_senses(self) -> None:
        allowed = self._transport.senses
        if allowed == self._allowed:
            return
        refused = self._senses.names if self._allowed is None else self._allowed
        gone = refused - (allowed if allowed is not None else refused)
        self._allowed = allowed
        self._senses.forget(gone)
        wanted = self._wanted()
        self._watch.restart(self._clock.now(), wanted)
        for kind in NAMES.keys() - wanted:
            self._context.forget_media(kind)
        self._record(Note("senses_changed", data={"allowed": sorted(allowed or ())}))

    def _wanted(self) -> frozenset[MediaType]:
        """Media that at least one allowed worker wants."""
        allowed = self._allowed
        accepted = {k for w in self._parts.workers if allowed is None or w.name in allowed for k in w.accepts}
        return frozenset(NAMES.keys() & accepted)

    async def _perceived(self, percept: Percept) -> None:
        await self._items.put(percept)

    # The reader.

    async def _read(self) -> None:
        while True:
            item = await self._next()
            now = self._clock.now()
            self._notice_senses()
            if self._options.greeting and not self._greeted and AudioChunk in self._wanted():
                self._greeted = True
                await self._make(self._turns.greet())
            match item:
                case None:
                    await self._make(self._turns.tick(now))
                case Percept():
                    percept = permitted(item, self._allowed, self._senses.names)
                    if percept is not None:
                        await self._take_in(percept, now)
                case Text():
                    await self._make(self._turns.typed(item, now))
                case Signal():
                    await self._signalled(item, now)
            for lost in self._watch.step(now, self._wanted()):
                self._record(lost)
                self._context.note(lost)
            self._maybe_prepare(now)

    async def _next(self) -> _Item | None:
        """Wait for the next item, or until something is due."""
        now = self._clock.now()
        due = now + SECOND // 2
        deadline = self._turns.deadline()
        if deadline is not None:
            due = min(due, max(deadline, now + MS))
        try:
            async with asyncio.timeout((due - now) / SECOND):
                return await self._items.get()
        except TimeoutError:
            return None

    async def _take_in(self, percept: Percept, now: Nanos) -> None:
        self._record(percept)
        if percept.kind == FACE:
            if percept.end - self._face_noted >= self._options.face_every:
                self._face_noted = percept.end
                self._context.note(percept)
        elif percept.kind != PARTIAL:
            self._context.note(percept)
        moves = self._turns.step(percept, now)
        if percept.kind in (PARTIAL, TRANSCRIPT):
            if percept.kind == PARTIAL:
                self._measure("partial_lag", now - percept.end)
            hearing = self._turns.hearing
            if hearing:
                await self._transport.send(Caption("user", hearing, final=False))
        elif percept.kind == SPEECH_ENDED:
            self._measure("vad_lag_end", now - percept.end)
        if self._options.reflexes:
            decision = self._reflex.step(percept, now)
            if decision is not None and (self._reply is None or _grave(decision)):
                await self._react(decision, now - percept.end)
        if percept.kind in _PREPARING:
            self._stale = True
        await self._make(moves)

    async def _signalled(self, signal: Signal, now: Nanos) -> None:
        match signal.kind:
            case "stop":
                await self._make([GiveWay("asked to stop", now)])
            case "push_to_talk":
                await self._make(self._turns.push_to_talk(signal.enabled, signal.held, now))
            case _:
                self._notice_senses()

    # Moves.

    async def _make(self, moves: Sequence[Move]) -> None:
        for move in moves:
            now = self._clock.now()
            match move:
                case Consider():
                    await self._consider(move, now)
                case _ if self._only_questions:
                    pass  # whoever talks in a recording does not talk to the agent, and interrupts no answer
                case Hold(since):
                    if self._reply is not None:
                        self._reply.held = True
                        await self._transport.send(HoldAudio(held=True, reply=self._reply.number))
                        self._measure("barge_in", now - since)
                case Resume():
                    if self._reply is not None:
                        self._reply.held = False
                        await self._transport.send(HoldAudio(held=False, reply=self._reply.number))
                        self._record(Note("reply_resumed", data={"reply": self._reply.number}))
                case GiveWay(reason, _):
                    if self._reply is not None:
                        self._record(Note("reply_cut", data={"reply": self._reply.number, "why": reason}))
                        await self._drop(cut=True)

    async def _consider(self, move: Consider, now: Nanos) -> None:
        if self._only_questions and move.cue != CUE_QUESTION:
            if move.turn is not None:
                self._say_turn(move.turn)
            return
        await self._drop(cut=True)
        await self._stop_preparing()
        asked = now
        if move.question is not None:
            self._context.note(move.question)
            self._record(Turn("user", move.question.text, move.question.at, move.question.at))
        if move.turn is not None:
            self._say_turn(move.turn)
            await self._transport.send(Caption("user", move.turn.text, final=True))
            asked = move.turn.end
        self._replies += 1
        if move.ended:
            self._record(Metric("end_of_turn", as_seconds(move.ended), self._replies))
            self._record(Metric("words", as_seconds(move.words), self._replies))
        hearing = self._turns.hearing if move.question is not None else ""
        window = self._context.window(now, cue=move.cue, hearing=hearing, refused=self._refused())
        reply = Reply(
            self._replies,
            window,
            asked,
            session=self._session,
            voice=self._parts.voice,
            transport=self._transport,
            clock=self._clock,
            record=self._record,
            options=self._options.reply,
            audible=self._audible,
        )
        self._reply = reply
        self._turns.reply_began(now)
        self._reflex.turn_taken()
        self._reflex.agent_speaks(True)
        self._state("thinking")
        self._reply_task = self._group.create_task(self._run(reply), name=f"reply:{reply.number}")

    async def _run(self, reply: Reply) -> None:
        await reply.run()
        self._close_reply(reply, cut=False)

    def _close_reply(self, reply: Reply, *, cut: bool) -> Turn | None:
        self._reply = self._reply_task = None
        self._turns.reply_ended(self._clock.now())
        self._reflex.agent_speaks(False)
        turn = reply.turn(cut=cut)
        if turn is not None:
            self._say_turn(turn)
        self._state("listening")
        return turn

    async def _drop(self, *, cut: bool) -> None:
        """Stop the reply, if there is one, and remember of it what was heard."""
        reply, task = self._reply, self._reply_task
        if reply is None or task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if self._reply is None:
            return  # it ended by itself in the meantime
        await self._transport.send(StopAudio(reply.number))
        turn = self._close_reply(reply, cut=cut)
        if turn is not None:
            await self._transport.send(Caption("agent", turn.text, final=True, reply=reply.number, cut=True))

    async def _react(self, decision: Decision, lag: Nanos) -> None:
        self._record(Decided(decision, 0, "reflex"))
        self._measure("reflex", lag)
        if isinstance(decision, Express):
            await self._transport.send(Display(decision.emotion, decision.gesture, decision.intensity))
        elif isinstance(decision, Backchannel) and (self._murmur_task is None or self._murmur_task.done()):
            self._replies += 1
            self._murmur_task = self._group.create_task(self._murmur(decision.token, self._replies))

    async def _murmur(self, token: str, number: int) -> None:
        speech = Speech(self._parts.voice, self._clock, self._transport.send, number)
        try:
            await speech.say(token, "soft")
        except Exception as error:
            log.error("voice_failed", reply=number, exc_info=error)

    def _audible(self) -> None:
        self._turns.voice_began()
        self._state("speaking")

    # Preparation of the policy.

    def _maybe_prepare(self, now: Nanos) -> None:
        idle = self._prepare_task is None or self._prepare_task.done()
        if self._stale and idle and self._reply is None and now - self._prepared_at >= self._options.prepare_every:
            self._stale = False
            self._prepared_at = now
            self._prepare_task = self._group.create_task(self._prepare(now), name="prepare")

    async def _prepare(self, now: Nanos) -> None:
        window = self._context.window(now, hearing=self._turns.hearing, refused=self._refused())
        try:
            async with self._clock.working("prepare"):
                await self._session.prepare(window)
        except Exception as error:
            log.error("prepare_failed", exc_info=error)

    async def _stop_preparing(self) -> None:
        if self._prepare_task is not None and not self._prepare_task.done():
            self._prepare_task.cancel()
            await asyncio.wait([self._prepare_task])

    # Out: events.

    def _refused(self) -> frozenset[str]:
        return refused_senses(self._allowed, self._senses.names)

    def _say_turn(self, turn: Turn) -> None:
        self._context.note(turn)
        self._record(turn)

    def _state(self, state: str) -> None:
        self._record(Note("state", data={"state": state}))

    def _measure(self, name: str, value: Nanos) -> None:
        self._record(Metric(name, as_seconds(value), self._reply.number if self._reply else 0))

    def _record(self, body: Body) -> None:
        event = Event(self._clock.now(), body)
        for sink in self._sinks:
            sink(event)
        self._transport.tell(event)

    async def _finish(self) -> None:
        """After the media of a file: let the workers, and the last reply, come to their end."""
        limit = self._clock.now() + self._options.finish
        quiet = 0
        while self._clock.now() < limit and quiet < 3:
            busy = self._senses.busy or not self._items.empty() or self._reply is not None
            quiet = 0 if busy else quiet + 1
            await self._clock.sleep_until(self._clock.now() + 100 * MS)


def _grave(decision: Decision) -> bool:
    """Whether a reflex may change the agent's face in the middle of its own reply: only to meet distress."""
    return isinstance(decision, Express) and decision.emotion in ("concern", "calm")
