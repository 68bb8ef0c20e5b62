"""Closes a peer connection whatever state it was left in.

``RTCPeerConnection.close()`` takes its steps one after another, and the first that raises leaves the rest undone:
sockets stay open and timers go on. After an offer that made no sense that is not rare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiortc import RTCPeerConnection

log = structlog.get_logger(__name__)

_STEP_S: Final = 0.25
"""For one of at most some fifteen steps, none of which has anything to wait for."""


async def close(pc: RTCPeerConnection, timeout_s: float) -> bool:
    """Close a connection, step by step if it does not do it by itself; never raises but for cancellation.

    Args:
        pc: the connection.
        timeout_s: for closing by itself.

    Returns:
        Whether it closed by itself.
    """
    if await _try(pc.close, timeout_s):
        return True
    log.warning("peer_close_failed", state=pc.connectionState)
    for step in _steps(pc):
        await _try(step, _STEP_S)
    pc.remove_all_listeners()
    return False


def _steps(pc: RTCPeerConnection) -> list[Callable[[], Awaitable[Any]]]:
    transceivers = pc.getTransceivers()
    found: list[Callable[[], Awaitable[Any]]] = [transceiver.stop for transceiver in transceivers]
    transports: list[Any] = [transceiver.receiver.transport for transceiver in transceivers]
    if pc.sctp is not None:
        found.append(pc.sctp.stop)
        transports.append(pc.sctp.transport)
    known = [transport for transport in dict.fromkeys(transports) if transport is not None]
    return [*found, *(dtls.stop for dtls in known), *(dtls.transport.stop for dtls in known)]


async def _try(step: Callable[[], Awaitable[Any]], timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await step()
    except TimeoutError:
        return False
    except Exception as error:
        log.info("peer_close_step_failed", error=repr(error))
        return False
    return True
