from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.tasks import MULTI, PATTERNS, SINGLE, Scored
from policy.tasks._reference import PATTERNS as SPELLED
from policy.tasks._reference import Scorer, score
from tests.policy import quirks
from tests.policy.quirks import CRASH, ENTRIES, FIVE, FOUR, MODEL, OUT, QUIRKS, Quirk


def told(verdict: Scored) -> float | str:
    if verdict.crash:
        assert not verdict.counts
        return CRASH
    return verdict.credit if verdict.counts else OUT


def names(quirk: Quirk) -> str:
    return repr({k: v for k, v in quirk.question.items() if k not in ("question", "task_type")})


@pytest.mark.parametrize("quirk", QUIRKS, ids=names)
def test_every_quirk_by_itself(quirk: Quirk) -> None:
    for mode, expected in (("direct", quirk.direct), ("think", quirk.think)):
        assert told(Scorer(mode).judge(quirk.entry, MODEL)) == expected, mode


@pytest.mark.parametrize("mode", ["direct", "think"])
def test_every_quirk_in_one_file(mode: str) -> None:
    scorer = Scorer(mode)
    assert [told(scorer.judge(entry, MODEL)) for entry in ENTRIES] == [getattr(quirk, mode) for quirk in QUIRKS]


@pytest.mark.parametrize("quirk", [quirk for quirk in QUIRKS if quirk.pure], ids=names)
def test_a_question_by_itself_is_judged_like_an_entry(quirk: Quirk) -> None:
    question = quirk.question
    pattern = SPELLED.get(question["question_pattern"], question["question_pattern"])
    options = question.get("options", [])
    for mode, expected in (("direct", quirk.direct), ("think", quirk.think)):
        verdict = score(pattern, question.get(MODEL), question["answer"], options, question["task_type"], mode=mode)
        assert told(verdict) == expected, mode


def test_the_four_patterns_are_known() -> None:
    assert set(SPELLED.values()) == set(PATTERNS)
    assert {quirks.SINGLE, quirks.MULTI, quirks.NUMBER, quirks.YES_NO} == set(SPELLED)


def test_past_the_fifth_letter_the_option_before_goes_on() -> None:
    """There is no text for F: the one of the entry before is compared, and without one the scorer stops."""
    options = [*FIVE, "F. tired"]
    first, sixth = quirks.single("<answer>sad</answer>", 0, 1), quirks.single("<answer>sad</answer>", 0, 1, answer="F")
    sixth.question["options"] = options
    scorer = Scorer("think")
    assert told(scorer.judge(sixth.entry, MODEL)) == CRASH
    assert told(scorer.judge(first.entry, MODEL)) == 1
    assert told(scorer.judge(sixth.entry, MODEL)) == 1


def test_what_would_stop_it_is_told() -> None:
    verdict = score("number", "three", "3", (), "Human_Counting", mode="think")
    assert verdict.crash == "ValueError: invalid literal for int() with base 10: 't'"


def test_an_entry_that_is_no_question_stops_it() -> None:
    entries: list[Any] = [[], {}, None, {"questions": [QUIRKS[0].question]}, {"questions": "D"}]
    for entry in entries:
        for mode in ("direct", "think"):
            assert told(Scorer(mode).judge(entry, MODEL)) == CRASH


def test_there_are_two_modes() -> None:
    with pytest.raises(ValueError, match="direct, think"):
        Scorer("aloud")


def test_a_wrong_letter_costs_everything_and_a_missing_one_half() -> None:
    assert [score(MULTI, said, "AC", FOUR, "x").credit for said in ("CA", "A", "AB", "ABC")] == [1, 0.5, 0, 0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "task_type": JSON,
            "question_pattern": st.sampled_from(sorted(SPELLED)) | JSON,
            "answer": JSON,
            "options": JSON,
            MODEL: JSON,
        },
    ),
    st.sampled_from(["direct", "think"]),
)
def test_it_never_raises_and_a_crash_never_counts(question: dict[str, Any], mode: str) -> None:
    verdict = Scorer(mode).judge({"questions": question}, MODEL)
    assert verdict.credit in (0, 0.5, 1)
    assert not (verdict.crash and verdict.counts)
    if not question.get(MODEL):
        assert not verdict.counts


@given(st.text(min_size=1))
def test_a_single_choice_is_the_first_character(said: str) -> None:
    expected = said[0].lower() == "d"
    assert score(SINGLE, said, "D", FOUR, "Emo_Strategy").credit == expected
