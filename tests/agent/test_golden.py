"""Golden journals: whole calls on the virtual clock, line by line as they were when they were right.

To accept a change on purpose: ``RAPPORT_GOLDEN=write python -m pytest tests/agent/test_golden.py``, and read the diff.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from agent.journal import as_json
from agent.parts import CallOptions
from agent.staged import Script
from agent.turns import TurnOptions
from perception.media import Text
from perception.timebase import SECOND
from tests.agent.stage import GOLDEN, Played, frames, look, merged, play, quiet, said


def interrupted() -> Played:
    ear = said("My dog died last night.", 1.0, 3.0) + said("Wait, let me say it again.", 5.6, 7.2, utterance=2)
    eye = [look(t / 10, "sad") for t in range(10, 60, 4)]
    return play(merged(quiet(16), frames(16)), [Script("ear", ear), Script("eye", eye, sees=True)])


def coughed() -> Played:
    return play(quiet(14), [Script("ear", said("I lost my job.", 1.0, 3.0) + said("", 4.2, 4.4, utterance=2))])


def typed_and_silent() -> Played:
    options = CallOptions(greeting=True, reflexes=True, turns=TurnOptions(silence=8 * SECOND, silence_most=1))
    script = merged(quiet(30), frames(12), [Text("are you there?", at=9 * SECOND)])
    return play(script, [Script("ear", []), Script("eye", [look(2.0, "happy")], sees=True)], options=options)


@pytest.mark.parametrize("scene", [interrupted, coughed, typed_and_silent], ids=lambda f: f.__name__)
def test_it_happens_as_it_did(scene: Callable[[], Played]) -> None:
    lines = [json.dumps(as_json(e), ensure_ascii=False) for e in scene().events]
    path = GOLDEN / f"{scene.__name__}.jsonl"
    if os.environ.get("RAPPORT_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == path.read_text(encoding="utf-8").splitlines()
