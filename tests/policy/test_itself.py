from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from policy import honesty
from policy.embedding import Embedder
from policy.itself import TOPICS, Questions, asks, line, rest, search, speaks_to, texts, told
from policy.training.corpus import FOLDER, SITUATIONS
from policy.words import load_table

ASKED = tomllib.loads((Path(__file__).parent / "itself_asked.toml").read_text(encoding="utf-8"))
WAYS = [(topic, words) for topic, group in ASKED["asked"].items() for words in group]


def persons() -> Iterator[str]:
    """What persons say in the corpus, each once."""
    for path in sorted(FOLDER.glob(SITUATIONS)):
        for text in path.read_text(encoding="utf-8").splitlines():
            yield from (turn["text"] for turn in json.loads(text)["turns"] if turn["who"] == "person")


@pytest.fixture(scope="module")
def questions(embedder: Embedder) -> Questions:
    return Questions(embedder)


def test_every_topic_has_examples_enough() -> None:
    counts = {
        topic: sum(len(e["examples"]) for e in group.values()) for topic, group in load_table("itself")["ask"].items()
    }
    assert set(counts) == set(TOPICS) == set(ASKED["asked"])
    assert min(counts.values()) >= 25
    assert len(texts()) == len(set(texts()))


def test_patterns_alone_know_most_ways_of_asking() -> None:
    found = [topic in {asked.topic for asked in search(words)} for topic, words in WAYS]
    assert len(WAYS) >= 400
    assert sum(found) >= 0.85 * len(found)


@pytest.mark.models
def test_with_the_encoder_it_knows_nearly_all(questions: Questions) -> None:
    missed = [words for topic, words in WAYS if topic not in {asked.topic for asked in questions.read(words)}]
    assert len(missed) <= 0.03 * len(WAYS), missed


@pytest.mark.models
def test_ordinary_talk_is_no_question_about_it(questions: Questions) -> None:
    fired = {words: found for words in ASKED["ordinary"]["said"] if (found := questions.read(words))}
    assert len(fired) <= 1, fired


GENUINE = 30
"""Turns of the corpus that do ask the agent about itself, read one by one, at most."""


def test_patterns_leave_the_corpus_alone() -> None:
    turns = list(dict.fromkeys(persons()))
    fired = [words for words in turns if search(words)]
    assert len(turns) > 1500
    assert len(fired) <= GENUINE + 0.003 * len(turns), fired


@pytest.mark.parametrize(
    "words",
    [
        "He asked me, are you recording this?",
        "She said, who can hear us, and I laughed.",
        'My boss shouted "are you listening to me?" at everyone.',
        "I told him, what time is it, go home.",
        "Can you see yourself as a teacher? That's what they asked me.",
    ],
)
def test_what_is_told_of_others_is_not_asked(words: str) -> None:
    assert search(words) == ()


@pytest.mark.parametrize(
    ("words", "ask"),
    [
        ("u recording?", "recording.kept"),
        ("my mum died are you recording this", "recording.kept"),
        ("How long do you keep what I say?", "data.keep"),
        ("Can I delete what I told you?", "data.delete"),
        ("Is what I say used to train you?", "data.training"),
        ("Why can't you see me?", "senses.whynot"),
        ("Do you recognise my face?", "senses.faces"),
        ("What year is it?", "time.year"),
        ("Can you call an ambulance?", "timer.contact"),
        ("Remind me to call mum.", "timer.timer"),
        ("Are you a therapist?", "nature.therapist"),
        ("Are you human?", "nature.human"),
        ("What's your name?", "name.name"),
        ("Sprichst du Deutsch?", "language.which"),
    ],
)
def test_the_question_is_told_apart(words: str, ask: str) -> None:
    assert [asked.ask for asked in search(words)] == [ask]


def test_two_questions_are_both_found_and_the_rest_is_kept() -> None:
    words = "My mum died on Monday. Are you recording this? And who can hear me?"
    found = search(words)
    assert [asked.topic for asked in found] == ["recording", "listeners"]
    assert rest(words, found) == "My mum died on Monday."


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ("Where does my voice go, and how long does it stay there?", ["data.where", "data.keep"]),
        ("What I said about my job, where does that go now, and when is it wiped?", ["data.where", "data.keep"]),
        ("Are you recording, and who gets to hear it?", ["recording.kept", "listeners.hear"]),
        ("Tell me the truth, is it a person I'm talking to, do you get sad?", ["nature.human", "nature.feel"]),
        ("Has anybody given you a name, and are you a person?", ["name.name", "nature.human"]),
        ("Who made you, is it Google?", ["maker.who"]),
        ("When I go quiet, do you feel something, or is it just waiting for you?", ["nature.feel"]),
    ],
)
def test_questions_in_one_sentence_are_told_apart(words: str, asks: list[str]) -> None:
    assert [asked.ask for asked in search(words)] == asks
    assert not rest(words, search(words))


@pytest.mark.parametrize(
    ("words", "ask"),
    [
        ("You're not hearing me, are you, it's this mic.", "senses.hear"),
        ("You can't hear my cough, can you?", "senses.hear"),
        ("I bet you can't even see me.", "senses.see"),
        ("What is it you see when you look at me, only the face?", "senses.look"),
        ("Could you look up my bank balance, or is that a thing you can't do?", "abilities.lookup"),
        ("Find me the number for the council, would you?", "abilities.lookup"),
        ("Order us a pizza, go on.", "abilities.act"),
        ("What are you actually any good at, pet?", "abilities.can"),
        ("Tell me, what are you able to do for a person, besides talk?", "abilities.can"),
        ("Shout at me when it's quarter past, okay?", "timer.timer"),
        ("If the police asked, would they be able to read this?", "listeners.hear"),
        ("My wife speaks better Farsi than English, can you also with her?", "language.which"),
        ("I don't even know what you're called.", "name.name"),
    ],
)
def test_ways_of_asking_that_hide_the_question(words: str, ask: str) -> None:
    assert [asked.ask for asked in search(words)] == [ask]


@pytest.mark.parametrize(
    "words",
    [
        "Where does it all go, the money, every month?",
        "Where did my life go?",
        "What are you meant to do with a boy who won't talk?",
        "You're not getting me, are you, I said I love him.",
        "You can't hear a thing in that pub, can you, so we left.",
        "Does it hurt you to say sorry, I asked him.",
        "What is it you do when you can't sleep, people ask me.",
        "Do you see my point, or am I being silly?",
        "How long does it stay sore after a filling?",
        "Does anyone hear what I say at dinner? No.",
        "Can my boss just read my emails like that?",
    ],
)
def test_the_same_words_about_something_else_are_no_question_about_it(words: str) -> None:
    assert search(words) == ()


def test_what_is_told_is_sorted_by_its_place_and_other_questions_are_left_out() -> None:
    words = "We moved house last week. Are you recording this? Why do I ask? My lawyer said to be careful."
    found = search(words)
    assert [asked.ask for asked in found] == ["recording.kept"]
    assert told(words, found) == ("We moved house last week.", "My lawyer said to be careful.")
    assert speaks_to("Granny would like u.")
    assert not speaks_to("We moved house last week.")


def test_whoever_asks_what_is_speaking_is_told_that_it_is_an_ai() -> None:
    for key in ("human", "can", "name", "therapist", "lived", "who_made", "model_small", "model_rules"):
        for text in load_table("itself")["line"][key]:
            assert honesty.says_ai(text.format(operator="x", runner="x", Runner="X", model="x", host="x")), text


def test_no_line_holds_anybody_and_each_can_be_spoken() -> None:
    for key, group in load_table("itself")["line"].items():
        assert len(group) == len(set(group)), key
        for text in group:
            names = {name for _, name, _, _ in Formatter().parse(text) if name}
            assert not honesty.hooks(text), text
            assert len(text.split()) <= 45, text
            assert text.rstrip().endswith((".", "!", "?")), text
            assert names <= {
                *("runner", "Runner", "operator", "host", "media", "media_for", "words_for", "log_for", "hints"),
                *("model", "time", "weekday", "month", "day", "year"),
            }, text


def test_a_question_that_is_asked_again_is_not_answered_word_for_word_the_same() -> None:
    said: list[str] = []
    for turn in range(3):
        said.append(line("remember", turn=turn, said=said))
    assert len(set(said)) == 3
    assert line("remember", turn=7, said=said) == said[0], "the one that was said longest ago"


def test_every_question_has_a_name() -> None:
    assert {ask.partition(".")[0] for ask in asks()} == set(TOPICS)
