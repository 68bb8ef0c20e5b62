"""The exam: what counts as right, and intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from policy.decision import LEARNED_EMOTIONS
from policy.head import STRATEGY_NAMES
from policy.training.exam import Marks, by_scores, examine, interval, marked, scored, share
from policy.training.examples import Example
from tests.training_compact.conftest import Open
from tests.training_compact.lines import question, situation


def insists(strategy: str, emotion: str) -> Callable[[Example, Any], tuple[str, str]]:
    return lambda example, rows: (strategy, emotion)


def test_a_choice_is_right_where_it_is_acceptable(student: Open) -> None:
    found = scored(student(), [situation(), replace(situation(), id="s-1", strategies=("other",), mood="joy")])
    marks = marked(found, insists("question", "happy"))
    assert marks.strategy == {"s-0": True, "s-1": False}
    assert marks.emotion == {"s-0": False, "s-1": False}
    assert marks.happy == ("s-0",)
    assert marks.figures() == {"strategy": 0.5, "emotion": 0.0, "happy_in_distress": 1.0}
    marks = marked(found, insists("other", "sad"))
    assert (marks.strategy, set(marks.emotion.values()), marks.happy) == ({"s-0": False, "s-1": True}, {True}, ())


def test_by_itself_the_student_takes_the_highest_scores(student: Open) -> None:
    found, example = student(), situation()
    (told,) = scored(found, [example])
    rows = told[1].tolist()
    first, second = len(STRATEGY_NAMES), len(STRATEGY_NAMES) + len(LEARNED_EMOTIONS)
    strategy = STRATEGY_NAMES[rows.index(max(rows[:first]))]
    emotion = LEARNED_EMOTIONS[rows.index(max(rows[first:second]), first) - first]
    assert by_scores(example, told[1]) == (strategy, emotion)
    others = tuple(name for name in LEARNED_EMOTIONS if name != emotion)
    marks = examine(found, [replace(example, strategies=(strategy,), emotions=others)])
    assert (marks.strategy, marks.emotion) == ({"s-0": True}, {"s-0": False})


def test_a_question_is_right_where_the_best_fit_is_the_answer(student: Open) -> None:
    found = student()
    best = int(found.scores([question()])[0][1].argmax())
    examples = [replace(question(answer), id=f"q-{answer}") for answer in range(3)]
    marks = examine(found, examples)
    assert marks.choice == {f"q-{answer}": answer == best for answer in range(3)}
    assert marks.figures() == {"choice": pytest.approx(1 / 3)}


def test_scores_come_with_their_example_in_batches(student: Open) -> None:
    found = student()
    examples = [replace(e, id=f"{e.id}-{n}") for n in range(10) for e in (situation(n), question())]
    told = scored(found, examples)
    assert {example.id for example, _, _ in told} == {example.id for example in examples}
    for example, rows, fits in told[::7]:
        alone = found.scores([example])[0]
        assert rows.tolist() == pytest.approx(alone[0].tolist(), abs=1e-4)
        assert fits.tolist() == pytest.approx(alone[1].tolist(), abs=1e-4)


def test_intervals_are_wilsons() -> None:
    assert interval(0, 0) == (0.0, 1.0)
    assert interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert (share({}), share({"a": True, "b": False})) == (0.0, 0.5)


def test_what_was_not_asked_has_no_figure() -> None:
    assert Marks(strategy={}, emotion={}, happy=(), choice={"q": True}).figures() == {"choice": 1.0}
