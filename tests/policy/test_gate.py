from __future__ import annotations

from collections.abc import Callable

import pytest

from policy import replies
from policy.embedding import Embedder
from policy.gate import Gate, broken_rule
from policy.training.corpus import Situation, situations
from policy.training.parts import parts

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
        ("Did he sleep on your bed, your old cat?", CAT, "grief", "reflection"),
        ("I'm here. Take your time.", CAT, "grief", "other"),
        ("Oh no. What was he like, the old fellow?", CAT, "grief", "question"),
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
        ("My cat died too when I was ten.", CAT, "grief", "reflection", "lived as a person"),
        ("I'm so sorry, I can't help but laugh.", CAT, "grief", "reflection", "never said"),
        ("2 cups in the morning, that's wonderful.", CAT, "grief", "affirmation", "bright"),
        ("You should see a therapist about the cat.", CAT, "grief", "reflection", "explains"),
        ("Take 20 mg of it for the cat.", CAT, "grief", "suggestion", "never said"),
        ("See www.cats.com for your old cat.", CAT, "grief", "reflection", "plain spoken"),
        ("user: my old cat.", CAT, "grief", "reflection", "prompt"),
        ("User: my old cat.", CAT, "grief", "reflection", "prompt"),
        ("- Your old cat didn't wake up.", CAT, "grief", "reflection", "plain spoken"),
        ("Your old cat didn't", CAT, "grief", "reflection", "not finished"),
        ("Okay.", CAT, "grief", "reflection", "words"),
        ("The old cat didn't wake up this morning.", CAT, "grief", "reflection", "only repeats"),
        ("You had to let your horse go, and that clearly hurts.", CAT, "grief", "reflection", "horse"),
        ("Your cat flew towards distant mountains yesterday.", CAT, "grief", "reflection", "beyond"),
        ("It's one of those things people feel.", CAT, "grief", "reflection", "generalities"),
        ("That is terrible and so sad about the job.", JOB, "joy", "reflection", "gloomy"),
        ("You need to celebrate the job.", JOB, "joy", "affirmation", "advice"),
        ("At least he had a long life.", CAT, "grief", "reflection", "smaller"),
        ("Everything happens for a reason.", CAT, "grief", "reflection", "smaller"),
        ("It will be fine, your cat is resting.", CAT, "grief", "reflection", "smaller"),
        ("I lost my cat, I know how that feels.", CAT, "grief", "reflection", "lived as a person"),
        ("Me too, that is hard.", CAT, "grief", "reflection", "lived as a person"),
        ("I walked along the sea this morning.", CAT, "grief", "reflection", "itself"),
        ("That sounds like depression to me.", CAT, "grief", "reflection", "explains"),
        ("You should have taken him to the vet.", CAT, "grief", "reflection", "blames"),
        ("He is such a selfish man.", LUNCH, "loneliness", "reflection", "gossip"),
        ("Congratulations on your old cat.", CAT, "grief", "reflection", "bright"),
        ("Your old cat, this morning!", CAT, "grief", "reflection", "exclaims"),
        ("Cats often have heart failure.", CAT, "grief", "reflection", "generalities"),
        ("Your mother must miss him too.", CAT, "grief", "reflection", "mother"),
        ("Your dog was old as well.", CAT, "grief", "reflection", "dog"),
        ("What did Thomas say this morning?", CAT, "grief", "question", "Thomas"),
        ("For seventeen years he woke you.", CAT, "grief", "reflection", "seventeen"),
        ("I'm the only one in the team.", LUNCH, "loneliness", "reflection", "own"),
        ("He was old, he was old, he was old, your cat.", CAT, "grief", "reflection", "stammers"),
        ("Your old cat <|im_end|> this morning.", CAT, "grief", "reflection", "plain spoken"),
        ('"Your old cat, this morning.', CAT, "grief", "reflection", "quotation"),
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


def test_what_an_earlier_turn_named_is_no_invention() -> None:
    words, reply = "He just stood there.", "Your brother stood there. And you?"
    assert "brother" in broken_rule(reply, words=words, strategy="reflection", mood="sadness")
    before = ["My brother came to the funeral.", "How was it, with him there?"]
    assert not broken_rule(reply, words=words, before=before, strategy="reflection", mood="sadness")
    assert not broken_rule(reply, words=words, before=["My bro came."], strategy="reflection", mood="sadness")


def test_numbers_may_follow_from_numbers() -> None:
    words = "We met in fifty-eight and he died in seventy-one."
    assert not broken_rule("Thirteen years together.", words=words, strategy="reflection", mood="grief")
    assert "thirteen" in broken_rule("Thirteen years together.", words=CAT, strategy="reflection", mood="grief").lower()


def test_a_helper_may_be_named_in_danger() -> None:
    reply = "Please call the emergency number now. Could your mum or a doctor come?"
    words = "I've taken all the tablets."
    assert not broken_rule(reply, words=words, strategy="safety", mood="sadness")
    assert broken_rule(reply, words=words, strategy="reflection", mood="sadness")


@pytest.mark.parametrize("text", ["", "?!", "...", "\x00", "a" * 5000, "<|im_start|>", "Ja " * 200, "…”"])
def test_rules_stand_any_text(text: str) -> None:
    assert broken_rule(text, words="", strategy="", mood="")


def shares(of: tuple[Situation, ...], judge: Callable[..., str]) -> tuple[float, float]:
    """Return the shares of good replies that pass and of bad ones that are refused."""
    good, bad = list[bool](), list[bool]()
    for situation in of:
        *earlier, last = situation.turns
        given = {
            "words": last.text,
            "before": [turn.text for turn in earlier],
            "said": [turn.text for turn in earlier if turn.who == "agent"],
            "strategy": situation.strategies[0],
            "mood": situation.mood,
            "advice": situation.strategies[0] == "suggestion",
        }
        good += [not judge(reply, **given) for reply in situation.replies]
        bad.append(bool(judge(situation.bad, **given)))
    return sum(good) / len(good), sum(bad) / len(bad)


@pytest.mark.parametrize("part", ["train", "dev"])
def test_rules_pass_the_good_and_refuse_the_bad(part: str) -> None:
    passed, refused = shares(getattr(parts(situations()), part), broken_rule)
    assert passed >= 0.97
    assert refused >= 0.6
