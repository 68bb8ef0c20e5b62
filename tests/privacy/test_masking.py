"""What never leaves memory, and what does only under ``pii.``."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from agent import wire
from agent.journal import Event, Journal, as_json
from agent.privacy.masking import BODY, mark, storable, strip, withhold
from perception import offline
from perception.context import ContextWindow
from perception.percept import Percept
from perception.timebase import SECOND
from policy.prompt import messages, summarise

MESH = tuple(float(i) for i in range(1434))
FACE = Percept(
    "face", "present", 0, SECOND, 0.9, "mine", {"count": 1.0, "yaw": 3.0, "smile": 0.4, "mesh": MESH, "talking": 1.0}
)
VOICE = Percept("prosody", "flat", 0, SECOND, 0.9, "mine", {"pitch_hz": 214.7, "z_pitch": -1.5, "print": MESH[:192]})
WORDS = Percept("transcript", "hello", 0, SECOND, 0.9, "asr", {"word_starts": (0.1,), "word_ends": (0.4,)})


@pytest.mark.parametrize("percept", [FACE, VOICE])
def test_a_series_of_numbers_is_never_serialised(percept: Percept) -> None:
    """Whatever a worker of one's own puts into its percepts: landmarks and voice prints are such series."""
    event = Event(SECOND, percept)
    texts = [json.dumps(as_json(event)), *(message.text() for message in wire.event(event))]
    for personal in (False, True):
        out = io.StringIO()
        Journal(out, personal=personal)(event)
        texts.append(out.getvalue())
    assert not [text for text in texts if "191.0" in text or "mesh" in text or "print" in text]


def test_what_else_may_have_been_said_never_leaves_memory() -> None:
    """The alternatives of a recogniser are words that the person may never have said."""
    percept = Percept("transcript", "a bottle", 0, SECOND, 0.9, "asr", {"alternatives": ("xylocanary", "a battle")})
    event = Event(SECOND, percept)
    texts = [
        json.dumps(as_json(event)),
        *(message.text() for message in wire.event(event)),
        repr(storable(percept.data)),
    ]
    for personal in (False, True):
        out = io.StringIO()
        Journal(out, personal=personal)(event)
        texts.append(out.getvalue())
    window = ContextWindow(0, SECOND, (percept,))
    texts += [json.dumps(messages(window)), summarise("", (percept,))]
    assert not [text for text in texts if "xylocanary" in text or "alternatives" in text]


def test_what_a_mind_reads_has_no_measure_of_a_body() -> None:
    """A mind may be another machine; what it reads are labels."""
    body = dict.fromkeys(BODY, 77.125)
    entries = tuple(
        Percept(kind, label, 0, SECOND, 0.9, "mine", {**body, "mesh": MESH})
        for kind, label in (("face", "absent"), ("prosody", "flat"), ("expression", "sad"), ("gaze", "away"))
    )
    window = ContextWindow(0, SECOND, entries)
    text = json.dumps(messages(window)) + summarise("", entries)
    assert "flat" in text
    assert "sad" in text
    assert "77" not in text
    assert "1433" not in text


def test_the_times_of_words_are_no_such_series() -> None:
    assert as_json(Event(0, WORDS))["data"] == {"word_starts": [0.1], "word_ends": [0.4]}
    assert storable(WORDS.data) == WORDS.data


def test_into_a_file_goes_nothing_that_measures_the_body() -> None:
    out = io.StringIO()
    journal = Journal(out, personal=True)
    for percept in (FACE, VOICE):
        journal(Event(SECOND, percept))
    face, voice = (json.loads(line) for line in out.getvalue().splitlines())
    assert face["pii.data"] == {"count": 1.0, "talking": 1.0}
    assert voice["pii.data"] == {"z_pitch": -1.5}
    assert "smile" in BODY


def test_marked_and_stripped_is_withheld() -> None:
    for percept in (FACE, VOICE, WORDS):
        line = as_json(Event(SECOND, percept))
        marked = mark(line)
        assert marked["pii.label"] == percept.label
        assert strip(marked) == withhold(line)
        assert not {"label", "data", "text", "reason", "evidence"} & set(strip(marked))


def test_whether_words_are_written_may_change() -> None:
    out, allowed = io.StringIO(), [True, False]
    journal = Journal(out, personal=lambda: allowed.pop(0))
    for _ in range(2):
        journal(Event(0, WORDS))
    first, second = out.getvalue().splitlines()
    assert "hello" in first
    assert "hello" not in second


def test_the_switches_are_set_before_a_library_can_read_them() -> None:
    code = (
        "import sys, os, perception; "
        "assert not {'onnxruntime', 'huggingface_hub', 'transformers'} & set(sys.modules); "
        f"print(all(os.environ[k] == v for k, v in {dict(offline.SWITCHES)!r}.items()))"
    )
    environment = {k: v for k, v in os.environ.items() if k not in offline.SWITCHES}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "True", done.stderr
