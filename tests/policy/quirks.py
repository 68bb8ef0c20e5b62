"""A results file of the published runner that reaches every quirk of its two scorers, with the verdicts by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

MODEL: Final = "Some-Model"
SINGLE: Final = "Multiple-choice question (select one answer choice)"
MULTI: Final = "Multiple-choice question (select one or more answer choices)"
NUMBER: Final = "Question and answer (Arabic numerals)"
YES_NO: Final = "Judgment question (Yes or No)"

OUT: Final = "left out"
CRASH: Final = "stops the scorer"
Expected = float | str

FOUR: Final = ["A. happy", "B. disgust", "C. surprised", "D. sad"]
FIVE: Final = [*FOUR, "E. neutral"]


@dataclass(frozen=True)
class Quirk:
    question: dict[str, Any]
    direct: Expected
    think: Expected

    @property
    def entry(self) -> dict[str, Any]:
        return {"video_path": "data/videos/x.mp4", "questions": self.question}

    @property
    def pure(self) -> bool:
        """Whether it can be put as a whole question, and is not about a missing field."""
        return {"task_type", "question_pattern", "answer"} <= self.question.keys()


_NO: Final = object()


def single(
    said: Any, direct: Expected, think: Expected, *, answer: str = "D", options: Any = FOUR, **more: Any
) -> Quirk:
    question = {"task_type": "Emo_Strategy", "question_pattern": SINGLE, "answer": answer, "options": options}
    return _quirk(question, said, direct, think, more)


def number(said: Any, direct: Expected, think: Expected, *, answer: Any = "3", **more: Any) -> Quirk:
    question = {"task_type": "Human_Counting", "question_pattern": NUMBER, "answer": answer}
    return _quirk(question, said, direct, think, more)


def yes_no(said: Any, direct: Expected, think: Expected, **more: Any) -> Quirk:
    question = {"task_type": "Lie_Detection", "question_pattern": YES_NO, "answer": "Yes"}
    return _quirk(question, said, direct, think, more)


def multi(said: Any, direct: Expected, think: Expected, *, answer: str = "BD", **more: Any) -> Quirk:
    question = {"task_type": "Action_Recognition", "question_pattern": MULTI, "answer": answer, "options": FOUR}
    return _quirk(question, said, direct, think, more)


def _quirk(question: dict[str, Any], said: Any, direct: Expected, think: Expected, more: dict[str, Any]) -> Quirk:
    whole = {"question": "What is it?", **question, **more, MODEL: said}
    return Quirk({key: value for key, value in whole.items() if value is not _NO}, direct, think)


QUIRKS: Final = (
    # One choice: the first character of the answer and of the key, as it stands.
    single("D", 1, 1),
    single("d", 1, 1),
    single("D. sad", 1, 1),
    single("D", 1, 1, answer="D. sad"),
    single(" D", 0, 0),
    single("(D)", 0, 0),
    single("The answer is D", 0, 0),
    single("Answer: D", 1, 1, answer="A"),
    single("<think>it is D</think>", 0, 0),
    single("B", 0, 0),
    # One choice in tags: a letter A to D alone, a letter with a stop and a text, or a text.
    single("<answer>D</answer>", 0, 1),
    single("<think>A, or B?</think>\n<answer>\n d \n</answer>", 0, 1),
    single("<answer>A. sad</answer>", 0, 1),
    single("<answer>D. happy</answer>", 0, 1),
    single("<answer>A. happy</answer>", 0, 0),
    single("<answer>sad</answer>", 0, 1),
    single("<answer>Sad.</answer>", 0, 1),
    single("<answer>D) sad</answer>", 0, 0),
    single("<answer>(D)</answer>", 0, 0),
    single("<answer></answer>", 0, 0),
    single("<answer>A</answer><answer>D</answer>", 0, 0),
    # The letter E is a letter for the one scorer only.
    single("E", 1, 0, answer="E", options=FIVE),
    single("<answer>E</answer>", 0, 0, answer="E", options=FIVE),
    single("<answer>E. neutral</answer>", 0, 0, answer="E", options=FIVE),
    single("<answer>neutral</answer>", 0, 1, answer="E", options=FIVE),
    # Options that one of them needs.
    single("B", 1, CRASH, answer="B", options=["happy", "sad"]),
    single("<answer>B</answer>", 0, CRASH, answer="B", options=["happy", "sad"]),
    single("D", 1, CRASH, options=_NO),
    single("D", 1, CRASH, options=FOUR[:2]),
    # Nothing was answered.
    single(None, OUT, OUT),
    single("", OUT, OUT),
    single(_NO, OUT, OUT),
    single(5, CRASH, CRASH),
    # A whole number: its first digit.
    number("3", 1, 1),
    number("3", 1, 1, answer=3),
    number("3 people", 1, 1),
    number("4", 0, 0),
    number("12", 1, 1, answer="1"),
    number("10", 0, 0, answer="10"),
    number("three", 0, CRASH),
    number(" 3", 0, CRASH),
    number("<answer>3</answer>", 0, 1),
    number("<answer>10</answer>", 0, 0, answer="10"),
    number("<answer>three</answer>", 0, CRASH),
    number("<answer></answer>", 0, CRASH),
    number("<think>3</think>", 0, CRASH),
    number("3", 0, CRASH, answer="some"),
    # Yes or no: the whole answer, and in tags with the tags.
    yes_no("Yes", 1, OUT),
    yes_no("yes.", 1, OUT),
    yes_no("Y e s", 1, OUT),
    yes_no("No", 0, OUT),
    yes_no("Yes, he lies", 0, OUT),
    yes_no(". .", OUT, OUT),
    yes_no("<answer>Yes</answer>", 0, 0),
    # Several choices: a set of characters, of which stops and some separators are no part.
    multi("BD", 1, 1),
    multi("bd", 1, 1),
    multi("B,D", 1, 1),
    multi("B.D.", 1, 1),
    multi("B, D", 0, 1),
    multi("BD\n", 0, 1),
    multi("B", 0.5, 0.5),
    multi("ABD", 0, 0),
    multi("B，D", 0, 1),
    multi("BD", 0.5, 1, answer="B,D"),
    multi("B,D", 0.5, 1, answer="B,D"),
    multi(".", OUT, 0.5),
    multi("<answer>B, D</answer>", 0, 1),
    multi("<answer>B\nD</answer>", 0, 0),
    multi("<answer>B. disgust</answer>", 0, 0),
    multi("<answer>D</answer>", 0, 0.5),
    multi("<answer></answer>", 0, 0.5),
    # What is left out, and when: one type by one scorer, and patterns that neither knows.
    single("D", OUT, 1, task_type="Abnormal_Recognition"),
    single("D", OUT, OUT, question_pattern="Fill in the blank"),
    # Fields that are read before it is known whether there is an answer.
    single("D", CRASH, CRASH, task_type=_NO),
    single(_NO, CRASH, CRASH, question_pattern=_NO),
    single("D", OUT, CRASH, task_type="Abnormal_Recognition", question_pattern=_NO),
    single("D", CRASH, CRASH, answer=_NO),  # type: ignore[arg-type]
    single(_NO, OUT, OUT, answer=_NO),  # type: ignore[arg-type]
    single("D", CRASH, CRASH, answer=""),
    single("D", OUT, CRASH, question_pattern="Fill in the blank", answer=_NO),  # type: ignore[arg-type]
)

ENTRIES: Final[list[Any]] = [quirk.entry for quirk in QUIRKS]

# Counted by hand, from the lines above.
TOTALS: Final[dict[str, dict[str, tuple[int, float]]]] = {
    "direct": {
        "Emo_Strategy": (29, 9),
        "Human_Counting": (14, 4),
        "Lie_Detection": (6, 3),
        "Action_Recognition": (16, 5.5),
    },
    "think": {
        "Emo_Strategy": (25, 12),
        "Human_Counting": (8, 5),
        "Lie_Detection": (1, 0),
        "Action_Recognition": (17, 12),
        "Abnormal_Recognition": (1, 1),
    },
}
CRASHES: Final = {"direct": 5, "think": 17}
