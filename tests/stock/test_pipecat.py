"""Pipecat's own JavaScript client, unmodified from its registry, holds a call in a headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, sync_playwright

from tests.e2e.live import Server
from tests.web.browser import CHROMIUM, QUIET

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.slow]

LOSE = """(() => {
  const pc = window.peers.at(-1);
  Object.defineProperty(pc, "iceConnectionState", {get: () => "failed"});
  pc.dispatchEvent(new Event("iceconnectionstatechange"));
})()"""
"""What a browser does where the network is gone; the client then does what it does."""

PEERS = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) {
    super(...options);
    window.peers.push(this);
  }
};
"""


class Caller:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.offers: list[dict[str, Any]] = []
        self.strangers: list[str] = []
        page.on("request", self._asked)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:")):
            self.strangers.append(request.url)
        if request.method == "POST" and request.url.endswith("/api/offer"):
            self.offers.append(json.loads(request.post_data or "{}"))

    def read(self, what: str) -> Any:
        return self.page.evaluate(f"window.stock.seen.{what}")

    def until(self, what: str, timeout_s: float = 15.0) -> Any:
        for _ in range(int(timeout_s / 0.1)):
            found = self.page.evaluate(f"(seen => {what})(window.stock.seen)")
            if found:
                return found
            self.page.wait_for_timeout(100)
        raise AssertionError(f"waited {timeout_s} s for {what}; seen: {self.page.evaluate('window.stock.seen')}")


@pytest.fixture(scope="module")
def caller(stock: Server, page: str, speech: Path) -> Iterator[Caller]:
    devices = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    )
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=[*QUIET, *devices])
        opened = browser.new_page()
        opened.add_init_script(PEERS)
        found = Caller(opened)
        opened.goto(page)
        opened.evaluate("endpoint => window.stock.connect(endpoint)", f"{stock.url}/api/offer")
        yield found
        browser.close()


def test_it_becomes_ready(caller: Caller) -> None:
    assert caller.read("states")[-1] == "ready"
    assert caller.read("ready.version") == "2.1.0"
    assert caller.read("ready.about.policy") == "scripted"
    assert caller.offers[0]["pc_id"] is None


def test_what_the_person_says_is_transcribed(caller: Caller) -> None:
    words = caller.until("seen.words.filter(w => w.final).map(w => w.text).join(' ')", 20)
    assert "help me" in words.lower(), words  # the fake microphone may begin anywhere


def test_the_agent_is_heard(caller: Caller) -> None:
    assert caller.until("seen.said.length > 0", 20)
    assert caller.until("seen.peak > 0.02", 20)


def test_what_is_perceived_and_decided_comes_as_server_messages(caller: Caller) -> None:
    told = caller.until("seen.messages.filter(m => m.t === 'decision').length && seen.messages.map(m => m.t)", 20)
    assert {"percept", "decision", "turn", "state"} <= set(told)
    percept = caller.read("messages.find(m => m.t === 'percept')")
    assert percept["v"] == 1
    assert {"kind", "label", "start", "end", "confidence", "worker"} <= set(percept)


def test_a_client_message_is_answered(caller: Caller) -> None:
    """Consent is one: a server that needs it gets it from Pipecat's clients like this."""
    said = {"senses": ["vad", "asr", "turn"], "version": "test-1"}
    answer = caller.page.evaluate("d => window.stock.ask('consent', d)", said)
    assert sorted(answer["senses"]) == ["asr", "turn", "vad"]
    refused = caller.page.evaluate("window.stock.ask('dance', {}).then(() => null, e => e)")
    assert refused is not None
    assert "unknown client-message 'dance'" in caller.read("errors.at(-1).data.error")


def test_a_lost_connection_is_made_anew_within_the_same_call(caller: Caller) -> None:
    first = caller.read("messages.find(m => m.t === 'state').call")
    before = len(caller.offers)
    caller.page.evaluate(LOSE)
    for _ in range(100):
        if len(caller.offers) > before:
            break
        caller.page.wait_for_timeout(100)
    again = caller.offers[-1]
    assert again["restart_pc"] is True
    assert again["pc_id"]
    count = len(caller.read("messages"))
    caller.until(f"seen.messages.slice({count}).some(m => m.t === 'percept')", 20)
    words = len(caller.read("words"))
    assert caller.until(f"seen.words.length > {words}", 20)
    calls = set(caller.page.evaluate("window.stock.seen.messages.filter(m => m.t === 'state').map(m => m.call)"))
    assert calls == {first}
    assert "error" not in caller.read("states")


def test_nobody_else_is_asked_for_anything(caller: Caller) -> None:
    caller.page.evaluate("window.stock.leave()")
    assert caller.read("states")[-1] == "disconnected"
    assert caller.strangers == []
