"""Names that no sense has are refused before anything else sees them, and consent changes only so often."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agent import build, wire
from agent.config import Config, JournalConfig
from agent.parts import CallOptions, Parts
from agent.privacy import kept
from agent.privacy.agreement import Agreement
from agent.privacy.options import PrivacyOptions
from agent.sense_map import SenseMap
from agent.transports._consenting import AT_ONCE, MOST, PER_MINUTE, Allowed, Consenting
from agent.transports.websocket import load
from agent.voices.plain import PlainVoice
from perception.timebase import SECOND, Nanos
from tests.agent.stage import Mind, Mindful, kind_words
from tests.privacy.house import Watched
from tests.sockets import Pipe, called, opened

CANARY = "SENSECANARYwaterfall my aunt Gertrude"


def held(folder: Path, talk: Callable[[Pipe, build.Runtime], Coroutine[Any, Any, None]]) -> str:
    """Hold a call over a WebSocket; return all that was written of it into files."""
    config = Config(
        privacy=PrivacyOptions(directory=str(folder / "state")),
        journal=JournalConfig(directory=str(folder / "journals"), personal=True),
    )
    options = CallOptions(greeting=False, reflexes=False)
    workers = [Watched("vad"), Watched("asr"), Watched("face", sees=True)]
    parts = Parts(workers, Mindful(Mind(kind_words)), PlainVoice(), options)
    runtime = build.Runtime(config, parts, kept.ledger_of(config))

    async def main() -> None:
        door = load(consent="required")
        door.senses = runtime.senses
        async with opened(runtime.answer, door), called(door) as pipe:
            await talk(pipe, runtime)

    asyncio.run(main())
    return "".join(path.read_text() for path in sorted(folder.rglob("*.jsonl")))


async def answer_to(pipe: Pipe, id: str) -> dict[str, Any]:
    return await pipe.wait_for(lambda m: m.get("id") == id)


def test_a_made_up_sense_reaches_neither_log_nor_ledger_nor_journal(tmp_path: Path, logged: io.StringIO) -> None:
    async def talk(pipe: Pipe, runtime: build.Runtime) -> None:
        pipe.ask("consent", {"senses": ["vad", CANARY], "version": 2, "recording": True}, "one")
        answer = await answer_to(pipe, "one")
        assert answer["type"] == "error-response"
        assert f"there is no sense '{CANARY}' here" in answer["data"]["error"]
        assert "asr, expression, face" in answer["data"]["error"], "the message names those that there are"
        state = await pipe.wait_for(lambda m: (m.get("data") or {}).get("t") == "state" and m["data"]["consent"])
        assert state["data"]["senses"] == ["vad"], "what is known of it counts"
        await pipe.until(lambda: len(runtime.ledger.entries()) == 1)
        pipe.ask("senses", {"senses": [CANARY]}, "two")
        assert (await answer_to(pipe, "two"))["type"] == "error-response"
        await pipe.until(lambda: len(runtime.ledger.entries()) == 2)
        assert [entry.senses for entry in runtime.ledger.entries()] == [("vad",), ()], "and what is taken back, too"
        await asyncio.sleep(0.3)

    written = held(tmp_path, talk)
    assert '"consent_stored"' in written
    assert "senses_allowed" in logged.getvalue()
    assert "CANARY" not in written + logged.getvalue()
    assert "Gertrude" not in written + logged.getvalue()


def test_a_flood_of_changes_fills_no_disk(tmp_path: Path, logged: io.StringIO) -> None:
    asked = 95

    async def talk(pipe: Pipe, runtime: build.Runtime) -> None:
        pipe.ask("consent", {"senses": ["vad"], "version": 2}, "first")
        await answer_to(pipe, "first")
        for n in range(asked):
            names = [["vad", "asr"], ["vad"], ["vad", "face", *(f"{CANARY} {n} {k}" for k in range(60))]][n % 3]
            pipe.ask("senses", {"senses": names}, f"n{n}")
            if n % 12 == 0:
                await asyncio.sleep(0.12)  # the ledger is written ten times a second at most
        await answer_to(pipe, f"n{asked - 1}")
        pipe.ask("senses", {"senses": []}, "last")
        answer = await answer_to(pipe, "last")
        assert answer["data"]["d"] == {"senses": [], "recording": False}, "taking back is never too often"
        await pipe.until(lambda: runtime.ledger.entries()[-1].senses == ())

    written = held(tmp_path, talk)
    changes = logged.getvalue().count("senses_allowed")
    assert AT_ONCE - 2 <= changes <= 2 * AT_ONCE + 4 < asked / 2
    assert written.count("senses_changed") <= changes
    assert "CANARY" not in written + logged.getvalue()


def consenting(*known: str, first: Allowed | None = None) -> Consenting:
    return Consenting(SenseMap(dict.fromkeys(known, ())), first or Allowed(), 0, lambda before, now: None)


def consent(*senses: str, version: int = 1, recording: bool = False) -> wire.Consent:
    return wire.Consent(senses=frozenset(senses), version=version, recording=recording)


def senses(*names: str, recording: bool | None = None) -> wire.Senses:
    return wire.Senses(senses=frozenset(names), recording=recording)


def test_a_person_who_tries_all_switches_never_waits() -> None:
    found = consenting()
    every = ("vad", "asr", "prosody", "face", "gesture", "scene")
    assert found.ask(consent(*every), 0) == {"senses": sorted(every), "recording": False}
    for n in range(len(every)):
        assert "later_s" not in found.ask(senses(*every[:n], *every[n + 1 :]), n * SECOND)
        assert "later_s" not in found.ask(senses(*every), n * SECOND)


def test_more_is_allowed_only_so_often_and_the_last_wish_waits_for_its_turn() -> None:
    found, at, made = consenting(), 0, 0
    found.ask(consent("vad"), at)
    waits: dict[str, Any] = {}
    for _ in range(100):
        waits = found.ask(senses("vad", "asr"), at)
        assert found.ask(senses("vad"), at)["senses"] == ["vad"], "taking back is done at once, whatever came before"
        made += "later_s" not in waits
    assert made < AT_ONCE
    wait_s = found.ask(senses("asr", "face"), at)["later_s"]
    assert found.now.senses == frozenset(), "what it takes back is done"
    found.tick(at + (wait_s - 1) * SECOND)
    assert found.now.senses == frozenset()
    found.tick(at + wait_s * SECOND)
    assert found.now.senses == {"asr", "face"}
    later: Nanos = at + 3600 * SECOND
    found.tick(later)
    assert found.now.senses == {"asr", "face"}
    assert wait_s <= (AT_ONCE + 1) * 60 / PER_MINUTE


def test_a_wish_that_waits_is_gone_once_something_is_taken_back() -> None:
    found = consenting()
    found.ask(consent("vad"), 0)
    while "later_s" not in found.ask(senses("vad", "asr"), 0):
        found.ask(senses("vad"), 0)
    found.ask(senses(), 0)
    found.tick(3600 * SECOND)
    assert found.now.senses == frozenset()


def test_a_call_has_an_end_of_changes_but_not_of_taking_back() -> None:
    found, at = consenting(), 0
    found.ask(consent("vad", recording=True), at)
    for n in range(MOST - 1):
        at += 60 * SECOND
        found.ask(senses("vad", "asr") if n % 2 == 0 else senses("vad"), at)
    with pytest.raises(wire.WireError, match=f"more than {MOST} changes of consent in one call"):
        found.ask(senses("gaze", recording=False), at)
    assert found.now == Allowed(frozenset(), Agreement("1")), "what such a message takes back is done all the same"


def test_what_is_given_can_be_taken_back_and_named_again() -> None:
    everything = Allowed(None, Agreement(recording=True, by="application"))
    found = consenting("claps", first=everything)
    assert found.ask(senses("claps", "vad", recording=False), 0) == {"senses": ["claps", "vad"], "recording": False}
    assert found.ask(senses(), 0) == {"senses": [], "recording": False}
    assert found.ask(senses("claps"), 0) == {"senses": ["claps"], "recording": False}
    with pytest.raises(wire.WireError, match="there is no sense 'barks'"):
        found.ask(senses("claps", "barks"), 0)


def test_senses_before_consent_are_refused() -> None:
    with pytest.raises(wire.WireError, match="consent comes first"):
        consenting().ask(senses("vad"), 0)
