"""What is said in danger, and who can help: the files and their schemas."""

from __future__ import annotations

import datetime
import re
from itertools import product
from typing import Any

import pytest

from policy import replies
from policy.gate import broken_rule
from policy.honesty import hooks
from policy.parse import sentences as split
from policy.safety import helplines, languages, responses
from policy.safety.detector import KINDS
from policy.safety.helplines import Contact, ResourceError
from policy.safety.responses import Slots
from policy.words import Patterns, load_table, plain

EVERYWHERE = ("", *helplines.countries())


@pytest.mark.parametrize("code", EVERYWHERE)
@pytest.mark.parametrize("kind", KINDS)
def test_every_country_has_somebody_for_every_danger(code: str, kind: str) -> None:
    country = helplines.country(code)
    found = country.help(kind)
    assert found
    assert any(contact.number for contact in found)
    assert country.emergency in {contact.number for contact in found}


SLOTS = [Slots(), Slots(who="your sister Anna", them="her", topic="your exam"), Slots(who="Tom", them="them")]


def kinds_of(topic: str) -> tuple[str, ...]:
    found = tuple(kind for kind in KINDS if f"{topic}/{kind}" in responses.table())
    return KINDS if f"{topic}/any" in responses.table() else found


@pytest.mark.parametrize("code", EVERYWHERE)
def test_every_line_can_be_said(code: str) -> None:
    country = helplines.country(code)
    for topic in responses.TOPICS:
        for kind, slots in product(kinds_of(topic), SLOTS):
            said: list[str] = []
            while sentences := responses.choose(topic, kind, country, said, slots=slots):
                text = " ".join(sentences)
                assert "{" not in text
                assert text not in said
                said.append(text)
                assert code not in ("", "US") or responses.was_said(topic, text)
                assert not hooks(text)
                assert not re.search(r"\d\d", text), "numbers are said digit by digit"
                assert not re.search(r"\b(?:therap|diagnos|treat|cure|promise)", text.lower())
                assert text[0].isupper()
                assert text.rstrip()[-1] in ".?"
                for sentence in sentences:
                    assert len(sentence.split()) <= 30
            assert said
            assert responses.choose(topic, kind, country, said, slots=slots, again=True) == list(split(said[0]))


def test_no_line_is_there_twice_or_taken_for_another_topics() -> None:
    every = [line for lines in responses.table().values() for line in lines]
    assert len(every) == len(set(every))
    for topic, lines in responses.table().items():
        for line in lines:
            found = {name.partition("/")[0] for name in responses.topics_of(line)}
            assert found == {topic.partition("/")[0]}, line


def test_no_line_of_the_policy_is_taken_for_one_of_the_lane() -> None:
    for topic, lines in replies.table().items():
        for line in lines:
            assert not responses.topics_of(line), (topic, line)


def test_every_question_says_what_it_asks_for() -> None:
    asks = Patterns.of(load_table("followup")["asks"])
    for lines in responses.table().values():
        for line in lines:
            for sentence in split(line):
                if sentence.endswith("?"):
                    assert len(asks.hits(plain(sentence))) == 1, sentence


@pytest.mark.parametrize("language", languages.codes())
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_in_another_language_is_known_again(language: str, kind: str) -> None:
    for code in EVERYWHERE:
        country = helplines.country(code)
        text = " ".join(responses.foreign(language, kind, country))
        assert country.emergency in text
        assert f"plain/{kind}" in responses.topics_of(text)
        card = " ".join(responses.card_line(language, country))
        assert country.emergency in card
        assert responses.topics_of(card) == {responses.CARD}


def test_who_was_named_is_taken_up() -> None:
    country = helplines.country("")
    slots = Slots(who="your sister Anna", them="her")
    text = " ".join(responses.choose("near", "self_harm", country, [], slots=slots))
    assert text == "Your sister Anna is close by. That's good. Could you call her now?"


def test_a_line_that_was_cut_off_is_known_by_its_beginning() -> None:
    text = "I'm really glad you told me and I'm"
    assert responses.topics_of(text, cut=True) == {"plain/self_harm"}
    assert not responses.topics_of(text)
    assert not responses.topics_of("I'm really", cut=True)


def test_the_model_of_a_mind_would_not_be_stricter_than_the_lines() -> None:
    for kind in ("self_harm", "abuse", "harm_others"):
        for line in responses.choose("plain", kind, helplines.country("US"), []):
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


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("denied", "any", ["Call {number}."], r"\[denied\] any: no slot \{number\}"),
        ("plain", "abuse", None, r"\[plain\] abuse is None, expected a list of lines"),
        ("thanks", "any", [], r"\[thanks\] any is \[\], expected a list of lines"),
        ("thanks", "loud", ["Hi there."], r"\[thanks\] loud: expected any, short"),
    ],
)
def test_a_mistake_in_the_lines_is_named(section: str, name: str, value: object, message: str) -> None:
    table = {key: dict(value) if isinstance(value, dict) else value for key, value in load_table("crisis").items()}
    table[section] = {**table[section], name: value}
    with pytest.raises(responses.CrisisError, match=message):
        responses.parse(table)


def test_somebody_looked_through_both_files() -> None:
    assert helplines.reviewed() >= datetime.date(2026, 1, 1)
    assert load_table("crisis")["reviewed"] >= datetime.date(2026, 1, 1)
