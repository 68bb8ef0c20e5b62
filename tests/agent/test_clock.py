from __future__ import annotations

import asyncio
import threading

import pytest

from agent.clock import SystemClock, VirtualClock
from agent.offload import Thread
from perception.timebase import MS, SECOND, Nanos


def test_an_hour_passes_at_once() -> None:
    clock = VirtualClock({})

    async def main() -> Nanos:
        await clock.sleep_until(3600 * SECOND)
        return clock.now()

    assert abs(clock.run(main()) - 3600 * SECOND) <= 2


def test_library_timeouts_obey_it() -> None:
    clock = VirtualClock({})

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        assert abs(clock.now() - 10 * SECOND) <= 2

    clock.run(main())


def test_measured_work_holds_time_still_and_is_charged() -> None:
    clock = VirtualClock()
    ticks: list[Nanos] = []

    async def main() -> None:
        thread = Thread("t")
        gate = threading.Event()

        async def ticking() -> None:
            for i in range(5):
                await clock.sleep_until(i * MS)
                ticks.append(clock.now())
            gate.set()

        async with asyncio.TaskGroup() as group:
            async with clock.working("w"):
                began = clock.now()
                await thread.run(lambda: None)
                assert clock.now() == began
            assert clock.now() > began
            group.create_task(ticking())
        thread.close(1)

    clock.run(main())
    assert len(ticks) == 5


def test_fixed_costs_let_time_go_on_up_to_the_end_of_the_work() -> None:
    """The thread is released only at 50 ms of virtual time, so time must have moved while it worked."""
    clock = VirtualClock({"slow": 100 * MS})
    release = threading.Event()
    seen: list[Nanos] = []

    async def main() -> None:
        thread = Thread("t")

        async def other() -> None:
            await clock.sleep_until(50 * MS)
            seen.append(clock.now())
            release.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(other())
            async with clock.working("slow"):
                assert await thread.run(release.wait, 10)
        seen.append(clock.now())
        thread.close(1)

    clock.run(main())
    assert seen[0] == pytest.approx(50 * MS, abs=2)
    assert 100 * MS <= seen[1] < 100 * MS + 1000


def test_time_waits_for_work_that_is_late() -> None:
    """A timer after the end of the work must not fire before the work is done, however slow the thread is."""
    clock = VirtualClock({"w": 10 * MS})
    order: list[str] = []

    async def main() -> None:
        thread = Thread("t")
        gate = threading.Event()

        async def later() -> None:
            await clock.sleep_until(20 * MS)
            order.append("timer")

        threading.Timer(0.05, gate.set).start()
        async with asyncio.TaskGroup() as group:
            group.create_task(later())
            async with clock.working("w"):
                await thread.run(gate.wait, 10)
            order.append("work")
        thread.close(1)

    clock.run(main())
    assert order == ["work", "timer"]


def test_work_that_raises_is_charged_too() -> None:
    clock = VirtualClock({"w": 30 * MS})

    async def main() -> None:
        with pytest.raises(ValueError, match="no"):
            async with clock.working("w"):
                raise ValueError("no")
        assert clock.now() >= 30 * MS

    clock.run(main())


def test_cancelled_work_frees_time() -> None:
    clock = VirtualClock({"w": SECOND})

    async def main() -> None:
        async def work() -> None:
            async with clock.working("w"):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        await clock.sleep_until(10 * MS)
        task.cancel()
        await asyncio.wait([task])
        await clock.sleep_until(5 * SECOND)

    clock.run(main())
    assert clock.now() >= 5 * SECOND


def test_real_time_moves() -> None:
    clock = SystemClock()

    async def main() -> None:
        before = clock.now()
        await clock.sleep_until(before + 5 * MS)
        assert clock.now() >= before + 5 * MS

    asyncio.run(main())
