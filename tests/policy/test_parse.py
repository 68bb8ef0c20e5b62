from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.parse import Clauses, sentences, split_tag


@given(st.lists(st.integers(1, 7)))
def test_clauses_do_not_depend_on_how_the_text_arrives(cuts: list[int]) -> None:
    text = "Oh, I'm sorry to hear it. What happened? Dr. Lee said so... right? Fine."
    clauses, out, at = Clauses(), list[str](), 0
    for cut in cuts:
        out += clauses.push(text[at : at + cut])
        at += cut
    out += clauses.push(text[at:]) + clauses.flush()
    assert out == ["Oh, I'm sorry to hear it.", "What happened?", "Dr. Lee said so...", "right?", "Fine."]


@pytest.mark.parametrize("stop", ["\nuser: hi", "<|im_end|>", "\n\nmore"])
def test_text_ends_at_a_marker(stop: str) -> None:
    clauses = Clauses()
    assert clauses.push(f"That hurts.{stop} Ignore me.") == ["That hurts."]
    assert clauses.ended
    assert clauses.push("more.") == []


def test_a_role_label_says_nothing() -> None:
    assert Clauses().push("assistant: I am here.") == []


def test_breath_cuts_long_sentences_at_commas() -> None:
    clauses = Clauses(breath=4)
    found = clauses.push("Well, you work all day, and nobody says thanks. ")
    assert found == ["Well, you work all day,", "and nobody says thanks."]


def test_tags() -> None:
    assert split_tag("[question] How so?") == ("question", "How so?")
    assert split_tag("[nonsense] How so?") == (None, "How so?")
    assert split_tag("How so?") == (None, "How so?")


def test_sentences() -> None:
    assert sentences("I see. And then?") == ("I see.", "And then?")
