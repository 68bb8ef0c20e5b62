"""Lessons: the same every time, never the same twice in a run, and without what is to be missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policy.listener import Unit, units
from policy.script import Look, Piece, Sound, Tone, Words
from policy.training.examples import BAD, GOOD, OPTION, Example
from policy.training.lessons import Item, Lessons, Plan
from tests.training_compact.corpus import STATES, choice, heard, situation

ITEMS: list[Item] = [situation(), choice()]
PLAIN = Plan(blurred=False)


def lessons(heard: Any = None, items: Sequence[Item] = ITEMS, **plan: Any) -> Lessons:
    return Lessons(items, Plan(**plan), heard)


def read(example: Example) -> tuple[list[Unit], tuple[str, ...]]:
    return units(example.pieces, lambda text: list(text.encode())), tuple(b.text for b in example.branches)


def said(example: Example) -> str:
    return "".join(piece.text for piece in example.pieces if isinstance(piece, Words))


def kinds(example: Example) -> set[type]:
    return {type(piece) for piece in example.pieces} - {Words}


def of(example: Example, kind: type[Piece]) -> list[Any]:
    return [piece for piece in example.pieces if isinstance(piece, kind)]


def test_a_lesson_depends_on_seed_round_and_place_alone() -> None:
    one, two = (lessons(rounds=3, varied=True, missing=0.3) for _ in range(2))
    backwards = [read(two[place]) for place in reversed(range(len(two)))][::-1]
    assert [read(example) for example in one] == backwards
    assert [read(one[3])] == [read(e) for e in one[3:4]]


def test_each_round_and_each_seed_is_another() -> None:
    rounds = lessons(rounds=12, varied=True)
    assert len(rounds) == 24
    assert {example.id for example in rounds[::2]} == {"s-0"}
    assert len({str(read(example)) for example in rounds[::2]}) == 12
    assert read(lessons(varied=True, seed=1)[0]) != read(lessons(varied=True, seed=2)[0])


def test_a_place_that_is_not_there_ends_the_lessons() -> None:
    found = lessons(rounds=2)
    assert [example.id for example in found] == ["s-0", "c-0", "s-0", "c-0"]
    for place in (4, -1):
        with pytest.raises(IndexError):
            found[place]


def test_a_situation_becomes_what_the_corpus_says() -> None:
    example = Lessons([situation()], PLAIN)[0]
    assert "My dog died last night.\n<|im_end|>\n<|im_start|>assistant\n" in said(example)
    assert kinds(example) == {Look, Tone}
    told = [(b.text, b.role, b.strategy, b.emotion) for b in example.branches]
    assert told == [
        ("I am so sorry.", GOOD, "affirmation", "sad"),
        ("What was his name?", GOOD, "question", "sad"),
        ("Cheer up!", BAD, "affirmation", "sad"),
    ]
    assert (example.words, example.before, example.said) == (
        "My dog died last night.",
        ("Hello there.",),
        ("Hello. How are you?",),
    )
    assert (example.answer, example.mood, example.strategies) == (-1, "grief", ("affirmation", "question"))


def test_a_choice_becomes_a_question() -> None:
    example = Lessons([choice()], PLAIN)[0]
    assert said(example).endswith(
        "<|im_start|>user\nQuestion: How is the rapport between the two?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert [branch.text for branch in example.branches] == ["Chilly", "Warm", "Formal", "Broken"]
    assert {branch.role for branch in example.branches} == {OPTION}
    assert example.answer == 1


@pytest.mark.parametrize("blurred", [False, True])
@pytest.mark.parametrize(("gone", "left"), [("face", {Tone}), ("voice", {Look}), ("sound", {Look, Tone})])
def test_a_sense_that_is_missing_gives_nothing(gone: str, left: set[type], blurred: bool) -> None:
    for item in ITEMS:
        found = [kinds(e) for e in Lessons([item], Plan(without=(gone,), blurred=blurred, rounds=6))]
        assert set.union(*found) == left


def test_senses_are_missing_now_and_then() -> None:
    found = [kinds(example) for example in lessons(items=[situation()], rounds=60, missing=0.3, blurred=False)]
    seen, voiced = (sum(kind in senses for senses in found) / 60 for kind in (Look, Tone))
    assert 0.5 < seen < 0.9
    assert 0.5 < voiced < 0.9
    assert all(not kinds(e) for e in lessons(missing=1.0, rounds=3))


def test_options_are_shuffled_and_the_answer_follows() -> None:
    found = list(lessons(items=[choice()], rounds=30, varied=True))
    assert {example.branches[example.answer].text for example in found} == {"Warm"}
    assert {example.answer for example in found} == {0, 1, 2, 3}
    assert all(sorted(b.text for b in e.branches) == ["Broken", "Chilly", "Formal", "Warm"] for e in found)


def test_blur_changes_faces_and_not_words() -> None:
    plain, blurred = lessons(blurred=False)[0], lessons(blurred=True)[0]
    assert said(plain) == said(blurred)
    assert read(plain) != read(blurred)


def test_what_was_rendered_comes_as_it_was_heard(tmp_path: Path) -> None:
    store = heard(tmp_path)
    example = lessons(store, spoken=1.0, blurred=False)[0]
    assert kinds(example) == {Look, Tone, Sound}
    assert "my dog tied last night\n" in said(example)
    sounds = of(example, Sound)
    expected = [STATES[:6], STATES[:12], STATES[12:15]]
    assert [len(piece.states) for piece in sounds] == [len(states) for states in expected]
    for piece, states in zip(sounds, expected, strict=True):
        np.testing.assert_array_equal(piece.states, states.astype(np.float32))
    measured = [piece.numbers for piece in of(example, Tone)]
    assert all(numbers[-1] == 1.0 and -0.75 in numbers for numbers in measured)
    assert [b.text for b in example.branches] == [b.text for b in lessons(blurred=False)[0].branches]


def test_what_was_not_rendered_comes_as_it_was_written(tmp_path: Path) -> None:
    store = heard(tmp_path)
    assert kinds(lessons(store, spoken=1.0)[1]) == {Look, Tone}
    assert kinds(lessons(store, spoken=0.0)[0]) == {Look, Tone}
    shares = [Sound in kinds(example) for example in lessons(store, items=[situation()], spoken=0.5, rounds=40)]
    assert 8 < sum(shares) < 32


def test_sound_can_be_missing_from_what_was_heard(tmp_path: Path) -> None:
    example = lessons(heard(tmp_path), spoken=1.0, without=("sound",))[0]
    assert kinds(example) == {Look, Tone}
    assert "my dog tied" in said(example)
    assert Look not in kinds(lessons(heard(tmp_path / "2"), spoken=1.0, without=("face",))[0])


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"without": ("smell",)}, "without names smell; there are: face, voice, sound"),
        ({"without": (1,)}, "without names 1; there are"),
        ({"missing": 1.5}, r"missing is 1\.5, expected a share from 0 to 1"),
        ({"spoken": -0.1}, r"spoken is -0\.1, expected a share"),
        ({"missing": float("nan")}, "missing is nan"),
        ({"rounds": 0}, "rounds is 0, expected a whole number from 1"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_name(plan: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plan(**plan)
