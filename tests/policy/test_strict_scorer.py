from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policy.tasks import MULTI, NUMBER, PATTERNS, SINGLE, YES_NO
from policy.tasks._strict import in_tags, parse, score, spoken
from policy.tasks._wording import lettered

MOODS = ("A. happy", "B. disgust", "C. surprised", "D. sad")
PEOPLE = ("A. A fair man wearing red", "B. A man", "C. The woman, B. type", "D. man in blue")
ACTS = ("A. wave", "B. smile", "C. sit", "D. jump")


@pytest.mark.parametrize(
    "said",
    [
        *("D", "d", "(D)", " D.", "D\n", "D) sad", "d) sad", "D. sad", "D: sad", "D - sad because a friend died"),
        *("**D**", '"D"', "$D$", "\\boxed{D}", "D。", "选D", "[D]", "sad", "Sad.", "(d) sad"),
        *("The answer is D", "Answer: D", "**Answer:** D", "The answer is (D) sad.", "My choice: d", "It's D"),
        *("I think she is sad", "A person who looks sad", "It is a sad day", "D, not A", "not happy, but sad"),
        *("Option A is wrong. The answer is D.", "I choose option D", "Based on the evidence, D. Not B or C."),
    ],
)
def test_ways_to_say_d(said: str) -> None:
    assert parse(SINGLE, said, MOODS) == "D"
    assert score(SINGLE, said, "D", MOODS).credit == 1
    assert score(SINGLE, said, "A. happy", MOODS).credit == 0


@pytest.mark.parametrize(
    "said",
    [
        *("", " ", "?", "E", "x", "AB", "A or B", "A, B", "happy and sad", "The answer is D or B", "not sure"),
        *("The answer is not A", "She isn't sad", "A man walks by", "I would rather not say.", "unhappy"),
    ],
)
def test_what_names_no_choice_or_several_says_nothing(said: str) -> None:
    assert parse(SINGLE, said, MOODS) == ""
    for answer in "ABCD":
        assert score(SINGLE, said, answer, MOODS).credit == 0
        assert score(SINGLE, said, answer, MOODS).counts


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("A fair man wearing red", "A"),
        ("A man", "B"),
        ("B. A man", "B"),
        ("The answer is B. A man", "B"),
        ("D. man in blue", "D"),
        ("A man in blue", "D"),
        ("C. The woman, B. type", "C"),
        ("a", "A"),
        ("A is right", "A"),
    ],
)
def test_words_of_an_option_are_not_letters(said: str, meant: str) -> None:
    assert parse(SINGLE, said, PEOPLE) == meant


def test_the_letter_outweighs_the_words_after_it() -> None:
    assert parse(SINGLE, "A. sad", MOODS) == "A"


def test_letters_go_as_far_as_the_options() -> None:
    many = tuple(f"{letter}. {letter * 3}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert [parse(SINGLE, letter, many) for letter in "EJZ"] == ["E", "J", "Z"]
    assert [parse(SINGLE, letter, many[:5]) for letter in "EFZ"] == ["E", "", ""]
    assert score(SINGLE, "E. EEE", "E", many[:5]).credit == 1


def test_options_bear_their_own_letters_or_get_them_by_position() -> None:
    assert lettered(("happy", "sad")) == (("A", "happy"), ("B", "sad"))
    assert lettered(("(a) happy", "b: sad")) == (("A", "happy"), ("B", "sad"))
    assert lettered(("B. happy", "A. sad")) == (("B", "happy"), ("A", "sad"))
    assert lettered(("A. happy", "A. sad")) == (("A", "A. happy"), ("B", "A. sad"))
    assert parse(SINGLE, "sad", ("B. happy", "A. sad")) == "A"


@pytest.mark.parametrize(
    ("said", "meant", "credit"),
    [
        ("ABD", "ABD", 1),
        ("dba", "ABD", 1),
        ("A, B and D", "ABD", 1),
        ("A、B；D", "ABD", 1),
        ("(A)(B)(D)", "ABD", 1),
        ("['A', 'B', 'D']", "ABD", 1),
        ("A. wave\nB. smile\nD. jump", "ABD", 1),
        ("The answers are A, B and D.", "ABD", 1),
        ("wave, smile, jump", "ABD", 1),
        ("He waves (A), smiles (B) and jumps (D), but does not sit.", "ABD", 1),
        ("A/B/D\n", "ABD", 1),
        ("B", "B", 0.5),
        ("A, D", "AD", 0.5),
        ("A and B, not C", "AB", 0.5),
        ("B. smile, D. jump", "BD", 0.5),
        ("ABCD", "ABCD", 0),
        ("C", "C", 0),
        ("AF", "AF", 0),
        ("none of them", "", 0),
        ("", "", 0),
    ],
)
def test_several_choices(said: str, meant: str, credit: float) -> None:
    verdict = score(MULTI, said, "ABD", ACTS)
    assert (verdict.parsed, verdict.credit, verdict.counts) == (meant, credit, True)
    assert score(MULTI, said, "A, B, D", ACTS).credit == credit


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("12", "12"),
        ("10.", "10"),
        ("03", "3"),
        ("**4**", "4"),
        ("-3", "-3"),
        ("1,200", "1200"),
        ("3 people", "3"),
        ("There are three people", "3"),
        ("Twenty", "20"),
        ("zero", "0"),
        ("2 (two)", "2"),
        ("one", "1"),
        ("The one on the left makes 3", "3"),
        ("I see 3 men and 2 women. The answer is 5.", "5"),
        ("Answer: five", "5"),
        *((said, "") for said in ("2.5", "3 or 4", "3-4", "10:30", "3rd", "twenty-one", "many", "", "9" * 5000)),
    ],
)
def test_whole_numbers(said: str, meant: str) -> None:
    assert parse(NUMBER, said, ()) == meant
    assert score(NUMBER, said, meant or "3", ()).credit == bool(meant)
    assert score(NUMBER, said, "7", ()).credit == 0


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Yes", "yes"),
        ("no.", "no"),
        ("YES!", "yes"),
        ("Yes, there is no doubt", "yes"),
        ("The answer is yes", "yes"),
        ("He lies, so yes.", "yes"),
        *((said, "") for said in ("Yes or no", "yes/no", "maybe", "", "nobody", "yesterday")),
    ],
)
def test_yes_and_no(said: str, meant: str) -> None:
    assert parse(YES_NO, said, ()) == meant
    assert score(YES_NO, said, meant or "Yes", ()).credit == bool(meant)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("<think>A or B</think><answer>D</answer>", "D"),
        ("<THINK>A</THINK> <Answer> D </ANSWER>", " D "),
        ("It may be A. </think> D", " D"),
        ("<think>A, B and so on", ""),
        ("<think>A <answer>D", "D"),
        ("<answer>D", "D"),
        ("<answer></answer>", ""),
        ("<answer>A</answer><answer>D</answer>", "A\nD"),
        ("<think><answer>A</answer></think> D", " D"),
        ("no tags at all", "no tags at all"),
    ],
)
def test_thoughts_are_no_answer(raw: str, said: str) -> None:
    assert spoken(raw).strip() == said.strip()


def test_nothing_is_wrong_and_counts() -> None:
    for pattern in PATTERNS:
        for raw in (None, "", "   ", "<answer></answer>", 5, ["D"]):
            verdict = score(pattern, raw, "D", MOODS)
            assert (verdict.credit, verdict.counts, verdict.crash) == (0, True, "")


def test_an_unknown_pattern_or_an_unusable_key_gives_nothing() -> None:
    assert score("Fill in the blank", "D", "D", MOODS).credit == 0
    assert score(SINGLE, "D", "?", MOODS).credit == 0
    assert score(MULTI, "B", "", MOODS).credit == 0


def test_tags_must_open_the_text() -> None:
    assert in_tags("<think>\nsad\n</think>\n\n<answer>D</answer> and more")
    for raw in (
        "D",
        "<answer>D</answer>",
        " <think>x</think><answer>D</answer>",
        "<think>x</think> so <answer>D</answer>",
    ):
        assert not in_tags(raw)


ANSWERS = st.text(alphabet=st.sampled_from("ABCDEad. (),\n<>/think answer is not yes no 3one'*"), max_size=60)


@settings(max_examples=50)
@given(
    ANSWERS | st.text(), st.sampled_from([*PATTERNS, "other"]), st.lists(st.text(max_size=20), max_size=30), st.text()
)
@example("<think>" * 2000, SINGLE, list(MOODS), "D")
@example("answer is A" + " " * 20_000 + "x B", MULTI, list(MOODS), "D")
@example("1,111" * 5000, NUMBER, [], "3")
def test_it_never_raises_and_always_counts(raw: str, pattern: str, options: list[str], answer: str) -> None:
    verdict: Any = score(pattern, raw, answer, options)
    assert verdict.counts
    assert verdict.credit in (0, 0.5, 1)
    assert not verdict.crash


@settings(max_examples=50)
@given(
    st.sets(st.sampled_from("ABCD"), min_size=1), st.sets(st.sampled_from("ABCD"), min_size=1), st.sampled_from(", /;")
)
def test_sets_of_letters_score_by_what_they_share(given_: set[str], right: set[str], separator: str) -> None:
    credit = score(MULTI, separator.join(sorted(given_)), "".join(sorted(right)), ACTS).credit
    assert credit == (1 if given_ == right else 0.5 if given_ < right else 0)


@given(st.integers(0, 10**15))
def test_every_whole_number_is_read_whole(number: int) -> None:
    assert parse(NUMBER, f"There are {number} of them.", ()) == str(number)
