"""The server's /ws over real HTTP: versions, pages, tokens, the end of a server, and both transports of one call."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rapport_client import (
    Back,
    Problem,
    Rapport,
    Refused,
)
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from agent import logs, token
from tests.client.test_call import address
from tests.test_server import house, run

pytestmark = pytest.mark.slow


def test_a_page_of_somebody_else_and_a_client_without_a_version_are_refused() -> None:
    async def main() -> None:
        async with house() as h:
            url = address(h, "ws") + "/ws"
            wrong: list[tuple[dict[str, Any], int, str]] = [
                ({"subprotocols": ["rapport.v9"]}, 400, "wrong_version"),
                ({}, 400, "no version was offered"),
                ({"subprotocols": ["rapport.v1"], "origin": "https://evil.example"}, 403, "may not call"),
            ]
            for more, status, why in wrong:
                with pytest.raises(InvalidStatus) as refused:
                    await connect(url, **more)
                assert refused.value.response.status_code == status
                problem = json.loads(bytes(refused.value.response.body or b""))
                assert why in problem["detail"]
            async with connect(url, subprotocols=[Subprotocol("rapport.v9"), Subprotocol("rapport.v1")]) as ws:
                assert ws.subprotocol == "rapport.v1"
                await ws.send(bytes(2_000_000))
                await asyncio.wait_for(ws.wait_closed(), 5)
                assert ws.close_code == 1009

    run(main)


def test_a_token_opens_one_call_and_is_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "rapport.key"
    token.new_key(path)
    caplog.set_level(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(logs.worth_saying)

    async def main() -> None:
        async with house(host="0.0.0.0", public="no", key_file=str(path), max_calls=4) as h:
            made = token.mint(token.read_key(path), ttl_s=60, grants=["audio", "data"], label="robot")
            for wrong, why in (("", "a join token is needed"), ("r1.x.y", "not made with the key")):
                with pytest.raises(Refused, match=why) as refused:
                    async with Rapport.connect(address(h), token=wrong):
                        pass
                assert refused.value.status == 401
            async with Rapport.connect(address(h), token=made) as call:
                call.send_rgb(np.zeros((48, 64, 3), np.uint8))
                async for event in call:
                    if isinstance(event, Problem):
                        assert event.name == "not_granted"
                        break
                with pytest.raises(Refused, match="used before"):
                    async with Rapport.connect(address(h), token=made):
                        pass
            made = token.mint(token.read_key(path), ttl_s=60)
            async with connect(f"{address(h, 'ws')}/ws?token={made}", subprotocols=[Subprotocol("rapport.v1")]) as ws:
                assert json.loads(await ws.recv())["message"]["type"] == "hello"
            assert made not in caplog.text

    run(main)


def test_a_server_that_is_to_stop_takes_nobody_new_but_those_who_come_back() -> None:
    async def main() -> None:
        async with house(max_calls=2) as h, Rapport.connect(address(h)) as call:
            await call.say("one")
            await h.runtime.until(lambda: len(h.runtime.texts) == 1)
            assert (await h.http.post("/drain")).status_code == 202
            with pytest.raises(Refused, match="about to stop") as refused:
                async with Rapport.connect(address(h)):
                    pass
            assert refused.value.status == 503
            connection = call._carrier._connection
            assert connection is not None
            connection.transport.abort()
            async for event in call:
                if isinstance(event, Back):
                    break
            await call.say("two")
            await h.runtime.until(lambda: len(h.runtime.texts) == 2)

    run(main)


def test_a_call_goes_on_over_webrtc_and_back() -> None:
    async def main() -> None:
        async with house() as h:
            url = address(h, "ws") + "/ws"
            versions = [Subprotocol("rapport.v1")]
            async with connect(url, subprotocols=versions) as ws:
                hello = json.loads(await ws.recv())["message"]
                await ws.send("ping: 1")
                client = await h.call(resume=hello["resume"])
                client.say("send-text", {"content": "over WebRTC"})
                await h.runtime.until(lambda: [t.text for t in h.runtime.texts] == ["over WebRTC"])
                await asyncio.wait_for(ws.wait_closed(), 5)
                assert ws.close_code == 1000
            headers = {"Rapport-Resume": str(client.resume)}
            async with connect(url, subprotocols=versions, additional_headers=headers) as ws:
                again = json.loads(await ws.recv())["message"]
                assert again["call"] == hello["call"]
                await ws.send(json.dumps({"label": "rtvi-ai", "type": "send-text", "data": {"content": "and back"}}))
                await h.runtime.until(lambda: len(h.runtime.texts) == 2)
            assert len(h.runtime.transports) == 1

    run(main)
