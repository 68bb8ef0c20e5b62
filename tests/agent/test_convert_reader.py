"""The classifier of danger for CTranslate2, against the transformer that it is made of."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from agent import convert_reader, models
from agent.convert_reader import make_reader, zipped_base, zipped_reader
from agent.models import sha256
from policy.safety.classifier import MOST_TOKENS, NAME, Reader, join
from policy.training.veiled import Student, named
from tests.small_mpnet import small_mpnet

TEXTS = [
    "i put my papers in order and gave away the cat",
    "what is the use",
    " ".join(["he left the house at nine , and then it rained"] * 14),
]
WINDOWS = [(text,) for text in TEXTS] + [(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[0], TEXTS[1]), (TEXTS[1], TEXTS[2])]
WORDS = " ".join(TEXTS).split()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return small_mpnet(tmp_path / "base", WORDS)


@pytest.fixture
def members(base: Path) -> list[Student]:
    """Two that have learnt something, in numbers that sixteen bits can hold."""
    found = [Student(base, 3).eval() for _ in range(2)]
    with torch.no_grad():
        for name, value in (pair for student in found for pair in student.learnt().items()):
            value.copy_((torch.randn_like(value) * (0.15 if name.startswith("head") else 0.3)).half())
    return found


@pytest.fixture
def learnt(tmp_path: Path, members: list[Student]) -> Path:
    path = tmp_path / "learnt.safetensors"
    runs = [{name: value.detach().numpy() for name, value in student.learnt().items()} for student in members]
    save_file(named(runs), path)
    return path


def make(base: Path, learnt: Path, folder: Path) -> Path:
    folder.mkdir()
    make_reader(base, learnt, folder)
    return folder


def test_it_computes_what_its_trainer_does(base: Path, learnt: Path, members: list[Student], tmp_path: Path) -> None:
    reader = Reader(make(base, learnt, tmp_path / "made"))
    with torch.no_grad():
        scores = torch.stack([student(WINDOWS) for student in members])
        wanted = torch.softmax(scores.mean(0), -1)[:, 1:].numpy()
    assert np.ptp(wanted, axis=0).max() > 0.08  # else anything would be near it
    got = reader(WINDOWS)
    assert got.shape == (len(WINDOWS), 8)
    assert got.dtype == np.float32
    assert np.abs(got - wanted).max() < 0.04
    assert np.abs(got - np.concatenate([reader([window]) for window in WINDOWS])).max() < 5e-3
    assert reader([]).shape == (0, 8)


def test_the_order_of_words_and_of_turns_tells(base: Path, learnt: Path, tmp_path: Path) -> None:
    reader = Reader(make(base, learnt, tmp_path / "made"))
    there, back = TEXTS[0], " ".join(reversed(TEXTS[0].split()))
    assert np.abs(np.diff(reader([(there,), (back,)]), axis=0)).max() > 0.01
    assert np.abs(np.diff(reader([(there, back, "what"), (back, there, "what")]), axis=0)).max() > 1e-3


def test_the_last_turn_is_judged_in_the_light_of_those_before(base: Path, learnt: Path, tmp_path: Path) -> None:
    reader = Reader(make(base, learnt, tmp_path / "made"))
    alone, behind, other = reader([(TEXTS[1],), (TEXTS[0], TEXTS[1]), (TEXTS[1], TEXTS[0])])
    assert np.abs(alone - behind).max() > 0.01
    assert np.abs(behind - other).max() > 0.01


def test_the_oldest_words_go_first_and_the_last_turn_keeps_its_end(base: Path, learnt: Path, tmp_path: Path) -> None:
    reader = Reader(make(base, learnt, tmp_path / "made"))
    words = TEXTS[2].split()  # more than are read at once
    whole, less = reader([(" ".join(words), TEXTS[0]), (" ".join(words[-MOST_TOKENS:]), TEXTS[0])])
    assert np.allclose(whole, less, atol=1e-6)
    whole, less = reader([(TEXTS[0], " ".join(words)), (" ".join(words[-MOST_TOKENS:]),)])
    assert np.allclose(whole, less, atol=1e-6)


def test_what_is_no_window_is_named(base: Path, learnt: Path, tmp_path: Path) -> None:
    reader = Reader(make(base, learnt, tmp_path / "made"))
    with pytest.raises(TypeError, match=r"a sequence of turns, not a string: write \('what is the use',\)"):
        reader([TEXTS[1]])
    with pytest.raises(ValueError, match="a window has no turn"):
        reader([()])


def test_a_head_of_other_classes_is_named(base: Path, learnt: Path, tmp_path: Path) -> None:
    made = make(base, learnt, tmp_path / "made")
    (made / "1" / "head.bin").write_bytes(np.zeros(5 * 65, "<f4").tobytes())
    with pytest.raises(ValueError, match=r"1/head\.bin: expected a row for each of 9 classes; agent models fetch"):
        Reader(made)


@pytest.mark.parametrize(
    ("turns", "tokens", "begin"),
    [
        ([[1, 2]], [1, 2], 0),
        ([[1, 2], [3]], [1, 2, 3], 2),
        ([[9] * 60, [5] * 10, [7] * 12], [9] * 50 + [5] * 10 + [7] * 12, 60),
        ([[1, 2], [7] * MOST_TOKENS], [7] * MOST_TOKENS, 0),
    ],
)
def test_the_tokens_of_a_window(turns: list[list[int]], tokens: list[int], begin: int) -> None:
    assert join(turns) == (tokens, begin)


def test_it_makes_the_same_bytes_again(base: Path, learnt: Path, tmp_path: Path) -> None:
    first, again = (make(base, learnt, tmp_path / name) for name in ("first", "again"))
    names = sorted(path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file())
    each = ("config.json", "head.bin", "model.bin", "vocabulary.json")
    assert names == [*(f"{member}/{name}" for member in "01" for name in each), "README.md", "tokenizer.json"]
    assert [sha256(first / name) for name in names] == [sha256(again / name) for name in names]


def test_an_update_is_added_before_a_matrix_becomes_whole_numbers(base: Path, learnt: Path) -> None:
    tensors, both = load_file(base / "model.safetensors"), load_file(learnt)
    taught = {name.removeprefix("0."): value for name, value in both.items() if name.startswith("0.")}
    place = "output.dense"
    whole = convert_reader._updated(tensors, taught, 1, place)
    a, b = (taught[f"1.{place}.{side}"].astype(np.float64) for side in "ab")
    assert np.allclose(whole, tensors[f"encoder.layer.1.{place}.weight"] + 2 * b @ a)
    rows = convert_reader._rows("x", whole)
    assert np.abs(rows["x/weight"]).max() == 63
    assert np.abs(rows["x/weight"] / rows["x/weight_scale"][:, None] - whole).max() <= np.abs(whole).max() / 125


def zipped(base: Path, path: Path, *without: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in base.iterdir():
            if file.name not in without:
                archive.write(file, f"all/{file.name}")
        archive.writestr("all/1_Pooling/config.json", "{}")
    return path


def test_it_comes_out_of_the_published_archive(
    base: Path, learnt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(base, tmp_path / "model.zip")
    (tmp_path / "out").mkdir()
    zipped_base({"model.zip": archive}, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(convert_reader._BASE_FILES)
    assert (tmp_path / "out" / "config.json").read_bytes() == (base / "config.json").read_bytes()
    monkeypatch.setattr(convert_reader, "FILE", learnt)
    (tmp_path / "reader").mkdir()
    zipped_reader({"model.zip": archive}, tmp_path / "reader")
    made = make(base, learnt, tmp_path / "made")
    files = [path.relative_to(made) for path in made.rglob("*") if path.is_file()]
    assert all(sha256(made / path) == sha256(tmp_path / "reader" / path) for path in files)


def test_a_damaged_archive_is_named(base: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"model\.zip: there is no 'tokenizer\.json'"):
        zipped_base({"model.zip": zipped(base, tmp_path / "a.zip", "tokenizer.json")}, tmp_path / "out")
    (tmp_path / "b.zip").write_bytes(b"PK and no more")
    with pytest.raises(ValueError, match=r"model\.zip: File is not a zip file"):
        zipped_base({"model.zip": tmp_path / "b.zip"}, tmp_path / "out")


def test_layers_that_were_not_taught_are_left_out(base: Path, learnt: Path, tmp_path: Path) -> None:
    lower = {name: value for name, value in load_file(learnt).items() if ".1." not in name}
    save_file(lower, tmp_path / "lower.safetensors")
    whole, less = make(base, learnt, tmp_path / "whole"), make(base, tmp_path / "lower.safetensors", tmp_path / "less")
    assert (less / "0" / "model.bin").stat().st_size < (whole / "0" / "model.bin").stat().st_size
    assert Reader(less)([(TEXTS[0],)]).shape == (1, 8)


def test_another_base_is_refused(base: Path, learnt: Path, tmp_path: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    lower = {name: value for name, value in tensors.items() if not name.startswith("encoder.layer.1.")}
    save_file(lower, base / "model.safetensors")
    (tmp_path / "made").mkdir()
    with pytest.raises(ValueError, match=r"tensor 'encoder\.layer\.1\.attention\.attn\.q\.weight' is missing"):
        make_reader(base, learnt, tmp_path / "made")
    (base / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(ValueError, match="expected an mpnet model with gelu, found bert"):
        make_reader(base, learnt, tmp_path / "made")


@pytest.mark.models
def test_the_fetched_reader_was_taught_what_ships() -> None:
    from policy.safety.classifier import CLASSES, FILE, HEAD

    learnt = load_file(FILE)
    heads = sorted(models.resolve(NAME).glob(f"*/{HEAD}"))
    assert [path.parent.name for path in heads] == sorted({name.partition(".")[0] for name in learnt})
    for path in heads:
        head = np.fromfile(path, "<f4").reshape(CLASSES, -1)
        assert np.array_equal(head[:, :-1], learnt[f"{path.parent.name}.head.weight"].astype(np.float32))
        assert np.array_equal(head[:, -1], learnt[f"{path.parent.name}.head.bias"].astype(np.float32))
