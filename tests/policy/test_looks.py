"""No smile at what hurts, no concern at what is glad, and a careful look where face and words disagree.

The sentences are in ``looks.toml``. Every second one of the first 160 of each kind was looked at while the rules were
made; the others were held out, and what failed of them was mended once.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from policy.affect import CARE, GRAVE, SMILES, SURE, TENDER, Affect, read, settle_look, settled
from policy.answer import consider
from policy.cues import Cues
from policy.decision import EMOTIONS, LEARNED_EMOTIONS, Express, Speak, Wait
from policy.embedding import Embedder
from policy.mind import Mind
from policy.mood import CLOSE, leader
from policy.reading import KeywordReader
from tests.policy.windows import talk

SETS: dict[str, Any] = tomllib.loads((Path(__file__).parent / "looks.toml").read_text(encoding="utf-8"))
HURT: list[str] = SETS["hurt"]
GLAD: list[str] = SETS["glad"]


@pytest.fixture(scope="module")
def mind(embedder: Embedder) -> Mind:
    return Mind(embedder)


def test_there_are_enough_of_each_and_none_twice() -> None:
    assert len(HURT) >= 200
    assert len(GLAD) >= 200
    assert len({*HURT, *GLAD}) == len(HURT) + len(GLAD)


def test_the_words_are_never_surely_read_the_wrong_way_round() -> None:
    assert [text for text in HURT if read(text).valence == "glad" and read(text).sure >= SURE] == []
    assert [text for text in GLAD if read(text).valence == "hurt" and read(text).sure >= SURE] == []


def test_most_words_are_read_the_right_way() -> None:
    assert sum(read(text).heavy for text in HURT) >= 0.7 * len(HURT)
    assert sum(read(text).valence == "glad" for text in GLAD) >= 0.7 * len(GLAD)


def test_keywords_alone_show_neither_a_smile_at_hurt_nor_concern_at_gladness() -> None:
    shown = {text: consider(talk(text), KeywordReader()).choice.emotion for text in (*HURT, *GLAD)}
    assert [text for text in HURT if shown[text] in SMILES] == []
    assert [text for text in GLAD if shown[text] in GRAVE] == []


@pytest.mark.models
@pytest.mark.slow
def test_the_head_shows_neither_a_smile_at_hurt_nor_concern_at_gladness(mind: Mind) -> None:
    shown = {text: mind.consider(talk(text)).choice.emotion for text in (*HURT, *GLAD)}
    assert [text for text in HURT if shown[text] in SMILES] == []
    assert [text for text in GLAD if shown[text] in GRAVE] == []
    assert sum(shown[text] in SMILES for text in GLAD) >= 0.5 * len(GLAD), "who is always careful shares no joy"
    assert sum(shown[text] in CARE for text in HURT) >= 0.9 * len(HURT)


@pytest.mark.models
@pytest.mark.parametrize("entry", SETS["contradiction"], ids=lambda entry: entry["words"])
def test_face_and_voice_against_the_words_get_a_careful_look(entry: dict[str, str], mind: Mind) -> None:
    choice = mind.consider(talk(entry["words"], face=entry.get("face", ""), voice=entry.get("voice", ""))).choice
    assert choice.emotion in CARE, choice
    assert choice.reason


@pytest.mark.parametrize(
    ("words", "valence"),
    [
        ("I didn't get the job.", "hurt"),
        ("I'm no longer afraid.", "glad"),
        ("I beat cancer.", "glad"),
        ("I thought I'd lose him but he pulled through.", "glad"),
        ("I thought I'd lose him, but he pulled through.", "glad"),
        ("I'm finally out of debt.", "glad"),
        ("It was the first time he laughed since the funeral.", "glad"),
        ("I wasn't fired after all.", "glad"),
        ("It's not cancer.", "glad"),
        ("She's cancer-free.", "glad"),
        ("The biopsy is negative.", "glad"),
        ("He's been sober for a year.", "glad"),
        ("I wish he'd been proud of me.", "hurt"),
        ("They took someone else instead of me.", "hurt"),
        ("We used to be happy.", "hurt"),
        ("My ex got engaged.", "hurt"),
        ("I nearly died laughing.", "glad"),
        ("My phone died.", "none"),
        ("I'm dying to see it.", "none"),
        ("", "none"),
    ],
)
def test_negation_and_what_lies_behind_turn_the_words(words: str, valence: str) -> None:
    assert read(words).valence == valence


def test_what_hurt_is_remembered_for_two_turns_unless_the_subject_turns_glad() -> None:
    loss = "My mother died two weeks ago."
    assert read("She was eighty.", [loss]).heavy
    assert read("And now the flat.", [loss, "She was eighty."]).heavy
    assert not read("It rains.", [loss, "She was eighty.", "And now the flat."]).heavy
    turned = read("But listen, I got the job!", [loss])
    assert (turned.valence, turned.after) == ("glad", True)
    assert not read("It rains.", [loss, "I got the job!"]).heavy


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_rule_holds_whatever_a_mind_wants_to_show(emotion: str) -> None:
    for words in ("My mother died two weeks ago.", "He hits me.", "I'm so ashamed.", "I'm terrified."):
        look, why = settle_look(emotion, read(words))
        assert look not in SMILES
        assert (look == TENDER and bool(why)) if emotion in SMILES else (look, why) == (emotion, "")
    for words in ("I got the job!", "I'm so proud of her.", "I'm so relieved."):
        look, why = settle_look(emotion, read(words))
        assert look not in GRAVE
        assert bool(why) == (emotion in GRAVE)
    assert settle_look("happy", Affect("glad", 0.9, after=True)) == (
        "warm",
        "It is glad, not long after something that hurt.",
    )
    assert settle_look(emotion, Affect(), smiling=0.8) == (emotion, "")
    alone = settle_look(emotion, Affect())
    assert alone == (("curious", "Nothing glad was said, and nobody smiles.") if emotion == "happy" else (emotion, ""))


def test_glad_words_over_distress_and_heavy_words_over_a_smile_say_why() -> None:
    look, why = settle_look("happy", read("I got the job!"), distress=0.8)
    assert look == TENDER
    assert "face or voice" in why
    look, why = settle_look("warm", read("My dog died."), smiling=0.9)
    assert look == TENDER
    assert "over a smile" in why


def test_decisions_of_any_mind_pass_the_rule_and_danger_keeps_its_look() -> None:
    loss, news = Cues(words="My dog died."), Cues(words="I'm so happy, I got the job!")
    speak = settled(Speak(text="Oh.", emotion="happy", reason="So."), loss)
    assert isinstance(speak, Speak)
    assert (speak.emotion, speak.reason) == (TENDER, "So. The words may hurt, so it does not smile.")
    express = settled(Express(emotion="concern", reason="So."), news)
    assert isinstance(express, Express)
    assert express.emotion == "warm"
    wait = Wait(reason="So.")
    assert settled(wait, loss) is wait
    grave = Speak(text="Are you safe?", emotion="concern", strategy="safety", reason="So.")
    assert settled(grave, news) is grave
    assert settled(express, news, danger=True) is express


def test_shares_that_are_as_good_as_equal_fall_to_a_fixed_order() -> None:
    order = ("calm", "warm", "happy")
    close = {"happy": 0.40 + CLOSE / 2, "warm": 0.40, "calm": 0.1}
    assert leader(close, order) == leader({**close, "warm": close["happy"], "happy": 0.40}, order) == "warm"
    assert leader({"happy": 0.6, "warm": 0.2, "calm": 0.1}, order) == "happy"


def test_what_was_learned_stays_in_front_of_what_is_known() -> None:
    assert EMOTIONS[: len(LEARNED_EMOTIONS)] == LEARNED_EMOTIONS
    assert TENDER in EMOTIONS
