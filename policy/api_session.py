"""One call of a served model: the server reads along while the person speaks, and its answer is spoken as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import structlog

from perception.context import CUE_QUESTION, ContextWindow
from perception.timebase import seconds
from policy.api_client import Client, Limits, Request
from policy.api_errors import ApiError, Refused, Unreadable
from policy.api_events import Delta
from policy.api_messages import Scribe, Written, json_bytes, weigh
from policy.api_reading import Reader, closing, constraint
from policy.choosing import evidence_of
from policy.decision import Speak, Step
from policy.form import SYSTEM
from policy.given import Given, given
from policy.guard import Guard
from policy.prompt import AGENT, Line, Question, question_of
from policy.reel import Part, Reel, Sampling

log = structlog.get_logger(__name__)

T = TypeVar("T")

_NOT_ABOUT_MEDIA: Final = frozenset({401, 403, 429})
"""Refusals that have nothing to do with media that are named by their hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How the server is asked; :func:`policy.backends.openai_api.load` says what each means."""

    url: str
    model: str
    hears: bool = True
    sees: bool = True
    think: bool = False
    enhanced: bool = False
    budget: int = 12_000
    frame_every_s: float = 2.0
    picture_height: int = 360
    warm: bool = True
    media_by_id: bool = False
    structured: str = "json_schema"
    limits: Limits = field(default_factory=Limits)
    answer_s: float = 60.0
    retries: int = 1
    most_tokens: int = 200
    think_tokens: int = 256
    answer_tokens: int = 64
    answer_think_tokens: int = 1024
    seed: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Most tokens of an answer, its thought included."""
        return self.most_tokens + (self.think_tokens if self.think else 0)


class Host(Protocol):
    """What a session needs of the policy that made it."""

    asking: Asking
    client: Client
    guard: Guard

    async def work(self, job: Callable[[], T]) -> T:
        """Run what takes time off the loop, in order."""
        ...


class ApiSession:
    """See :class:`policy.backends.Session`; made by :meth:`policy.backends.openai_api.OpenAIApi.session`."""

    def __init__(self, policy: Host) -> None:
        self._policy = policy
        self._asking = asking = policy.asking
        sampling = Sampling(frame_every=seconds(asking.frame_every_s), budget=asking.budget)
        self._reel = Reel(sampling, weigh(asking.picture_height))
        self._scribe = Scribe(SYSTEM, asking.picture_height)
        self._carried: set[str] = set()
        self._by_id = asking.media_by_id
        self._read: tuple[Part, ...] = ()
        self._warming = self._warned = False
        self.given: Given | None = None
        """What the last answer was asked with."""

    async def prepare(self, window: ContextWindow, /) -> None:
        """Let the server read what is known so far into its caches; say nothing. One at a time, where there is news."""
        if not self._asking.warm or self._warming:
            return
        self._warming = True
        try:
            parts = await self._policy.work(partial(self._take, window, ends=False))
            if not parts or parts == self._read or (isinstance(parts[-1], Line) and parts[-1].role == AGENT):
                return
            async with aclosing(self._ask(parts, "", 1, self._asking.limits, retries=0)) as deltas:
                async for _ in deltas:
                    pass
            self._succeeded(parts)
        except ApiError as error:
            if not self._warned:
                self._warned = True
                log.warning("reading_along_failed", kind=error.kind, error=str(error))
        finally:
            self._warming = False

    async def decide(self, window: ContextWindow, /) -> AsyncGenerator[Step]:
        """Yield thoughts, the look, then the words clause by clause; of a question with a form only the answer.

        Raises:
            ApiError: the server gave no usable answer.
            policy.guard.Withheld: its first words may not be spoken.
        """
        question = question_of(window) if window.cue == CUE_QUESTION else None
        if question is not None:
            yield await self._answer(question, window)
            return
        curated = await self._policy.work(partial(self._policy.guard.curated, window))
        if curated is not None:
            for decision in curated:
                yield decision
            return
        async with aclosing(self._steps(window)) as steps:
            watch = self._policy.guard.watch(window)
            async for step in steps:
                instead = await self._policy.work(partial(self._policy.guard.instead, window, step))
                if instead is not None:
                    for decision in instead:
                        yield decision
                    return
                if not await self._policy.work(partial(watch.allows, step)):
                    return
                yield step

    async def close(self) -> None:
        """Forget the call."""
        self._read = ()
        self._scribe = Scribe(SYSTEM, self._asking.picture_height)

    def _take(self, window: ContextWindow, *, ends: bool) -> tuple[Part, ...]:
        """Return what is to be read. Runs off the loop."""
        asking = self._asking
        audio = window.audio if asking.hears else ()
        frames = window.frames if asking.sees else ()
        return self._reel.take(replace(window, audio=audio, frames=frames), ends=ends)

    async def _steps(self, window: ContextWindow) -> AsyncGenerator[Step]:
        asking = self._asking
        parts = await self._policy.work(partial(self._take, window, ends=True))
        asked = closing(window, think=asking.think, enhanced=asking.enhanced, structured=asking.structured)
        self.given = given(parts, SYSTEM, asked)
        form = constraint(asking.structured, think=asking.think, think_tokens=asking.think_tokens)
        reader = Reader(window, thinks=asking.think, url=asking.url, most=asking.tokens)
        async with aclosing(self._ask(parts, asked, asking.tokens, asking.limits, form=form)) as deltas:
            async for delta in deltas:
                for step in reader.push(delta):
                    yield step
        self._succeeded(parts)
        for step in reader.finish():
            yield step

    async def _answer(self, question: Question, window: ContextWindow) -> Speak:
        """Return what the model writes to a benchmark's question, as it is."""
        asking = self._asking
        parts = await self._policy.work(partial(self._take, window, ends=True))
        self.given = given(parts, SYSTEM)
        most = asking.answer_think_tokens if "<think>" in question.text else asking.answer_tokens
        # Nobody sits and waits for it, and it may be the first that the server reads of a long film.
        limits = replace(asking.limits, first_token=asking.answer_s, total=asking.answer_s)
        text = thought = ""
        async with aclosing(self._ask(parts, "", most, limits)) as deltas:
            async for delta in deltas:
                text += delta.text
                thought += delta.thought
        self._succeeded(parts)
        if thought:
            text = f"<think>{thought}</think>{text}"
        if not text.strip():
            raise Unreadable(f"{asking.url} wrote nothing in answer to a question; read the server's log")
        return Speak(
            text=text,
            strategy="information",
            reason="So the model goes on from what it saw, heard and read.",
            evidence=evidence_of(question, window).percepts,
            confidence=0.5,
        )

    def _succeeded(self, parts: tuple[Part, ...]) -> None:
        self._read, self._warned = parts, False

    async def _ask(
        self,
        parts: tuple[Part, ...],
        asked: str,
        tokens: int,
        limits: Limits,
        *,
        form: Mapping[str, Any] | None = None,
        retries: int | None = None,
    ) -> AsyncGenerator[Delta]:
        """Yield the server's answer; media that it has not kept are sent again."""
        most = self._asking.retries if retries is None else retries
        while True:
            known = frozenset(self._carried) if self._by_id else frozenset[str]()
            job = partial(self._request, parts, asked, known, tokens, limits, form or {}, most)
            written, request = await self._policy.work(job)
            began = False
            try:
                async with aclosing(self._policy.client.ask(request)) as deltas:
                    async for delta in deltas:
                        if not began:
                            began = True
                            self._carried = set(written.media)
                        yield delta
                return
            except Refused as error:
                if began or not written.spared or error.status in _NOT_ABOUT_MEDIA:
                    raise
                self._by_id = False
                log.warning("media_sent_again", error=str(error))

    def _request(
        self,
        parts: tuple[Part, ...],
        asked: str,
        known: Collection[str],
        tokens: int,
        limits: Limits,
        form: Mapping[str, Any],
        retries: int,
    ) -> tuple[Written, Request]:
        """Write a request. Runs off the loop."""
        asking = self._asking
        written = self._scribe.write(parts, asked, known)
        rest = {
            "model": asking.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": tokens,
            "temperature": 0,
            "seed": asking.seed,
            **form,
            **asking.extra,
        }
        # The messages hold megabytes of media that are JSON already.
        body = json_bytes(rest)[:-1] + b',"messages":' + written.messages + b"}"
        return written, Request(body=body, sent=written.texts, limits=limits, retries=retries)
