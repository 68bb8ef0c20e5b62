"""The trained head, and the corpus parts that it is trained and judged on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.models import resolve
from perception.context import ContextWindow
from policy.cues import Cues, cues_of
from policy.embedding import Embedder
from policy.head import FEATURES, FILE, Head, features_of
from policy.leaning import WAIT
from policy.mind import Mind
from policy.training import head as training
from policy.training.corpus import FOLDER, CorpusError, situations
from policy.training.measure import measure
from policy.training.parts import FROZEN, NEAR, Parts, digest, parts, repeated
from policy.training.scenes import window_of
from tests.policy.conftest import situations as handmade
from tests.policy.windows import situation

pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.fixture(scope="module")
def divided() -> Parts:
    return parts(situations())


@pytest.fixture(scope="module")
def mind(embedder: Embedder) -> Mind:
    return Mind(embedder, None)


def decide(mind: Mind, window: ContextWindow) -> tuple[str, str]:
    choice = mind.consider(window).choice
    return WAIT if choice.wait else choice.strategy, choice.emotion


def test_the_test_part_is_as_it_was_frozen(divided: Parts, tmp_path: Path) -> None:
    found = situations()
    frozen = json.loads((FOLDER / FROZEN).read_text(encoding="utf-8"))
    assert digest(found, frozen["test"]) == frozen["sha256"]
    assert len(divided.test) >= 180
    assert len(divided.train) + len(divided.dev) + len(divided.test) == len(found)
    (tmp_path / FROZEN).write_text(json.dumps(frozen | {"sha256": "0"}), encoding="utf-8")
    with pytest.raises(CorpusError, match="the test part has changed since it was frozen"):
        parts(found, tmp_path)


def test_nothing_of_the_test_part_was_trained_on_in_other_words(divided: Parts, embedder: Embedder) -> None:
    train, test = (embedder([s.turns[-1].text for s in part]) for part in (divided.train[::3], divided.test))
    assert float((train @ test.T).max()) < NEAR + 0.01
    twice = [*divided.test[:20], replace(divided.test[3], id="again")]
    assert repeated(twice, embedder) == [(divided.test[3].id, "again")]


def test_it_fits_better_than_the_rules_and_keeps_them(divided: Parts, mind: Mind) -> None:
    some = divided.test[::2]
    ruled = Mind(mind.embed, None)
    ruled.head = None
    by_rules: list[tuple[str, str]] = []

    def choose(window: ContextWindow) -> tuple[str, str]:
        by_rules.append(decide(ruled, window))  # now, while the embedder still knows the words
        return decide(mind, window)

    fit = measure(choose, some)
    kept = iter(by_rules)
    rules = measure(lambda _: next(kept), some)
    assert fit.strategy >= 0.6
    assert fit.emotion >= 0.62
    assert fit.both >= rules.both + 0.1
    assert fit.happy_in_distress <= rules.happy_in_distress
    assert fit.missed_danger <= rules.missed_danger


@pytest.mark.parametrize("name", ["situations", "unseen"])
def test_it_shows_nothing_happy_to_other_peoples_distress(name: str, mind: Mind) -> None:
    for entry in handmade(name):
        strategy, emotion = decide(mind, situation(entry))
        assert not (entry["heavy"] and emotion == "happy"), entry["words"]
        if entry["strategies"] != ["suggestion"]:
            assert strategy != "suggestion", entry["words"]


def test_the_same_words_with_another_face_are_met_otherwise(mind: Mind) -> None:
    words = "We got it. We got the flat. I've got the keys in my hand."
    glad = decide(mind, situation({"words": words, "face": "happy", "voice": "rising"}))
    afraid = decide(mind, situation({"words": words, "face": "fear", "voice": "trembling", "gaze": "away"}))
    assert glad[1] in {"happy", "warm"}
    assert afraid[1] not in {"happy"}
    assert glad != afraid


def test_what_it_reads_has_one_shape_and_no_wild_numbers(embedder: Embedder) -> None:
    for window in map(window_of, situations()[::97]):
        features = features_of(cues_of(window), embedder)
        assert features.shape == (FEATURES,)
        assert features.dtype == np.float32
        assert float(np.abs(features).max()) < 12
    assert features_of(Cues(), embedder).shape == (FEATURES,)


def test_training_gives_the_same_weights_again_and_learns(embedder: Embedder, tmp_path: Path) -> None:
    found = situations()[::12]
    recipe = training.Recipe(networks=2, epochs=8, views=2)
    first, second = (training.train(found[20:], found[:20], embedder, recipe) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    training.save(first, tmp_path / "head.safetensors")
    head = Head(embedder, tmp_path / "head.safetensors")
    seen = measure(lambda w: _leaning(head, w), found[20:])
    assert seen.strategy >= 0.6
    leaning = head.lean(cues_of(window_of(found[0])))
    for shares in (leaning.strategies, leaning.emotions, leaning.moods):
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-4)


def _leaning(head: Head, window: ContextWindow) -> tuple[str, str]:
    leaning = head.lean(cues_of(window))
    return max(leaning.strategies, key=lambda n: leaning.strategies[n]), max(
        leaning.emotions, key=lambda n: leaning.emotions[n]
    )


def test_weights_of_another_shape_are_refused(embedder: Embedder, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    weights = load_file(FILE)
    training.save(weights | {"0.in.w": weights["0.in.w"][:, :10].copy()}, tmp_path / "head.safetensors")
    with pytest.raises(ValueError, match=r"10 features .* train it anew: python tools/train_head\.py"):
        Head(embedder, tmp_path / "head.safetensors")
    with pytest.raises(FileNotFoundError):
        Head(embedder, tmp_path / "none.safetensors")
    assert resolve("minilm").exists()
