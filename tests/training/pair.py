"""One of two processes that train together: ``python -m tests.training.pair FOLDER RANK``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import distributed

from policy.training.grpo import grpo
from policy.training.run import Run, RunError
from policy.training.sft import sft
from tests.training.test_grpo import EXAMPLES, REWARDS, SHORT
from tests.training.test_loop import RECIPE, after, dev
from tests.training.toy import TEXTS, Bigram


class Full(Bigram):
    def save(self, folder: Path) -> None:
        raise OSError(28, "No space left on device")


def main(folder: Path, rank: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", world_size=2, rank=rank)
    # Only one of the two is told to stop, and the weights of the second begin elsewhere.
    student = Bigram()
    if rank:
        with torch.no_grad():
            student.table.fill_(5.0)
    with Run(folder / "pair") as run:
        stop = after(7) if rank == 1 else after(1000)
        out = sft(student, TEXTS, RECIPE, run, dev(student), lambda: 0.0, stop=stop)
    sys.stdout.write(f"stopped at {out.step} of {out.total}\n")
    again = Bigram()
    with Run(folder / "pair") as run:
        assert sft(again, TEXTS, RECIPE, run, dev(again), lambda: 0.0).finished
    explorer = Bigram()
    with Run(folder / "grpo") as run:
        grpo(explorer, EXAMPLES, REWARDS, SHORT, run, None, lambda: 0.0)
    weights = {"all": again.weights(), "grpo": explorer.weights()}
    save_file(weights, folder / f"weights-{rank}.safetensors")
    full = Full()
    try:
        with Run(folder / "full") as run:
            sft(full, TEXTS, RECIPE, run, None, lambda: 0.0)
    except RunError as error:
        sys.stdout.write(f"{error}\n")
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
