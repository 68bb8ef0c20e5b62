"""Words, tokens and passwords of a whole call over a real connection are looked for wherever something is written."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import uvicorn

import server
from agent import build, logs, token
from agent.config import Config, JournalConfig, Use
from agent.parts import CallOptions, Parts
from agent.privacy import kept
from agent.privacy.journal_file import lines_of
from agent.privacy.masking import PREFIX
from agent.privacy.options import DeploymentOptions, PrivacyOptions
from agent.server_options import ServerConfig
from agent.tracing import Tracer
from agent.voices.plain import PlainVoice
from perception.context import ContextWindow
from policy.decision import Decision, Express, Speak
from tests.agent.stage import Mind, Mindful, said
from tests.privacy.house import Watched
from tests.rtc import Client
from tests.test_server import _Server, free_port

SPOKEN, TYPED, BROKEN, SHOWN = "xylocanary", "quagcanary", "faultcanary", "lookcanary"
"""Words that nothing but this call can have written: spoken, typed, in an error's message, and in a reason."""


def echo(window: ContextWindow) -> list[Decision]:
    """Says the person's words back, with them as the reason; fails on some of them."""
    words = window.turns[-1].text if window.turns else ""
    if BROKEN in words:
        raise ValueError(f"cannot parse {words!r}")
    return [
        Express(emotion="concern", reason=f"{SHOWN} {words}"),
        Speak(text=f"You said {words}.", strategy="reflection", emotion="concern", reason=f"{SHOWN} {words}"),
    ]


class Spans:
    """Keeps the traces that would be sent."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def sink(self, call: str) -> Tracer:
        return Tracer(lambda trace, at: self.told.append(repr(trace)))

    def close(self) -> None:
        """Nothing is open."""


def runtime(config: Config, mind: Mind, spans: Spans) -> build.Runtime:
    ear = Watched("asr", said(SPOKEN, 0.5, 1.0))
    options = CallOptions(greeting=False, reflexes=False)
    parts = Parts([ear], Mindful(mind), PlainVoice(), options)
    tracing: Any = spans
    return build.Runtime(config, parts, kept.ledger_of(config), tracing=tracing)


@pytest.mark.slow
def test_no_word_no_token_and_no_password_is_written_anywhere_but_under_pii(
    tmp_path: Path, logged: io.StringIO
) -> None:
    key = tmp_path / "rapport.key"
    token.new_key(key)
    port = free_port()
    config = Config(
        server=ServerConfig(port=port, key_file=str(key)),
        deployment=DeploymentOptions(context="research"),
        privacy=PrivacyOptions(directory=str(tmp_path / "state")),
        journal=JournalConfig(directory=str(tmp_path / "journals"), personal=True),
        workers=(),
        policy=Use("scripted"),
        voice=Use("plain"),
    )
    ticket = token.mint(token.read_key(key), ttl_s=60, label="lobby")
    secrets: list[str] = [ticket, key.read_text().strip()]
    metrics, spans = "", Spans()

    async def main() -> None:
        nonlocal metrics
        mind = Mind(echo)
        application = server.app(runtime(config, mind, spans), config)
        running = _Server(
            uvicorn.Config(application, host="127.0.0.1", port=port, log_config=None, ws="websockets-sansio")
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(running.serve())
            while not running.started:
                await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
                client = Client(video=False)
                try:
                    offer = await client.offer()
                    answer = await http.post(f"/api/offer?token={ticket}", json=offer)
                    assert answer.status_code == 200, answer.text
                    for sdp in (offer["sdp"], answer.json()["sdp"]):
                        secrets.extend(re.findall(r"a=ice-pwd:(\S+)", sdp))
                    await client.accept(answer.json())
                    client.say("client-ready", {"version": "2.1.0"}, "hello123")
                    await client.wait_type("bot-ready")
                    agreed = {"senses": ["asr"], "version": "2", "locale": "en", "recording": True}
                    client.ask("consent", agreed)
                    await client.wait_for(lambda m: _says(m, SPOKEN), 20)
                    client.say("send-text", {"content": TYPED})
                    await client.wait_for(lambda m: _says(m, f"You said {TYPED}"), 20)
                    client.say("send-text", {"content": BROKEN})
                    client.ask("no-such-wish", {"text": TYPED})
                    client.say("send-text", {"content": TYPED * 1000})
                    await client.wait_type("error-response")
                    await asyncio.sleep(0.5)
                    metrics = (await http.get("/metrics")).text
                finally:
                    await client.close()
                    running.should_exit = True
            await task

    asyncio.run(main())
    text = logged.getvalue()
    assert '"consent_stored"' in text, "the log was listened to"
    assert BROKEN not in text
    assert "policy_failed" in text, "that something failed is in it"
    assert "ValueError" in text, "and of which kind"
    assert "rapport_stage_seconds" in metrics
    traces = "".join(spans.told)
    assert "first_audio" in traces
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    lines = lines_of(journal)
    inside = json.dumps([{k: v for k, v in line.items() if k.startswith(PREFIX)} for line in lines])
    outside = json.dumps([{k: v for k, v in line.items() if not k.startswith(PREFIX)} for line in lines])
    ledger = "".join(path.read_text() for path in kept.ledger_of(config).files())
    assert len(secrets) >= 4, "token, key, and a password of either side"
    for canary in (SPOKEN, TYPED, SHOWN, *secrets):
        places = ("log", text), ("metrics", metrics), ("traces", traces), ("journal", outside), ("ledger", ledger)
        for where, found in places:
            assert canary not in found, f"{canary} is in the {where}"
    for canary in (SPOKEN, TYPED, SHOWN):
        assert canary in inside, "words were allowed, so that they are where they may be"
    for secret in secrets:
        assert secret not in inside


def _says(message: dict[str, Any], words: str) -> bool:
    data = message.get("data") or {}
    return data.get("t") == "turn" and words in str(data.get("text"))


def test_an_error_tells_where_and_what_kind_but_not_in_which_words(logged: io.StringIO) -> None:
    log = structlog.get_logger("agent.test")

    def fail() -> None:
        try:
            raise KeyError(SPOKEN)
        except KeyError as error:
            raise ExceptionGroup(TYPED, [ValueError(BROKEN), OSError(28, "No space left on device")]) from error

    try:
        fail()
    except ExceptionGroup as error:
        log.error("failed", exc_info=error)
        log.error("failed", **{"pii.words": SPOKEN})
        logging.getLogger("some.library").error("it broke", exc_info=error)
        logging.getLogger("some.library").debug("given %s", SPOKEN)
    text = logged.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 3
    for line in (lines[0], lines[2]):
        for part in ("builtins.KeyError", "builtins.ExceptionGroup", "builtins.ValueError", "No space left", "in fail"):
            assert part in line["exception"]
    for canary in (SPOKEN, TYPED, BROKEN):
        # The lines of source that a traceback shows are the program's, not the person's.
        assert canary not in re.sub(r"raise .*", "", text)


def test_who_asks_for_words_gets_them(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    handlers = list(logging.getLogger().handlers)
    try:
        logs.configure(personal=True)
        structlog.get_logger("agent.test").info("heard", **{"pii.words": SPOKEN})
        assert SPOKEN in capsys.readouterr().err
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers[:] = handlers
