from __future__ import annotations

import pytest

from perception.context import CUE_GREETING, CUE_SILENCE
from policy.decision import Speak, Wait
from policy.guard import Guard, Withheld
from tests.policy.windows import talk

WINDOW = talk("My mum died in March, and the house is so quiet now.", face="sad")


def clause(text: str, strategy: str = "reflection") -> Speak:
    return Speak(text=text, strategy=strategy, reason="r")


def test_ordinary_words_are_for_the_model() -> None:
    assert Guard().curated(WINDOW) is None
    assert Guard().curated(talk("Hi", "Hello.", "I got the job!", cue=CUE_SILENCE)) is None


def test_danger_is_answered_with_reviewed_words() -> None:
    found = Guard().curated(talk("I want to kill myself."))
    assert found is not None
    assert any(isinstance(step, Speak) and step.strategy == "safety" for step in found)


def test_the_greeting_says_that_it_is_an_ai() -> None:
    found = Guard().curated(talk(cue=CUE_GREETING))
    assert found is not None
    assert "AI" in " ".join(step.text for step in found if isinstance(step, Speak))


def test_nothing_said_is_no_question_for_a_model() -> None:
    found = Guard().curated(talk())
    assert found is not None
    assert [type(step) for step in found] == [Wait]


@pytest.mark.parametrize(
    "text",
    [
        "You should just get over it.",
        "Great news, that makes me so happy!",
        "user: hello there",
        "My own mother died too.",
        "XXXkn XXXkn XXXkn",
    ],
)
def test_what_breaks_a_rule_is_withheld_without_its_words(text: str) -> None:
    with pytest.raises(Withheld) as found:
        Guard().watch(WINDOW).allows(clause(text))
    assert text not in str(found.value)


def test_what_breaks_none_passes() -> None:
    assert Guard().watch(WINDOW).allows(clause("The house is so quiet without her."))
    assert Guard(judges=False).watch(WINDOW).allows(clause("XXXkn XXXkn"))


def test_later_words_that_break_a_rule_end_the_reply() -> None:
    watch = Guard().watch(WINDOW)
    assert watch.allows(clause("The house is so quiet without her."))
    assert not watch.allows(clause("You should just get over it."))
