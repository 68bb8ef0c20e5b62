"""Written text becomes clauses that can be said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.spoken import LONGEST, Clause, clauses
from agent.tone import NEUTRAL, tone_of


def texts(text: str) -> list[str]:
    return [clause.text for clause in clauses(text, NEUTRAL)]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("Dr. Smith met J. K. Rowling. Really!", ["Dr. Smith met J. K. Rowling.", "Really!"]),
        ("No. I can't.", ["No.", "I can't."]),
        ("That was you and I. We did it.", ["That was you and I.", "We did it."]),
        ("Well... maybe we should wait.", ["Well... maybe we should wait."]),
        ("She said “Stop!” Then she left.", ["She said “Stop!”", "Then she left."]),
        ("It costs $3.50, or 1,250 yen.", ["It costs $3.50, or 1,250 yen."]),
        ("I'm **so** _glad_ `really` 😀!", ["I'm so glad really !"]),
        ("snake_case stays", ["snake_case stays"]),
        ("See [my page](https://x.org/a_b) or https://y.org/?q=1", ["See my page or a link"]),
        ("# Title\n- one\n- two\n\nLast line", ["Title.", "one.", "two.", "Last line"]),
        ("```python\ncode\n```", ["code"]),
        ("<b>Bold</b> & <i>fine</i>", ["Bold & fine"]),
        ("4111111111111111 is my card", ["4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 is my card"]),
        ("1,234,567", ["1,234,567"]),
        ("20 °C ❤", ["20 °C"]),
        ("x² is ½ of Ｙ", ["x2 is 1/2 of Y"]),
        ("a < b and c > d", ["a < b and c > d"]),
        ("family 👨‍👩‍👧 emoji ❤️ gone", ["family emoji gone"]),
        ("", []),
        ("... — !", []),
        ("😀", []),
    ],
)
def test_written_and_said(written: str, said: list[str]) -> None:
    assert texts(written) == said


def test_pauses_follow_punctuation_and_tone() -> None:
    calm = tone_of("calm")
    found = clauses("One. Two! Three?", calm)
    assert [c.pause for c in found] == [calm.sentence_pause, calm.sentence_pause, calm.clause_pause]
    assert clauses("mm-hm", calm) == [Clause("mm-hm", 0)]


def test_a_long_sentence_is_cut_at_its_commas() -> None:
    sentence = ", ".join(["when I was a child we went to the sea every summer"] * 8) + "."
    found = clauses(sentence, NEUTRAL)
    assert len(found) > 2
    assert all(len(c.text) <= LONGEST for c in found)
    assert all(c.text.endswith(",") and c.pause == NEUTRAL.clause_pause for c in found[:-1])
    assert " ".join(c.text for c in found) == sentence


def test_a_sentence_without_commas_is_cut_at_words_without_a_pause() -> None:
    found = clauses("and then " * 60 + "we slept.", NEUTRAL)
    assert all(len(c.text) <= LONGEST for c in found)
    assert {c.pause for c in found[:-1]} == {0}


@given(st.text(max_size=600))
def test_any_text_is_cut_without_error(text: str) -> None:
    for clause in clauses(text, NEUTRAL):
        assert 0 < len(clause.text) <= LONGEST + 1
        assert clause.text == clause.text.strip()
        assert any(c.isalnum() for c in clause.text)
        assert clause.pause >= 0


@given(st.lists(st.sampled_from(["apple", "I", "really", "know,", "it.", "Yes!", "who?", "a—b", "two;"]), max_size=120))
def test_no_word_is_lost(words: list[str]) -> None:
    text = " ".join(words)
    assert "".join(texts(text)).replace(" ", "") == text.replace(" ", "")
