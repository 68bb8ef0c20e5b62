"""The reader of danger for CTranslate2, against the transformer that it is made of."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from agent import convert_reader, models
from agent.convert_reader import make_reader, zipped_base, zipped_reader
from agent.models import sha256
from policy.safety.classifier import NAME, Reader
from policy.training.veiled import Student, named
from tests.small_mpnet import small_mpnet

TEXTS = [
    "i put my papers in order and gave away the cat",
    "what is the use",
    " ".join(["he left the house at nine , and then it rained"] * 14),
]
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
            value.copy_((torch.randn_like(value) * (0.1 if name.startswith("head") else 0.3)).half())
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
        scores = torch.stack([student(TEXTS) for student in members])
        wanted = torch.softmax(scores.mean(0), -1)[:, 1:].numpy()
    assert np.ptp(wanted, axis=0).max() > 0.08  # else anything would be near it
    got = reader(TEXTS)
    assert got.shape == (3, 4)
    assert got.dtype == np.float32
    assert np.abs(got - wanted).max() < 0.04
    assert np.abs(got - np.concatenate([reader([text]) for text in TEXTS])).max() < 5e-3
    assert reader([]).shape == (0, 4)


def test_the_order_of_words_tells(base: Path, learnt: Path, tmp_path: Path) -> None:
    reader = Reader(make(base, learnt, tmp_path / "made"))
    there, back = TEXTS[0], " ".join(reversed(TEXTS[0].split()))
    assert np.abs(np.diff(reader([there, back]), axis=0)).max() > 0.01


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


def test_another_base_is_refused(base: Path, learnt: Path, tmp_path: Path) -> None:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (base / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}), encoding="utf-8")
    (tmp_path / "made").mkdir()
    with pytest.raises(ValueError, match=r"tensor 'encoder\.layer\.2\.attention\.attn\.q\.weight' is missing"):
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
