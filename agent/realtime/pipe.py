"""A WebSocket that speaks Realtime, to be used as one that speaks our protocol."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any, Final

from agent.clock import Clock
from agent.frames import unpack
from agent.realtime.dialect import Clear, Command, Dialect, Message, Sound
from agent.realtime.session import Session
from agent.realtime.spool import MOST_S, Spool
from agent.sockets import Pipe
from perception.timebase import as_seconds

_PING: Final = "ping: 0"
_BYE: Final = json.dumps({"label": "rtvi-ai", "type": "disconnect-bot", "id": "", "data": {}})
"""Such clients have no way to come back into a call."""


class RealtimePipe:
    """One client; implements :class:`agent.sockets.Pipe`.

    Args:
        inner: carries its events.
        session: its settings.
        clock: paces its sound.
        everything: whether it is told what the agent perceives and decides.
    """

    def __init__(self, inner: Pipe, session: Session, clock: Clock, *, everything: bool) -> None:
        self._inner = inner
        self._session = session
        self._clock = clock
        self._events: deque[dict[str, Any]] = deque()
        self._dialect = Dialect(self._events.append, session, everything=everything)
        self._spool = Spool()
        self._ready: deque[str] = deque()
        self._sending = asyncio.Lock()
        self._left = False

    async def receive(self) -> str | bytes | None:
        """Return the next message of ours, or ``None`` once the client has left."""
        while True:
            if self._ready:
                return self._ready.popleft()
            if self._left:
                return None
            now = self._clock.now()
            found = self._spool.next(now)
            if found is not None:
                return found
            if self._spool.crowded:
                await self._clock.sleep_until(now + self._spool.wait(now))
                continue
            try:
                async with asyncio.timeout(as_seconds(self._spool.wait(now))):
                    event = await self._inner.receive()
            except TimeoutError:
                if not self._spool.begun:
                    return _PING  # the socket stands, although nothing is said
                continue
            if event is None:
                self._left = True
                return _BYE
            commands = self._dialect.read(event)
            for command in commands:
                self._do(command)
            if not any(map(_counts, commands)):
                self._ready.append(_PING)  # so that it counts among the messages, of which there may be so many
            await self._flush()

    async def send(self, data: str | bytes) -> None:
        """Send a message of ours as events; wait while the client does not read.

        Raises:
            ConnectionError: there is nobody any more.
        """
        if isinstance(data, bytes):
            frame = unpack(data)
            self._dialect.sounded(frame.reply, frame.payload)
        elif data.startswith('{"type": "signalling"'):
            if '"type": "hello"' in data:
                self._dialect.begin()
        else:
            self._dialect.told(data)
        await self._flush()

    async def close(self, code: int, reason: str) -> None:
        """Close with a code of RFC 6455 and a few words."""
        await self._inner.close(code, reason)

    def _do(self, command: Command) -> None:
        match command:
            case Sound():
                if not self._spool.append(command):
                    self._dialect.overflowed(MOST_S)
                    self._ready.append(_PING)
            case Clear():
                self._spool.clear()
            case Message(text, mark=True):
                self._spool.streaming = self._session.turns
                self._spool.mark(Message(text))
            case Message(text):
                self._ready.append(text)

    async def _flush(self) -> None:
        async with self._sending:
            while self._events:
                await self._inner.send(json.dumps(self._events[0]))
                self._events.popleft()


def _counts(command: Command) -> bool:
    """Whether a command becomes a message or a frame, of both of which there may be only so many."""
    return isinstance(command, Message) or (isinstance(command, Sound) and bool(command.pcm))
