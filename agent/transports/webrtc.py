"""Callers over WebRTC: a browser, or anything that speaks Pipecat's SmallWebRTC and RTVI.

A caller posts an offer, gets an answer, and is handed to the agent once media can flow. The call outlives
its connection: an offer that names a known ``pc_id`` and says ``restart_pc`` goes on where the old
connection was lost. The HTTP side is :mod:`server`; this module knows no HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import structlog

from agent.clock import Clock, SystemClock
from agent.journal import Event
from agent.refusal import Refused, Visitor
from agent.transports import Answer, _bounded, _rate
from agent.transports._bodies import Bye, Candidate, Offer, Trickle
from agent.transports._call import WebRtcCall
from agent.transports._guard import MOST_CANDIDATES, Addresses, candidate
from agent.transports._intake import Gates
from agent.transports._limits import CallLimits
from agent.transports._offer import screen
from agent.transports._peer import Peer
from agent.transports._reorder import bare_receiver, check
from agent.transports._sdp import offer_loopback
from perception.timebase import SECOND, Nanos, seconds

__all__ = ["Bye", "Candidate", "Offer", "Refused", "Trickle", "Visitor", "WebRtcDoor", "load"]

log = structlog.get_logger(__name__)

_NEGOTIATE_S: Final = 5.0
_STRAGGLER: Final[Nanos] = 5 * SECOND
_ALIASES: Final = 16
"""Earlier names of a call that are still understood."""

_MOST_TARGETS: Final = 256
"""Addresses to which packets are sent in the life of a call, over all its connections."""


@dataclass(slots=True)
class _Guest:
    """What the door knows of a call."""

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


class WebRtcDoor:
    """Takes offers and turns them into calls.

    Args:
        limits: of every call.
        most_calls: callers at once; more are refused with 503.
        per_label: calls at once of tokens of the same label; more are refused with 429.
        per_address: calls at once from the same address; likewise.
        ice_servers: STUN and TURN URLs; none is right for a LAN and for a server with a public address.
        loopback: whether callers may come from this machine's loopback address.
        private: whether packets may go to addresses that the internet does not route, because a caller names them.
        connect_s: time that a caller has from the answer to the first media.
        clock: real time.

    Attributes:
        about: the agent's parts by name, shown to clients.
        watch: sees every event of every call.
    """

    def __init__(
        self,
        limits: CallLimits,
        *,
        most_calls: int = 4,
        per_label: int = 4,
        per_address: int = 4,
        ice_servers: Sequence[str] = (),
        loopback: bool = False,
        private: bool = True,
        connect_s: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        self.about: Mapping[str, Any] = {}
        self.watch: Callable[[Event], None] = lambda event: None
        self._limits = limits
        self._most_calls = most_calls
        self._per_label = per_label
        self._per_address = per_address
        self._ice_servers = tuple(ice_servers)
        self._addresses = Addresses(loopback=loopback, private=private)
        self._connect_s = connect_s
        self._clock = clock or SystemClock()
        self._group: asyncio.TaskGroup | None = None
        self._answer: Answer | None = None
        self._calls: dict[WebRtcCall, _Guest] = {}
        self._names: dict[str, WebRtcCall] = {}
        self._entering: list[Visitor] = []

    @property
    def calls(self) -> int:
        """Callers now, with those who are still connecting."""
        return len(self._calls) + len(self._entering)

    @property
    def open_to(self) -> int:
        """How many more callers there is room for; 0 when closed."""
        return max(0, self._most_calls - self._busy) if self._group is not None else 0

    @property
    def _busy(self) -> int:
        return sum(call.came or not call.over for call in self._calls) + len(self._entering)

    async def open(self, answer: Answer) -> None:
        """Let callers in until cancelled; then end their calls, and wait for that."""
        offer_loopback(always=self._addresses.loopback)
        try:
            async with asyncio.TaskGroup() as group:
                self._group, self._answer = group, answer
                await asyncio.Event().wait()
        finally:
            self._group = self._answer = None
            for call in list(self._calls):  # one that was cancelled before it began
                await call.close()
            self._calls.clear()
            self._names.clear()

    def knows(self, pc_id: str | None) -> bool:
        """Whether an offer of this name goes on with a call; such a name is a secret between its page and this door."""
        call = self._names.get(pc_id) if pc_id else None
        return call is not None and not call.over and call.peer is not None

    async def offer(self, offer: Offer, visitor: Visitor | None = None) -> dict[str, str]:
        """Answer an offer: ``{sdp, type, pc_id}``.

        Args:
            offer: of a new call, or of one that goes on.
            visitor: who makes it; a call that goes on keeps the one it has.

        Raises:
            Refused: the offer makes no sense (400), the visitor has enough calls (429), the house is full or closed
                (503). Nothing else is raised, whatever the offer.
        """
        group = self._group
        if group is None:
            raise Refused(503, "the server takes no calls now", 5)
        known = self._names.get(offer.pc_id) if offer.pc_id else None
        if known is not None and not known.over and known.peer is not None:
            guest = self._calls[known]
            if offer.restart_pc or known.peer.over:
                return await self._accept(known, offer.sdp, group, guest)
            return await self._renegotiate(known.peer, offer.sdp, group, guest)
        visitor = visitor or Visitor()
        self._make_room(visitor)
        call = WebRtcCall(
            secrets.token_hex(8), self._clock, self._limits, self.about, self.watch, grants=visitor.grants
        )
        self._entering.append(visitor)
        try:
            answer = await self._accept(call, offer.sdp, group, _Guest(visitor))
        finally:
            self._entering.remove(visitor)
        group.create_task(self._serve(call), name=f"call:{call.call_id}")
        return answer

    async def trickle(self, body: Trickle) -> None:
        """Add addresses of a client that became known after its offer.

        Raises:
            Refused: there is no such connection (404), or an address is malformed or one too many (400).
        """
        call = self._find(body.pc_id)
        peer, guest = call.peer, self._calls[call]
        for found in body.candidates:
            if not found.candidate:
                continue  # the end of candidates, which nothing here waits for
            usable = candidate(found.candidate, self._addresses)
            guest.count(guest.named + 1, frozenset({(usable.ip, usable.port)} if usable is not None else ()))
            if usable is None or peer is None:
                continue
            try:
                await peer.add_candidate(usable, found.sdp_mid, found.sdp_mline_index)
            except ValueError as error:
                raise Refused(400, str(error)) from None

    def bye(self, body: Bye) -> None:
        """End a call.

        Raises:
            Refused: there is no such connection (404).
        """
        self._find(body.pc_id).hang_up("bye")

    def _make_room(self, visitor: Visitor) -> None:
        """See that there is a free line, and that this visitor may have one.

        Raises:
            Refused: it is not so.
        """
        if not self.open_to:
            self._give_up_on_stragglers()
        if not self.open_to:
            raise Refused(503, f"all {self._most_calls} lines are busy", 10)
        others = [*self._entering, *(guest.visitor for call, guest in self._calls.items() if not call.over)]
        if visitor.label is not None and sum(v.label == visitor.label for v in others) >= self._per_label:
            raise Refused(429, f"tokens of this label have {self._per_label} calls already", 10)
        if visitor.address and sum(v.address == visitor.address for v in others) >= self._per_address:
            raise Refused(429, f"your address has {self._per_address} calls already", 10)

    def _give_up_on_stragglers(self) -> None:
        """Free the lines of callers who got an answer a while ago and have not come; often it is they who ask again."""
        now = self._clock.now()
        for call in self._calls:
            if not call.came and now - call.began > _STRAGGLER:
                call.hang_up("never came")

    def _find(self, pc_id: str) -> WebRtcCall:
        call = self._names.get(pc_id)
        if call is None or call.over:
            raise Refused(404, "there is no such connection")
        return call

    async def _accept(self, call: WebRtcCall, sdp: str, group: asyncio.TaskGroup, guest: _Guest) -> dict[str, str]:
        """Answer an offer with a new connection for ``call``; if that fails nothing of it is left."""
        before = guest.named, guest.shape
        guest.named, guest.shape = 0, ()
        peer = Peer(
            secrets.token_hex(16),
            call,
            call.playout,
            self._clock,
            ice_servers=self._ice_servers,
            addresses=self._addresses,
        )
        try:
            answer = await self._renegotiate(peer, sdp, group, guest)
        except BaseException:
            guest.named, guest.shape = before  # the connection that stands is the one of before
            await peer.close()
            raise
        if call.over:
            await peer.close()
            raise Refused(404, "the call is over")
        self._calls[call] = guest
        guest.names.append(peer.id)
        self._names[peer.id] = call
        while len(guest.names) > _ALIASES:
            del self._names[guest.names.pop(0)]
        await call.attach(peer)
        return answer

    async def _renegotiate(self, peer: Peer, sdp: str, group: asyncio.TaskGroup, guest: _Guest) -> dict[str, str]:
        screened = screen(sdp, self._addresses, sends=guest.visitor.grants)
        if screened.shape[: len(guest.shape)] != guest.shape:
            raise Refused(400, "the offer has other media than the one before")
        guest.count(max(guest.named, screened.candidates), screened.targets)
        guest.shape = screened.shape
        try:
            async with asyncio.timeout(_NEGOTIATE_S):
                return {"sdp": await peer.answer(screened.sdp, group), "type": "answer", "pc_id": peer.id}
        except TimeoutError:
            raise Refused(503, f"no answer within {_NEGOTIATE_S:g} s", 5) from None
        except ValueError as error:
            raise Refused(400, str(error)) from None
        except OSError as error:
            log.error("no_connection_opened", error=repr(error))
            raise Refused(503, "the server cannot open a connection now", 5) from None

    async def _serve(self, call: WebRtcCall) -> None:
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
            guest = self._calls.pop(call, None)
            for name in guest.names if guest is not None else ():
                self._names.pop(name, None)

    async def _comes(self, call: WebRtcCall) -> bool:
        try:
            async with asyncio.timeout(self._connect_s):
                await call.connected()
        except TimeoutError:
            return False
        return True


def load(
    *,
    consent: Literal["required", "given"] = "required",
    max_calls: int = 4,
    calls_per_label: int = 4,
    calls_per_address: int = 4,
    ice_servers: Sequence[str] = (),
    loopback: bool = False,
    private: bool = True,
    connect_s: float = 20.0,
    dead_after_s: float = 15.0,
    return_within_s: float = 3.0,
    max_video_hz: float = 15.0,
    hearing: Sequence[str] = (),
    seeing: Sequence[str] = (),
) -> WebRtcDoor:
    """Make the door.

    Args:
        consent: ``required`` or ``given``, see :class:`agent.transports._limits.CallLimits`.
        max_calls: callers at once.
        calls_per_label: of them with tokens of the same label.
        calls_per_address: of them from the same address.
        ice_servers: STUN and TURN URLs.
        loopback: whether to offer 127.0.0.1 too; needed where the server listens on loopback only.
        private: whether packets may go to private addresses that a caller names; not for callers from the internet.
        connect_s: time that a caller has from the answer to the first media.
        dead_after_s: time without a sign of life after which a caller is gone.
        return_within_s: time that a caller whose connection was closed has to come back.
        max_video_hz: pictures per second that are looked at, at most.
        hearing: names of further senses that need the microphone.
        seeing: names of further senses that need the camera.

    Raises:
        RuntimeError: the installed aiortc is not one that this module fits.
        ValueError: an option is out of range.
    """
    if consent not in ("required", "given"):
        raise ValueError(f"consent is 'required' or 'given', not {consent!r}")
    for name, most in (("max_calls", max_calls), ("per_label", calls_per_label), ("per_address", calls_per_address)):
        if most < 1:
            raise ValueError(f"{name} is at least 1, not {most}")
    check()
    _bounded.check()
    _rate.install(bare_receiver("video"))
    usual = Gates()
    gates = Gates(hearing=usual.hearing.union(hearing), seeing=usual.seeing.union(seeing), most_video_hz=max_video_hz)
    limits = CallLimits(
        consent=consent,
        dead_after=seconds(dead_after_s),
        return_within=seconds(return_within_s),
        gates=gates,
    )
    return WebRtcDoor(
        limits,
        most_calls=max_calls,
        per_label=calls_per_label,
        per_address=calls_per_address,
        ice_servers=ice_servers,
        loopback=loopback,
        private=private,
        connect_s=connect_s,
    )
