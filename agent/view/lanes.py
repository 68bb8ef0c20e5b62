"""From the events of a journal to what a timeline shows: lanes of spans, and the figures of the call."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Final

from agent.bench.timeline import spans
from agent.view.reading import Line, Read, second

LANES: Final = {
    "person": "Person",
    "agent": "Agent",
    "decisions": "Decisions",
    "display": "Display",
    "thoughts": "Thoughts",
    "expression": "Expression",
    "gaze": "Gaze",
    "voice": "Voice",
    "gesture": "Gesture",
    "people": "People",
    "scene": "Scene",
    "other": "Other senses",
    "safety": "Safety",
    "latency": "Latency",
    "state": "State",
    "notes": "Notes",
}
"""From top to bottom: what is said, what is decided and shown, what is perceived, how the runtime fares."""

SHOWN_S: Final = 6.5
"""A face of the agent that no other follows is shown for so long, seconds; by then it has gone back to rest."""

WITHHELD: Final = "withheld"
"""Stands for a label that was left out when the journal was written."""

_QUIET: Final = frozenset({"state", "call_started", "call_ended", "reply_drafted", "draft_dropped"})
_PARTS: Final = ("end_of_turn", "words", "decide", "voice")

Span = dict[str, Any]


def lanes(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the lanes that are not empty, from top to bottom: ``{id, name, spans}``.

    A span is ``{s, e, l}``: start and end in seconds, label; and where it is known ``c``, a confidence from 0 to 1,
    ``k``, its kind, ``n``, how many equal percepts it stands for, and ``i``, the place of its event in ``lines``.
    """
    found: dict[str, list[Span]] = {lane: [] for lane in LANES}
    percepts: list[Line] = []
    for i, line in enumerate(lines):
        match line["type"]:
            case "turn":
                found["agent" if line.get("speaker") == "agent" else "person"].append(_turn(line, i))
            case "percept":
                percepts.append(line)
                if line.get("kind") == "speech_ended":
                    found["person"].append(_span(line, i, "", k="sound"))
            case "decision":
                lane = "display" if line.get("action") == "express" else "decisions"
                found[lane].append(_decision(line, i))
            case "thought":
                found["thoughts"].append(_at(line, i, str(line.get("text") or "a thought, withheld")))
            case "metric" if line.get("name") == "voice_to_voice":
                value = second(line.get("value")) or 0.0
                span = {"s": max(0.0, line["t"] - value), "e": line["t"], "l": _took(value), "i": i}
                found["latency"].append(span | {"k": "late" if value > 1.0 else "soon"})
            case "note":
                _note(line, i, found)
            case "metric":
                pass
            case other:
                found["notes"].append(_at(line, i, other, k="info"))
    _unsaid(percepts, found["person"])
    heard = [line for line in percepts if line.get("kind") != "transcript"]
    for label, some in (("", [x for x in heard if "label" in x]), (WITHHELD, [x for x in heard if "label" not in x])):
        for span in spans(some):
            if span["lane"] in found:
                found[span["lane"]].append(_seen(span, label))
    _until_next(found["display"], SHOWN_S)
    _until_next(found["state"], None, length(lines))
    for own in found.values():
        own.sort(key=lambda span: (span["s"], span["e"]))
        for span in own:
            span["s"], span["e"] = round(span["s"], 3), round(span["e"], 3)
    return [{"id": lane, "name": LANES[lane], "spans": own} for lane, own in found.items() if own]


def length(lines: Iterable[Line]) -> float:
    """Return when the last thing of a call ended, seconds."""
    return max((t for line in lines for key in ("t", "end") if (t := second(line.get(key))) is not None), default=0.0)


def figures(read: Read) -> dict[str, Any]:
    """Return the numbers of a call: its length, turns, replies, cuts, latencies, alarms and troubles."""
    lines = read.lines
    turns = [line for line in lines if line["type"] == "turn"]
    notes = [line for line in lines if line["type"] == "note"]
    waits = _values(lines, "voice_to_voice")
    return {
        "length": length(lines),
        "events": len(lines),
        "person": sum(line.get("speaker") != "agent" for line in turns),
        "agent": sum(line.get("speaker") == "agent" for line in turns),
        "cut": sum(bool(line.get("cut")) for line in turns),
        "decisions": sum(line["type"] == "decision" for line in lines),
        "percepts": sum(line["type"] == "percept" for line in lines),
        "latency": _middle(waits),
        "latency_most": max(waits, default=None),
        "replies": len(waits),
        "parts": {name: _middle(_values(lines, name)) for name in _PARTS},
        "barge_in": _middle(_values(lines, "barge_in")),
        "alarms": sum(line.get("event") == "safety" for line in notes),
        "troubles": sum(not _safety(line) and line.get("level") in ("warning", "error") for line in notes),
        "lost": sum(line.get("kind") == "sense_lost" for line in lines if line["type"] == "percept"),
    }


def call_of(lines: Iterable[Line]) -> str:
    """Return the name of the call, or nothing."""
    for line in lines:
        if line["type"] == "note" and line.get("event") == "call_started":
            return str(line.get("call") or "")
    return ""


def recorded(lines: Iterable[Line]) -> bool:
    """Say whether the person agreed to a recording and never took that back.

    A note ``consent_stored`` or ``consent_withdrawn`` names the scopes that hold from then on.
    """
    agreed = False
    for line in lines:
        if line["type"] != "note" or line.get("event") not in ("consent_stored", "consent_withdrawn"):
            continue
        scopes = line.get("scopes")
        now = isinstance(scopes, list) and "recording" in scopes
        if agreed and not now:
            return False
        agreed = now
    return agreed


def _values(lines: Iterable[Line], name: str) -> list[float]:
    every = (second(line.get("value")) for line in lines if line["type"] == "metric" and line.get("name") == name)
    return [value for value in every if value is not None]


def _middle(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 4) if values else None


def _safety(line: Line) -> bool:
    return str(line.get("event", "")).startswith("safety")


def _took(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _span(line: Line, i: int, label: str, **more: Any) -> Span:
    start, end = second(line.get("start")), second(line.get("end"))
    start = line["t"] if start is None else start
    return {"s": start, "e": max(start, line["t"] if end is None else end), "l": label, "i": i} | more


def _at(line: Line, i: int, label: str, **more: Any) -> Span:
    return {"s": line["t"], "e": line["t"], "l": label, "i": i} | more


def _withheld(line: Line) -> str:
    words = line.get("words_count")
    return f"{words} {'word' if words == 1 else 'words'}, withheld" if isinstance(words, int) else "words withheld"


def _turn(line: Line, i: int) -> Span:
    return _span(line, i, str(line.get("text") or _withheld(line)), k="cut" if line.get("cut") else "turn")


def _decision(line: Line, i: int) -> Span:
    action = str(line.get("action") or "decision")
    match action:
        case "express":
            gesture = str(line.get("gesture") or "none")
            label = " · ".join(x for x in (str(line.get("emotion") or ""), gesture) if x not in ("", "none"))
            return _at(line, i, label or "at rest", k=str(line.get("emotion") or ""))
        case "speak":
            label = str(line.get("strategy") or action)
        case "backchannel":
            label = str(line.get("token") or action)
        case _:
            label = action
    span = _at(line, i, label, k=action)
    sure = second(line.get("confidence"))
    return span if sure is None else span | {"c": min(1.0, sure)}


def _note(line: Line, i: int, found: dict[str, list[Span]]) -> None:
    event, level = str(line.get("event") or "note"), str(line.get("level") or "info")
    if event == "state":
        found["state"].append(_at(line, i, str(line.get("state") or "")))
    elif _safety(line):
        found["safety"].append(_at(line, i, str(line.get("kind") or event), k="alarm"))
    elif event not in _QUIET:
        found["notes"].append(_at(line, i, event, k=level))


def _unsaid(percepts: Iterable[Line], person: list[Span]) -> None:
    """Add words that were heard and became no turn, as those of a recording that is only listened to."""
    turns = [(span["s"], span["e"]) for span in person if span.get("k") != "sound"]
    latest: dict[Any, Line] = {}
    for line in percepts:
        if line.get("kind") == "transcript":
            data = line.get("data")
            number = data.get("utterance") if isinstance(data, dict) else None
            latest[line.get("start") if number is None else number] = line
    for line in latest.values():
        span = _span(line, -1, str(line.get("label") or "words withheld"), k="heard")
        middle = (span["s"] + span["e"]) / 2
        if not any(start <= middle <= end for start, end in turns):
            person.append(span)


def _seen(span: Span, instead: str) -> Span:
    label = instead or span["label"] or span["kind"]
    made: Span = {"s": span["start"], "e": span["end"], "l": label, "k": span["kind"]}
    if span["sure"] is not None:
        made["c"] = span["sure"]
    return made | ({"n": span["n"]} if span["n"] > 1 else {})


def _until_next(own: list[Span], longest: float | None, last: float = 0.0) -> None:
    """Let each span of a lane last until the next one begins, ``longest`` at most."""
    for n, span in enumerate(own):
        end = own[n + 1]["s"] if n + 1 < len(own) else max(last, span["s"] + (longest or 0.0))
        span["e"] = end if longest is None else min(end, span["s"] + longest)
