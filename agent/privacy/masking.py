"""What of a percept may leave memory: never the shape of a face, never the print of a voice.

Two rules. A series of numbers is never serialised, to the page, to a log or to a file, unless it is the times of words:
landmarks, embeddings and voice prints are such series. And into a file goes nothing that measures the body itself,
where a face is, how its parts stand, how high a voice is; only what was read from that, against the person's own
usual, and only under ``pii.``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from perception.percept import Datum

SERIES: Final = frozenset({"word_starts", "word_ends"})
"""Data that may be a series of numbers."""

BODY: Final = frozenset(
    {
        *("x", "y", "width", "height", "right", "presence", "yaw", "pitch", "roll", "off_deg", "size_deg"),
        *("blink", "brow_up", "brow_down", "jaw_open", "smile"),
        *("pitch_hz", "pitch_range_st", "pitch_slope_st_s", "pitch_final_st", "loudness_db", "rate_hz", "tremor_st"),
    }
)
"""Data that measure a face or a voice."""

PERSONAL: Final = ("label", "text", "evidence", "reason", "data", "emotion", "tone", "gesture", "intensity")
"""Keys that can hold what a person said or how they looked; also what the agent shows, which mirrors it."""

PREFIX: Final = "pii."


def serialisable(data: Mapping[str, Datum]) -> dict[str, Datum]:
    """Return the data of a percept without series of numbers that are not the times of words."""
    return {key: value for key, value in data.items() if key in SERIES or not isinstance(value, tuple)}


def storable(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a percept as they may stand in a file: without what measures the body."""
    return {
        key: value
        for key, value in data.items()
        if key not in BODY and (key in SERIES or not isinstance(value, (tuple, list)))
    }


def withhold(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the journal without what a person said or how they looked.

    Labels, texts, thoughts, reasons, evidence, the data of percepts and what the agent shows go. Kinds, times, numbers
    of the runtime and the number of words stay.
    """
    if line["type"] in ("metric", "note"):
        return dict(line)
    kept = {key: value for key, value in line.items() if key not in PERSONAL}
    if "text" in line:
        kept["words_count"] = len(str(line["text"]).split())
    return kept


def mark(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the journal with what a person said or how they looked under keys that begin with ``pii.``."""
    if line["type"] in ("metric", "note"):
        return dict(line)
    found = {f"{PREFIX}{key}": line[key] for key in PERSONAL if key in line}
    if "data" in line:
        found[f"{PREFIX}data"] = storable(line["data"])
    return withhold(line) | found


def strip(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of a journal file without its personal keys."""
    return {key: value for key, value in line.items() if not key.startswith(PREFIX)}
