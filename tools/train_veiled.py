"""Write ``policy/data/veiled.safetensors``: train the reader of veiled danger anew; about an hour of one CPU.

    python tools/train_veiled.py [--only-measure]

Then, and alone with ``--only-measure``, it prints what each member makes of the sentences it was not trained on, and
thereby what a threshold costs: that is where ``safety.sensitivity`` comes from. Nothing of ``policy/data/empathy`` is
read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from agent.models import resolve
from policy.safety import Lookout, Sensitivity
from policy.training.veiled_sentences import Example, examples, fold_of
from policy.veiled import FILE, Reader

LIMITS = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


def train() -> None:
    """Train all members, and write them."""
    import torch
    from safetensors.numpy import save_file

    from policy.training import veiled

    torch.set_num_threads(1)  # the same sums in the same order on every machine of a kind
    made = veiled.train(resolve("minilm"), veiled.Options(), examples(), _tell)
    save_file(made, FILE)
    _tell(f"{len(made)} tensors, {FILE.stat().st_size / 1e3:.0f} kB")


def measure(members: int, folds: int) -> None:
    """Print what is found, and what is taken for danger, among sentences that a member did not see."""
    own = examples().own
    rows: list[tuple[bool, bool, float]] = []
    for member in range(members):
        lookout = Lookout(veiled=Reader(resolve("minilm"), FILE, member), sensitivity=Sensitivity())
        rows += [_row(lookout, example) for example in own if fold_of(example[0], folds) == member]
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
    parser.add_argument("--only-measure", action="store_true", help="train nothing")
    if not parser.parse_args().only_measure:
        train()
    from policy.training.veiled import Options

    measure(len(Options().seeds), Options().folds)
