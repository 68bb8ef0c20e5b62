"""A run's folder: nothing half-written is ever taken for a checkpoint, and what goes wrong is told with the fix."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from policy.training import run as run_module
from policy.training.random_state import random_state, restore_random_state
from policy.training.run import METRICS, STATE, Run, RunError, State, read_metrics
from policy.training.student import BaseMismatch
from tests.training.toy import Bigram

IDENTITY = {"stage": "sft", "recipe": {"rate": 0.1, "seed": 7}}


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def begun(folder: Path) -> Run:
    run = Run(folder)
    run.begin(IDENTITY)
    return run


def stepped(student: Bigram) -> torch.optim.AdamW:
    optimizer = torch.optim.AdamW(student.parameters().values(), lr=0.1)
    student.loss(["abc"])[0].backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return optimizer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*checkpoint*"))


def test_a_checkpoint_brings_weights_optimizer_and_state_back(tmp_path: Path) -> None:
    student = Bigram()
    optimizer = stepped(student)
    state = State(step=5, epoch=1, batch=2, scale=0.5, seconds=3.5, score=0.25)
    with begun(tmp_path) as run:
        run.save(student, optimizer, state)
    other = Bigram()
    fresh = torch.optim.AdamW(other.parameters().values(), lr=0.1)
    with begun(tmp_path) as run:
        found = run.resume(other, fresh)
    assert found is not None
    assert (found.step, found.epoch, found.batch, found.scale, found.seconds, found.score) == (5, 1, 2, 0.5, 3.5, 0.25)
    assert torch.equal(student.weights(), other.weights())
    for one, two in zip(student.parameters().values(), other.parameters().values(), strict=True):
        assert optimizer.state[one].keys() == fresh.state[two].keys()
        assert all(torch.equal(optimizer.state[one][key], fresh.state[two][key]) for key in optimizer.state[one])


def test_random_states_are_json_and_come_back() -> None:
    import random

    import numpy as np

    kept = json.loads(json.dumps(random_state()))
    first = (random.random(), random.gauss(), float(np.random.rand()), float(np.random.randn()), float(torch.rand(1)))
    restore_random_state(kept)
    assert first == (
        random.random(),
        random.gauss(),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.rand(1)),
    )


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path) as run:
        for step, score in ((0, 0.1), (10, 0.9), (20, 0.9), (30, None), (40, 0.3), (50, None)):
            run.save(student, optimizer, State(step=step, score=score))
        assert names(tmp_path) == ["checkpoint-000010", "checkpoint-000040", "checkpoint-000050"]
        assert run.best() == (tmp_path / "checkpoint-000010", 0.9)
        assert run.newest() == tmp_path / "checkpoint-000050"


def test_a_kill_before_the_rename_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path) as run:
        run.save(student, optimizer, State(step=1))
        before = student.weights()
        stepped(student)

        def kill(self: Path, target: Path) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", kill)
            with pytest.raises(Killed):
                run.save(student, optimizer, State(step=2))
    assert ".checkpoint-000002.new" in names(tmp_path)
    with begun(tmp_path) as run:
        assert run.removed == [".checkpoint-000002.new"]
        state = run.resume(student, optimizer)
    assert state is not None
    assert state.step == 1
    assert torch.equal(student.weights(), before)
    assert names(tmp_path) == ["checkpoint-000001"]


def test_a_kill_between_the_renames_of_a_checkpoint_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = Bigram()
    optimizer = stepped(student)
    rename = Path.rename
    with begun(tmp_path) as run:
        run.save(student, optimizer, State(step=1, scale=1.0))

        def kill(self: Path, target: Path) -> Path:
            if self.name.endswith(".new"):
                raise Killed
            return rename(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", kill)
            with pytest.raises(Killed):
                run.save(student, optimizer, State(step=1, scale=0.5))
    assert names(tmp_path) == [".checkpoint-000001.new", ".checkpoint-000001.old"]
    with begun(tmp_path) as run:
        state = run.resume(student, optimizer)
    assert state is not None
    assert state.scale == 1.0
    assert names(tmp_path) == ["checkpoint-000001"]


@pytest.mark.parametrize("harm", ["cut", "gone", "no state", "no json"])
def test_a_broken_checkpoint_is_removed(tmp_path: Path, harm: str) -> None:
    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path) as run:
        run.save(student, optimizer, State(step=1))
        run.save(student, optimizer, State(step=2))
    weights = tmp_path / "checkpoint-000002" / "toy.safetensors"
    state = tmp_path / "checkpoint-000002" / STATE
    match harm:
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-1])
        case "gone":
            weights.unlink()
        case "no state":
            state.unlink()
        case "no json":
            state.write_text("[1", encoding="utf-8")
    with begun(tmp_path) as run:
        assert run.removed == ["checkpoint-000002"]
        assert names(tmp_path) == ["checkpoint-000001"]


class Filling(Bigram):
    """Its weights meet a full disk, the real error of the system."""

    def save(self, folder: Path) -> None:
        super().save(folder)
        with open("/dev/full", "w", encoding="utf-8") as full:
            full.write("x" * 100_000)


def test_a_full_disk_leaves_the_run_to_go_on(tmp_path: Path) -> None:
    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path) as run:
        run.save(student, optimizer, State(step=1))
        before = {path: path.read_bytes() for path in (tmp_path / "checkpoint-000001").iterdir()}
        with pytest.raises(
            RunError, match=r"no room left for checkpoint-000002.*goes on from checkpoint-000001"
        ) as told:
            run.save(Filling(), optimizer, State(step=2))
        assert str(tmp_path) in str(told.value)
        assert names(tmp_path) == ["checkpoint-000001"]
        assert {path: path.read_bytes() for path in (tmp_path / "checkpoint-000001").iterdir()} == before
        run.save(student, optimizer, State(step=2))
        assert names(tmp_path) == ["checkpoint-000001", "checkpoint-000002"]


def test_a_full_disk_is_known_where_only_the_message_of_safetensors_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(tensors: object, path: Path) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path) as run:
        monkeypatch.setattr(run_module, "save_file", full)
        with pytest.raises(RunError, match=r"no room left for checkpoint-000001.*from the start"):
            run.save(student, optimizer, State(step=1))


def test_another_error_of_the_disk_is_told_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Bigram, folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path) as run:
        monkeypatch.setattr(Bigram, "save", broken)
        with pytest.raises(PermissionError):
            run.save(student, optimizer, State(step=1))


def test_a_full_disk_under_the_metrics(tmp_path: Path) -> None:
    with begun(tmp_path) as run:
        (tmp_path / METRICS).symlink_to("/dev/full")
        with pytest.raises(RunError, match=r"no room left for metrics\.jsonl"):
            run.record({"step": 1})


def test_another_recipe_is_refused_with_what_differs(tmp_path: Path) -> None:
    begun(tmp_path).close()
    with Run(tmp_path) as run, pytest.raises(RunError, match=r"recipe\.rate is 0\.1 there and 0\.2 here") as told:
        run.begin({**IDENTITY, "recipe": {"rate": 0.2, "seed": 7}})
    assert "seed" not in str(told.value)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with begun(tmp_path), pytest.raises(RunError, match="in use"):
        begun(tmp_path)


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with Run(tmp_path) as run, pytest.raises(RunError, match=r"run\.json is no run"):
        run.begin(IDENTITY)


def test_another_base_is_refused_with_both_names(tmp_path: Path) -> None:
    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path) as run:
        run.save(student, optimizer, State(step=1))
        with pytest.raises(BaseMismatch, match=r"toy-base.*other-base"):
            run.resume(Bigram("other-base"), optimizer)
        with pytest.raises(BaseMismatch, match=r"toy-base.*other-base"):
            Bigram("other-base").load(tmp_path / "checkpoint-000001")


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path / "one") as run:
        run.save(student, optimizer, State(step=1))
    with Run(tmp_path / "two") as run:
        run.begin({**IDENTITY, "stage": "other"})
        shutil.copytree(tmp_path / "one" / "checkpoint-000001", tmp_path / "two" / "checkpoint-000001")
        with pytest.raises(RunError, match="another recipe"):
            run.resume(student, optimizer)


def test_metrics_behind_the_checkpoint_are_dropped_and_a_cut_line_too(tmp_path: Path) -> None:
    student = Bigram()
    optimizer = stepped(student)
    with begun(tmp_path) as run:
        for step in range(5):
            run.record({"step": step, "loss": float("nan") if step == 1 else 0.5, "figures": {"x": float("inf")}})
            if step == 2:
                run.save(student, optimizer, State(step=2))
        with (tmp_path / METRICS).open("a", encoding="utf-8") as out:
            out.write('{"step": 5, "lo')
        run.resume(student, optimizer)
        run.record({"step": 3})
    lines = read_metrics(tmp_path / METRICS)
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert lines[1] == {"step": 1, "loss": None, "figures": {"x": None}}


def test_a_line_that_is_no_step_is_named(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text('{"step": 1}\nx\n', encoding="utf-8")
    with pytest.raises(RunError, match="line 2 is no step"):
        read_metrics(tmp_path / METRICS)
