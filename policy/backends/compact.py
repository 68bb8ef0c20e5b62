"""The default policy: a small omni model trained to listen, on the CPU, rules in front and curated lines behind.

While the person speaks, ``prepare`` reads words, looks, tone and sound into the key/value cache of SmolLM2-135M with
its adapter (:mod:`policy.listener`). At the end of a turn the model scores strategies and display emotions; a small
head over sentence embeddings (:mod:`policy.head`) is its prior, and rules that always hold (:mod:`policy.strategy`)
stand in front of both. Then the curated line of that mood and strategy that goes best with the words is said.

``adapter`` is ``shipped``, a folder, or ``none``: then the head alone chooses, and half the memory is enough.

``generate`` says what the language model may write, behind the rows of the chosen strategy and emotion; a draft that is
written in a pause is kept as far as it still holds, and each sentence has to pass :mod:`policy.gate`:

* ``off`` (default): nothing;
* ``after_first``: the curated line is spoken at once, and a second sentence is written meanwhile;
* ``first``: it writes the answer; the curated line is said where the first sentence does not pass.

Why ``off``: what it writes is short, safe by the rules and takes up the person's own words, but read one by one too
much of it misses the sense (docs/training.md has sixty replies with their marks). The other settings are there for
weights of your own.

``answers`` says how a benchmark's question is answered, one that names the form of its answer:

* ``fit`` (default): by measures where a sense measures what is asked (:mod:`policy.choosing`), else the option that
  the adapter finds most fitting;
* ``likeness``: by measures and by likeness to what was perceived, without a language model;
* ``likelihood``: the letter, number or word gains whose likelihood the context raises the most over the bare question;
* ``generated``: what the model writes in up to 64 tokens is given back as it is.

A sense that was refused or is lost gives nothing to read: without camera and microphone the model goes on words alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from policy.backends import Resolve
from policy.compact_session import CompactSession
from policy.embedding import Embedder
from policy.lm import ADAPTER, LanguageModel
from policy.mind import Mind
from policy.prompt import SYSTEM
from policy.sound import MODEL as EARS
from policy.sound import Ears
from policy.words import load_table
from policy.writer import Writer
from policy.writer import opening as chat_opening

GENERATE: Final = ("off", "after_first", "first")
ANSWERS: Final = ("fit", "likeness", "likelihood", "generated")
SHIPPED, NONE = "shipped", "none"


T = TypeVar("T")


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

    @property
    def embed(self) -> Embedder:
        """The sentence encoder, for whatever else in the process compares sentences."""
        return self.mind.embed

    def session(self) -> CompactSession:
        """Begin a call."""
        return CompactSession(self)

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

    def write_later(self, work: Callable[[], object]) -> None:
        """Run ``work`` after what is being read and written, without waiting for it."""
        self._writing.submit(work)


class OptionError(ValueError):
    """An option of the policy that cannot be."""


def load(
    *,
    resolve: Resolve,
    generate: str = "off",
    threads: int = 1,
    answers: str = "fit",
    adapter: str = SHIPPED,
    int8: bool = False,
    hears: bool = True,
) -> Compact:
    """Load the models and return the policy.

    Args:
        resolve: gives ``minilm``, ``smollm2`` where the language model is used, and ``whisper-tiny-en`` where it hears.
        generate: ``off``, ``after_first`` or ``first``; see the module.
        threads: threads for one operation of a model, 1 or 2; perception shares the same cores.
        answers: ``fit``, ``likeness``, ``likelihood`` or ``generated``; see the module.
        adapter: ``shipped``, ``none``, or a folder.
        int8: whether the language model's matrices are kept as eight-bit integers: twice as fast, for a small loss.
        hears: whether the language model takes in sound itself, beside the words and the tone of voice.

    Raises:
        OptionError: an option is out of range, or the adapter is of another base or version.
    """
    if generate not in GENERATE:
        raise OptionError(f"generate = {generate!r} is none of {', '.join(GENERATE)}")
    if answers not in ANSWERS:
        raise OptionError(f"answers = {answers!r} is none of {', '.join(ANSWERS)}")
    if not 1 <= threads <= 64:
        raise OptionError(f"threads = {threads} is not within 1..64")
    with ThreadPoolExecutor(1, initializer=_use_threads, initargs=(threads,)) as loading:
        mind = loading.submit(_load, resolve, generate, answers, adapter, int8, hears).result()
    return Compact(mind, generate, threads, answers)


def _load(resolve: Resolve, generate: str, answers: str, adapter: str, int8: bool, hears: bool) -> Mind:
    embed = Embedder(resolve("minilm"))
    if adapter != NONE:
        from policy.listener import AdapterError, BaseMismatch

        folder = ADAPTER if adapter == SHIPPED else Path(adapter)
        try:
            model = LanguageModel(resolve("smollm2"), folder, int8=int8)
        except (AdapterError, BaseMismatch) as error:
            raise OptionError(f"adapter = {adapter!r}: {error}") from error
        return Mind(embed, Writer(model), Ears(resolve(EARS)) if hears else None)
    if generate == "off" and answers in {"fit", "likeness"}:
        return Mind(embed)
    entries = load_table("examples")["example"] if generate != "off" else []
    shots = [(entry["lines"], entry["strategy"], entry["answer"]) for entry in entries]
    return Mind(embed, Writer(LanguageModel(resolve("smollm2"), int8=int8), chat_opening(SYSTEM, shots)))


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)
