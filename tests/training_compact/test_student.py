"""The student: it learns, it scores what it samples, it keeps its reference, and comes back as it was saved."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from policy.decision import LEARNED_EMOTIONS
from policy.head import STRATEGY_NAMES
from policy.listener import CARD, LORA, LORA_CONFIG, SENSES, WHOLE, AdapterError, BaseMismatch
from policy.script import Piece
from policy.training.compact import CompactStudent, Lora, Weights
from policy.training.student import Sample, Student
from tests.training_compact.base import build
from tests.training_compact.conftest import Open
from tests.training_compact.lines import draws, look, pair, question, situation, sound, told, tone, with_pieces

SAMPLES = [Sample((2, 3, 10, 20, 30), "", False), Sample((4, 1, 40), "", False)]


def step(student: CompactStudent, times: int, rate: float = 0.01) -> list[float]:
    optimizer = torch.optim.AdamW(list(student.parameters().values()), lr=rate)
    losses = []
    for _ in range(times):
        loss, _ = student.loss(pair())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def logprobs(student: CompactStudent, samples: list[Sample] = SAMPLES) -> torch.Tensor:
    return student.logprobs(situation(), samples)[0].detach()


def moved(student: CompactStudent) -> CompactStudent:
    torch.manual_seed(9)
    with torch.no_grad():
        for parameter in student.parameters().values():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return student


def gradients(student: CompactStudent) -> dict[str, float]:
    loss, _ = student.loss(pair())
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: 0.0 if p.grad is None else float(p.grad.abs().max()) for name, p in student.parameters().items()}


def test_it_is_a_student(student: Open) -> None:
    found: Student = student()
    assert found.base == "tiny-llama (llama, 2 layers of 32, 259 tokens)"
    first, second = found.parameters(), found.parameters()
    assert list(first) == list(second)
    assert all(one is second[name] for name, one in first.items())
    assert {name.partition(".")[0] for name in first} == {"model", "senses"}


@pytest.mark.parametrize("lora", [Lora(rank=4, alpha=8), None])
def test_the_loss_falls(lora: Lora | None, student: Open) -> None:
    losses = step(student(lora=lora), 15)
    assert losses[-1] < 0.7 * losses[0]


def test_the_loss_is_the_weighted_sum_of_its_parts(student: Open) -> None:
    loss, parts = student(weights=Weights(choose=2.0, reply=0.5, fit=3.0)).loss(pair())
    assert set(parts) == {"choose", "reply", "fit"}
    assert float(loss.detach()) == pytest.approx(
        2 * parts["choose"] + 0.5 * parts["reply"] + 3 * parts["fit"], rel=1e-5
    )


def test_examples_without_a_part_give_no_loss_of_it(student: Open) -> None:
    found = student()
    assert set(found.loss([question()])[1]) == {"fit"}
    assert set(found.loss([replace(situation(), branches=())])[1]) == {"choose"}


def test_the_words_that_are_learned_are_those_of_good_replies(student: Open) -> None:
    """The loss of the words is that of the log-probabilities, the end of the message included."""
    found, example = student(), situation()
    samples = []
    for branch in example.branches[:2]:
        lead = (STRATEGY_NAMES.index(branch.strategy), LEARNED_EMOTIONS.index(branch.emotion))
        samples.append(Sample((*lead, *found.encode(branch.text + "<|im_end|>")), "", True))
    values, mask = found.logprobs(example, samples)
    expected = -values[:, 2:].sum() / mask[:, 2:].sum()
    assert found.loss([example])[1]["reply"] == pytest.approx(float(expected.detach()), rel=1e-4)


def test_gradients_reach_projectors_rows_and_updates(student: Open) -> None:
    found = gradients(student())
    for name in ("sound", "look", "tone"):
        assert found[f"senses.{name}.1.weight"] > 0
        assert found[f"senses.{name}.3.weight"] > 0
    for name in ("scales", "rows_in", "rows_out", "bias"):
        assert found[f"senses.{name}"] > 0
    updates = {name: size for name, size in found.items() if ".lora_B." in name}
    assert len(updates) == 14
    assert all(size > 0 for size in updates.values())


def test_all_parameters_can_be_trained(student: Open) -> None:
    found = gradients(student(lora=None))
    assert not any("lora" in name for name in found)
    assert all(size > 0 for name, size in found.items() if name.startswith("model."))
    assert {"model.model.embed_tokens.weight", "model.model.norm.weight"} <= found.keys()


def test_an_adapter_leaves_the_base_alone(student: Open) -> None:
    found = student()
    assert all("lora" in name for name in found.parameters() if name.startswith("model."))


def score(student: CompactStudent, pieces: Iterable[Piece]) -> torch.Tensor:
    return student.scores([with_pieces(situation(), *pieces)])[0][0]


@pytest.mark.parametrize(
    "other",
    [(look(7), sound(), tone()), (look(), sound(7), tone()), (look(), sound(), tone(7))],
    ids=["face", "sound", "tone"],
)
def test_a_change_of_one_sense_alone_changes_the_scores(other: tuple[Piece, ...], student: Open) -> None:
    found = student()
    one, two = score(found, told("Hm.")), score(found, told("Hm.", *other))
    assert (one - two).abs().max() > 1e-3
    torch.testing.assert_close(one, score(found, told("Hm.", look(), sound(), tone())))


def test_scores_do_not_depend_on_the_batch(student: Open) -> None:
    found = student()
    together = found.scores(pair())
    for example, (rows, fits) in zip(pair(), together, strict=True):
        alone = found.scores([example])[0]
        torch.testing.assert_close(rows, alone[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(fits, alone[1], atol=1e-4, rtol=1e-4)


def test_the_likeliest_answer_is_what_the_log_probabilities_say(student: Open) -> None:
    """At each step the chosen one beats all others, and all of them together are certain."""
    found = moved(student())
    (best,) = found.sample(situation(), 1, generator=draws(), temperature=0.0, most=2)
    strategy, emotion, *ids = best.ids
    for place in range(len(ids)):
        ends = [Sample((strategy, emotion, *ids[:place], token), "", False) for token in range(259)]
        steps = torch.cat([logprobs(found, ends[n : n + 37])[:, place + 2] for n in range(0, 259, 37)])
        assert int(steps.argmax()) == ids[place]
        assert float(steps.exp().sum()) == pytest.approx(1.0, abs=1e-4)
    names = [Sample((n, emotion, 1), "", False) for n in range(len(STRATEGY_NAMES))]
    assert int(logprobs(found, names)[:, 0].argmax()) == strategy
    assert float(logprobs(found, names)[:, 0].exp().sum()) == pytest.approx(1.0, abs=1e-4)


def test_what_is_drawn_follows_the_log_probabilities(student: Open) -> None:
    found = moved(student())
    drawn = found.sample(situation(), 400, generator=draws(), temperature=1.0, most=1)
    names = [Sample((n, 0, 1), "", False) for n in range(len(STRATEGY_NAMES))]
    shares = logprobs(found, names)[:, 0].exp()
    counted = torch.bincount(torch.tensor([s.ids[0] for s in drawn]), minlength=len(STRATEGY_NAMES)) / len(drawn)
    assert (shares - counted).abs().max() < 0.1


def test_the_generator_alone_decides_what_is_drawn(student: Open) -> None:
    found = student()

    def drawn(seed: int) -> list[Sample]:
        return found.sample(situation(), 3, generator=draws(seed), temperature=1.0, most=5)

    first = drawn(1)
    torch.manual_seed(99)
    assert drawn(1) == first != drawn(2)
    for sample in first:
        assert 3 <= len(sample.ids) <= 7
        assert sample.ended == (sample.ids[-1] == found.encode("<|im_end|>")[0])
        head = f"{STRATEGY_NAMES[sample.ids[0]]} {LEARNED_EMOTIONS[sample.ids[1]]} | "
        assert sample.text.startswith(head.rstrip())


def test_the_mask_covers_what_was_chosen(student: Open) -> None:
    values, mask = student().logprobs(situation(), SAMPLES)
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert values.requires_grad
    assert torch.isfinite(values).all()
    assert (values.detach()[mask == 1] < 0).all()


def test_the_reference_stays_as_the_student_began(student: Open) -> None:
    found = student()
    found.keep_reference()
    initial = logprobs(found)
    moved(found)
    now = logprobs(found)
    assert (now - initial).abs().max() > 0.01
    for _ in range(2):
        with found.reference():
            torch.testing.assert_close(logprobs(found), initial)
        torch.testing.assert_close(logprobs(found), now)
    with pytest.raises(RuntimeError, match="broken off"), found.reference():
        raise RuntimeError("broken off")
    torch.testing.assert_close(logprobs(found), now)
    found.keep_reference()
    with found.reference():
        torch.testing.assert_close(logprobs(found), now)


def test_training_does_not_move_the_reference(student: Open) -> None:
    found = student()
    initial = logprobs(found)
    with found.reference():
        pass
    step(found, 2)
    with found.reference():
        torch.testing.assert_close(logprobs(found), initial)


def test_loading_does_not_move_the_reference(student: Open, tmp_path: Path) -> None:
    moved(student()).save(tmp_path / "later")
    found = student()
    initial = logprobs(found)
    found.load(tmp_path / "later")
    assert (logprobs(found) - initial).abs().max() > 0.01
    with found.reference():
        torch.testing.assert_close(logprobs(found), initial)


@pytest.mark.parametrize(
    ("lora", "files"),
    [(Lora(rank=4, alpha=8), {CARD, SENSES, LORA, LORA_CONFIG}), (None, {CARD, SENSES, WHOLE})],
)
def test_what_was_saved_comes_back(lora: Lora | None, files: set[str], student: Open, tmp_path: Path) -> None:
    first = moved(student(lora=lora))
    first.save(tmp_path / "kept")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == files
    second = student(lora=lora, seed=5)
    objects = dict(second.parameters())
    second.load(tmp_path / "kept")
    torch.testing.assert_close(logprobs(second), logprobs(first))
    torch.testing.assert_close(second.scores(pair())[0], first.scores(pair())[0])
    assert all(objects[name] is parameter for name, parameter in second.parameters().items())


def test_an_adapter_names_its_base_and_no_folder(tiny: Path, student: Open, tmp_path: Path) -> None:
    found = student()
    found.save(tmp_path / "kept")
    text = (tmp_path / "kept" / LORA_CONFIG).read_text(encoding="utf-8")
    assert json.loads(text)["base_model_name_or_path"] == found.base
    assert str(tiny.parent) not in text + (tmp_path / "kept" / CARD).read_text(encoding="utf-8")


def test_the_seed_makes_the_initial_adapter(student: Open) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two, other = student(seed=1), student(seed=1), student(seed=2)
    assert torch.equal(before, torch.get_rng_state())
    names = ("senses.look.1.weight", *(name for name in one.parameters() if ".lora_A." in name))
    for name in names:
        assert torch.equal(one.parameters()[name], two.parameters()[name])
        assert not torch.equal(one.parameters()[name], other.parameters()[name])


def test_another_base_is_refused_and_both_are_named(student: Open, tmp_path: Path) -> None:
    student().save(tmp_path / "kept")
    other = student(build(tmp_path / "other-llama", layers=1))
    with pytest.raises(BaseMismatch, match=r"trained on 'tiny-llama \(.*and this base is 'other-llama \("):
        other.load(tmp_path / "kept")


def test_another_rank_and_a_broken_file_are_named(student: Open, tmp_path: Path) -> None:
    student().save(tmp_path / "kept")
    before = logprobs(found := student(lora=Lora(rank=2, alpha=8)))
    message = r"adapter_model\.safetensors: .* is \(4, 64\), and student.lora makes it \(2, 64\)"
    with pytest.raises(AdapterError, match=message):
        found.load(tmp_path / "kept")
    torch.testing.assert_close(logprobs(found), before)
    (tmp_path / "kept" / LORA).write_bytes(b"garbled")
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors: cannot be read"):
        student().load(tmp_path / "kept")
    with pytest.raises(AdapterError, match=r"model\.safetensors: cannot be read"):
        student(lora=None).load(tmp_path / "kept")


def test_dropout_is_for_the_loss_alone(student: Open) -> None:
    found = moved(student(lora=Lora(rank=4, alpha=8, dropout=0.5)))
    torch.testing.assert_close(found.scores(pair())[0], found.scores(pair())[0])
    torch.testing.assert_close(logprobs(found), logprobs(found))
    losses = {float(found.loss(pair())[0].detach()) for _ in range(3)}
    assert len(losses) == 3
    torch.testing.assert_close(found.scores(pair())[0], found.scores(pair())[0])


def test_bfloat16_is_close(student: Open) -> None:
    exact, coarse = (student(bf16=bf16) for bf16 in (False, True))
    one, two = (float(found.loss(pair())[0].detach()) for found in (exact, coarse))
    assert one == pytest.approx(two, rel=0.05)
    assert all(p.dtype == torch.float32 for p in coarse.parameters().values())
