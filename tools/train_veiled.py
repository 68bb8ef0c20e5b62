"""Write ``policy/data/veiled.safetensors``: teach the reader of veiled danger anew.

    agent models fetch mpnet                              its base, once
    python tools/train_veiled.py                          about an hour of two cores that multiply bfloat16 themselves
    python tools/train_veiled.py --leave-out calm,pairs   writes nothing

Then run ``tools/pin_reader.py`` and ``tools/checksums.py``. With ``--leave-out`` it learns from all files of
``policy/training/danger`` but those, and prints what it makes of their sentences, and thereby what a threshold costs
with writers whom it never read: that is where ``safety.sensitivity`` comes from. Nothing of ``policy/data/empathy`` is
read.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from agent.convert_reader import make_reader
from agent.models import resolve
from policy.safety.classifier import BASE, FILE, Reader
from policy.safety.detector import Lookout, Sensitivity
from policy.training.veiled_sentences import Example, examples, of_file

LIMITS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


def train(path: Path, without: Sequence[str] = ()) -> None:
    """Train all members side by side, and write them."""
    from safetensors.numpy import save_file

    from policy.training.veiled import Options, named

    seeds = Options().seeds
    with ProcessPoolExecutor(len(seeds), multiprocessing.get_context("spawn")) as pool:
        made = named(list(pool.map(partial(_run, without=without), seeds)))
    save_file(made, path)
    _tell(f"{len(made)} tensors, {path.stat().st_size / 1e3:.0f} kB")


def _run(seed: int, without: Sequence[str]) -> dict[str, np.ndarray]:
    import torch

    from policy.training import veiled

    torch.set_num_threads(1)  # the same sums in the same order on every machine of a kind
    return veiled.train(resolve(BASE), veiled.Options(), examples(without), seed, _tell)


def measure(path: Path, files: Sequence[str]) -> None:
    """Print what is found, and what is taken for danger, among the sentences of some files."""
    make_reader(resolve(BASE), path, path.parent)
    lookout = Lookout(veiled=Reader(path.parent), sensitivity=Sensitivity())
    rows = [_row(lookout, example) for name in files for example in of_file(name)]
    dangers, harmless = (_of(rows, danger) for danger in (True, False))
    _tell(f"{len(dangers)} dangers, {len(harmless)} harmless; threshold, found, false alarms (patterns included)")
    for limit in LIMITS:
        found, alarms = (sum(plain or share >= limit for plain, share in part) for part in (dangers, harmless))
        _tell(f"{limit:.2f} {found / len(dangers):6.1%} {alarms / len(harmless):6.1%}")


def _row(lookout: Lookout, example: Example) -> tuple[bool, bool, float]:
    text, label = example
    found = lookout.weigh(text)
    plain = found is not None and found.plain
    return label != 0, plain, 0.0 if plain else lookout.risk(text)


def _of(rows: Sequence[tuple[bool, bool, float]], danger: bool) -> list[tuple[bool, float]]:
    return [(plain, share) for is_danger, plain, share in rows if is_danger == danger]


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--leave-out", default="", metavar="FILES", help="measure on these files, and write nothing")
    left = [name for name in parser.parse_args().leave_out.split(",") if name]
    if left:
        with tempfile.TemporaryDirectory() as folder:
            train(Path(folder) / FILE.name, left)
            measure(Path(folder) / FILE.name, left)
    else:
        train(FILE)
