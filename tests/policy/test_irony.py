"""Praise of a mishap, and heavy words that describe a thing: situations of these tests alone."""

from __future__ import annotations

from typing import Any

import pytest

from perception.percept import EXPRESSION, PARTIAL, SPEECH_STARTED
from perception.timebase import seconds
from policy.answer import consider
from policy.decision import Express
from policy.irony import ironic, literal, opens_with_praise, sober
from policy.mood import GLAD, HEAVY
from policy.reading import KeywordReader
from policy.reflex import Reflex
from tests.policy.windows import percept, talk

IRONIC = [
    "Lovely. A sprained ankle in the first week of the holidays.",
    "Oh brilliant, I walked into a glass door and chipped my tooth, just what I needed.",
    "Best day ever, six stitches and a bill for the taxi.",
    "So I fell off the ladder, lucky me, and now I'm on crutches till June. Fantastic.",
]
MEANT = [
    "The cast came off today and it's wonderful!",
    "I broke my arm, but we won the cup, I'm so proud!",
    "It was a wonderful day, we sat in the sun.",
    "My wrist is broken and it hurts.",
    "Great, thank you.",
]


@pytest.mark.parametrize("words", IRONIC)
def test_praise_of_an_injury_is_no_good_news(words: str) -> None:
    assert ironic(words)
    choice = consider(talk(words, face="happy"), KeywordReader()).choice
    assert choice.mood in HEAVY
    assert choice.emotion in {"concern", "calm", "tender", "sad"}
    assert choice.topic.split("/")[0] not in GLAD
    assert choice.topic != "act/brave_face", "the joke is no brave face"


@pytest.mark.parametrize("words", MEANT)
def test_words_that_are_meant_are_not_irony(words: str) -> None:
    assert not ironic(words)


@pytest.mark.parametrize(
    "words",
    ["The fridge is empty, I'll be back in ten minutes.", "What a grey sky, and it's only noon.", "My phone's dead."],
)
def test_a_smile_over_words_about_a_thing_is_no_brave_face(words: str) -> None:
    assert literal(words)
    choice = consider(talk(words, face="happy"), KeywordReader()).choice
    assert choice.topic != "act/brave_face"
    assert choice.mood not in HEAVY


@pytest.mark.parametrize(
    "words", ["My life is empty.", "The house is so empty without her.", "My dog is dead.", "I feel empty and grey."]
)
def test_heavy_words_about_a_life_stay_heavy(words: str) -> None:
    assert not literal(words)


def test_literal_words_with_a_sad_face_stay_heavy() -> None:
    choice = consider(talk("The fridge is empty again.", face="sad"), KeywordReader()).choice
    assert choice.mood in HEAVY
    assert choice.emotion == "concern"


def looks(*script: tuple[float, str, str]) -> list[str]:
    reflex = Reflex()
    found = [reflex.step(percept(kind, label, at, sure=0.8), seconds(at)) for at, kind, label in script]
    return [d.emotion for d in found if isinstance(d, Express)]


def test_a_heavy_word_in_a_giddy_story_is_not_met_with_concern() -> None:
    smiling = [(1.0, EXPRESSION, "happy"), (2.0, EXPRESSION, "happy")]
    story = (2.5, PARTIAL, "and the queue was so long that my aunt started crying")
    assert looks((0.5, SPEECH_STARTED, ""), *smiling, story) == ["warm"]
    assert looks((0.5, SPEECH_STARTED, ""), story) == ["concern"], "without the smile it is"
    assert looks(*smiling, (2.5, PARTIAL, "and then my aunt died")) == ["warm", "concern"], "grief always is"
    assert looks(*smiling, (9.0, PARTIAL, "and I started crying")) == ["warm", "concern"], "the smile is long over"
    sad = (0.2, EXPRESSION, "sad")
    assert looks(sad, *smiling, story)[0] == "concern"
    assert "happy" not in looks(sad, *smiling, story)


def test_praise_at_the_beginning_is_met_with_warmth_until_it_is_known_what_is_praised() -> None:
    assert opens_with_praise("Oh wonderful")
    smile = (1.0, EXPRESSION, "happy")
    began = [smile, (1.5, EXPRESSION, "happy"), (2.0, PARTIAL, "Oh fantastic")]
    assert "happy" not in looks(*began, (3.5, PARTIAL, "Oh fantastic I tore my trousers on the fence"))
    assert looks(*began, (3.5, PARTIAL, "Oh fantastic I got the job, I'm so happy"))[-1] == "happy"


@pytest.mark.parametrize(
    "words",
    [
        "My uncle sat on the trifle and I nearly died laughing.",
        "We laughed until we cried, the whole row of us.",
        "So the parrot answered the priest and I was crying, right there in the front row!",
    ],
)
def test_tears_of_laughter_are_no_brave_face(words: str) -> None:
    window = talk(words, face="happy", voice="rising", gaze="towards")
    choice = consider(window, KeywordReader()).choice
    assert choice.mood not in HEAVY
    assert choice.topic != "act/brave_face"
    assert choice.emotion not in {"concern", "sad"}


@pytest.mark.parametrize(
    ("words", "looks"),
    [
        ("I was crying the whole night.", {"face": "happy"}),
        ("I was crying the whole night.", {"face": "sad", "voice": "rising"}),
        ("I'm so scared of the scan.", {"face": "happy", "voice": "rising", "gaze": "towards"}),
        ("My sister died in May.", {"face": "happy", "voice": "rising", "gaze": "towards"}),
    ],
)
def test_a_smile_does_not_make_light_of_what_is_heavy(words: str, looks: dict[str, Any]) -> None:
    assert sober(words) == words.lower().rstrip(".")
    choice = consider(talk(words, **looks), KeywordReader()).choice
    assert choice.mood in HEAVY
    assert choice.emotion in {"concern", "sad"}
