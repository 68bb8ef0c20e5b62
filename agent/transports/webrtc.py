"""Callers over WebRTC: a browser, or anything that speaks Pipecat's SmallWebRTC and RTVI.

A caller posts an offer, gets an answer, and is handed to the agent once media can flow. The call outlives
its connection: an offer with the resume token of the last answer goes on where the old connection was lost,
from wherever it comes; so does one that names a known ``pc_id`` and says ``restart_pc``, as Pipecat's clients do.
The HTTP side is :mod:`server`; this module knows no HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import structlog
from aiortc import RTCIceServer

from agent import wire
from agent.clock import Clock
from agent.refusal import Refused, Visitor
from agent.transports import Answer, _bounded, _rate
from agent.transports._bodies import Bye, Candidate, Offer, Trickle
from agent.transports._call import RemoteCall
from agent.transports._guard import Addresses, candidate
from agent.transports._house import House, limits_of
from agent.transports._limits import CallLimits
from agent.transports._lines import Guest
from agent.transports._offer import screen
from agent.transports._peer import Peer
from agent.transports._reorder import bare_receiver, check
from agent.transports._sdp import offer_loopback
from agent.transports._translated import Tongue, TranslatedLink

__all__ = ["Bye", "Candidate", "Offer", "Refused", "Trickle", "Visitor", "WebRtcDoor", "load"]

log = structlog.get_logger(__name__)

_NEGOTIATE_S: Final = 5.0
_ALIASES: Final = 16
"""Earlier names of a call that are still understood."""


class WebRtcDoor(House):
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
        ice: returns the STUN and TURN servers of one more connection; at first those of ``ice_servers``.
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
        super().__init__(
            limits,
            most_calls=most_calls,
            per_label=per_label,
            per_address=per_address,
            connect_s=connect_s,
            clock=clock,
        )
        urls = list(ice_servers)
        self.ice: Callable[[], Sequence[RTCIceServer]] = lambda: [RTCIceServer(urls=urls)] if urls else []
        self._addresses = Addresses(loopback=loopback, private=private)

    async def open(self, answer: Answer) -> None:
        """Let callers in until cancelled; then end their calls, and wait for that."""
        offer_loopback(always=self._addresses.loopback)
        await super().open(answer)

    def knows(self, pc_id: str | None) -> bool:
        """Whether an offer of this name goes on with a call; such a name is a secret between its page and this door."""
        call = self.names.get(pc_id) if pc_id else None
        return call is not None and not call.over and call.peer is not None

    async def offer(self, offer: Offer, visitor: Visitor | None = None, tongue: Tongue | None = None) -> dict[str, Any]:
        """Answer an offer: ``{sdp, type, pc_id, resume, link}``.

        ``resume`` is the token for the next connection of the call, see :mod:`agent.transports._tickets`; ``link``
        says after how many seconds without a sign of life a link is ``degraded_s`` or ``lost_s``, and how long a call
        is ``kept_s``.

        Args:
            offer: of a new call, or of one that goes on.
            visitor: who makes it; a call that goes on keeps the one it has.
            tongue: of a client of a new call that does not speak our messages.

        Raises:
            Refused: the offer makes no sense (400), its resume token was used (409) or its call is over (410), the
                visitor has enough calls (429), the house is full or closed (503). Nothing else is raised, whatever
                the offer.
        """
        group = self.group
        if offer.resume is not None:
            found = self.resumed(offer.resume)
            return await self._accept(found, offer.sdp, group, self.lines.calls[found])
        known = self.names.get(offer.pc_id) if offer.pc_id else None
        if known is not None and not known.over and known.peer is not None:
            guest = self.lines.calls[known]
            if offer.restart_pc or known.peer.over or not isinstance(known.peer, Peer):
                return await self._accept(known, offer.sdp, group, guest)
            return await self._renegotiate(known.peer, offer.sdp, group, guest)
        visitor = visitor or Visitor()
        async with self.entering(visitor) as call:
            return await self._accept(call, offer.sdp, group, Guest(visitor), tongue)

    async def trickle(self, body: Trickle) -> None:
        """Add addresses of a client that became known after its offer.

        Raises:
            Refused: there is no such connection (404), or an address is malformed or one too many (400).
        """
        call = self._find(body.pc_id)
        peer, guest = call.peer, self.lines.calls[call]
        for found in body.candidates:
            if not found.candidate:
                continue  # the end of candidates, which nothing here waits for
            usable = candidate(found.candidate, self._addresses)
            guest.count(guest.named + 1, frozenset({(usable.ip, usable.port)} if usable is not None else ()))
            if usable is None or not isinstance(peer, Peer):
                continue
            try:
                await peer.add_candidate(usable, found.sdp_mid, found.sdp_mline_index)
            except ValueError as error:
                raise Refused(400, str(error)) from None

    def bye(self, body: Bye) -> None:
        """End a call; or keep it for a page that may return, until somebody else needs the line.

        Raises:
            Refused: there is no such connection (404).
        """
        call = self._find(body.pc_id)
        if not body.may_return:
            call.hang_up("bye")
        elif isinstance(call.peer, Peer) and call.peer.id == body.pc_id:  # else it goes on elsewhere already
            call.step_out()

    def allow(self, pc_id: str, senses: frozenset[str] | None, recording: bool | None) -> dict[str, Any]:
        """Change what a call's person allows, as a message would; return what holds then.

        Args:
            pc_id: of a connection of the call.
            senses: names of the senses, ``None`` for no change.
            recording: whether words may be kept, likewise.

        Raises:
            Refused: there is no such connection (404), or a part of it is not done (400).
        """
        call = self._find(pc_id)
        try:
            return call.agree(wire.Senses(senses=senses, recording=recording))
        except wire.WireError as error:
            raise Refused(400, str(error)) from None

    def _find(self, pc_id: str) -> RemoteCall:
        call = self.names.get(pc_id)
        if call is None or call.over:
            raise Refused(404, "there is no such connection")
        return call

    async def _accept(
        self, call: RemoteCall, sdp: str, group: asyncio.TaskGroup, guest: Guest, tongue: Tongue | None = None
    ) -> dict[str, Any]:
        """Answer an offer with a new connection for ``call``; if that fails nothing of it is left."""
        before = guest.named, guest.shape
        guest.named, guest.shape = 0, ()
        peer = Peer(
            secrets.token_hex(16),
            call if tongue is None else TranslatedLink(call, tongue),
            call.playout,
            self.clock,
            ice_servers=self.ice(),
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
        self.lines.calls[call] = guest
        guest.names.append(peer.id)
        self.names[peer.id] = call
        while len(guest.names) > _ALIASES:
            del self.names[guest.names.pop(0)]
        resume = self.tickets.issue(call)
        await call.attach(peer, lambda: self.tickets.settle(call, resume))
        return answer | {"resume": resume, "link": self.link}

    async def _renegotiate(self, peer: Peer, sdp: str, group: asyncio.TaskGroup, guest: Guest) -> dict[str, str]:
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
    degraded_after_s: float = 2.0,
    lost_after_s: float = 10.0,
    dead_after_s: float = 15.0,
    return_within_s: float = 15.0,
    max_video_hz: float = 15.0,
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
        degraded_after_s: time without a sign of life after which a link counts as degraded.
        lost_after_s: the same after which it counts as lost.
        dead_after_s: time without a sign of life after which a caller is gone.
        return_within_s: time that a caller whose connection was closed has to come back.
        max_video_hz: pictures per second that are looked at, at most.

    Raises:
        RuntimeError: the installed aiortc is not one that this module fits.
        ValueError: an option is out of range.
    """
    check()
    _bounded.check()
    _rate.install(bare_receiver("video"))
    limits = limits_of(
        consent=consent,
        degraded_after_s=degraded_after_s,
        lost_after_s=lost_after_s,
        dead_after_s=dead_after_s,
        return_within_s=return_within_s,
        max_video_hz=max_video_hz,
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
