"""Whom the server lets in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent import token
from agent.clock import VirtualClock
from agent.config import ConfigError
from agent.doors import Admission, Load, Turnstile, among, is_public, key_of, operates, whereabouts
from agent.refusal import Refused
from agent.server_options import ServerConfig
from perception.timebase import SECOND, Nanos

NOW = 1_800_000_000.0


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "rapport.key"
    token.new_key(path)
    return path


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at: Nanos = 0

    def now(self) -> Nanos:
        return self.at

    async def sleep_until(self, deadline: Nanos) -> None:
        raise AssertionError("nothing here waits")

    def working(self, label: str) -> Any:
        raise AssertionError("nothing here works")


def admission(key: Path | None, clock: Time | None = None, **options: Any) -> Admission:
    given = {"key_file": str(key)} if key is not None else {}
    return Admission(ServerConfig(**(given | options)), clock or Time(), lambda: NOW)


def ticket(key: Path, **options: Any) -> str:
    given: dict[str, Any] = {"ttl_s": 60, "at_s": NOW}
    return token.mint(token.read_key(key), **(given | options))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_needs_no_key(host: str) -> None:
    assert key_of(ServerConfig(host=host)) is None
    with admission(None, host=host).enter(None, "127.0.0.1") as visitor:
        assert visitor.grants == token.EVERYTHING
        assert visitor.label is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "kiosk.example", ""])
def test_any_other_address_does_not_open_without_one(host: str, key: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.key_file.*agent token --new-key FILE.*127\.0\.0\.1"):
        key_of(ServerConfig(host=host))
    assert key_of(ServerConfig(host=host, key_file=str(key)))


def test_a_door_behind_a_proxy_needs_a_key_too(key: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.public is .yes.: set server\.key_file"):
        key_of(ServerConfig(public="yes"))
    assert admission(key, public="yes").guarded


def test_a_key_that_cannot_be_used_is_told() -> None:
    with pytest.raises(ConfigError, match=r"server\.key_file: .*cannot be read"):
        key_of(ServerConfig(key_file="/nowhere/rapport.key"))


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "kiosk.example", "https://kiosk.example/", "null", "file://x"]
)
def test_origins_are_whole_and_no_wildcards(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.allowed_origins"):
        key_of(ServerConfig(allowed_origins=(origin,)))
    assert key_of(ServerConfig(allowed_origins=("https://kiosk.example", "http://10.0.0.1:8000"))) is None


@pytest.mark.parametrize(
    ("host", "public", "expected"),
    [
        ("127.0.0.1", "auto", False),
        ("localhost", "auto", False),
        ("192.168.1.5", "auto", False),
        ("0.0.0.0", "auto", True),
        ("::", "auto", True),
        ("8.8.8.8", "auto", True),
        ("kiosk.example", "auto", True),
        ("0.0.0.0", "no", False),
        ("127.0.0.1", "yes", True),
    ],
)
def test_which_doors_are_on_the_street(host: str, public: str, expected: bool) -> None:
    assert is_public(ServerConfig(host=host, public=public)) is expected


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_behind_a_proxy_loopback_is_no_operator_whatever_is_named(address: str) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        for networks in (ServerConfig().operators, ("0.0.0.0/0", "::/0")):
            assert not operates(address, ServerConfig(host=host, public="yes", operators=networks))
            assert operates(address, ServerConfig(host=host, operators=networks))
    assert operates(address, ServerConfig(host="0.0.0.0")), "there the socket's own address is the caller's"
    named = ServerConfig(public="yes", operators=("10.9.0.0/16",))
    assert operates("10.9.0.1", named)
    assert not operates("203.0.113.7", named)


def test_a_token_opens_one_call(key: Path) -> None:
    door = admission(key)
    text = ticket(key, grants=["audio"], label="desk")
    door.check(text)
    door.check(text)  # to look at it does not spend it
    with door.enter(text, "10.0.0.7") as visitor:
        assert (visitor.label, visitor.address) == ("desk", "10.0.0.7")
        assert visitor.grants == {"audio"}
    with pytest.raises(Refused, match="used before") as caught, door.enter(text, "10.0.0.7"):
        pytest.fail("twice")
    assert caught.value.status == 401


def test_a_call_that_did_not_come_about_leaves_the_token(key: Path) -> None:
    door = admission(key)
    text = ticket(key)
    with pytest.raises(Refused, match="busy"), door.enter(text, "10.0.0.7"):
        raise Refused(503, "busy")
    with door.enter(text, "10.0.0.7"):
        pass


@pytest.mark.parametrize("text", [None, "", "nonsense", "r1.e30.AAAA"])
def test_without_a_good_token_nobody_comes_in(key: Path, text: str | None) -> None:
    door = admission(key)
    with pytest.raises(Refused) as caught, door.enter(text, "10.0.0.7"):
        pytest.fail("came in")
    assert caught.value.status == 401
    with pytest.raises(Refused):
        door.check(text)


def test_old_and_long_tokens(key: Path) -> None:
    door = admission(key, token_ttl=100 * SECOND)
    with pytest.raises(Refused, match="run out"):
        door.check(ticket(key, at_s=NOW - 61))
    with pytest.raises(Refused, match="longer than 100 s"):
        door.check(ticket(key, ttl_s=101))


def test_offers_are_counted_by_address(key: Path) -> None:
    clock = Time()
    door = admission(key, clock, offers_per_minute=3)
    for _ in range(3):
        door.step("10.0.0.7")
    with pytest.raises(Refused, match="too many offers") as caught:
        door.step("10.0.0.7")
    assert caught.value.status == 429
    assert caught.value.retry_after_s is not None
    assert 1 <= caught.value.retry_after_s <= 21
    door.step("10.0.0.8")
    clock.at += caught.value.retry_after_s * SECOND
    door.step("10.0.0.7")
    open_door = admission(None)
    for _ in range(1000):
        open_door.step("127.0.0.1")


def test_addresses_are_not_remembered_without_end() -> None:
    turnstile = Turnstile(1, VirtualClock())
    for k in range(10_000):
        turnstile.step(f"10.{k >> 16}.{k >> 8 & 255}.{k & 255}")
    assert len(turnstile._left) <= 4096


def test_who_has_used_up_their_offers_is_not_forgotten_for_others_who_pass() -> None:
    turnstile = Turnstile(60, VirtualClock())
    for _ in range(60):
        turnstile.step("10.9.9.9")
    for k in range(4097 * 3):
        turnstile.step(f"10.{k >> 16}.{k >> 8 & 255}.{k & 255}")
    with pytest.raises(Refused, match="too many offers"):
        turnstile.step("10.9.9.9")
    assert len(turnstile._left) <= 4096


def test_a_token_is_good_at_the_server_that_it_is_for(key: Path) -> None:
    """Two servers have the same key; each remembers only what was spent with itself."""
    one, other, nameless = (admission(key, name=name) for name in ("berlin-1", "berlin-2", ""))
    text = ticket(key, aud="berlin-1")
    for door in (other, nameless):
        with pytest.raises(Refused, match="is for the server 'berlin-1'") as caught, door.enter(text, "10.0.0.7"):
            pytest.fail("came in elsewhere")
        assert caught.value.status == 401
        with pytest.raises(Refused):
            door.check(text)
    with one.enter(text, "10.0.0.7"):
        pass
    with pytest.raises(Refused, match="used before"), one.enter(text, "10.0.0.7"):
        pytest.fail("twice")
    with pytest.raises(Refused, match=r"does not say which server.*this one is 'berlin-1'.*agent token --server"):
        one.check(ticket(key))
    with nameless.enter(ticket(key), "10.0.0.7"):
        pass


def test_a_clock_that_is_set_back_is_told_once(key: Path) -> None:
    at = [NOW]
    door = Admission(ServerConfig(key_file=str(key)), Time(), lambda: at[0])
    spent, unspent = ticket(key), ticket(key)
    with door.enter(spent, "10.0.0.7"):
        pass
    at[0] = NOW + 100
    with pytest.raises(Refused, match="run out"):
        door.check(unspent)
    with capture_logs() as logs:
        at[0] = NOW + 30
        door.check(unspent)
        with pytest.raises(Refused, match="used before"), door.enter(spent, "10.0.0.7"):
            pytest.fail("twice")
        at[0] = NOW + 29
        door.check(unspent)
    assert [(line["event"], line["by_s"]) for line in logs] == [("clock_set_back", 70)]
    assert "slewed" in logs[0]["fix"]


def test_a_machine_that_is_late_takes_no_new_call() -> None:
    load = Load(SECOND // 10)
    for _ in range(20):
        load.observe(0.0)
    load.observe(60.0)
    load.check()  # one stall is no load
    for _ in range(20):
        load.observe(0.12)
    with pytest.raises(Refused, match="busy") as caught:
        load.check()
    assert caught.value.status == 503
    assert caught.value.retry_after_s
    for _ in range(20):
        load.observe(0.01)
    load.check()
    door = admission(None)
    for _ in range(20):
        door.load.observe(0.5)
    with pytest.raises(Refused, match="busy"), door.enter(None, ""):
        pytest.fail("came in")


def test_what_a_caller_is_counted_by() -> None:
    assert whereabouts("10.0.0.7") == "10.0.0.7"
    assert whereabouts("::ffff:10.0.0.7") == "10.0.0.7"
    assert whereabouts("2001:db8:1:2:3:4:5:6") == whereabouts("2001:db8:1:2::9")
    assert whereabouts("2001:db8:1:2::") != whereabouts("2001:db8:1:3::")
    assert whereabouts("fe80::1%eth0") == whereabouts("fe80::2")
    assert whereabouts("x" * 1000) == "x" * 64


def test_who_is_an_operator() -> None:
    networks = ("127.0.0.0/8", "::1/128", "10.1.0.0/16")
    assert all(among(a, networks) for a in ("127.0.0.1", "::1", "10.1.2.3", "::ffff:10.1.2.3"))
    assert not any(among(a, networks) for a in ("10.2.0.1", "::2", "", "localhost"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"public": "perhaps"}, r"server\.public is 'perhaps'"),
        ({"token_ttl": 0}, r"server\.token_ttl"),
        ({"most_lag": 0}, r"server\.most_lag"),
        ({"calls_per_label": 0}, r"server\.calls_per_label"),
        ({"calls_per_address": 0}, r"server\.calls_per_address"),
        ({"offers_per_minute": 0}, r"server\.offers_per_minute"),
        ({"operators": ("everybody",)}, r"server\.operators has 'everybody'"),
        ({"trusted_proxies": ("10.0.0.1", "proxy.local")}, r"server\.trusted_proxies has 'proxy\.local'"),
        ({"most_connections": 0}, r"server\.most_connections"),
        ({"connections_per_address": 0}, r"server\.connections_per_address"),
        ({"head_within": 0}, r"server\.head_within"),
        ({"name": "a b"}, r"server\.name is 'a b', expected 1 to 64 of letters, digits and \._-"),
        ({"name": "x" * 65}, r"server\.name"),
    ],
)
def test_settings_out_of_range_are_named(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ServerConfig(**options)
