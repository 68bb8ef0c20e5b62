"""A session of the policy that can be begun anew in mid-call, so that nothing it had taken in is left."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import structlog

from agent.streams import ending
from agent.thinking import Thinking, Told
from perception.context import ContextWindow

log = structlog.get_logger(__name__)


class Renewing:
    """One call's share of what thinks, in a session that is replaced when the person takes a sense back.

    A policy keeps what it has read, as key/value caches, encoded sound or rendered lines. No policy is trusted to take
    a part of that out again: its session is closed and another begun, which reads what is left.

    Args:
        session: begins one.
    """

    def __init__(self, session: Callable[[], Thinking]) -> None:
        self._begin = session
        self._inner = session()
        self._old = False

    def renew(self) -> None:
        """Begin anew with the next thing to read or to decide."""
        self._old = True

    async def prepare(self, window: ContextWindow, /) -> None:
        """Let the policy read along."""
        await self._fresh()
        await self._inner.prepare(window)

    async def decide(self, window: ContextWindow, /) -> AsyncGenerator[Told, None]:
        """Let the policy decide."""
        await self._fresh()
        async with ending(self._inner.decide(window)) as steps:
            async for step in steps:
                yield step

    async def close(self) -> None:
        """Free what the policy held."""
        await self._inner.close()

    async def _fresh(self) -> None:
        if not self._old:
            return
        self._old = False
        old, self._inner = self._inner, self._begin()
        try:
            await old.close()
        except Exception as error:
            log.error("session_not_closed", exc_info=error)
