"""One peer connection: negotiated, drained, and closed whatever happens. A call may outlive several."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import av
import structlog
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from agent.clock import Clock
from agent.playout import Playout
from agent.transports import _bounded, _frames, _rate, _teardown
from agent.transports._ear import with_copies
from agent.transports._guard import Addresses
from agent.transports._link import Link
from agent.transports._opus import OpusTrack
from agent.transports._outbox import DataChannel
from agent.transports._reorder import AudioInlet, install
from agent.wire import MAX_BYTES

log = structlog.get_logger(__name__)

_BY_ITSELF_S: Final = 2.0
_LONGEST: Final = re.compile(r"a=max-message-size:[0-9]+")
_CHANNELS: Final = 2
_SOURCES: Final = ("camera", "screen")


class Peer:
    """One RTCPeerConnection.

    Args:
        id: its name in signalling.
        link: the call it belongs to.
        playout: what the agent says.
        clock: paces the sound that goes out.
        ice_servers: STUN and TURN servers, with their credentials.
        addresses: where packets may go.
    """

    def __init__(
        self,
        id: str,
        link: Link,
        playout: Playout,
        clock: Clock,
        *,
        ice_servers: Sequence[RTCIceServer],
        addresses: Addresses,
    ) -> None:
        self.id = id
        self.inlet = AudioInlet(lambda packet: link.heard(self, packet), clock.now)
        self.pictures: list[_frames.VideoInlet] = []
        self.track = OpusTrack(playout, clock)
        self._clock = clock
        self._link = link
        self._addresses = addresses
        self._channels: list[RTCDataChannel] = []
        self._drained: list[RTCRtpTransceiver] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closed: asyncio.Future[None] | None = None
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=list(ice_servers)))
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
            offer: SDP, as :func:`agent.transports._offer.screen` has written it.
            group: runs the readers of the tracks.

        Raises:
            ValueError: the offer cannot be answered.
        """
        first = self._pc.remoteDescription is None
        try:
            if first and "\nm=audio" in offer:
                voice = self._pc.addTransceiver(self.track, direction="sendrecv")
                codecs = RTCRtpSender.getCapabilities("audio").codecs
                voice.setCodecPreferences([c for c in codecs if c.mimeType.lower() == "audio/opus"])
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
            _bounded.bound(self._pc, self._addresses, lambda why: self._link.abused(self, why))
            self._drain(group, first=first)
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except OSError:
            raise
        except Exception as error:  # what aiortc raises depends on where the offer makes no sense
            log.info("offer_refused", peer=self.id, error=repr(error))
            raise ValueError("the offer cannot be answered") from error
        return _LONGEST.sub(f"a=max-message-size:{MAX_BYTES}", with_copies(self._pc.localDescription.sdp))

    async def add_candidate(self, candidate: RTCIceCandidate, mid: str | None, index: int | None) -> None:
        """Add an address of the peer that became known after its offer, and that may be used.

        Raises:
            ValueError: aiortc does not take it.
        """
        if self.over:
            return
        candidate.sdpMid = mid
        candidate.sdpMLineIndex = 0 if mid is None and index is None else index
        try:
            await self._pc.addIceCandidate(candidate)
        except Exception as error:  # as in ``answer``
            log.info("candidate_refused", peer=self.id, error=repr(error))
            raise ValueError("the candidate cannot be used") from error

    async def close(self) -> None:
        """Free everything, within some seconds; may be called by several at once."""
        if self._closed is not None:
            await asyncio.shield(self._closed)
            return
        self._closed = asyncio.get_running_loop().create_future()
        try:
            self.track.stop()
            for task in self._tasks:
                task.cancel()
            await _teardown.close(self._pc, _BY_ITSELF_S)
        finally:
            self._closed.set_result(None)

    def close_channels(self) -> None:
        """Close the data channels; sound and pictures go on."""
        for channel in self._channels:
            channel.close()

    def say_goodbye(self, text: str) -> None:
        """Send a last message, if there is a channel."""
        for channel in self._channels[:1]:
            if channel.readyState == "open":
                channel.send(text)

    def flush(self) -> None:
        """Let through the sound behind a packet that did not come in time."""
        self.inlet.flush()

    def counts(self) -> dict[str, int]:
        """Return what was lost of the pictures since the connection began."""
        return {
            "video_breaks_count": sum(p.buffer.breaks for p in self.pictures),
            "video_dropped_count": sum(p.dropped + p.frames.dropped for p in self.pictures),
        }

    def _drain(self, group: asyncio.TaskGroup, *, first: bool) -> None:
        """Read every track that the peer sends, wanted or not: what is not read piles up in memory."""
        listening = False
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind == "audio":
                listening = "a=recvonly" in self._offered() or "a=sendrecv" in self._offered()
            if transceiver in self._drained:
                continue
            self._drained.append(transceiver)
            track = transceiver.receiver.track
            if transceiver.kind == "audio":
                install(transceiver.receiver, self.inlet)
            elif track is not None:
                _rate.install(transceiver.receiver)
                self.pictures.append(_frames.install(transceiver.receiver, self._clock.now))
                source = _SOURCES[min(len(self.pictures), len(_SOURCES)) - 1]
                self._tasks.append(group.create_task(self._watch(track, source), name=f"video:{self.id}"))
        if first and not listening:
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
        if len(self._channels) >= _CHANNELS:
            channel.close()
            return
        self._channels.append(channel)
        channel.on("message", lambda message: self._link.said(self, message))
        if len(self._channels) == 1:
            self._link.opened(self, DataChannel(channel))
