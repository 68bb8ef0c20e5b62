"""A stand-in for the server: serves the page, speaks its wire over a real peer connection, and says what a test wants.

Everything is real but the agent: signalling, DTLS, the data channel, Opus sound. A test drives it from its own
thread; the server runs in another with its own event loop.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import numpy as np
import uvicorn
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from av import AudioFrame
from av.frame import Frame
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agent.elements import serving as elements

WEB = Path(__file__).parents[2] / "agent" / "web"
RATE_HZ = 8000
LINK = {"degraded_s": 2.0, "lost_s": 10.0, "kept_s": 15.0}


def vowels(seconds: float, pitch_hz: float = 150.0) -> NDArray[np.int16]:
    """Return a voice-like sound: pulses through three formants that wander between ah, oh and ee, in syllables."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.08 * np.sin(2 * np.pi * 0.7 * t))) / RATE_HZ
    blend = 0.5 + 0.5 * np.sin(2 * np.pi * 1.3 * t)
    formants = [(300 + 450 * blend, 90), (900 + 1100 * (1 - blend), 130), (2500 + 200 * blend, 200)]
    sound = np.zeros_like(t)
    for k in range(1, 22):
        hz = k * pitch_hz
        weight = sum(np.exp(-(((hz - centre) / width) ** 2) / 2) for centre, width in formants)
        sound += (weight + 0.02) / k**0.5 * np.sin(k * phase)
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * t) + 0.55, 0, 1) ** 0.7
    sound = sound / np.abs(sound).max() * syllables * 0.5
    loud: NDArray[np.int16] = (sound * 32767).astype(np.int16)
    return loud


class Voice(AudioStreamTrack):
    """The agent's sound: silence until something is queued."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: NDArray[np.int16] = np.zeros(0, np.int16)

    async def recv(self) -> Frame:
        frame = await super().recv()
        assert isinstance(frame, AudioFrame)
        n = frame.samples
        piece, self.queue = self.queue[:n], self.queue[n:]
        frame.planes[0].update(np.pad(piece, (0, n - len(piece))).tobytes())
        return frame


class FakeServer:
    """One call at a time.

    Attributes:
        sends_to: names of other machines that are sent words and media.
        privacy: what the place of the server changes for a person.
        offers: bodies of the offers, oldest first; ``patches`` those of the trickle requests.
        said: what the page sent over the data channel, parsed (pings as text), oldest first.
        byes: the body of each beacon.
        refusal: ``(status, headers, problem)`` to answer offers with, or ``None``.
        lapsed: the status with which a resume token is refused, or ``None`` where it opens the call again.
        link: what the page is told of the times of its link.
        ice: what it is told of STUN and TURN.
    """

    def __init__(self) -> None:
        self.sends_to: list[str] = []
        self.privacy: dict[str, Any] = {}
        self.offers: list[dict[str, Any]] = []
        self.patches: list[dict[str, Any]] = []
        self.said: list[Any] = []
        self.byes: list[dict[str, Any]] = []
        self.refusal: tuple[int, dict[str, str], dict[str, Any]] | None = None
        self.answers_pings = True
        self.lapsed: int | None = None
        self.link = dict(LINK)
        self.ice: list[dict[str, Any]] = []
        self.voice = Voice()
        self._pc: RTCPeerConnection | None = None
        self._channel: RTCDataChannel | None = None
        self._sinks: list[MediaBlackhole] = []
        self._changed = threading.Condition()
        self._count = 0
        self._loop = asyncio.new_event_loop()
        routes = [
            Route("/api/offer", self._offer, methods=["POST"]),
            Route("/api/offer", self._trickle, methods=["PATCH"]),
            Route("/api/bye", self._bye, methods=["POST"]),
            Route("/api/ice", self._ice),
            Route("/status", self._status),
            Route("/embed/{element}.js", elements.serve),
            Mount("/", StaticFiles(directory=WEB, html=True)),
        ]
        # As the server has it for `allowed_origins`: pages of localhost may call, others may not.
        others = Middleware(
            CORSMiddleware,
            allow_origin_regex=r"http://localhost:\d+",
            allow_methods=["GET", "POST", "PATCH"],
            allow_headers=["content-type", "authorization"],
            expose_headers=["retry-after"],
        )
        application = Starlette(routes=routes, middleware=[others])
        config = uvicorn.Config(application, host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    # For the test's thread.

    def __enter__(self) -> Self:
        self._thread.start()
        self._until(lambda: self._server.started, "the server to start")
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._hang_up())
        self._server.should_exit = True
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Where the page is."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/"

    def forget(self) -> None:
        """End the call and forget what was received."""
        self._do(self._hang_up())
        for found in (self.sends_to, self.offers, self.patches, self.said, self.byes):
            found.clear()
        self.refusal = self.lapsed = None
        self.answers_pings = True
        self.link = dict(LINK)
        self.ice = []
        self.privacy = {}

    def send(self, type: str, data: Any = None, **more: Any) -> None:
        """Send one RTVI message."""
        self._do(self._send({"label": "rtvi-ai", "type": type, "data": data, **more}))

    def tell(self, t: str, **fields: Any) -> None:
        """Send one of our own payloads in a ``server-message``."""
        self.send("server-message", {"v": 1, "t": t, **fields})

    def signal(self, type: str) -> None:
        """Send a signalling message."""
        self._do(self._send({"type": "signalling", "message": {"type": type}}))

    def speak(self, seconds: float) -> None:
        """Let the agent make sound."""
        sound = vowels(seconds)
        self._loop.call_soon_threadsafe(lambda: setattr(self.voice, "queue", sound))

    def drop(self) -> None:
        """Lose the connection, keep the server."""
        self._do(self._hang_up())

    def client_messages(self, t: str) -> list[dict[str, Any]]:
        """Return the ``d`` of each client-message ``t``."""
        with self._changed:
            return [
                m["data"].get("d", {})
                for m in self.said
                if isinstance(m, dict) and m.get("type") == "client-message" and m["data"]["t"] == t
            ]

    def wait(self, ready: Callable[[], Any], what: str, timeout: float = 15.0) -> Any:
        """Wait until ``ready()`` is true, looking whenever something arrives; return its value."""
        return self._until(ready, what, timeout)

    # On the server's thread.

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.serve())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        found: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        found.result(10)

    def _until(self, ready: Callable[[], Any], what: str, timeout: float = 15.0) -> Any:
        with self._changed:
            # Woken by what arrives, and every 50 ms for what does not say when it changes.
            for _ in range(int(timeout / 0.05)):
                value = ready()
                if value:
                    return value
                self._changed.wait(0.05)
        raise AssertionError(f"waited {timeout} s for {what}; heard {self.said[-5:]}")

    def _note(self, into: list[Any], item: Any) -> None:
        with self._changed:
            into.append(item)
            self._changed.notify_all()

    async def _offer(self, request: Request) -> Response:
        body = await request.json()
        self._note(self.offers, body)
        if self.refusal is not None:
            status, headers, problem = self.refusal
            return JSONResponse(problem, status, headers, media_type="application/problem+json")
        if self.lapsed is not None and body.get("resume"):
            problem = {"title": "Gone", "detail": "the call of this resume token is over; begin a new one"}
            return JSONResponse(problem, self.lapsed, media_type="application/problem+json")
        if self._pc is None or body["pc_id"] is None or body["restart_pc"]:
            await self._hang_up()
            self._pc = self._new_peer()
        pc = self._pc
        await pc.setRemoteDescription(RTCSessionDescription(body["sdp"], "offer"))
        if not any(sender.track for sender in pc.getSenders()):
            self.voice = Voice()
            pc.addTrack(self.voice)
        await pc.setLocalDescription(await pc.createAnswer())
        more = {"resume": f"token-{self._count}", "link": self.link}
        return JSONResponse({"sdp": pc.localDescription.sdp, "type": "answer", "pc_id": f"fake-{self._count}"} | more)

    def _new_peer(self) -> RTCPeerConnection:
        self._count += 1
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))

        @pc.on("track")
        async def take(track: MediaStreamTrack) -> None:
            sink = MediaBlackhole()
            sink.addTrack(track)
            self._sinks.append(sink)
            await sink.start()

        @pc.on("datachannel")
        def open_channel(channel: RTCDataChannel) -> None:
            self._channel = channel
            channel.on("message", lambda data: self._hear(channel, data))

        return pc

    def _hear(self, channel: RTCDataChannel, data: str) -> None:
        message = data if data.startswith("ping:") else json.loads(data)
        self._note(self.said, message)
        if not isinstance(message, dict):
            return
        match message.get("type"):
            case "client-ready":
                answer = {"label": "rtvi-ai", "type": "bot-ready", "id": message["id"], "data": {"version": "2.1.0"}}
                channel.send(json.dumps(answer))
            case "client-message":
                t = message["data"]["t"]
                if t == "ping" and not self.answers_pings:
                    return
                reply = {"label": "rtvi-ai", "type": "server-response", "id": message["id"], "data": {"t": t, "d": {}}}
                channel.send(json.dumps(reply))

    async def _trickle(self, request: Request) -> Response:
        self._note(self.patches, await request.json())
        return JSONResponse({"status": "success"})

    async def _status(self, request: Request) -> Response:
        found = {"status": "ready", "transports": ["webrtc"], "sends_to": self.sends_to, "privacy": self.privacy}
        return JSONResponse(found)

    async def _bye(self, request: Request) -> Response:
        self._note(self.byes, await request.json())
        return Response(status_code=204)

    async def _ice(self, request: Request) -> Response:
        return JSONResponse({"iceServers": self.ice})

    async def _send(self, message: dict[str, Any]) -> None:
        assert self._channel is not None, "nobody is connected"
        self._channel.send(json.dumps(message))

    async def _hang_up(self) -> None:
        pc, self._pc, self._channel = self._pc, None, None
        if pc is not None:
            await pc.close()
        for sink in self._sinks:
            await sink.stop()
        self._sinks.clear()
