"""Consent is taken back where clients do not speak our messages: at /v1/realtime, and at /whip."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
import websockets

from agent.sense_map import SenseMap
from tests.rtc import Client
from tests.sockets import tone
from tests.test_server import House, house, run

pytestmark = pytest.mark.slow

NOTHING = {"senses": [], "recording": False}


async def quiet(h: House) -> None:
    """See that no sound comes any more, although it is sent."""
    heard = len(h.runtime.audio)
    await asyncio.sleep(0.4)
    assert len(h.runtime.audio) == heard


async def until_heard(h: House) -> None:
    await h.runtime.until(lambda: len(h.runtime.audio) > 5)


def test_over_a_websocket_of_the_realtime_api() -> None:
    async def main() -> None:
        async with house() as h:
            url = f"ws://127.0.0.1:{h.http.base_url.port}/v1/realtime"
            async with websockets.connect(url) as socket:
                told: list[dict[str, Any]] = []

                async def listen() -> None:
                    async for message in socket:
                        told.append(json.loads(message))

                async def speak() -> None:
                    for n in range(10_000):
                        audio = base64.b64encode(tone(n, 24_000)).decode()
                        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
                        await asyncio.sleep(0.02)

                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(listen()), group.create_task(speak())]
                    await until_heard(h)
                    await socket.send(json.dumps({"type": "session.update", "session": {"rapport": NOTHING}}))
                    await h.runtime.until(lambda: any(t["type"] == "session.updated" for t in told))
                    assert told[-1]["session"]["rapport"] == NOTHING
                    (transport,) = h.runtime.transports
                    assert transport.senses == frozenset()
                    agreed: Any = transport
                    assert not agreed.agreement.recording
                    await quiet(h)
                    strange = {"rapport": {"senses": ["my aunt Gertrude"]}}
                    await socket.send(json.dumps({"type": "session.update", "session": strange, "event_id": "x"}))
                    await h.runtime.until(lambda: told[-1]["type"] == "error")
                    assert told[-1]["error"]["event_id"] == "x"
                    assert "there is no sense" in told[-1]["error"]["message"]
                    for task in tasks:
                        task.cancel()

    run(main)


async def published(h: House) -> str:
    """Begin to publish over WHIP, without a data channel, and be heard; return where the call is."""
    client = Client(video=False, channel=False)
    h.clients.append(client)
    offer = await client.offer()
    answer = await h.http.post("/whip", content=offer["sdp"], headers={"Content-Type": "application/sdp"})
    assert answer.status_code == 201, answer.text
    await client.accept({"sdp": answer.text, "type": "answer", "pc_id": ""})
    await until_heard(h)
    assert "application/json" in answer.headers["accept-patch"]
    return answer.headers["location"]


def test_at_a_whip_publisher() -> None:
    async def main() -> None:
        async with house() as h:
            where = await published(h)
            found = await h.http.patch(where, json=NOTHING)
            assert (found.status_code, found.json()) == (200, NOTHING)
            await quiet(h)
            assert h.runtime.transports[0].senses == frozenset()
            again = await h.http.patch(where, json={"senses": sorted(SenseMap().ears)})
            assert again.json() == {"senses": sorted(SenseMap().ears), "recording": False}
            heard = len(h.runtime.audio)
            await h.runtime.until(lambda: len(h.runtime.audio) > heard)
            wrongs: list[dict[str, object]] = [{"senses": ["my aunt Gertrude"]}, {"sense": []}, {"senses": "vad"}]
            for body in wrongs:
                wrong = await h.http.patch(where, json=body)
                assert wrong.status_code == 400
            assert (await h.http.patch("/whip/ffff", json=NOTHING)).status_code == 404

    run(main)


def test_a_whip_publisher_hangs_up_and_nothing_is_kept() -> None:
    async def main() -> None:
        async with house() as h:
            where = await published(h)
            (transport,) = h.runtime.transports
            assert (await h.http.delete(where, params={"erase": ""})).status_code == 200
            await h.runtime.ended.wait()
            agreed: Any = transport
            assert (transport.senses, agreed.agreement.recording) == (frozenset(), False)

    run(main)
