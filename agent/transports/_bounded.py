"""Bounds what one peer can make aiortc keep, send and compute, before a message or a connection is whole.

aiortc holds the fragments of a message until its last one comes, looks at all of them again with every new one, and
minds neither the size that it announced nor the number of streams: a peer that sends one endless message takes memory
and stops the event loop for everybody. It also answers checks from any number of addresses, each with checks of its
own, and waits five seconds for a STUN server that is down, which is all the time that an answer may take.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog
from aiortc import InvalidStateError, RTCPeerConnection, RTCSctpTransport
from aiortc.rtcicetransport import RTCIceTransport

from agent.transports._aiortc import Moved, private
from agent.transports._guard import Addresses

log = structlog.get_logger(__name__)

WINDOW: Final = 128 * 1024
"""Bytes of unfinished messages that are held; honest peers are told so and send no more."""

MOST_CHUNKS: Final = 512
MOST_STREAMS: Final = 16
MOST_SOURCES: Final = 64
"""Addresses from which one connection answers checks; a person's machine and network have a handful."""

GATHER_S: Final = 2
"""Time for a STUN or TURN server to answer, of the five seconds that an answer may take."""

_SLACK: Final = 16 * 1024
"""What a peer may send before it has seen that the window is full."""


def bound(pc: RTCPeerConnection, addresses: Addresses, breached: Callable[[str], None]) -> None:
    """Bound a connection that knows the offer and has not gathered its own addresses yet; harmless when repeated.

    Args:
        pc: the connection.
        addresses: where packets may go.
        breached: is told, once, why a data channel was ended.

    Raises:
        Moved: this aiortc keeps what is bounded somewhere else.
    """
    _bound_connecting(pc)
    for transport in _ice_transports(pc):
        _bound_ice(private(transport, "_connection", object), addresses)
    if pc.sctp is not None and not hasattr(pc.sctp, _MARK):
        _bound_sctp(pc.sctp, breached)


_MARK: Final = "_bounded_by_rapport"


def check() -> None:
    """Make sure that this aiortc has every part where it is bounded.

    Raises:
        Moved: it has not; the message names the part and says what to do.
    """
    from aioice.ice import Connection

    for owner, name, parameters in (
        (RTCSctpTransport, "_handle_data", ["self", "data"]),
        (RTCSctpTransport, "_receive_data_chunk", ["self", "chunk"]),
        (Connection, "request_received", ["self", "message", "addr", "protocol"]),
        (Connection, "get_component_candidates", ["self", "component", "addresses", "timeout"]),
    ):
        if list(inspect.signature(getattr(owner, name, check)).parameters) != parameters:
            raise Moved(f"{owner.__name__}.{name}({', '.join(parameters)})")
    if list(inspect.signature(getattr(RTCPeerConnection, _CONNECT, check)).parameters) != ["self"]:
        raise Moved(f"RTCPeerConnection.{_CONNECT}(self)")
    for owner, names in ((RTCSctpTransport, _SCTP), (RTCIceTransport, {"_connection": object})):
        written = inspect.getsource(owner.__init__)
        for name in names:
            if f"self.{name}" not in written:
                raise Moved(f"{owner.__name__}.{name}")


_SCTP: Final[dict[str, type]] = {"_advertised_rwnd": int, "_inbound_streams": dict, "_sack_misordered": set}


_CONNECT: Final = "_RTCPeerConnection__connect"
"""What aiortc starts as a task that nobody awaits."""


def _bound_connecting(pc: RTCPeerConnection) -> None:
    """Let a caller who leaves while connecting end the attempt, and not leave an exception that nobody takes."""
    if hasattr(pc, _MARK):
        return
    setattr(pc, _MARK, True)
    connect = getattr(pc, _CONNECT)

    async def connecting() -> None:
        try:
            await connect()
        except (InvalidStateError, ConnectionError) as error:  # a part of it was closed meanwhile
            log.info("connecting_ended", error=type(error).__name__)

    setattr(pc, _CONNECT, connecting)


def _ice_transports(pc: RTCPeerConnection) -> list[RTCIceTransport]:
    found = [transceiver.receiver.transport.transport for transceiver in pc.getTransceivers()]
    if pc.sctp is not None:
        found.append(pc.sctp.transport.transport)
    return list(dict.fromkeys(found))


def _bound_ice(connection: Any, addresses: Addresses) -> None:
    if hasattr(connection, _MARK):
        return
    setattr(connection, _MARK, True)
    received, gather = connection.request_received, connection.get_component_candidates
    sources: set[tuple[str, int]] = set()

    def request_received(message: Any, addr: tuple[str, int], protocol: Any) -> None:
        if addr not in sources:
            if len(sources) >= MOST_SOURCES or not addresses.answers(addr[0]):
                return
            sources.add(addr)
        try:
            received(message, addr, protocol)
        except (AssertionError, KeyError, ValueError) as error:  # an attribute that such a check has to have is missing
            log.info("check_refused", error=repr(error))

    connection.request_received = request_received
    connection.get_component_candidates = partial(gather, timeout=GATHER_S)


def _bound_sctp(sctp: Any, breached: Callable[[str], None]) -> None:
    handle, take = sctp._handle_data, sctp._receive_data_chunk
    for name, kind in _SCTP.items():
        private(sctp, name, kind)
    setattr(sctp, _MARK, True)
    sctp._advertised_rwnd = WINDOW
    over = False

    async def end(why: str) -> None:
        nonlocal over
        if not over:
            over = True
            await sctp.stop()
            breached(why)

    async def receive_data_chunk(chunk: Any) -> None:
        if over:
            return
        await take(chunk)
        streams = sctp._inbound_streams
        held = sum(len(stream.reassembly) for stream in streams.values())
        if len(streams) > MOST_STREAMS:
            await end(f"more than {MOST_STREAMS} streams")
        elif held > MOST_CHUNKS or len(sctp._sack_misordered) > MOST_CHUNKS or sctp._advertised_rwnd < -_SLACK:
            await end(f"more than {WINDOW} bytes of unfinished messages")

    async def handle_data(data: bytes) -> None:
        if over:
            return
        try:
            await handle(data)
        except ConnectionError:
            raise
        except Exception as error:  # the parser asserts what it expects of a peer
            await end(f"what was sent is no SCTP: {type(error).__name__}")

    sctp._receive_data_chunk = receive_data_chunk
    sctp._handle_data = handle_data
