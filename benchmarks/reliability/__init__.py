"""Bad networks and leaks, made and measured inside one process: what the commands of this package share.

A caller is a stock aiortc peer. Whatever it sends or receives, STUN, DTLS, media and data alike, goes through a
:class:`Network` at the UDP socket, which loses packets with a seeded chance or lets nothing pass. Nothing
leaves this machine, no root and no kernel module is needed, and before a figure is believed the impairment itself
is: :meth:`Network.prove`.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import is_rtcp

from agent.clock import SystemClock
from agent.transports import Hangup, Signal, Transport
from agent.transports._call import RemoteCall
from agent.transports._opus import OpusEncoder
from agent.transports._sdp import offer_loopback
from agent.transports.webrtc import Offer, WebRtcDoor, load
from benchmarks.reliability.network import Direction, Network
from perception.media import AudioChunk, Media, VideoFrame
from perception.timebase import SECOND, Nanos

BURST_EVERY = 25
"""Packets of the microphone from one burst of sound to the next."""


class _Track(MediaStreamTrack):
    def __init__(self, kind: str, rate_hz: float) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        self.began = 0.0
        self._step = 1 / rate_hz

    async def recv(self) -> Any:
        self.began = self.began or time.perf_counter()
        await asyncio.sleep(max(0.0, self.began + self.sent * self._step - time.perf_counter()))
        if self.readyState != "live":
            raise MediaStreamError
        made = self.make(self.sent)
        self.sent += 1
        return made

    def make(self, k: int) -> Any:
        raise NotImplementedError


class Microphone(_Track):
    """Packets with in-band FEC: a soft voice, every 25th with a burst in it, or a loud one throughout, or silence.

    Attributes:
        humming: whether the voice is loud.
        silent: whether it is silent.
        keep: whether to remember the bursts.
        bursts: when each burst was handed to RTP.
    """

    def __init__(self) -> None:
        super().__init__("audio", 50)
        self.humming = self.silent = False
        self.keep = True
        self.bursts: list[float] = []
        # Two seconds of a voice without words: a gliding pitch with overtones, four syllables a second.
        t = np.arange(2 * 48_000) / 48_000
        turns = np.cumsum(150 + 30 * np.sin(np.pi * t)) / 48_000
        voice = sum(np.sin(2 * np.pi * n * turns) / n for n in range(1, 20)) * (0.5 - 0.5 * np.cos(8 * np.pi * t)) * 0.3
        burst = (0.8 * np.sin(2 * np.pi * 1000 * t[:960])).astype(np.float32)
        encoder = OpusEncoder(48_000)
        pieces = [voice[k * 960 : (k + 1) * 960].astype(np.float32) for k in range(100)]
        self._soft = [encoder.encode(0.3 * pieces[k] if k % BURST_EVERY else burst) for k in range(100)]
        self._loud = [encoder.encode(piece) for piece in pieces]
        self._silence = [encoder.encode(None) for _ in range(10)][-1]

    def make(self, k: int) -> Any:
        if self.silent:
            data = self._silence
        elif self.humming:
            data = self._loud[k % 100]
        else:
            data = self._soft[k % 100]
            if k % BURST_EVERY == 0 and self.keep:
                self.bursts.append(time.perf_counter())
        packet: Any = av.Packet(data)
        packet.pts, packet.time_base = k * 960, Fraction(1, 48_000)
        return packet


class Camera(_Track):
    """Pictures of 320x240, most of which fit into one packet: the case in which stock aiortc waits longest."""

    def __init__(self, rate_hz: int = 12) -> None:
        super().__init__("video", rate_hz)
        self.rate_hz = rate_hz

    def make(self, k: int) -> Any:
        frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 40 + 5 * k % 160, np.uint8), format="rgb24")
        frame.pts, frame.time_base = k * 90_000 // self.rate_hz, Fraction(1, 90_000)
        return frame


@dataclass
class Seen:
    """What came out at the listener, with the second (``perf_counter``) of each."""

    bursts: list[tuple[float, float]] = field(default_factory=list)
    """When a burst came out, and how many seconds after it was sent."""
    sounds: list[float] = field(default_factory=list)
    pictures: list[tuple[float, float]] = field(default_factory=list)
    """When a picture came out, and its age."""
    stale: int = 0
    """Pictures older than 500 ms."""
    count: int = 0
    """Pieces of either, where the rest is not kept."""


class Caller:
    """A stock aiortc peer behind a :class:`Network`.

    Args:
        video: whether it has a camera.
        seed: of the chance of its network.
        keep: whether to remember when what came out; a soak must not.

    Attributes:
        seen: what came out at the other end.
        rtp: its packets of sound by phase, see :func:`count_rtp`.
    """

    def __init__(self, *, video: bool = True, seed: int = 7, keep: bool = True) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.network = Network(seed)
        self.mic = Microphone()
        self.camera = Camera() if video else None
        self.seen = Seen()
        self.keep = self.mic.keep = keep
        self.rtp: dict[str, Direction] = defaultdict(Direction)
        self._matched = 0
        self.pc.addTransceiver(self.mic, direction="sendrecv")
        if self.camera is not None:
            self.pc.addTransceiver(self.camera, direction="sendonly")
        self.channel = self.pc.createDataChannel("chat")
        self._listening: list[asyncio.Future[None]] = []
        self.pc.on("track", lambda track: self._listening.append(asyncio.ensure_future(_drain(track))))

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        async with asyncio.timeout(20):
            while self.pc.connectionState != "connected":
                await asyncio.sleep(0.01)
        self.network.take(self.pc)

    def sound(self, samples: np.ndarray[Any, Any]) -> None:
        """Take in sound at the listener."""
        if not self.keep:
            self.seen.count += 1
            return
        now = time.perf_counter()
        self.seen.sounds.append(now)
        bursts = self.mic.bursts
        if len(samples) and np.abs(samples).max() > 0.3 and self._matched < len(bursts):
            self._matched = len(bursts)
            self.seen.bursts.append((now, now - bursts[-1]))

    def picture(self, age: float) -> None:
        """Take in a picture at the listener."""
        if not self.keep:
            self.seen.count += 1
            return
        self.seen.pictures.append((time.perf_counter(), age))
        self.seen.stale += age > 0.5

    async def close(self) -> None:
        await self.pc.close()

    async def heard(self, count: int, seconds: float = 10) -> None:
        """Wait until ``count`` pieces of sound or pictures have come out."""
        async with asyncio.timeout(seconds):
            while self.seen.count + len(self.seen.sounds) < count:
                await asyncio.sleep(0.01)


async def _drain(track: MediaStreamTrack) -> None:
    """Read what the agent says: stock aiortc keeps what is not read, for ever."""
    try:
        while True:
            await track.recv()
    except MediaStreamError:
        return


async def to_stock(caller: Caller) -> RTCPeerConnection:
    """Connect ``caller`` to aiortc as it is, whose tracks are read as fast as they give frames."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tasks: list[asyncio.Future[None]] = []

    async def read(track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, av.AudioFrame):
                    caller.sound((frame.to_ndarray().reshape(-1) / 32768).astype(np.float32))
                elif caller.camera is not None and isinstance(frame, av.VideoFrame):
                    taken = caller.camera.began + (frame.pts or 0) / 90_000
                    caller.picture(time.perf_counter() - taken)
        except MediaStreamError:
            return

    pc.on("track", lambda track: tasks.append(asyncio.ensure_future(read(track))))
    await pc.setRemoteDescription(RTCSessionDescription(await caller.offer(), "offer"))
    await pc.setLocalDescription(await pc.createAnswer())
    await caller.accept(pc.localDescription.sdp)
    return pc


class House:
    """The door of this project, with a runtime behind it that feeds what comes in to the caller's record.

    Attributes:
        calls: every call that was answered.
        ends: why those ended that did.
    """

    def __init__(self, door: WebRtcDoor) -> None:
        self.door = door
        self.ends: list[str] = []
        self.calls: list[RemoteCall] = []
        self.callers: list[Caller] = []
        self.run: Callable[[Transport], Awaitable[None]] = self._listen

    async def answer(self, transport: Transport) -> None:
        self.calls.append(cast(RemoteCall, transport))
        await self.run(transport)

    async def call(self, caller: Caller) -> Caller:
        self.callers.append(caller)
        answer = await self.door.offer(Offer(sdp=await caller.offer(), type="offer"))
        await caller.accept(answer["sdp"])
        async with asyncio.timeout(10):
            while len(self.calls) < len(self.callers):
                await asyncio.sleep(0.01)
        return caller

    async def empty(self, seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while self.door.calls:
                await asyncio.sleep(0.01)

    async def _listen(self, transport: Transport) -> None:
        caller = self.callers[len(self.calls) - 1]
        clock = SystemClock()
        try:
            await transport.receive(lambda found: record(caller, found, clock.now()), clock)
        except Hangup as error:
            self.ends.append(str(error))


def record(caller: Caller, found: Media | Signal, now: Nanos) -> None:
    """Note in the caller's record what was fed."""
    match found:
        case AudioChunk():
            caller.sound(found.samples)
        case VideoFrame():
            caller.picture((now - found.at) / SECOND)


@asynccontextmanager
async def house(**options: Any) -> AsyncIterator[House]:
    """Open the door on this machine's loopback address; close it in the end."""
    offer_loopback(always=True)
    given: dict[str, Any] = {"consent": "given", "max_calls": 4, "loopback": True}
    found = House(load(**(given | options)))
    async with asyncio.TaskGroup() as group:
        opened = group.create_task(found.door.open(found.answer))
        await asyncio.sleep(0)
        try:
            yield found
        finally:
            for caller in found.callers:
                await caller.close()
            opened.cancel()


def count_rtp(caller: Caller, phase: Callable[[], str]) -> None:
    """Count the caller's packets of sound by phase, before any is lost."""
    wire: Any = caller.pc.getTransceivers()[0].sender.transport
    send = wire._send_rtp
    ssrc = caller.pc.getTransceivers()[0].sender._ssrc.to_bytes(4, "big")

    async def counted(data: bytes) -> None:
        if not is_rtcp(data) and data[8:12] == ssrc:
            lost = caller.network.up.lost
            await send(data)
            way = caller.rtp[phase()]
            if caller.network.up.lost > lost:
                way.lost += 1
            else:
                way.passed += 1
            return
        await send(data)

    wire._send_rtp = counted


def verdict(reached: Mapping[str, bool]) -> int:
    """Print which figures were reached; return the exit status."""
    for words, ok in reached.items():
        print(f"{'reached' if ok else 'MISSED '} {words}")
    return 0 if all(reached.values()) else 1
