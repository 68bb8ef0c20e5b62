"""The stages of training from end to end on the tiny model: supervised, then exploring with eyes, ears, and both."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from policy.omni.tiny import build
from policy.training.grpo import Recipe, grpo
from policy.training.humansense import FILES, STAGES, examples, key, read
from policy.training.omni_example import OmniExample
from policy.training.rewards import Accuracy, Format, Reward, chosen
from policy.training.run import Run
from policy.training.sft import Recipe as SftRecipe
from policy.training.sft import sft
from policy.training.student import BaseMismatch, Sample
from tests.training_omni.conftest import Open
from tests.training_omni.fixture import media

PATTERN = "Multiple-choice question (select one answer choice)"


class Vowels:
    """A reward that a random model earns now and then, so that groups differ."""

    name, weight, low, high = "vowels", 1.0, 0.0, 1.0

    def __call__(self, example: OmniExample, sample: Sample, /) -> float:
        return min(1.0, sum(c in "aeiouAEIOU\x01\x02\x03\x04" for c in sample.text) / 4)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, list[OmniExample]]:
    """Two questions for each stage, read from files of the published form."""
    (tmp_path / "clip.mp4").write_bytes(b"0")
    found = {}
    for number, stage in enumerate(STAGES):
        path = tmp_path / FILES[stage][0]
        question = {"question": "Who?", "task_type": "Emo_Strategy", "question_pattern": PATTERN}
        question |= {"options": ["A. sad", "B. glad"], "answer": "B"}  # type: ignore[dict-item]
        path.write_text(json.dumps([{"video_path": "clip.mp4", "questions": question}] * 2))
        found[stage] = examples(read(path, tmp_path), lambda *_, number=number, **__: media(number))
    return found


def clock() -> float:
    return float(next(_SECONDS))


_SECONDS = count()


def test_supervised_then_three_stages_of_exploration(
    student: Open, data: dict[str, list[OmniExample]], tmp_path: Path
) -> None:
    begun = student()
    with Run(tmp_path / "sft") as run:
        recipe = SftRecipe(rate=2e-2, warmup=0.0, batch=3, epochs=2, parts=2)
        outcome = sft(begun, [e for some in data.values() for e in some], recipe, run, None, clock)
        losses = [line["loss"] for line in run.metrics() if "loss" in line]
        newest = run.newest()
    assert (outcome.step, outcome.finished) == (4, True)
    assert losses[-1] < losses[0]

    rewards: list[Reward] = [Accuracy(chosen(key)), Format(), Vowels()]
    for stage in STAGES:
        assert newest is not None
        held = student(adapter=newest)
        before = {name: p.detach().clone() for name, p in held.parameters().items()}
        with Run(tmp_path / stage) as run:
            grpo_recipe = Recipe(rate=1e-2, warmup=0.0, batch=1, generations=4, most=8)
            done = grpo(held, data[stage], rewards, grpo_recipe, run, None, clock, stage=f"grpo-{stage}")
            lines = [line for line in run.metrics() if "loss" in line]
            newest = run.newest()
        assert done.finished
        assert [line["stage"] for line in lines] == [f"grpo-{stage}"] * 2
        # Each stage refers to what it began from: no distance at first, some after a step.
        assert lines[0]["figures"]["kl"] == pytest.approx(0.0, abs=1e-6)
        assert lines[1]["figures"]["kl"] > 1e-6
        assert set(lines[0]["figures"]) >= {"reward", "reward/accuracy", "reward/format", "tokens", "flat"}
        assert any(not bool((before[name] == p).all()) for name, p in held.parameters().items())


def test_a_run_of_another_base_does_not_go_on(
    student: Open, data: dict[str, list[OmniExample]], tmp_path: Path
) -> None:
    recipe = SftRecipe(batch=2, steps=1)
    with Run(tmp_path / "run") as run:
        sft(student(), data["vision"], recipe, run, None, clock)
    other = student(build(tmp_path / "other"))
    with Run(tmp_path / "run") as run, pytest.raises(BaseMismatch) as told:
        sft(other, data["vision"], recipe, run, None, clock)
    assert "tiny-omni@" in str(told.value)
    assert other.base in str(told.value)
