"""Write ``policy/data/veiled.safetensors``: train the reader of veiled danger anew; some minutes on a CPU."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from safetensors.numpy import save_file

from agent.models import resolve
from policy.training.veiled import Options, examples, train
from policy.veiled import FILE

if __name__ == "__main__":
    torch.set_num_threads(1)  # the same sums in the same order on every machine of a kind
    made = train(
        resolve("minilm"), Options(), examples(), lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush()
    )
    save_file(made, FILE)
    sys.stdout.write(f"{len(made)} tensors, {FILE.stat().st_size / 1e3:.0f} kB\n")
