"""The two published scorers of HumanSense, quirk by quirk: one for direct answers, one for answers in tags.

What they compare is often a single character, some answers they leave out, and on some they stop with an error.
All of that is kept here on purpose, so that a figure can be set beside a published one. :mod:`policy.tasks._strict`
is the scorer to trust.

Entries are taken as they stand in a results file, so values of any type are met with the same operations, and
whatever would have stopped the published scorer is told in :attr:`Scored.crash`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from policy import tasks
from policy.tasks import Scored

PATTERNS: Final[Mapping[str, str]] = {
    "Multiple-choice question (select one answer choice)": tasks.SINGLE,
    "Multiple-choice question (select one or more answer choices)": tasks.MULTI,
    "Question and answer (Arabic numerals)": tasks.NUMBER,
    "Judgment question (Yes or No)": tasks.YES_NO,
}
"""How the data set spells the patterns."""

MODES: Final = ("direct", "think")
_SPELLED: Final = {ours: theirs for theirs, ours in PATTERNS.items()}
_LEFT_OUT: Final = "Abnormal_Recognition"
_DROPPED: Final = Scored(credit=0.0, counts=False)
_TAGGED: Final = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_SLOTS: Final = {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}
_LETTERS: Final = ("a", "b", "c", "d")  # there is no "e", although a fifth option can be the right one
_MARKS: Final = str.maketrans("", "", ".,，")
_KEY: Final = "response"


def score(
    pattern: str, response: Any, answer: Any, options: Sequence[str], task_type: str, *, mode: str = "direct"
) -> Scored:
    """Judge one answer by itself.

    Args:
        pattern: one of :data:`policy.tasks.PATTERNS`; anything else is dropped, as the published scorers do.
        response: what was answered, verbatim.
        answer: the right one, verbatim.
        options: the choices, verbatim.
        task_type: as the data set spells it.
        mode: ``direct`` or ``think``: which of the two scorers.
    """
    question = {"task_type": task_type, "question_pattern": _SPELLED.get(pattern, pattern), "answer": answer}
    return Scorer(mode).judge({"questions": {**question, "options": options, _KEY: response}}, _KEY)


class Scorer:
    """One pass of a published scorer over one results file.

    The entries of a file belong to one pass, in order: where the right letter is none of A to E, the scorer for tags
    goes on with the option text of the entry before.

    Args:
        mode: ``direct`` or ``think``.

    Raises:
        ValueError: no such mode.
    """

    def __init__(self, mode: str = "direct") -> None:
        if mode not in MODES:
            raise ValueError(f"there is no mode {mode!r}; there are: {', '.join(MODES)}")
        self._judge = self._think if mode == "think" else self._direct
        self._option: tuple[Any, ...] = ()

    def judge(self, entry: Any, model: str) -> Scored:
        """Judge the next entry of the file; never raises.

        Args:
            entry: as it stands in the file.
            model: the key under which its answer is kept.
        """
        try:
            question = entry["questions"]
            verdict = self._judge(question, model)
            if verdict.counts:
                hash(question["task_type"])  # its count is kept under this key
        except Exception as error:
            return Scored(credit=0.0, counts=False, crash=f"{type(error).__name__}: {error}")
        return verdict

    def _direct(self, question: Any, model: str) -> Scored:
        if question["task_type"] == _LEFT_OUT:
            return _DROPPED
        pattern = question["question_pattern"]
        if model not in question or not question[model]:
            return _DROPPED
        match PATTERNS.get(pattern) if isinstance(pattern, str) else None:
            case tasks.SINGLE:
                right, first = question["answer"][0], question[model][0]
                return _verdict(right.lower() == first.lower(), first) if first else _DROPPED
            case tasks.NUMBER:
                right, first = question["answer"], question[model][0]
                return _verdict(_same_number(right, first), first) if first else _DROPPED
            case tasks.YES_NO:
                right, given = question["answer"], question[model].replace(".", "").replace(" ", "")
                return _verdict(right.lower() == given.lower(), given) if given else _DROPPED
            case tasks.MULTI:
                right = question["answer"].lower()
                given = question[model].replace(".", "").replace(",", "").lower()
                return _verdict(_share(given, right), given) if given else _DROPPED
        return _DROPPED

    def _think(self, question: Any, model: str) -> Scored:
        question["task_type"]  # read first: a missing one ends the run even where there is no answer
        pattern = question["question_pattern"]
        if model not in question or not question[model]:
            return _DROPPED
        right, response = question["answer"], question[model]
        tagged = _TAGGED.search(response)
        given = tagged.group(1).strip() if tagged else response
        match PATTERNS.get(pattern) if isinstance(pattern, str) else None:
            case tasks.SINGLE:
                option = self._right_option(question)
                given = given if tagged else given[0]
                return _verdict(_same_choice(given, right, option), given)
            case tasks.NUMBER:
                return _verdict(int(right) == int(given[0]), given[0])
            case tasks.YES_NO if tagged:
                given = response.replace(".", "").replace(" ", "")  # with its tags, so it is never right
                return _verdict(right.lower() == given.lower(), given)
            case tasks.MULTI:
                letters = _bare(given).replace(" ", "").lower()
                letters = letters if tagged else letters.replace("\n", "")
                return _verdict(_share(letters, _bare(right).replace(" ", "").lower()), letters)
        return _DROPPED

    def _right_option(self, question: Any) -> Any:
        options, letter = question["options"], question["answer"][0].lower()
        if letter in _SLOTS:
            self._option = (options[_SLOTS[letter]],)
        if not self._option:
            raise UnboundLocalError(f"no option text for the letter {letter!r}")
        return self._option[0]


def _verdict(credit: float, parsed: Any) -> Scored:
    return Scored(credit=float(credit), parsed=str(parsed))


def _same_number(right: Any, given: Any) -> bool:
    try:
        return int(right) == int(given)
    except Exception:
        return False


def _share(given: Any, right: Any) -> float:
    """Return 0 if there is a wrong character, 1 if there are all of the right ones, else 0.5."""
    if any(character not in right for character in given):
        return 0.0
    return 1.0 if all(character in given for character in right) else 0.5


def _same_choice(given: str, right: Any, option: Any) -> bool:
    letter = right[0].strip().lower()
    text = _bare(option.split(".", 1)[1].strip().lower())
    given = given.strip().lower()
    if given in _LETTERS:
        return bool(letter == given)
    if given.startswith(tuple(f"{known}." for known in _LETTERS)):
        head, _, tail = given.partition(".")
        return bool(head == letter or _bare(tail.strip()) == text)
    return _bare(given) == text


def _bare(text: Any) -> str:
    bare: str = text.translate(_MARKS)
    return bare
