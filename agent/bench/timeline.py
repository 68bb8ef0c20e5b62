"""What was perceived in the course of a medium, as a person can take it in: lanes, and spans in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

LANES: Final = ("words", "expression", "gaze", "voice", "gesture", "people", "scene", "agent", "other")
"""From top to bottom."""

_LANE: Final = {
    "transcript": "words",
    "expression": "expression",
    "gaze": "gaze",
    "prosody": "voice",
    "gesture": "gesture",
    "face": "people",
    "presence": "people",
    "talking": "people",
    "scene": "scene",
    "sense_lost": "scene",
    "sense_back": "scene",
}
_SILENT: Final = frozenset({"partial", "speech_started", "speech_ended", "end_of_turn", "blink"})
_STEADY: Final = frozenset({"expression", "gaze", "face", "scene"})
_GAP_S: Final = 0.75
"""Two equal looks no further apart than this are one."""

Span = dict[str, Any]


def spans(timeline: Iterable[Mapping[str, Any]]) -> list[Span]:
    """Return percepts and turns as spans ``{lane, start, end, label, sure, kind, n}``, by lane and start.

    Looks that stay the same become one span of ``n``; of an utterance that was heard better later only the last
    transcript is kept, and a turn that repeats it is left out. Times are in seconds; ``sure`` is the mean confidence.

    Args:
        timeline: entries as the journal writes them; what has no time is left out.
    """
    words: list[Span] = []
    turns: list[Span] = []
    found: list[Span] = []
    for entry in timeline:
        span = _span(entry)
        if span is None:
            continue
        if span["kind"] == "transcript":
            # A later transcript of the same stretch of sound replaces the one before it.
            if words and span["start"] < words[-1]["end"]:
                words.pop()
            words.append(span)
        elif span["kind"] == "turn":
            turns.append(span)
        else:
            found.append(span)
    heard = " ".join(str(span["label"]) for span in words)
    found += words
    found += [turn for turn in turns if turn["lane"] != "words" or turn["label"] not in heard]
    order = {lane: index for index, lane in enumerate(LANES)}
    found.sort(key=lambda span: (order[span["lane"]], span["start"], span["end"]))
    return [_rounded(span) for span in _merged(found)]


def _span(entry: Mapping[str, Any]) -> Span | None:
    known = _seconds(entry.get("t"))
    start, end = _seconds(entry.get("start")), _seconds(entry.get("end"))
    start = known if start is None else start
    end = start if end is None else end
    if start is None or end is None:
        return None
    kind = str(entry.get("kind") or entry.get("type") or "")
    label = str(entry.get("label") or "")
    if entry.get("type") == "turn":
        kind, label = "turn", str(entry.get("text") or "")
        lane = "words" if entry.get("speaker") == "user" else "agent"
    elif entry.get("type", "percept") != "percept" or kind in _SILENT:
        return None
    else:
        lane = _LANE.get(kind, "other")
    if kind in ("face", "presence"):
        label = _people(kind, label, _seconds(_data(entry).get("count")))
    sure = _seconds(entry.get("confidence"))
    return {"lane": lane, "start": start, "end": max(start, end), "label": label, "sure": sure, "kind": kind, "n": 1}


def _people(kind: str, label: str, count: float | None) -> str:
    people = 0 if label == "absent" else round(count) if count is not None else 1
    told = "nobody" if people == 0 else "1 person" if people == 1 else f"{people} people"
    if kind == "face":
        return told
    return label if count is None else f"{label}: {told}"


def _merged(found: Iterable[Span]) -> list[Span]:
    out: list[Span] = []
    last: dict[str, Span] = {}
    for span in found:
        before = last.get(span["kind"])
        same = before is not None and before["label"] == span["label"] and span["start"] - before["end"] <= _GAP_S
        if before is not None and same and span["kind"] in _STEADY:
            if before["sure"] is not None and span["sure"] is not None:
                before["sure"] += (span["sure"] - before["sure"]) / (before["n"] + 1)
            before["end"], before["n"] = max(before["end"], span["end"]), before["n"] + 1
            continue
        out.append(span)
        last[span["kind"]] = span
    return out


def _rounded(span: Span) -> Span:
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in span.items()}


def _data(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    data = entry.get("data")
    return data if isinstance(data, Mapping) else {}


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
