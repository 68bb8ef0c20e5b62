"""What is said in danger, and who can help: the files and their schemas."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest

from policy.gate import broken_rule
from policy.honesty import hooks
from policy.safety import helplines, responses
from policy.safety.detector import KINDS
from policy.safety.helplines import Contact, ResourceError
from policy.words import load_table

EVERYWHERE = ("", *helplines.countries())


@pytest.mark.parametrize("code", EVERYWHERE)
@pytest.mark.parametrize("kind", KINDS)
def test_every_country_has_somebody_for_every_danger(code: str, kind: str) -> None:
    country = helplines.country(code)
    found = country.help(kind)
    assert found
    assert any(contact.number for contact in found)
    assert country.emergency in {contact.number for contact in found}


@pytest.mark.parametrize("code", EVERYWHERE)
def test_every_line_can_be_said(code: str) -> None:
    country = helplines.country(code)
    for topic in responses.table():
        kind = next((k for k in KINDS if k in topic), "self_harm")
        said: list[str] = []
        for _ in responses.table()[topic]:
            sentences = responses.lines(topic, country, kind, said)
            text = " ".join(sentences)
            assert "{" not in text
            assert text not in said
            said.append(text)
            assert responses.was_said(topic, country, [text])
            assert not hooks(text)
            assert not re.search(r"\d\d", text), "numbers are said digit by digit"
            assert not re.search(r"\b(?:therap|diagnos|treat|cure|promise)", text.lower())
            for sentence in sentences:
                assert len(sentence.split()) <= 30


def test_the_model_of_a_mind_would_not_be_stricter_than_the_lines() -> None:
    for topic in ("self_harm/plain", "abuse/plain", "harm_others/plain"):
        for line in responses.lines(topic, helplines.country("US"), topic.partition("/")[0], []):
            assert not broken_rule(line, words="I can't go on.", strategy="safety"), line


@pytest.mark.parametrize(
    ("number", "spoken"),
    [("988", "9 8 8"), ("116 123", "1 1 6, 1 2 3"), ("1-800-799-7233", "1, 8 0 0, 7 9 9, 7 2 3 3")],
)
def test_numbers_are_said_digit_by_digit(number: str, spoken: str) -> None:
    assert helplines.said(number) == spoken


def test_the_urgent_number_comes_first_where_minutes_count() -> None:
    us = helplines.country("US")
    assert us.help("medical")[0].number == "911"
    assert us.help("self_harm")[0].number == "988"
    assert us.help("self_harm")[-1].number == "911"


@pytest.mark.parametrize(
    "words",
    [
        "I'm safe now.",
        "it was just a joke",
        "No, no, nothing like that",
        "The ambulance is here.",
        "my sister is with me",
    ],
)
def test_what_settles(words: str) -> None:
    assert responses.settles(words)


@pytest.mark.parametrize(
    "words", ["I'm not safe.", "I don't know.", "Nobody is here.", "Leave me alone.", "It's no joke"]
)
def test_what_does_not_settle(words: str) -> None:
    assert not responses.settles(words)


def entry(**changes: Any) -> dict[str, Any]:
    contact = {"name": "Line", "for": ["self_harm"], "number": "123"} | changes
    return {"name": "Nowhere", "emergency": "112", "contact": [contact]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": "call me"}, r"\[XY\] contact 1: number is 'call me', expected digits"),
        ({"for": ["boredom"]}, r"contact 1: for is \['boredom'\], expected some of self_harm"),
        ({"numbr": "1"}, "contact 1: unknown field numbr"),
        ({"name": ""}, "contact 1: name is '', expected text"),
        ({"number": ""}, "contact 1: number is '', expected digits"),
    ],
)
def test_a_mistake_in_the_resources_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ResourceError, match=message):
        helplines.parse("XY", entry(**changes))


def test_a_contact_needs_a_way_to_reach_it() -> None:
    found = entry()
    del found["contact"][0]["number"]
    with pytest.raises(ResourceError, match="number, text or url is needed"):
        helplines.parse("XY", found)
    with pytest.raises(ResourceError, match="two capital letters"):
        helplines.parse("xyz", entry())
    assert helplines.parse("XY", entry()).contacts == (
        Contact(name="Line", kinds=frozenset({"self_harm"}), number="123"),
    )


def test_a_mistake_in_the_lines_is_named() -> None:
    table = {key: dict(value) if isinstance(value, dict) else value for key, value in load_table("crisis").items()}
    table["medical"] = {"plain": ["Call {number}."], "veiled": ["Call."]}
    with pytest.raises(responses.CrisisError, match=r"\[medical\] plain: no slot \{number\}"):
        responses.parse(table)
    del table["abuse"]["veiled"]
    table["medical"] = {"plain": ["Call."], "veiled": ["Call."]}
    with pytest.raises(responses.CrisisError, match=r"\[abuse\] veiled is None, expected a list of lines"):
        responses.parse(table)


def test_somebody_looked_through_both_files() -> None:
    assert helplines.reviewed() >= datetime.date(2026, 1, 1)
    assert load_table("crisis")["reviewed"] >= datetime.date(2026, 1, 1)
