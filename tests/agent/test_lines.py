"""What is said to somebody for whom there is no line: sentences, right for one and for many."""

from __future__ import annotations

import asyncio

import pytest

from agent.clock import VirtualClock
from agent.refusal import Refused, Visitor
from agent.transports._lines import Lines


def refused(visitor: Visitor, entering: int, *, calls: int = 9, label: int = 9, address: int = 9) -> Refused:
    async def main() -> Refused:
        lines = Lines(VirtualClock(), most_calls=calls, per_label=label, per_address=address)
        lines.entering += [visitor] * entering
        with pytest.raises(Refused) as caught:
            await lines.make_room(visitor)
        return caught.value

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("most", "words"),
    [(1, "Somebody is in a call with it."), (2, "All 2 lines are busy."), (8, "All 8 lines are busy.")],
)
def test_all_lines_are_busy(most: int, words: str) -> None:
    found = refused(Visitor(), most, calls=most)
    assert (found.status, str(found)) == (503, words)
    assert found.retry_after_s


@pytest.mark.parametrize(("most", "calls"), [(1, "1 call"), (4, "4 calls")])
def test_somebody_has_enough_of_them(most: int, calls: str) -> None:
    found = refused(Visitor(address="10.0.0.7"), most, address=most)
    assert (found.status, str(found)) == (429, f"Your address has {calls} already.")
    found = refused(Visitor(label="desk"), most, label=most)
    assert (found.status, str(found)) == (429, f"Tokens of this label have {calls} already.")
