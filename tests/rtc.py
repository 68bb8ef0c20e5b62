"""A caller for tests: a stock aiortc peer with a microphone, a camera and a data channel."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from agent.sense_map import SenseMap
from agent.transports import Feed, Hangup, Signal, Transport
from agent.transports._opus import OpusDecoder
from agent.transports._reorder import AudioInlet, Packet, install
from agent.transports._sdp import offer_loopback
from perception.media import AudioChunk, Media, Text, VideoFrame

RATE = 48_000

offer_loopback(always=True)


class Paced(MediaStreamTrack):
    """Calls ``make(k)`` for the k-th frame, every ``step`` seconds."""

    def __init__(self, kind: str, step: float, make: Callable[[int], Any]) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        self._step = step
        self._make = make
        self._start: float | None = None

    async def recv(self) -> Any:
        if self._start is None:
            self._start = time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self.sent * self._step - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        frame = self._make(self.sent)
        self.sent += 1
        return frame


def microphone(tone_hz: float = 440.0) -> Paced:
    def make(k: int) -> av.AudioFrame:
        t = (np.arange(960) + k * 960) / RATE
        pcm = (0.3 * np.sin(2 * np.pi * tone_hz * t) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, k * 960, Fraction(1, RATE)
        return frame

    return Paced("audio", 0.02, make)


def camera(width: int = 320, height: int = 240, rate_hz: int = 30) -> Paced:
    """Pictures that get brighter from one to the next."""

    def make(k: int) -> av.VideoFrame:
        pixels = np.full((height, width, 3), 40 + 5 * k % 160, np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = k * 90_000 // rate_hz, Fraction(1, 90_000)
        return frame

    return Paced("video", 1 / rate_hz, make)


class Client:
    """One caller.

    Attributes:
        messages: what came over the data channel, parsed.
        seen: pictures that came from the agent.
        heard: the agent's sound, float32 mono at 48 kHz, with the time of arrival of each piece.
    """

    def __init__(self, *, audio: bool = True, video: bool = True, channel: bool = True) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.messages: list[dict[str, Any]] = []
        self.heard: list[tuple[float, NDArray[np.float32]]] = []
        self.seen = 0
        self.pc_id: str | None = None
        self.resume: str | None = None
        self._decoder = OpusDecoder()
        self.mic = microphone()
        self.opened = asyncio.Event()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        if audio:
            ear = self.pc.addTransceiver(self.mic, direction="sendrecv").receiver
            install(ear, AudioInlet(self._listen, lambda: 0))
        if video:
            self.pc.addTransceiver(camera(), direction="sendrecv")
        self.channel = self.pc.createDataChannel("chat", ordered=True) if channel else None
        if self.channel is not None:
            self.channel.on("open", self.opened.set)
            self.channel.on("message", self._hear)
        self.pc.on("track", self._track)

    async def offer(self, **more: Any) -> dict[str, Any]:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return {"sdp": self.pc.localDescription.sdp, "type": "offer", **more}

    async def accept(self, answer: dict[str, Any]) -> None:
        self.pc_id, self.resume = answer["pc_id"], answer.get("resume", self.resume)
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp=answer["sdp"], type=answer["type"]))
        if self.channel is not None:
            await asyncio.wait_for(self.opened.wait(), 10)

    def say(self, type: str, data: Any = None, id: str = "c0ffee00") -> None:
        assert self.channel is not None
        self.channel.send(json.dumps({"label": "rtvi-ai", "type": type, "id": id, "data": data}))

    def ask(self, t: str, d: Any = None, id: str = "c0ffee01") -> None:
        self.say("client-message", {"t": t, "d": d}, id)

    async def wait_for(self, want: Callable[[dict[str, Any]], bool], timeout: float = 10) -> dict[str, Any]:
        async with asyncio.timeout(timeout):
            while True:
                for message in self.messages:
                    if want(message):
                        return message
                self._news.clear()
                await self._news.wait()

    async def wait_type(self, type: str, timeout: float = 10) -> dict[str, Any]:
        return await self.wait_for(lambda m: m.get("type") == type, timeout)

    async def close(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def vanish(self) -> None:
        """Go without a word: no DTLS close, no RTCP BYE, no ICE reply."""
        for transceiver in self.pc.getTransceivers():
            connection = transceiver.receiver.transport.transport._connection
            for protocol in connection._protocols:
                protocol.transport.abort()

    def loud(self, since: float) -> list[float]:
        """Arrival times of pieces of the agent's sound that are not silence."""
        return [at for at, piece in self.heard if at >= since and float(np.abs(piece).max()) > 0.02]

    def _listen(self, packet: Packet) -> None:
        """Take the agent's packets as they come: what is measured here is the agent, not aiortc's buffer."""
        piece = self._decoder.decode(packet.data)
        if piece is not None:
            self.heard.append((time.monotonic(), piece))

    def _hear(self, raw: Any) -> None:
        self.messages.append(json.loads(raw))
        self._news.set()

    def _track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._drain(track)))

    async def _drain(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                self.seen += isinstance(frame, av.VideoFrame)
        except MediaStreamError:
            return


class Recorder:
    """A runtime that keeps what it is fed; ``script`` is what it does meanwhile."""

    def __init__(self, script: Callable[[Transport], Coroutine[Any, Any, None]] | None = None) -> None:
        self.audio: list[AudioChunk] = []
        self.video: list[VideoFrame] = []
        self.texts: list[Text] = []
        self.signals: list[Signal] = []
        self.arrivals: list[int] = []
        self.transports: list[Transport] = []
        self.ended = asyncio.Event()
        self.news = asyncio.Event()
        self.why = ""
        self._script = script

    async def answer(self, transport: Transport) -> None:
        from agent.clock import SystemClock

        self.transports.append(transport)
        clock = SystemClock()

        def feed(found: Media | Signal) -> None:
            match found:
                case AudioChunk():
                    self.audio.append(found)
                    self.arrivals.append(clock.now())
                case VideoFrame():
                    self.video.append(found)
                case Text():
                    self.texts.append(found)
                case Signal():
                    self.signals.append(found)
            self.news.set()

        keep: Feed = feed
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self._script(transport)) if self._script is not None else None
                try:
                    await transport.receive(keep, clock)
                except Hangup as error:
                    self.why = str(error)
                if task is not None:
                    task.cancel()
        finally:
            await transport.close()
            self.ended.set()

    def watch(self, told: Callable[[str], None], /) -> None:
        """There is no webhook."""

    @property
    def senses(self) -> SenseMap:
        return SenseMap()

    def given_up(self) -> frozenset[str]:
        return frozenset()

    def late_s(self) -> float:
        return 0.0

    def sends_to(self) -> list[str]:
        return []

    def describe(self) -> dict[str, Any]:
        return {"policy": "echo", "voice": "beep", "workers": ["vad", "face"]}

    async def until(self, want: Callable[[], bool], timeout: float = 10) -> None:
        async with asyncio.timeout(timeout):
            while not want():
                self.news.clear()
                try:
                    async with asyncio.timeout(0.05):
                        await self.news.wait()
                except TimeoutError:
                    pass
