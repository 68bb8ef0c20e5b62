"""The supervised stage: a student learns from what fits, as its own loss says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.training import recipe as recipes
from policy.training.loop import Batch, Clock, Evaluate, Outcome, Part, Stop, never, train
from policy.training.run import Run
from policy.training.student import Student

STAGE: Final = "sft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(recipes.Recipe):
    """Settings of the supervised stage; all fields are those of :class:`policy.training.recipe.Recipe`."""


def sft(
    student: Student,
    examples: Sequence[Any],
    recipe: Recipe,
    run: Run,
    evaluate: Evaluate | None,
    clock: Clock,
    stop: Stop = never,
) -> Outcome:
    """Train on ``examples``; arguments and errors are those of :func:`policy.training.loop.train`.

    The loss of a batch is the mean over its examples, so cutting it into parts or sharing it between processes changes
    nothing but the rounding.
    """

    def work(batch: Batch) -> Iterator[Iterator[Part]]:
        yield _parts(student, batch, recipe.parts)

    return train(student, examples, recipe, run, work, stage=STAGE, evaluate=evaluate, clock=clock, stop=stop)


def _parts(student: Student, batch: Batch, count: int) -> Iterator[Part]:
    items = [example for _, example in batch.items]
    size = -(-len(items) // count)
    for begin in range(0, len(items), size or 1):
        piece = items[begin : begin + size]
        loss, figures = student.loss(piece)
        yield Part(loss, len(piece) / batch.size, figures)
