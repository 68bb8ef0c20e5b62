from __future__ import annotations

import pytest

from agent.consent import permitted, refused_senses
from perception.percept import Percept

WORKERS = frozenset({"vad", "asr", "face", "gesture", "scene"})


def percept(kind: str, worker: str = "face") -> Percept:
    return Percept(kind, "x", 0, 1, 0.9, worker, {"smile": 0.8, "yaw": 3.0, "x": 0.5})


@pytest.mark.parametrize(
    ("kind", "worker", "allowed", "passes"),
    [
        ("expression", "face", None, True),
        ("expression", "face", {"face"}, True),
        ("gaze", "face", {"face"}, True),
        ("expression", "face", {"face", "gaze"}, False),
        ("gaze", "face", {"face", "gaze"}, True),
        ("gaze", "face", {"face", "expression"}, False),
        ("expression", "face", {"face", "expression", "gaze"}, True),
        ("expression", "face", {"expression"}, False),
        ("gesture", "face", {"face"}, False),
        ("gesture", "face", {"face", "gesture"}, True),
        ("gesture", "gesture", {"gesture"}, True),
        ("presence", "face", {"face", "expression"}, False),
        ("presence", "face", {"face", "scene"}, True),
        ("transcript", "asr", {"vad"}, False),
        ("sense_lost", "runtime", set(), True),
    ],
)
def test_only_what_was_allowed_passes(kind: str, worker: str, allowed: set[str] | None, passes: bool) -> None:
    names = None if allowed is None else frozenset(allowed)
    assert (permitted(percept(kind, worker), names, WORKERS) is not None) is passes


def test_the_geometry_of_a_face_tells_no_refused_sense() -> None:
    found = permitted(percept("face"), frozenset({"face", "gaze"}), WORKERS)
    assert found is not None
    assert set(found.data) == {"yaw", "x"}
    found = permitted(percept("face"), frozenset({"face", "expression"}), WORKERS)
    assert found is not None
    assert set(found.data) == {"smile", "x"}


def test_the_policy_is_told_what_is_unknown() -> None:
    assert refused_senses(None, WORKERS) == frozenset()
    assert refused_senses(frozenset({"vad", "asr", "face", "gaze"}), WORKERS) == {"gesture", "scene", "expression"}
