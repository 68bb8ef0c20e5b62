"""A chat completion server on the loopback: it decodes what it is sent, answers from that, and has real faults.

It streams server-sent events over HTTP/1.1, keeps connections, notices who hangs up, remembers media by their ``uuid``
as vLLM does, and counts which part of a prompt it has read before.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

THOUGHT = 'They say "fine", but the face is sad. A good listener asks on.'

GARBAGE = {
    "no_events": "<html>Welcome</html>\n",
    "no_line": "<html>" * 20_000,
    "no_json": "data: {nonsense\n\n",
    "no_chunk": 'data: {"a": 1}\n\n',
}


@dataclass
class Asked:
    """One request as it was understood.

    Attributes:
        body: its JSON; data that came by hash alone are ``null`` in it.
        raw: its bytes.
        key: the bearer token.
        pictures: height and width of each.
        brightness: mean of the first channel (red) of each picture, 0..255.
        sounds: seconds of each.
        loudness: largest sample of each, 0..1.
        nulls: media that came by their hash alone.
        gone: set when the client hung up before the answer was whole.
        whole: set when the answer was sent to its end.
        port: the client's; the same for requests over one connection.
    """

    body: dict[str, Any]
    raw: bytes
    key: str
    port: int
    pictures: list[tuple[int, int]] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    sounds: list[float] = field(default_factory=list)
    loudness: list[float] = field(default_factory=list)
    nulls: int = 0
    gone: threading.Event = field(default_factory=threading.Event)
    whole: threading.Event = field(default_factory=threading.Event)

    @property
    def flat(self) -> list[tuple[str, str]]:
        """The prompt as a list of role and part."""
        return list(_flat(self.body["messages"]))

    @property
    def warms(self) -> bool:
        return bool(self.body["max_tokens"] == 1)


class OpenAIServer:
    """The server. A context manager.

    Attributes:
        mode: ``ok``; ``wait`` and ``backchannel`` decide so; ``reasoning`` and ``reasoning_content`` send the thought
            apart; ``tags`` writes it into the answer; ``status`` refuses with ``status`` for the next ``times``
            requests; ``stall_first`` says nothing, ``stall`` nothing more from the share ``at`` of the answer on;
            there ``cut`` hangs up, ``ends`` ends in good order, and ``error`` reports an error; ``late_cut`` hangs up
            behind the last word; ``length`` stops early; ``no_schema``, ``prose`` and what is in ``GARBAGE`` are that.
        every: characters of a piece of an answer.
        words: what is said; ``None`` for what was seen and heard.
        requests: all of them, oldest first.
    """

    def __init__(self, mode: str = "ok") -> None:
        self.mode = mode
        self.words: str | None = None
        self.status = 503
        self.times = 10**6
        self.at = 0.5
        self.every = 6
        self.headers: dict[str, str] = {}
        self.message = "no room"
        self.refuses_null = False
        self.requests: list[Asked] = []
        self.media: dict[str, bytes] = {}
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="openai-server", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def asked(self) -> Asked:
        """The newest request."""
        return self.requests[-1]

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: list[_Connection] = []

        def connect() -> _Connection:
            connections.append(_Connection(self))
            return connections[-1]

        server = await self._loop.create_server(connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in connections:
            connection.end()

    def refusal(self, asked: Asked) -> tuple[int, str] | None:
        """Return status and message where ``asked`` is not answered; take in its media."""
        if self.mode == "status" and self.times > 0:
            self.times -= 1
            return self.status, self.message
        for _, content in _flat(asked.body["messages"]):
            part = json.loads(content)
            if not isinstance(part, dict) or part["type"] == "text":
                continue
            kind, uuid = part["type"], part["uuid"]
            if part[kind] is None:
                asked.nulls += 1
                if self.refuses_null or uuid not in self.media:
                    return 400, f"Cache miss for {kind} but data is not provided."
            elif kind == "image_url":
                head, _, data = part[kind]["url"].partition(",")
                assert head == "data:image/jpeg;base64"
                self.media[uuid] = base64.b64decode(data, validate=True)
            else:
                assert part[kind]["format"] == "wav"
                self.media[uuid] = base64.b64decode(part[kind]["data"], validate=True)
            self._look_or_listen(asked, kind, self.media[uuid])
        return None

    def pieces(self, asked: Asked) -> list[dict[str, str]]:
        """Return the deltas of the answer."""
        schema = _schema(asked.body)
        if asked.warms:
            return [{"content": "{"}]
        if self.mode == "prose":
            return self._cut("content", "I would rather talk about the weather.")
        if schema is None and "Decide with one JSON object" not in asked.flat[-1][1]:
            return self._cut("content", f"B, {len(asked.pictures)} pictures, {len(asked.sounds)} sounds")
        found = {"action": "speak", "strategy": "question", "emotion": "concern", "tone": "soft", "words": ""}
        if self.mode in ("wait", "backchannel"):
            found["action"] = self.mode
            found["words"] = self.words or "" if self.mode == "backchannel" else ""
        else:
            seen = f"{len(asked.pictures)} pictures and {sum(asked.sounds):.1f} seconds of sound"
            found["words"] = self.words or f"That took {seen}. What was the hardest part?"
        if self.mode == "no_schema":
            found["action"] = "dance"
        if schema is not None and "think" in schema["properties"]:
            assert next(iter(schema["properties"])) == schema["required"][0] == "think"
            found = {"think": THOUGHT, **found}
        answer = json.dumps(found, ensure_ascii=False)
        if self.mode == "length":
            return self._cut("content", answer[:40])
        if self.mode == "tags":
            return self._cut("content", f"<think>{THOUGHT}</think>\n{answer}")
        if self.mode.startswith("reasoning"):
            return [*self._cut(self.mode, THOUGHT), *self._cut("content", answer)]
        return self._cut("content", answer)

    def usage(self, asked: Asked, written: int) -> dict[str, Any]:
        """Count the prompt, and as cached the longest begin that it shares with an earlier one."""
        prompt = [len(part) // 4 + 1 for _, part in asked.flat]
        same = 0
        for before in self.requests[: self.requests.index(asked)]:
            pairs = zip(before.flat, asked.flat, strict=False)
            same = max(same, next((i for i, (a, b) in enumerate(pairs) if a != b), len(before.flat)))
        return {
            "prompt_tokens": sum(prompt),
            "completion_tokens": written,
            "total_tokens": sum(prompt) + written,
            "prompt_tokens_details": {"cached_tokens": sum(prompt[:same])},
        }

    def _cut(self, name: str, text: str) -> list[dict[str, str]]:
        return [{name: text[i : i + self.every]} for i in range(0, len(text), self.every)]

    @staticmethod
    def _look_or_listen(asked: Asked, kind: str, data: bytes) -> None:
        if kind == "image_url":
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            asked.pictures.append(picture.shape[:2])
            asked.brightness.append(float(picture[..., 2].mean()))
            return
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        asked.sounds.append(len(samples) / 16_000)
        asked.loudness.append(float(np.abs(samples.astype(np.float64)).max(initial=0)) / 32767)


class _Connection(asyncio.Protocol):
    """One connection: request after request."""

    def __init__(self, server: OpenAIServer) -> None:
        self._server = server
        self._waiting = b""
        self._gone = asyncio.Event()
        self._reply: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, mark, body = self._waiting.partition(b"\r\n\r\n")
        if not mark:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if len(body) < int(headers["content-length"]):
            return
        assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
        self._waiting = b""
        key = headers.get("authorization", "").removeprefix("Bearer ")
        asked = Asked(json.loads(body), body, key, self._transport.get_extra_info("peername")[1])
        self._server.requests.append(asked)
        self._reply = asyncio.ensure_future(self._answer(asked))

    def eof_received(self) -> None:
        self._gone.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()

    def end(self) -> None:
        if self._reply is not None:
            self._reply.cancel()
        self._transport.abort()

    async def _answer(self, asked: Asked) -> None:
        try:
            await self._respond(asked)
        finally:
            if self._gone.is_set() and not asked.whole.is_set():
                asked.gone.set()

    async def _respond(self, asked: Asked) -> None:
        server = self._server
        refusal = server.refusal(asked)
        if refusal is not None:
            status, message = refusal
            body = json.dumps({"error": {"message": message, "type": "BadRequestError", "code": status}}).encode()
            self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **server.headers})
            self._transport.write(body)
            asked.whole.set()
            return
        if server.mode == "stall_first":
            await self._gone.wait()
            return
        self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        if server.mode in GARBAGE:
            self._chunk(GARBAGE[server.mode])
            await self._gone.wait()
            return
        self._chunk(": keep-alive\n\n")
        self._event({"delta": {"role": "assistant", "content": ""}, "finish_reason": None})
        pieces = server.pieces(asked)
        for place, piece in enumerate(pieces):
            if self._gone.is_set():
                return
            self._event({"delta": piece, "finish_reason": None})
            await asyncio.sleep(0)
            if place == int(server.at * (len(pieces) - 1)):
                if server.mode == "stall":
                    await self._gone.wait()
                    return
                if server.mode in ("cut", "ends", "error"):
                    self._break_off()
                    return
        ended = "length" if server.mode == "length" or asked.warms else "stop"
        self._event({"delta": {"content": None}, "finish_reason": ended})
        if server.mode == "late_cut":
            self._transport.close()
            return
        self._chunk(f"data: {json.dumps({'choices': [], 'usage': server.usage(asked, len(pieces))})}\n\n")
        self._chunk("data: [DONE]\n\n")
        self._transport.write(b"0\r\n\r\n")
        asked.whole.set()

    def _break_off(self) -> None:
        if self._server.mode == "cut":
            self._transport.close()
            return
        if self._server.mode == "error":
            self._chunk(f"data: {json.dumps({'error': {'message': 'the engine died', 'code': 500}})}\n\n")
        self._transport.write(b"0\r\n\r\n")

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {status}", *(f"{name}: {value}" for name, value in headers.items())]
        self._transport.write("\r\n".join([*lines, "", ""]).encode())

    def _event(self, choice: Mapping[str, Any]) -> None:
        chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
        self._chunk(f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        with suppress(OSError):
            self._transport.write(b"%x\r\n%s\r\n" % (len(data), data))


def _flat(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for message in messages:
        content = message["content"]
        for part in [content] if isinstance(content, str) else content:
            yield message["role"], json.dumps(part)


def _schema(body: Mapping[str, Any]) -> Any:
    if "response_format" in body:
        assert body["response_format"]["type"] == "json_schema"
        return body["response_format"]["json_schema"]["schema"]
    return body["structured_outputs"]["json"] if "structured_outputs" in body else None
