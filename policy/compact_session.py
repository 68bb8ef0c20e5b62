"""One call of the embedded mind: it reads along and drafts, then chooses, writes, and lets the gate judge."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from perception.context import CUE_END_OF_TURN, CUE_QUESTION, ContextWindow
from policy.answer import Considered, opening, spoken, words
from policy.choosing import evidence_of, settle
from policy.cues import cues_of
from policy.decision import LEARNED_EMOTIONS, Decision, Speak, Wait
from policy.hearing import Hearing
from policy.mind import Mind
from policy.parse import Clauses
from policy.prompt import SYSTEM, Question, question_of
from policy.script import Piece, answering, script
from policy.script import asking as putting
from policy.words import tokens
from policy.writer import Chat, Stopped, asking, conversation, cue, reply_to

if TYPE_CHECKING:
    from policy.listener import Felt

T = TypeVar("T")

_MOST_WRITTEN: Final = 64
"""Tokens of a ``generated`` answer."""

_LEAST_AHEAD: Final = 3
"""Words from which what would be answered now is worked out ahead."""

MOST_SAID: Final = 48
"""Tokens of a reply; what can be listened to in one go is shorter."""


class Host(Protocol):
    """What a session needs of the policy that made it."""

    mind: Mind
    generate: str
    answers: str

    async def think(self, work: Callable[[], T]) -> T:
        """Run the quick part of the work off the loop: strategy, cues, choice of a line."""
        ...

    async def write(self, work: Callable[[], T]) -> T:
        """Run the slow part of the work off the loop, in order: reading and writing with the language model."""
        ...

    def write_later(self, work: Callable[[], object]) -> None:
        """Run ``work`` after what is being read and written, without waiting for it."""
        ...


class CompactSession:
    """See :class:`policy.backends.Session`; made by :meth:`policy.backends.compact.Compact.session`."""

    def __init__(self, policy: Host) -> None:
        self._policy = policy
        self._mind = mind = policy.mind
        writer = mind.writer
        self._listening: Chat | None = writer.blank() if writer is not None and mind.listens else None
        self._hearing = Hearing(mind.ears) if mind.ears is not None else None
        untrained = writer is not None and not mind.listens and policy.generate != "off"
        self._chat: Chat | None = writer.chat() if writer is not None and untrained else None
        asks = policy.answers in {"likelihood", "generated"}
        self._answering: Chat | None = writer.blank() if writer is not None and asks else None
        self._draft: tuple[int, ...] = ()
        self._reading = Event()
        self._writing = Event()

    async def prepare(self, window: ContextWindow, /) -> None:
        """Embed the running words; read what is new into the model's cache, and draft an answer to it."""
        await self._policy.think(partial(self._read_ahead, window))
        stop = self._reading = Event()
        try:
            if self._listening is not None:
                await self._draft_answer(window, stop)
            if self._chat is not None:
                await self._policy.write(partial(_read, self._chat, conversation(window), stop))
            if self._answering is not None:
                await self._policy.write(partial(_read, self._answering, asking(window, SYSTEM), stop))
        finally:
            stop.set()

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
        """Yield the look, then the words by sentences, or waiting; of a question with a form only the answer."""
        self._reading.set()
        self._writing.set()
        stop = self._writing = Event()
        try:
            question = question_of(window) if window.cue == CUE_QUESTION else None
            if question is not None:
                yield await self._answer(question, window, stop)
                return
            rows = await self._listen(window, stop) if window.cue == CUE_END_OF_TURN else None
            considered, lines = await self._policy.think(partial(self._choose, window, rows))
            for decision in opening(considered):
                yield decision
            writes = self._chat is not None or (self._listening is not None and self._policy.generate != "off")
            if not writes or not considered.choice.free or considered.choice.wait:
                for clause in lines:
                    yield clause
                return
            async with aclosing(self._with_model(window, considered, lines, stop)) as written:
                async for clause in written:
                    yield clause
        finally:
            stop.set()

    async def close(self) -> None:
        """Stop what runs and free the cache."""
        self._reading.set()
        self._writing.set()
        self._chat = self._answering = self._listening = self._hearing = None

    async def _listen(self, window: ContextWindow, stop: Event) -> list[float] | None:
        """Return the adapter's scores of strategies and emotions; ``None`` without one, or if stopped."""
        chat = self._listening
        if chat is None:
            return None

        def rows() -> list[float] | None:
            try:
                chat.read([*self._script(window), answering()], stop)
                return chat.rows()
            except Stopped:
                return None

        return await self._policy.write(rows)

    async def _draft_answer(self, window: ContextWindow, stop: Event) -> None:
        """Read ``window``, and in a pause of the person write what would be answered if it were the end."""
        cues = cues_of(window)
        if cues.talking or len(tokens(cues.words)) < _LEAST_AHEAD or self._policy.generate != "first":
            chat = self._listening
            if chat is not None:
                await self._policy.write(partial(_read, chat, self._script(window), stop))
            return
        rows = await self._listen(window, stop)
        ended = replace(window, cue=CUE_END_OF_TURN)
        considered, _ = await self._policy.think(partial(self._choose, ended, rows))
        if considered.choice.free and not considered.choice.wait and not stop.is_set():
            await self._policy.write(partial(self._write_draft, considered, stop))

    def _write_draft(self, considered: Considered, stop: Event) -> None:
        """Write behind what :meth:`_listen` has read. Runs off the loop."""
        chat = self._listening
        if chat is None:
            return
        with suppress(Stopped):
            deque(chat.write(stop, MOST_SAID, lead=lead_of(considered), draft=self._draft), maxlen=0)
        self._draft = tuple(chat.written)

    def _script(self, window: ContextWindow) -> tuple[Piece, ...]:
        return script(window, self._hearing.of(window) if self._hearing is not None else None)

    async def _answer(self, question: Question, window: ContextWindow, stop: Event) -> Decision:
        if self._policy.answers in {"likeness", "fit"}:
            fits = None
            if self._policy.answers == "fit" and question.options:
                fits = await self._policy.write(partial(self._fits, question, window, stop))
            answered = await self._policy.think(partial(self._mind.chooser.answer, question, window, fits))
            return answered.speak(question)
        by = self._by_likelihood if self._policy.answers == "likelihood" else self._in_own_words
        found = await self._policy.write(partial(by, question, window, stop))
        return Wait(reason="The language model came to no answer.", confidence=0.0) if found is None else found

    def _fits(self, question: Question, window: ContextWindow, stop: Event) -> list[float] | None:
        """Return how well each option fits; ``None`` if stopped. Runs off the loop."""
        chat = self._listening
        if chat is None:
            return None
        try:
            chat.read([*self._script(evidence_of(question, window).window), putting(question)], stop)
            return chat.fits(question.choices, stop)
        except Stopped:
            return None

    def _by_likelihood(self, question: Question, window: ContextWindow, stop: Event) -> Speak | None:
        """Compare the candidates' likelihoods with and without the context; ``None`` if stopped. Runs off the loop."""
        chat, writer = self._answering, self._mind.writer
        if chat is None or writer is None:
            return None
        bare = ContextWindow(start=question.at, end=question.at, entries=(window.entries[question.place],))
        endings = [f" {candidate}" for candidate in question.candidates]
        try:
            with_context, without = (
                _likelihoods(c, [*asking(w, SYSTEM), reply_to("Answer:")], endings, stop)
                for c, w in ((chat, window), (writer.blank(), bare))
            )
        except Stopped:
            return None
        gains = [with_context[ending] - without[ending] for ending in endings]
        why = "What was perceived makes it likelier than the question alone does."
        return settle(question, gains, evidence_of(question, window), why, heat=1.0).speak(question)

    def _in_own_words(self, question: Question, window: ContextWindow, stop: Event) -> Speak | None:
        """Write an answer; ``None`` if stopped, or if nothing was written. Runs off the loop."""
        if self._answering is None:
            return None
        try:
            self._answering.read([*asking(window, SYSTEM), reply_to()], stop)
            text = "".join(self._answering.write(stop, _MOST_WRITTEN))
        except Stopped:
            return None
        evidence = evidence_of(question, window).percepts
        reason = "So the language model goes on from what was perceived."
        return (
            Speak(text=text, strategy="information", reason=reason, evidence=evidence, confidence=0.5) if text else None
        )

    def _read_ahead(self, window: ContextWindow) -> None:
        cues = cues_of(window)
        if len(tokens(cues.words)) >= _LEAST_AHEAD:
            self._mind.consider(window)

    def _choose(self, window: ContextWindow, rows: Sequence[float] | None) -> tuple[Considered, list[Speak]]:
        considered = self._mind.consider(window, rows)
        said = considered.cues.words
        return considered, list(words(considered, partial(self._mind.rank, said) if said else None))

    async def _with_model(
        self, window: ContextWindow, considered: Considered, lines: Sequence[Speak], stop: Event
    ) -> AsyncGenerator[Speak]:
        first = self._policy.generate == "first"
        if not first:
            for clause in lines:
                yield clause
        said = [*considered.cues.agent, *([] if first else [clause.text for clause in lines])]
        strategy = considered.choice.strategy if first else "reflection"
        spoke = False
        if self._listening is not None:
            async with aclosing(self._written(considered, strategy, said, stop)) as texts:
                async for text in texts:
                    spoke = True
                    yield spoken(considered.choice, text, strategy=strategy)
        else:
            text = await self._policy.write(partial(self._write, window, considered, strategy, said, stop))
            if text:
                spoke = True
                yield spoken(considered.choice, text, strategy=strategy)
        if first and not spoke:
            for clause in lines:
                yield clause

    async def _written(
        self, considered: Considered, strategy: str, said: list[str], stop: Event
    ) -> AsyncGenerator[str]:
        """Yield sentences as they are written, up to the first that does not pass the gate."""
        chat = self._listening
        if chat is None:
            return
        pieces = chat.write(stop, MOST_SAID, lead=lead_of(considered, strategy), draft=self._draft)
        clauses = Clauses()
        try:
            while not clauses.ended:
                found = await self._policy.write(partial(_next_clauses, pieces, clauses))
                for clause in found:
                    if not await self._policy.think(partial(self._passes, clause, considered, strategy, said)):
                        return
                    said.append(clause)
                    yield clause
        except Stopped:
            return
        finally:
            # Whoever closes or cancels this does not wait for the token that is being written.
            stop.set()
            self._draft = ()
            self._policy.write_later(pieces.close)

    def _passes(self, clause: str, considered: Considered, strategy: str, said: Sequence[str]) -> bool:
        cues, choice = considered.cues, considered.choice
        return self._mind.gate.judge(
            clause,
            words=cues.words,
            before=cues.before,
            mood=choice.mood,
            strategy="" if "?" in clause or strategy == "question" else strategy,
            said=said,
            advice=strategy == "suggestion",
        ).ok

    def _write(
        self, window: ContextWindow, considered: Considered, strategy: str, said: Sequence[str], stop: Event
    ) -> str:
        """Write one sentence without an adapter and judge it; ``""`` if it does not pass or was stopped."""
        chat = self._chat
        if chat is None:
            return ""
        clauses, found = Clauses(), list[str]()
        try:
            chat.read([*conversation(window), cue(strategy)], stop)
            for piece in chat.write(stop):
                found = clauses.push(piece)
                if found or clauses.ended:
                    break
        except Stopped:
            return ""
        clause = (found or clauses.flush() or [""])[0]
        return clause if self._passes(clause, considered, strategy, said) else ""


def lead_of(considered: Considered, strategy: str = "") -> tuple[Felt, Felt]:
    """Return the rows that a reply is written after."""
    from policy.listener import row

    emotion = considered.choice.emotion
    return row(strategy or considered.choice.strategy), row(emotion if emotion in LEARNED_EMOTIONS else "concern")


def _next_clauses(pieces: Iterator[str], clauses: Clauses) -> list[str]:
    """Write on until something can be said. Runs off the loop."""
    for piece in pieces:
        found = clauses.push(piece)
        if found or clauses.ended:
            return found
    return clauses.flush()


def _likelihoods(chat: Chat, text: Sequence[str], endings: Sequence[str], stop: Event) -> dict[str, float]:
    chat.read(text, stop)
    return chat.likelihoods(endings, stop)


def _read(chat: Chat, text: Sequence[str | Piece], stop: Event) -> None:
    try:
        chat.read(text, stop)
    except Stopped:
        return
