"""The live call, measured from outside: a real server process, a real WebRTC peer, every sense on.

The peer sends the crying-to-joyful clip at 640x480 and 30 fps and speaks one sentence after another; each
next one begins when the agent has finished. Sound and pictures are encoded beforehand, so that the peer
itself costs next to nothing. Printed are medians over the turns, per stage, as the server reports them, and
the same from the peer's side (last sample of speech sent -> first sound of the reply received).

    python benchmarks/call.py [--turns 12] [--port 8090] [--seconds-flat 0]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import soxr
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from hibari import Hibari

sys.path.insert(0, str(Path(__file__).parent.parent))
from agent.models import resolve_clip

LINES = [
    "My dog died last night, and the house is so quiet now.",
    "I had to tell my kids this morning.",
    "I lost my job on Friday and I am scared about the rent.",
    "My sister and I had a terrible fight about our mother.",
    "I passed my driving test on the first try!",
    "Do you think I should call her back?",
    "I have not slept well for about three weeks.",
    "Nobody came to my birthday party.",
    "It rained all day, so we stayed in and baked bread.",
    "I feel like everything I do goes wrong.",
    "We are going to have a baby in spring.",
    "Thank you, it helps to talk about it.",
]
LOUD = 0.01
STAGES = {
    "voice_to_voice": (1.0, "end of speech -> first frame of the reply leaves"),
    "end_of_turn": (0.5, "  of which waiting for the end of the turn"),
    "words": (None, "  of which waiting for the words after that"),
    "decide": (None, "  of which the policy's first decision"),
    "voice": (None, "  of which until the first sound is synthesised"),
    "partial_lag": (0.8, "partial transcript behind the speech"),
    "barge_in": (0.25, "barge-in: onset -> voice held"),
}


def encode_speech(text: str) -> list[bytes]:
    """20 ms Opus packets at 48 kHz of ``text``, spoken lower and slower than the agent speaks."""
    sound = np.concatenate([soxr.resample(s, 24_000, 48_000) for s in Hibari().stream(text, speed=0.95, seed=1)])
    sound = np.trim_zeros(np.where(np.abs(sound) > 0.004, sound, 0)) if len(sound) else sound
    return _opus(np.asarray(sound, np.float32))


def _opus(sound: np.ndarray[Any, Any]) -> list[bytes]:
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.format, codec.layout, codec.bit_rate = 48_000, "s16", "mono", 32_000
    codec.options = {"application": "voip", "frame_duration": "20"}
    sound = np.pad(sound, (0, -len(sound) % 960))
    packets = []
    for i in range(0, len(sound), 960):
        pcm = (np.clip(sound[i : i + 960], -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, i, Fraction(1, 48_000)
        packets += [bytes(p) for p in codec.encode(frame)]
    return packets


def encode_video() -> list[bytes]:
    """VP8 packets of the clip at 640x480, 30 fps; every frame of it, to be looped."""
    codec = av.CodecContext.create("libvpx", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = 640, 480, "yuv420p"
    codec.time_base, codec.framerate, codec.bit_rate = Fraction(1, 30), Fraction(30, 1), 900_000
    codec.options = {"deadline": "realtime", "cpu-used": "8", "g": "60"}
    packets: list[bytes] = []
    with av.open(str(resolve_clip("wolfganglanger"))) as container:
        for i, frame in enumerate(container.decode(video=0)):
            sized = frame.reformat(640, 480, "yuv420p")
            sized.pts, sized.time_base = i, Fraction(1, 30)
            packets += [bytes(p) for p in codec.encode(sized)]
    return packets


class PacketTrack(MediaStreamTrack):
    """Sends ready packets at their pace; ``speak`` puts words in between the silence."""

    def __init__(self, kind: str, packets: list[bytes], ticks: int, rate_hz: int) -> None:
        super().__init__()
        self.kind = kind
        self._idle = packets
        self._ticks = ticks
        self._rate_hz = rate_hz
        self._sent = 0
        self._began = 0.0
        self._queue: list[bytes] = []
        self.on_spoken: Callable[[float], None] | None = None
        self.on_first: Callable[[float], None] | None = None

    def speak(self, packets: list[bytes]) -> None:
        self._queue = list(packets)
        self._fresh = True

    async def recv(self) -> Any:
        if not self._began:
            self._began = time.perf_counter()
        due = self._began + self._sent * self._ticks / self._rate_hz
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if self._queue:
            if getattr(self, "_fresh", False):
                self._fresh = False
                if self.on_first:
                    self.on_first(time.perf_counter())
            data = self._queue.pop(0)
            if not self._queue and self.on_spoken:
                self.on_spoken(time.perf_counter())
        else:
            data = self._idle[self._sent % len(self._idle)]
        packet = av.Packet(data)
        packet.pts, packet.time_base = self._sent * self._ticks, Fraction(1, self._rate_hz)
        self._sent += 1
        return packet


class Peer:
    """The caller."""

    def __init__(self, url: str, video: list[bytes]) -> None:
        self._url = url
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.mic = PacketTrack("audio", _opus(np.zeros(960, np.float32)), 960, 48_000)
        self.camera = PacketTrack("video", video, 3000, 90_000)
        self.metrics: dict[str, list[float]] = defaultdict(list)
        self.counts: dict[str, int] = defaultdict(int)
        self.speaking = False
        self.idle = asyncio.Event()
        self.loud_at: list[float] = []
        self.quiet_at: float | None = None
        self._loud = False
        self._last_loud = 0.0

    async def connect(self) -> None:
        channel = self.pc.createDataChannel("chat")
        ready = asyncio.Event()

        @channel.on("open")
        def opened() -> None:
            channel.send(
                json.dumps({"label": "rtvi-ai", "type": "client-ready", "id": "r", "data": {"version": "2.1.0"}})
            )

        @channel.on("message")
        def message(raw: str) -> None:
            body = json.loads(raw)
            if body.get("type") == "bot-ready":
                senses = ["vad", "asr", "turn", "prosody", "face", "gesture", "scene"]
                wish = {"t": "consent", "d": {"version": 1, "senses": senses}}
                channel.send(json.dumps({"label": "rtvi-ai", "type": "client-message", "id": "c", "data": wish}))
                ready.set()
            if body.get("type") == "server-message":
                self._told(body["data"])

        async def ping() -> None:
            while True:
                await asyncio.sleep(1)
                if channel.readyState == "open":
                    channel.send(f"ping: {int(time.time() * 1000)}")

        self._pinging = asyncio.ensure_future(ping())

        @self.pc.on("track")
        def track(remote: MediaStreamTrack) -> None:
            if remote.kind == "audio":
                self._listening = asyncio.ensure_future(self._listen(remote))

        self.pc.addTrack(self.mic)
        self.pc.addTrack(self.camera)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        offer = self.pc.localDescription
        body = json.dumps({"sdp": offer.sdp, "type": offer.type, "pc_id": None, "restart_pc": False}).encode()
        request = urllib.request.Request(
            f"{self._url}/api/offer", body, {"Content-Type": "application/json", "Origin": self._url}
        )
        answer = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=20).read()))
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await asyncio.wait_for(ready.wait(), 20)

    def _told(self, data: dict[str, Any]) -> None:
        t = data.get("t")
        if t == "metric":
            self.metrics[data["name"]].append(data["value"])
        elif t == "percept":
            self.counts[data["kind"]] += 1
        elif t == "note" and data.get("event") == "state":
            self.speaking = data["state"] == "speaking"
            if data["state"] == "listening":
                self.idle.set()
            else:
                self.idle.clear()

    async def _listen(self, remote: MediaStreamTrack) -> None:
        while True:
            frame = await remote.recv()
            now = time.perf_counter()
            loud = float(np.abs(frame.to_ndarray()).max()) / 32768 > LOUD  # type: ignore[union-attr]
            if loud and now - self._last_loud > 0.3:
                self.loud_at.append(now)
            if loud:
                self._last_loud = now

    @property
    def last_loud(self) -> float:
        return self._last_loud

    async def close(self) -> None:
        self._pinging.cancel()
        self._listening.cancel()
        await self.pc.close()


async def converse(url: str, turns: int, flat_s: float, process: psutil.Process) -> None:
    print("encoding the caller's voice and camera ...", flush=True)
    speech = [encode_speech(line) for line in LINES]
    peer = Peer(url, encode_video())
    await peer.connect()
    await asyncio.sleep(6)  # the greeting
    heard: list[float] = []
    cuts: list[float] = []
    cpu = process.cpu_times()
    began = time.perf_counter()
    peer.counts.clear()
    for k in range(turns):
        spoken: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        peer.mic.on_spoken = lambda at, f=spoken: f.done() or f.set_result(at)
        mark = len(peer.loud_at)
        peer.idle.clear()
        peer.mic.speak(speech[k % len(speech)])
        ended = await spoken
        try:
            async with asyncio.timeout(8):
                while len(peer.loud_at) == mark or peer.loud_at[-1] < ended:
                    await asyncio.sleep(0.005)
            heard.append(peer.loud_at[-1] - ended)
        except TimeoutError:
            print(f"turn {k}: no reply")
            continue
        if k % 3 == 2:  # interrupt every third reply
            await asyncio.sleep(0.5)
            first: asyncio.Future[float] = asyncio.get_running_loop().create_future()
            peer.mic.on_first = lambda at, f=first: f.done() or f.set_result(at)
            peer.mic.speak(speech[(k + 5) % len(speech)])
            onset = await first
            await asyncio.sleep(0.9)
            if peer.last_loud > onset:
                cuts.append(peer.last_loud - onset)
            await asyncio.sleep(3)
        try:
            async with asyncio.timeout(15):
                await peer.idle.wait()
        except TimeoutError:
            pass
        await asyncio.sleep(1.0)
    took = time.perf_counter() - began
    spent = process.cpu_times()
    used = spent.user + spent.system - cpu.user - cpu.system
    rss = process.memory_info().rss / 1e6
    print(f"\n{turns} turns in {took:.0f} s; server used {used / took:.2f} cores; RSS {rss:.0f} MB")
    print(f"{'stage':<58}{'n':>5}{'median':>9}{'p95':>9}{'goal':>9}")
    for name, (goal, words) in STAGES.items():
        report(words, peer.metrics.get(name, []), goal)
    report("at the peer: last speech sent -> first sound received", heard, None)
    report("at the peer: onset sent -> last sound received (barge-in)", cuts, None)
    for kind, goal_hz in (("face", 10.0), ("expression", 2.5)):
        print(f"{kind + ' percepts per second':<58}{'':>5}{peer.counts[kind] / took:9.2f}{'':>9}{goal_hz:9.1f}")
    print(f"{'event loop lag, p99 at most':<58}{'':>5}{'':>9}{lag_p99(url) * 1000:6.0f} ms{'20 ms':>9}")
    if flat_s:
        await flat(peer, process, flat_s)
    await peer.close()


def lag_p99(url: str) -> float:
    """Upper edge, in seconds, of the bucket in which the 99th percentile of the event loop's lag lies."""
    text = urllib.request.urlopen(f"{url}/metrics", timeout=5).read().decode()
    found = re.findall(r'^rapport_loop_lag_seconds_bucket{le="([^"]+)"} (\S+)', text, re.MULTILINE)
    edges = [(float(edge), float(count)) for edge, count in found]
    return next(edge for edge, count in edges if count >= 0.99 * edges[-1][1])


async def flat(peer: Peer, process: psutil.Process, seconds: float) -> None:
    """Memory while the call goes on: the least-squares slope over the second half."""
    points = []
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        points.append((now / 60, process.memory_info().rss / 1e6))
        await asyncio.sleep(5)
    late = [p for p in points if p[0] * 60 > seconds / 2]
    minutes, megabytes = np.array(late).T
    slope = float(np.polyfit(minutes, megabytes, 1)[0])
    print(
        f"memory over {seconds:.0f} s: {points[0][1]:.0f} -> {points[-1][1]:.0f} MB; "
        f"slope {slope:+.2f} MB/min in the second half"
    )


def report(words: str, values: list[float], goal: float | None) -> None:
    if not values:
        print(f"{words:<58}{0:>5}{'-':>9}")
        return
    p95 = sorted(values)[min(len(values) - 1, round(0.95 * len(values)))]
    goal_text = f"{goal * 1000:.0f} ms" if goal else ""
    print(f"{words:<58}{len(values):>5}{statistics.median(values) * 1000:6.0f} ms{p95 * 1000:6.0f} ms{goal_text:>9}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--seconds-flat", type=float, default=0)
    options = parser.parse_args()
    url = f"http://127.0.0.1:{options.port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "serve", "--port", str(options.port)],
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{url}/readyz", timeout=1)
                break
            except OSError:
                time.sleep(0.25)
        asyncio.run(converse(url, options.turns, options.seconds_flat, psutil.Process(server.pid)))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


if __name__ == "__main__":
    main()
