"""Asks a server for an answer and hands it on while it is being written.

The limits of time are real time, also where the time of a call is virtual (a replay's timers stand still while a
request is under way). So all traffic runs on an event loop of its own, in a thread of its own, and what arrives is
handed to the loop of the call. Closing a :class:`Stream` closes its connection: the server sees at once that nobody
listens any more, and stops writing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import Future
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Final

import httpx
from pydantic_core import from_json

from policy.api_errors import ApiError, Busy, Refused, Stalled, Unreachable, Unreadable, shown, status_error
from policy.api_events import Counts, Delta, Done, Lines, message_of, parse

_AGAIN: Final = (502, 503, 504)
"""Statuses of a server that is starting, or of a proxy in front of it."""

_MOST_CHARACTERS: Final = 65_536
"""Of an answer. It bounds what may wait for a call: a server that goes on for ever is cut off."""

_CLOSING_S: Final = 5.0
_IDLE_S: Final = 60.0
"""How long a connection is kept for the next request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Longest waits, seconds of real time.

    Attributes:
        connect: for a connection.
        first_token: from asking to the first piece of the answer, retries included.
        between_tokens: from one piece to the next.
        total: from asking to the end of the answer.
    """

    connect: float = 2.0
    first_token: float = 4.0
    between_tokens: float = 2.0
    total: float = 20.0

    def __post_init__(self) -> None:
        for name in ("connect", "first_token", "between_tokens", "total"):
            value = getattr(self, name)
            if not 0 < value <= 86_400:
                raise ValueError(f"{name}_s = {value}: it is seconds, more than 0 and at most 86400")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        body: JSON, UTF-8.
        sent: texts in it, which no error message may repeat.
        limits: longest waits.
        retries: how often it is sent again while nothing of an answer has come.
    """

    body: bytes
    sent: tuple[str, ...] = ()
    limits: Limits = Limits()
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was asked so far, by all calls.

    Attributes:
        requests: sent, retries included.
        failures: requests that ended in an error.
        prompt_tokens: of all requests.
        cached_tokens: those of them that the server had not to read again.
        completion_tokens: written.
    """

    requests: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


_Item = Delta | BaseException | None


class Stream(AsyncIterator[Delta]):
    """One answer as it arrives, for the loop that asked. Made by :meth:`Client.ask`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[_Item] = asyncio.Queue()  # holds one answer; see _MOST_CHARACTERS
        self._pump: Future[None] | None = None

    def follow(self, pump: Future[None]) -> None:
        """Name the work that fills this stream."""
        self._pump = pump

    def put(self, item: _Item) -> None:
        """Hand ``item`` to the loop that asked. Called from the thread of the client."""
        with suppress(RuntimeError):  # that loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def __anext__(self) -> Delta:
        item = await self._queue.get()
        if item is None:
            self._pump = None  # it reads to the end of the response by itself, so that the connection can serve again
            raise StopAsyncIteration
        if isinstance(item, BaseException):
            raise item
        return item

    async def aclose(self) -> None:
        """Close the connection, without waiting for it."""
        if self._pump is not None:
            self._pump.cancel()


class Client:
    """Connections to one server, shared by all calls.

    Args:
        url: where the API begins, without a slash at the end.
        key: sent as a bearer token; ``""`` for none.
        model: for error messages.

    The environment is not read: a proxy or a certificate that is set there plays no part.
    """

    def __init__(self, url: str, key: str = "", model: str = "") -> None:
        self._url = url
        self._model = model
        self._headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._usage = Usage()
        self._ready = threading.Event()
        self._pumps: set[Future[None]] = set()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._http: httpx.AsyncClient
        self._thread = threading.Thread(target=self._work, name="api-client", daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def usage(self) -> Usage:
        """What was asked so far."""
        return self._usage

    def ask(self, request: Request) -> Stream:
        """Send ``request``; return its answer, which has to be closed.

        Raises:
            ApiError: from the stream; nothing is raised here.
        """
        stream = Stream()
        if self._closed:
            raise RuntimeError("the policy is closed")
        pump = asyncio.run_coroutine_threadsafe(self._answer(request, stream), self._loop)
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        stream.follow(pump)
        return stream

    def close(self) -> None:
        """Drop what is under way, and end the thread."""
        self._closed = True
        for pump in list(self._pumps):
            pump.cancel()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_CLOSING_S)

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        pool = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=_IDLE_S)
        try:
            async with httpx.AsyncClient(headers=self._headers, limits=pool, trust_env=False) as self._http:
                self._ready.set()
                await self._stop.wait()
        finally:
            self._ready.set()

    def _count(self, **more: int) -> None:
        changes = {name: getattr(self._usage, name) + count for name, count in more.items()}
        self._usage = replace(self._usage, **changes)

    def _add(self, counts: Counts) -> Counts:
        """Count the tokens of a request; return what is left to be counted."""
        self._count(prompt_tokens=counts.prompt, cached_tokens=counts.cached, completion_tokens=counts.completion)
        return Counts()

    async def _answer(self, request: Request, stream: Stream) -> None:
        """Send a request, again where that is fit, and hand on what comes, within its limits."""
        limits, now = request.limits, asyncio.get_running_loop().time
        end, stage = now() + limits.total, "first token"
        finished = ended = False
        size = 0
        try:
            async with (
                asyncio.timeout_at(min(end, now() + limits.first_token)) as alarm,
                aclosing(self._attempts(request)) as events,
            ):
                async for event in events:
                    if isinstance(event, Done):
                        ended = True
                        stream.put(None)
                        continue
                    finished = finished or bool(event.finish)
                    size += len(event.text) + len(event.thought)
                    if size > _MOST_CHARACTERS:
                        raise Unreadable(f"{self._url} wrote on past {_MOST_CHARACTERS} characters; lower most_tokens")
                    stream.put(event)
                    if size:
                        stage = "between tokens"
                        alarm.reschedule(min(end, now() + limits.between_tokens))
            if not (ended or finished):
                raise Unreachable(f"{self._url} ended its answer in the middle; read the server's log")
        except Exception as error:
            # Once the answer is whole, what happens to its connection does not matter.
            if not (ended or finished):
                late = isinstance(error, TimeoutError)
                self._count(failures=1)
                stream.put(self._late(limits, "total" if now() >= end else stage) if late else error)
                return
        except asyncio.CancelledError:
            stream.put(Unreachable(f"{self._url} was not heard to the end; the policy was closed"))
            raise
        if not ended:
            stream.put(None)

    def _late(self, limits: Limits, stage: str) -> Stalled:
        seconds, option = {
            "first token": (limits.first_token, "first_token_s"),
            "between tokens": (limits.between_tokens, "between_tokens_s"),
        }.get(stage, (limits.total, "total_s"))
        what = {
            "first token": "sent no first token",
            "between tokens": "fell silent in the middle of its answer",
        }.get(stage, "did not come to the end of its answer")
        return Stalled(
            f"{self._url} {what} within {seconds:g} s; it has too much to do or is still loading: give it fewer "
            f"calls, or raise {option}",
            stage,
        )

    async def _attempts(self, request: Request) -> AsyncGenerator[Delta | Done]:
        """Yield what comes of an answer; ask again while none of it has come, as often as the request allows."""
        left = request.retries
        while True:
            began = False
            try:
                async with aclosing(self._once(request)) as events:
                    async for event in events:
                        began = began or isinstance(event, Done) or bool(event.text or event.thought)
                        yield event
                return
            except ApiError as error:
                if began or left <= 0 or not _passing(error):
                    raise
                left -= 1

    async def _once(self, request: Request) -> AsyncGenerator[Delta | Done]:
        self._count(requests=1)
        limits = request.limits
        waits = httpx.Timeout(None, connect=limits.connect)
        url = f"{self._url}/chat/completions"
        counts, done = Counts(), False
        try:
            async with self._http.stream("POST", url, content=request.body, timeout=waits) as response:
                if response.status_code != 200:
                    raise await self._refusal(response, request.sent)
                async for line in self._lines(response):
                    for event in parse(line, self._url, request.sent) if not done else ():
                        if isinstance(event, Counts):
                            counts = event
                            continue
                        if isinstance(event, Done):
                            # Before the end is told: who waits for it may look at the counts.
                            counts, done = self._add(counts), True
                        yield event
        except httpx.ConnectTimeout:
            raise Stalled(
                f"{self._url} took no connection within {limits.connect:g} s; is the server up and url right? "
                "Else raise connect_s",
                "connect",
            ) from None
        except httpx.ConnectError as error:
            raise Unreachable(
                f"{self._url} cannot be reached ({shown(str(error))}); start the server, or set url to where it is"
            ) from None
        except httpx.TransportError as error:
            raise Unreachable(
                f"{self._url} broke the connection off ({type(error).__name__}); read the server's log"
            ) from None
        finally:
            self._add(counts)

    async def _lines(self, response: httpx.Response) -> AsyncGenerator[str]:
        lines = Lines()
        async for text in response.aiter_text():
            for line in lines.push(text):
                yield line
            if lines.waiting > _MOST_CHARACTERS:
                raise Unreadable(f"{self._url} sent a line without end; does url name a chat completion API?")
        for line in lines.finish():
            yield line

    async def _refusal(self, response: httpx.Response, sent: tuple[str, ...]) -> ApiError:
        body = (await response.aread())[:_MOST_CHARACTERS]
        found: object = None
        with suppress(ValueError):
            found = from_json(body)
        message = shown(message_of(found) or body[:400].decode("utf-8", "replace"), sent)
        return status_error(self._url, response.status_code, message, self._model, response.headers.get("retry-after"))


def _passing(error: ApiError) -> bool:
    """Tell whether asking again at once may help; a server that names a time is not pressed."""
    match error:
        case Busy():
            return error.status in _AGAIN and not error.after_s
        case Refused():
            return error.status in _AGAIN
        case _:
            return isinstance(error, (Unreachable, Stalled))
