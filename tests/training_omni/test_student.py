"""The tiny model as a student: its losses, answers and weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from policy.omni.tiny import build
from policy.training.omni import OmniStudent
from policy.training.omni_example import AUDIO, BOTH, VISION, Media, OmniExample
from policy.training.omni_weights import LoraRecipe
from policy.training.student import BaseMismatch, Sample, Student
from tests.training_omni.conftest import Open
from tests.training_omni.fixture import as_published, media

REPLY = "I hear you."


def example(modality: str = BOTH, found: Media | None = None, **fields: Any) -> OmniExample:
    given = {"id": "e1", "text": "hi", "modality": modality, "media": found or media(), "target": REPLY}
    return OmniExample(**{**given, **fields})


def draw(student: OmniStudent, asked: OmniExample, seed: int = 3, **settings: Any) -> list[Sample]:
    given = {"temperature": 1.0, "most": 12, **settings}
    return student.sample(asked, 4, generator=torch.Generator().manual_seed(seed), **given)


def states(student: OmniStudent, asked: OmniExample) -> torch.Tensor:
    """Logits of the first token of the answer."""
    with torch.no_grad():
        prompt = student._inputs.prompt(asked)
        hidden, _, _ = student._hidden([(prompt, student._embedded(prompt), [5])])
        return student._logits(hidden[0], ())[0]


def shake(student: OmniStudent, by: float = 0.05) -> None:
    """Move the trained parameters away from where they began."""
    generator = torch.Generator().manual_seed(9)
    for parameter in student.parameters().values():
        parameter.data += by * torch.randn(parameter.shape, generator=generator)


def test_it_is_a_student(student: Open) -> None:
    held: Student = student()
    assert held.base.startswith("tiny-omni@")


@pytest.mark.parametrize("modality", [VISION, AUDIO, BOTH])
def test_states_are_those_of_the_library(student: Open, modality: str) -> None:
    own = student()
    prompt = own._inputs.prompt(example(modality, media(frames=12, seconds=5.0)))
    given: dict[str, Any] = {"input_ids": prompt.ids[None], "attention_mask": torch.ones(1, len(prompt.ids)).long()}
    if prompt.patches is not None:
        given |= {"pixel_values_videos": prompt.patches, "video_grid_thw": prompt.grid}
        given |= {"video_second_per_grid": torch.tensor([1.0])}
    if prompt.mel is not None:
        given |= {"input_features": prompt.mel, "feature_attention_mask": torch.ones(1, prompt.mel.shape[-1]).long()}
    with torch.no_grad():
        theirs = own._thinker(**given, use_audio_in_video=modality == BOTH).logits[0, -1]
    ours = states(own, example(modality, media(frames=12, seconds=5.0)))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert float(theirs.std()) > 0.05


def test_what_is_seen_and_what_is_heard_each_change_the_logits(student: Open) -> None:
    own, first, second = student(), media(1), media(2)
    assert first.frames is not None
    assert second.frames is not None
    before = states(own, example(BOTH, first))
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)
    heard = states(own, example(BOTH, replace(first, audio=tone)))
    seen = states(own, example(BOTH, replace(first, frames=second.frames)))
    assert torch.equal(before, states(own, example(BOTH, media(1))))
    assert float((heard - before).abs().max()) > 1e-3
    assert float((seen - before).abs().max()) > 1e-3


def test_modality_shuts_a_sense_out(student: Open) -> None:
    own, first, second = student(), media(1), media(2)
    deaf = [states(own, example(VISION, replace(first, audio=m.audio))) for m in (first, second)]
    blind = [states(own, example(AUDIO, replace(first, frames=m.frames))) for m in (first, second)]
    assert torch.equal(*deaf)
    assert torch.equal(*blind)


def test_the_loss_is_that_of_the_targets_alone(student: Open) -> None:
    """Against logits of the whole row, made by the library, with everything but the target left out."""
    own, asked = student(), example(AUDIO)
    prompt, target = own._inputs.prompt(asked), own._inputs.target(REPLY)
    assert prompt.mel is not None
    ids = torch.cat([prompt.ids, torch.tensor(target)])[None]
    labels = ids.clone()
    labels[:, : len(prompt.ids)] = -100
    mask = torch.ones(1, prompt.mel.shape[-1]).long()
    theirs = own._thinker(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        labels=labels,
        input_features=prompt.mel,
        feature_attention_mask=mask,
    ).loss
    ours, figures = own.loss([asked])
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-5)
    assert figures["tokens"] == len(target)
    assert 0 <= figures["accuracy"] <= 1


def test_a_batch_is_the_mean_of_its_examples(student: Open) -> None:
    own = student()
    batch = [example(BOTH), example("text", target="Yes, it was a long and bad day."), example(AUDIO, target="No")]
    alone = [float(own.loss([one])[0].detach()) for one in batch]
    together = float(own.loss(batch)[0].detach())
    assert together == pytest.approx(sum(alone) / 3, abs=1e-5)


def test_supervised_steps_lower_the_loss(student: Open) -> None:
    own = student()
    optimizer = torch.optim.AdamW(own.parameters().values(), lr=2e-2)
    losses = list[float]()
    for _ in range(8):
        loss, _ = own.loss([example(BOTH), example(VISION)])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    # With a frozen head of small random weights no loss below about 4.3 can be reached.
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_flow_into_the_adapter_only(student: Open, checkpointing: bool) -> None:
    own = student(checkpointing=checkpointing)
    shake(own)
    own.loss([example()])[0].backward()  # type: ignore[no-untyped-call]
    moved = {n for n, p in own._thinker.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert moved == set(own.parameters())
    assert all(".lora_" in name and name.startswith("model.language_model.") for name in moved)
    assert len(moved) == 2 * 2 * 7


def test_all_parameters_learn_or_all_but_the_towers(student: Open) -> None:
    own = student(lora=None)
    own.loss([example()])[0].backward()  # type: ignore[no-untyped-call]
    moved = {n for n, p in own._thinker.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert any(name.startswith("model.audio_tower.") for name in moved)
    assert any(name.startswith("model.visual.") for name in moved)
    bound = student(lora=None, towers=False)
    assert not any("audio_tower" in name or "visual" in name for name in bound.parameters())
    assert any(name.startswith("model.language_model.") for name in bound.parameters())


def test_checkpointing_changes_no_gradient(student: Open) -> None:
    grads = list[torch.Tensor]()
    for checkpointing in (False, True):
        own = student(checkpointing=checkpointing)
        shake(own)
        own.loss([example()])[0].backward()  # type: ignore[no-untyped-call]
        found = [p.grad for p in own.parameters().values() if p.grad is not None]
        grads.append(torch.cat([g.flatten() for g in found]))
    assert torch.allclose(grads[0], grads[1], atol=1e-6)


def test_all_parameters_are_not_trained_in_half_precision(student: Open) -> None:
    with pytest.raises(ValueError, match="use float32, or an adapter"):
        student(lora=None, dtype=torch.bfloat16)


def test_an_adapter_on_a_half_precision_base_is_float32(student: Open) -> None:
    own = student(dtype=torch.bfloat16)
    assert {p.dtype for p in own.parameters().values()} == {torch.float32}
    loss, _ = own.loss([example()])
    loss.backward()  # type: ignore[no-untyped-call]
    assert bool(torch.isfinite(loss))
    samples = draw(own, example())
    assert bool(torch.isfinite(own.logprobs(example(), samples)[0]).all())


@pytest.mark.parametrize("modality", [VISION, AUDIO, BOTH])
def test_logprobs_are_those_at_sampling(student: Open, modality: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own, asked = student(), example(modality, media(frames=6, seconds=2.5))
    shake(own)
    drawn = list[torch.Tensor]()
    choose = OmniStudent._choose

    def watched(self: OmniStudent, hidden: torch.Tensor, generator: torch.Generator, temperature: float) -> list[int]:
        ids = choose(self, hidden, generator, temperature)
        logits = self._logits(hidden, self._inputs.placeholders).log_softmax(-1)
        drawn.append(logits.gather(-1, torch.tensor(ids)[:, None])[:, 0])
        return ids

    monkeypatch.setattr(OmniStudent, "_choose", watched)
    samples = draw(own, asked, most=40)
    logprobs, mask = own.logprobs(asked, samples)
    assert logprobs.requires_grad
    assert mask.sum(1).tolist() == [len(sample.ids) for sample in samples]
    then = torch.stack(drawn, 1)[:, : mask.shape[1]]
    assert float(((logprobs - then) * mask).detach().abs().max()) < 1e-4


def test_answers_of_several_lengths_are_masked_after_their_end(student: Open) -> None:
    own, end = student(), student()._inputs.end
    samples = [Sample((7, 8, end), "", True), Sample((7, 8, 9, 10, 11, end), "", True), Sample((end,), "", True)]
    logprobs, mask = own.logprobs(example(), samples)
    assert mask.tolist() == [[1, 1, 1, 0, 0, 0], [1] * 6, [1, 0, 0, 0, 0, 0]]
    assert not bool((logprobs * (1 - mask)).any())
    alone, _ = own.logprobs(example(), samples[:1])
    assert torch.allclose(logprobs[0, :3], alone[0], atol=1e-5)


def test_few_rows_at_a_time_change_nothing(student: Open) -> None:
    samples = draw(student(), example())
    found = [student(rows=rows).logprobs(example(), samples)[0] for rows in (1, 3, 8)]
    assert torch.allclose(found[0], found[2], atol=1e-5)
    assert torch.allclose(found[1], found[2], atol=1e-5)


def test_the_same_seed_gives_the_same_answers(student: Open) -> None:
    own = student()
    first, again, other = draw(own, example()), draw(own, example()), draw(own, example(), seed=4)
    assert first == again
    assert first != other
    assert len({sample.ids for sample in first}) > 1


def test_temperature_zero_takes_the_likeliest(student: Open) -> None:
    own = student()
    samples = draw(own, example(), temperature=0)
    assert len({sample.ids for sample in samples}) == 1
    assert samples[0].ids[0] == int(states(own, example()).argmax())


def test_placeholders_are_never_written(student: Open) -> None:
    own = student()
    head = own._thinker.lm_head.weight
    with torch.no_grad():
        head.zero_()
        for token in own._inputs.placeholders:
            head[token] = 100 * states_direction(own, example())
    held = draw(own, example(), temperature=0, most=3)
    assert not set(held[0].ids) & set(own._inputs.placeholders)
    assert bool(torch.isfinite(own.logprobs(example(), held)[0]).all())


def states_direction(student: OmniStudent, asked: OmniExample) -> torch.Tensor:
    """The state before the first token of the answer: what would make a token likely there."""
    prompt = student._inputs.prompt(asked)
    hidden, _, _ = student._hidden([(prompt, student._embedded(prompt), [5])])
    return hidden[0, 0].detach()


def test_an_answer_ends_at_its_end_or_where_it_must(student: Open) -> None:
    own = student()
    with torch.no_grad():
        own._thinker.lm_head.weight[own._inputs.end] = 4 * states_direction(own, example())
    ended = draw(own, example(), temperature=0)[0]
    assert ended == Sample((own._inputs.end,), "", True)
    cut = draw(student(), example(), most=2)
    assert all(len(sample.ids) <= 2 for sample in cut)
    assert not all(sample.ended for sample in cut)


@pytest.mark.parametrize("lora", [LoraRecipe(rank=4, alpha=8.0), None])
def test_the_reference_is_the_model_as_training_began(student: Open, lora: LoraRecipe | None) -> None:
    own = student(lora=lora)
    samples = draw(own, example())
    before = own.logprobs(example(), samples)[0].detach()
    shake(own)
    now, _ = own.logprobs(example(), samples)
    with own.reference():
        held, _ = own.logprobs(example(), samples)
    assert not held.requires_grad
    assert torch.allclose(held, before, atol=1e-6)
    assert float((now.detach() - before).abs().max()) > 1e-3
    # A gradient that was asked for before still belongs to the student.
    now.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(own.logprobs(example(), samples)[0], now)


def test_the_next_stage_refers_to_what_it_began_from(student: Open, tmp_path: Path) -> None:
    first = student()
    shake(first)
    first.save(tmp_path)
    second = student(adapter=tmp_path)
    samples = draw(second, example())
    began = second.logprobs(example(), samples)[0].detach()
    shake(second, 0.1)
    second.save(tmp_path / "later")
    again = student(adapter=tmp_path)
    again.load(tmp_path / "later")
    with again.reference():
        assert torch.allclose(again.logprobs(example(), samples)[0], began, atol=1e-6)


@pytest.mark.parametrize("lora", [LoraRecipe(rank=4, alpha=8.0), None])
def test_saved_weights_come_back(student: Open, tmp_path: Path, lora: LoraRecipe | None) -> None:
    own = student(lora=lora)
    shake(own)
    own.save(tmp_path)
    again = student(lora=lora)
    assert not torch.equal(states(own, example()), states(again, example()))
    again.load(tmp_path)
    assert torch.equal(states(own, example()), states(again, example()))
    assert json.loads((tmp_path / "student.json").read_text())["base"] == own.base


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # within peft
def test_peft_reads_the_adapter(student: Open, omni: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration

    own = student()
    shake(own)
    own.save(tmp_path)
    plain = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(omni)
    theirs = PeftModel.from_pretrained(plain, tmp_path).eval()
    own._thinker.eval()
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.allclose(theirs(input_ids=ids).logits, own._thinker(input_ids=ids).logits, atol=1e-6)
    assert "tmp" not in (tmp_path / "adapter_config.json").read_text()


def test_another_base_is_refused_with_both_names(student: Open, tmp_path: Path) -> None:
    other = student(build(tmp_path / "other-omni", seed=1))
    other.save(tmp_path / "saved")
    own = student()
    with pytest.raises(BaseMismatch) as told:
        own.load(tmp_path / "saved")
    assert other.base in str(told.value)
    assert own.base in str(told.value)
    with pytest.raises(BaseMismatch):
        student(adapter=tmp_path / "saved")


def test_another_name_of_the_same_base_is_not(student: Open, omni: Path, tmp_path: Path) -> None:
    student().save(tmp_path / "saved")
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in omni.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    student(moved).load(tmp_path / "saved")


def test_another_recipe_and_foreign_folders_are_told(student: Open, tmp_path: Path) -> None:
    student().save(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"holds an adapter of rank 4, .* but this student has an adapter of rank 2"):
        student(lora=LoraRecipe(rank=2, alpha=8.0)).load(tmp_path / "saved")
    with pytest.raises(ValueError, match="but this student has all parameters"):
        student(lora=None).load(tmp_path / "saved")
    with pytest.raises(FileNotFoundError, match=r"student\.json: no such file; name a folder that training"):
        student().load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"holds no \*\.safetensors"):
        student(tmp_path)


def test_damaged_weights_are_told(student: Open, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    own = student()
    own.save(tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    name = min(tensors)
    save_file({n: t for n, t in tensors.items() if n != name}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="is missing, expected"):
        own.load(tmp_path)
    save_file({**tensors, "extra": torch.zeros(1)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="extra has no place in this model"):
        own.load(tmp_path)


def test_the_whole_published_model_is_read_as_its_thinker(student: Open, omni: Path, tmp_path: Path) -> None:
    published = student(as_published(omni, tmp_path / "whole"))
    assert torch.equal(states(published, example()), states(student(), example()))


@pytest.mark.parametrize("values", [{"rank": 0}, {"alpha": 0.0}, {"dropout": 1.0}])
def test_a_recipe_out_of_range_names_its_field(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"lora {min(values)} is"):
        LoraRecipe(**values)


def test_dropout_is_for_supervised_steps_only(student: Open) -> None:
    own = student(lora=LoraRecipe(rank=4, alpha=8.0, dropout=0.5))
    shake(own, 0.2)
    samples = draw(own, example())
    assert torch.equal(own.logprobs(example(), samples)[0], own.logprobs(example(), samples)[0])
    torch.manual_seed(0)
    first, second = (float(own.loss([example()])[0].detach()) for _ in range(2))
    assert first != second


def test_nothing_to_learn_from_is_told(student: Open) -> None:
    with pytest.raises(ValueError, match="no examples"):
        student().loss([])
    with pytest.raises(ValueError, match="e1: there is no sample"):
        student().logprobs(example(), [Sample((), "", False)])
    with pytest.raises(ValueError, match="count 0"):
        student().sample(example(), 0, generator=torch.Generator(), temperature=1.0, most=3)
