"""Carries a call over one connection after another: signs of life, the way back, and the end."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from rapport_client.dialling import Address, dial
from rapport_client.errors import CallOver, RapportError, Refused, Unreachable
from rapport_client.events import Hello
from rapport_client.outgoing import Outgoing

_ABOUT: Final = {"library": "rapport-client", "library_version": "0.1.0"}
_BEAT_S: Final = 1.0
_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.5)
_DIAL_S: Final = 5.0

_NOT_READING: Final = 4408
_RESUMABLE: Final = frozenset({1001, 1005, 1006, 1011, 1012, 1013, _NOT_READING})
"""Codes of a connection that was lost, and not ended on purpose."""


class Listener(Protocol):
    """Who is told what comes."""

    def told(self, message: str) -> None:
        """A text has come; may raise ``CallOver``."""
        ...

    def sounded(self, message: bytes) -> None:
        """A frame has come."""
        ...

    def lost(self, kept_s: float) -> None:
        """The connection is lost; it is being sought again."""
        ...

    def back(self, after_s: float) -> None:
        """The call goes on."""
        ...


class Carrier:
    """The connections of one call.

    Args:
        address: of the server.
        outgoing: what is to be sent.
        listener: is told what comes.

    Attributes:
        hello: the greeting of the present connection, or of the last.
        leaving: whether this side hangs up.
    """

    def __init__(self, address: Address, outgoing: Outgoing, listener: Listener) -> None:
        self.hello: Hello | None = None
        self.leaving = False
        self._address = address
        self._outgoing = outgoing
        self._listener = listener
        self._connection: ClientConnection | None = None
        self._heard_at = 0.0

    async def begin(self) -> Hello:
        """Open the first connection.

        Raises:
            Refused: the server says no, and why.
            Unreachable: there is nobody, or somebody else.
        """
        self._connection, self.hello = await dial(self._address)
        return self.hello

    async def live(self) -> None:
        """Carry the call until this side hangs up.

        Raises:
            CallOver: it has ended otherwise.
        """
        try:
            while True:
                await self._carry()
                if self.leaving:
                    return
                self._check_lost()
                await self._return()
        finally:
            self._outgoing.linked = False
            if self._connection is not None:
                await self._connection.close()

    async def hang_up(self) -> None:
        """Tell the server, and close."""
        self.leaving = True
        connection = self._connection
        if connection is not None:
            with suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(1.0):
                    await connection.send(rtvi("disconnect-bot"))
            await connection.close()

    async def _carry(self) -> None:
        connection = self._connection
        assert connection is not None
        self._heard_at = time.monotonic()
        self._outgoing.link()
        ready = {"version": "2.1.0", "about": _ABOUT}
        tasks: list[asyncio.Task[None]] = []
        results: list[Any] = []
        try:
            with suppress(ConnectionClosed):
                await connection.send(rtvi("client-ready", ready, "ready"))
                work = (self._read(connection), self._write(connection), self._beat(connection))
                tasks = [asyncio.create_task(w) for w in work]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._outgoing.linked = False
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _read(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in connection:
                self._heard_at = time.monotonic()
                if isinstance(message, str):
                    self._listener.told(message)
                else:
                    self._listener.sounded(message)

    async def _write(self, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in self._outgoing.messages():
                await connection.send(message)

    async def _beat(self, connection: ClientConnection) -> None:
        """Say every second that this side is there, and notice when the other one is not."""
        assert self.hello is not None
        while True:
            await asyncio.sleep(_BEAT_S)
            self._outgoing.text(rtvi("client-message", {"t": "ping", "d": {}}, "beat"))
            if time.monotonic() - self._heard_at > self.hello.link.lost_s:
                connection.transport.abort()
                return

    def _check_lost(self) -> None:
        """See that the connection was lost, and not ended.

        Raises:
            CallOver: it was ended.
        """
        connection = self._connection
        code = connection.close_code if connection is not None else None
        if connection is not None and code is not None and code not in _RESUMABLE:
            raise CallOver(connection.close_reason or "the server has ended the call")

    async def _return(self) -> None:
        """Find the way back into the call.

        Raises:
            CallOver: it is over.
        """
        assert self.hello is not None
        lost, began = self.hello, time.monotonic()
        self._listener.lost(lost.link.kept_s)
        attempt = 0
        while True:
            try:
                self._connection, self.hello = await dial(self._address, lost.resume, timeout_s=_DIAL_S)
                break
            except Refused as error:
                if error.status in (409, 410):
                    raise CallOver(str(error)) from None
            except Unreachable:
                pass
            if time.monotonic() - began > lost.link.kept_s:
                raise CallOver(f"the connection was lost for {lost.link.kept_s:g} s")
            pause = _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]
            attempt += 1
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
        self._listener.back(time.monotonic() - began)


class Asked(dict[str, "asyncio.Future[str]"]):
    """Questions that the server has not answered yet, by id; an answer is an error, or nothing."""

    def answer(self, id: str, error: str) -> None:
        """Answer one."""
        waiting = self.get(id)
        if waiting is not None and not waiting.done():
            waiting.set_result(error)

    def end(self, error: RapportError) -> None:
        """Nobody answers any more."""
        for waiting in self.values():
            if not waiting.done():
                waiting.set_exception(error)


def rtvi(type: str, data: dict[str, Any] | None = None, id: str = "r0") -> str:
    """Return a message of RTVI."""
    return json.dumps({"label": "rtvi-ai", "type": type, "id": id, "data": data or {}})
