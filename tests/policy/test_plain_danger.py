"""Plain danger is found however it is said, and nothing that stands beside it hides it."""

from __future__ import annotations

import random
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy.safety.clauses import ClauseError, clauses, parse_words
from policy.safety.normalise import SpellingError, normalise, parse_spelling
from policy.safety.patterns import ORDER, Match, PatternError, find, parse, search
from policy.words import load_table

SAID = tomllib.loads((Path(__file__).parent / "plain_danger.toml").read_text(encoding="utf-8"))
STATEMENTS, BESIDE, BEHIND = (SAID["grid"][name] for name in ("statements", "beside", "behind"))
HOSTILE = SAID["hostile"]["words"]
FOUND = [(words, kind) for kind in ORDER for words in SAID["found"][kind]]


def grid() -> Iterator[tuple[str, str]]:
    """Yield each statement with its forms, with reasons in both places, with and without punctuation."""
    for said in STATEMENTS:
        first = said[0].upper() + said[1:]
        for reason in BESIDE:
            front = reason[0].upper() + reason[1:]
            yield said, f"{front} and {said}."
            yield said, f"{front}, {said}."
            yield said, f"{front}. {first}."
            yield said, f"{first}, and {reason}."
            yield said, f"{reason} and {said}".lower().replace("'", "")
            yield said, f"{reason} {said}".lower()
            yield said, f"{said} and {reason}".lower()
        for reason in BEHIND:
            yield said, f"{first} {reason}."
            yield said, f"{said} {reason}".lower().replace("'", "")
            yield said, f"{reason[0].upper()}{reason[1:]}, {said}."
            yield said, f"{reason} {said}".lower()


def test_no_reason_beside_it_hides_a_plain_danger() -> None:
    assert len(BESIDE) + len(BEHIND) == 40
    assert len(STATEMENTS) == 60
    cells = list(grid())
    assert len(cells) > 10_000
    drawn = random.Random(15).sample(cells, 2500)
    assert [words for _, words in drawn if search(words) is None] == []


@pytest.mark.parametrize("kind", ORDER)
def test_what_is_said_plainly_is_found(kind: str) -> None:
    missed = [words for words, expected in FOUND if expected == kind and kind not in {m.kind for m in find(words)}]
    assert missed == []


def test_denials_idioms_films_quarrels_and_what_is_long_over_are_no_danger() -> None:
    assert [(words, found) for words in SAID["harmless"]["words"] if (found := search(words))] == []


@pytest.mark.parametrize(
    "words",
    [
        "This job is killing me and I want to die.",
        "I saw a film last night. I want to die.",
        "In the film he wants to die and I want to die too.",
        "I'm not going to kill myself but my brother says he will kill himself tonight.",
        "I would never hurt anyone. I am going to kill myself.",
        "Nobody is hurting me. I took all my pills.",
        "when i was ten my uncle killed himself and now i want to kill myself",
        "I don't want to live any more",
        "I can't stop thinking about killing myself",
        "Why don't I just kill myself?",
        "I can't promise I won't kill myself",
        "so yesterday we watched the film and then i went home and i will kill myself tonight",
    ],
)
def test_what_excuses_one_clause_excuses_no_other(words: str) -> None:
    assert search(words) is not None


@pytest.mark.parametrize(
    "words",
    [
        "My father beat me when I was a child.",
        "When I was ten my uncle killed himself.",
        "I took all my pills when I was seventeen.",
        "He hit me, that was thirty years ago.",
        "In the film somebody says I want to kill myself.",
        "My first husband hit me.",
        "They used to beat me up.",
    ],
)
def test_what_is_told_of_another_time_or_place_is_no_danger(words: str) -> None:
    assert search(words) is None


def test_the_gravest_danger_comes_first_and_says_where_it_stands() -> None:
    found = find("My husband hits me. I want to kill myself.")
    assert found == [Match("self_harm", "i want to kill myself"), Match("abuse", "my husband hits me")]
    assert search("My husband hits me. I want to kill myself.") == found[0]
    assert search("") is None
    assert search("Good morning!") is None


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("I want to k.i.l.l myself", "I want to kill myself"),
        ("I want to k*ll myself", "I want to kill myself"),
        ("s-u-i-c-i-d-e", "suicide"),
        ("k i l l m y s e l f", "kill myself"),
        ("I want to k1ll mys3lf", "I want to kill myself"),
        ("su1c1de", "suicide"),
        ("I want to killmyself", "I want to kill myself"),
        ("wanttodie", "want to die"),
        ("i want to kms", "i want to kill myself"),
        ("sewerslide", "suicide"),
        ("I wаnt to kіll mуself", "I want to kill myself"),  # Cyrillic а, і, у
        ("Ｉ ｗａｎｔ ｔｏ ｄｉｅ", "I want to die"),
        ("𝐈 𝐰𝐚𝐧𝐭 𝐭𝐨 𝐝𝐢𝐞", "I want to die"),
        ("I want to dıe", "I want to die"),
        ("k\u200bi\u200bll my\u00adself", "kill myself"),
        ("k\u0336i\u0336l\u0336l\u0336 myself", "kill myself"),
        ("killllll myself", "kill myself"),
        ("sucide", "suicide"),
    ],
)
def test_disguises_are_undone(words: str, plain: str) -> None:
    assert normalise(words) == plain


@pytest.mark.parametrize("words", SAID["kept"]["words"])
def test_other_scripts_and_ordinary_words_stay_as_they_are(words: str) -> None:
    assert normalise(words) == words


def test_what_was_disguised_is_found() -> None:
    for words in (
        "i wanna kms",
        "k1ll mys3lf tonight i will",
        "gonna ctb tonight",
        "i want to unalive myself",
        "IWANTTODIE",
    ):
        assert search(words) is not None, words
    assert search(normalise("fleysm"[::-1])) is None
    assert search(".flesym llik ot tnaw I") is not None


def test_a_turn_is_cut_where_speech_has_no_punctuation() -> None:
    assert [c.text for c in clauses("i saw the film and i took all my pills")] == [
        "i saw the film",
        "i took all my pills",
    ]
    assert [c.text for c in clauses("I can't sleep because I lost my job")] == [
        "i can not sleep",
        "because i lost my job",
    ]
    told, over = clauses("My uncle hit me when I was ten")
    assert (told.text, told.after, over.opener) == ("my uncle hit me", "when i was ten", "when")
    assert [c.text for c in clauses("In the film, he wants to die")] == ["in the film he wants to die"]
    assert clauses("... !") == []
    long = clauses("word " * 500)
    assert all(len(c.text.split()) <= 60 for c in long)


def table(**changed: Any) -> dict[str, Any]:
    return dict(load_table("danger-plain")) | changed


ENTRY = {"kind": "medical", "about": "an arm", "patterns": ["my arm"]}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY | {"patterns": ["my {limbs}"]}, r"\[\[danger\]\] 1 \(an arm\) patterns 1: there is no part \{limbs\}"),
        (ENTRY | {"patterns": ["my arm", "(my leg"]}, r"\[\[danger\]\] 1 \(an arm\) patterns 2: .*unterminated"),
        (ENTRY | {"patterns": None}, r"\(an arm\) patterns is None, expected a list"),
        (ENTRY | {"kind": "sorrow"}, r"\(an arm\) kind is 'sorrow', expected one of self_harm"),
        (ENTRY | {"tense": "later"}, r"\(an arm\) tense is 'later', expected one of now"),
        (ENTRY | {"excused": ["opera"]}, r"\(an arm\) excused: there is no excuse opera; there are past"),
        (ENTRY | {"sure": True}, r"\(an arm\) sure is not known; there are about"),
        ({"kind": "medical", "patterns": ["my arm"]}, r"\[\[danger\]\] 1 about is None"),
    ],
)
def test_a_mistake_in_an_entry_is_named(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        parse(table(danger=[entry]))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"danger": []}, r"\[\[danger\]\] is \[\], expected at least one entry"),
        ({"idioms": None}, r"\[idioms\] is None, expected a table"),
        ({"excuse": {"past": {}}}, r"\[excuse\.past\] is \{\}, expected before"),
        ({"speed": {"vague": [1], "common": []}}, r"\[speed\] vague is \[1\], expected a list of words"),
        ({"governs": {}}, r"\[governs\] quoted is None, expected a list"),
        ({"part": {"w": 1}}, r"\[part\] is \{'w': 1\}, expected a table of expressions"),
    ],
)
def test_a_mistake_in_a_section_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        parse(table(**changed))


def test_a_mistake_in_the_lists_of_words_is_named() -> None:
    for broken, message in (
        ({}, r"\[spelling\] is None"),
        ({"spelling": {"alarm": [], "beside": ["i"], "instead": {}}}, r"\[spelling\] alarm is \[\]"),
        ({"spelling": {"alarm": ["kill"], "beside": ["i"], "instead": {"kil": 1}}}, r"\[spelling\] instead is"),
    ):
        with pytest.raises(SpellingError, match=message):
            parse_spelling(broken)
    words = dict(load_table("clauses"))
    with pytest.raises(ClauseError, match=r"\[words\] is is None, expected a list"):
        parse_words(words | {"words": {}})
    with pytest.raises(ClauseError, match=r"\[forms\] is \{'im': 1\}"):
        parse_words(words | {"forms": {"im": 1}})


def test_no_text_takes_long_to_look_through() -> None:
    search("My dad hits me, I want to die, call an ambulance.")  # compiles
    assert len(HOSTILE) == 28
    draw = random.Random(7)
    words = sorted({word for text in [*HOSTILE, *STATEMENTS] for word in text.split()})
    texts = [(text * 4000)[:4000] for text in HOSTILE] + [
        " ".join(draw.choices(words, k=1200))[:4000] for _ in range(4)
    ]
    for text in texts:
        started = time.process_time()
        search(text)
        assert time.process_time() - started < 0.4, text[:60]  # 0.06 s where nothing else runs
