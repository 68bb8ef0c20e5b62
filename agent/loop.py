"""The call: the one loop, live and bench.

One reader takes every percept in order and owns the context, the turn taker and the one reply task, so
there are no locks. Everything a call starts lives in its task group and ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from agent.action import Caption, HoldAudio, StopAudio
from agent.clock import Clock
from agent.closing import close_all, settle
from agent.disclosure import Disclosing
from agent.journal import Body, Event, Metric, Note, Sink
from agent.parts import Parts
from agent.permits import Permits
from agent.preparing import Preparing
from agent.privacy.renewing import Renewing
from agent.privacy.withdrawal import unlearn
from agent.reacting import Reacting
from agent.reply import Reply
from agent.senses import Senses
from agent.standby import Mouth, VoiceHealth
from agent.thinking import Thinking
from agent.transports import Hangup, Signal, Transport
from agent.turns import Consider, Draft, GiveWay, Hold, Move, Resume, Scrap, TurnTaker
from agent.unasked import STOPPED, Unasked
from agent.vitals import Vitals
from perception.context import CUE_END_OF_TURN, CUE_NOTHING, CUE_QUESTION, ContextWindow, RollingContext, Turn
from perception.media import AudioChunk, Media, Text
from perception.percept import EXPRESSION, FACE, PARTIAL, PROSODY, SPEECH_ENDED, TRANSCRIPT, Percept
from perception.timebase import MS, SECOND, Nanos, as_seconds
from policy.prompt import summarise, weigh
from policy.safety.detector import check_patterns
from policy.safety.helplines import written

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
        self._reacting = Reacting(
            self._options.reflex if self._options.reflexes else None,
            voice=parts.voice,
            transport=transport,
            clock=clock,
            record=self._record,
            number=self._next_number,
        )
        self._items: asyncio.Queue[_Item] = asyncio.Queue(INBOX)
        self._senses = Senses(parts.workers, clock, self._items.put, self._options.senses)
        self._renewing = Renewing(parts.policy.session)
        thinking: Thinking = self._renewing
        if parts.itself is not None and self._options.answers != "questions":
            thinking = parts.itself.around(thinking, transport, clock)
        self._disclosing = Disclosing(thinking, self._options.disclosure, greets=self._options.greeting)
        lane = parts.lane
        self._session: Thinking = lane.around(self._disclosing) if lane is not None else self._disclosing
        self._reply: Reply | None = None
        self._reply_task: asyncio.Task[None] | None = None
        self._preparing = Preparing(self._session, clock, self._options.prepare_every, self._record)
        self._replies = 0
        self._permits = Permits(transport, parts, self._senses, self._context, clock, self._record)
        self._mouth = Mouth(parts.voice, parts.standby, VoiceHealth(self._options.reply.voice_rest))
        self._vitals = Vitals(self._senses, self._items, parts.pace)
        typing = bool(getattr(transport, "types", True))
        self._unasked = Unasked(parts, self._senses, self._disclosing, typing=typing)
        self._face_noted: Nanos = -SECOND
        self._greets = self._options.greeting
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
                    await settle(self._clock, self._options.finish, self._busy)
                except Hangup:
                    pass
                self._reacting.cancel()
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await self._preparing.stop_reading()
                await self._preparing.scrap()
                await self._drop(cut=True)
        finally:
            for metric in self._vitals.last():
                self._record(metric)
            self._record(Note("call_ended", data={"replies": self._replies}))
            await close_all([("session", self._session.close), ("transport", self._transport.close)])

    # In: media, signals, percepts.

    def _feed(self, media: Media | Signal) -> None:
        if isinstance(media, (Signal, Text)):
            if self._items.full():
                self._record(Note("signal_dropped", "warning"))
            else:
                self._items.put_nowait(media)
            return
        self._permits.notice()
        self._permits.feed(media)

    # The reader.

    async def _read(self) -> None:
        while True:
            item = await self._next()
            now = self._clock.now()
            self._permits.notice()
            if self._permits.taken():
                await self._forget()
            if isinstance(item, Text) and item.text.strip():
                self._greets = False  # the answer takes the place of the greeting, and says who speaks
            if self._greets and AudioChunk in self._permits.wanted():
                self._greets = False
                await self._make(self._turns.greet())
            match item:
                case None:
                    await self._make(self._turns.tick(now))
                case Percept():
                    percept = self._permits.permitted(item)
                    if percept is not None:
                        await self._take_in(percept, now)
                case Text():
                    await self._make(self._turns.typed(item, now))
                case Signal():
                    await self._signalled(item, now)
            for lost in self._permits.lost(now):
                self._record(lost)
                self._context.note(lost)
                self._unasked.saw(lost, now)
            for note in self._unasked.gaps.step(now, self._permits.allowed):
                self._record(note)
            await self._reacting.tick(now, replying=self._reply is not None)
            for metric in self._vitals.step(now):
                self._record(metric)
            await self._take_initiative(now)
            if self._reply is None:
                self._preparing.read_along(now, self._group, lambda: self._window(hearing=self._turns.hearing))

    async def _next(self) -> _Item | None:
        """Wait for the next item, or until something is due."""
        now = self._clock.now()
        due = now + SECOND // 2
        for deadline in (self._turns.deadline(), self._reacting.deadline()):
            if deadline is not None:
                due = min(due, max(deadline, now + MS))
        try:
            async with asyncio.timeout((due - now) / SECOND):
                return await self._items.get()
        except TimeoutError:
            return None

    async def _take_in(self, percept: Percept, now: Nanos) -> None:
        self._record(percept)
        self._vitals.saw(percept)
        self._unasked.saw(percept, now)
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
        await self._reacting.step(percept, now, self._group, replying=self._reply is not None)
        if percept.kind in _PREPARING:
            self._preparing.touch()
        await self._make(moves)

    async def _signalled(self, signal: Signal, now: Nanos) -> None:
        match signal.kind:
            case "stop":
                await self._make([GiveWay(STOPPED, now)])
            case "push_to_talk":
                await self._make(self._turns.push_to_talk(signal.enabled, signal.held, now))
            case "closing":
                self._record(Note("closing", data={"seconds": round(as_seconds(signal.left))}))
                self._unasked.farewell.begin(now, signal.left)
            case _:
                self._permits.notice()

    async def _forget(self) -> None:
        """Let go of all that rests on senses that the person took back."""
        await self._preparing.stop_reading()
        await self._preparing.scrap()
        if not self._permits.keeps_words():
            await self._drop(cut=True)
            self._turns = TurnTaker(self._options.turns)
        unlearn(self._context, self._permits.allowed, self._parts.workers)
        self._unasked.forget()
        self._reacting.forget()
        self._renewing.renew()
        self._preparing.touch()

    # Moves.

    async def _make(self, moves: Sequence[Move]) -> None:
        for move in moves:
            now = self._clock.now()
            match move:
                case Consider():
                    await self._consider(move, now)
                case Draft(turn):
                    await self._draft(turn)
                case Scrap():
                    await self._preparing.scrap()
                case _ if self._only_questions or self._unasked.insists(self._reply, move):
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
        drafted = await self._preparing.take(move.turn)
        await self._preparing.stop_reading()
        if move.question is not None:
            self._context.note(move.question)
            self._record(Turn("user", move.question.text, move.question.at, move.question.at))
        if move.turn is not None:
            self._say_turn(move.turn)
            await self._transport.send(Caption("user", move.turn.text, final=True))
        if drafted is None:
            self._reply = reply = self._begin(move)
        else:
            self._reply = reply = drafted[0]
        if move.ended:
            self._record(Metric("end_of_turn", as_seconds(move.ended), reply.number))
            self._record(Metric("words", as_seconds(move.words), reply.number))
        for metric in self._vitals.ages(now, reply.number):
            self._record(metric)
        self._turns.reply_began(now)
        self._reacting.reflex.turn_taken(move.told)
        self._reacting.reflex.agent_speaks(True)
        self._state("thinking")
        if drafted is None:
            self._reply_task = self._group.create_task(self._run(reply), name=f"reply:{reply.number}")
        else:
            self._reply_task = drafted[1]
            reply.let_out()

    async def _draft(self, turn: Turn) -> None:
        # What sounds like danger is weighed once, at the turn's end: a voice that breaks until then counts.
        if not self._only_questions and check_patterns(turn.text) is None:
            reply = self._begin(Consider(CUE_END_OF_TURN, turn), waits=True)
            await self._preparing.draft(reply, self._group, self._run(reply))

    def _begin(self, move: Consider, *, waits: bool = False) -> Reply:
        """Make the reply to a move, or one that waits, to a turn that is perhaps over."""
        window = self._window(move.cue, self._turns.hearing if move.question is not None else "")
        if waits and move.turn is not None:
            window = replace(window, entries=(*window.entries, move.turn))
        return Reply(
            self._next_number(),
            window,
            move.turn.end if move.turn is not None else window.end,
            session=self._unasked.session(move.cue) or self._session,
            mouth=self._mouth,
            transport=self._transport,
            clock=self._clock,
            record=self._record,
            options=self._options.reply,
            audible=self._audible,
            answers=move.turn,
            waits=waits,
        )

    def _window(self, cue: str = CUE_NOTHING, hearing: str = "") -> ContextWindow:
        return self._context.window(self._clock.now(), cue=cue, hearing=hearing, refused=self._permits.refused())

    def _next_number(self) -> int:
        self._replies += 1
        return self._replies

    async def _take_initiative(self, now: Nanos) -> None:
        talking = self._turns.person_speaking or bool(self._turns.hearing)
        if cue := self._unasked.due(now, replying=self._reply is not None, talking=talking):
            await self._make([Consider(cue)])

    async def _run(self, reply: Reply) -> None:
        await reply.run()
        if self._reply is reply:
            self._close_reply(reply, cut=reply.stalled)

    def _close_reply(self, reply: Reply, *, cut: bool) -> Turn | None:
        self._reply = self._reply_task = None
        self._turns.reply_ended(self._clock.now())
        self._reacting.reflex.agent_speaks(False, self._clock.now(), reply.emotion)
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
            await self._transport.send(Caption("agent", written(turn.text), final=True, reply=reply.number, cut=True))

    def _audible(self) -> None:
        self._turns.voice_began()
        self._state("speaking")

    # Out: events.

    def _say_turn(self, turn: Turn) -> None:
        self._context.note(turn)
        self._turns.told(turn)
        self._unasked.told(turn, self._clock.now())
        self._record(turn)

    def _state(self, state: str) -> None:
        self._record(Note("state", data={"state": state}))

    def _measure(self, name: str, value: Nanos) -> None:
        self._record(Metric(name, as_seconds(value), self._reply.number if self._reply else 0))

    def _record(self, body: Body) -> None:
        if isinstance(body, Note) and body.event == "safety":
            self._unasked.farewell.danger = True
        self._disclosing.saw(body)
        event = Event(self._clock.now(), body)
        for sink in self._sinks:
            sink(event)
        self._transport.tell(event)

    def _busy(self) -> bool:
        return self._senses.busy or not self._items.empty() or self._reply is not None
