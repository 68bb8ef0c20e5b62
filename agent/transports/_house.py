"""The house behind all doors: who is in, how a call is seen through, and with which token one goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog

from agent.clock import Clock, SystemClock
from agent.journal import Event
from agent.refusal import Refused, Visitor
from agent.sense_map import SenseMap
from agent.transports import Answer, Signal
from agent.transports._call import RemoteCall
from agent.transports._limits import CallLimits
from agent.transports._lines import Lines
from agent.transports._tickets import Tickets
from perception.timebase import as_seconds, seconds

log = structlog.get_logger(__name__)


class House:
    """The calls of a server, whichever way they came.

    Args:
        limits: of every call.
        most_calls: callers at once; more are refused with 503.
        per_label: calls at once of tokens of the same label; more are refused with 429.
        per_address: calls at once from the same address; likewise.
        connect_s: time that a caller has from the answer to the first media.
        clock: real time.

    Attributes:
        about: the agent's parts by name, shown to clients.
        watch: sees every event of every call.
        draining: whether only calls that are there already go on.
        clock: real time.
        lines: who is in.
        tickets: resume tokens.
        names: calls by the names of their connections.
        link: after how many seconds without a sign of life a link is ``degraded_s`` or ``lost_s``, and how long a call
            is ``kept_s``.
    """

    def __init__(
        self,
        limits: CallLimits,
        *,
        most_calls: int = 4,
        per_label: int = 4,
        per_address: int = 4,
        connect_s: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        for name, most in (("max_calls", most_calls), ("per_label", per_label), ("per_address", per_address)):
            if most < 1:
                raise ValueError(f"{name} is at least 1, not {most}")
        self.about: Mapping[str, Any] = {}
        self.watch: Callable[[Event], None] = lambda event: None
        self.draining = False
        self.clock = clock or SystemClock()
        self.lines = Lines(self.clock, most_calls=most_calls, per_label=per_label, per_address=per_address)
        self.tickets: Tickets[RemoteCall] = Tickets()
        self.names: dict[str, RemoteCall] = {}
        self.link = {
            "degraded_s": as_seconds(limits.degraded_after),
            "lost_s": as_seconds(limits.lost_after),
            "kept_s": as_seconds(min(limits.dead_after, limits.return_within)),
        }
        self._limits = limits
        self._connect_s = connect_s
        self._group: asyncio.TaskGroup | None = None
        self._answer: Answer | None = None

    @property
    def senses(self) -> SenseMap:
        """The senses that callers can allow; those that ship, until it is told of others."""
        return self._limits.senses

    @senses.setter
    def senses(self, senses: SenseMap) -> None:
        self._limits = dataclasses.replace(self._limits, senses=senses)

    @property
    def calls(self) -> int:
        """Callers now, with those who are still connecting."""
        return len(self.lines)

    @property
    def open_to(self) -> int:
        """How many more callers there is room for, with the lines that give way to them; 0 when closed."""
        return self.lines.room if self._group is not None and not self.draining else 0

    @property
    def group(self) -> asyncio.TaskGroup:
        """What runs the calls.

        Raises:
            Refused: the house is closed (503).
        """
        if self._group is None:
            raise Refused(503, "the server takes no calls now", 5)
        return self._group

    async def open(self, answer: Answer) -> None:
        """Let callers in until cancelled; then end their calls, and wait for that."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group, self._answer = group, answer
                await asyncio.Event().wait()
        finally:
            self._group = self._answer = None
            for call in list(self.lines.calls):  # one that was cancelled before it began
                await call.close()
            self.lines.calls.clear()
            self.names.clear()
            self.tickets.clear()

    @asynccontextmanager
    async def entering(self, visitor: Visitor) -> AsyncIterator[RemoteCall]:
        """Make a call for ``visitor``, to be given its first connection inside; it is held once the block is through.

        Raises:
            Refused: the visitor has enough calls (429), the house is full or closed (503).
        """
        group = self.group
        if self.draining:
            raise Refused(503, "the server is about to stop and takes no new calls", 30)
        await self.lines.make_room(visitor)
        if self._group is None or self.draining:
            raise Refused(503, "the server takes no calls now", 5)
        call = RemoteCall(secrets.token_hex(8), self.clock, self._limits, self.about, self.watch, grants=visitor.grants)
        self.lines.entering.append(visitor)
        try:
            yield call
        finally:
            self.lines.entering.remove(visitor)
        group.create_task(self._serve(call), name=f"call:{call.call_id}")

    def resumed(self, token: str) -> RemoteCall:
        """Return the call that a resume token goes on with.

        Raises:
            Refused: it was used before (409), or its call is over (410).
        """
        found = self.tickets.find(token)
        if found.over:
            raise Refused(410, "the call of this resume token is over; begin a new one")
        return found

    def tell_all(self, signal: Signal) -> None:
        """Hand a signal to every call."""
        for call in self.lines.calls:
            call.intake.hand(signal)

    def hang_up_all(self, why: str) -> None:
        """End every call."""
        for call in list(self.lines.calls):
            call.hang_up(why)

    async def _serve(self, call: RemoteCall) -> None:
        """See one call through, from the answer to the end."""
        answer = self._answer
        try:
            if not await self._comes(call):
                log.info("caller_never_came", call=call.call_id)
            elif answer is not None and not call.over:
                await answer(call)
        except Exception as error:
            log.error("call_failed", call=call.call_id, exc_info=error)
        finally:
            await call.close()
            guest = self.lines.leave(call)
            for name in guest.names if guest is not None else ():
                self.names.pop(name, None)
            self.tickets.forget(call)

    async def _comes(self, call: RemoteCall) -> bool:
        try:
            async with asyncio.timeout(self._connect_s):
                await call.connected()
        except TimeoutError:
            return False
        return True


def limits_of(
    *,
    consent: str = "required",
    degraded_after_s: float = 2.0,
    lost_after_s: float = 10.0,
    dead_after_s: float = 15.0,
    return_within_s: float = 15.0,
    max_video_hz: float = 15.0,
) -> CallLimits:
    """Return the limits of every call of a house, from options in seconds.

    Raises:
        ValueError: an option is out of range.
    """
    if consent not in ("required", "given"):
        raise ValueError(f"consent is 'required' or 'given', not {consent!r}")
    return CallLimits(
        consent=consent,
        degraded_after=seconds(degraded_after_s),
        lost_after=seconds(lost_after_s),
        dead_after=seconds(dead_after_s),
        return_within=seconds(return_within_s),
        most_video_hz=max_video_hz,
    )
