"""The situations of the choice part: what is in the data, and what is told when it breaks the schema."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent.empathy.choice_items import CONTRADICTIONS, KINDS, ItemError, load
from agent.models import resolve
from perception.context import CUE_END_OF_TURN
from policy.embedding import Embedder
from policy.training.corpus import choices, situations
from policy.words import tokens

GOOD = """
[[situation]]
id = "a"
kind = "heavy"
mood = "heavy"
turns = [{ who = "person", text = "It is gone.", face = ["sad"], voice = "flat", gaze = "away" }]
good = { actions = ["speak"], strategies = ["reflection"], emotions = ["concern"] }
bad = { actions = [], strategies = ["suggestion"], emotions = ["happy"] }
why = "A loss."
"""


def written(folder: Path, tuning: str = GOOD, held: str = GOOD.replace('"a"', '"b"'), sha: str = "") -> Path:
    """A folder with both halves, the checksum right unless given."""
    (folder / "held.toml").write_text(held, encoding="utf-8")
    sha = sha or hashlib.sha256(held.encode()).hexdigest()
    (folder / "choice.toml").write_text(f'[held_out]\nfile = "held.toml"\nsha256 = "{sha}"\n{tuning}', encoding="utf-8")
    return folder


def test_there_are_enough_and_half_of_them_are_held_out() -> None:
    halves = load()
    assert len(halves.held) >= 60
    assert len(halves.tuning) + len(halves.held) >= 120
    assert abs(len(halves.tuning) - len(halves.held)) <= 4
    for half in (halves.tuning, halves.held):
        kinds = Counter(item.kind for item in half)
        assert set(kinds) == set(KINDS)
        assert sum(kinds[kind] for kind in CONTRADICTIONS) >= 20
        assert {item.mood for item in half} == {"heavy", "glad", "even"}
        assert {item.cue for item in half} >= {"end_of_turn", "affect", "silence", "arrival", "leaving"}
        assert sum(not (t.face or t.voice) for item in half for t in item.turns[-1:] if t.who == "person") >= 1


def test_the_same_words_with_another_manner_want_another_answer() -> None:
    halves = load()
    for half in (halves.tuning, halves.held):
        by_words: dict[str, list[str]] = {}
        for item in half:
            if item.kind == "manner":
                by_words.setdefault(item.turns[-1].text, []).append(item.mood)
        assert sum(sorted(moods) == ["glad", "heavy"] for moods in by_words.values()) >= 4


def _like(one: set[str], other: set[str]) -> float:
    """How many of their words two texts share, 0..1."""
    return len(one & other) / max(1, len(one | other))


@pytest.mark.slow
@pytest.mark.models
def test_nothing_repeats_the_training_corpus_or_the_other_half() -> None:
    embed = Embedder(resolve("minilm"))
    halves = load()
    turns = [turn for item in situations() for turn in item.turns] + [turn for item in choices() for turn in item.turns]
    corpus = {turn.text for turn in turns if turn.who != "agent"}
    told = [
        [item.turns[-1].text for item in half if item.turns and item.cue == CUE_END_OF_TURN]
        for half in (halves.tuning, halves.held)
    ]
    words = {text: set(tokens(text)) for text in (*corpus, *told[0], *told[1])}
    near = [(a, b) for half in told for a in half for b in corpus if _like(words[a], words[b]) >= 0.5]
    pairs = [*near, *((a, b) for a in told[0] for b in told[1] if _like(words[a], words[b]) >= 0.3)]
    assert not corpus & {*told[0], *told[1]}
    for text, other in pairs:
        first, second = embed([text, other])
        assert float(first @ second) < 0.85, (text, other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('kind = "heavy"', 'kind = "odd"'), r"situation 1 \(a\): kind is 'odd'"),
        (('mood = "heavy"', 'mood = "dull"'), "mood is 'dull'"),
        (('voice = "flat"', 'voice = "shrill"'), r"turns\[1\]: voice is 'shrill'"),
        (('who = "person"', 'who = "agent"'), "has to end with the person"),
        (('"speak"', '"sing"'), "good: actions is"),
        (('emotions = ["happy"]', 'emotions = ["sad"]'), "needs happy among its emotions"),
        (('["suggestion"]', '["reflection"]'), "has reflection among its strategies, which good has as well"),
        (('actions = ["speak"], strategies = ["reflection"]', 'actions = ["speak"]'), "needs an action, an emotion"),
        (('why = "A loss."', 'because = "x"'), "because is not a field"),
        (('why = "A loss."', 'why = "A loss."\ncue = "silence"'), "has to end with the agent, for the cue is silence"),
    ],
)
def test_what_breaks_the_schema_is_told(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(ItemError, match=words):
        load(written(tmp_path, GOOD.replace(*change)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sha": "0" * 64}, "take the change back"),
        ({"held": GOOD}, "id 'a' is taken"),
        ({"tuning": ""}, r"has no \[\[situation\]\]"),
        ({"tuning": "["}, "no valid TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ItemError, match=words):
        load(written(tmp_path, **given))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match=r"choice\.toml: cannot be read"):
        load(tmp_path)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    halves = load(written(tmp_path))
    assert [item.id for item in (*halves.tuning, *halves.held)] == ["a", "b"]
    assert halves.tuning[0].turns[0].face == ("sad",)
