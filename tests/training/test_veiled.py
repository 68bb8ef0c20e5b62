"""Training the classifier of danger: its sentences, and that it learns to read windows and is reproducible."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from agent.convert_reader import make_reader
from policy.safety.classifier import CLASSES, Reader
from policy.safety.detector import KINDS
from policy.training.danger_talks import ANY, EITHER, HINT, NONE, PLAIN, Talk
from policy.training.veiled import Given, Options, Student, _lesson, loss_of, member_of, named, train
from policy.training.veiled_sentences import FOLDER, HELD_CORPUS, SentenceError, Sentences, check, examples, of_file
from tests.small_mpnet import small_mpnet

DARK = [f"i have made up my mind to be gone before {day}" for day in ("monday", "easter", "june", "my birthday")]
LIGHT = [f"we will have cake and tea in the garden on {day}" for day in ("monday", "easter", "sunday", "my birthday")]


def test_there_are_sentences_of_every_class() -> None:
    given = examples()
    classes = (NONE, *range(EITHER, EITHER + len(KINDS)))
    assert min(sum(label == n for _, label in given.own) for n in classes) >= 1500
    assert sum(label == ANY for _, label in given.own) >= 50
    assert {label for _, label in given.joined} == set(classes)
    assert {label for _, label in given.stated} == {NONE, *range(PLAIN, PLAIN + len(KINDS))}
    assert (("I lost my job and I want to die",), PLAIN) in given.stated
    assert {label for _, label in given.everyday} == {NONE}
    assert max(len(turns) for turns, _ in given.everyday) > 2
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
    (tmp_path / "more.toml").unlink()
    (tmp_path / "plain.toml").write_text('[plain]\nabuse = ["a"]\n[harmless]\nsad = ["a"]\n[because]\nwhy = ["b"]\n')
    with pytest.raises(SentenceError, match=r"plain\.toml: \[because\] why is none of before, behind"):
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


@pytest.mark.parametrize(
    ("label", "classes"),
    [(NONE, [0]), (HINT + 2, [3]), (PLAIN + 1, [6]), (EITHER + 3, [4, 8]), (ANY, [1, 2, 3, 4, 5, 6, 7, 8])],
)
def test_a_label_is_any_of_the_classes_that_fit_it(label: int, classes: list[int]) -> None:
    torch.manual_seed(1)
    scores = torch.randn(1, CLASSES)
    right = torch.softmax(scores, -1)[0, classes].sum()
    assert loss_of(scores, [label], 0.0).item() == pytest.approx(-right.log().item(), rel=1e-5)
    assert loss_of(scores, [label], 1.0).item() == pytest.approx(-torch.log_softmax(scores, -1).mean().item(), rel=1e-5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = " ".join([*DARK, *LIGHT, *CLEARED, *OPEN, ROOF, "um in the film"]).split()
    return small_mpnet(tmp_path_factory.mktemp("small") / "base", words, width=64)


ROOF = "i am up there now"
OPEN = [f"i looked up at the roof {day}" for day in ("today", "again", "twice", "at dawn")]
CLEARED = [f"the men mend the tiles {day}" for day in ("today", "again", "twice", "at dawn")]


def given() -> Given:
    """Sentences, and talks whose last turn is the same and tells nothing without the one before."""
    own = [((text,), EITHER) for text in DARK[:3]] + [((DARK[3],), ANY)] + [((text,), NONE) for text in LIGHT]
    talks = [Talk("self_harm", (text, ROOF), ("none", "plain")) for text in OPEN]
    talks += [Talk("safe", (text, ROOF), ("none", "none")) for text in CLEARED]
    return Given(talks, Sentences(own, [], [], [], {"away": ["in the film {}"], "dress": ["um {}"]}))


OPTIONS = Options(rank=4, epochs=40, rate=1e-2, head_rate=1e-2, batch=4, away=0.0, mean=0.5, behind=0.0)


@pytest.mark.slow
def test_it_learns_and_does_so_again(base: Path, tmp_path: Path) -> None:
    told: list[str] = []
    first, again = (train(base, OPTIONS, given(), 3, told.append) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert len(told) == 2 * OPTIONS.epochs
    save_file(named([first]), tmp_path / "veiled.safetensors")
    (tmp_path / "made").mkdir()
    make_reader(base, tmp_path / "veiled.safetensors", tmp_path / "made")
    reader = Reader(tmp_path / "made")
    shares = reader([(text,) for text in (*DARK, *LIGHT)])
    assert shares.shape == (8, 2 * len(KINDS))
    assert shares[:4].sum(axis=1).min() > 0.5 > shares[4:].sum(axis=1).max()
    plain = reader([(text, ROOF) for text in (*OPEN, *CLEARED)])[:, PLAIN - 1]
    assert plain[:4].min() > 0.5 > plain[4:].max()  # the last turn is the same in all of them


class Broken(Exception):
    """The machine went off."""


def test_a_run_that_was_broken_off_goes_on(base: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=3)
    whole = train(base, options, given(), 5)

    def told(line: str) -> None:
        if "pass 2 of" in line:
            raise Broken

    with pytest.raises(Broken):
        train(base, options, given(), 5, told, kept=tmp_path / "kept")
    lines: list[str] = []
    rest = train(base, options, given(), 5, lines.append, kept=tmp_path / "kept")
    assert [line.partition(":")[0] for line in lines] == ["seed 5, pass 2 of 3", "seed 5, pass 3 of 3"]
    assert all(np.allclose(whole[name], rest[name], atol=1e-6) for name in whole)


def test_an_earlier_run_is_gone_on_with(base: Path) -> None:
    options = replace(OPTIONS, epochs=1, lowest=1)
    before = train(base, options, given(), 3)
    after = train(base, options, given(), 4, start=before)
    assert {name.partition(".")[0] for name in before if not np.array_equal(before[name], after[name])} == {"1", "head"}
    other = before | {"9.output.dense.a": before["0.output.dense.a"], "head.bias": np.ones(5, np.float32)}
    student = Student(base, options.rank)
    assert {name.partition(".")[0] for name in student.begin(other, 1)} == {"1", "head"}
    assert np.array_equal(student.learnt()["0.output.dense.a"].detach().numpy(), before["0.output.dense.a"])
    assert not student.head.bias.any()


def test_layers_that_are_not_trained_compute_what_they_did(base: Path) -> None:
    before = train(base, replace(OPTIONS, epochs=1), given(), 3)
    students = [Student(base, OPTIONS.rank).eval() for _ in range(2)]
    for student, lowest in zip(students, (0, 2), strict=True):
        student.begin(before, lowest)
    with torch.no_grad():
        scores = [student([*((text,) for text in DARK), (OPEN[0], ROOF)]) for student in students]
    assert np.ptp(scores[0].numpy()) > 0.1
    assert torch.allclose(scores[0], scores[1], atol=1e-4)
    assert students[1].updates["1.output.dense"].folded


def test_harmless_turns_are_drawn_and_all_others_taken(base: Path) -> None:
    chance = random.Random(3)
    student = Student(base, OPTIONS.rank)
    lessons = [_lesson(student, replace(OPTIONS, harmless=share), given(), chance, first=True) for share in (0.0, 1.0)]
    for lesson, harmless in zip(lessons, (0, 12), strict=True):
        of_talks = [label for turns, label in lesson if set(turns) & {*OPEN, *CLEARED}]
        assert (of_talks.count(NONE), of_talks.count(PLAIN)) == (harmless, 4)


def test_members_are_told_apart() -> None:
    runs = [{"head.bias": np.full(9, number, np.float32)} for number in range(2)]
    assert member_of(named(runs), 1)["head.bias"].tolist() == [1.0] * 9
