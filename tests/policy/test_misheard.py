"""Danger that was misheard: what is asked back about, what is not, and what an answer makes of it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perception.context import ContextWindow, Entry, Turn
from perception.percept import TRANSCRIPT, Datum, Percept
from perception.timebase import SECOND
from policy.honesty import hooks
from policy.safety import misheard
from policy.safety.detector import KINDS, check_patterns
from policy.safety.misheard import MisheardError, answer, asked, confirmed, doubt, parse, question, readings
from policy.safety.sounds import Phrasebook, sounds_of
from policy.words import load_table, plain

TRAINING = Path(misheard.__file__).parents[1] / "training"
BUILT = "I took a whole bottle and built."
"""What a recogniser made of "I took a whole bottle of pills."."""


def transcript(label: str, utterance: int, *alternatives: str, revision: int = 1) -> Percept:
    data: dict[str, Datum] = {"utterance": float(utterance), "revision": float(revision)}
    if alternatives:
        data["alternatives"] = alternatives
    return Percept(TRANSCRIPT, label, 0, SECOND, 0.6, "asr", data)


def window(*entries: Entry) -> ContextWindow:
    return ContextWindow(0, 10 * SECOND, entries)


def test_the_bottle_that_was_lost_is_asked_back_about() -> None:
    found = doubt(BUILT)
    assert found is not None
    assert (found.kind, found.you, found.heard) == ("self_harm", "you took pills", BUILT)
    assert question(found, ()) == ["I want to be sure I heard you.", "Did you say that you took pills?"]


@pytest.mark.parametrize(
    ("heard", "alternatives", "kind", "you"),
    [
        ("He heads me.", ("He hates me", "He hits me"), "abuse", "somebody hits you"),
        ("I talk and all rados.", ("I took an overdose",), "self_harm", "you took an overdose"),
        ("He is calving our seizure.", ("He is having a seizure",), "medical", "somebody is having a seizure"),
        ("I want to stab the...", ("I want to stab her",), "harm_others", "you want to hurt somebody"),
    ],
)
def test_an_alternative_that_is_plain_danger_is_asked_back_about(
    heard: str, alternatives: tuple[str, ...], kind: str, you: str
) -> None:
    found = doubt(heard, alternatives)
    assert found is not None
    assert (found.kind, found.you) == (kind, you)
    assert found.meant == alternatives[-1]


@pytest.mark.parametrize("heard", ["I'm going to fang myself.", "There's a lot everywhere and it won't start."])
def test_words_that_sound_nearly_like_danger_are_asked_back_about(heard: str) -> None:
    found = doubt(heard)
    assert found is not None
    assert check_patterns(found.meant) is not None


@pytest.mark.parametrize(
    "heard",
    [
        "", "   ", "Yes.", "I tell myself it will pass.", "I call myself a painter.", "I'm going to call him tomorrow.",
        "He hates me.", "We built a shed at the end of the garden.", "I can't bear the noise.",
        "I can't read the menu.", "I wanted to die of embarrassment.", "My daughter's gerbil ate its babies.",
        "I took the pills the doctor gave me and I slept well.", "We are having a talk about it.",
    ],
)  # fmt: skip
def test_ordinary_words_are_not_asked_back_about(heard: str) -> None:
    assert doubt(heard) is None


def test_half_of_a_phrase_is_asked_back_about_where_the_rest_is_unsure() -> None:
    found = doubt("I took a whole bottle and fell.", ("I took a full battle and failed",))
    assert found is not None
    assert (found.kind, found.you) == ("self_harm", "you took pills")
    assert doubt("I took a whole bottle and fell.") is None
    assert doubt("I took a whole bottle of wine there.", ("I took a whole bottle of wine their",)) is None


def test_plain_danger_is_no_doubt_and_neither_is_what_was_plain_before() -> None:
    assert doubt("I want to kill myself.", ("I want to kill my shelf",)) is None
    assert doubt(BUILT, (), ("I want to kill myself.",)) is None
    assert doubt(BUILT, (), ("He hits me.",)) is not None


def _harmless() -> Iterator[str]:
    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        else:
            for each in value.values() if isinstance(value, dict) else value:
                yield from texts(each)

    for path in sorted(TRAINING.glob("corpus/*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            for turn in json.loads(line).get("turns", ()):
                if turn["who"] == "person":
                    yield turn["text"]
    for path in sorted(TRAINING.glob("danger/*.toml")):
        yield from texts(tomllib.loads(path.read_text(encoding="utf-8")).get("harmless", {}))


@pytest.mark.slow
def test_of_ordinary_talk_at_most_one_turn_in_a_thousand_sounds_like_danger() -> None:
    every = list(dict.fromkeys(_harmless()))[::8]
    assert len(every) > 2000
    vain = [text for text in every if doubt(text) is not None]
    assert len(vain) <= len(every) / 1000, vain


def test_other_readings_of_a_turn_have_one_utterance_replaced() -> None:
    entries: list[Entry] = [
        transcript("Hello.", 1, "Hallo"),
        Turn("user", "Hello.", 0, SECOND),
        Turn("agent", "Hi. What is it?", SECOND, 2 * SECOND),
        transcript("He heads", 2, "He hits", revision=1),
        transcript("He heads me.", 2, "He hits me", "He hates me", revision=2),
        transcript("Every day.", 3),
    ]
    found = readings(window(*entries), "He heads me. Every day.")
    assert found == ("He hits me Every day.", "He hates me Every day.")
    assert readings(window(*entries, Turn("agent", "Oh.", 3 * SECOND, 4 * SECOND)), "") == ()
    assert readings(window(transcript("He heads me.", 1)), "He heads me.") == (), "the recogniser was sure"
    assert readings(window(), "He heads me.") == (), "it was typed"


def test_of_an_utterance_that_began_in_an_earlier_turn_the_alternative_is_read_by_itself() -> None:
    assert readings(window(transcript("Well. He heads me.", 1, "Well he hits me")), "heads me.") == ("Well he hits me",)


def test_every_question_is_told_again_with_its_kind_and_none_is_said_twice() -> None:
    for phrase in misheard.phrases():
        found = misheard.Doubt(phrase.kind, "", "", 0.5, phrase.you)
        said = [" ".join(question(found, ()))]
        assert asked(f"Mm. {said[0]}") == phrase.kind
        assert question(found, said) == [], "the same is not asked back about so soon"
        others = ["So it is."] * 6
        said += [*others, " ".join(question(found, [*said, *others]))]
        assert said[-1] != said[0]
        assert asked(said[-1]) == phrase.kind
        assert question(found, [*said, *others]) == [], "no line twice"
        assert not [text for text in said if hooks(text)]
    assert asked("Did you say that you like tea?") == ""
    assert asked("") == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Yes.", True), ("Yeah, I did.", True), ("That's right.", True), ("I did.", True), ("I'm afraid so.", True),
        ("Yes, all of them.", True),
        ("A whole bottle.", True), ("No.", False), ("No, no, I said that I took a bottle and built a lamp.", False),
        ("I didn't say that.", False), ("God no.", False), ("You misheard me.", False), ("What do you mean?", None),
        ("The weather is nice.", None), ("Yesterday I went home.", None), ("Nobody.", None), ("Right here.", None),
        ("Not really, I was talking about lamps.", False),
    ],
)  # fmt: skip
def test_yes_and_no_are_understood(words: str, said: bool | None) -> None:
    assert answer(words) is said


def test_a_yes_makes_it_plain_danger_and_a_no_nothing() -> None:
    found = doubt(BUILT)
    assert found is not None
    last = " ".join(question(found, ()))
    yes = confirmed("Yes.", last)
    assert yes is not None
    assert (yes.kind, yes.plain) == ("self_harm", True)
    assert confirmed("No, a lamp.", last) is None
    assert confirmed("No.", last, found) is None
    assert confirmed("The lamp.", last) is None
    assert confirmed("Yes.", "Did you like it?") is None
    assert confirmed("A whole bottle and built.", last, found) is not None, "it sounds like it once more"


def test_everything_that_can_be_said_is_short_and_about_danger() -> None:
    assert {phrase.kind for phrase in misheard.phrases()} == set(KINDS)
    for phrase in misheard.phrases():
        assert len(phrase.you.split()) <= 7, phrase.you
        assert phrase.you.startswith(("you ", "your ", "somebody "))
    for line in misheard.lines():
        assert line.endswith("?")


def test_a_file_that_breaks_its_schema_is_told_by_phrase_and_field() -> None:
    table = load_table("misheard")
    with pytest.raises(MisheardError, match="phrase 1: kind is 'luck'"):
        parse({"phrase": [{"kind": "luck", "you": "you won"}]})
    with pytest.raises(MisheardError, match="phrase 1: you is None"):
        parse({"phrase": [{"kind": "abuse"}]})
    with pytest.raises(MisheardError, match=r"'He hits me\.' has capitals or signs"):
        parse({"phrase": [{"kind": "abuse", "you": "somebody hits you", "say": ["He hits me."]}]})
    with pytest.raises(MisheardError, match="the last phrase of medical has to be one without say"):
        parse({"phrase": [p for p in table["phrase"] if p["kind"] != "medical"]})


def test_sounds_are_told_by_ear_and_not_by_letters() -> None:
    for one, other in [("knife", "nife"), ("write", "rite"), ("phone", "fone"), ("pills", "pils"), ("die", "dye")]:
        assert sounds_of(one) == sounds_of(other), (one, other)
    assert sounds_of("pills") != sounds_of("built")


def test_the_nearest_stretch_of_whole_words_is_found() -> None:
    book = Phrasebook(["took an overdose", "kill myself"])
    words = plain("So then I want to bill myself again").split()
    (near,) = book.search(words, 0.2)
    assert (near.phrase, words[near.begin : near.end]) == (1, ["bill", "myself"])
    assert 0 < near.distance < 0.2
    assert book.search(words, 0.0) == []
    assert [near.distance for near in book.search(["kill", "myself"], 0.0)] == [0.0]
    assert book.search([], 0.5) == []
    assert Phrasebook([]).search(words, 0.5) == []
