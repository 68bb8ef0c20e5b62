"""The end of a call, step by step: each has its time, and none is left out because another failed, hung, or the task
that runs them was cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from agent.clock import Clock
from perception.timebase import MS, Nanos

log = structlog.get_logger(__name__)

STEP_S: Final = 3.0
_AFTER_S: Final = 0.25

Step = tuple[str, Callable[[], Awaitable[None]]]


async def close_all(steps: Sequence[Step], step_s: float = STEP_S) -> list[str]:
    """Take every step, one after the other; return the names of those that failed or took too long.

    A cancellation waits until all have been taken.

    Args:
        steps: a name for the log, and what to await.
        step_s: time for each.

    Raises:
        asyncio.CancelledError: the task was cancelled meanwhile.
    """
    cancelled: asyncio.CancelledError | None = None
    failed: list[str] = []
    loop = asyncio.get_running_loop()
    for name, step in steps:
        task = loop.create_task(_take(step), name=f"close:{name}")
        due = loop.time() + step_s
        while not task.done() and loop.time() < due:
            try:
                await asyncio.wait([task], timeout=due - loop.time())
            except asyncio.CancelledError as error:
                cancelled = error
        if not task.done():
            failed.append(name)
            log.error("close_step_hangs", step=name, after_s=step_s)
            task.cancel()
            try:
                await asyncio.wait([task], timeout=_AFTER_S)
            except asyncio.CancelledError as error:
                cancelled = error
        elif task.cancelled():
            failed.append(name)
        elif (fault := task.exception()) is not None:
            failed.append(name)
            log.error("close_step_failed", step=name, exc_info=fault)
    if cancelled is not None:
        raise cancelled
    return failed


async def settle(clock: Clock, limit: Nanos, busy: Callable[[], bool]) -> None:
    """After the media of a file: let the workers, and the last reply, come to their end, for ``limit`` at most."""
    end = clock.now() + limit
    quiet = 0
    while clock.now() < end and quiet < 3:
        quiet = 0 if busy() else quiet + 1
        await clock.sleep_until(clock.now() + 100 * MS)


async def _take(step: Callable[[], Awaitable[None]]) -> None:
    await step()
