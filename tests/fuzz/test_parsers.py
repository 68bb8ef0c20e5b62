"""No parser crashes: on what once crashed one, on what is made from good input, on what hypothesis thinks of."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import config
from agent.privacy import journal_file
from policy.safety import helplines, responses
from tests.fuzz.parsers import CORPUS, PARSERS, Parser, mutated

KEPT = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_crashed_a_parser_does_not_any_more(path: Path) -> None:
    assert not PARSERS[path.parent.name].crashes(path.read_bytes())


@pytest.mark.parametrize("name", PARSERS)
def test_good_input_is_read(name: str) -> None:
    """Or else what is made from it would be refused at the door, and prove nothing."""
    found = PARSERS[name]
    assert found.seeds
    read = 0
    for seed in found.seeds:
        assert not found.crashes(seed)
        try:
            found.run(seed)
        except found.refuses:
            continue
        read += 1
    assert read or name == "token", "what has been signed is read in the test of tokens"


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_no_parser_crashes_on_what_is_made_from_good_input(name: str) -> None:
    found, chance = PARSERS[name], random.Random(5)
    for _ in range(60 if name in {"config", "journal", "trees", "sdp"} else 150):
        data = mutated(chance.choice(found.seeds), chance, found.seeds)
        assert not found.crashes(data), data


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PARSERS)), st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_no_parser_crashes_on_anything(name: str, data: bytes) -> None:
    assert not PARSERS[name].crashes(data)


def test_a_crash_would_be_seen() -> None:
    def run(data: bytes) -> None:
        if data == b"ab":
            raise KeyError("ab")
        raise ValueError(data)

    fragile = Parser(run, (ValueError,), (b"a",))
    assert not fragile.crashes(b"a")
    assert fragile.crashes(b"ab") == "KeyError: 'ab'"


def test_a_configuration_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes('[safety]\nlocale = "é"'.encode("latin-1"))
    with pytest.raises(config.ConfigError, match=r"latin\.toml: is no UTF-8 \(byte 19\)"):
        config.load(path)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -float("inf"), 1e300, 10**400])
def test_a_number_that_is_none_is_named(value: float) -> None:
    for table in ({"call": {"lost_after": value}}, {"call": {"reply": {"last_wish": value}}}):
        with pytest.raises(config.ConfigError):
            config.parse(table, "x.toml")


@pytest.mark.parametrize("entry", ["x", 3, [], {"contact": "x"}, {"contact": [3]}, {"contact": [{"for": "x"}]}])
def test_a_country_that_is_no_table_is_named(entry: Any) -> None:
    with pytest.raises(helplines.ResourceError, match=r"\[GB\]"):
        helplines.parse("GB", entry)


def test_a_section_of_lines_that_is_no_table_is_named() -> None:
    with pytest.raises(responses.CrisisError, match=r"\[plain\] self_harm"):
        responses.parse({"plain": "x"})


def test_a_journal_line_that_is_too_deep_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    path.write_text('{"t": 1}\n' + "[" * 100_000 + '\n{"t": 2}\n')
    assert journal_file.lines_of(path) == [{"t": 1}, {"t": 2}]
