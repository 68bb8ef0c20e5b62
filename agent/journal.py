"""The journal: every typed event of a call, in order, as JSON lines. Never media.

What a person said or how they looked is written only while the journal is ``personal``, and then under keys that begin
with ``pii.``; otherwise the words are withheld and the rest (times, kinds, counts) stays. What measures a face or a
voice is never written (:mod:`agent.privacy.masking`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.privacy.masking import mark, serialisable, withhold
from perception.context import Turn
from perception.percept import Percept
from perception.timebase import Nanos, as_seconds
from policy.decision import Backchannel, Decision, Express, Speak, Thought, action_name


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured number of one stage, in seconds unless the name ends in ``_count``, ``_depth`` or ``_bytes``."""

    name: str
    value: float
    reply: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the operator of the runtime should know, such as a lost sense."""

    event: str
    level: str = "info"
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and the reply it belongs to (0 if none)."""

    decision: Decision
    reply: int = 0
    cue: str = ""


@dataclass(frozen=True, slots=True)
class Pondered:
    """A piece of what a reasoning model thought before it decided, and the reply it belongs to."""

    thought: Thought
    reply: int = 0


Body = Percept | Turn | Pondered | Decided | Metric | Note


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. ``at`` is the instant on the call's clock when it became known."""

    at: Nanos
    body: Body


Sink = Callable[[Event], None]


def as_json(event: Event) -> dict[str, Any]:
    """Return the event as one flat JSON object: ``t`` in seconds, ``type``, and the fields of its type.

    Types: ``percept``, ``turn``, ``thought``, ``decision``, ``metric``, ``note``.
    """
    body = event.body
    head: dict[str, Any] = {"t": _round(as_seconds(event.at))}
    match body:
        case Percept():
            return head | {"type": "percept"} | percept_json(body)
        case Turn():
            return head | {
                "type": "turn",
                "speaker": body.speaker,
                "text": body.text,
                "start": _round(as_seconds(body.start)),
                "end": _round(as_seconds(body.end)),
                "cut": body.cut,
            }
        case Pondered():
            mind = {"mind": body.thought.mind} if body.thought.mind else {}
            return head | {"type": "thought", "reply": body.reply, "text": body.thought.text} | mind
        case Decided():
            return head | {"type": "decision", "cue": body.cue, "reply": body.reply} | decision_json(body.decision)
        case Metric():
            return head | {"type": "metric", "name": body.name, "value": _round(body.value), "reply": body.reply}
        case Note():
            return head | {"type": "note", "event": body.event, "level": body.level, **body.data}


def as_line(line: Mapping[str, Any]) -> str:
    """Return a line of a journal as it stands in the file."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"


def percept_json(percept: Percept) -> dict[str, Any]:
    """Return a percept as JSON, its span in seconds."""
    data = {k: _round(v) if isinstance(v, float) else v for k, v in serialisable(percept.data).items()}
    return {
        "kind": percept.kind,
        "label": percept.label,
        "start": _round(as_seconds(percept.start)),
        "end": _round(as_seconds(percept.end)),
        "confidence": _round(percept.confidence),
        "worker": percept.worker,
        "data": {
            k: [x if isinstance(x, str) else _round(x) for x in v] if isinstance(v, tuple) else v
            for k, v in data.items()
        },
    }


def decision_json(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON: always ``action``, ``strategy``, ``emotion``, ``reason`` and ``evidence``;
    ``mind`` where several minds stand behind one another."""
    found: dict[str, Any] = {
        "action": action_name(decision),
        "strategy": decision.strategy if isinstance(decision, Speak) else None,
        "emotion": decision.emotion if isinstance(decision, (Speak, Express)) else None,
        "reason": decision.reason,
        "confidence": _round(decision.confidence),
        "evidence": [
            {
                "kind": p.kind,
                "label": p.label,
                "t": _round(as_seconds(p.end)),
                "confidence": _round(p.confidence),
                "worker": p.worker,
            }
            for p in decision.evidence
        ],
    }
    if decision.mind:
        found["mind"] = decision.mind
    match decision:
        case Speak():
            found |= {"text": decision.text, "tone": decision.tone}
        case Backchannel():
            found |= {"token": decision.token}
        case Express():
            found |= {"gesture": decision.gesture, "intensity": _round(decision.intensity)}
    return found


class Out(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> int:
        """Write text."""
        ...

    def flush(self) -> object:
        """Keep nothing back."""
        ...


class Journal:
    """Writes events to an open text file, one JSON object per line.

    Args:
        out: where to write; flushed after every line.
        personal: whether words, looks and reasons may be written; where that can change, what tells it.
    """

    def __init__(self, out: Out, *, personal: bool | Callable[[], bool] = False) -> None:
        self._out = out
        self._personal = personal

    def __call__(self, event: Event) -> None:
        """Write one event."""
        line = as_json(event)
        personal = self._personal() if callable(self._personal) else self._personal
        line = mark(line) if personal else withhold(line)
        self._out.write(as_line(line))
        self._out.flush()


def _round(value: float) -> float:
    return round(value, 4)
