"""Callers over WebRTC: a browser, or anything that speaks Pipecat's SmallWebRTC and RTVI.

A caller posts an offer, gets an answer, and is handed to the agent once media can flow. The call outlives
its connection: an offer that names a known ``pc_id`` and says ``restart_pc`` goes on where the old
connection was lost. The HTTP side is :mod:`server`; this module knows no HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import structlog
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from agent.clock import Clock, SystemClock
from agent.journal import Event
from agent.transports import Answer, _rate
from agent.transports._call import CallLimits, WebRtcCall
from agent.transports._intake import Gates
from agent.transports._peer import Peer
from agent.transports._reorder import bare_receiver, check
from agent.transports._sdp import offer_loopback
from perception.timebase import SECOND, Nanos, seconds

__all__ = ["Bye", "Candidate", "Offer", "Refused", "Trickle", "WebRtcDoor", "load"]

log = structlog.get_logger(__name__)

_NEGOTIATE_S: Final = 5.0
_STRAGGLER: Final[Nanos] = 5 * SECOND
_ALIASES: Final = 16
"""Earlier names of a call that are still understood."""

PcId = Annotated[str, Field(max_length=64)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Offer(_Body):
    """The body of ``POST /api/offer``."""

    sdp: str
    type: Literal["offer"]
    pc_id: PcId | None = Field(default=None, validation_alias=AliasChoices("pc_id", "pcId"))
    restart_pc: bool | None = Field(default=None, validation_alias=AliasChoices("restart_pc", "restartPc"))


class Candidate(_Body):
    """One trickled address of the client."""

    candidate: str = Field(max_length=512)
    sdp_mid: str | None = Field(default=None, max_length=64, validation_alias=AliasChoices("sdp_mid", "sdpMid"))
    sdp_mline_index: int | None = Field(
        default=None, ge=0, le=16, validation_alias=AliasChoices("sdp_mline_index", "sdpMLineIndex")
    )


class Trickle(_Body):
    """The body of ``PATCH /api/offer``."""

    pc_id: PcId = Field(validation_alias=AliasChoices("pc_id", "pcId"))
    candidates: list[Candidate] = Field(max_length=64)


class Bye(_Body):
    """The body of ``POST /api/bye``, sent by a page that goes away."""

    pc_id: PcId = Field(validation_alias=AliasChoices("pc_id", "pcId"))


class Refused(Exception):
    """An offer, candidate or farewell that is not accepted.

    Attributes:
        status: of HTTP.
        retry_after_s: when to try again, for 503.
    """

    def __init__(self, status: int, reason: str, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s


class WebRtcDoor:
    """Takes offers and turns them into calls.

    Args:
        limits: of every call.
        most_calls: callers at once; more are refused with 503.
        ice_servers: STUN and TURN URLs; none is right for a LAN and for a server with a public address.
        loopback: whether callers may come from this machine's loopback address.
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
        ice_servers: Sequence[str] = (),
        loopback: bool = False,
        connect_s: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        self.about: Mapping[str, Any] = {}
        self.watch: Callable[[Event], None] = lambda event: None
        self._limits = limits
        self._most_calls = most_calls
        self._ice_servers = tuple(ice_servers)
        self._loopback = loopback
        self._connect_s = connect_s
        self._clock = clock or SystemClock()
        self._group: asyncio.TaskGroup | None = None
        self._answer: Answer | None = None
        self._calls: dict[WebRtcCall, list[str]] = {}
        self._names: dict[str, WebRtcCall] = {}
        self._reserved = 0

    @property
    def calls(self) -> int:
        """Callers now, with those who are still connecting."""
        return len(self._calls) + self._reserved

    @property
    def open_to(self) -> int:
        """How many more callers there is room for; 0 when closed."""
        return max(0, self._most_calls - self._busy) if self._group is not None else 0

    @property
    def _busy(self) -> int:
        return sum(call.came or not call.over for call in self._calls) + self._reserved

    async def open(self, answer: Answer) -> None:
        """Let callers in until cancelled; then end their calls, and wait for that."""
        offer_loopback(always=self._loopback)
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

    async def offer(self, offer: Offer) -> dict[str, str]:
        """Answer an offer: ``{sdp, type, pc_id}``.

        Raises:
            Refused: the offer makes no sense (400), the house is full or closed (503).
        """
        group = self._group
        if group is None:
            raise Refused(503, "the server takes no calls now", 5)
        known = self._names.get(offer.pc_id) if offer.pc_id else None
        if known is not None and not known.over and known.peer is not None:
            if offer.restart_pc or known.peer.over:
                return await self._accept(known, offer.sdp, group)
            return await self._renegotiate(known.peer, offer.sdp, group)
        if not self.open_to:
            self._give_up_on_stragglers()
        if not self.open_to:
            raise Refused(503, f"all {self._most_calls} lines are busy", 10)
        call = WebRtcCall(secrets.token_hex(8), self._clock, self._limits, self.about, self.watch)
        self._reserved += 1
        try:
            answer = await self._accept(call, offer.sdp, group)
        finally:
            self._reserved -= 1
        group.create_task(self._serve(call), name=f"call:{call.call_id}")
        return answer

    async def trickle(self, body: Trickle) -> None:
        """Add addresses of a client that became known after its offer.

        Raises:
            Refused: there is no such connection (404), or an address is malformed (400).
        """
        peer = self._find(body.pc_id).peer
        try:
            for candidate in body.candidates:
                if peer is not None:
                    await peer.add_candidate(candidate.candidate, candidate.sdp_mid, candidate.sdp_mline_index)
        except ValueError as error:
            raise Refused(400, str(error)) from None

    def bye(self, body: Bye) -> None:
        """End a call.

        Raises:
            Refused: there is no such connection (404).
        """
        self._find(body.pc_id).hang_up("bye")

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

    async def _accept(self, call: WebRtcCall, sdp: str, group: asyncio.TaskGroup) -> dict[str, str]:
        """Answer an offer with a new connection for ``call``; if that fails nothing of it is left."""
        peer = Peer(
            secrets.token_hex(16),
            call,
            call.playout,
            self._clock,
            ice_servers=self._ice_servers,
            loopback=self._loopback,
        )
        try:
            answer = await self._renegotiate(peer, sdp, group)
        except BaseException:
            await peer.close()
            raise
        if call.over:
            await peer.close()
            raise Refused(404, "the call is over")
        names = self._calls.setdefault(call, [])
        names.append(peer.id)
        self._names[peer.id] = call
        while len(names) > _ALIASES:
            del self._names[names.pop(0)]
        await call.attach(peer)
        return answer

    async def _renegotiate(self, peer: Peer, sdp: str, group: asyncio.TaskGroup) -> dict[str, str]:
        try:
            async with asyncio.timeout(_NEGOTIATE_S):
                return {"sdp": await peer.answer(sdp, group), "type": "answer", "pc_id": peer.id}
        except TimeoutError:
            raise Refused(504, f"no answer within {_NEGOTIATE_S:g} s") from None
        except ValueError as error:
            raise Refused(400, str(error)) from None

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
            for name in self._calls.pop(call, ()):
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
    ice_servers: Sequence[str] = (),
    loopback: bool = False,
    connect_s: float = 20.0,
    dead_after_s: float = 15.0,
    return_within_s: float = 3.0,
    max_video_hz: float = 15.0,
    hearing: Sequence[str] = (),
    seeing: Sequence[str] = (),
) -> WebRtcDoor:
    """Make the door.

    Args:
        consent: ``required`` or ``given``, see :class:`agent.transports._call.CallLimits`.
        max_calls: callers at once.
        ice_servers: STUN and TURN URLs.
        loopback: whether to offer 127.0.0.1 too; needed where the server listens on loopback only.
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
    if max_calls < 1:
        raise ValueError(f"max_calls is at least 1, not {max_calls}")
    check()
    _rate.install(bare_receiver("video"))
    usual = Gates()
    gates = Gates(hearing=usual.hearing.union(hearing), seeing=usual.seeing.union(seeing), most_video_hz=max_video_hz)
    limits = CallLimits(
        consent=consent,
        dead_after=seconds(dead_after_s),
        return_within=seconds(return_within_s),
        gates=gates,
    )
    return WebRtcDoor(limits, most_calls=max_calls, ice_servers=ice_servers, loopback=loopback, connect_s=connect_s)
