"""What an operator can count."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.journal import Body, Decided, Event, Metric, Note, Pondered
from agent.metrics import WATCHDOG, Metrics
from agent.senses import SenseReport, Senses
from agent.staged import Script
from agent.vitals import EVERY, Vitals
from perception.percept import TRANSCRIPT, Percept
from perception.timebase import MS, SECOND, Nanos
from policy.decision import Backchannel, Express, Speak, Thought
from tests.agent.stage import frames, look, merged, play, quiet, said

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "rapport.json"


def counted(*bodies: Body) -> dict[str, float]:
    metrics = Metrics()
    for body in bodies:
        metrics.observe(Event(0, body))
    lines = metrics.text().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_decisions_are_counted_by_mind_and_action() -> None:
    found = counted(
        Pondered(Thought(text="Hm.", mind="omni"), 1),
        Decided(Express(reason="A look.", mind="omni"), 1, "end_of_turn"),
        Decided(Speak(text="Hello.", reason="A greeting.", mind="omni"), 1, "end_of_turn"),
        Decided(Speak(text="There.", reason="A greeting.", mind="omni"), 1, "end_of_turn"),
        Decided(Speak(text="Hello.", reason="A greeting."), 2, "end_of_turn"),
        Decided(Backchannel(reason="A pause."), 0, "reflex"),
    )
    assert {k: v for k, v in found.items() if k.startswith("rapport_decisions_total")} == {
        'rapport_decisions_total{action="express",mind="omni"}': 1,
        'rapport_decisions_total{action="speak",mind="omni"}': 2,
        'rapport_decisions_total{action="speak",mind="policy"}': 1,
    }


def test_failures_are_counted_by_mind_and_reason() -> None:
    fell = {"mind": "omni", "next": "compact", "reply": 1}
    late, failed = (Note("mind_failed", "warning", fell | {"why": why}) for why in ("late", "failed"))
    found = counted(late, late, failed)
    assert found['rapport_mind_failures_total{mind="omni",why="late"}'] == 2
    assert found['rapport_mind_failures_total{mind="omni",why="failed"}'] == 1
    assert found['rapport_notes_total{event="mind_failed",level="warning"}'] == 3


def test_ages_depths_and_drops_have_places_of_their_own() -> None:
    found = counted(
        Metric("face_age", 0.3, 1),
        Metric("asr_depth", 7),
        Metric("asr_dropped_count", 3),
        Metric("audio_late_count", 2),
        Metric("first_sentence", 0.4, 1),
    )
    assert found['rapport_percept_age_seconds_sum{worker="face"}'] == 0.3
    assert found['rapport_queue_depth_bucket{le="10.0",queue="asr"}'] == 1
    assert found['rapport_queue_depth_bucket{le="5.0",queue="asr"}'] == 0
    assert found['rapport_drops_total{stage="asr"}'] == 3
    assert found['rapport_events_total{what="asr_dropped"}'] == 3
    assert found['rapport_events_total{what="audio_late"}'] == 2
    assert 'rapport_drops_total{stage="audio_late"}' not in found
    assert found['rapport_stage_seconds_sum{stage="first_sentence"}'] == 0.4


def test_how_long_the_words_took_is_read_off_the_transcript() -> None:
    metrics = Metrics()
    words = Percept(TRANSCRIPT, "the secret word", SECOND, 2 * SECOND, 0.9, "asr")
    metrics.observe(Event(2300 * MS, words))
    text = metrics.text().decode()
    assert 'rapport_stage_seconds_sum{stage="asr"} 0.3' in text
    assert "secret" not in text


@pytest.mark.parametrize("name", sorted(WATCHDOG))
def test_what_saved_a_reply_is_counted(name: str) -> None:
    found = counted(Note(name, "error", {"reply": 1}), Note(name, "error", {"reply": 2, "late": True}))
    assert found[f'rapport_reply_watchdog_total{{what="{name}"}}'] == 1
    assert found[f'rapport_reply_watchdog_total{{what="{name}_late"}}'] == 1


def test_a_call_fills_the_stages_that_the_dashboard_shows() -> None:
    script = merged(quiet(14), frames(14))
    ear = Script("ear", said("My dog died last night.", 1.0, 3.0))
    played = play(script, [ear, Script("eye", [look(2.0, "sad")], sees=True)])
    metrics = Metrics()
    for event in played.events:
        metrics.observe(event)
    text = metrics.text().decode()
    stages = next(e for e in expressions() if "first_sentence" in e)
    for stage in re.findall(r'stage=~"([^"]+)"', stages)[0].split("|"):
        assert f'rapport_stage_seconds_count{{stage="{stage}"}}' in text, stage
    assert 'rapport_percept_age_seconds_count{worker="ear"} 1.0' in text
    assert 'rapport_percept_age_seconds_count{worker="eye"} 1.0' in text


def expressions() -> list[str]:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_the_dashboard_names_only_numbers_that_there_are_and_all_of_them() -> None:
    exported = re.findall(r"^# TYPE (\S+) ", Metrics().text().decode(), re.MULTILINE)
    known = {name for name in exported if not name.endswith("_created")}
    shown = set()
    for expression in expressions():
        for name in re.findall(r"\brapport_\w+", expression):
            shown.add(name.removesuffix("_bucket"))
    assert shown == known
    labels = set(re.findall(r"by \(([^)]+)\)", "\n".join(expressions())))
    assert labels <= {
        "le",
        "le, stage",
        "le, worker",
        "le, queue",
        "what",
        "stage",
        "status",
        "reason",
        "mind, action",
        "mind, why",
        "why",
        "event, level",
        "kind",
        "outcome",
    }


def test_the_dashboard_and_the_manual_agree() -> None:
    manual = (DASHBOARD.parents[1] / "operations.md").read_text(encoding="utf-8")
    for name in re.findall(r"^# TYPE (\S+) ", Metrics().text().decode(), re.MULTILINE):
        assert name.removesuffix("_created") in manual, name


class Waiting(Senses):
    """Senses whose numbers a test sets."""

    def __init__(self) -> None:
        self.now = SenseReport("asr", 0, 0, 0.0, 0)

    def report(self) -> list[SenseReport]:
        return [self.now]

    def late(self) -> Nanos:
        return 0


def test_what_waits_and_what_gave_way_is_told_every_five_seconds() -> None:
    senses = Waiting()
    items: asyncio.Queue[int] = asyncio.Queue()
    vitals = Vitals(senses, items)

    def told(now: Nanos) -> dict[str, float]:
        return {m.name: m.value for m in vitals.step(now)}

    senses.now = SenseReport("asr", 4, 9, 0.0, 0, waiting=6)
    assert not told(EVERY - 1)
    items.put_nowait(1)
    assert told(EVERY) == {"asr_dropped_count": 4, "asr_depth": 6, "reader_depth": 1}
    items.get_nowait()
    senses.now = SenseReport("asr", 4, 9, 0.1, 0)
    assert not told(2 * EVERY), "nothing gave way, and nothing waits"
    senses.now = SenseReport("asr", 5, 9, 0.1, 0)
    assert {m.name: m.value for m in vitals.last()} == {"asr_lag": 0.1, "asr_dropped_count": 1}
