"""The adapter in the mind that speaks is the adapter in training; what is broken or foreign is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policy import listener
from policy.decision import LEARNED_EMOTIONS
from policy.head import STRATEGY_NAMES
from policy.leaning import Leaning, blend
from policy.listener import (
    CARD,
    LORA,
    LORA_CONFIG,
    ROWS,
    SENSES,
    WHOLE,
    AdapterError,
    BaseMismatch,
    Senses,
    Unit,
    felt,
    row,
)
from policy.lm import LanguageModel
from policy.script import Look, Piece, Words
from policy.training.compact import CompactStudent, Lora
from policy.training.student import Sample
from policy.training.trees import tree_of
from tests.training_compact.base import HIDDEN, build
from tests.training_compact.lines import look, situation, sound, tone

IDS = tuple(b"So sad.")


def trained(base: Path, folder: Path, lora: Lora | None) -> CompactStudent:
    """A student whose every parameter has moved, saved in ``folder``."""
    student = CompactStudent(base, lora=lora)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in student.parameters().items():
            parameter.add_(torch.randn_like(parameter) * (0.02 if lora is None and name.startswith("model.") else 0.1))
    student.save(folder)
    return student


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("base") / "tiny-llama")


@pytest.fixture(scope="module")
def taught(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CompactStudent, Path]:
    folder = tmp_path_factory.mktemp("adapter") / "taught"
    return trained(tiny, folder, Lora(rank=4, alpha=8)), folder


@pytest.fixture
def copied(taught: tuple[CompactStudent, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(taught[1], tmp_path / "copied"))


def reads_alike(student: CompactStudent, model: LanguageModel) -> None:
    """Scores of the rows, and of each token of a reply, are the same in both."""
    example = situation()
    sample = Sample((4, 5, *IDS), "", True)
    trunk = tree_of(example, model.encode).trunk
    cache = model.new_cache()
    scores = model.rows(model.read(trunk, cache)[-1])
    torch.testing.assert_close(scores, student.scores([example])[0][0], atol=1e-3, rtol=0)
    lead = (row(STRATEGY_NAMES[4]), row(LEARNED_EMOTIONS[5]))
    hidden = model.read((*lead, *IDS[:-1]), cache)[1:]
    told = model.logits(hidden).log_softmax(-1).gather(-1, torch.tensor(IDS)[:, None])[:, 0]
    expected = student.logprobs(example, [sample])[0][0, 2:].detach()
    assert len(expected) == len(IDS)
    torch.testing.assert_close(told, expected, atol=1e-3, rtol=0)


def test_the_merged_adapter_reads_as_in_training(tiny: Path, taught: tuple[CompactStudent, Path]) -> None:
    student, folder = taught
    model = LanguageModel(tiny, folder)
    assert model.listens
    reads_alike(student, model)


def test_the_adapter_makes_a_difference(tiny: Path, taught: tuple[CompactStudent, Path]) -> None:
    words = (*b"<|im_start|>user\nHi.",)
    bare, with_adapter = (LanguageModel(tiny, folder) for folder in (None, taught[1]))
    assert not bare.listens
    assert (bare.read(words, bare.new_cache()) - with_adapter.read(words, with_adapter.new_cache())).abs().max() > 0.05


def test_a_model_of_which_all_was_trained_reads_as_in_training(tiny: Path, tmp_path: Path) -> None:
    student = trained(tiny, tmp_path / "whole", None)
    assert (tmp_path / "whole" / WHOLE).is_file()
    reads_alike(student, LanguageModel(tiny, tmp_path / "whole"))


def test_eight_bits_are_close(tiny: Path, taught: tuple[CompactStudent, Path]) -> None:
    full, small = LanguageModel(tiny, taught[1]), LanguageModel(tiny, taught[1], int8=True)
    trunk = tree_of(situation(), full.encode).trunk
    one, other = (model.read(trunk, model.new_cache()) for model in (full, small))
    assert torch.cosine_similarity(one, other.float(), dim=-1).min() > 0.98
    assert torch.cosine_similarity(full.logits(one[-1]), small.logits(other[-1]), dim=-1) > 0.98
    assert (full.rows(one[-1]) - small.rows(other[-1])).abs().max() < 0.1 * full.rows(one[-1]).abs().max()


Break = Callable[[Path], Any]


def edited(**changes: Any) -> Break:
    def edit(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        (folder / CARD).write_text(json.dumps(card | changes), encoding="utf-8")

    return edit


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / CARD).unlink(), "holds no listener.json; name a folder that `agent train`"),
        (lambda f: (f / CARD).write_text("{"), r"listener\.json: is no JSON"),
        (lambda f: (f / CARD).write_bytes(b"\xff\xfe"), r"listener\.json: is no JSON"),
        (lambda f: (f / CARD).write_text("[1]"), r"listener\.json: is no JSON object"),
        (edited(format=99), r"listener\.json: format is 99, and this version reads 1"),
        (edited(rows=["question"]), r"listener\.json: rows is \['question'\]"),
        (edited(look=3), r"listener\.json: look is 3"),
        (lambda f: (f / SENSES).unlink(), r"senses\.safetensors: cannot be read"),
        (lambda f: (f / SENSES).write_bytes(b"garbled"), r"senses\.safetensors: cannot be read"),
        (lambda f: shutil.copy(f / LORA, f / SENSES), r"senses\.safetensors: does not fit this version"),
        (lambda f: (f / LORA).unlink(), r"adapter_model\.safetensors: cannot be read"),
        (lambda f: (f / LORA).write_bytes(b"garbled"), r"adapter_model\.safetensors: cannot be read"),
        (lambda f: (f / LORA_CONFIG).unlink(), r"adapter_config\.json: cannot be read"),
        (lambda f: (f / LORA_CONFIG).write_text("{}"), r"adapter_config\.json: cannot be read"),
        (lambda f: shutil.copy(f / SENSES, f / WHOLE), r"model\.safetensors: .* is on one side only"),
    ],
)
def test_a_broken_adapter_names_the_file(spoil: Break, message: str, tiny: Path, copied: Path) -> None:
    spoil(copied)
    with pytest.raises(AdapterError, match=message) as caught:
        LanguageModel(tiny, copied)
    assert str(copied) in str(caught.value)


def test_an_update_of_what_the_base_has_not_is_named(tiny: Path, copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    found = load_file(copied / LORA)
    save_file({name.replace("layers.1", "layers.7"): value for name, value in found.items()}, copied / LORA)
    with pytest.raises(AdapterError, match=r"model\.layers\.7\..* is no part of this base"):
        LanguageModel(tiny, copied)


def test_another_base_is_refused_and_both_are_named(copied: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "other-llama", layers=1)
    message = (
        r"trained on 'tiny-llama \(llama, 2 layers of 32, 259 tokens\)', "
        r"and this base is 'other-llama \(llama, 1 layers of 32, 259 tokens\)'"
    )
    with pytest.raises(BaseMismatch, match=message):
        LanguageModel(other, copied)


def test_what_is_felt_is_equal_if_its_numbers_are() -> None:
    assert felt(look(1)) == felt(look(1))
    assert felt(look(1)) != felt(look(2))
    numbers = np.zeros(4, np.float32)
    assert felt(Look(numbers)) != felt(type(tone())(numbers))
    assert len(felt(sound(tokens=3))) == 3
    assert row("question") == row("question") != row("other")
    assert len({*felt(sound(tokens=3)), *felt(sound(tokens=3))}) == 3


def test_each_piece_is_encoded_by_itself() -> None:
    def pairs(text: str) -> list[int]:
        return [len(text[n : n + 2]) for n in range(0, len(text), 2)]

    pieces: list[Piece] = [Words("abc"), look(), Words("d")]
    assert listener.units(pieces, pairs) == [2, 1, *felt(look()), 1]


def test_what_is_felt_is_put_where_it_stands_and_nowhere_else() -> None:
    senses = Senses(HIDDEN, scale=2.0)
    embedded = torch.zeros(2, 4, HIDDEN)
    batch: list[list[Unit]] = [[5, *felt(look()), row("other"), 5], [*felt(tone()), *felt(sound(tokens=2))]]
    out = senses.place(embedded, batch)
    there = out.norm(dim=-1)
    assert (there > 0).tolist() == [[False, True, True, False], [True, True, True, False]]
    torch.testing.assert_close(there[0, 1], torch.tensor(2.0), atol=0.01, rtol=0)
    torch.testing.assert_close(out[0, 2], senses.rows_in[ROWS.index("other")])
    assert not embedded.any()


def test_scores_are_blended_with_shares() -> None:
    head = Leaning({"question": 0.75, "other": 0.25}, {"sad": 1.0}, {"grief": 1.0})
    found = blend(head, {"question": -1000.0, "other": 0.0}, {"sad": 3.0}, 1.0)
    assert found.strategies == pytest.approx({"question": 0.375, "other": 0.625})
    assert found.emotions == pytest.approx({"sad": 1.0})
    assert found.moods == head.moods
    assert blend(head, {"question": 2.0, "other": 1.0}, {"sad": 0.0}, 0.0).strategies == pytest.approx(head.strategies)
