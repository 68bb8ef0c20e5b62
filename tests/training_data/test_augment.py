from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.decision import STRATEGIES
from policy.training.augment import _misheard, _tables, augmented, augmented_choice
from policy.training.corpus import FACES, MOST_WORDS, VOICES, Choice, Said, Situation, choices, situations
from policy.training.parts import parts
from policy.words import mood_words, plain, tokens

SEEDS = st.integers(0, 2**32 - 1)


@cache
def train() -> tuple[Situation, ...]:
    return parts(situations()).train


@cache
def items() -> tuple[Choice, ...]:
    return tuple(choices())


def drawn(situation: Situation, seed: int, noise: float = 1.0) -> Situation:
    return augmented(situation, np.random.default_rng(seed), noise=noise)


def negations(text: str) -> Counter[str]:
    known = _tables().negations
    return Counter(word for word in tokens(text) if word in known or word.endswith("n't"))


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+|\b(?:two|three|four|five|six|seven|eight|nine|ten|forty|fifty|hundred)\b", text.lower())


def texts(situation: Situation) -> list[str]:
    return [*(turn.text for turn in situation.turns), *situation.replies, situation.bad]


def sayings(turns: Sequence[Said]) -> set[str]:
    return {part for turn in turns for word in tokens(turn.text) for part in (word, word.removesuffix("'s"))}


@settings(max_examples=80, deadline=None)
@given(which=st.integers(0, 10**6), seed=SEEDS)
def test_the_schema_still_holds_and_labels_are_unchanged(which: int, seed: int) -> None:
    before = train()[which % len(train())]
    after = drawn(before, seed)
    blank = {"turns": (), "replies": (), "bad": ""}
    assert replace(after, **blank) == replace(before, **blank)  # type: ignore[arg-type]
    assert [turn.who for turn in after.turns] == [turn.who for turn in before.turns]
    assert len(after.replies) == len(before.replies)
    for text in texts(after):
        assert text.strip()
        assert text == " ".join(text.split())
    assert all(len(tokens(reply)) <= MOST_WORDS for reply in after.replies)
    for turn, was in zip(after.turns, before.turns, strict=True):
        assert turn.face in {was.face, ()}
        assert turn.voice in {was.voice, ""}
        assert set(turn.face) <= set(FACES)
        assert turn.voice in {"", *VOICES}
    assert set(after.strategies) <= {*STRATEGIES, "wait"}


@settings(max_examples=80, deadline=None)
@given(which=st.integers(0, 10**6), seed=SEEDS)
def test_negations_moods_and_numbers_are_kept(which: int, seed: int) -> None:
    before = train()[which % len(train())]
    after = drawn(before, seed)
    for old, new in zip(before.turns, after.turns, strict=True):
        assert negations(new.text) == negations(old.text)
        assert mood_words(new.text) == mood_words(old.text), (old.text, new.text)
        assert numbers(new.text) == numbers(old.text)


@settings(max_examples=80, deadline=None)
@given(which=st.integers(0, 10**6), seed=SEEDS)
def test_what_a_reply_took_up_is_still_there(which: int, seed: int) -> None:
    before = train()[which % len(train())]
    after = drawn(before, seed)
    said_then, said_now = sayings(before.turns), sayings(after.turns)
    for old, new in zip(before.replies, after.replies, strict=True):
        for was, word in zip(tokens(old), tokens(new), strict=True):
            if len(was) >= 4 and "'" not in was and was in said_then:
                assert word in said_now, (word, new)


@settings(max_examples=80, deadline=None)
@given(which=st.integers(0, 10**6), seed=SEEDS)
def test_at_most_fifteen_words_of_a_hundred_are_misheard(which: int, seed: int) -> None:
    text = train()[which % len(train())].turns[-1].text
    heard = _misheard(text, frozenset(), np.random.default_rng(seed), 1.0)
    lost = Counter(tokens(text)) - Counter(tokens(heard))
    assert sum(lost.values()) <= 0.15 * len(tokens(text))


def test_the_rate_is_that_of_a_small_recogniser() -> None:
    rng = np.random.default_rng(5)
    wrong = total = 0
    for situation in train()[::4]:
        text = situation.turns[-1].text
        heard = _misheard(text, frozenset(), rng, 1.0)
        wrong += sum((Counter(tokens(text)) - Counter(tokens(heard))).values())
        total += len(tokens(text))
    assert 0.04 <= wrong / total <= 0.12


def test_same_seed_same_result_and_others_differ() -> None:
    some = train()[:60]
    assert [drawn(s, 3) for s in some] == [drawn(s, 3) for s in some]
    assert sum(drawn(s, 3) != drawn(s, 4) for s in some) > 40


def test_no_noise_changes_nothing() -> None:
    assert all(drawn(s, 1, noise=0.0) == s for s in train()[:100])
    with pytest.raises(ValueError, match="expected 0"):
        drawn(train()[0], 1, noise=1.5)


def test_names_are_swapped_everywhere_and_within_a_gender() -> None:
    tables = _tables()
    base = train()[0]
    said = (Said(who="person", text="Tomek's mother and Lena rang. Tomek wept."),)
    situation = replace(base, turns=said, replies=("Tomek wept. What did Lena say?",), bad="Tomek's fine!")
    pairs = set()
    for seed in range(40):
        after = drawn(situation, seed)
        man, woman = (re.findall(r"[A-Z]\w+", after.replies[0])[n] for n in (0, 2))
        assert man in tables.men
        assert woman in tables.women
        low = plain(after.turns[0].text)
        assert man.lower() in low
        assert woman.lower() in low
        assert ("tomek" in low) == (man == "Tomek")
        assert after.bad.startswith(f"{man}'s")
        pairs.add((man, woman))
    assert len(pairs) > 10


def test_names_are_no_words() -> None:
    tables = _tables()
    assert not {name.lower() for name in (*tables.women, *tables.men)} & set(tables.synonyms)
    assert not set(tables.women) & set(tables.men)
    assert not any(mood_words(name) for name in (*tables.women, *tables.men))


def test_a_sense_is_dropped_one_time_in_ten_each_and_never_both() -> None:
    base = next(s for s in train() if len(s.turns) == 1 and s.turns[0].face and s.turns[0].voice)
    turns = [drawn(base, seed).turns[0] for seed in range(600)]
    blind, deaf = sum(not t.face for t in turns), sum(not t.voice for t in turns)
    assert 35 <= blind <= 90
    assert 35 <= deaf <= 90
    assert not any(not t.face and not t.voice for t in turns)
    assert not any(t.gaze for t in turns if not t.face)


@settings(max_examples=80, deadline=None)
@given(which=st.integers(0, 10**6), seed=SEEDS)
def test_choices_keep_their_answer(which: int, seed: int) -> None:
    before = items()[which % len(items())]
    after = augmented_choice(before, np.random.default_rng(seed))
    assert (after.id, after.task_type, after.answer) == (before.id, before.task_type, before.answer)
    assert len(set(after.options)) == len(before.options)
    assert [len(tokens(o)) for o in after.options] == [len(tokens(o)) for o in before.options]
    for old, new in zip(before.turns, after.turns, strict=True):
        assert negations(new.text) == negations(old.text)
        assert new.who == old.who
