from __future__ import annotations

import asyncio

import pytest

from agent.inbox import Inbox


def test_it_takes_all_oldest_first() -> None:
    async def main() -> None:
        inbox: Inbox[int] = Inbox(3)
        for i in (1, 2):
            inbox.offer(i)
        assert await inbox.take_all() == [1, 2]
        assert len(inbox) == 0

    asyncio.run(main())


def test_the_oldest_gives_way_and_is_counted() -> None:
    async def main() -> None:
        inbox: Inbox[int] = Inbox(2)
        for i in range(5):
            inbox.offer(i)
        assert (inbox.dropped, inbox.peak) == (3, 2)
        assert await inbox.take_all() == [3, 4]

    asyncio.run(main())


def test_a_taker_waits_for_an_offer() -> None:
    async def main() -> None:
        inbox: Inbox[str] = Inbox(1)
        async with asyncio.TaskGroup() as group:
            taker = group.create_task(inbox.take_all())
            await asyncio.sleep(0)
            assert not taker.done()
            inbox.offer("x")
        assert taker.result() == ["x"]

    asyncio.run(main())


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ValueError, match="capacity 0"):
        Inbox(0)
