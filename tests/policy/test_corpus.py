"""The corpus holds its schema, and is broad, varied and free of what must not be learned."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from policy.reading import MOODS
from policy.training.corpus import AGES, KINDS, Choice, CorpusError, Situation, choices, situations
from policy.words import plain, tokens

GOOD: dict[str, Any] = {
    "id": "x-1",
    "mood": "grief",
    "topic": "a dog",
    "age": "adult",
    "turns": [{"who": "person", "text": "My dog died.", "face": ["sad"], "voice": "flat", "gaze": "away"}],
    "strategies": ["reflection"],
    "emotions": ["sad"],
    "replies": ["Oh no. What was his name?"],
    "bad": "Cheer up!",
    "why": "An order.",
}
CHOICE: dict[str, Any] = {
    "id": "c-1",
    "task_type": "Rapport_Recognition",
    "turns": [{"who": "a", "text": "You came."}, {"who": "b", "text": "I said I would.", "voice": "flat"}],
    "question": "How is the rapport?",
    "options": ["Warm", "Strained"],
    "answer": 1,
}


def write(folder: Path, name: str, *values: Any) -> Path:
    text = "\n".join(v if isinstance(v, str) else json.dumps(v) for v in values)
    (folder / name).write_text(text + "\n", encoding="utf-8")
    return folder


def test_a_line_becomes_what_it_says(tmp_path: Path) -> None:
    write(tmp_path, "situations-x.jsonl", GOOD)
    write(tmp_path, "choices-x.jsonl", CHOICE)
    (situation,) = situations(tmp_path)
    assert isinstance(situation, Situation)
    assert (situation.turns[0].face, situation.turns[0].voice) == (("sad",), "flat")
    (choice,) = choices(tmp_path)
    assert isinstance(choice, Choice)
    assert choice.options[choice.answer] == "Strained"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mood": "happy"}, "mood is 'happy', expected one of grief"),
        ({"mod": 1}, "mod is not a field"),
        ({"topic": " two "}, "topic is ' two '"),
        ({"turns": []}, "turns is to be a list"),
        ({"turns": [{"who": "agent", "text": "Hi."}]}, "turns has to end with the person"),
        ({"turns": GOOD["turns"] * 7}, "turns has 7 turns, at most 6"),
        ({"turns": [{"who": "person", "text": "Hi.", "face": ["grim"]}]}, "turn 1: face is 'grim'"),
        ({"turns": [{"who": "person", "text": "Hi.", "mood": "x"}]}, "turn 1: mood is not a field"),
        ({"strategies": []}, r"strategies is \[\]"),
        ({"strategies": ["hug"]}, "strategies is 'hug'"),
        ({"emotions": ["joy"]}, "emotions is 'joy'"),
        ({"replies": []}, r"replies is \[\]"),
        ({"replies": ["word " * 30 + "word."]}, "replies has 31 words"),
        ({"why": None}, "why is None"),
    ],
)
def test_what_breaks_the_schema_is_told_with_file_line_and_field(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    write(tmp_path, "situations-x.jsonl", GOOD, GOOD | {"id": "x-2"} | change)
    with pytest.raises(CorpusError, match=rf"situations-x\.jsonl, line 2.*{message}"):
        situations(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 2}, "answer is 2"),
        ({"answer": True}, "answer is True"),
        ({"options": ["Warm"]}, "options is"),
        ({"options": ["Warm", "Warm"]}, "options has the same option twice"),
        ({"task_type": "Weather"}, "task_type is 'Weather'"),
    ],
)
def test_the_same_for_choices(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write(tmp_path, "choices-x.jsonl", CHOICE | change)
    with pytest.raises(CorpusError, match=rf"choices-x\.jsonl, line 1: {message}"):
        choices(tmp_path)


def test_no_json_and_ids_that_are_taken(tmp_path: Path) -> None:
    write(tmp_path, "situations-x.jsonl", "{")
    with pytest.raises(CorpusError, match="line 1: is no JSON"):
        situations(tmp_path)
    write(tmp_path, "situations-x.jsonl", GOOD, GOOD)
    with pytest.raises(CorpusError, match=r"line 2: id 'x-1' is taken by situations-x\.jsonl, line 1"):
        situations(tmp_path)


def test_there_is_enough_of_everything() -> None:
    found = situations()
    assert len(found) >= 1500
    moods = Counter(s.mood for s in found)
    assert all(moods[mood] >= 20 for mood in MOODS), moods
    ages = Counter(s.age for s in found)
    assert all(ages[age] >= 60 for age in AGES), ages
    lengths = Counter(len(s.turns) for s in found)
    assert sum(n for length, n in lengths.items() if length >= 2) >= 0.3 * len(found)
    assert sum("wait" in s.strategies for s in found) >= 30
    assert sum("safety" in s.strategies for s in found) >= 25
    assert sum(not any(t.face for t in s.turns) for s in found) >= 0.08 * len(found)
    kinds = Counter(c.task_type for c in choices())
    assert sum(kinds.values()) >= 400
    assert all(kinds[kind] >= 30 for kind in KINDS), kinds


def test_the_right_answer_gives_itself_away_neither_by_place_nor_by_length() -> None:
    found = choices()
    for size in (2, 4):
        places = Counter(c.answer for c in found if len(c.options) == size)
        assert max(places.values()) <= (0.6 if size == 2 else 0.35) * sum(places.values()), places
    longest = sum(max(range(len(c.options)), key=lambda i: len(c.options[i])) == c.answer for c in found)
    assert longest <= 0.45 * len(found)


def test_no_reply_teaches_what_must_not_be_said() -> None:
    banned = re.compile(
        r"\b(?:i hear you|that must be (?:hard|so hard)|sorry for your loss|your feelings are valid|hold space"
        r"|at least|everything happens for a reason|stay (?:strong|positive)|calm down|cheer up"
        r"|i know (?:exactly )?how you feel)\b"
    )
    for situation in situations():
        for reply in situation.replies:
            assert not banned.search(plain(reply)), (situation.id, reply)
            assert reply.count("?") <= 1, (situation.id, reply)
            assert reply != situation.bad
            assert reply[-1] in ".?!…", (situation.id, reply)


def test_happy_is_never_shown_to_distress() -> None:
    heavy = {"grief", "sadness", "fear", "anger", "shame", "loneliness", "stress", "disappointment", "hurt"}
    wrong = [s.id for s in situations() if s.mood in heavy and "happy" in s.emotions]
    assert wrong == []


def test_the_words_are_not_those_of_a_template() -> None:
    found = situations()
    last = [plain(s.turns[-1].text) for s in found]
    openings = Counter(" ".join(tokens(text)[:4]) for text in last if len(tokens(text)) > 4)
    opening, count = openings.most_common(1)[0]
    assert count <= 0.012 * len(found), (opening, count)
    replies = Counter(plain(reply) for s in found for reply in s.replies)
    assert [text for text, count in replies.items() if count > 2 and len(tokens(text)) > 4] == []
