"""What was heard: read back as it was written, refused where it is broken, and made into windows."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from perception.media import Text
from perception.percept import EXPRESSION, PROSODY, SPEECH_ENDED, SPEECH_STARTED
from perception.timebase import MS, SECOND
from policy.training.corpus import Said, Situation
from policy.training.heard import INDEX, Heard, HeardError, load, state_name, states_path, window_of

LINE: dict[str, Any] = {
    "id": "x-1",
    "condition": {
        "engine": "hibari",
        "speakers": {"person": "hibari-low"},
        "manners": ["flat", "", "loud"],
        "noise": "pink",
        "snr_db": 12.5,
        "level_db": -3,
        "seed": 7,
    },
    "turns": [
        {
            "turn": 0,
            "text": "my dog tied",
            "start_ns": 400 * MS,
            "end_ns": 1400 * MS,
            "prosody": [
                {"label": "flat", "confidence": 0.6, "start_ns": 450 * MS, "end_ns": 1300 * MS, "data": {"z_range": -3}}
            ],
            "speech": [{"label": "", "confidence": 0.9, "start_ns": 440 * MS, "end_ns": 1350 * MS, "data": {}}],
        },
        {"turn": 2, "text": "", "start_ns": 6 * SECOND, "end_ns": 7 * SECOND, "prosody": [], "speech": []},
    ],
    "agent": [{"turn": 1, "start_ns": 3 * SECOND, "end_ns": 5 * SECOND}],
}
ITEM = Situation(
    id="x-1",
    mood="grief",
    topic="a dog",
    age="adult",
    turns=(
        Said(who="person", text="My dog died.", face=("sad",), voice="quiet"),
        Said(who="agent", text="Oh no."),
        Said(who="person", text="Yes.", gaze="away"),
    ),
    strategies=("reflection",),
    emotions=("sad",),
    replies=("What was his name?",),
    bad="Cheer up!",
    why="An order.",
)


def write(folder: Path, *values: Any, end: str = "\n") -> Path:
    text = "\n".join(v if isinstance(v, str) else json.dumps(v) for v in values)
    (folder / INDEX).write_text(text + end, encoding="utf-8")
    return folder


def heard(folder: Path) -> Heard:
    return load(write(folder, LINE))["x-1"]


def test_a_line_becomes_what_it_says(tmp_path: Path) -> None:
    found = heard(tmp_path)
    assert (found.condition.engine, found.condition.snr_db, found.condition.level_db) == ("hibari", 12.5, -3.0)
    first = found.turns[0]
    assert (first.turn, first.text, first.start, first.end) == (0, "my dog tied", 400 * MS, 1400 * MS)
    (voice,) = first.prosody
    assert (voice.kind, voice.label, voice.worker, voice.number("z_range")) == (PROSODY, "flat", "prosody", -3.0)
    assert found.agent == {1: (3 * SECOND, 5 * SECOND)}


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    line = copy.deepcopy(LINE)
    place: Any = line
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return line


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["id"], "", r"line 2: id is '', expected a text"),
        (["condition", "engine"], "x", r"line 2: condition: engine is 'x', expected one of hibari, espeak-ng"),
        (["condition", "noise"], "x", "condition: noise is 'x'"),
        (["condition", "manners"], ["calm"], "condition: manners is"),
        (["condition", "snr_db"], "1", "condition: snr_db is '1', expected a number"),
        (["turns"], None, "line 2: turns is None, expected a list"),
        (["turns", 0, "text"], None, r"line 2: turns\[0\]: text is None"),
        (["turns", 1, "end_ns"], 1, r"turns\[1\]: end_ns is 1, before start_ns"),
        (["turns", 0, "start_ns"], 0.5, r"turns\[0\]: start_ns is 0.5, expected a whole number"),
        (["turns", 0, "prosody", 0, "label"], "sad", r"turns\[0\]: prosody\[0\]: label is 'sad'"),
        (["turns", 0, "prosody", 0, "confidence"], 2, r"prosody\[0\]: confidence is 2.0, expected 0 to 1"),
        (["turns", 0, "prosody", 0, "data"], [], r"prosody\[0\]: data: is no object"),
        (["agent"], [3], r"agent\[0\]: is no object"),
    ],
)
def test_a_broken_line_names_file_line_and_field(path: list[Any], value: Any, message: str, tmp_path: Path) -> None:
    write(tmp_path, changed(["id"], "x-0"), changed(path, value))
    with pytest.raises(HeardError, match=message) as caught:
        load(tmp_path)
    assert str(tmp_path / INDEX) in str(caught.value)


def test_what_is_no_json_and_what_is_there_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(HeardError, match="line 1: is no JSON"):
        load(write(tmp_path, "{", LINE))
    with pytest.raises(HeardError, match="line 2: id 'x-1' is there twice"):
        load(write(tmp_path, LINE, LINE))


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    assert list(load(write(tmp_path, LINE, json.dumps(LINE)[:40], end=""))) == ["x-1"]


def test_states_come_back(tmp_path: Path) -> None:
    found = heard(tmp_path)
    path = states_path(tmp_path, "x-1")
    path.parent.mkdir()
    states = np.arange(2 * 3072).reshape(2, 3072).astype(np.float16)
    save_file({state_name(0): states, state_name(2): states.astype(np.float32)}, path)
    np.testing.assert_array_equal(found.states(0), states)
    with pytest.raises(HeardError, match=r"turn-2 is float32 \(2, 3072\), not float16"):
        found.states(2)
    with pytest.raises(KeyError, match="turn 1 of 'x-1' is no person's"):
        found.states(1)


def test_missing_states_name_the_file_and_the_fix(tmp_path: Path) -> None:
    with pytest.raises(HeardError, match=r"x-1\.safetensors: no states of turn 0 .*render again"):
        heard(tmp_path).states(0)


def test_a_window_has_the_words_and_the_voice_as_heard_and_the_looks_as_imagined(tmp_path: Path) -> None:
    window = window_of(ITEM, heard(tmp_path))
    assert [(t.speaker, t.text, t.start, t.end) for t in window.turns] == [
        ("user", "my dog tied", 400 * MS, 1400 * MS),
        ("agent", "Oh no.", 3 * SECOND, 5 * SECOND),
    ]
    assert [p.label for p in window.percepts if p.kind == PROSODY] == ["flat"]
    looks = [p for p in window.percepts if p.kind == EXPRESSION]
    assert {p.label for p in looks} == {"sad"}
    assert looks[0].start == 400 * MS
    assert looks[-1].end == 1400 * MS
    assert [p.start for p in window.percepts if p.kind == SPEECH_STARTED] == [440 * MS]
    assert [p.end for p in window.percepts if p.kind == SPEECH_ENDED] == [1350 * MS]
    assert all(p.start >= 6 * SECOND for p in window.percepts if p.kind == "gaze")
    assert window.end > 7 * SECOND


def test_percepts_come_in_the_order_in_which_they_end(tmp_path: Path) -> None:
    entries = window_of(ITEM, heard(tmp_path)).entries
    ends = [e.end for e in entries if not isinstance(e, Text)]
    assert ends == sorted(ends)


def test_what_belongs_to_another_item_is_refused(tmp_path: Path) -> None:
    line = changed(["agent"], [])
    with pytest.raises(HeardError, match="'x-1' does not fit the turns of 'x-1'; render it again"):
        window_of(ITEM, load(write(tmp_path, line))["x-1"])
