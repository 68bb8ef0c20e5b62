"""How the signs of an end are weighed: examples from a held conversation, and the fit."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from agent.empathy.timing_call import Silent, hold
from agent.empathy.timing_fit import NEVER, Example, examples, fit, left_out, told, written
from agent.empathy.timing_script import INSIDE, SENTENCE, Rest, Words, talks, training
from agent.parts import CallOptions
from agent.turn_ending import INVITED, Signs, features, read
from agent.voices.plain import PlainVoice
from perception.timebase import MS
from tests.empathy.test_timing import COSTS, channel, ear


def drawn(n: int = 120) -> list[Example]:
    """Pauses and ends that differ in the turn detector and in how much was said."""
    rng = np.random.default_rng(5)
    found = []
    for number in range(n):
        over = number % 3 == 0
        sounds = float(np.clip(rng.normal(0.8 if over else 0.4, 0.15), 0.01, 0.99))
        text = " ".join(["word"] * int(rng.integers(12, 30) if over else rng.integers(2, 14))) + "."
        found.append(Example(f"talk {number // 4}", Signs(sounds, text), over, 0 if over else 900 * MS))
    return found


def test_every_pause_and_the_end_is_an_example_and_the_turn_is_never_taken() -> None:
    made = channel(
        Words("We drove to the lake."),
        Rest(0.9, SENTENCE),
        Words("It rained and"),
        Rest(0.5, INSIDE),
        Words("we stayed in."),
    )
    happened = hold(
        made,
        workers=[ear(made, {"It rained and": 0.1})],
        policy=Silent(),
        voice=PlainVoice(),
        options=replace(CallOptions(), turns=NEVER),
        costs=COSTS,
    )
    found = examples(happened)
    assert [(e.over, e.length // MS) for e in found] == [(False, 900), (False, 500), (True, 0)]
    assert [e.signs.text for e in found] == [
        "We drove to the lake.",
        "We drove to the lake. It rained and",
        "We drove to the lake. It rained and we stayed in.",
    ]
    assert [e.signs.pauses for e in found] == [0, 1, 2]
    assert found[1].signs.probability == pytest.approx(0.1)
    assert {e.signs.floor for e in found} == {INVITED}, "the opening is long"


def test_the_fit_finds_what_tells_ends_from_pauses() -> None:
    found = drawn()
    weights = fit(found)
    assert list(weights) == list(features(found[0].signs))
    assert weights["sounds"] > 0
    assert weights["length"] > 0
    assert fit(found) == weights
    assert abs(fit(found, ridge=100.0)["sounds"]) < abs(weights["sounds"])
    odds = left_out(found)
    over = np.array([e.over for e in found])
    assert odds[over].mean() > 0.7
    assert odds[~over].mean() < 0.3


def test_one_kind_alone_cannot_be_weighed() -> None:
    with pytest.raises(ValueError, match="only one"):
        fit([e for e in drawn() if e.over])
    with pytest.raises(ValueError, match="only one"):
        fit([])


def test_the_file_that_is_written_can_be_read_back() -> None:
    found = drawn()
    weights = fit(found)
    back = read(tomllib.loads(written(weights, found)))
    assert back.weights == {name: round(value, 4) for name, value in weights.items()}
    lines = told(found, left_out(found), 640 * MS)
    assert "40 ends, 80 pauses" in lines[0]


def test_conversations_for_training_are_none_that_are_measured() -> None:
    measured = {step.text for talk in talks() for step in talk.says if isinstance(step, Words)}
    chosen = training()
    assert len(chosen) >= 60
    assert not any(talk.held for talk in chosen)
    said = [step.text for talk in chosen for step in talk.says if isinstance(step, Words)]
    assert not measured & {text for text in said if len(text.split()) > 3}
