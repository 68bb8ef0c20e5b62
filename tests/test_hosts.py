"""Under which names the server is reached, and who is an operator behind a proxy that passes on what it is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent import token
from agent.hosts import Names
from agent.refusal import Refused
from agent.server_options import ServerConfig
from tests.test_connections import port_of
from tests.test_server import house, run

REBOUND = {"Host": "evil.example:8202"}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "rapport.key"
    token.new_key(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("url", ["/metrics", "/readyz", "/status", "/api/ice", "/", "/livez", "/embed/rapport-call.js"])
def test_a_page_whose_name_was_made_to_point_here_reads_nothing(url: str) -> None:
    async def main() -> None:
        async with house() as h:
            assert (await h.http.get(url)).status_code == 200
            answer = await h.http.get(url, headers=REBOUND)
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            told = answer.json()["detail"]
            assert "reached as localhost, not as 'evil.example:8202'" in told
            assert "server.allowed_hosts" in told
            assert await h.metric('rapport_refused_total{reason="host"}') == 1

    run(main)


@pytest.mark.slow
def test_nor_does_it_write_or_open_a_websocket() -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    async def main() -> None:
        async with house() as h:
            for method, path in (("POST", "/api/offer"), ("POST", "/start"), ("POST", "/drain"), ("OPTIONS", "/whip")):
                assert (await h.http.request(method, path, headers=REBOUND, json={})).status_code == 403, path
            assert not (await h.http.get("/status")).json().get("draining")
            for path in ("/ws", "/v1/realtime"):
                with pytest.raises(InvalidStatus) as caught:
                    async with connect(
                        f"ws://evil.example:{port_of(h)}{path}", host="127.0.0.1", port=port_of(h), proxy=None
                    ):
                        pytest.fail("came in")
                assert caught.value.response.status_code == 403
                assert "server.allowed_hosts" in json.loads(caught.value.response.body)["detail"]

    run(main)


@pytest.mark.slow
def test_names_that_the_configuration_allows_are_taken() -> None:
    async def main() -> None:
        given: dict[str, Any] = {"allowed_hosts": ("Agent.example",), "allowed_origins": ("https://shop.example:8443",)}
        async with house(**given) as h:
            for host in ("agent.example", "AGENT.example:443", "shop.example", f"localhost:{port_of(h)}", "127.0.0.1"):
                assert (await h.http.get("/status", headers={"Host": host})).status_code == 200, host
            own = {"Host": "agent.example", "Origin": "https://agent.example"}
            assert (await h.http.post("/start", headers=own)).status_code == 200
            assert (await h.http.post("/start", headers=own | {"Origin": "https://evil.example"})).status_code == 403
            assert (await h.http.post("/start", headers=own | {"Origin": "http://[evil"})).status_code == 403

    run(main)


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8080", "127.0.0.1:8080", "127.8.8.8", "[::1]:8080", "localhost.", ""]
)
def test_this_machine_goes_by_its_loopback_names(host: str) -> None:
    Names(ServerConfig()).check(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example@localhost", "0.0.0.0:8080"),
        *("localhost#evil.example", "localhost/x", "[::1", "::1", "192.168.1.5", "localhost:80:80", "localhost\\.evil"),
    ],
)
def test_no_other_name_nor_what_only_looks_like_one_of_them_is_taken(host: str) -> None:
    with pytest.raises(Refused) as caught:
        Names(ServerConfig()).check(host)
    assert (caught.value.status, caught.value.kind) == (403, "host")


def test_elsewhere_any_name_is_taken_until_some_are_named() -> None:
    Names(ServerConfig(host="0.0.0.0")).check("kiosk.local:8080")
    named = Names(ServerConfig(host="0.0.0.0", allowed_hosts=("kiosk.local", "[fd00::7]")))
    named.check("kiosk.local:8080")
    named.check("[fd00::7]:8080")
    with pytest.raises(Refused, match="goes by another name"):
        named.check("evil.example")


@pytest.mark.parametrize("host", ["https://agent.example", "agent.example:443", "*.example", "*", "", "a b", "a/b"])
def test_a_name_is_a_name_alone(host: str) -> None:
    with pytest.raises(
        ValueError, match=r"server\.allowed_hosts has .*agent\.example, without scheme, port or wildcard"
    ):
        ServerConfig(allowed_hosts=(host,))


@pytest.mark.slow
def test_a_rebound_page_on_the_servers_own_machine_is_no_operator(key: Path) -> None:
    async def main() -> None:
        async with house(host="0.0.0.0", public="no", key_file=str(key)) as h:
            assert (await h.http.get("/metrics")).status_code == 200
            for host in ("kiosk.local", "evil.example:8080"):
                assert (await h.http.get("/metrics", headers={"Host": host})).status_code == 403
                assert (await h.http.get("/readyz", headers={"Host": host})).json() == {"ready": True}
                assert (await h.http.post("/drain", headers={"Host": host})).status_code == 403
        async with house(host="0.0.0.0", public="no", key_file=str(key), allowed_hosts=("kiosk.local",)) as h:
            assert (await h.http.get("/metrics", headers={"Host": "kiosk.local"})).status_code == 200

    run(main)


@pytest.mark.slow
@pytest.mark.parametrize("written", ["10.9.0.1%eth0", "10.9.0.1:80", "[10.9.0.1]:80", "10.9.0.1%", "::ffff:10.9.0.1%1"])
def test_an_operators_address_stands_bare_in_what_a_proxy_forwards(key: Path, written: str) -> None:
    async def main() -> None:
        given: dict[str, Any] = {"public": "yes", "key_file": str(key), "operators": ("10.9.0.0/16",)}
        async with house(**given) as h:
            bare = {"X-Forwarded-For": "10.9.0.1"}
            assert (await h.http.get("/metrics", headers=bare)).status_code == 200
            assert (await h.http.get("/metrics", headers={"X-Forwarded-For": written})).status_code == 403
            assert (await h.http.post("/drain", headers={"X-Forwarded-For": written})).status_code == 403

    run(main)
