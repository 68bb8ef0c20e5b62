"""How soon a face is answered: the test clips through the live loop, each piece of work charged what it takes here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from agent import build, models
from agent.clock import VirtualClock
from agent.config import Config, Use
from agent.empathy.timing_call import Silent
from agent.journal import Decided, Event
from agent.loop import Call
from agent.parts import Parts
from agent.transports import Transport
from perception.timebase import as_seconds
from perception.workers import Resolve
from policy.decision import Express
from policy.reflex import COURSE

CLIPS: Final = ("wolfganglanger", "single-face", "face-noface", "noface-face", "carphone")
"""Recordings of faces: a woman who cries and then laughs, a smile, someone who leaves, someone who arrives, a talk."""
_SIGHTS: Final = frozenset({"expression", "gaze", "gesture", "presence"})


class NoClips(Exception):
    """The recordings are not on this machine; the message says how to get them."""


def reacts(config: Config, resolve: Resolve, clips: Sequence[str] = CLIPS) -> tuple[list[float], list[dict[str, Any]]]:
    """Replay recordings of faces; return how long each answer took, in seconds, and what was answered.

    An answer takes from the picture that made the sense sure to the display message.

    Args:
        config: of the call.
        resolve: finds embedded models.
        clips: names of recordings.

    Raises:
        NoClips: one of them is missing or altered.
    """
    bad = [check for check in models.verify(tuple(clips), test_clips=True) if check.state != "ok"]
    if bad:
        raise NoClips(f"{len(bad)} recordings of faces are missing; get them with: agent models fetch --test-clips")
    loaded = build.workers([Use("face")], resolve)
    voice = build.voice(Use("plain"), resolve)
    call = replace(config.call, greeting=False, turns=replace(config.call.turns, silence=0))
    lags: list[float] = []
    items: list[dict[str, Any]] = []
    for name in clips:
        events: list[Event] = []
        door = build.door(Use("replay", {"path": models.resolve_clip(name), "tail_s": 1.0}))
        clock = VirtualClock()

        async def answer(transport: Transport, clock: VirtualClock = clock, events: list[Event] = events) -> None:
            await Call(transport, Parts(loaded, Silent(), voice, call), clock, [events.append]).run()

        clock.run(door.open(answer))
        for event in events:
            body = event.body
            if not (isinstance(body, Decided) and body.cue == "reflex" and isinstance(body.decision, Express)):
                continue
            cause = body.decision.evidence[0] if body.decision.evidence else None
            grows = body.decision.reason in COURSE
            if cause is None or grows or cause.kind not in _SIGHTS:
                continue
            lags.append(as_seconds(event.at - cause.end))
            items.append(
                {
                    "clip": name,
                    "at_s": round(as_seconds(event.at), 3),
                    "saw": f"{cause.kind} {cause.label}",
                    "shows": f"{body.decision.emotion} {body.decision.gesture}",
                    "lag_s": round(lags[-1], 4),
                }
            )
    return lags, items
