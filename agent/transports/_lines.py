"""The lines of a door: who has one, who may have one more, and whose goes to somebody else who asks for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from agent.clock import Clock
from agent.refusal import Refused, Visitor
from agent.transports._call import RemoteCall
from agent.transports._guard import MOST_CANDIDATES
from perception.timebase import SECOND, Nanos, as_seconds

_STRAGGLER: Final[Nanos] = 5 * SECOND
_LEAVE_S: Final = 2.0
"""Longest wait for a call that is over to give its line free."""

_RETRY_S: Final = 10
_MOST_TARGETS: Final = 256
"""Addresses to which packets are sent in the life of a call, over all its connections."""


@dataclass(slots=True)
class Guest:
    """What a door knows of a call."""

    visitor: Visitor
    names: list[str] = field(default_factory=list)
    named: int = 0
    targets: set[tuple[str, int]] = field(default_factory=set)
    shape: tuple[tuple[str, str], ...] = ()

    def count(self, named: int, targets: frozenset[tuple[str, int]]) -> None:
        """Count addresses of the present connection.

        Raises:
            Refused: there are too many.
        """
        if named > MOST_CANDIDATES or len(self.targets | targets) > _MOST_TARGETS:
            raise Refused(400, f"more than {MOST_CANDIDATES} candidates, or {_MOST_TARGETS} in one call")
        self.named = named
        self.targets |= targets


class Lines:
    """Who is in the house, and who may come in.

    Args:
        clock: real time.
        most_calls: callers at once.
        per_label: calls at once of tokens of the same label.
        per_address: calls at once from the same address.

    Attributes:
        calls: that have got an answer and are not yet gone.
        entering: visitors who are about to get one.
    """

    def __init__(self, clock: Clock, *, most_calls: int, per_label: int, per_address: int) -> None:
        self.calls: dict[RemoteCall, Guest] = {}
        self.entering: list[Visitor] = []
        self._clock = clock
        self._most_calls = most_calls
        self._per_label = per_label
        self._per_address = per_address
        self._left = asyncio.Event()
        self._waiting = 0

    def __len__(self) -> int:
        return len(self.calls) + len(self.entering)

    @property
    def room(self) -> int:
        """How many more callers there is room for, with the lines that give way to them."""
        return max(0, self._free + sum(map(self._yields, self.calls)))

    def leave(self, call: RemoteCall) -> Guest | None:
        """Free a line; return what was known of its call."""
        self._left.set()
        return self.calls.pop(call, None)

    async def make_room(self, visitor: Visitor) -> None:
        """See that there is a free line and that this visitor may have it; nothing waits between that and the return.

        Raises:
            Refused: all lines are busy (503), or the visitor has enough of them (429).
        """
        if visitor.label is not None:
            same = [call for call, guest in self.calls.items() if guest.visitor.label == visitor.label]
            entering = sum(v.label == visitor.label for v in self.entering)
            self._cap(same, entering, self._per_label, "Tokens of this label have")
        if visitor.address:
            same = [call for call, guest in self.calls.items() if guest.visitor.address == visitor.address]
            entering = sum(v.address == visitor.address for v in self.entering)
            self._cap(same, entering, self._per_address, "Your address has")
        leaving = sum(call.came and call.over for call in self.calls)
        if self._free + leaving - self._waiting <= 0:
            self._take_from(self.calls)
        self._waiting += 1
        try:
            async with asyncio.timeout(_LEAVE_S):
                while self._free <= 0 and any(call.over for call in self.calls):
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
        if self._free <= 0:
            one = self._most_calls == 1
            words = "Somebody is in a call with it." if one else f"All {self._most_calls} lines are busy."
            raise Refused(503, words, self._retry_after_s())

    @property
    def _free(self) -> int:
        busy = sum(call.came or not call.over for call in self.calls)
        return self._most_calls - busy - len(self.entering)

    def _cap(self, calls: list[RemoteCall], entering: int, most: int, whose: str) -> None:
        if entering + sum(not call.over for call in calls) >= most and not self._take_from(calls):
            raise Refused(429, f"{whose} {most} {'call' if most == 1 else 'calls'} already.", _RETRY_S)

    def _take_from(self, calls: Iterable[RemoteCall]) -> bool:
        """End one of ``calls`` that gives way, the one that has been gone for longest; return whether there is one."""
        found = min(filter(self._yields, calls), key=lambda call: call.life.seen_at, default=None)
        if found is not None:
            found.hang_up("line needed" if found.came else "never came")
        return found is not None

    def _yields(self, call: RemoteCall) -> bool:
        """Whether a line goes to somebody else who asks for it; who has got an answer has a while to come."""
        if call.over:
            return False
        now = self._clock.now()
        return call.life.yields_at() <= now if call.came else now - call.began > _STRAGGLER

    def _retry_after_s(self) -> int:
        now = self._clock.now()
        soonest = min((call.life.yields_at() - now for call in self.calls if call.came), default=_RETRY_S * SECOND)
        return min(_RETRY_S, max(1, math.ceil(as_seconds(soonest))))
