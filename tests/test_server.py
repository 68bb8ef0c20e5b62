"""The server over real HTTP, and as the process that an operator starts and stops."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

import server
from agent import serving, token
from agent.config import Config, ConfigError
from agent.connections import Connections
from agent.journal import Event, Metric, Note
from agent.privacy.options import DeploymentOptions
from agent.server_options import ServerConfig
from agent.transports import Transport
from perception.timebase import SECOND
from tests.rtc import Client, Recorder

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to pytest


class House:
    def __init__(self, http: httpx.AsyncClient, runtime: Recorder, connections: Connections) -> None:
        self.http = http
        self.runtime = runtime
        self.clients: list[Client] = []
        self.connections = connections

    async def call(self, url: str = "/api/offer", client: Client | None = None, **more: Any) -> Client:
        client = client or Client()
        self.clients.append(client)
        answer = await self.http.post(url, json=await client.offer(**more))
        assert answer.status_code == 200, answer.text
        await client.accept(answer.json())
        return client

    async def metric(self, name: str) -> float:
        text = (await self.http.get("/metrics")).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


@asynccontextmanager
async def house(
    script: Callable[[Transport], Coroutine[Any, Any, None]] | None = None, **options: Any
) -> AsyncIterator[House]:
    port = free_port()
    given: dict[str, Any] = {"port": port, "consent": "given"}
    settings = ServerConfig(**(given | options))
    runtime = Recorder(script)
    application = server.app(runtime, Config(server=settings, deployment=DeploymentOptions(context="kiosk")))
    wanted = serving.settings(application, settings, application.state.connections)
    wanted.host = "127.0.0.1"  # whatever it would listen on
    running = _Server(wanted)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(running.serve())
        while not running.started:
            await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            found = House(http, runtime, application.state.connections)
            try:
                yield found
            finally:
                for client in found.clients:
                    await client.close()
                running.should_exit = True
        await task


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def watched() -> None:
        async with asyncio.timeout(60):
            await main()
        for _ in range(100):
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            if not rest:
                break
            await asyncio.sleep(0.02)
        assert not rest, rest

    asyncio.run(watched())


def test_the_page_and_its_headers() -> None:
    async def main() -> None:
        async with house() as h:
            page = await h.http.get("/")
            assert page.status_code == 200
            assert "<html" in page.text
            assert page.headers["cache-control"] == "no-cache"
            assert page.headers["content-security-policy"].startswith("default-src 'none'")
            assert "unsafe" not in page.headers["content-security-policy"]
            assert page.headers["x-content-type-options"] == "nosniff"
            assert "camera=(self)" in page.headers["permissions-policy"]
            assert "geolocation=()" in page.headers["permissions-policy"]
            assert "bluetooth" not in page.headers["permissions-policy"], "Chromium warns of it"
            assert page.headers["referrer-policy"] == "no-referrer"
            script = await h.http.get("/page.js")
            assert script.headers["content-type"].startswith("text/javascript")
            module = await h.http.get("/embed/rapport-call.js")
            assert module.headers["content-type"].startswith("text/javascript")
            assert module.headers["cache-control"] == "no-cache"
            assert "customElements.define" in module.text
            known = {"if-none-match": module.headers["etag"]}
            assert (await h.http.get("/embed/rapport-call.js", headers=known)).status_code == 304
            assert (await h.http.get("/embed/nothing.js")).status_code == 404
            assert (await h.http.get("/../server.py")).status_code == 404
            assert (await h.http.get("/%2e%2e/%2e%2e/server.py")).status_code == 404
            assert (await h.http.get("/nothing")).status_code == 404

    run(main)


@pytest.mark.parametrize("url", ["/api/offer", "/sessions/abc/api/offer"])
def test_a_call_over_http(url: str) -> None:
    async def main() -> None:
        async with house(max_calls=2) as h:
            client = await h.call(url, pc_id=None, restart_pc=False, requestData={})
            client.say("client-ready", {"version": "2.1.0"}, "same-id1")
            ready = await client.wait_type("bot-ready")
            assert ready["id"] == "same-id1"
            assert ready["data"]["about"]["policy"] == "echo"
            await h.runtime.until(lambda: len(h.runtime.audio) > 10 and len(h.runtime.video) > 2)
            patch = {
                "pc_id": client.pc_id,
                "candidates": [
                    {"candidate": "candidate:1 1 udp 1 10.9.9.9 999 typ host", "sdp_mid": "0", "sdp_mline_index": 0},
                    {"candidate": "", "sdpMid": None, "sdpMLineIndex": None},
                ],
            }
            done = await h.http.patch(url, json=patch)
            assert (done.status_code, done.json()) == (200, {"status": "success"})
            assert (await h.http.get("/readyz")).json()["calls"] == 1
            assert await h.metric("rapport_calls ") == 1
            assert await h.metric('rapport_offers_total{status="200"}') == 1
            transport = h.runtime.transports[0]
            transport.tell(Event(SECOND, Metric("decide", 0.2)))
            transport.tell(Event(SECOND, Metric("media_broken_count", 3)))
            transport.tell(Event(SECOND, Note("reply_cut")))
            assert await h.metric('rapport_stage_seconds_count{stage="decide"}') == 1
            assert await h.metric('rapport_events_total{what="media_broken"}') == 3
            assert await h.metric('rapport_notes_total{event="reply_cut",level="info"}') == 1
            while await h.metric("rapport_loop_lag_seconds_count") < 3:
                await asyncio.sleep(0.05)
            again = await h.call(url, pc_id=client.pc_id, restart_pc=True)
            again.ask("ping", None, "here")
            await again.wait_for(lambda m: m.get("id") == "here")
            assert len(h.runtime.transports) == 1
            bye = await h.http.post("/api/bye", content=json.dumps({"pc_id": again.pc_id}))
            assert bye.status_code == 204
            await h.runtime.ended.wait()
            assert h.runtime.why == "bye"

    run(main)


def test_a_page_is_told_what_the_agent_is_made_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with house(max_calls=2) as h:
            for speaks in ("compact", "omni"):  # one that could not be loaded at first, and then could
                found = {"policy": "omni", "minds": ["omni", "compact"], "speaks": speaks}
                monkeypatch.setattr(h.runtime, "describe", lambda found=found: found)
                client = await h.call()
                client.say("client-ready", {"version": "2.1.0"}, f"for-{speaks}")
                ready = await client.wait_type("bot-ready")
                assert ready["data"]["about"] == found
                assert (await h.http.get("/readyz")).json()["agent"] == found

    run(main)


def test_the_small_answers() -> None:
    async def main() -> None:
        async with house() as h:
            started = (await h.http.post("/start", json={"transport": "webrtc"})).json()
            assert len(started["sessionId"]) >= 16
            assert started["iceConfig"] == {"iceServers": []}
            status = {"status": "ready", "transports": ["webrtc", "websocket"], "sends_to": [], "privacy": {}}
            assert (await h.http.get("/status")).json() == status
            assert (await h.http.get("/api/ice")).json() == {"iceServers": []}
            assert (await h.http.get("/livez")).status_code == 200
            ready = await h.http.get("/readyz")
            assert ready.status_code == 200
            assert ready.json()["agent"]["policy"] == "echo"

    run(main)


GARBAGE: dict[str, tuple[bytes, dict[str, str], int]] = {
    "nothing": (b"", JSON, 400),
    "no JSON": (b"{", JSON, 400),
    "wrong JSON": (b"[1, 2]", JSON, 400),
    "deep JSON": (b"[" * 60_000, JSON, 400),
    "no sdp": (b'{"type": "offer"}', JSON, 400),
    "an answer": (b'{"type": "answer", "sdp": "v=0"}', JSON, 400),
    "not SDP": (b'{"type": "offer", "sdp": "hello"}', JSON, 400),
    "numbers": (b'{"type": "offer", "sdp": 5}', JSON, 400),
    "long name": (b'{"type": "offer", "sdp": "v=0", "pc_id": "%s"}' % (b"x" * 100), JSON, 400),
    "no type": (b"{}", {}, 415),
    "a form": (b"sdp=v%3D0", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "not UTF-8": (b'{"sdp": "\xff\xfe"}', JSON, 400),
    "oversize": (b'{"sdp": "' + b"x" * 70_000 + b'"}', JSON, 413),
    "stranger": (b"{}", JSON | {"Origin": "http://evil.example"}, 403),
    "sandboxed": (b"{}", JSON | {"Origin": "null"}, 403),
    "rebound": (b"{}", JSON | {"Origin": "http://evil.example", "Host": "evil.example"}, 403),
}


def test_garbage_gets_a_reason_and_leaves_nothing() -> None:
    async def main() -> None:
        async with house(max_calls=1) as h:
            await h.http.get("/livez")
            before = len(asyncio.all_tasks())
            for name, (body, headers, status) in GARBAGE.items():
                answer = await h.http.post("/api/offer", content=body, headers=headers)
                assert answer.status_code == status, (name, answer.text)
                assert answer.headers["content-type"] == "application/problem+json", name
                problem = answer.json()
                assert problem["status"] == status
                assert problem["detail"], name
                assert len(answer.text) < 1000, name
            calls: list[tuple[str, str, dict[str, Any], int]] = [
                ("PATCH", "/api/offer", {"pc_id": "nobody", "candidates": []}, 404),
                ("PATCH", "/api/offer", {"candidates": []}, 400),
                ("PATCH", "/api/offer", {"pc_id": "x", "candidates": [{"candidate": "c"}] * 65}, 400),
                ("POST", "/api/bye", {"pc_id": "nobody"}, 404),
                ("DELETE", "/api/bye", {}, 400),
            ]
            for method, url, content, status in calls:
                answer = await h.http.request(method, url, json=content)
                assert answer.status_code == status, (method, url, answer.text)
                assert answer.json()["detail"]
            assert (await h.http.get("/api/offer")).status_code == 404
            assert (await h.http.get("/readyz")).json()["calls"] == 0
            await asyncio.sleep(0.1)
            assert len(asyncio.all_tasks()) <= before
            await h.call()

    run(main)


def test_one_caller_too_many_is_told_when_to_come_back() -> None:
    async def main() -> None:
        async with house(max_calls=1) as h:
            await h.call()
            other = Client()
            h.clients.append(other)
            answer = await h.http.post("/api/offer", json=await other.offer())
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert "Somebody is in a call" in answer.json()["detail"]
            assert (await h.http.get("/readyz")).status_code == 503
            assert (await h.http.get("/status")).json()["status"] == "busy"
            assert await h.metric('rapport_offers_total{status="503"}') == 1

    run(main)


def test_the_own_page_and_named_pages_may_call() -> None:
    async def main() -> None:
        async with house(allowed_origins=("https://kiosk.example",)) as h:
            own = {"Origin": str(h.http.base_url).rstrip("/")}
            client = Client()
            h.clients.append(client)
            offer = await client.offer()
            answer = await h.http.post("/api/offer", json=offer, headers=own)
            assert answer.status_code == 200
            asked = {"Origin": "https://kiosk.example", "Access-Control-Request-Method": "POST"}
            preflight = await h.http.options(
                "/api/offer", headers=asked | {"Access-Control-Request-Headers": "content-type"}
            )
            assert preflight.status_code == 200
            assert preflight.headers["access-control-allow-origin"] == "https://kiosk.example"
            named = await h.http.post("/start", headers={"Origin": "https://kiosk.example"})
            assert named.status_code == 200
            stranger = await h.http.post("/start", headers={"Origin": "https://other.example"})
            assert stranger.status_code == 403
            assert "access-control-allow-origin" not in stranger.headers

    run(main)


def test_a_shutdown_ends_the_calls() -> None:
    async def main() -> None:
        async with house() as h:
            client = await h.call()
            await h.runtime.until(lambda: bool(h.runtime.transports))
        assert h.runtime.ended.is_set()
        await client.close()

    run(main)


CONFIG = """
workers = []
policy = "scripted"
voice = "plain"
[server]
port = {port}
consent = "given"
drain = {drain}
[call]
greeting = false
"""


def start(tmp_path: Path, port: int, *before: str, drain: float = 0) -> subprocess.Popen[str]:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(port=port, drain=drain))
    code = "import sys; from agent import config, logs; from pathlib import Path; import server; logs.configure(); "
    code += "server.serve(config.load(Path(sys.argv[1])))"
    return subprocess.Popen(
        [*before, sys.executable, "-c", code, str(config)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )


async def until_up(http: httpx.AsyncClient, process: subprocess.Popen[str]) -> None:
    for _ in range(600):
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            if (await http.get("/livez")).status_code == 200:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.05)
    pytest.fail("the server did not come up")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_the_process_answers_talks_and_stops_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    process = start(tmp_path, port, drain=60)

    async def main() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            await until_up(http, process)
            client = Client()
            answer = await http.post("/api/offer", json=await client.offer())
            assert answer.status_code == 200, answer.text
            await client.accept(answer.json())
            client.say("client-ready", {"version": "2.1.0"})
            await client.wait_type("bot-ready")
            began = time.monotonic()
            client.say("send-text", {"content": "I feel so alone."})
            spoken = await client.wait_type("bot-output", 20)
            assert spoken["data"]["text"]
            await client.wait_type("bot-started-speaking", 20)
            async with asyncio.timeout(10):
                while not client.loud(began):
                    await asyncio.sleep(0.02)
            process.send_signal(number)
            if number == signal.SIGTERM:  # the call may come to its end, until a second one
                await asyncio.sleep(0.5)
                client.ask("ping", None, "alive")
                await client.wait_for(lambda m: m.get("id") == "alive")
                assert (await http.get("/readyz")).status_code == 503
                process.send_signal(number)
            await client.wait_for(lambda m: m.get("message", {}).get("type") == "peerLeft", 10)
            await client.close()

    try:
        asyncio.run(main())
        assert process.wait(15) == 0
        assert process.stderr is not None
        log = process.stderr.read()
        assert "unhandled" not in log, log
        assert "Traceback" not in log, log
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "rapport.key"
    token.new_key(path)
    return path


def test_with_a_key_every_new_call_needs_a_token_and_each_opens_one(key: Path) -> None:
    def ticket(**more: Any) -> str:
        return token.mint(token.read_key(key), ttl_s=60, **more)

    async def main() -> None:
        async with house(host="0.0.0.0", public="no", key_file=str(key), max_calls=4) as h:
            client = Client()
            h.clients.append(client)
            offer = await client.offer()
            none = await h.http.post("/api/offer", json=offer)
            assert none.status_code == 401
            assert none.headers["www-authenticate"] == "Bearer"
            assert "join token" in none.json()["detail"]
            assert (await h.http.post("/start")).status_code == 401
            text = ticket()
            bearer = {"Authorization": f"Bearer {text}"}
            assert (await h.http.post("/start", headers=bearer)).status_code == 200
            broken = await h.http.post("/api/offer", json={"type": "offer", "sdp": "v=0"}, headers=bearer)
            assert broken.status_code == 400
            answer = await h.http.post("/api/offer", json=offer, headers=bearer)
            assert answer.status_code == 200
            await client.accept(answer.json())
            again = await h.http.post("/api/offer", json=offer, headers=bearer)
            assert again.status_code == 401
            assert "used before" in again.json()["detail"]
            await h.call(pc_id=client.pc_id, restart_pc=True)  # who goes on with a call needs no second one
            await h.call(token=ticket())
            await h.call(f"/api/offer?token={ticket()}")
            assert (await h.http.get("/readyz")).json()["calls"] == 3

    run(main)


def test_one_token_is_not_good_at_two_servers_with_one_key(key: Path) -> None:
    async def main() -> None:
        given: dict[str, Any] = {"host": "0.0.0.0", "public": "no", "key_file": str(key), "max_calls": 2}
        async with house(name="berlin-1", **given) as one, house(name="berlin-2", **given) as other:
            join = token.mint(token.read_key(key), ttl_s=60, aud="berlin-1")
            client = Client()
            other.clients.append(client)
            refused = await other.http.post("/api/offer", json=await client.offer(token=join))
            assert refused.status_code == 401
            assert "is for the server 'berlin-1', and this one is 'berlin-2'" in refused.json()["detail"]
            await one.call(token=join)
            nameless = token.mint(token.read_key(key), ttl_s=60)
            for h in (one, other):
                bearer = {"Authorization": f"Bearer {nameless}"}
                assert (await h.http.post("/start", headers=bearer)).status_code == 401
            assert (await one.http.get("/readyz")).json()["name"] == "berlin-1"

    run(main)


def test_offers_are_counted_and_strangers_see_no_numbers(key: Path) -> None:
    async def main() -> None:
        given: dict[str, Any] = {"host": "0.0.0.0", "key_file": str(key), "operators": ("10.9.0.0/16",)}
        async with house(offers_per_minute=3, **given) as h:
            assert (await h.http.get("/metrics")).status_code == 403
            assert (await h.http.get("/readyz")).json() == {"ready": True}
            statuses = [(await h.http.post("/api/offer", content=b"{", headers=JSON)).status_code for _ in range(5)]
            assert statuses == [400, 400, 400, 429, 429]
            behind = {"X-Forwarded-For": "10.9.0.1"}
            assert (await h.http.get("/metrics", headers=behind)).status_code == 200

    run(main)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Host": "localhost"}, {"Host": "agent.example"}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-For": ""}],
)
def test_behind_a_proxy_that_forwards_no_address_a_stranger_is_no_operator(key: Path, headers: dict[str, str]) -> None:
    async def main() -> None:
        given: dict[str, Any] = {"public": "yes", "key_file": str(key), "allowed_hosts": ("agent.example",)}
        async with house(**given) as h:
            assert (await h.http.get("/metrics", headers=headers)).status_code == 403
            assert (await h.http.post("/drain", headers=headers)).status_code == 403
            assert (await h.http.get("/readyz", headers=headers)).json() == {"ready": True}
        async with house(operators=("10.9.0.0/16",), **given) as h:
            assert (await h.http.get("/metrics", headers=headers)).status_code == 403
            forwarded = {"X-Forwarded-For": "10.9.0.1"}
            assert (await h.http.get("/metrics", headers=forwarded)).status_code == 200

    run(main)


@pytest.mark.parametrize(
    ("host", "public", "loopback"),
    [("127.0.0.1", "auto", True), ("127.0.0.1", "yes", False), ("::1", "yes", False), ("0.0.0.0", "auto", False)],
)
def test_behind_a_proxy_nothing_is_sent_to_loopback_for_a_stranger(host: str, public: str, loopback: bool) -> None:
    addresses = server.webrtc_door(ServerConfig(host=host, public=public))._addresses
    assert (addresses.takes("127.0.0.1"), addresses.answers("127.0.0.1")) == (loopback, loopback)
    assert (addresses.takes("::1"), addresses.answers("::1")) == (loopback, loopback)


def test_a_door_without_a_key_opens_for_nobody_else() -> None:
    config = Config(server=ServerConfig(host="0.0.0.0"), deployment=DeploymentOptions(context="kiosk"))
    with pytest.raises(ConfigError, match=r"server\.key_file"):
        server.app(Recorder(), config)
    with pytest.raises(ConfigError, match=r"deployment\.context"):
        server.app(Recorder(), Config(server=ServerConfig(host="0.0.0.0")))
    with pytest.raises(ConfigError, match=r"server\.allowed_origins"):
        server.app(Recorder(), Config(server=ServerConfig(allowed_origins=("*",))))


def test_a_full_house_says_so_at_once_and_the_call_goes_on() -> None:
    async def main() -> None:
        async with house(max_calls=1) as h:
            client = await h.call()
            other = Client()
            h.clients.append(other)
            offer = await other.offer()
            times = []
            for _ in range(100):
                began = time.monotonic()
                answer = await h.http.post("/api/offer", json=offer)
                times.append(time.monotonic() - began)
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
            assert sorted(times)[len(times) // 2] < 0.05
            client.ask("ping", None, "alive")
            await client.wait_for(lambda m: m.get("id") == "alive")

    run(main)


def test_what_is_not_there_and_what_fails_is_a_problem_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with house() as h:
            for method, url, status in (("GET", "/nothing", 404), ("PUT", "/api/bye", 405), ("POST", "/nothing", 405)):
                answer = await h.http.request(method, url)
                assert answer.status_code == status, (method, url)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["status"] == status

            def fail() -> dict[str, Any]:
                raise RuntimeError("a secret")

            monkeypatch.setattr(h.runtime, "describe", fail)
            answer = await h.http.get("/readyz")
            assert answer.status_code == 500
            assert answer.headers["content-type"] == "application/problem+json"
            assert "secret" not in answer.text

    run(main)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    web = Path(server.__file__).parent / "agent" / "web"
    page = (web / "index.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert not re.findall(r"<script(?![^>]*src=)", page)
    for script in web.glob("*.js"):
        assert not re.findall(r"""(?:from|import)\s*\(?["'](?:https?:)?//""", script.read_text()), script.name
    for style in web.glob("*.css"):
        assert not re.findall(r"""url\(\s*["']?(?:https?:)?//""", style.read_text()), style.name


ALONE = ("unshare", "-rn", "sh", "-c")


def can_be_alone() -> bool:
    return shutil.which("unshare") is not None and not subprocess.call([*ALONE, "ip link set lo up"])


OFFLINE = """
import asyncio, sys
from tests.test_server import House, house, run
async def main():
    async with house() as h:
        await h.call()
        await h.runtime.until(lambda: len(h.runtime.audio) > 10 and len(h.runtime.video) > 2)
run(main)
"""


@pytest.mark.skipif(not can_be_alone(), reason="needs the right to make a network namespace")
def test_a_machine_without_a_network_can_call_itself() -> None:
    command = f"ip link set lo up && exec {sys.executable} -c '{OFFLINE}'"
    done = subprocess.run(
        [*ALONE, command],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert done.returncode == 0, done.stderr
