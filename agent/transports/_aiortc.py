"""The private parts of aiortc that this transport replaces, by name, and the check that they are where they were.

aiortc has no public place for another jitter buffer, for a bounded queue or for another bandwidth window. What
is replaced is replaced on one receiver at a time, before its first packet; nothing of aiortc is changed for
others in the same process. :func:`check` looks at all of it when the door is made, so that a release that moves
something stops the start instead of the sound.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
from typing import Any, Final

import aiortc
from aiortc import rtcsctptransport
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rate import RateCounter, RemoteBitrateEstimator
from aiortc.rtcrtpreceiver import NackGenerator, RemoteStreamTrack, RTCRtpReceiver, TimestampMapper
from aiortc.rtp import RtpPacket

BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
ESTIMATOR: Final = "_RTCRtpReceiver__remote_bitrate_estimator"
NACKS: Final = "_RTCRtpReceiver__nack_generator"
CODECS: Final = "_RTCRtpReceiver__codecs"
MAPPER: Final = "_RTCRtpReceiver__timestamp_mapper"
DECODER: Final = "_RTCRtpReceiver__decoder_queue"
FRAMES: Final = "_queue"

MTU: Final = 1280
"""Largest IP packet that every IPv6 path carries (RFC 8200 section 5)."""

_OVERHEAD: Final = 40 + 8 + 13 + 8 + 16
"""IPv6, UDP, DTLS record header, explicit nonce and tag: what surrounds an SCTP packet."""

MOVED = (
    f"aiortc {aiortc.__version__} keeps a part that this transport replaces somewhere else; it was written for "
    "aiortc 1.16 (pip install 'aiortc>=1.16,<1.17')"
)


class Moved(RuntimeError):
    """The installed aiortc is not one that this transport fits."""

    def __init__(self, part: str) -> None:
        super().__init__(f"{MOVED}; not found: {part}")


def private(owner: object, name: str, kind: type[Any]) -> Any:
    """Return the private part ``name`` of ``owner``.

    Raises:
        Moved: it is not there, or not of the ``kind`` that it was.
    """
    found = getattr(owner, name, None)
    if not isinstance(found, kind):
        raise Moved(name)
    return found


def replace(owner: object, name: str, kind: type[Any], by: object) -> None:
    """Put ``by`` in the place of a private part.

    Raises:
        Moved: see :func:`private`.
    """
    private(owner, name, kind)
    setattr(owner, name, by)


def check() -> None:
    """Make sure that this aiortc has every part where it is replaced.

    Raises:
        Moved: it has not; the message names the part and says what to do.
    """
    for kind in ("audio", "video"):
        receiver = bare_receiver(kind)
        private(receiver, BUFFER, JitterBuffer)
        private(receiver, CODECS, dict)
        private(receiver, MAPPER, TimestampMapper)
        private(receiver, DECODER, queue.Queue)
    private(receiver, NACKS, NackGenerator)
    private(private(receiver, ESTIMATOR, RemoteBitrateEstimator), "incoming_bitrate", RateCounter)
    private(RemoteStreamTrack("video"), FRAMES, asyncio.Queue)
    for owner, name, parameters in (
        (JitterBuffer, "add", ["self", "packet"]),
        (NackGenerator, "add", ["self", "packet"]),
        (RTCRtpReceiver, "_handle_rtp_packet", ["self", "packet", "arrival_time_ms"]),
    ):
        if list(inspect.signature(getattr(owner, name, check)).parameters) != parameters:
            raise Moved(f"{owner.__name__}.{name}({', '.join(parameters)})")
    private(NackGenerator(), "missing", set)
    if not hasattr(RtpPacket(), "marker"):
        raise Moved("RtpPacket.marker")
    if getattr(rtcsctptransport, "SCTP_MAX_PACKET_LENGTH", MTU) + _OVERHEAD > MTU:
        raise Moved(f"data-channel packets that fit into {MTU} bytes")


def bare_receiver(kind: str) -> RTCRtpReceiver:
    """Return a receiver without a connection, to look at."""
    transport: Any = _NewTransport()
    return RTCRtpReceiver(kind, transport)


class _NewTransport:
    state = "new"
