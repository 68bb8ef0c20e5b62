from __future__ import annotations

import pytest

from policy import replies
from policy.embedding import Embedder
from policy.gate import Gate

pytestmark = pytest.mark.models

CAT = "My old cat didn't wake up this morning."
LUNCH = "I'm the only one in the team who wasn't asked to lunch."
JOB = "I got the job at the bakery!"


@pytest.fixture(scope="module")
def gate(embedder: Embedder) -> Gate:
    return Gate(embedder)


@pytest.mark.parametrize(
    ("clause", "words", "mood", "strategy"),
    [
        ("You were the only one who wasn't asked to lunch.", LUNCH, "loneliness", "reflection"),
        ("Your old cat didn't wake up, and it really hurts.", CAT, "grief", "reflection"),
        ("You got the job, that's wonderful!", JOB, "joy", "affirmation"),
        ("How did you find out about the job?", JOB, "joy", "question"),
    ],
)
def test_a_fitting_clause_passes(gate: Gate, clause: str, words: str, mood: str, strategy: str) -> None:
    verdict = gate.judge(clause, words=words, mood=mood, strategy=strategy)
    assert verdict.ok, verdict.reason


# What the untrained model really wrote, and what such models are known to write.
@pytest.mark.parametrize(
    ("clause", "words", "mood", "strategy", "reason"),
    [
        ("Your old cat didn't wake up, that's a sad story.", CAT, "grief", "reflection", "never said"),
        ("You're so sorry, that's just how it is.", CAT, "grief", "reflection", "never said"),
        ("How about a special gift for your cat?", CAT, "grief", "question", "advice"),
        ("That's great, your cat had a good rest!", CAT, "grief", "affirmation", "bright"),
        ("My cat died too when I was ten.", CAT, "grief", "reflection", "itself"),
        ("I'm so sorry, I can't help but laugh.", CAT, "grief", "reflection", "itself"),
        ("2 cups in the morning, that's wonderful.", CAT, "grief", "affirmation", "plain spoken"),
        ("You should see a therapist about the cat.", CAT, "grief", "reflection", "never said"),
        ("Take 20 mg of it for the cat.", CAT, "grief", "suggestion", "never said"),
        ("See www.cats.com for your old cat.", CAT, "grief", "reflection", "plain spoken"),
        ("user: my old cat.", CAT, "grief", "reflection", "plain spoken"),
        ("User: my old cat.", CAT, "grief", "reflection", "prompt"),
        ("- Your old cat didn't wake up.", CAT, "grief", "reflection", "plain spoken"),
        ("Your old cat didn't", CAT, "grief", "reflection", "not finished"),
        ("Okay.", CAT, "grief", "reflection", "words"),
        ("Did your cat wake up?", CAT, "grief", "reflection", "is no reflection"),
        ("Your cat didn't wake up.", CAT, "grief", "question", "is no question"),
        ("The old cat didn't wake up this morning.", CAT, "grief", "reflection", "only repeats"),
        ("You had to let your horse go, and that clearly hurts.", CAT, "grief", "reflection", "example"),
        ("Your cat flew towards distant mountains yesterday.", CAT, "grief", "reflection", "beyond"),
        ("It's one of those things people feel.", CAT, "grief", "reflection", "keep to"),
        ("That is terrible and so sad about the job.", JOB, "joy", "reflection", "gloomy"),
        ("You need to celebrate the job.", JOB, "joy", "affirmation", "advice"),
    ],
)
def test_an_unfit_clause_is_refused_with_its_reason(
    gate: Gate, clause: str, words: str, mood: str, strategy: str, reason: str
) -> None:
    verdict = gate.judge(clause, words=words, mood=mood, strategy=strategy)
    assert not verdict.ok
    assert reason in verdict.reason


def test_nothing_is_said_twice(gate: Gate) -> None:
    clause = "You were the only one who wasn't asked to lunch."
    said = ["Hm. You were the only one who wasn't asked to lunch."]
    assert "said before" in gate.judge(clause, words=LUNCH, mood="loneliness", strategy="reflection", said=said).reason
    said = ["You were the one person who was not asked to lunch."]
    assert "said before" in gate.judge(clause, words=LUNCH, mood="loneliness", strategy="reflection", said=said).reason


def test_advice_passes_where_it_is_wanted(gate: Gate) -> None:
    clause, words = "You could ask your team about the lunch.", LUNCH + " What should I do?"
    assert not gate.judge(clause, words=words, mood="loneliness", strategy="suggestion").ok
    assert gate.judge(clause, words=words, mood="loneliness", strategy="suggestion", advice=True).ok


@pytest.mark.parametrize("clause", ["", " ", "\n", "😀😀😀", "<|im_end|>", "a" * 4000])
def test_rubbish_is_refused(gate: Gate, clause: str) -> None:
    assert not gate.judge(clause, words=CAT, mood="grief", strategy="reflection").ok


def test_no_curated_line_says_what_is_never_said(gate: Gate) -> None:
    for topic, lines in replies.table().items():
        if topic.split("/")[0] in {"act", "crisis", "runtime", "lost", "backchannel"}:
            continue
        mood, strategy = topic.split("/")
        for line in lines:
            verdict = gate.judge(line, words=line, mood=mood, strategy=strategy, advice=True)
            assert verdict.reason != "says what is never said here", line
