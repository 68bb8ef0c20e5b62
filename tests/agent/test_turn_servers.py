"""Relays: credentials that a relay takes, for one call and for a while, and a plain word where there is no relay."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from agent import turn_servers
from agent.clock import SystemClock
from agent.config import Config, ConfigError, Use
from agent.doctor import examine
from agent.privacy.options import DeploymentOptions
from agent.server_options import ServerConfig
from agent.turn_servers import IceServers, credentials
from perception.timebase import SECOND
from tests.test_server import house, run
from tests.turn_server import serving

SECRET = b"0f1e2d3c4b5a69788796a5b4c3d2e1f0"
NOW = 1_800_000_000.0


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "turn.secret"
    path.write_bytes(SECRET + b"\n")
    return str(path)


def servers(url: str, secret: str, **more: Any) -> IceServers:
    return IceServers(ServerConfig(turn_urls=(url,), turn_secret_file=secret, **more), now_s=lambda: NOW)


def test_credentials_follow_the_convention() -> None:
    username, password = credentials(SECRET, 1_800_000_600, "abc")
    assert username == "1800000600:abc"
    assert password == base64.b64encode(hmac.new(SECRET, username.encode(), hashlib.sha1).digest()).decode()


def test_each_call_gets_its_own_and_they_end(secret: str) -> None:
    ice = IceServers(
        ServerConfig(
            ice_servers=("stun:stun.example:3478",),
            turn_urls=("turn:relay.example:3478", "turns:relay.example:5349?transport=tcp"),
            turn_secret_file=secret,
            turn_ttl=600 * SECOND,
        ),
        now_s=lambda: NOW,
    )
    stun, first = ice.for_page()
    assert stun == {"urls": ["stun:stun.example:3478"]}
    assert first["urls"] == ["turn:relay.example:3478", "turns:relay.example:5349?transport=tcp"]
    assert int(first["username"].split(":")[0]) == NOW + 600
    assert ice.for_page()[1]["username"] != first["username"]
    assert SECRET.decode() not in str(ice.for_page())


def test_a_relay_that_works_is_asked_and_given_back(secret: str) -> None:
    async def main() -> None:
        async with serving(SECRET, lambda: NOW) as relay:
            ice = servers(relay.url, secret)
            assert ice.problem is None
            assert await ice.ask() == ""
            assert len(relay.usernames) == 1
            assert relay.open == 0
            assert [s.urls for s in ice.for_server()] == [[relay.url]]

    asyncio.run(main())


def test_why_there_is_no_relay_is_said(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_servers, "_ASK_S", 0.3)

    async def main() -> None:
        async with serving(b"another secret altogether", lambda: NOW) as other:
            ice = servers(other.url, secret)
            assert "refuses the credentials" in await ice.ask()
            assert ice.for_server() == [], "each connection would wait for it"
            assert len(ice.for_page()) == 1, "a page may reach what this server does not"
        async with serving(SECRET, lambda: NOW + 10 * 3600) as later:
            assert "the clocks" in await servers(later.url, secret).ask()
        async with serving(SECRET, lambda: NOW) as mute:
            mute.silent = True
            assert "does not answer" in await servers(mute.url, secret).ask()

    asyncio.run(main())


def test_it_is_asked_again_and_a_relay_that_is_back_is_used(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_servers, "_ASK_S", 0.2)
    monkeypatch.setattr(turn_servers, "ASK_AGAIN", SECOND // 20)

    async def main() -> None:
        async with serving(SECRET, lambda: NOW) as relay, asyncio.TaskGroup() as group:
            relay.silent = True
            ice = servers(relay.url, secret)
            watch = group.create_task(ice.watch(SystemClock()))
            async with asyncio.timeout(5):
                while not ice.problem:
                    await asyncio.sleep(0.02)
                relay.silent = False
                while ice.problem:
                    await asyncio.sleep(0.02)
            watch.cancel()

    asyncio.run(main())


@pytest.mark.slow
def test_over_http_and_in_a_call(secret: str, capfd: pytest.CaptureFixture[str]) -> None:
    from agent import token

    async def main() -> None:
        async with (
            serving(SECRET, token.now_s) as relay,
            house(turn_urls=(relay.url,), turn_secret_file=secret) as h,
        ):
            while (await h.http.get("/readyz")).json()["relay"] != "ok":
                await asyncio.sleep(0.02)
            assert await h.metric("rapport_relay ") == 1
            given = (await h.http.get("/api/ice")).json()["iceServers"]
            (started,) = (await h.http.post("/start")).json()["iceConfig"]["iceServers"]
            assert given[0]["urls"] == started["urls"] == [relay.url]
            assert given[0]["username"] != started["username"]
            asked = len(relay.usernames)
            await h.call()
            assert len(relay.usernames) > asked, "the server's own connection uses the relay"
            assert len(set(relay.usernames)) == len(relay.usernames) - relay.usernames.count("")
            page = given[0]["credential"]
            metrics = (await h.http.get("/metrics")).text + (await h.http.get("/readyz")).text
            assert page not in metrics
            assert SECRET.decode() not in metrics

    run(main)
    out, err = capfd.readouterr()
    assert SECRET.decode() not in out + err


@pytest.mark.slow
def test_strangers_get_no_credentials(secret: str, tmp_path: Path) -> None:
    from agent import token

    key = tmp_path / "rapport.key"
    token.new_key(key)

    async def main() -> None:
        relays: dict[str, Any] = {"turn_urls": ("turn:127.0.0.1:9",), "turn_secret_file": secret}
        async with house(host="0.0.0.0", key_file=str(key), **relays) as h:
            assert (await h.http.get("/api/ice")).json() == {"iceServers": []}
            wrong = await h.http.get("/api/ice", headers={"Authorization": "Bearer nonsense"})
            assert wrong.status_code == 401
            ticket = token.mint(token.read_key(key), ttl_s=60)
            given = await h.http.get("/api/ice", headers={"Authorization": f"Bearer {ticket}"})
            assert given.json()["iceServers"][0]["credential"]
            assert given.headers["cache-control"] == "no-store"

    run(main)


def test_the_doctor_asks_too(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_servers, "_ASK_S", 0.2)
    relays = ServerConfig(port=0, turn_urls=("turn:127.0.0.1:9",), turn_secret_file=secret)
    config = Config(server=relays, policy=Use("scripted"), deployment=DeploymentOptions(context="kiosk"))
    (found,) = [f for f in examine(config, needed=[]) if f.name == "relay"]
    assert found.state == "warn"
    assert "turn:127.0.0.1:9" in found.what
    assert "server.turn_urls" in found.fix


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"turn_urls": ("turn:relay.example",)}, r"server\.turn_secret_file"),
        ({"turn_urls": ("relay.example",), "turn_secret_file": "x"}, r"server\.turn_urls"),
        ({"turn_urls": ("turn:relay.example",), "turn_secret_file": "/nowhere"}, "cannot be read"),
        ({"turn_secret_file": "x"}, r"without server\.turn_urls"),
    ],
)
def test_what_cannot_work_is_told_at_the_start(options: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        IceServers(ServerConfig(**options))


def test_a_short_secret_is_none(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("secret")
    with pytest.raises(ConfigError, match="6 bytes"):
        servers("turn:relay.example", str(tmp_path / "short"))
