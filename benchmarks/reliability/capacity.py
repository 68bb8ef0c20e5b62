"""How many calls at once this machine carries, and which stage is the first that does not keep up.

A server in a process of its own takes one caller after another; each sends a spoken sentence over and over, with pauses
in which it could be answered, and pictures of 640x480 at 30 a second (or sound alone). What callers send was encoded
before, so that they cost little; what they cost is told, for they share the machine. The calls are made more until a
stage fails: sound that does not come through, an event loop that is late, a sense that lets media fall or is far
behind. Levels: ``media`` (no senses), ``voice`` (all that hears, thinks and speaks), ``face`` (what sees as well).

    python -m benchmarks.reliability.capacity [--level media] [--no-video] [--seconds 8] [--most 24]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
import psutil
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from agent.transports._opus import OpusEncoder
from agent.transports._sdp import offer_loopback
from benchmarks.reliability.loaded import LEVELS
from benchmarks.reliability.served import Child

DELIVERED, LAG_MS, DROPPED, BEHIND_S = 0.97, 100.0, 0.02, 2.0
STEPS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 64)
PAUSE_S = 4.0
SENTENCE = "I had an argument with my sister on the phone today, and I keep thinking about what she said to me."


class Loop(MediaStreamTrack):
    """Packets that were encoded before, over and over.

    Args:
        kind: ``audio`` or ``video``.
        packets: what is sent.
        rate_hz: packets a second.
        base_hz: ticks a second of their time stamps.
        offset: of the packets that it begins with, so that callers do not speak with one voice.
    """

    def __init__(self, kind: str, packets: list[bytes], rate_hz: int, base_hz: int, offset: int = 0) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        self._packets, self._rate_hz, self._base_hz, self._offset = packets, rate_hz, base_hz, offset
        self._began = 0.0

    async def recv(self) -> Any:
        self._began = self._began or time.perf_counter()
        await asyncio.sleep(max(0.0, self._began + self.sent / self._rate_hz - time.perf_counter()))
        if self.readyState != "live":
            raise MediaStreamError
        packet: Any = av.Packet(self._packets[(self.sent + self._offset) % len(self._packets)])
        packet.pts, packet.time_base = self.sent * self._base_hz // self._rate_hz, Fraction(1, self._base_hz)
        self.sent += 1
        return packet


def spoken(silent: bool) -> list[bytes]:
    """Return Opus packets of a sentence and a pause; of a hum where no voice is wanted."""
    if silent:
        sound = (0.1 * np.sin(np.arange(48_000) * 0.03)).astype(np.float32)
    else:
        import soxr
        from hibari import Hibari

        sound = np.concatenate([soxr.resample(s, 24_000, 48_000) for s in Hibari().stream(SENTENCE, seed=1)])
    sound = np.concatenate((sound, np.zeros(round(PAUSE_S * 48_000)))).astype(np.float32)
    encoder = OpusEncoder(48_000)
    return [encoder.encode(sound[k * 960 : (k + 1) * 960]) for k in range(len(sound) // 960)]


def filmed(seconds: int = 2) -> list[bytes]:
    """Return VP8 packets of 640x480 at 30 a second, the first of which needs no other."""
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = 640, 480, "yuv420p"
    codec.time_base, codec.framerate, codec.bit_rate, codec.gop_size = Fraction(1, 30), Fraction(30), 700_000, 60
    codec.options = {"cpu-used": "8", "deadline": "realtime", "lag-in-frames": "0"}
    found: list[bytes] = []
    for k in range(30 * seconds):
        frame = av.VideoFrame.from_ndarray(picture(k), format="rgb24").reformat(format="yuv420p")
        frame.pts = k
        found += [bytes(packet) for packet in codec.encode(frame)]
    return found


def picture(k: int) -> NDArray[np.uint8]:
    """Return a soft picture in which something like a head moves a little."""
    y, x = np.mgrid[0:480, 0:640]
    away = ((x - 320 - 20 * np.sin(k / 10)) / 110) ** 2 + ((y - 230) / 150) ** 2
    grey = np.where(away < 1, 190 - 40 * away, 70 + y / 12)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


class Caller:
    """One caller, who lets go of what the agent says."""

    def __init__(self, sound: list[bytes], film: list[bytes] | None, place: int) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.mic = Loop("audio", sound, 50, 48_000, offset=place * len(sound) // 7)
        self.pc.addTransceiver(self.mic, direction="sendonly")
        if film is not None:
            self.pc.addTransceiver(Loop("video", film, 30, 90_000), direction="sendonly")
        self.pc.createDataChannel("chat")

    async def join(self, http: httpx.AsyncClient) -> None:
        """Connect.

        Raises:
            RuntimeError: the server does not let it in.
        """
        await self.pc.setLocalDescription(await self.pc.createOffer())
        body = {"sdp": self.pc.localDescription.sdp, "type": "offer"}
        answer = await http.post("/api/offer", json=body)
        if answer.status_code != 200:
            raise RuntimeError(f"the server answered {answer.status_code}: {answer.text[:200]}")
        await self.pc.setRemoteDescription(RTCSessionDescription(answer.json()["sdp"], "answer"))
        async with asyncio.timeout(30):
            while self.pc.connectionState != "connected":
                await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Step:
    """How it went with so many calls; what the server told, what came through, and what was the first to fail."""

    calls: int
    load: dict[str, Any]
    delivered: float
    callers_cores: float
    failed: str


def judge(load: dict[str, Any], calls: int, delivered: float, video: bool) -> str:
    """Return which stage did not keep up, in words; ``""`` if all did."""
    fed = load["seconds"] * calls * (50 + (15 if video else 0))
    for name, count in sorted(load["dropped"].items(), key=lambda item: -item[1]):
        if count > DROPPED * fed:
            return f"{name} lets {count} of its media fall"
    for name, behind in sorted(load["behind_s"].items(), key=lambda item: -item[1]):
        if behind > BEHIND_S:
            return f"{name} is {behind:.1f} s behind"
    if load["lag_p99_ms"] > LAG_MS:
        return f"the event loop is {load['lag_p99_ms']:.0f} ms late"
    if delivered < DELIVERED:
        return f"{1 - delivered:.0%} of the sound is missing"
    return ""


async def measure(level: str, *, video: bool, seconds: float, most: int) -> list[Step]:
    """Add callers until a stage fails, or there are ``most``."""
    offer_loopback(always=True)
    sound, film = spoken(silent=level == "media"), filmed() if video else None
    found: list[Step] = []
    callers: list[Caller] = []
    own = psutil.Process()
    words = ("benchmarks.reliability.loaded", level, "--most", str(most))
    async with Child(*words) as child, httpx.AsyncClient(timeout=30) as http:
        http.base_url = httpx.URL(child.url)
        try:
            for calls in (step for step in STEPS if step <= most):
                while len(callers) < calls:
                    callers.append(Caller(sound, film, len(callers)))
                    await callers[-1].join(http)
                await asyncio.sleep(2.0)
                before, sent = await child.ask("load"), sum(caller.mic.sent for caller in callers)
                spent = own.cpu_times()
                await asyncio.sleep(seconds)
                after = await child.ask("load")
                now = own.cpu_times()
                cores = (now.user + now.system - spent.user - spent.system) / after["seconds"]
                went = sum(caller.mic.sent for caller in callers) - sent
                # What fell behind before it was sent is missing as well.
                wanted = max(went, round(50 * after["seconds"] * calls))
                delivered = (after["sounds"] - before["sounds"]) / wanted
                failed = judge(after, calls, delivered, video)
                found.append(Step(calls, after, delivered, cores, failed))
                print(row(found[-1]), flush=True)
                if failed:
                    break
        finally:
            for caller in callers:
                await caller.pc.close()
    return found


def row(step: Step) -> str:
    """Return a line of the table."""
    load = step.load
    waits = load["waits_s"]
    wait = f"{waits[len(waits) // 2]:.2f} s" if waits else "-"
    busy = ", ".join(f"{name} {share:.0%}" for name, share in list(load["cpu"].items())[:3])
    cores = f"{load['cores']:7.2f} {step.callers_cores:8.2f}"
    end = f"  <- {step.failed}" if step.failed else ""
    return f"{step.calls:5d} {step.delivered:9.1%} {load['lag_p99_ms']:7.1f} ms {cores} {wait:>8s}  {busy}{end}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--level", choices=LEVELS, action="append", help="may be given more than once (default: all)")
    parser.add_argument("--no-video", action="store_true", help="callers without a camera")
    parser.add_argument("--seconds", type=float, default=8.0, help="time with each number of calls")
    parser.add_argument("--most", type=int, default=24, help="calls at once, at most")
    options = parser.parse_args()
    for level in options.level or LEVELS:
        video = not options.no_video
        cores = os.cpu_count() or 1
        others = psutil.cpu_percent(interval=1.0) * cores / 100
        print(f"\n{level}, {'640x480 at 30' if video else 'sound alone'}; {cores} cores, {others:.1f} busy with others")
        print(f"{'calls':>5s} {'sound':>9s} {'loop p99':>10s} {'server':>7s} {'callers':>8s} {'turn end':>8s}  busiest")
        steps = asyncio.run(measure(level, video=video, seconds=options.seconds, most=options.most))
        good = [step.calls for step in steps if not step.failed]
        why = f"then {steps[-1].failed}" if steps[-1].failed else "the most that was asked for"
        print(f"{level}: {max(good, default=0)} calls; {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
