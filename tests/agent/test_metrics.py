"""What an operator can count."""

from __future__ import annotations

from agent.journal import Body, Decided, Event, Note, Pondered
from agent.metrics import Metrics
from policy.decision import Backchannel, Express, Speak, Thought


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
