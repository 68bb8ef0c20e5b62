from __future__ import annotations

import re
from collections import Counter

import pytest

from policy import replies
from policy.decision import STRATEGIES
from policy.reading import MOODS
from policy.words import load_table, plain, tokens

LINES = [
    (topic, line) for topic, lines in replies.table().items() for line in lines if not topic.startswith("backchannel")
]
MOODED = [(topic, line) for topic, line in LINES if topic.split("/")[0] in {*MOODS, "heavy", "glad"}]

BANNED = [
    "as an ai", "hold space", "holding space", "valid", "journey", "safe space", "sorry for your loss", "i hear you",
    "everything happens", "stay strong", "stay positive", "could be worse", "at least", "time heals", "cheer up",
    "calm down", "i understand how", "i know how you feel", "i know exactly", "that must be hard", "that sounds hard",
    "you should", "you must", "you need to", "have you tried", "just relax", "my husband", "my wife", "my childhood",
    "when i was", "don't be sad", "don't cry", "get over it", "move on", "self-care", "boundaries", "toxic", "trauma",
    "process your", "unpack", "reach out", "mindful", "therapy", "diagnos",
]  # fmt: skip


def test_there_are_enough() -> None:
    assert len(MOODED) >= 250
    for mood in MOODS:
        for strategy in ("question", "restatement", "reflection", "affirmation", "suggestion"):
            assert f"{mood}/{strategy}" in replies.table(), (mood, strategy)
    for topic, _ in MOODED:
        assert topic.split("/")[1] in STRATEGIES


@pytest.mark.parametrize(("topic", "line"), LINES)
def test_a_line_can_be_said(topic: str, line: str) -> None:
    count = len(tokens(line.replace("{topic}", "your exam")))
    assert 1 <= count <= 30, count
    assert line[0].isupper() or line.startswith("{topic}")
    assert line[-1] in ".?!"
    assert line == " ".join(line.split())
    assert line.isascii()
    assert not re.search(r"[\[\]<>*_#|]|http|\d", line)
    if not topic.startswith("crisis/"):
        for word in BANNED:
            assert not re.search(rf"\b{word}", plain(line)), word
    assert line.count("{topic}") <= 1
    assert set(re.findall(r"\{(\w*)\}", line)) <= {"topic"}


def test_no_line_is_there_twice() -> None:
    counts = Counter(plain(line) for topic, line in LINES)
    assert [line for line, count in counts.items() if count > 1] == []


def test_no_formula_is_worn_out() -> None:
    openings = Counter(" ".join(plain(line).split()[:2]) for topic, line in MOODED if not topic.endswith("restatement"))
    opening, count = openings.most_common(1)[0]
    assert count <= len(MOODED) * 0.05, opening
    sounds = sum("sounds like" in plain(line) for _, line in MOODED)
    assert sounds <= len(MOODED) * 0.03


def test_questions_are_questions_and_reflections_are_none() -> None:
    for topic, line in MOODED:
        strategy = topic.split("/")[1]
        if strategy == "question":
            assert "?" in line, line
        elif strategy in {"reflection", "affirmation", "restatement"}:
            assert "?" not in line, line


def test_nothing_claims_to_see_or_hear_what_may_be_off() -> None:
    for _, line in MOODED:
        assert not re.search(r"\b(?:you look|your face|your voice|your eyes|i can see|i see you)\b", plain(line)), line


def test_slots_take_any_noun_phrase() -> None:
    slotted = [line for _, line in LINES if "{topic}" in line]
    assert len(slotted) >= 12
    for line in slotted:
        after = line.split("{topic}")[1]
        assert not re.match(r"\s+(?:is|are|was|were|has|have|does|do|makes?|matters?|needs?)\b", after), line


def test_crisis_lines_invent_no_number_and_do_not_sound_light() -> None:
    for topic, line in LINES:
        if topic.startswith("crisis/"):
            assert not re.search(r"\d|great|wonderful|don't worry", line)
    assert "your local emergency number" in replies.table()["crisis/self_harm"][0]
    assert "your local emergency number" in replies.table()["crisis/medical"][0]


def test_the_greeting_says_that_it_is_an_ai() -> None:
    assert "an AI" in replies.greeting()
    assert all("an AI" in line for line in replies.table()["act/greeting"])


def test_choice_is_fixed_and_differs_with_the_turn_and_the_words() -> None:
    first = replies.pick("stress/question", turn=1, words="a")
    assert first == replies.pick("stress/question", turn=1, words="a")
    assert len({replies.pick("stress/question", turn=i, words="a") for i in range(12)}) > 2
    assert len({replies.pick("stress/question", turn=1, words=str(i)) for i in range(12)}) > 2


def test_nothing_is_said_twice_while_other_lines_are_left() -> None:
    said: list[str] = []
    for turn in range(40):
        line, _ = replies.pick("grief/reflection", turn=turn, said=said)
        if turn < len(replies.table()["grief/reflection"]):
            assert line in replies.table()["grief/reflection"]
        if turn < 18:
            assert line not in said
        said.append(line)


def test_a_line_that_was_cut_off_counts_as_said() -> None:
    line, _ = replies.pick("fear/reflection", turn=1)
    again, _ = replies.pick("fear/reflection", turn=1, said=[line[: len(line) // 2]])
    assert again != line


def test_a_slot_is_filled_or_its_line_left_out() -> None:
    for turn in range(30):
        bare, _ = replies.pick("anger/restatement", turn=turn)
        assert "{" not in bare
    filled = {replies.pick("anger/restatement", turn=turn, nouns=["your boss"])[0] for turn in range(30)}
    assert any("your boss" in line for line in filled)


def test_a_condition_is_kept_even_if_it_leads_elsewhere() -> None:
    line, topic = replies.pick("joy/question", turn=1, allow=lambda text: "?" not in text)
    assert "?" not in line
    assert topic != "joy/question"


def test_lines_of_the_runtime() -> None:
    assert replies.lost("camera") == "I can't see you right now, but I can hear you."
    assert "hear you" in replies.lost("asr")
    assert replies.lost("prosody")
    assert replies.back("face")
    assert replies.back("scene") == ""
    assert replies.fallback(0) != replies.fallback(1)
    assert replies.silence(5)
    for heavy in (False, True):
        assert all(len(token) < 8 for token in replies.tokens(heavy=heavy))


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        replies.pick("no/such", turn=1)


def test_data_files_hold_only_known_names() -> None:
    assert set(load_table("prototypes")["mood"]) == set(MOODS)
    assert set(load_table("prototypes")["strategy"]) == set(STRATEGIES) - {"safety"}
    for texts in load_table("prototypes")["strategy"].values():
        assert len(texts) >= 15
