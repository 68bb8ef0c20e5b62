from __future__ import annotations

from typing import Any

import pytest

from policy.tasks import MULTI, NUMBER, SINGLE, YES_NO
from policy.training.rewards import (
    Accuracy,
    Answer,
    Format,
    Length,
    Reward,
    Safety,
    chosen,
    credit_of,
    fitting,
    is_line,
    is_tagged,
    reply_of,
    total,
)
from policy.training.student import Sample


def said(text: str) -> Sample:
    return Sample((1, 2), text, True)


@pytest.mark.parametrize(
    ("pattern", "text", "right", "credit"),
    [
        (SINGLE, "<think>A or D.</think><answer>D</answer>", "D", 1),
        (SINGLE, "<think>A</think>\n<answer> d. sad </answer> and more", "D", 1),
        (SINGLE, "<answer>A</answer>", "D", 0),
        (SINGLE, "D. sad", "D", 1),
        (SINGLE, "D", "D. sad", 1),
        (SINGLE, "(D)", "D", 0),
        (SINGLE, "<think>D</think>", "D", 0),
        (SINGLE, "E", "E", 1),
        (SINGLE, "", "D", 0),
        (SINGLE, "<answer> </answer>", "D", 0),
        (MULTI, "<answer>B, D</answer>", "BD", 1),
        (MULTI, "BD\n", "B,D", 1),
        (MULTI, "DB", "BD", 1),
        (MULTI, "B", "BD", 0.5),
        (MULTI, "ABD", "BD", 0),
        (MULTI, "B. disgust", "BD", 0),
        (MULTI, "<answer></answer>", "BD", 0),
        (MULTI, ",", "BD", 0),
        (NUMBER, "12", "12", 1),
        (NUMBER, "12", "1", 1),
        (NUMBER, "012", "12", 1),
        (NUMBER, "1", "12", 0),
        (NUMBER, "3 people", "3", 1),
        (NUMBER, "three", "3", 0),
        (YES_NO, "Yes.", "yes", 1),
        (YES_NO, "<answer>No</answer>", "Yes", 0),
        (YES_NO, "Yes, he does", "Yes", 0),
    ],
)
def test_the_published_accuracy(pattern: str, text: str, right: str, credit: float) -> None:
    assert credit_of(pattern, text, right) == credit
    assert Accuracy(chosen(lambda example: example))((pattern, right), said(text)) == credit


def test_an_unknown_pattern_is_told() -> None:
    with pytest.raises(ValueError, match="no pattern 'essay'; there are: single"):
        credit_of("essay", "D", "D")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("<think>Hm.</think><answer>D</answer>", True),
        ("<think>Two\nlines.</think> \n <answer>D</answer> And so on.", True),
        ("<think></think><answer></answer>", True),
        (" <think>Hm.</think><answer>D</answer>", False),
        ("<answer>D</answer>", False),
        ("<think>Hm.</think> so <answer>D</answer>", False),
        ("<think>Hm.</think><answer>D", False),
    ],
)
def test_the_published_format(text: str, good: bool) -> None:
    assert is_tagged(text) is good
    assert Format()(None, said(text)) == float(good)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("reflection concern | That sounds heavy.", Answer("reflection", "concern", "That sounds heavy.")),
        (" wait calm |", Answer("wait", "calm", "")),
        ("question curious |  What happened?\n", Answer("question", "curious", "What happened?")),
        ("question curious | A | B", Answer("question", "curious", "A | B")),
        ("reflection angry | No.", None),
        ("hug concern | No.", None),
        ("reflection | No.", None),
        ("reflection concern No.", None),
        ("", None),
    ],
)
def test_the_line_of_the_compact_student(text: str, answer: Answer | None) -> None:
    assert Answer.of(text) == answer
    reward = Accuracy(fitting(lambda _: (("reflection", "wait"), ("calm", "curious"))))
    expected = 0.0
    if answer is not None:
        expected = 0.5 * (answer.strategy in ("reflection", "wait")) + 0.5 * (answer.emotion in ("calm", "curious"))
    assert reward(None, said(text)) == expected


def test_fitting_by_table() -> None:
    reward = Accuracy(fitting(lambda example: example))
    fits = (("reflection", "restatement"), ("concern",))
    for text, credit in (
        ("restatement concern | x", 1.0),
        ("reflection happy | x", 0.5),
        ("suggestion concern | x", 0.5),
        ("suggestion happy | x", 0.0),
        ("nothing of the kind", 0.0),
    ):
        assert reward(fits, said(text)) == credit


def test_a_line_says_something_unless_it_waits() -> None:
    assert [is_line(t) for t in ("reflection concern | Yes.", "wait calm |", "reflection concern |", "hm")] == [
        *(True, True, False, False),
    ]
    assert [reply_of(t) for t in ("reflection concern | Yes.", "wait calm |", "reflection concern |", "hm")] == [
        *("Yes.", None, "", ""),
    ]


@pytest.mark.parametrize(("words", "worth"), [(0, 0), (1, 1), (30, 1), (31, 29 / 30), (45, 0.5), (60, 0), (100, 0)])
def test_length(words: int, worth: float) -> None:
    assert Length()(None, said("word " * words)) == pytest.approx(worth)
    assert Length(reply_of)(None, said("other warm | " + "word " * words)) == pytest.approx(worth)


def test_silence_on_purpose_is_neither_too_short_nor_unsafe() -> None:
    assert Length(reply_of)(None, said("wait calm |")) == 1
    assert Length(reply_of)(None, said("other calm |")) == 0
    asked: list[tuple[Any, str]] = []

    def judge(example: Any, reply: str) -> bool:
        asked.append((example, reply))
        return "calm down" not in reply

    safety = Safety(judge, reply_of)
    assert safety("e", said("wait calm |")) == 1
    assert safety("e", said("other calm | Just calm down.")) == 0
    assert safety("e", said("other calm | I am here.")) == 1
    assert asked == [("e", "Just calm down."), ("e", "I am here.")]


def test_the_total_is_weighted_and_the_parts_are_not() -> None:
    parts: tuple[Reward, ...] = (Accuracy(lambda _, text: float(text == "a")), Length(weight=0.5))
    worth, means = total(parts, None, [said("a"), said("b"), said("")])
    assert worth.tolist() == [1.5, 0.5, 0.0]
    assert means == pytest.approx({"accuracy": 1 / 3, "length": 2 / 3})


def test_a_part_that_leaves_its_range_is_told() -> None:
    for value in (2.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"reward accuracy is .*, expected 0 to 1"):
            total([Accuracy(lambda _, text, value=value: value)], None, [said("a")])  # type: ignore[misc]
    with pytest.raises(ValueError, match=r"different names.*length, length"):
        total([Length(), Length()], None, [said("a")])
    with pytest.raises(ValueError, match="there are: none"):
        total([], None, [said("a")])
