"""The operator's webhook against a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent import build
from agent.config import Config, ConfigError
from agent.journal import Event, Metric, Note
from agent.metrics import Metrics
from agent.safety_options import SafetyOptions
from agent.webhook import CAPACITY, Webhook, signature
from perception.timebase import MS


class Ear(ThreadingHTTPServer):
    """Answers with what ``answers`` says, then 204; keeps what it heard."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.heard: list[tuple[dict[str, Any], dict[str, str], bytes]] = []
        self.gate = threading.Event()
        self.gate.set()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/danger"


class Handler(BaseHTTPRequestHandler):
    server: Ear

    def do_POST(self) -> None:
        self.server.gate.wait(10)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((json.loads(body), {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def ear() -> Iterator[Ear]:
    server = Ear()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def options(ear: Ear, **more: Any) -> SafetyOptions:
    return SafetyOptions(webhook=ear.url, webhook_backoff=10 * MS, webhook_timeout=500 * MS, **more)


def danger(kind: str = "abuse") -> Event:
    return Event(7, Note("safety", "warning", {"kind": kind, "plain": True, "reply": 3}))


def test_it_tells_what_kind_and_when_and_nothing_of_what_was_said(ear: Ear) -> None:
    told: list[str] = []
    hook = Webhook(options(ear), told.append)
    take = hook.sink("call-1")
    take(danger())
    take(Event(8, Metric("voice", 1.0)))
    take(Event(9, Note("state")))
    assert hook.drain(5)
    hook.close()
    assert told == ["acknowledged"]
    assert len(ear.heard) == 1
    body, headers, _ = ear.heard[0]
    assert set(body) == {"id", "call", "kind", "plain", "time"}
    assert (body["call"], body["kind"], body["plain"]) == ("call-1", "abuse", True)
    assert "x-rapport-signature" not in headers


def test_it_signs_with_the_key_of_a_file(ear: Ear, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"secret\n")
    hook = Webhook(options(ear, webhook_key_file=str(key)))
    hook.post("c", "medical", plain=False)
    assert hook.drain(5)
    hook.close()
    _, headers, body = ear.heard[0]
    at, _, found = headers["x-rapport-signature"].partition(",v1=")
    assert found == signature(b"secret", at.removeprefix("t="), body)
    assert found != signature(b"another", at.removeprefix("t="), body)


def test_it_tries_again_until_it_is_acknowledged(ear: Ear) -> None:
    told: list[str] = []
    ear.answers = [503, 302, 500]
    hook = Webhook(options(ear), told.append)
    hook.post("c", "medical", plain=True)
    assert hook.drain(5)
    hook.close()
    assert told == ["retried", "retried", "retried", "acknowledged"]
    assert len({body["id"] for body, _, _ in ear.heard}) == 1


def test_it_gives_up_where_another_try_changes_nothing(ear: Ear) -> None:
    told: list[str] = []
    ear.answers = [404, 200]
    hook = Webhook(options(ear), told.append)
    hook.post("c", "medical", plain=True)
    assert hook.drain(5)
    hook.close()
    assert told == ["failed"]


def test_it_gives_up_after_the_last_try_and_goes_on_with_the_next(ear: Ear) -> None:
    told: list[str] = []
    ear.answers = [500, 500]
    hook = Webhook(options(ear, webhook_tries=2), told.append)
    hook.post("c", "medical", plain=True)
    hook.post("c", "abuse", plain=True)
    assert hook.drain(5)
    hook.close()
    assert told == ["retried", "failed", "acknowledged"]


def test_nobody_waits_for_it_and_what_is_too_much_is_counted(ear: Ear) -> None:
    told: list[str] = []
    ear.gate.clear()
    hook = Webhook(options(ear), told.append)
    for _ in range(CAPACITY + 5):
        hook.post("c", "medical", plain=True)
    assert told.count("lost") >= 4
    ear.gate.set()
    hook.close()
    assert told.count("acknowledged") + told.count("lost") == CAPACITY + 5


def test_it_is_off_until_an_address_is_named(tmp_path: Path) -> None:
    assert build.webhook(Config()) is None
    missing = SafetyOptions(webhook="https://example.test/", webhook_key_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"safety\.webhook_key_file: .*none"):
        build.webhook(Config(safety=missing))
    empty = tmp_path / "key"
    empty.write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        build.webhook(Config(safety=SafetyOptions(webhook="https://example.test/", webhook_key_file=str(empty))))


def test_outcomes_are_counted() -> None:
    metrics = Metrics()
    metrics.delivered("acknowledged")
    metrics.delivered("retried")
    text = metrics.text().decode()
    assert 'rapport_webhook_total{outcome="acknowledged"} 1.0' in text
    assert 'rapport_webhook_total{outcome="retried"} 1.0' in text
