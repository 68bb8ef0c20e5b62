"""A caller over a WebSocket for tests: both ends in memory, with a bound on what waits."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import cv2
import numpy as np

from agent.frames import SIZE, Frame, Kind, pack, unpack
from agent.refusal import Visitor
from agent.transports import Answer
from agent.transports.websocket import WebSocketDoor, load

MS_US = 1000


class Pipe:
    """What the server holds of the connection; the caller holds the rest.

    Attributes:
        texts: what the server has said, parsed.
        frames: what the server has sent as frames, with the time of arrival.
        closed: code and reason that the server closed with.
        reads: whether the caller reads at all.
    """

    def __init__(self, most: int = 64) -> None:
        self.texts: list[dict[str, Any]] = []
        self.frames: list[tuple[float, Frame]] = []
        self.closed: tuple[int, str] | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self._in: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._buffered = 0
        self._most = most
        self._gone = False
        self._news = asyncio.Event()

    # The server's side.

    async def receive(self) -> str | bytes | None:
        return await self._in.get()

    async def send(self, data: str | bytes) -> None:
        if self._gone:
            raise ConnectionError("gone")
        if not self.reads.is_set():
            self._buffered += 1
            if self._buffered > self._most:
                await self.reads.wait()
        if isinstance(data, str):
            self.texts.append(json.loads(data))
        else:
            self.frames.append((time.monotonic(), unpack(data)))
        self._news.set()

    async def close(self, code: int, reason: str) -> None:
        if not self.reads.is_set():
            await self.reads.wait()
        self.closed = code, reason
        self._in.put_nowait(None)
        self._news.set()

    # The caller's side.

    def say(self, type: str, data: Any = None, id: str = "c0ffee00") -> None:
        self._in.put_nowait(json.dumps({"label": "rtvi-ai", "type": type, "id": id, "data": data or {}}))

    def ask(self, t: str, d: Any = None, id: str = "c0ffee01") -> None:
        self.say("client-message", {"t": t, "d": d or {}}, id)

    def push(self, data: str | bytes) -> None:
        self._in.put_nowait(data)

    def leave(self) -> None:
        """Go without a word."""
        self._gone = True
        self._in.put_nowait(None)

    async def wait_for(self, want: Callable[[dict[str, Any]], bool], timeout: float = 5) -> dict[str, Any]:
        async with asyncio.timeout(timeout):
            while True:
                for text in self.texts:
                    if want(text):
                        return text
                self._news.clear()
                await self._news.wait()

    async def until(self, want: Callable[[], bool], timeout: float = 5) -> None:
        async with asyncio.timeout(timeout):
            while not want():
                self._news.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self._news.wait()
                except TimeoutError:
                    pass

    def errors(self) -> list[str]:
        """Names of the errors that were told."""
        return [t["data"].get("name", "") for t in self.texts if t["type"] == "error-response"]

    @property
    def hello(self) -> dict[str, Any]:
        found: dict[str, Any] = self.texts[0]["message"]
        return found


def tone(n: int, rate_hz: int = 16_000, hz: float = 440.0, ms: int = 20) -> bytes:
    """The ``n``-th piece of a tone."""
    count = rate_hz * ms // 1000
    t = (np.arange(count) + n * count) / rate_hz
    return (0.3 * np.sin(2 * np.pi * hz * t) * 32767).astype("<i2").tobytes()


def sound(n: int, rate_hz: int = 16_000, ms: int = 20, hz: float = 440.0) -> bytes:
    """The ``n``-th frame of a tone."""
    return pack(Kind.PCM16, rate_hz // 1000, n * ms * MS_US, tone(n, rate_hz, hz, ms))


def jpeg(width: int = 64, height: int = 48, shade: int = 120, *flags: int) -> bytes:
    done, data = cv2.imencode(".jpg", np.full((height, width, 3), shade, np.uint8), list(flags))
    assert done
    return bytes(data)


def rgb(width: int = 64, height: int = 48, shade: int = 120) -> bytes:
    return SIZE.pack(width, height) + bytes([shade]) * (3 * width * height)


async def talk(pipe: Pipe, seconds: float, *, rate_hz: int = 16_000, pictures: bool = True) -> None:
    """Send a tone and pictures in real time."""
    began = time.monotonic()
    for n in range(round(seconds * 50)):
        await asyncio.sleep(max(0.0, began + n * 0.02 - time.monotonic()))
        pipe.push(sound(n, rate_hz))
        if pictures and n % 5 == 0:
            pipe.push(pack(Kind.JPEG, 0, n * 20 * MS_US, jpeg(shade=40 + n % 160)))


@asynccontextmanager
async def opened(answer: Answer, door: WebSocketDoor | None = None, **options: Any) -> AsyncIterator[WebSocketDoor]:
    """A door that is open."""
    door = door or load(**({"consent": "given"} | options))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(door.open(answer))
        await asyncio.sleep(0)
        try:
            yield door
        finally:
            task.cancel()


@asynccontextmanager
async def called(
    door: WebSocketDoor, visitor: Visitor | None = None, *, resume: str = "", pipe: Pipe | None = None, **wants: str
) -> AsyncIterator[Pipe]:
    """A caller with a connection."""
    pipe = pipe or Pipe()

    async def accept() -> Pipe:
        return pipe

    if resume:
        socket = await door.go_on(accept, resume, wants=wants)
    else:
        socket = await door.take(accept, visitor, wants=wants)
    async with asyncio.TaskGroup() as group:
        group.create_task(socket.run())
        try:
            await pipe.until(lambda: bool(pipe.texts) or pipe.closed is not None)
            yield pipe
        finally:
            pipe.reads.set()
            pipe.leave()
