"""Two processes that train as one, over the loopback interface."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from policy.training.grpo import grpo
from policy.training.run import Run, read_state
from policy.training.sft import sft
from tests.training.test_grpo import EXAMPLES, REWARDS, SHORT
from tests.training.test_loop import RECIPE, dev
from tests.training.toy import TEXTS, Bigram

Clock = Callable[[], float]
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path, clock: Clock) -> None:
    """Batches of 4 in 11 examples: the last of each epoch has an odd number, so that the shares differ."""
    one = Bigram()
    with Run(tmp_path / "one") as run:
        sft(one, TEXTS, RECIPE, run, dev(one), clock)
        alone = run.metrics()
    explorer = Bigram()
    with Run(tmp_path / "explored") as run:
        grpo(explorer, EXAMPLES, REWARDS, SHORT, run, None, clock)
    command = [sys.executable, "-m", "tests.training.pair", str(tmp_path)]
    pair = [
        subprocess.Popen([*command, str(rank)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for rank in range(2)
    ]
    try:
        told = [process.communicate(timeout=240)[0] for process in pair]
    finally:
        for process in pair:
            process.kill()
            process.communicate()
    assert [process.returncode for process in pair] == [0, 0], "\n".join(told)
    weights = [load_file(tmp_path / f"weights-{rank}.safetensors") for rank in range(2)]
    for name, student in (("all", one), ("grpo", explorer)):
        assert torch.equal(weights[0][name], weights[1][name])
        assert torch.allclose(student.weights(), weights[0][name], atol=1e-5)
    with Run(tmp_path / "pair") as run:
        together = run.metrics()
        newest = run.newest()
    assert [line["step"] for line in together] == [line["step"] for line in alone]
    assert [line["loss"] for line in together[1:]] == pytest.approx([line["loss"] for line in alone[1:]], abs=1e-5)
    assert newest is not None
    assert len(read_state(newest).random) == 2
    assert "stopped at 7 of 18" in told[0]
    assert "stopped at 7 of 18" in told[1]
    assert "has no room left" in told[0]
    assert "has no room left" in told[1]
