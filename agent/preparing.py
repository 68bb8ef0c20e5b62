"""What is thought ahead while the person has the turn: the policy reads along, and a likely reply is drafted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from agent.clock import Clock
from agent.journal import Body, Note
from agent.reply import Reply
from agent.thinking import Thinking
from perception.context import ContextWindow, Turn
from perception.timebase import Nanos

log = structlog.get_logger(__name__)


class Preparing:
    """Keeps the policy's reading and the one draft of a call. Never both at once: a session does one thing at a time.

    Args:
        session: the call's share of the policy.
        clock: of the call.
        every: shortest time between two readings.
        record: takes what belongs in the journal.
    """

    def __init__(self, session: Thinking, clock: Clock, every: Nanos, record: Callable[[Body], None]) -> None:
        self._session = session
        self._clock = clock
        self._every = every
        self._record = record
        self._stale = False
        self._read_at: Nanos = 0
        self._reading: asyncio.Task[None] | None = None
        self._draft: tuple[Reply, asyncio.Task[None]] | None = None

    def touch(self) -> None:
        """Say that there is something new to read."""
        self._stale = True

    def read_along(self, now: Nanos, group: asyncio.TaskGroup, window: Callable[[], ContextWindow]) -> None:
        """Let the policy read what is new, if it is time and nothing is being thought."""
        if not self._stale or self._draft is not None or now - self._read_at < self._every:
            return
        if self._reading is None or self._reading.done():
            self._stale = False
            self._read_at = now
            self._reading = group.create_task(self._read(window()), name="prepare")

    async def draft(self, reply: Reply, group: asyncio.TaskGroup, run: Coroutine[Any, Any, None]) -> None:
        """Think about a turn that is perhaps over, as if it was.

        Args:
            reply: one that waits.
            group: tasks of the call.
            run: runs it to its end.
        """
        await self.scrap()
        await self.stop_reading()
        self._draft = reply, group.create_task(run, name=f"reply:{reply.number}")
        self._record(Note("reply_drafted", data={"reply": reply.number}))

    async def take(self, turn: Turn | None) -> tuple[Reply, asyncio.Task[None]] | None:
        """Return the draft that answers ``turn`` and its task, still waiting; drop any other."""
        found = self._draft
        if found is None or turn is None or found[0].answers != turn:
            await self.scrap()
            return None
        self._draft = None
        return found

    async def scrap(self) -> None:
        """Drop the draft, if there is one."""
        found, self._draft = self._draft, None
        if found is not None:
            self._stale = True
            await _end(found[1])
            self._record(Note("draft_dropped", data={"reply": found[0].number}))

    async def stop_reading(self) -> None:
        """Stop the reading, if it goes on."""
        if self._reading is not None and not self._reading.done():
            await _end(self._reading)

    async def _read(self, window: ContextWindow) -> None:
        try:
            async with self._clock.working("prepare"):
                await self._session.prepare(window)
        except Exception as error:
            log.error("prepare_failed", exc_info=error)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
