"""Group relative policy optimisation (Shao et al., DeepSeekMath, 2024): the student explores, and the better half wins.

For each example the student gives a group of answers; an answer's advantage is its reward minus the mean of the group,
over the standard deviation. The loss is the policy gradient with these, and a penalty for leaving the reference model.
Defaults are those published with HumanSense: 8 answers at temperature 1, learning rate 1e-6, penalty 0.1 with the k3
estimator (Schulman, 2020) over log-ratios within ±11, mean over the steps of an answer, then over the group.

Departures: each example has a generator of its own, seeded by step and place, so that a run can be repeated and shared
between processes; the learning rate follows the schedule of :mod:`policy.training.loop`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import torch

from policy.training import recipe as recipes
from policy.training.loop import Batch, Clock, Evaluate, Outcome, Part, Stop, never, seed_of, train
from policy.training.rewards import Reward, total
from policy.training.run import Run
from policy.training.student import Sample, Student

STAGE: Final = "grpo"
MOST_LOG_RATIO: Final = 11.0
"""Log-ratios to the reference are clamped to this, so that one strange token cannot blow the penalty up."""
LEAST_SPREAD: Final = 1e-4
"""Added to the standard deviation of a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(recipes.Recipe):
    """Settings, beside those of :class:`policy.training.recipe.Recipe`.

    Attributes:
        rate: as there, with the published default.
        batch: groups per step, over all processes.
        generations: answers per group.
        temperature: at which they are drawn.
        most: tokens of an answer.
        beta: weight of the penalty; with 0 the reference model is not run.
        inner: updates per batch of groups; from the second on the ratio to the model that drew them is clipped (PPO).
        ratio_clip: how far the ratio may be from 1.
    """

    rate: float = 1e-6
    batch: int = 8
    save_every: int = 10
    generations: int = 8
    temperature: float = 1.0
    most: int = 2048
    beta: float = 0.1
    inner: int = 1
    ratio_clip: float = 0.2


@dataclass(slots=True)
class _Group:
    example: Any
    samples: list[Sample]
    advantages: torch.Tensor
    figures: dict[str, float]
    old: torch.Tensor | None = None
    reference: torch.Tensor | None = None


def grpo(
    student: Student,
    examples: Sequence[Any],
    rewards: Sequence[Reward],
    recipe: Recipe,
    run: Run,
    evaluate: Evaluate | None,
    clock: Clock,
    stop: Stop = never,
    *,
    stage: str = STAGE,
) -> Outcome:
    """Train by exploration; other arguments and errors are those of :func:`policy.training.loop.train`.

    Figures: ``reward`` and ``reward/<name>`` (mean over answers), ``tokens`` (mean length), ``ended`` (share that came
    to its end), ``kl`` (mean estimate per step, in nats), ``flat`` (share of groups whose rewards are all equal: they
    teach nothing but staying near the reference).

    Args:
        student: as it begins: what its reference model is. A run goes on only from the same weights.
        examples: what answers are given to.
        rewards: what they are worth.
        recipe: the settings.
        run: where checkpoints and metrics are.
        evaluate: measures the dev part.
        clock: seconds.
        stop: whether to stop.
        stage: name for the records, where there are several such stages.
    """

    def work(batch: Batch) -> Iterator[Iterator[Part]]:
        groups = [_explore(student, rewards, recipe, batch.step, place, example) for place, example in batch.items]
        for _ in range(recipe.inner):
            yield (_part(student, recipe, group, 1 / batch.size) for group in groups)

    return train(
        student,
        examples,
        recipe,
        run,
        work,
        stage=stage,
        evaluate=evaluate,
        clock=clock,
        stop=stop,
        start=_digest(student),
    )


def advantages_of(rewards: torch.Tensor) -> torch.Tensor:
    """Return the advantages of a group, float32 of shape ``(count,)``; zeros where all rewards are equal."""
    if bool((rewards == rewards[0]).all()):
        return torch.zeros_like(rewards)
    return (rewards - rewards.mean()) / (rewards.std() + LEAST_SPREAD)


def loss_of(
    now: torch.Tensor,
    mask: torch.Tensor,
    advantages: torch.Tensor,
    *,
    old: torch.Tensor,
    reference: torch.Tensor | None,
    beta: float,
    ratio_clip: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of a group, and its estimate of the distance to the reference in nats per step; both scalars.

    Args:
        now: log-probabilities of the steps under the student, ``(count, steps)``, with a gradient.
        mask: 1 for steps that were taken, same shape.
        advantages: of the answers, ``(count,)``.
        old: as ``now``, under the model that drew the answers, without a gradient.
        reference: the same under the reference model; ``None`` for no penalty.
        beta: weight of the penalty.
        ratio_clip: how far the ratio of ``now`` to ``old`` may be from 1.
    """
    mask = mask.to(now.dtype)
    advantages = advantages.to(now)[:, None]
    ratio = torch.exp((now - old) * mask)
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - ratio_clip, 1 + ratio_clip) * advantages)
    distance = torch.zeros_like(now)
    if reference is not None:
        away = ((reference - now) * mask).clamp(-MOST_LOG_RATIO, MOST_LOG_RATIO)
        distance = torch.exp(away) - away - 1
    steps = mask.sum(1).clamp(min=1)
    loss = (((beta * distance - gain) * mask).sum(1) / steps).mean()
    return loss, ((distance * mask).sum(1) / steps).mean().detach()


def _explore(
    student: Student, rewards: Sequence[Reward], recipe: Recipe, step: int, place: int, example: Any
) -> _Group:
    generator = torch.Generator().manual_seed(seed_of(recipe.seed, "explore", step, place))
    with torch.no_grad():
        samples = student.sample(
            example, recipe.generations, generator=generator, temperature=recipe.temperature, most=recipe.most
        )
    if len(samples) != recipe.generations:
        raise ValueError(f"the student gave {len(samples)} answers where {recipe.generations} were asked for")
    worth, means = total(rewards, example, samples)
    advantages = advantages_of(worth)
    figures = {
        "reward": float(worth.mean()),
        **{f"reward/{name}": value for name, value in means.items()},
        "tokens": sum(len(sample.ids) for sample in samples) / len(samples),
        "ended": sum(sample.ended for sample in samples) / len(samples),
        "flat": float(not advantages.any()),
    }
    return _Group(example, samples, advantages, figures)


def _part(student: Student, recipe: Recipe, group: _Group, weight: float) -> Part:
    if recipe.beta and group.reference is None:
        with student.reference(), torch.no_grad():
            group.reference = student.logprobs(group.example, group.samples)[0].detach()
    now, mask = student.logprobs(group.example, group.samples)
    if group.old is None:
        group.old = now.detach()
    loss, distance = loss_of(
        now,
        mask,
        group.advantages,
        old=group.old,
        reference=group.reference,
        beta=recipe.beta,
        ratio_clip=recipe.ratio_clip,
    )
    figures = {**group.figures, "kl": float(distance)} if recipe.beta else group.figures
    return Part(loss, weight, figures)


def _digest(student: Student) -> str:
    """Return what identifies the weights of ``student``."""
    found = sha256()
    for name, parameter in student.parameters().items():
        found.update(f"{name}{tuple(parameter.shape)}".encode())
        found.update(parameter.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
