from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.view import ViewError
from agent.view.lanes import figures, lanes, length, recorded
from agent.view.reading import LONGEST_LINE, Read, read
from tests.view import sample

GOLDEN = Path(__file__).parents[1] / "agent" / "golden" / "interrupted.jsonl"


def lines_of(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n", encoding="utf-8")
    return path


def by_lane(found: Read) -> dict[str, list[dict[str, Any]]]:
    return {lane["id"]: lane["spans"] for lane in lanes(found.lines)}


def test_a_real_journal_becomes_lanes() -> None:
    found = read(GOLDEN)
    assert not found.bad
    assert found.personal
    assert not found.withheld
    shown = by_lane(found)
    said = [(s["l"], s["s"], s["e"]) for s in shown["person"] if s.get("k") != "sound"]
    assert ("My dog died last night.", 1.0, 3.0) in said
    cut = next(s for s in shown["agent"] if s["k"] == "cut")
    assert cut["l"] == "I am sorry to hear that. Do"
    assert [s["l"] for s in shown["decisions"]][:2] == ["reflection", "question"]
    (shows, *_) = shown["display"]
    assert (shows["l"], shows["s"]) == ("concern", 3.8)
    waited = shown["latency"][0]
    assert (waited["s"], waited["e"], waited["l"], waited["k"]) == (3.0, 3.82, "820 ms", "soon")
    sad = shown["expression"][0]
    assert (sad["l"], sad["n"] > 5, sad["c"]) == ("sad", True, 0.8)
    told = figures(found)
    assert told["cut"] == 1
    assert told["latency"] == 1.12
    assert shown["latency"][-1]["k"] == "late"
    assert told["length"] == length(found.lines) == shown["state"][-1]["e"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no JSON object"),
        ('"x"', "is no JSON object"),
        ({"t": 1.0}, 'has no "type"'),
        ({"t": 1.0, "type": 3}, 'has no "type"'),
        ({"type": "note"}, 'has no "t"'),
        ({"t": "1", "type": "note"}, '"t" is "1", expected seconds of a call'),
        ({"t": True, "type": "note"}, '"t" is true'),
        ({"t": -1, "type": "note"}, '"t" is -1'),
        ('{"t": NaN, "type": "note"}', '"t" is NaN'),
        ('{"t": 1e999, "type": "note"}', '"t" is Infinity'),
        ({"t": 1e12, "type": "note"}, '"t" is 1000000000000.0'),
        ('{"t": ' + "9" * 400 + ', "type": "note"}', '"t" is 999'),
        ("[" * 100_000, "is nested too deeply"),
        ('{"t": 1, "type": "note", "x": "' + "y" * LONGEST_LINE + '"}', "is longer than 1 MiB"),
    ],
)
def test_a_bad_line_is_named_and_left_out(line: Any, why: str, tmp_path: Path) -> None:
    good = {"t": 2.0, "type": "note", "event": "call_ended", "level": "info"}
    found = read(lines_of(tmp_path / "x.jsonl", good, "", line, good))
    assert [(bad.number, bad.why.startswith(why)) for bad in found.bad] == [(3, True)], found.bad
    assert len(found.lines) == 2


def test_bytes_that_are_no_text_and_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xff\xfe\n{"t": 1, "type": "note"}\n{"t": 2, "ty')
    found = read(path)
    assert [bad.number for bad in found.bad] == [1, 3]
    assert found.bad[0].why == "is no UTF-8"
    assert "cut off" in found.bad[1].why


def test_what_is_no_journal_is_told_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ViewError, match="cannot be read"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(ViewError, match=r"is a folder; and there is no \*\.jsonl in it"):
        read(tmp_path)
    lines_of(tmp_path / "b.jsonl", "hello")
    with pytest.raises(ViewError, match=r"is a folder; name one of its journals, such as b\.jsonl"):
        read(tmp_path)
    with pytest.raises(ViewError, match=r"holds no event of a call; line 1 is no JSON .*journal\.directory"):
        read(tmp_path / "b.jsonl")


def test_words_that_were_withheld_and_words_under_pii(tmp_path: Path) -> None:
    own = read(sample.write(tmp_path / "o.jsonl", sample.events(40.0)))
    assert (own.personal, own.withheld) == (True, False)
    assert "My dog died last night." in [s["l"] for s in by_lane(own)["person"]]
    without = read(sample.write(tmp_path / "w.jsonl", sample.events(40.0), personal=False))
    assert without.withheld
    assert not without.personal
    shown = by_lane(without)
    assert shown["person"][-1]["l"].endswith("withheld") or shown["person"][-1]["k"] == "sound"
    assert "fine" not in json.dumps(lanes(without.lines))
    looks = [s["l"] for lane in ("expression", "gaze", "voice", "people") for s in shown[lane]]
    assert set(looks) == {"withheld"}, "nothing is guessed"
    marked = read(
        lines_of(
            tmp_path / "p.jsonl",
            {"t": 1.0, "type": "turn", "speaker": "user", "pii.text": "Hello", "start": 0.5, "end": 1.0},
            {"t": 2.0, "type": "turn", "speaker": "agent", "pii": {"text": "Hi"}, "start": 1.5, "end": 2.0},
        )
    )
    assert marked.personal
    shown = by_lane(marked)
    assert (shown["person"][0]["l"], shown["agent"][0]["l"]) == ("Hello", "Hi")


def test_words_that_became_no_turn_are_shown_once(tmp_path: Path) -> None:
    def heard(t: float, words: str, start: float, end: float, number: float) -> dict[str, Any]:
        known = {"kind": "transcript", "label": words, "start": start, "end": end, "confidence": 0.9, "worker": "asr"}
        return {"t": t, "type": "percept", **known, "data": {"utterance": number}}

    found = read(
        lines_of(
            tmp_path / "x.jsonl",
            heard(2.0, "My dog", 1.0, 1.8, 1.0),
            heard(3.0, "My dog died.", 1.0, 2.8, 1.0),
            {"t": 3.5, "type": "turn", "speaker": "user", "text": "My dog died.", "start": 1.0, "end": 2.8},
            heard(9.0, "Yes.", 8.0, 8.5, 2.0),
        )
    )
    assert [(s["l"], s["k"]) for s in by_lane(found)["person"]] == [("My dog died.", "turn"), ("Yes.", "heard")]


def test_odd_values_in_a_line_that_is_one_break_nothing(tmp_path: Path) -> None:
    found = read(
        lines_of(
            tmp_path / "x.jsonl",
            {"t": 1.0, "type": "percept", "kind": 7, "label": ["x"], "start": "a", "end": None, "data": 3},
            {"t": 1.0, "type": "percept", "kind": "gaze", "label": "away", "start": 9.0, "end": 2.0, "confidence": "x"},
            {"t": 2.0, "type": "turn", "text": 5, "start": 1e99},
            {"t": 3.0, "type": "decision", "action": None, "confidence": 7, "evidence": "none"},
            {"t": 3.0, "type": "decision", "action": "express", "emotion": None, "gesture": None},
            {"t": 4.0, "type": "metric", "name": "voice_to_voice", "value": "soon"},
            {"t": 5.0, "type": "note", "event": None, "scopes": "recording"},
            {"t": 6.0, "type": "a new type"},
        )
    )
    assert len(found.lines) == 8
    for lane in lanes(found.lines):
        for span in lane["spans"]:
            assert 0 <= span["s"] <= span["e"], span
            assert isinstance(span["l"], str)
    assert figures(found)["latency"] is None


@pytest.mark.parametrize(
    ("notes", "may"),
    [
        ([("consent_stored", ["voice", "recording"])], True),
        ([("consent_stored", ["voice"])], False),
        ([("consent_stored", ["voice"]), ("consent_stored", ["recording", "voice"])], True),
        ([("consent_stored", ["face", "recording", "voice"]), ("consent_withdrawn", ["recording", "voice"])], True),
        ([("consent_stored", ["recording"]), ("consent_withdrawn", [])], False),
        ([("consent_stored", ["recording"]), ("consent_withdrawn", []), ("consent_stored", ["recording"])], False),
        ([("consent_stored", "recording")], False),
        ([("other", ["recording"])], False),
        ([], False),
    ],
)
def test_only_a_standing_agreement_lets_a_recording_be_shown(notes: list[tuple[str, Any]], may: bool) -> None:
    lines = [{"t": float(n), "type": "note", "event": e, "scopes": s} for n, (e, s) in enumerate(notes)]
    assert recorded(lines) is may
