"""One peer connection: negotiated, drained, and closed whatever happens. A call may outlive several."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import av
import structlog
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from agent.clock import Clock
from agent.playout import Playout
from agent.transports import _rate
from agent.transports._opus import OpusTrack
from agent.transports._reorder import AudioInlet, Packet, install
from agent.transports._sdp import MOST_CANDIDATES, guard, parse_candidate

log = structlog.get_logger(__name__)

_CLOSE_S: Final = 2.0
_CHANNELS: Final = 2
_SOURCES: Final = ("camera", "screen")


class Link(Protocol):
    """What a peer tells its call. Nothing here may block or raise."""

    def heard(self, peer: Peer, packet: Packet) -> None:
        """An Opus packet has come, in order."""
        ...

    def seen(self, peer: Peer, frame: av.VideoFrame, source: str) -> None:
        """A picture has been decoded."""
        ...

    def said(self, peer: Peer, message: str | bytes) -> None:
        """A message has come over the data channel."""
        ...

    def opened(self, peer: Peer, channel: RTCDataChannel) -> None:
        """The data channel is there."""
        ...

    def changed(self, peer: Peer) -> None:
        """``peer.connected`` or ``peer.over`` has changed."""
        ...


class Peer:
    """One RTCPeerConnection.

    Args:
        id: its name in signalling.
        link: the call it belongs to.
        playout: what the agent says.
        clock: paces the sound that goes out.
        ice_servers: STUN and TURN URLs.
        loopback: whether the peer may be on this machine's loopback address.
    """

    def __init__(
        self, id: str, link: Link, playout: Playout, clock: Clock, *, ice_servers: Sequence[str], loopback: bool
    ) -> None:
        self.id = id
        self.inlet = AudioInlet(lambda packet: link.heard(self, packet), clock.now)
        self.track = OpusTrack(playout, clock)
        self._link = link
        self._loopback = loopback
        self._candidates = 0
        self._channels: list[RTCDataChannel] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closed: asyncio.Future[None] | None = None
        servers = [RTCIceServer(urls=list(ice_servers))] if ice_servers else []
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._pc.on("connectionstatechange", self._changed)
        self._pc.on("datachannel", self._channel)

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self._pc.connectionState == "connected"

    @property
    def over(self) -> bool:
        """Whether it has failed or been closed; it never comes back."""
        return self._closed is not None or self._pc.connectionState in ("failed", "closed")

    async def answer(self, offer: str, group: asyncio.TaskGroup) -> str:
        """Answer an offer, the first one or a later one of the same connection; return the answer's SDP.

        Args:
            offer: SDP, as it came.
            group: runs the readers of the tracks.

        Raises:
            ValueError: the offer cannot be answered.
        """
        guarded = guard(offer, loopback=self._loopback)
        self._candidates = max(self._candidates, guarded.count("\na=candidate:"))
        first = self._pc.remoteDescription is None
        try:
            if first and "\nm=audio" in guarded:
                voice = self._pc.addTransceiver(self.track, direction="sendrecv")
                codecs = RTCRtpSender.getCapabilities("audio").codecs
                voice.setCodecPreferences([c for c in codecs if c.mimeType.lower() == "audio/opus"])
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp=guarded, type="offer"))
            if first:
                self._drain(group)
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except (ConnectionError, OSError):
            raise
        except Exception as error:  # what aiortc raises depends on where the offer makes no sense
            log.info("offer_refused", peer=self.id, error=repr(error))
            raise ValueError(f"the offer cannot be answered: {error}") from error
        return self._pc.localDescription.sdp

    async def add_candidate(self, text: str, mid: str | None, index: int | None) -> None:
        """Add an address of the peer that became known after its offer.

        Raises:
            ValueError: it is malformed, or one too many.
        """
        if not text:
            return
        candidate = parse_candidate(text, loopback=self._loopback)
        self._candidates += 1
        if self._candidates > MOST_CANDIDATES:
            raise ValueError(f"more than {MOST_CANDIDATES} candidates")
        if candidate is None or self.over:
            return
        candidate.sdpMid = mid
        candidate.sdpMLineIndex = 0 if mid is None and index is None else index
        await self._pc.addIceCandidate(candidate)

    async def close(self) -> None:
        """Free everything, within two seconds; may be called by several at once."""
        if self._closed is not None:
            await asyncio.shield(self._closed)
            return
        self._closed = asyncio.get_running_loop().create_future()
        try:
            self.track.stop()
            for task in self._tasks:
                task.cancel()
            async with asyncio.timeout(_CLOSE_S):
                await self._pc.close()
        except TimeoutError:
            log.warning("peer_close_timeout", peer=self.id)
        finally:
            self._closed.set_result(None)

    def say_goodbye(self, text: str) -> None:
        """Send a last message, if there is a channel."""
        for channel in self._channels[:1]:
            if channel.readyState == "open":
                channel.send(text)

    def _drain(self, group: asyncio.TaskGroup) -> None:
        """Read every track that the peer sends, wanted or not: what is not read piles up in memory."""
        listening = False
        sources = iter(_SOURCES)
        for transceiver in self._pc.getTransceivers():
            track = transceiver.receiver.track
            if transceiver.kind == "audio":
                install(transceiver.receiver, self.inlet)
                listening = "a=recvonly" in self._offered() or "a=sendrecv" in self._offered()
            elif track is not None:
                _rate.install(transceiver.receiver)
                self._tasks.append(group.create_task(self._watch(track, next(sources)), name=f"video:{self.id}"))
        if not listening:
            self._tasks.append(group.create_task(self._play_unheard(), name=f"unheard:{self.id}"))

    def _offered(self) -> str:
        """Return the audio section of the offer."""
        _, _, rest = self._pc.remoteDescription.sdp.partition("\nm=audio")
        return rest.partition("\nm=")[0]

    async def _watch(self, track: MediaStreamTrack, source: str) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self._link.seen(self, frame, source)
        except MediaStreamError:
            return

    async def _play_unheard(self) -> None:
        """Keep the pace of the agent's voice for a peer that wants no sound."""
        try:
            while True:
                await self.track.recv()
        except MediaStreamError:
            return

    def _changed(self) -> None:
        self._link.changed(self)

    def _channel(self, channel: RTCDataChannel) -> None:
        self._channels.append(channel)
        if len(self._channels) > _CHANNELS:
            channel.close()
            return
        channel.on("message", lambda message: self._link.said(self, message))
        if len(self._channels) == 1:
            self._link.opened(self, channel)
