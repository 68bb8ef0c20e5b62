"""The Python client: what it weighs, what it costs while a call runs, and how long its way is.

Size: everything that pip brings for it, in a folder of its own, beside the same with NumPy. CPU: a process that does
nothing but send a microphone of 16 kHz and a camera of 640x480 at 30 pictures a second, already encoded, and take in
voice, captions and percepts, beside a process that sends the same over a bare WebSocket and throws away what comes.
Way: a click in the microphone, from the moment that its frame of 20 ms is handed over to the percept that the server
tells of it, over the WebSocket and, in the same run against the same server, over WebRTC.

    python -m benchmarks.client [--seconds 20] [--clicks 30] [--no-size]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import uvicorn
from rapport_client import Percept as Told
from rapport_client import Rapport
from rapport_client.frames import Frame, Kind, pack
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

import server
from agent import serving
from agent.action import Caption, PlayAudio
from agent.clock import SystemClock
from agent.config import Config
from agent.journal import Event
from agent.privacy.options import DeploymentOptions
from agent.sense_map import SenseMap
from agent.server_options import ServerConfig
from agent.transports import Hangup, Signal, Transport
from perception.media import AudioChunk, Media
from perception.percept import Percept
from perception.timebase import MS, SECOND
from tests.rtc import RATE, Client, Paced

ROOT = Path(__file__).parents[1]
GOALS = {"size_mb": 60.0, "cpu_percent": 8.0, "added_ms": 40.0}
LOUD = 0.5
EVERY = 15
"""Frames of 20 ms from one click to the next."""


class Listening:
    """A runtime that tells of each click, and talks half of the time."""

    async def answer(self, transport: Transport) -> None:
        clock = SystemClock()
        heard = [0]

        def feed(found: Media | Signal) -> None:
            if isinstance(found, AudioChunk) and float(np.abs(found.samples).max(initial=0)) > LOUD:
                if found.start - heard[0] > 100 * MS:
                    transport.tell(Event(clock.now(), Percept("click", "", found.start, found.end, 1.0, "ear")))
                heard[0] = found.start

        async def talk() -> None:
            reply = 0
            while True:
                reply += 1
                await transport.send(Caption("agent", f"Sentence {reply}.", final=True, reply=reply))
                for n in range(20):
                    chunk = AudioChunk(np.full(2400, 0.1, np.float32), n * 100 * MS, 24_000)
                    await transport.send(PlayAudio(chunk, reply))
                    transport.tell(Event(clock.now(), Percept("face", "", 0, SECOND, 0.9, "face", {"yaw": 0.1})))
                await clock.sleep_until(clock.now() + 2 * SECOND)

        async with asyncio.TaskGroup() as group:
            talking = group.create_task(talk())
            try:
                await transport.receive(feed, clock)
            except Hangup:
                talking.cancel()

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
        return {"policy": "none", "voice": "beep", "workers": ["vad", "face"]}


def serve(port: int) -> None:
    config = Config(
        server=ServerConfig(port=port, consent="given", max_calls=4), deployment=DeploymentOptions(context="kiosk")
    )
    uvicorn.run(
        server.app(Listening(), config),
        host="127.0.0.1",
        port=port,
        log_config=None,
        loop="uvloop",
        **serving.WEBSOCKETS,
    )


def picture() -> bytes:
    """A JPEG of about 22 kB at 640x480."""
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    done, data = cv2.imencode(".jpg", cv2.resize(noise, (640, 480)), [cv2.IMWRITE_JPEG_QUALITY, 70])
    assert done
    return bytes(data)


async def burden(url: str, seconds: float) -> dict[str, float]:
    """Hold a call and return what it cost this process."""
    frame, shot = bytes(640), picture()
    async with Rapport.connect(url) as call:
        events = [0]

        async def follow() -> None:
            async for _ in call:
                events[0] += 1

        async def shoot() -> None:
            began = time.monotonic()
            for n in range(round(seconds * 30)):
                await asyncio.sleep(max(0.0, began + n / 30 - time.monotonic()))
                call.send_jpeg(shot)

        async def hear() -> None:
            began = time.monotonic()
            for n in range(round(seconds * 50)):
                await asyncio.sleep(max(0.0, began + n / 50 - time.monotonic()))
                call.offer_audio(frame)

        async def play() -> None:
            while True:
                await asyncio.sleep(0.02)
                call.speaker.read(480)

        await asyncio.sleep(0.5)
        following, playing = asyncio.create_task(follow()), asyncio.create_task(play())
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.gather(shoot(), hear())
        spent, passed = time.process_time() - cpu, time.monotonic() - began
        following.cancel()
        playing.cancel()
        await asyncio.gather(following, playing, return_exceptions=True)
        return {"cpu_percent": 100 * spent / passed, "events": float(events[0]), "kb_per_picture": len(shot) / 1000}


async def bare(url: str, seconds: float) -> dict[str, float]:
    """Send the same without the client, and return what that costs."""
    frame, shot = bytes(640), picture()
    address = url.replace("http", "ws", 1) + "/ws"
    async with connect(address, subprotocols=[Subprotocol("rapport.v1")], compression=None) as ws:

        async def follow() -> None:
            async for _ in ws:
                pass

        async def send(kind: Kind, detail: int, payload: bytes, rate_hz: int) -> None:
            began = time.monotonic()
            for n in range(round(seconds * rate_hz)):
                await asyncio.sleep(max(0.0, began + n / rate_hz - time.monotonic()))
                await ws.send(pack(Frame(kind, detail, n * 1_000_000 // rate_hz, payload)))

        following = asyncio.create_task(follow())
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.gather(send(Kind.JPEG, 0, shot, 30), send(Kind.PCM16, 16, frame, 50))
        spent, passed = time.process_time() - cpu, time.monotonic() - began
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return {"cpu_percent": 100 * spent / passed}


def click(n: int, rate_hz: int) -> np.ndarray[Any, Any]:
    """The ``n``-th frame of 20 ms: a click of 5 ms every now and then, else a faint hum."""
    count = rate_hz // 50
    hum = 0.01 * np.sin(2 * np.pi * 200 * (np.arange(count) + n * count) / rate_hz)
    if n and n % EVERY == 0:
        hum[: count // 4] = 0.9 * np.sin(2 * np.pi * 1000 * np.arange(count // 4) / rate_hz)
    return (hum * 32767).astype(np.int16)


async def by_socket(url: str, clicks: int) -> list[float]:
    sent: dict[int, float] = {}
    found: list[float] = []
    async with Rapport.connect(url) as call:

        async def follow() -> None:
            async for event in call:
                if isinstance(event, Told) and event.kind == "click":
                    found.append(time.monotonic() - sent[max(sent)])

        following = asyncio.create_task(follow())
        began = time.monotonic()
        for n in range(EVERY * clicks + EVERY // 2):
            await asyncio.sleep(max(0.0, began + n / 50 - time.monotonic()))
            if n and n % EVERY == 0:
                sent[n] = time.monotonic()
            call.offer_audio(click(n, 16_000))
        await asyncio.sleep(0.3)
        following.cancel()
    return found


async def by_webrtc(url: str, clicks: int) -> list[float]:
    sent: dict[int, float] = {}
    found: list[float] = []

    def make(n: int) -> av.AudioFrame:
        if n and n % EVERY == 0:
            sent[n] = time.monotonic()
        frame = av.AudioFrame.from_ndarray(click(n, RATE)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, n * 960, Fraction(1, RATE)
        return frame

    caller = Client(audio=False, video=False)
    caller.pc.addTransceiver(Paced("audio", 0.02, make), direction="sendonly")
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.post("/api/offer", json=await caller.offer())
        await caller.accept(answer.json())
        seen = 0
        began = time.monotonic()
        while time.monotonic() - began < (clicks + 1) * EVERY * 0.02 + 1.0:
            await asyncio.sleep(0.0005)
            for message in caller.messages[seen:]:
                data = message.get("data") or {}
                if data.get("t") == "percept" and data.get("kind") == "click":
                    found.append(time.monotonic() - sent[max(sent)])
            seen = len(caller.messages)
        caller.say("disconnect-bot")
        await asyncio.sleep(0.2)
        await caller.close()
    return found


def size_mb(folder: Path, *more: str) -> float:
    """Install the client into a folder and return what lies there, in MB."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        str(folder),
    ]
    subprocess.run([*command, str(ROOT / "clients" / "python"), *more], check=True)
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def in_child(task: str, url: str, *arguments: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.client", "--task", task, "--url", url, *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument("--port", type=int, default=8097)
    parser.add_argument("--no-size", action="store_true")
    parser.add_argument("--task", choices=["serve", "burden", "bare", "socket", "webrtc"], help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    a = parser.parse_args()
    ways: dict[str, Callable[[str, int], Awaitable[list[float]]]] = {"socket": by_socket, "webrtc": by_webrtc}
    match a.task:
        case "serve":
            serve(a.port)
            return
        case "burden":
            print(json.dumps(asyncio.run(burden(a.url, a.seconds))))
            return
        case "bare":
            print(json.dumps(asyncio.run(bare(a.url, a.seconds))))
            return
        case "socket" | "webrtc":
            print(json.dumps(asyncio.run(_list(ways[a.task](a.url, a.clicks)))))
            return
    if not a.no_size:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            alone, beside = size_mb(Path(one)), size_mb(Path(two), "numpy")
        print(f"installed with all it needs: {alone:.1f} MB (goal {GOALS['size_mb']:.0f}); with NumPy {beside:.1f} MB")
    url = f"http://127.0.0.1:{a.port}"
    command = [sys.executable, "-m", "benchmarks.client", "--task", "serve", "--port", str(a.port)]
    serving_process = subprocess.Popen(command, cwd=ROOT)
    try:
        until_up(url)
        cost = in_child("burden", url, "--seconds", str(a.seconds))
        plain = in_child("bare", url, "--seconds", str(a.seconds))["cpu_percent"]
        told = f"{cost['events']:.0f} events, pictures of {cost['kb_per_picture']:.0f} kB; bare WebSocket {plain:.1f} %"
        print(f"CPU of the client, 30 pictures/s and 16 kHz: {cost['cpu_percent']:.1f} % of a core "
              f"(goal {GOALS['cpu_percent']:.0f}); {told}")  # fmt: skip
        medians: dict[str, list[float]] = {}
        for name in ("webrtc", "socket", "webrtc", "socket"):
            delays = [1000 * d for d in in_child(name, url, "--clicks", str(a.clicks))[: a.clicks]]
            medians.setdefault(name, []).append(statistics.median(delays))
            spread = f"{min(delays):.1f} to {max(delays):.1f}"
            print(
                f"click to percept, {name}: median {medians[name][-1]:.1f} ms ({spread}; {len(delays)} of {a.clicks})"
            )
        added = statistics.mean(medians["socket"]) - statistics.mean(medians["webrtc"])
        print(f"WebSocket adds {added:+.1f} ms over WebRTC (goal at most {GOALS['added_ms']:.0f})")
    finally:
        serving_process.terminate()
        serving_process.wait(20)


async def _list(found: Awaitable[list[float]]) -> list[float]:
    return await found


def until_up(url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(url + "/livez").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    main()
