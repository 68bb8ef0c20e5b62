"""The loop that all stages of training share: batches in a seeded order, AdamW, and a run that can always go on.

A stage says what a step learns from (:data:`Work`); the loop takes the gradients, guards them, and keeps the records.
A run that is stopped and started again ends with the same weights, bit for bit, as one that never stopped. With
``torch.distributed`` initialised each process takes its share of every batch, and the weights stay the same in all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

import torch

from policy.training import ranks
from policy.training.random_state import random_state, restore_random_state
from policy.training.recipe import Recipe, RecipeError, as_json
from policy.training.run import Run, RunError, State
from policy.training.student import Student

BETAS: Final = (0.9, 0.95)
MOST_SKIPPED: Final = 3
"""Steps in a row without finite numbers before training goes back to the last checkpoint, with half the rate."""
MOST_RESTORED: Final = 3
"""How often it goes back before it gives up."""

Evaluate = Callable[[], Mapping[str, float]]
"""Measures the student on the dev part; every process calls it."""
Clock = Callable[[], float]
"""Seconds of a clock that never goes back."""
Stop = Callable[[], bool]
"""Whether to stop; asked between steps."""


class Batch(NamedTuple):
    """The share of one process in the examples of one step.

    Attributes:
        step: from 1.
        size: examples of all processes.
        items: those of this process, each with its place in the whole batch.
    """

    step: int
    size: int
    items: tuple[tuple[int, Any], ...]


class Part(NamedTuple):
    """A piece of a loss.

    Attributes:
        loss: a scalar with a gradient.
        weight: of the piece; those of all processes add up to 1.
        figures: to record, averaged by weight.
    """

    loss: torch.Tensor
    weight: float
    figures: Mapping[str, float]


Work = Callable[[Batch], Iterator[Iterator[Part]]]
"""One step of a stage: for each update of the weights, the pieces of its loss, made when they are asked for. Every
process has to give the same number of updates, also for a share of nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        step: steps that are done.
        total: steps of the whole run.
        dev: the last figures of the dev part.
    """

    step: int
    total: int
    dev: Mapping[str, float]

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.step >= self.total


def never() -> bool:
    """Never stop."""
    return False


def total_steps(recipe: Recipe, examples: int) -> int:
    """Return how many steps a run has."""
    whole = recipe.epochs * math.ceil(examples / recipe.batch)
    return min(whole, recipe.steps) if recipe.steps else whole


def factor_at(step: int, total: int, recipe: Recipe) -> float:
    """Return the share of the learning rate in ``step`` of 1 to ``total``: linear warmup, then cosine to the floor."""
    warm = round(recipe.warmup * total)
    if step <= warm:
        return step / warm
    progress = (step - 1 - warm) / max(1, total - 1 - warm)
    return recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * progress))


def order(seed: int, epoch: int, examples: int) -> list[int]:
    """Return the order of the examples in an epoch."""
    generator = torch.Generator().manual_seed(seed_of(seed, "order", epoch))
    return torch.randperm(examples, generator=generator).tolist()


def seed_of(*parts: int | str) -> int:
    """Return a seed that depends on all ``parts``: the same on every machine."""
    text = "/".join(map(str, parts))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1


def optimizer_of(student: Student, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW over the parameters of ``student``, in groups of equal rate and decay.

    Raises:
        RecipeError: a prefix in ``rates`` fits no parameter.
    """
    groups: dict[tuple[float, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in student.parameters().items():
        prefix = max((p for p in recipe.rates if name.startswith(p)), key=len, default=None)
        key = (1.0 if prefix is None else recipe.rates[prefix], parameter.ndim >= 2)
        groups.setdefault(key, []).append(parameter)
    unused = [p for p in recipe.rates if not any(name.startswith(p) for name in student.parameters())]
    if unused:
        raise RecipeError(f"rates.{unused[0]} fits no parameter; they are: {', '.join(student.parameters())}")
    return torch.optim.AdamW(
        [
            {"params": found, "factor": factor, "weight_decay": recipe.decay if decays else 0.0}
            for (factor, decays), found in groups.items()
        ],
        lr=recipe.rate,
        betas=BETAS,
    )


def train(
    student: Student,
    examples: Sequence[Any],
    recipe: Recipe,
    run: Run,
    work: Work,
    *,
    stage: str,
    evaluate: Evaluate | None,
    clock: Clock,
    stop: Stop = never,
    start: str = "",
) -> Outcome:
    """Train ``student`` to the end of the recipe, or until ``stop``; go on where ``run`` stands.

    Args:
        student: what is trained.
        examples: the training part.
        recipe: the settings.
        run: where checkpoints and metrics are.
        work: the stage.
        stage: its name, for the records.
        evaluate: measures the dev part.
        clock: seconds.
        stop: whether to stop; a checkpoint is written then.
        start: digest of the weights that training began from, where they must be the same to go on.

    Raises:
        RecipeError: the recipe does not fit the student, the data or the dev figures.
        RunError: the folder is not for this run, or full; or the numbers stay infinite.
        BaseMismatch: the checkpoint in the folder belongs to another base.
    """
    if not examples:
        raise RecipeError("there are no examples to train on")
    run.begin({"stage": stage, "examples": len(examples), "recipe": as_json(recipe), "start": start})
    return _Loop(student, examples, recipe, run, work, stage, evaluate, clock, stop).run()


class _Loop:
    def __init__(
        self,
        student: Student,
        examples: Sequence[Any],
        recipe: Recipe,
        run: Run,
        work: Work,
        stage: str,
        evaluate: Evaluate | None,
        clock: Clock,
        stop: Stop,
    ) -> None:
        self._student, self._examples, self._recipe, self._folder = student, examples, recipe, run
        self._work, self._stage, self._evaluate, self._clock, self._stop = work, stage, evaluate, clock, stop
        self._total = total_steps(recipe, len(examples))
        self._per_epoch = math.ceil(len(examples) / recipe.batch)
        self._optimizer = optimizer_of(student, recipe)
        self._order: tuple[int, list[int]] = (-1, [])
        self._dev: Mapping[str, float] = {}
        self._scale, self._seconds, self._began = 1.0, 0.0, clock()
        self._saved, self._best = -1, -math.inf

    def run(self) -> Outcome:
        step = self._go_on()
        skipped = restored = 0
        while step < self._total:
            if ranks.first_of("stop" if self._stop() else ""):
                # After a skipped step the weights may be on their way out; the last checkpoint is the place to go on.
                if self._saved != step and not skipped:
                    self._save(step, None)
                break
            step += 1
            line = self._step(step)
            skipped = skipped + 1 if "skipped" in line else 0
            if skipped < MOST_SKIPPED:
                self._finish(step, line)
                continue
            reason = line["skipped"]
            if restored == MOST_RESTORED:
                raise RunError(
                    f"step {step}: {reason}, also after going back {restored} times to a lower rate; look at the data "
                    f"of this step or lower rate ({self._recipe.rate:g}) in a new folder; the run in "
                    f"{self._folder.folder} can go on from step {self._saved}"
                )
            at, step, skipped, restored = step, self._restore(), 0, restored + 1
            event = f"back from step {at}: {reason}; rate times {self._scale:g}"
            self._folder.record({"stage": self._stage, "step": step, "restored": event})
        return Outcome(step=step, total=self._total, dev=self._dev)

    def _go_on(self) -> int:
        """Load the newest checkpoint, or write the first one; return the step."""
        state = self._folder.resume(self._student, self._optimizer)
        if state is not None:
            self._take(state)
            return state.step
        ranks.share_weights(self._student.parameters().values())
        torch.manual_seed(seed_of(self._recipe.seed, "start", ranks.rank()))
        self._finish(0, {"stage": self._stage, "step": 0, "seconds": 0.0})
        return 0

    def _take(self, state: State) -> None:
        self._scale, self._seconds, self._began = state.scale, state.seconds, self._clock()
        self._saved = state.step
        self._dev = next((line["dev"] for line in reversed(self._folder.metrics()) if "dev" in line), {})
        best = self._folder.best()
        self._best = best[1] if best else -math.inf
        if (state.epoch, state.batch) != divmod(state.step, self._per_epoch):
            raise RunError(f"{self._folder.folder}: step {state.step} stands at another place of the data; start anew")
        if len(state.random) == ranks.count():
            restore_random_state(state.random[ranks.rank()])
        else:
            torch.manual_seed(seed_of(self._recipe.seed, state.step, ranks.rank()))

    def _restore(self) -> int:
        """Go back to the last checkpoint with half the rate, and keep that."""
        seconds, scale = self._elapsed(), self._scale / 2
        state = self._folder.resume(self._student, self._optimizer)
        if state is None:
            raise RunError(f"{self._folder.folder} has lost its checkpoints; start anew in another folder")
        self._take(state)
        self._scale, self._seconds = scale, seconds
        self._save(state.step, state.score)
        return state.step

    def _step(self, step: int) -> dict[str, Any]:
        rate = self._recipe.rate * self._scale * factor_at(step, self._total, self._recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        parameters = list(self._student.parameters().values())
        tally, norm = _Tally(), 0.0
        for parts in self._work(self._batch(step)):
            self._optimizer.zero_grad(set_to_none=True)
            reason = ranks.first_of(self._backward(parts, tally))
            if not reason:
                ranks.sum_gradients(parameters)
                norm = float(torch.nn.utils.clip_grad_norm_(parameters, self._recipe.clip))
                reason = "" if math.isfinite(norm) else f"gradient is {norm}"
            if reason:
                self._optimizer.zero_grad(set_to_none=True)
                return {"stage": self._stage, "step": step, "skipped": reason, "rate": rate, "seconds": self._elapsed()}
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        figures = tally.means()
        loss = figures.pop(_LOSS)
        line = {"stage": self._stage, "step": step, "loss": loss, "rate": rate, "norm": norm}
        return {**line, "seconds": self._elapsed(), "figures": figures}

    @staticmethod
    def _backward(parts: Iterator[Part], tally: _Tally) -> str:
        """Add up the gradients; return what is wrong, if something is."""
        for part in parts:
            loss = float(part.loss.detach())
            if not math.isfinite(loss):
                return f"loss is {loss}"
            (part.loss * part.weight).backward()  # type: ignore[no-untyped-call]
            tally.add(part.weight, {_LOSS: loss, **part.figures})
        return ""

    def _batch(self, step: int) -> Batch:
        epoch, place = divmod(step - 1, self._per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, order(self._recipe.seed, epoch, len(self._examples)))
        found = self._order[1][place * self._recipe.batch : (place + 1) * self._recipe.batch]
        items = tuple((i, self._examples[found[i]]) for i in range(ranks.rank(), len(found), ranks.count()))
        return Batch(step, len(found), items)

    def _finish(self, step: int, line: dict[str, Any]) -> None:
        """Measure and save where it is due, and write the line."""
        every, last = self._recipe.evaluate_every, step == self._total
        score: float | None = None
        if self._evaluate is not None and (step == 0 or last or (every and step % every == 0)):
            score = self._measure(self._evaluate, line)
        self._folder.record(line)
        better = score is not None and score > self._best
        due = "skipped" not in line and (better or step % self._recipe.save_every == 0)
        if due or last:
            self._save(step, score)

    def _measure(self, evaluate: Evaluate, line: dict[str, Any]) -> float | None:
        kept = random_state()
        with torch.no_grad():
            self._dev = {name: float(value) for name, value in evaluate().items()}
        restore_random_state(kept)
        self._dev = json.loads(ranks.gather(json.dumps(self._dev).encode())[0])
        line["dev"] = self._dev
        if not (best := self._recipe.best):
            return None
        name = best.removeprefix("-")
        if name not in self._dev:
            raise RecipeError(f"best is {best!r}, expected a dev figure: {', '.join(self._dev) or 'there is none'}")
        score = -self._dev[name] if best.startswith("-") else self._dev[name]
        return score if math.isfinite(score) else None

    def _save(self, step: int, score: float | None) -> None:
        epoch, batch = divmod(step, self._per_epoch)
        state = State(step=step, epoch=epoch, batch=batch, scale=self._scale, seconds=self._elapsed(), score=score)
        self._folder.save(self._student, self._optimizer, state)
        self._saved = step
        self._best = max(self._best, -math.inf if score is None else score)

    def _elapsed(self) -> float:
        return self._seconds + self._clock() - self._began


_LOSS: Final = "loss"


class _Tally:
    """Averages of figures by weight, over all processes."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}

    def add(self, weight: float, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            entry = self._sums.setdefault(name, [0.0, 0.0])
            entry[0] += weight * value
            entry[1] += weight

    def means(self) -> dict[str, float]:
        """Return the means; all processes have to call it."""
        total = _Tally()
        for found in ranks.gather(json.dumps(self._sums).encode()):
            for name, (value, weight) in json.loads(found).items():
                entry = total._sums.setdefault(name, [0.0, 0.0])
                entry[0] += value
                entry[1] += weight
        return {name: value / weight for name, (value, weight) in total._sums.items() if weight}
