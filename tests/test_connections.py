"""Connections that are opened and left: they shut nobody out, neither idle ones nor halves of a request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from agent import token
from agent.connections import Crowd
from agent.descriptors import SPARE, Descriptors, limit, opened, raise_limit
from agent.refusal import Refused
from perception.timebase import MS
from tests.test_server import House, free_port, house, run, start, until_up

pytestmark = pytest.mark.slow

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(autouse=True)
def _room() -> Iterator[None]:
    """Both ends of some hundreds of connections are in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_limit()
    assert limit() >= 2000, "raise the hard limit of descriptors (ulimit -Hn) to run these tests"
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "rapport.key"
    token.new_key(path)
    return path


class Idlers:
    """Clients that say ``first`` and then nothing."""

    def __init__(self) -> None:
        self.open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def add(self, port: int, count: int, first: bytes = b"") -> None:
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if first:
                writer.write(first)
            self.open.append((reader, writer))
        await asyncio.sleep(0.05)

    async def ended(self, seconds: float) -> int:
        """Return how many of them have been ended within so long."""
        ends = [asyncio.ensure_future(_read(reader)) for reader, _ in self.open]
        done, pending = await asyncio.wait(ends, timeout=seconds)
        for rest in pending:
            rest.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return len(done)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@asynccontextmanager
async def idlers() -> AsyncIterator[Idlers]:
    found = Idlers()
    try:
        yield found
    finally:
        for _, writer in found.open:
            writer.transport.abort()
        await asyncio.sleep(0)


def port_of(h: House) -> int:
    found = h.http.base_url.port
    assert found is not None
    return found


@pytest.mark.parametrize("first", [b"", HALF], ids=["nothing", "half a head"])
def test_hundreds_of_idle_connections_shut_nobody_out_and_are_ended(first: bytes) -> None:
    async def main() -> None:
        async with house(head_within=700 * MS) as h, idlers() as idle:
            await idle.add(port_of(h), 520, first)
            for url in ("/livez", "/readyz", "/"):
                answer = await h.http.get(url)
                assert answer.status_code == 200, url
            await h.call()
            assert await idle.ended(3) == 520
            assert await h.metric('rapport_connections_ended_total{why="slow"}') == 520
            while await h.metric("rapport_connections ") > 1:
                await asyncio.sleep(0.02)

    run(main)


def test_who_sends_half_a_head_is_told_and_who_drips_is_not_waited_for() -> None:
    async def main() -> None:
        async with house(head_within=300 * MS) as h:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(h))
            writer.write(HALF)

            async def drip() -> None:
                with contextlib.suppress(ConnectionError):
                    while True:
                        await asyncio.sleep(0.05)
                        writer.write(b"x")

            dripping = asyncio.ensure_future(drip())
            async with asyncio.timeout(2):
                said = await _read(reader)
            dripping.cancel()
            writer.transport.abort()
            head, _, body = said.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert "did not come in time" in json.loads(body)["detail"]

    run(main)


def test_a_body_that_nobody_waits_for_keeps_no_connection_open() -> None:
    async def main() -> None:
        async with house(head_within=300 * MS) as h:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(h))
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
            assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")

            async def drip() -> None:
                with contextlib.suppress(ConnectionError):
                    while True:
                        writer.write(b"x")
                        await asyncio.sleep(0.05)

            dripping = asyncio.ensure_future(drip())
            async with asyncio.timeout(3):
                assert await _read(reader) == b""
            dripping.cancel()
            writer.transport.abort()

    run(main)


def test_who_does_not_read_its_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.connections._STALL_S", 0.3)

    async def main() -> None:
        async with house() as h:
            reading = socket.socket()
            reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reading.connect(("127.0.0.1", port_of(h)))
            with reading:
                # As many answers as fill every buffer between.
                reading.sendall(b"GET /embed/rapport-call.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
                while not await h.metric('rapport_connections_ended_total{why="slow"}'):
                    await asyncio.sleep(0.05)

    run(main)


def test_a_client_that_goes_on_keeps_its_connection() -> None:
    async def main() -> None:
        async with house(head_within=400 * MS) as h:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(h))
            for _ in range(3):
                writer.write(HEAD[:20])
                await asyncio.sleep(0.25)
                writer.write(HEAD[20:])
                assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
            writer.close()

    run(main)


def test_where_there_are_too_many_the_one_waited_for_longest_gives_way() -> None:
    async def main() -> None:
        async with house(most_connections=50) as h, idlers() as idle:
            await h.http.get("/livez")
            with capture_logs() as logs:
                await idle.add(port_of(h), 120, HALF)
                assert (await h.http.get("/readyz")).status_code == 200
            assert await h.metric("rapport_connections ") <= 50
            assert await h.metric('rapport_connections_ended_total{why="crowd"}') >= 70
            assert await idle.ended(0.2) >= 70
            told = [line for line in logs if line["event"] == "connections_full"]
            assert len(told) == 1, "one line in a while, however many there are"
            assert told[0]["most"] == 50
            assert "127.0.0.1" not in str(told)

    run(main)


def test_an_address_has_a_cap_and_a_proxy_has_none(key: Path) -> None:
    given: dict[str, Any] = {"host": "0.0.0.0", "public": "no", "key_file": str(key), "connections_per_address": 10}

    async def main(proxies: tuple[str, ...], left: int) -> None:
        async with house(trusted_proxies=proxies, **given) as h, idlers() as idle:
            await idle.add(port_of(h), 30)
            assert await idle.ended(0.2) == left
            assert (await h.http.get("/livez")).status_code == 200

    run(lambda: main((), 20))
    run(lambda: main(("127.0.0.1",), 0))


def test_a_websocket_counts_until_it_is_closed_and_never_gives_way(key: Path) -> None:
    from websockets.asyncio.client import connect

    given: dict[str, Any] = {"host": "0.0.0.0", "public": "no", "key_file": str(key), "trusted_proxies": ()}

    async def main() -> None:
        async with house(connections_per_address=3, most_lag=10_000 * MS, **given) as h, idlers() as idle:
            join = token.mint(token.read_key(key), ttl_s=60)
            url = f"ws://127.0.0.1:{port_of(h)}/ws?token={join}"
            async with connect(url, subprotocols=["rapport.v1"], compression=None) as ws:  # type: ignore[list-item]
                await idle.add(port_of(h), 20)
                assert await idle.ended(0.2) == 18
                await ws.send(json.dumps({"label": "rtvi-ai", "type": "ping", "id": "1", "data": {}}))
                assert await asyncio.wait_for(ws.recv(), 2)
            while len(h.connections) > 2:
                await asyncio.sleep(0.02)

    run(main)


def test_requests_have_a_limit_and_the_one_for_life_is_outside_of_it() -> None:
    async def main() -> None:
        never = asyncio.Event()
        said: list[dict[str, Any]] = []

        async def inner(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != "/livez":
                await never.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message: Any) -> None:
            said.append(message)

        crowd = Crowd(inner, most=2)

        async def get(path: str) -> None:
            await crowd({"type": "http", "path": path, "headers": [], "method": "GET"}, None, send)  # type: ignore[arg-type]

        waiting = [asyncio.ensure_future(get("/")) for _ in range(2)]
        await asyncio.sleep(0)
        await get("/")
        assert said[0]["status"] == 503
        assert (b"retry-after", b"2") in said[0]["headers"]
        await get("/livez")
        assert said[-1]["status"] == 200
        never.set()
        await asyncio.gather(*waiting)
        said.clear()
        await get("/")
        assert said[0]["status"] == 200

    run(main)


def test_descriptors_are_counted() -> None:
    before = opened()
    assert before == len(os.listdir("/proc/self/fd")) - 1
    with open(os.devnull, "rb"):
        assert opened() == before + 1
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 8, hard))
    try:
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):
                while True:
                    held.enter_context(open(os.devnull, "rb"))
            assert opened() == -1
            watch = Descriptors()
            watch.look()
            assert watch.short
            assert watch.open == before + 8
        assert raise_limit() == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_few_descriptors_are_told_once_and_no_new_call_is_taken() -> None:
    now = [100]
    watch = Descriptors(lambda: 400, lambda: now[0])
    with capture_logs() as logs:
        for now[0] in (100, 400 - SPARE, 400 - SPARE + 1, 399):
            watch.look()
        assert watch.short
        with pytest.raises(Refused, match="too few descriptors") as caught:
            watch.check()
        assert (caught.value.status, caught.value.kind) == (503, "descriptors")
        now[0] = 100
        watch.look()
        watch.check()
    assert [line["event"] for line in logs] == ["descriptors_short", "descriptors_enough"]
    assert "LimitNOFILE" in logs[0]["fix"]
    boundless = Descriptors(lambda: 0, lambda: 10_000)
    boundless.look()
    assert not boundless.short
    assert boundless.for_connections(1024, 4) == 1024
    assert Descriptors(lambda: 65_536, lambda: 80).for_connections(1024, 4) == 1024
    assert Descriptors(lambda: 400, lambda: 80).for_connections(1024, 4) == 400 - 80 - SPARE - 4 * 16
    with capture_logs() as logs:
        assert Descriptors(lambda: 128, lambda: 80).for_connections(1024, 4) == 16
    assert [line["event"] for line in logs] == ["descriptors_short", "descriptors_few"]


def test_while_descriptors_are_short_the_server_says_so_and_takes_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(Descriptors.__init__, "__defaults__", (lambda: 1000, lambda: 980))
        async with house() as h:
            ready = await h.http.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["ready"] is False
            assert ready.json()["descriptors"] == {"open": 980, "most": 1000, "short": True}
            assert (await h.http.get("/livez")).status_code == 200
            refused = await h.http.post("/api/offer", json={"type": "offer", "sdp": "v=0"})
            assert refused.status_code == 503
            assert "descriptors" in refused.json()["detail"]
            assert await h.metric('rapport_refused_total{reason="descriptors"}') == 1
            assert await h.metric("rapport_descriptors ") == 980

    run(main)


def test_a_process_with_few_descriptors_answers_under_more_connections_than_it_has(tmp_path: Path) -> None:
    """Its limit is hard, so that it cannot raise it; three times as many connections come."""
    port = free_port()
    process = start(tmp_path, port, "prlimit", "--nofile=256:256")

    async def main() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as http:
            await until_up(http, process)
            async with idlers() as idle:
                await idle.add(port, 700, HALF)
                for url in ("/livez", "/readyz", "/"):
                    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=2) as fresh:
                        assert (await fresh.get(url)).status_code == 200, url
                told = (await http.get("/readyz")).json()["descriptors"]
                assert told["most"] == 256
                assert not told["short"], told

    try:
        asyncio.run(main())
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        log = process.stderr.read()
        assert process.wait(15) == 0
        assert "connections_full" in log
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_a_taken_port_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "taken.toml"
        config.write_text(f'policy = "a.policy.that.is.not.there"\n[server]\nport = {port}\n')
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli", "serve", "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=Path(__file__).parents[1],
            check=False,
        )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
    assert "--port" in done.stderr
