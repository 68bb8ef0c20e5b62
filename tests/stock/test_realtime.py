"""OpenAI's own Python package, unmodified, holds a call at /v1/realtime."""

from __future__ import annotations

import asyncio
import base64
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests import rtc
from tests.e2e.live import Server

pytestmark = [pytest.mark.models, pytest.mark.slow]

RATE_HZ = 24_000
PIECE = RATE_HZ // 10


def pcm_of(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        at_24k = soxr.resample(sound, file.getframerate(), RATE_HZ)
    return bytes((np.clip(at_24k, -1, 1) * 32767).astype("<i2").tobytes())


class Listener:
    """Keeps what the client's library makes of the events."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.events: list[Any] = []
        self._connection = connection

    async def until(self, found: Callable[[Any], bool], timeout_s: float = 20) -> Any:
        """Return the first new event that is it."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    event = await self._connection.recv()
                    self.events.append(event)
                    if found(event):
                        return event
        except TimeoutError:
            raise AssertionError(f"waited {timeout_s} s; came: {self.types}") from None

    async def type(self, name: str) -> Any:
        return await self.until(lambda event: event.type == name)

    @property
    def types(self) -> list[str]:
        found: list[str] = []
        for event in self.events:
            if not found or found[-1] != event.type:
                found.append(event.type)
        return found

    def of(self, name: str) -> list[Any]:
        return [event for event in self.events if event.type == name]


def client(stock: Server) -> AsyncOpenAI:
    web = f"127.0.0.1:{stock.port}/v1"
    key = "none is needed on loopback"
    return AsyncOpenAI(api_key=key, base_url=f"http://{web}", websocket_base_url=f"ws://{web}")


def typed(text: str) -> Any:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def call(stock: Server, talk: Callable[[AsyncRealtimeConnection, Listener], Any], **query: str) -> Listener:
    async def main() -> Listener:
        async with client(stock) as openai, openai.realtime.connect(model="rapport", extra_query=dict(query)) as line:
            listener = Listener(line)
            async with asyncio.timeout(60):
                await talk(line, listener)
            return listener

    return asyncio.run(main())


def test_a_microphone_is_streamed_and_answered(stock: Server, speech: Path) -> None:
    async def talk(line: AsyncRealtimeConnection, listener: Listener) -> None:
        created = await listener.type("session.created")
        assert created.session.model == "rapport-scripted"
        assert created.session.audio.input.format.rate == RATE_HZ
        await line.session.update(
            session={"type": "realtime", "audio": {"output": {"voice": created.session.audio.output.voice}}}
        )
        await listener.type("session.updated")
        pcm = pcm_of(speech)

        async def stream() -> None:
            for begin in range(0, len(pcm), 2 * PIECE):
                piece = base64.b64encode(pcm[begin : begin + 2 * PIECE]).decode()
                await line.input_audio_buffer.append(audio=piece)
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as group:
            group.create_task(stream())
            await listener.type("conversation.item.input_audio_transcription.completed")
            await listener.type("response.done")

    listener = call(stock, talk)
    assert not listener.of("error")
    started, stopped = (
        listener.of("input_audio_buffer.speech_started")[0],
        listener.of("input_audio_buffer.speech_stopped")[-1],
    )
    assert 200 < started.audio_start_ms < 2000
    assert stopped.audio_end_ms > started.audio_start_ms + 1000
    heard = listener.of("conversation.item.input_audio_transcription.completed")[0]
    assert "help me" in heard.transcript.lower()
    assert heard.item_id == started.item_id
    assert listener.of("input_audio_buffer.committed")[0].item_id == heard.item_id

    response = listener.of("response.created")[0].response
    assert response.status == "in_progress"
    sound = b"".join(base64.b64decode(e.delta) for e in listener.of("response.output_audio.delta"))
    assert np.abs(np.frombuffer(sound, "<i2")).max() > 0.02 * 32768
    assert len(sound) > 2 * RATE_HZ // 2
    words = "".join(e.delta for e in listener.of("response.output_audio_transcript.delta"))
    done = listener.of("response.done")[0].response
    assert done.status == "completed"
    assert done.id == response.id
    assert words
    assert done.output[0].content[0].transcript == words
    order = [t for t in listener.types if t.startswith("response.")]
    assert order[:3] == ["response.created", "response.output_item.added", "response.content_part.added"]
    assert order[-1] == "response.done"


def test_a_whole_file_at_once_and_a_commit(stock: Server, speech: Path) -> None:
    """Without turn detection the client says when a turn is over; it may send faster than anybody speaks."""

    async def talk(line: AsyncRealtimeConnection, listener: Listener) -> None:
        await listener.type("session.created")
        await line.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        updated = await listener.type("session.updated")
        assert updated.session.audio.input.turn_detection is None
        pcm = pcm_of(speech)[: -3 * RATE_HZ]  # without most of the silence behind it
        await line.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await line.input_audio_buffer.commit()
        committed = await listener.type("input_audio_buffer.committed")
        await line.response.create()
        heard = await listener.type("conversation.item.input_audio_transcription.completed")
        assert heard.item_id == committed.item_id
        assert "help me" in heard.transcript.lower()
        await listener.type("response.done")

    assert not call(stock, talk).of("error")


def test_typed_words_are_answered_and_a_response_is_cancelled(stock: Server) -> None:
    async def talk(line: AsyncRealtimeConnection, listener: Listener) -> None:
        await listener.type("session.created")
        await line.conversation.item.create(item=typed("I lost my job today."))
        await line.response.create()
        await listener.type("response.output_audio.delta")
        await line.response.cancel()
        done = await listener.type("response.done")
        assert done.response.status == "cancelled"
        assert done.response.status_details.reason == "client_cancelled"
        await line.input_audio_buffer.clear()  # answered in order: whatever was still under way has come by then
        await listener.type("input_audio_buffer.cleared")

    listener = call(stock, talk)
    assert not listener.of("error")
    after = listener.types[listener.types.index("response.done") :]
    assert "response.output_audio.delta" not in after
    assert len(listener.of("conversation.item.added")) == 2


def test_what_is_not_supported_is_named(stock: Server) -> None:
    async def talk(line: AsyncRealtimeConnection, listener: Listener) -> None:
        await listener.type("session.created")
        wished: Any = {"type": "realtime", "instructions": "Be a pirate.", "tools": [{"type": "function", "name": "f"}]}
        await line.session.update(session=wished)
        await listener.type("session.updated")
        await line.conversation.item.truncate(item_id="item_1", content_index=0, audio_end_ms=100)
        await listener.type("error")
        await line.send({"type": "response.create", "event_id": "mine", "response": {"instructions": "Sing."}})
        await listener.type("error")

    errors = [event.error for event in call(stock, talk).of("error")]
    assert [(e.code, e.param) for e in errors] == [
        ("unsupported_parameter", "session.instructions"),
        ("unsupported_parameter", "session.tools"),
        ("unsupported_event", "type"),
        ("unsupported_parameter", "response.instructions"),
    ]
    assert errors[-1].event_id == "mine"
    assert all("not supported" in e.message for e in errors)


def test_all_that_is_perceived_is_told_on_request(stock: Server) -> None:
    async def talk(line: AsyncRealtimeConnection, listener: Listener) -> None:
        await listener.type("session.created")
        await line.conversation.item.create(item=typed("I lost my job today."))
        await listener.until(lambda e: e.type == "rapport.event" and e.event["t"] == "display")
        await listener.type("response.done")  # a client that leaves with much unread takes its time to close

    assert {e.event["t"] for e in call(stock, talk, events="rapport").of("rapport.event")} >= {"decision", "display"}


def test_over_webrtc_too(stock: Server) -> None:
    """The library posts the offer and hangs up; the media are those of a stock aiortc peer."""

    async def main() -> rtc.Client:
        caller = rtc.Client()
        assert caller.channel is not None
        offered = await caller.offer()
        async with client(stock) as openai:
            answer = await openai.realtime.calls.create(sdp=offered["sdp"], session={"type": "realtime"})
            assert answer.response.status_code == 201
            name = answer.response.headers["location"].rsplit("/", 1)[1]
            await caller.accept({"sdp": answer.text, "type": "answer", "pc_id": name})
            try:
                created = await caller.wait_type("session.created")
                assert created["session"]["model"] == "rapport-scripted"
                item = typed("I lost my job today.")
                caller.channel.send(json.dumps({"type": "conversation.item.create", "item": item}))
                await caller.wait_type("output_audio_buffer.started")
                await caller.wait_type("response.output_audio_transcript.delta")
                caller.channel.send(json.dumps({"type": "input_audio_buffer.commit"}))
                error = await caller.wait_type("error")
                assert "WebRTC" in error["error"]["message"]
                done = await caller.wait_type("response.done")
                assert done["response"]["status"] == "completed"
                await caller.wait_type("output_audio_buffer.stopped")
                await openai.realtime.calls.hangup(name)
                await caller.wait_type("signalling")
            finally:
                await caller.close()
        return caller

    caller = asyncio.run(main())
    assert len(caller.loud(0)) > 10
    assert not [m for m in caller.messages if m["type"] == "response.output_audio.delta"]
