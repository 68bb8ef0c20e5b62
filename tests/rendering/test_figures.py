"""Word errors and manners, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.rendering.figures import NOTHING, distance, figures, verdict
from perception.percept import PROSODY, Percept
from perception.timebase import SECOND
from policy.training.corpus import Choice, Said
from policy.training.heard import Condition, Heard, HeardTurn


@pytest.mark.parametrize(
    ("wanted", "found", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a c", 1),
        ("a b", "a x b", 1),
        ("a b", "", 2),
        ("", "a", 1),
        ("a b c", "b c a", 2),
    ],
)
def test_distance_is_counted_in_words(wanted: str, found: str, errors: int) -> None:
    assert distance(wanted.split(), found.split()) == errors


def voice(label: str, start: int, end: int, confidence: float = 0.5) -> Percept:
    return Percept(PROSODY, label, start * SECOND, end * SECOND, confidence, "prosody")


def turn(index: int, text: str, *prosody: Percept) -> HeardTurn:
    return HeardTurn(turn=index, text=text, start=0, end=18 * SECOND, prosody=prosody, speech=())


def test_the_verdict_is_what_most_of_the_turn_sounds_like() -> None:
    assert verdict(turn(0, "", voice("flat", 0, 2), voice("quiet", 2, 5))) == "quiet"
    assert verdict(turn(0, "", voice("flat", 0, 2, 0.9), voice("quiet", 2, 5, 0.3))) == "flat"
    assert verdict(turn(0, "")) == NOTHING


def test_the_tables_count_what_is_there() -> None:
    item = Choice(
        id="c-1",
        task_type="Rapport_Recognition",
        turns=(Said(who="a", text="You came."), Said(who="b", text="I said I would.", voice="flat")),
        question="How?",
        options=("Warm", "Strained"),
        answer=1,
    )
    condition = Condition(
        engine="espeak-ng",
        speakers={"a": "x", "b": "y"},
        manners=("", "flat"),
        noise="pink",
        snr_db=10.0,
        level_db=0.0,
        seed=1,
    )
    turns = (turn(0, ""), turn(1, "I said I wood", voice("neutral", 0, 3), voice("flat", 3, 4)))
    heard = Heard(id="c-1", condition=condition, turns=turns, agent={}, folder=Path())
    text = "\n".join(figures([item], {"c-1": heard}))
    assert text.startswith("1 items, 0.01 hours of speech\n")
    assert "| espeak-ng | 2 | 6 | 50.0% | 50.0% |" in text
    assert "| pink, below 18 dB | 2 | 6 | 50.0% | 50.0% |" in text
    assert "| flat | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | 0% | 100% |" in text
    assert "| (nothing) | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 |" in text
