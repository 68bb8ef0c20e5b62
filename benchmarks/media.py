"""From the microphone to the senses: this transport beside stock aiortc, in the same run.

Two callers send the same 20 ms Opus packets over loopback, every 25th with a burst of sound in it: one to
:mod:`agent.transports.webrtc`, one to a bare ``RTCPeerConnection`` whose track is read as fast as it gives
frames. Measured is the time from the moment a burst's packet is handed to RTP until its sound comes out: of
``feed()`` here, of ``track.recv()`` there. The network is clean, then loses packets, then is clean again.

    python benchmarks/media.py [--seconds 10] [--loss 0.05]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import is_rtcp
from av.packet import Packet
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))
from agent.clock import SystemClock
from agent.transports import Hangup, Signal, Transport
from agent.transports._call import RemoteCall
from agent.transports._opus import OpusEncoder
from agent.transports._sdp import offer_loopback
from agent.transports.webrtc import Offer, load
from perception.media import AudioChunk, Media

EVERY = 25
CLEAN, LOSS, AGAIN = "clean", "loss", "clean again"


class Line:
    """One caller's way to one listener, and what was measured on it."""

    def __init__(self, name: str, loss: float) -> None:
        self.name = name
        self.phase = CLEAN
        self.packets: dict[str, int] = defaultdict(int)
        self.frames: dict[str, int] = defaultdict(int)
        self.lags_ms: dict[str, list[float]] = defaultdict(list)
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._sent: list[float] = []
        self._matched = 0
        self._chance = random.Random(7)
        self._loss = loss
        transceiver = self.pc.addTransceiver(Bursts(self._burst), direction="sendonly")
        self._wire: Any = transceiver.sender.transport
        self._send = self._wire._send_rtp
        setattr(self._wire, "_send_rtp", self._lossy)  # noqa: B010 - replaces a method

    def heard(self, samples: NDArray[np.float32]) -> None:
        """Take in what came out at the other end."""
        self.frames[self.phase] += 1
        if not len(samples) or np.abs(samples).max() < 0.1 or self._matched == len(self._sent):
            return
        lag = time.perf_counter() - self._sent[-1]
        self._matched = len(self._sent)
        self.lags_ms[self.phase].append(lag * 1000)

    def _burst(self) -> None:
        self._sent.append(time.perf_counter())

    async def _lossy(self, data: bytes) -> None:
        if not is_rtcp(data):
            self.packets[self.phase] += 1
            if self.phase == LOSS and self._chance.random() < self._loss:
                return
        await self._send(data)


class Bursts(MediaStreamTrack):
    """Packets of silence, every 25th with a burst in it."""

    kind = "audio"

    def __init__(self, on_burst: Callable[[], None]) -> None:
        super().__init__()
        encoder = OpusEncoder(48_000)
        burst = (0.6 * np.sin(2 * np.pi * 1000 * np.arange(960) / 48_000)).astype(np.float32)
        self._cycle = [encoder.encode(np.zeros(960, np.float32) if k else burst) for k in range(EVERY)]
        self._on_burst = on_burst
        self._sent = 0
        self._began = 0.0

    async def recv(self) -> Any:
        self._began = self._began or time.perf_counter()
        await asyncio.sleep(max(0.0, self._began + self._sent * 0.02 - time.perf_counter()))
        if self.readyState != "live":
            raise MediaStreamError
        packet: Packet[Any] = Packet(self._cycle[self._sent % EVERY])
        packet.pts, packet.time_base = self._sent * 960, Fraction(1, 48_000)
        if self._sent % EVERY == 0:
            self._on_burst()
        self._sent += 1
        return packet


async def to_stock(line: Line) -> RTCPeerConnection:
    """Connect ``line`` to aiortc as it is."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def read(track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                line.heard((frame.to_ndarray().reshape(-1) / 32768).astype(np.float32))
        except MediaStreamError:
            return

    pc.on("track", lambda track: tasks.append(asyncio.ensure_future(read(track))))
    tasks: list[asyncio.Future[None]] = []
    await line.pc.setLocalDescription(await line.pc.createOffer())
    await pc.setRemoteDescription(RTCSessionDescription(line.pc.localDescription.sdp, "offer"))
    await pc.setLocalDescription(await pc.createAnswer())
    await line.pc.setRemoteDescription(RTCSessionDescription(pc.localDescription.sdp, "answer"))
    return pc


async def measure(seconds: float, loss: float) -> int:
    offer_loopback(always=True)
    came: dict[str, int] = {}

    async def answer(transport: Transport) -> None:
        calls.append(cast(RemoteCall, transport))

        def feed(found: Media | Signal) -> None:
            if isinstance(found, AudioChunk):
                ours.heard(found.samples)

        try:
            await transport.receive(feed, SystemClock())
        except Hangup:
            pass

    ours, stock = Line("rapport", loss), Line("stock aiortc", loss)
    door = load(loopback=True, consent="given")
    calls: list[RemoteCall] = []
    async with asyncio.TaskGroup() as group:
        opened = group.create_task(door.open(answer))
        await asyncio.sleep(0)
        await ours.pc.setLocalDescription(await ours.pc.createOffer())
        found = await door.offer(Offer(sdp=ours.pc.localDescription.sdp, type="offer"))
        await ours.pc.setRemoteDescription(RTCSessionDescription(found["sdp"], "answer"))
        listener = await to_stock(stock)
        await asyncio.sleep(2)
        for line in (ours, stock):
            line.lags_ms.clear()
            line.packets.clear()
            line.frames.clear()
        for phase in (CLEAN, LOSS, AGAIN):
            ours.phase = stock.phase = phase
            before = calls[0].intake.totals()["audio_received_count"]
            await asyncio.sleep(seconds)
            came[phase] = calls[0].intake.totals()["audio_received_count"] - before
        for pc in (ours.pc, stock.pc, listener):
            await pc.close()
        opened.cancel()
    delivered = {
        ours.name: came[LOSS] / ours.packets[LOSS],
        stock.name: stock.frames[LOSS] / stock.packets[LOSS],
    }
    print(f"{'microphone to senses, median (p95)':36s}{CLEAN:>18s}{f'{loss:.0%} loss':>18s}{AGAIN:>18s}   delivered")
    for line in (ours, stock):
        columns = "".join(f"{_figures(line.lags_ms[phase]):>18s}" for phase in (CLEAN, LOSS, AGAIN))
        print(f"{line.name:36s}{columns}   {delivered[line.name]:.1%} of frames during the loss")
    median = statistics.median(ours.lags_ms[CLEAN])
    ok = median <= 40
    print(f"target: at most 40 ms on loopback: {'reached' if ok else 'MISSED'} ({median:.1f} ms)")
    return 0 if ok else 1


def _figures(lags: list[float]) -> str:
    if not lags:
        return "-"
    ordered = sorted(lags)
    return f"{statistics.median(ordered):.1f} ({ordered[int(0.95 * (len(ordered) - 1))]:.1f}) ms"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each of the three phases")
    parser.add_argument("--loss", type=float, default=0.05, help="share of packets lost in the second phase")
    options = parser.parse_args()
    return asyncio.run(measure(options.seconds, options.loss))


if __name__ == "__main__":
    sys.exit(main())
