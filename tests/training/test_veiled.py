"""Training the reader of veiled danger: its sentences, and that it learns and is reproducible."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from agent.convert_reader import make_reader
from policy.safety.classifier import Reader
from policy.safety.detector import KINDS
from policy.training.veiled import Options, named, train
from policy.training.veiled_sentences import (
    ANY,
    CLASSES,
    FOLDER,
    HELD_CORPUS,
    SentenceError,
    Sentences,
    check,
    examples,
    of_file,
)
from tests.small_mpnet import small_mpnet

DARK = [f"i have made up my mind to be gone before {day}" for day in ("monday", "easter", "june", "my birthday")]
LIGHT = [f"we will have cake and tea in the garden on {day}" for day in ("monday", "easter", "sunday", "my birthday")]


def test_there_are_sentences_of_every_class() -> None:
    given = examples()
    counts = [sum(label == n for _, label in given.own) for n in range(len(CLASSES))]
    assert min(counts) >= 1500
    assert sum(label == ANY for _, label in given.own) >= 50
    assert {label for _, label in given.joined} == set(range(len(CLASSES)))
    assert len(given.everyday) > 1000
    assert len(HELD_CORPUS) == 2


@pytest.fixture
def table() -> dict[str, Any]:
    return tomllib.loads((FOLDER / "main.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("danger", {}, r"main\.toml: \[danger\] is missing"),
        ("danger", {"boredom": ["a"]}, r"\[danger\] boredom is none of self_harm"),
        ("harmless", {"idiom": "a"}, r"\[harmless\] idiom is no list of sentences"),
        ("harmless", {"idiom": ["a", ""]}, r"\[harmless\] idiom is no list of sentences"),
        ("frames", {"away": ["in the film"]}, r"\[frames\] 'in the film' needs \{\} once"),
        ("contrast", [{"kind": "boredom"}], r"\[\[contrast\]\] 1 kind is none of self_harm"),
        ("contrast", [{"kind": "abuse", "starts": ["a"]}], r"\[\[contrast\]\] 1 danger is no list"),
    ],
)
def test_a_mistake_is_named(table: dict[str, Any], section: str, value: Any, message: str) -> None:
    check(table)
    with pytest.raises(SentenceError, match=message):
        check(table | {section: value})


def test_a_mistake_in_any_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in FOLDER.glob("*.toml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "more.toml").write_text('[danger]\nabuse = ["I flinch."]\n[harmless]\nsad = "a"\n')
    monkeypatch.setattr("policy.training.veiled_sentences.FOLDER", tmp_path)
    with pytest.raises(SentenceError, match=r"more\.toml: \[harmless\] sad is no list of sentences"):
        examples()


def test_a_writer_can_be_left_out() -> None:
    whole, less = examples(), examples(("calm", "pairs"))
    left = [*of_file("calm"), *of_file("pairs")]
    assert len(left) > 1000
    assert {text for text, _ in whole.own} - {text for text, _ in less.own} == {text for text, _ in left}
    assert less.joined == whole.joined
    for ask in (of_file, lambda name: examples((name,))):
        with pytest.raises(SentenceError, match=r"there is no silent\.toml in danger, only alarms, asked"):
            ask("silent")


@pytest.mark.slow
def test_it_learns_and_does_so_again(tmp_path: Path) -> None:
    base = small_mpnet(tmp_path / "base", " ".join([*DARK, *LIGHT, "um in the film"]).split(), width=64)
    own = [(text, 1) for text in DARK[:3]] + [(DARK[3], ANY)] + [(text, 0) for text in LIGHT]
    given = Sentences(own, [], [], {"away": ["in the film {}"], "dress": ["um {}"]})
    options = Options(rank=4, epochs=30, rate=1e-2, batch=4, away=0.0, mean=0.5)
    told: list[str] = []
    first, again = (train(base, options, given, 3, told.append) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert len(told) == 2 * options.epochs
    save_file(named([first]), tmp_path / "veiled.safetensors")
    (tmp_path / "made").mkdir()
    make_reader(base, tmp_path / "veiled.safetensors", tmp_path / "made")
    shares = Reader(tmp_path / "made")([*DARK, *LIGHT])
    assert shares.shape == (8, len(KINDS))
    assert shares[:4, 0].min() > 0.5 > shares[4:].sum(axis=1).max()
