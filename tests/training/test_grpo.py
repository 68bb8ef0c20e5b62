"""Exploration: the reward rises, the loss is the published one, and a run goes on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from policy.training.grpo import Recipe, advantages_of, grpo, loss_of
from policy.training.recipe import RecipeError
from policy.training.rewards import Accuracy, Format, Reward
from policy.training.run import Run, RunError
from policy.training.student import Sample
from tests.training.test_loop import after
from tests.training.toy import BEGIN, Bigram

Clock = Callable[[], float]

REWARDS: tuple[Reward, ...] = (
    Accuracy(lambda example, text: 0.5 * (example in text) + 0.5 * text.startswith(example)),
    Format(lambda text: len(text) == 3),
)
"""An answer has three letters and begins with the one that is asked for."""
EXAMPLES = ("b", "b", "b", "b")
RECIPE = Recipe(rate=0.15, epochs=15, batch=2, generations=8, most=6, beta=0.02, save_every=4)
SHORT = replace(RECIPE, epochs=2, inner=2)


def test_the_reward_rises(run: Run, clock: Clock) -> None:
    student = Bigram()
    out = grpo(student, EXAMPLES, REWARDS, RECIPE, run, None, clock)
    lines = [line for line in run.metrics() if line["step"]]
    first, last = ([line["figures"]["reward"] for line in part] for part in (lines[:5], lines[-5:]))
    assert out.total == len(lines) == 30
    assert sum(last) / 5 > sum(first) / 5 + 0.5
    assert set(lines[0]["figures"]) == {
        *("reward", "reward/accuracy", "reward/format", "tokens", "ended", "flat", "kl"),
    }
    assert lines[0]["figures"]["kl"] == 0.0
    assert lines[-1]["figures"]["kl"] > 0.01
    assert all(
        line["figures"]["reward"]
        == pytest.approx(line["figures"]["reward/accuracy"] + line["figures"]["reward/format"], abs=1e-5)
        for line in lines
    )


def test_the_penalty_keeps_it_near_the_reference(tmp_path: Path, clock: Clock) -> None:
    moved = {}
    for beta in (0.0, 1.0):
        student = Bigram()
        recipe = Recipe(rate=0.15, epochs=8, batch=2, most=6, beta=beta)
        with Run(tmp_path / str(beta)) as run:
            grpo(student, EXAMPLES, REWARDS, recipe, run, None, clock)
            assert ("kl" in run.metrics()[-1]["figures"]) == bool(beta)
        before, after_it = (torch.log_softmax(s.table[BEGIN] + s.control, -1).detach() for s in (Bigram(), student))
        moved[beta] = float((after_it.exp() * (after_it - before)).sum())
    assert moved[1.0] < 0.5 * moved[0.0]


@pytest.mark.parametrize("inner", [1, 3])
def test_a_run_that_was_stopped_ends_bit_for_bit_as_one_that_was_not(tmp_path: Path, clock: Clock, inner: int) -> None:
    recipe = Recipe(rate=0.05, epochs=4, batch=2, most=6, save_every=3, inner=inner)
    through, first, second = Bigram(), Bigram(), Bigram()
    with Run(tmp_path / "through") as run:
        grpo(through, EXAMPLES, REWARDS, recipe, run, None, clock)
    with Run(tmp_path / "cut") as run:
        grpo(first, EXAMPLES, REWARDS, recipe, run, None, clock, stop=after(5))
    with Run(tmp_path / "cut") as run:
        grpo(second, EXAMPLES, REWARDS, recipe, run, None, clock)
    assert torch.equal(through.weights(), second.weights())
    assert not torch.equal(through.weights(), Bigram().weights())


def test_it_goes_on_only_from_the_weights_that_it_began_with(tmp_path: Path, clock: Clock) -> None:
    with Run(tmp_path) as run:
        grpo(Bigram(), EXAMPLES, REWARDS, RECIPE, run, None, clock, stop=after(1))
    other = Bigram()
    with torch.no_grad():
        other.table[0, 0] += 1
    with Run(tmp_path) as run, pytest.raises(RunError, match='start is "'):
        grpo(other, EXAMPLES, REWARDS, RECIPE, run, None, clock)


def test_groups_of_equal_rewards_are_flat_and_teach_nothing(run: Run, clock: Clock) -> None:
    student = Bigram()
    equal = (Accuracy(lambda example, text: 1.0),)
    recipe = Recipe(rate=0.05, epochs=2, batch=2, most=6, beta=0.0, decay=0.0)
    grpo(student, EXAMPLES, equal, recipe, run, None, clock)
    assert [line["figures"]["flat"] for line in run.metrics()[1:]] == [1.0] * 4
    assert torch.equal(student.weights(), Bigram().weights())


def test_a_student_that_gives_too_few_answers_is_told(run: Run, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bigram, "sample", lambda *args, **rest: [Sample((0,), "", True)])
    with pytest.raises(ValueError, match="gave 1 answers where 8 were asked for"):
        grpo(Bigram(), EXAMPLES, REWARDS, RECIPE, run, None, clock)


def test_advantages() -> None:
    found = advantages_of(torch.tensor([0.0, 1.0, 2.0, 1.0]))
    spread = (2 / 3) ** 0.5
    assert found.tolist() == pytest.approx([-1 / (spread + 1e-4), 0, 1 / (spread + 1e-4), 0])
    assert advantages_of(torch.full((8,), 0.1)).tolist() == [0.0] * 8


def test_the_loss_by_hand() -> None:
    now = torch.tensor([[-1.0, -2.0], [-0.5, -9.0]], requires_grad=True)
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    reference = torch.tensor([[-1.5, -2.0], [-20.0, 3.0]])
    advantages = torch.tensor([1.0, -1.0])
    loss, distance = loss_of(now, mask, advantages, old=now.detach(), reference=reference, beta=0.1, ratio_clip=0.2)
    e = torch.e
    first = ((e**-0.5 + 0.5 - 1) + 0) / 2
    second = e**-11 + 11 - 1  # a log-ratio of -19.5, clamped
    assert float(distance) == pytest.approx((first + second) / 2, rel=1e-5)
    assert float(loss.detach()) == pytest.approx(((-1 + 0.1 * first) + (1 + 0.1 * second)) / 2, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert now.grad is not None
    assert now.grad[1, 1] == 0
    # Policy gradient of a step: -advantage / steps / answers; here without a part of the penalty, which is flat there.
    assert float(now.grad[0, 1]) == pytest.approx(-1 / 2 / 2)
    assert float(now.grad[1, 0]) == pytest.approx(1 / 2)


def test_the_ratio_is_clipped_where_it_would_go_too_far() -> None:
    now = torch.tensor([[0.5], [0.5], [-0.5], [-0.5]], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0])
    old = torch.zeros(4, 1)
    loss, _ = loss_of(now, torch.ones(4, 1), advantages, old=old, reference=None, beta=0.1, ratio_clip=0.2)
    up, down = float(torch.tensor(0.5).exp()), float(torch.tensor(-0.5).exp())
    assert float(loss.detach()) == pytest.approx(-(1.2 - up + down - 0.8) / 4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert now.grad is not None
    assert now.grad.flatten().tolist() == pytest.approx([0.0, up / 4, -down / 4, 0.0])


def test_published_settings_are_the_defaults() -> None:
    recipe = Recipe()
    assert (recipe.generations, recipe.temperature, recipe.rate, recipe.beta, recipe.most) == (8, 1.0, 1e-6, 0.1, 2048)
    assert (recipe.epochs, recipe.inner, recipe.save_every) == (1, 1, 10)
    with pytest.raises(RecipeError, match="generations is 1, expected a whole number from 2"):
        Recipe(generations=1)
