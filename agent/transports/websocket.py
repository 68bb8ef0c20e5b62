"""Callers over a WebSocket: a robot, a kiosk, a program without WebRTC. docs/protocol.md has the protocol.

Messages are those of the data channel (:mod:`agent.wire`), sound and pictures are binary (:mod:`agent.frames`). The
HTTP side is :mod:`agent.sockets`; this module knows no HTTP. The call behind it is the same as over WebRTC, and may go
on over either: a resume token is good for both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from agent.frames import MOST_BYTES, MOST_PIXELS, MOST_SOUND_MS, RATES_HZ, SUBPROTOCOLS
from agent.refusal import Refused, Visitor
from agent.sense_map import SenseMap
from agent.sockets import Accept, Pipe
from agent.transports import Answer
from agent.transports._call import RemoteCall
from agent.transports._house import House, limits_of
from agent.transports._lines import Guest
from agent.transports._socket import Socket
from agent.transports._sounding import Sounding
from agent.wire import MAX_BYTES

__all__ = ["Refused", "Sounding", "Visitor", "WebSocketDoor", "load"]

_LIMITS: Final = {
    "message_bytes": MAX_BYTES,
    "frame_bytes": MOST_BYTES,
    "sound_ms": MOST_SOUND_MS,
    "picture_pixels": MOST_PIXELS,
    "rates_hz": list(RATES_HZ),
}


class WebSocketDoor:
    """Takes WebSockets and turns them into calls.

    Args:
        house: holds the calls; other doors may have the same.
    """

    def __init__(self, house: House) -> None:
        self._house = house

    @property
    def about(self) -> Mapping[str, Any]:
        """The agent's parts by name, shown to clients."""
        return self._house.about

    @about.setter
    def about(self, about: Mapping[str, Any]) -> None:
        self._house.about = about

    @property
    def senses(self) -> SenseMap:
        """The senses that callers can allow."""
        return self._house.senses

    @senses.setter
    def senses(self, senses: SenseMap) -> None:
        self._house.senses = senses

    async def open(self, answer: Answer) -> None:
        """Let callers in until cancelled; then end their calls. Not where another door has opened the house."""
        await self._house.open(answer)

    async def take(
        self, accept: Accept, visitor: Visitor | None = None, /, *, wants: Mapping[str, str] | None = None
    ) -> Socket:
        """Open a call; the caller of this runs what it returns.

        Args:
            accept: finishes the handshake.
            visitor: who calls.
            wants: ``sound`` and ``rate``, as in :class:`Sounding`.

        Raises:
            Refused: ``wants`` makes no sense (400), the visitor has enough calls (429), the house is full or closed
                (503).
            ConnectionError: the client has left meanwhile.
        """
        sounding = _sounding(wants or {})
        visitor = visitor or Visitor()
        async with self._house.entering(visitor) as call:
            return await self._attach(call, await accept(), Guest(visitor), sounding)

    async def go_on(self, accept: Accept, resume: str, /, *, wants: Mapping[str, str] | None = None) -> Socket:
        """Go on with the call of a resume token.

        Raises:
            Refused: ``wants`` makes no sense (400), the token was used (409), its call is over (410), or the house is
                closed (503).
            ConnectionError: the client has left meanwhile.
        """
        sounding = _sounding(wants or {})
        _ = self._house.group
        call = self._house.resumed(resume)
        pipe = await accept()
        guest = self._house.lines.calls.get(call)
        if call.over or guest is None:
            await pipe.close(4410, "the call is over")
            raise ConnectionError("the call has ended meanwhile")
        return await self._attach(call, pipe, guest, sounding)

    async def _attach(self, call: RemoteCall, pipe: Pipe, guest: Guest, sounding: Sounding) -> Socket:
        house = self._house
        resume = house.tickets.issue(call)
        socket = Socket(
            call,
            pipe,
            call.playout,
            house.clock,
            grants=guest.visitor.grants,
            sounding=sounding,
            answered=lambda: house.tickets.settle(call, resume),
        )
        hello = {"type": "hello", "version": SUBPROTOCOLS[0], "call": call.call_id, "resume": resume}
        more = {"link": house.link, "sound": sounding.form, "rate_hz": sounding.rate_hz, "limits": _LIMITS}
        socket.send(json.dumps({"type": "signalling", "message": hello | more}))
        house.lines.calls[call] = guest
        guest.named, guest.shape = 0, ()
        await call.attach(socket)
        return socket


def _sounding(wants: Mapping[str, str]) -> Sounding:
    try:
        found: Any = {"form": wants["sound"]} if "sound" in wants else {}
        if "rate" in wants:
            found["rate_hz"] = int(wants["rate"]) if wants["rate"].isdecimal() else 0
        return Sounding(**found)
    except ValueError as error:
        raise Refused(400, f"wrong_rate: {error}" if "rate is" in str(error) else str(error)) from None


def load(
    *,
    consent: Literal["required", "given"] = "required",
    max_calls: int = 4,
    calls_per_label: int = 4,
    calls_per_address: int = 4,
    connect_s: float = 20.0,
    degraded_after_s: float = 2.0,
    lost_after_s: float = 10.0,
    dead_after_s: float = 15.0,
    return_within_s: float = 15.0,
    max_video_hz: float = 15.0,
) -> WebSocketDoor:
    """Make the door, with a house of its own.

    Args:
        consent: ``required`` or ``given``, see :class:`agent.transports._limits.CallLimits`.
        max_calls: callers at once.
        calls_per_label: of them with tokens of the same label.
        calls_per_address: of them from the same address.
        connect_s: time that a caller has to connect.
        degraded_after_s: time without a sign of life after which a link counts as degraded.
        lost_after_s: the same after which it counts as lost.
        dead_after_s: time without a sign of life after which a caller is gone.
        return_within_s: time that a caller whose connection was closed has to come back.
        max_video_hz: pictures per second that are looked at, at most.

    Raises:
        ValueError: an option is out of range.
    """
    limits = limits_of(
        consent=consent,
        degraded_after_s=degraded_after_s,
        lost_after_s=lost_after_s,
        dead_after_s=dead_after_s,
        return_within_s=return_within_s,
        max_video_hz=max_video_hz,
    )
    return WebSocketDoor(
        House(
            limits,
            most_calls=max_calls,
            per_label=calls_per_label,
            per_address=calls_per_address,
            connect_s=connect_s,
        )
    )
