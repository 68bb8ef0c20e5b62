"""The default policy: small models on the CPU choose, curated lines speak, a small language model may add to them.

At the end of a turn MiniLM reads mood and act off the words, a small trained head weighs words, face and voice together
(:mod:`policy.head`) under rules that always hold (:mod:`policy.strategy`), and the curated line of that mood and
strategy that goes best with the words is said.
What was embedded while the person still spoke (:meth:`prepare`) is not embedded again.

``generate`` says what SmolLM2-135M may do; it continues a chat of examples conditioned on the strategy, its
key/value cache is kept across turns and filled by ``prepare``, and each clause must pass :mod:`policy.gate`:

* ``off`` (default): nothing; it is not even loaded;
* ``after_first``: the curated line is spoken at once, and a second sentence is written meanwhile and said if it
  passes;
* ``first``: it writes the answer; the curated line is said if nothing passes.

Why ``off``: of some 45 replies that the untrained model wrote to held-out situations, about 5 were fit to be said, none
of them better than the curated line, and several were cruel by accident ("Your old cat didn't wake up, that's a
sad story."). The gate stops those, and nearly all of the rest: 1 of 31 passed. Measured with one thread on two
cores (``benchmarks/thinking.py``): first clause 29 ms after the end of the turn, 7 ms when the words were
prepared; the model's first token 490 ms with the cache kept (37 of 625 tokens left to read) against 2.9 s without,
and its whole sentence 1.9 s. Two threads gain nothing (614 ms). The other settings are there for weights that were
trained for this.

``answers`` says how a benchmark's question is answered, one that names the form of its answer:

* ``likeness`` (default): by :mod:`policy.choosing`, from what was perceived, without a language model;
* ``likelihood``: SmolLM2 reads the context and the question, and the letter, number or word gains whose likelihood
  the context raises the most over the bare question;
* ``generated``: what SmolLM2 writes in up to 64 tokens is given back as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Final, TypeVar

from perception.context import CUE_QUESTION, ContextWindow
from policy import replies
from policy.answer import Considered, consider, opening, spoken, words
from policy.backends import Resolve
from policy.choosing import Chooser, evidence_of, settle
from policy.cues import cues_of
from policy.decision import Decision, Speak, Wait
from policy.embedding import Embedder
from policy.gate import Gate
from policy.head import Head
from policy.head import texts_of as needed_by_head
from policy.parse import Clauses
from policy.prompt import SYSTEM, Question, question_of
from policy.reading import PrototypeReader
from policy.reading import texts_of as needed_by_reader
from policy.safety import Lookout
from policy.safety import texts_of as needed_by_lookout
from policy.words import load_table, tokens
from policy.writer import Chat, Stopped, Writer, asking, conversation, cue, reply_to
from policy.writer import opening as chat_opening

GENERATE: Final = ("off", "after_first", "first")
ANSWERS: Final = ("likeness", "likelihood", "generated")

_MOST_WRITTEN: Final = 64
"""Tokens of a ``generated`` answer."""

T = TypeVar("T")


class Mind:
    """The weights that all calls share."""

    def __init__(self, embed: Embedder, writer: Writer | None) -> None:
        self.embed = embed
        self.reader = PrototypeReader(embed)
        self.lookout = Lookout(embed)
        self.gate = Gate(embed)
        self.chooser = Chooser(embed, self.reader, self.lookout)
        self.head: Head | None = Head(embed)
        self.writer = writer
        embed.keep(replies.lines())

    def consider(self, window: ContextWindow) -> Considered:
        """Read the window and choose. All that must be embedded is embedded in one batch."""
        cues = cues_of(window)
        if cues.words:
            needed = [*needed_by_reader(cues.words, cues.before), *needed_by_lookout(cues.words)]
            self.embed([*needed, *(needed_by_head(cues) if self.head is not None else [])])
        return consider(window, self.reader, self.lookout, self.head.lean if self.head is not None else None)

    def rank(self, said: str, lines: Sequence[str]) -> Mapping[str, float]:
        """Return how near each line is to what the person said."""
        vectors = self.embed([said, *lines])
        return dict(zip(lines, map(float, vectors[1:] @ vectors[0]), strict=True))


class _Session:
    def __init__(self, policy: Compact) -> None:
        self._policy = policy
        self._mind = policy.mind
        writer = policy.mind.writer
        self._chat: Chat | None = writer.chat() if writer is not None and policy.generate != "off" else None
        self._answering: Chat | None = writer.blank() if writer is not None and policy.answers != "likeness" else None
        self._reading = Event()
        self._writing = Event()

    async def prepare(self, window: ContextWindow, /) -> None:
        """Embed the running words and, where a model writes, read the new lines into its cache."""
        await self._policy.think(partial(self._read_ahead, window))
        stop = self._reading = Event()
        try:
            if self._chat is not None:
                await self._policy.write(partial(_read, self._chat, conversation(window), stop))
            if self._answering is not None:
                await self._policy.write(partial(_read, self._answering, asking(window, SYSTEM), stop))
        finally:
            stop.set()

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Decision]:
        """Yield the look, then the words clause by clause, or waiting; of a question with a form only the answer."""
        self._reading.set()
        self._writing.set()
        stop = self._writing = Event()
        try:
            question = question_of(window) if window.cue == CUE_QUESTION else None
            if question is not None:
                yield await self._answer(question, window, stop)
                return
            considered, lines = await self._policy.think(partial(self._choose, window))
            for decision in opening(considered):
                yield decision
            if self._chat is None or not considered.choice.free or considered.choice.wait:
                for clause in lines:
                    yield clause
                return
            async for clause in self._with_model(window, considered, lines, stop):
                yield clause
        finally:
            stop.set()

    async def close(self) -> None:
        """Stop what runs and free the cache."""
        self._reading.set()
        self._writing.set()
        self._chat = self._answering = None

    async def _answer(self, question: Question, window: ContextWindow, stop: Event) -> Decision:
        if self._policy.answers == "likeness":
            answered = await self._policy.think(partial(self._mind.chooser.answer, question, window))
            return answered.speak(question)
        by = self._by_likelihood if self._policy.answers == "likelihood" else self._in_own_words
        found = await self._policy.write(partial(by, question, window, stop))
        return Wait(reason="The language model came to no answer.", confidence=0.0) if found is None else found

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
        if len(tokens(cues.words)) >= 3:
            self._mind.consider(window)

    def _choose(self, window: ContextWindow) -> tuple[Considered, list[Speak]]:
        considered = self._mind.consider(window)
        said = considered.cues.words
        return considered, list(words(considered, partial(self._mind.rank, said) if said else None))

    async def _with_model(
        self, window: ContextWindow, considered: Considered, lines: Sequence[Speak], stop: Event
    ) -> AsyncIterator[Speak]:
        first = self._policy.generate == "first"
        if not first:
            for clause in lines:
                yield clause
        said = [*considered.cues.agent, *([] if first else [clause.text for clause in lines])]
        strategy = considered.choice.strategy if first else "reflection"
        text = await self._policy.write(partial(self._write, window, considered, strategy, said, stop))
        if text:
            yield spoken(considered.choice, text, strategy=strategy)
        elif first:
            for clause in lines:
                yield clause

    def _write(
        self, window: ContextWindow, considered: Considered, strategy: str, said: Sequence[str], stop: Event
    ) -> str:
        """Write one sentence and judge it; return ``""`` if it does not pass or was stopped. Runs off the loop."""
        chat, cues, choice = self._chat, considered.cues, considered.choice
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
        advice = strategy == "suggestion"
        verdict = self._mind.gate.judge(
            clause, words=cues.words, mood=choice.mood, strategy=strategy, said=said, advice=advice
        )
        return clause if verdict.ok else ""


class Compact:
    """The policy; see the module. Made by :func:`load`."""

    def __init__(self, mind: Mind, generate: str, threads: int, answers: str = "likeness") -> None:
        self.mind = mind
        self.generate = generate
        self.answers = answers
        self._thinking = ThreadPoolExecutor(1, "compact-think", initializer=_use_threads, initargs=(threads,))
        self._writing = ThreadPoolExecutor(1, "compact-write", initializer=_use_threads, initargs=(threads,))

    @property
    def name(self) -> str:
        """``compact``."""
        return "compact"

    def session(self) -> _Session:
        """Begin a call."""
        return _Session(self)

    def close(self) -> None:
        """End the threads."""
        self._thinking.shutdown(wait=True, cancel_futures=True)
        self._writing.shutdown(wait=True, cancel_futures=True)

    async def think(self, work: Callable[[], T]) -> T:
        """Run the quick part of the work: strategy, cues, choice of a line."""
        return await asyncio.get_running_loop().run_in_executor(self._thinking, work)

    async def write(self, work: Callable[[], T]) -> T:
        """Run the slow part of the work: reading and writing with the language model."""
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)


class OptionError(ValueError):
    """An option of the policy that cannot be."""


def load(*, resolve: Resolve, generate: str = "off", threads: int = 1, answers: str = "likeness") -> Compact:
    """Load the models and return the policy.

    Args:
        resolve: gives ``minilm`` and, where a model writes, ``smollm2``.
        generate: ``off``, ``after_first`` or ``first``; see the module.
        threads: threads for one operation of a model, 1 or 2; perception shares the same cores.
        answers: ``likeness``, ``likelihood`` or ``generated``; see the module.

    Raises:
        OptionError: an option is out of range.
    """
    if generate not in GENERATE:
        raise OptionError(f"generate = {generate!r} is none of {', '.join(GENERATE)}")
    if answers not in ANSWERS:
        raise OptionError(f"answers = {answers!r} is none of {', '.join(ANSWERS)}")
    if not 1 <= threads <= 64:
        raise OptionError(f"threads = {threads} is not within 1..64")
    with ThreadPoolExecutor(1, initializer=_use_threads, initargs=(threads,)) as loading:
        mind = loading.submit(_load, resolve, generate, answers).result()
    return Compact(mind, generate, threads, answers)


def _load(resolve: Resolve, generate: str, answers: str) -> Mind:
    writer = None
    if generate != "off" or answers != "likeness":
        entries = load_table("examples")["example"] if generate != "off" else []
        shots = [(entry["lines"], entry["strategy"], entry["answer"]) for entry in entries]
        writer = Writer(resolve("smollm2"), chat_opening(SYSTEM, shots))
    return Mind(Embedder(resolve("minilm")), writer)


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def _likelihoods(chat: Chat, text: Sequence[str], endings: Sequence[str], stop: Event) -> dict[str, float]:
    chat.read(text, stop)
    return chat.likelihoods(endings, stop)


def _read(chat: Chat, text: Sequence[str], stop: Event) -> None:
    try:
        chat.read(text, stop)
    except Stopped:
        return
