"""What every policy keeps to, whatever it is made of; ``policy/backends/__init__.py`` says it in words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from perception.context import ContextWindow
from policy.backends import Policy
from policy.decision import Step

AT_ONCE_S = 0.1


async def answer(policy: Policy, window: ContextWindow, *, prepare: bool = False) -> list[Step]:
    """What a call of its own decides."""
    session = policy.session()
    if prepare:
        await session.prepare(window)
    found = [step async for step in session.decide(window)]
    await session.close()
    return found


async def the_same_window_gives_the_same_decisions(
    policy: Policy, window: ContextWindow, another: ContextWindow
) -> None:
    first = await answer(policy, window)
    assert await answer(policy, window) == first
    assert await answer(policy, window, prepare=True) == first
    session = policy.session()
    for _ in range(2):
        assert [step async for step in session.decide(window)] == first
    await session.prepare(another)
    assert [step async for step in session.decide(window)] == first
    await session.close()


async def calls_do_not_see_each_other(policy: Policy, windows: Sequence[ContextWindow]) -> None:
    alone = [await answer(policy, window) for window in windows]
    sessions = [policy.session() for _ in windows]
    for session, window in zip(sessions, windows, strict=True):
        await session.prepare(window)

    async def collect(index: int) -> list[Step]:
        return [step async for step in sessions[index].decide(windows[index])]

    assert list(await asyncio.gather(*map(collect, range(len(windows))))) == alone
    for session in sessions:
        await session.close()


async def closing_stops_at_once(policy: Policy, window: ContextWindow, steps: int) -> None:
    session = policy.session()
    await session.prepare(window)
    stream = session.decide(window)
    for _ in range(steps):
        await anext(stream, None)
    began = time.perf_counter()
    await stream.aclose()  # type: ignore[attr-defined]
    took = time.perf_counter() - began
    await session.close()
    assert took < AT_ONCE_S


async def cancelling_leaves_the_session_usable(
    policy: Policy, window: ContextWindow, later: ContextWindow, after: Sequence[float]
) -> None:
    session = policy.session()
    whole = await answer(policy, window)

    async def collect(asked: ContextWindow) -> list[Step]:
        return [step async for step in session.decide(asked)]

    for wait in after:
        task = asyncio.ensure_future(collect(window))
        await asyncio.wait([task], timeout=wait)
        began = time.perf_counter()
        task.cancel()
        await asyncio.wait([task])
        assert time.perf_counter() - began < AT_ONCE_S
    assert await collect(window) == whole
    preparing = asyncio.ensure_future(session.prepare(later))
    await asyncio.wait([preparing], timeout=0.01)
    preparing.cancel()
    await asyncio.wait([preparing])
    assert await collect(later) == await answer(policy, later)
    await session.close()
