"""A call ends in good order, whatever one of its parts does."""

from __future__ import annotations

import asyncio

import pytest

from agent.clock import VirtualClock
from agent.closing import close_all
from agent.journal import Event, Note
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import Parts
from agent.staged import Script
from agent.voices.plain import PlainVoice
from tests.agent.stage import COSTS, Mind, Mindful, kind_words, quiet, said
from tests.agent.test_loop import STILL


def test_a_step_that_fails_or_hangs_keeps_no_other_from_being_taken() -> None:
    taken: list[str] = []

    async def well() -> None:
        taken.append("well")

    async def fails() -> None:
        taken.append("fails")
        raise RuntimeError("no")

    async def hangs() -> None:
        taken.append("hangs")
        await asyncio.Event().wait()

    async def main() -> list[str]:
        steps = [("fails", fails), ("hangs", hangs), ("well", well)]
        return await close_all(steps, step_s=0.05)

    assert asyncio.run(main()) == ["fails", "hangs"]
    assert taken == ["fails", "hangs", "well"]


def test_a_cancellation_waits_until_all_have_been_taken() -> None:
    taken: list[str] = []

    async def slow(name: str) -> None:
        await asyncio.sleep(0.03)
        taken.append(name)

    async def main() -> None:
        task = asyncio.get_running_loop().create_task(
            close_all([("first", lambda: slow("first")), ("second", lambda: slow("second"))])
        )
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert taken == ["first", "second"]


class Clinging(Mind):
    """A session that does not want to end."""

    async def close(self) -> None:
        self.closed += 1
        await asyncio.Event().wait()


class Broken(Mind):
    async def close(self) -> None:
        self.closed += 1
        raise RuntimeError("no")


@pytest.mark.parametrize("kind", [Clinging, Broken])
def test_a_call_whose_mind_does_not_close_still_frees_its_caller(kind: type[Mind]) -> None:
    mind, caller = kind(kind_words), Loopback(quiet(8))
    clock = VirtualClock(COSTS)
    parts = Parts([Script("ear", said("Hello.", 1.0, 2.0))], Mindful(mind), PlainVoice(), STILL)
    events: list[Event] = []
    clock.run(Call(caller, parts, clock, [events.append]).run())
    assert (mind.closed, caller.closed) == (1, 1)
    assert isinstance(events[-1].body, Note)
    assert events[-1].body.event == "call_ended"
