"""One call of the omni policy: it reads along while the person speaks, and reads only the tail when they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Final, Protocol, TypeVar

from perception.context import CUE_QUESTION, ContextWindow
from perception.timebase import SECOND, Nanos
from policy.cues import cues_of
from policy.decision import Speak, Step
from policy.form import SYSTEM, Form, Garbled, request
from policy.given import Given, given
from policy.guard import Guard
from policy.omni import writing
from policy.omni.grammar import Grammar
from policy.omni.memory import Memory, Stopped
from policy.omni.store import Store
from policy.omni.thinker import Piece, Thinker, asking, script
from policy.prompt import Line, question_of
from policy.reel import Part, Reel, Sampling, Sight, Sound

T = TypeVar("T")

THOUGHT: Final = 1024
"""Tokens of an answer to a question that wants to be thought through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the policy answers.

    Attributes:
        thinks: whether it reasons before it decides.
        enhanced: whether it is told what to look for, after the paper's training-free enhancement.
        think_tokens: most tokens of a thought.
        think_time: most time of a thought; what is decided then rests on what was thought so far.
        answer_tokens: most tokens of an answer to a question.
    """

    thinks: bool = False
    enhanced: bool = False
    think_tokens: int = 160
    think_time: Nanos = 2 * SECOND
    answer_tokens: int = 64


class Host(Protocol):
    """What a session needs of the policy that made it."""

    thinker: Thinker
    grammar: Grammar
    guard: Guard
    manner: Manner
    sampling: Sampling

    async def work(self, work: Callable[[], T]) -> T:
        """Run work of the model off the loop, in order."""
        ...

    async def judge(self, work: Callable[[], T]) -> T:
        """Run work of the guard off the loop, in order, and not behind the model."""
        ...

    def later(self, work: Callable[[], object]) -> None:
        """Run ``work`` after what was asked for before, without waiting for it."""
        ...

    def borrow(self) -> Store:
        """Return an empty store."""
        ...

    def give_back(self, store: Store) -> None:
        """Take a store back."""
        ...


class OmniSession:
    """See :class:`policy.backends.Session`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._store = host.borrow()
        self._memory = Memory(host.thinker, self._store)
        self._reel = Reel(host.sampling, self._weigh)
        self._reading = Event()
        self._writing = Event()
        self.given: Given | None = None
        """What the last answer was asked with."""

    async def prepare(self, window: ContextWindow, /) -> None:
        """Send what is new through the towers and into the cache."""
        stop = self._reading = Event()
        try:
            await self._host.work(partial(self._read, window, stop))
        finally:
            stop.set()

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Step]:
        """Yield the thought, the look, and the words by sentences; of a question with a form only the answer."""
        self._reading.set()
        self._writing.set()
        stop = self._writing = Event()
        try:
            if window.cue == CUE_QUESTION and question_of(window) is not None:
                yield await self._answer(window, stop)
                return
            curated = await self._host.judge(partial(self._host.guard.curated, window))
            if curated is not None:
                for decision in curated:
                    yield decision
                return
            watch = self._host.guard.watch(window)
            hurry = Event()
            time = self._host.manner.think_time / SECOND
            timer = asyncio.get_running_loop().call_later(time, hurry.set)
            steps = self._steps(window, stop, hurry)
            try:
                while (step := await self._host.work(partial(next, steps, None))) is not None:
                    instead = await self._host.judge(partial(self._host.guard.instead, window, step))
                    if instead is not None:
                        for decision in instead:
                            yield decision
                        return
                    if not await self._host.judge(partial(watch.allows, step)):
                        return
                    yield step
            except Stopped:
                return
            finally:
                # Whoever closes or cancels this does not wait for the token that is being written.
                timer.cancel()
                stop.set()
                self._host.later(partial(_end, steps, self._memory))
        finally:
            stop.set()

    async def close(self) -> None:
        """Stop what runs and give the cache back."""
        self._reading.set()
        self._writing.set()
        memory, store, host = self._memory, self._store, self._host

        def free() -> None:
            memory.clear()
            host.give_back(store)

        host.later(free)

    def _weigh(self, part: Part) -> int:
        thinker = self._host.thinker
        return len(thinker.layout.encode(part.text)) + 2 if isinstance(part, Line) else thinker.tokens(part)

    def _pieces(self, window: ContextWindow, *, ends: bool) -> list[Piece]:
        """Take the window in. Runs off the loop, as all that reads words or media."""
        parts = self._reel.take(window, ends=ends)
        if ends:
            self.given = given(parts, SYSTEM)
        return script(parts, self._host.thinker.layout, SYSTEM)

    def _read(self, window: ContextWindow, stop: Event) -> None:
        try:
            self._sync(self._pieces(window, ends=False), stop)
        except Stopped:
            return

    def _sync(self, pieces: Sequence[Piece], stop: Event) -> None:
        try:
            self._memory.sync(pieces, stop)
            for piece in pieces:
                if isinstance(piece, Sight | Sound):
                    piece.release()
        except Stopped:
            raise
        except BaseException:
            # Whatever failed, such as a lack of memory: the next attempt begins from nothing.
            self._memory.clear()
            raise

    def _steps(self, window: ContextWindow, stop: Event, hurry: Event) -> Generator[Step]:
        """Read the tail and write a decision, step by step. Runs off the loop."""
        host, layout = self._host, self._host.thinker.layout
        manner = host.manner
        text = request(window, think=manner.thinks, enhanced=manner.enhanced)
        self._sync([*self._pieces(window, ends=True), asking(layout, text)], stop)
        answer = self._memory.write()
        form = Form(window, thinks=manner.thinks)
        if manner.thinks:
            for piece in writing.think(answer, layout, stop, hurry, manner.think_tokens):
                yield from form.push(piece)
        surest = 1.0
        for piece, sure in writing.decide(answer, layout, host.grammar, stop):
            if not form.decided:
                surest = form.confidence = surest * sure
            yield from form.push(piece)
        yield from form.finish()

    async def _answer(self, window: ContextWindow, stop: Event) -> Speak:
        """Answer a question in the form that it names, in the model's own words."""
        layout, manner = self._host.thinker.layout, self._host.manner
        question = question_of(window)
        most = THOUGHT if question is not None and "<think>" in question.text else manner.answer_tokens

        def written() -> str:
            self._sync([*self._pieces(window, ends=True), asking(layout, "")], stop)
            return "".join(writing.answer(self._memory.write(), layout, stop, most))

        try:
            text = await self._host.work(written)
        finally:
            stop.set()
            self._host.later(self._memory.forget_answer)
        if not text.strip():
            raise Garbled("the model ended its answer before it began")
        reason = "So the model goes on from what it saw and heard."
        evidence = cues_of(window).evidence
        return Speak(text=text, strategy="information", reason=reason, evidence=evidence, confidence=0.5)


def _end(steps: Generator[Step], memory: Memory) -> None:
    steps.close()
    memory.forget_answer()
