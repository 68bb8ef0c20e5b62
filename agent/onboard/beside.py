"""Tasks that run as long as a context is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(*works: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run ``works`` beside what is in the context, and cancel them at its end.

    What the context raises comes out as it is, not in a group; what one of the works raises ends the context.
    """
    raised: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        try:
            yield
        except Exception as error:
            raised = error
        finally:
            for task in tasks:
                task.cancel()
    if raised is not None:
        raise raised
