"""Danger that was misheard, in calls: the agent asks back once, and what follows is for the person to say."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agent.action import Caption, Resource
from agent.clock import VirtualClock
from agent.initiative import InitiativeOptions
from agent.journal import Decided, Event, Note
from agent.lane import SafetyLane
from agent.loop import Call
from agent.loopback import Loopback
from agent.parts import CallOptions, Parts
from agent.safety_options import SafetyOptions
from agent.staged import Mute, Script
from perception.percept import TRANSCRIPT, Percept
from perception.timebase import SECOND, Nanos
from policy.decision import Speak
from policy.safety import misheard
from policy.safety.detector import Lookout
from policy.safety.misheard import Doubt
from tests.agent.stage import COSTS, Mind, Mindful, kind_words, quiet, said

BUILT = "I took a whole bottle and built."
OTHERS = ("I took a whole model and built", "I took a whole bottle and bills")
ASKED = "I want to be sure I heard you. Did you say that you took pills?"


def unsure(text: str, start: float, utterance: int = 1, others: tuple[str, ...] = ()) -> list[tuple[Nanos, Percept]]:
    """What the ear reports of one utterance, with alternatives in its transcript."""
    found = said(text, start, start + 2, utterance)
    return [
        (at, replace(p, data={**p.data, "alternatives": others}) if others and p.kind == TRANSCRIPT else p)
        for at, p in found
    ]


def talk(*lines: tuple[str, tuple[str, ...]], lane: SafetyLane | None = None) -> tuple[Loopback, list[Event]]:
    """Say lines, ten seconds apart; return the caller, with all that was told them, and the events."""
    script = [p for n, (text, others) in enumerate(lines) for p in unsure(text, 1 + 10 * n, n + 1, others)]
    caller, events = Loopback(quiet(10 * len(lines) + 8)), list[Event]()
    options = CallOptions(greeting=False, reflexes=False, initiative=InitiativeOptions(enabled=False))
    parts = Parts([Script("ear", script)], Mindful(Mind(kind_words)), Mute(), options, lane or lane_())
    clock = VirtualClock(COSTS)
    clock.run(Call(caller, parts, clock, [events.append]).run())
    return caller, events


def lane_() -> SafetyLane:
    return SafetyLane(Lookout(), SafetyOptions(locale="GB"))


def spoken(events: list[Event], after: float = 0.0) -> str:
    decisions = [e.body.decision for e in events if isinstance(e.body, Decided) and e.at > after * SECOND]
    return " ".join(d.text for d in decisions if isinstance(d, Speak))


def cards(caller: Loopback) -> list[str]:
    return [action.kind for _, action in caller.actions if isinstance(action, Resource)]


def alarms(events: list[Event]) -> list[str]:
    return [e.body.event for e in events if isinstance(e.body, Note) and e.body.event.startswith("safety")]


def test_the_agent_asks_back_and_shows_no_help_before_the_answer() -> None:
    caller, events = talk((BUILT, OTHERS))
    assert spoken(events) == ASKED
    assert cards(caller) == []
    assert alarms(events) == []


def test_a_yes_is_met_as_plain_danger() -> None:
    caller, events = talk((BUILT, OTHERS), ("Yes.", ()))
    assert cards(caller) == ["self_harm"]
    assert "Samaritans" in spoken(events, after=10)


def test_a_no_is_the_policys_and_the_same_is_not_asked_again() -> None:
    caller, events = talk((BUILT, OTHERS), ("No, a lamp.", ()), (BUILT, OTHERS))
    plain = spoken(talk(("The exam is on Friday.", ()))[1])
    assert plain
    assert spoken(events) == f"{ASKED} {plain} {plain}"
    assert cards(caller) == []


def test_who_says_it_once_more_has_confirmed_it() -> None:
    caller, _ = talk((BUILT, OTHERS), ("Today I took a whole bottle and bills.", OTHERS))
    assert cards(caller) == ["self_harm"]


@pytest.mark.parametrize("text", ["The exam is on Friday.", BUILT])
def test_what_the_recogniser_is_sure_of_is_not_asked_about(text: str) -> None:
    caller, events = talk((text, ()))
    assert "I heard you" not in spoken(events)
    assert cards(caller) == []


def test_alternatives_reach_nobody() -> None:
    caller, events = talk(("He heads me.", ("He hits me", "He hates me")))
    assert "somebody hits you" in spoken(events)
    written = json.dumps([repr(a) for _, a in caller.actions if not isinstance(a, Caption)])
    assert "hates" not in written
    from agent import wire  # the messages of a call whose client may observe everything

    assert not [m for event in events for m in wire.event(event) if "hates" in m.text() or "hits me" in m.text()]


def test_a_failure_leaves_the_best_transcript_to_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Doubt | None:
        raise RuntimeError("gone")

    lane = lane_()
    monkeypatch.setattr(misheard, "doubt", broken)
    caller, events = talk((BUILT, OTHERS), lane=lane)
    assert spoken(events) == spoken(talk(("The exam is on Friday.", ()))[1])
    assert lane.failures == 1
    assert cards(caller) == []
