"""The loop and the supervised stage: what is learned, in which order, and that nothing is lost on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from policy.training import recipe as recipes
from policy.training.loop import factor_at, optimizer_of, order, total_steps
from policy.training.recipe import RecipeError
from policy.training.run import Run, RunError, State, read_state
from policy.training.sft import Recipe, sft
from policy.training.student import BaseMismatch
from tests.training.toy import TEXTS, Bigram

Clock = Callable[[], float]
RECIPE = Recipe(rate=0.05, epochs=6, batch=4, save_every=5)


def after(calls: int) -> Callable[[], bool]:
    """Stop after so many steps."""
    left = [calls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


def dev(student: Bigram) -> Callable[[], Mapping[str, float]]:
    def evaluate() -> Mapping[str, float]:
        torch.rand(3)  # what is measured must not change what is trained
        return {"loss": float(student.loss(["abcde"])[0])}

    return evaluate


def test_the_loss_falls(run: Run, clock: Clock) -> None:
    student = Bigram()
    out = sft(student, TEXTS, Recipe(rate=0.05, epochs=20, batch=4, save_every=50), run, dev(student), clock)
    lines = run.metrics()
    assert out.finished
    assert out.total == 60
    assert [line["step"] for line in lines] == list(range(61))
    assert lines[-1]["loss"] < 0.6 * lines[1]["loss"]
    assert lines[-1]["dev"]["loss"] < 0.7 * lines[0]["dev"]["loss"]
    assert out.dev == lines[-1]["dev"]
    assert set(lines[1]) == {"stage", "step", "loss", "rate", "norm", "seconds", "figures"}
    assert lines[1]["figures"]["letters"] > 1
    assert all(a["seconds"] < b["seconds"] for a, b in pairwise(lines[1:]))


@pytest.mark.parametrize("cut", [1, 5, 7, 17])
def test_a_run_that_was_stopped_ends_bit_for_bit_as_one_that_was_not(tmp_path: Path, clock: Clock, cut: int) -> None:
    recipe = Recipe(rate=0.05, epochs=6, batch=4, save_every=5, evaluate_every=3, best="-loss")
    through = Bigram(dropout=0.3)
    with Run(tmp_path / "through") as run:
        sft(through, TEXTS, recipe, run, dev(through), clock)
    first = Bigram(dropout=0.3)
    with Run(tmp_path / "cut") as run:
        out = sft(first, TEXTS, recipe, run, dev(first), clock, stop=after(cut))
        assert (out.step, out.finished) == (cut, False)
    torch.manual_seed(12345)
    second = Bigram(dropout=0.3)
    with Run(tmp_path / "cut") as run:
        assert sft(second, TEXTS, recipe, run, dev(second), clock).finished
        lines = run.metrics()
    assert torch.equal(through.weights(), second.weights())
    with Run(tmp_path / "through") as run:
        for one, two in zip(run.metrics(), lines, strict=True):
            assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_a_run_that_was_killed_ends_bit_for_bit_as_well(tmp_path: Path, clock: Clock) -> None:
    class Killed(BaseException):
        pass

    def kill() -> bool:
        if run.metrics()[-1]["step"] == 8:
            raise Killed
        return False

    through, first, second = Bigram(dropout=0.3), Bigram(dropout=0.3), Bigram(dropout=0.3)
    with Run(tmp_path / "through") as run:
        sft(through, TEXTS, RECIPE, run, None, clock)
    with Run(tmp_path / "killed") as run, pytest.raises(Killed):
        sft(first, TEXTS, RECIPE, run, None, clock, stop=kill)
    with Run(tmp_path / "killed") as run:
        assert run.newest() == run.folder / "checkpoint-000005"
        sft(second, TEXTS, RECIPE, run, None, clock)
        assert [line["step"] for line in run.metrics()] == list(range(19))
    assert torch.equal(through.weights(), second.weights())


def test_a_finished_run_does_nothing_more(tmp_path: Path, clock: Clock) -> None:
    student = Bigram()
    with Run(tmp_path) as run:
        sft(student, TEXTS, RECIPE, run, dev(student), clock)
    again = Bigram()
    with Run(tmp_path) as run:
        out = sft(again, TEXTS, RECIPE, run, dev(again), clock)
    assert again.asked == 0
    assert out.finished
    assert out.dev
    assert torch.equal(student.weights(), again.weights())


def test_parts_change_nothing_but_the_rounding(tmp_path: Path, clock: Clock) -> None:
    one, three = Bigram(), Bigram()
    with Run(tmp_path / "one") as run:
        sft(one, TEXTS, RECIPE, run, None, clock)
    with Run(tmp_path / "three") as run:
        sft(three, TEXTS, Recipe(rate=0.05, epochs=6, batch=4, save_every=5, parts=3), run, None, clock)
    assert three.asked > 2 * one.asked
    assert torch.allclose(one.weights(), three.weights(), atol=1e-5)


def test_another_base_or_number_of_examples_is_refused(tmp_path: Path, clock: Clock) -> None:
    with Run(tmp_path) as run:
        sft(Bigram(), TEXTS, RECIPE, run, None, clock, stop=after(2))
    with Run(tmp_path) as run, pytest.raises(BaseMismatch, match=r"toy-base.*other-base"):
        sft(Bigram("other-base"), TEXTS, RECIPE, run, None, clock)
    with Run(tmp_path) as run, pytest.raises(RunError, match="examples is 11 there and 10 here"):
        sft(Bigram(), TEXTS[:10], RECIPE, run, None, clock)
    with Run(tmp_path / "none") as run, pytest.raises(RecipeError, match="no examples"):
        sft(Bigram(), (), RECIPE, run, None, clock)


def test_a_step_without_finite_loss_is_skipped(run: Run, clock: Clock) -> None:
    student = Bigram()
    student.spoilt = {3, 4}
    out = sft(student, TEXTS, RECIPE, run, None, clock)
    assert out.finished
    skipped = [line for line in run.metrics() if "skipped" in line]
    assert [(line["step"], line["skipped"]) for line in skipped] == [(3, "loss is nan"), (4, "loss is nan")]
    assert bool(student.weights().isfinite().all())


def test_no_checkpoint_is_written_behind_a_skipped_step(tmp_path: Path, clock: Clock) -> None:
    """The weights may be on their way out there, so a stop leaves the last good checkpoint as the newest."""
    student, healthy, through = Bigram(), Bigram(), Bigram()
    student.spoilt = {8}
    with Run(tmp_path / "cut") as run:
        assert sft(student, TEXTS, RECIPE, run, None, clock, stop=after(8)).step == 8
        assert run.newest() == run.folder / "checkpoint-000005"
    with Run(tmp_path / "cut") as run:
        sft(healthy, TEXTS, RECIPE, run, None, clock)
    with Run(tmp_path / "through") as run:
        sft(through, TEXTS, RECIPE, run, None, clock)
    assert torch.equal(healthy.weights(), through.weights())


def test_measuring_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    measured, alone = Bigram(dropout=0.3), Bigram(dropout=0.3)
    with Run(tmp_path / "measured") as run:
        sft(measured, TEXTS, replace(RECIPE, evaluate_every=1), run, dev(measured), clock)
    with Run(tmp_path / "alone") as run:
        sft(alone, TEXTS, RECIPE, run, None, clock)
    assert torch.equal(measured.weights(), alone.weights())


def test_a_gradient_that_is_infinite_is_skipped(run: Run, clock: Clock) -> None:
    student = Bigram()
    calls = [0]

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return gradient * float("inf") if calls[0] == 2 else gradient

    student.control.register_hook(spoil)  # type: ignore[no-untyped-call]
    sft(student, TEXTS, RECIPE, run, None, clock)
    skipped = [line for line in run.metrics() if "skipped" in line]
    assert [line["step"] for line in skipped] == [2]
    assert skipped[0]["skipped"].startswith("gradient is ")
    assert bool(student.weights().isfinite().all())


def test_three_skipped_steps_in_a_row_go_back_with_half_the_rate(run: Run, clock: Clock) -> None:
    student = Bigram()
    student.spoilt = {7, 8, 9}
    assert sft(student, TEXTS, RECIPE, run, None, clock).finished
    lines = run.metrics()
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4, 5, 5, *range(6, 19)]
    assert lines[6]["restored"] == "back from step 9: loss is nan; rate times 0.5"
    newest = run.newest()
    assert newest is not None
    assert read_state(newest).scale == 0.5
    assert lines[7]["rate"] == pytest.approx(0.05 * 0.5 * factor_at(6, 18, RECIPE))


def test_numbers_that_stay_infinite_end_the_run_and_it_can_go_on(tmp_path: Path, clock: Clock) -> None:
    student = Bigram()
    student.spoilt = set(range(7, 1000))
    with Run(tmp_path) as run, pytest.raises(RunError, match=r"step 8: loss is nan.*3 times.*go on from step 5"):
        sft(student, TEXTS, RECIPE, run, None, clock)
    healthy = Bigram()
    with Run(tmp_path) as run:
        assert sft(healthy, TEXTS, RECIPE, run, None, clock).finished
        events = [line["restored"] for line in run.metrics() if "restored" in line]
    assert [event.split("times ")[1] for event in events] == ["0.5", "0.25", "0.125"]
    assert bool(healthy.weights().isfinite().all())


def test_the_best_checkpoint_is_written_and_kept(run: Run, clock: Clock) -> None:
    figures = iter([0.1, 0.5, 0.9, 0.4, 0.3, 0.2, 0.1])
    recipe = Recipe(rate=0.05, epochs=6, batch=4, save_every=7, evaluate_every=3, best="fit")
    sft(Bigram(), TEXTS, recipe, run, lambda: {"fit": next(figures)}, clock)
    assert run.best() == (run.folder / "checkpoint-000006", 0.9)
    assert [*run.checkpoints()] == [6, 14, 18]


def test_a_best_figure_that_is_not_measured_is_told_at_once(run: Run, clock: Clock) -> None:
    with pytest.raises(RecipeError, match="best is 'fit', expected a dev figure: loss"):
        sft(Bigram(), TEXTS, Recipe(best="fit"), run, lambda: {"loss": 1.0}, clock)


def test_a_full_disk_in_mid_run_leaves_it_to_go_on(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, full = Bigram.save, [3]

    def fill(self: Bigram, folder: Path) -> None:
        full[0] -= 1
        if not full[0]:
            raise OSError(122, "Disk quota exceeded")
        save(self, folder)

    monkeypatch.setattr(Bigram, "save", fill)
    with Run(tmp_path / "run") as run, pytest.raises(RunError, match="no room left for checkpoint-000010"):
        sft(Bigram(), TEXTS, RECIPE, run, None, clock)
    through, second = Bigram(), Bigram()
    with Run(tmp_path / "run") as run:
        sft(second, TEXTS, RECIPE, run, None, clock)
    with Run(tmp_path / "through") as run:
        sft(through, TEXTS, RECIPE, run, None, clock)
    assert torch.equal(through.weights(), second.weights())


def test_the_schedule_warms_up_and_falls_to_the_floor() -> None:
    recipe = Recipe(warmup=0.1, floor=0.2)
    found = [factor_at(step, 100, recipe) for step in range(1, 101)]
    assert found[:11] == pytest.approx([*(n / 10 for n in range(1, 11)), 1.0])
    assert found[-1] == pytest.approx(0.2)
    assert all(a >= b for a, b in pairwise(found[10:]))
    assert found[10 + 44] == pytest.approx(0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * 44 / 89)))
    assert factor_at(1, 1, Recipe(warmup=0.0)) == 1.0


def test_every_epoch_has_an_order_of_its_own_that_comes_again() -> None:
    assert sorted(order(1, 0, 20)) == list(range(20))
    assert order(1, 0, 20) == order(1, 0, 20)
    assert order(1, 0, 20) != order(1, 1, 20)
    assert order(1, 0, 20) != order(2, 0, 20)


def test_steps() -> None:
    assert total_steps(Recipe(epochs=3, batch=4), 10) == 9
    assert total_steps(Recipe(epochs=3, batch=4, steps=5), 10) == 5
    assert total_steps(Recipe(epochs=3, batch=4, steps=50), 10) == 9


def test_groups_by_the_longest_prefix_and_no_decay_for_vectors() -> None:
    student = Bigram()
    groups = optimizer_of(student, Recipe(decay=0.1, rates={"c": 2.0, "contr": 5.0, "": 1.0})).param_groups
    found = {group["params"][0].ndim: (group["factor"], group["weight_decay"]) for group in groups}
    assert found == {2: (1.0, 0.1), 1: (5.0, 0.0)}
    with pytest.raises(RecipeError, match=r"rates\.x fits no parameter.*table, control"):
        optimizer_of(student, Recipe(rates={"x": 1.0}))


def test_a_group_with_a_rate_of_nothing_stays(run: Run, clock: Clock) -> None:
    student = Bigram()
    sft(student, TEXTS, Recipe(rate=0.05, rates={"control": 0.0}), run, None, clock)
    assert not student.control.any()
    assert not torch.equal(student.table, Bigram().table)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("rate", 0.0, "rate is 0.0, expected a number from 1e-12 to 1"),
        ("rate", float("nan"), "rate is nan"),
        ("rate", "1e-3", "rate is '1e-3'"),
        ("batch", 0, "batch is 0, expected a whole number from 1"),
        ("batch", True, "batch is True"),
        ("epochs", 1.5, "epochs is 1.5"),
        ("warmup", 1.1, "warmup is 1.1, expected a number from 0 to 1"),
        ("rates", {"a": -1}, "rates.a is -1, expected a number from 0"),
        ("rates", 3, "rates is 3"),
        ("best", None, "best is None"),
        ("speed", 3, "speed is not a field; there are: rate, "),
    ],
)
def test_a_recipe_names_the_field_and_the_range(field: str, value: object, told: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipes.read(Recipe, {field: value})
    assert told in str(error.value)


def test_state_of_a_new_run_is_written_before_the_first_step(run: Run, clock: Clock) -> None:
    sft(Bigram(), TEXTS, RECIPE, run, None, clock, stop=after(0))
    newest = run.newest()
    assert newest is not None
    state = read_state(newest)
    assert isinstance(state, State)
    assert (state.step, state.epoch, state.batch) == (0, 0, 0)
    assert len(state.random) == 1
