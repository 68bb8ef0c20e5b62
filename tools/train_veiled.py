"""Write ``policy/data/veiled.safetensors``: teach the classifier of danger anew.

    agent models fetch mpnet                                 its base, once
    git show b7165cc:policy/data/veiled.safetensors > first.safetensors
    python tools/train_veiled.py --start first.safetensors     as what ships was made; six minutes of one core
    python tools/train_veiled.py --start first.safetensors --leave-out t4   writes nothing

What it starts with was taught in two steps: by ``t1`` to ``t4`` (seed 0, three passes), then with ``p1`` to ``p3`` and
``s1`` to ``s4`` besides (seed 1, two passes). Then run ``tools/pin_reader.py`` and ``tools/checksums.py``. Without
``--start`` it begins with the base alone, and wants more passes (``--passes``). With ``--leave-out`` it learns from all
files of ``policy/training/danger`` and its ``talks`` but those, and prints what it makes of them, and thereby what a
threshold costs with authors whom it never read: that is where ``safety.sensitivity`` comes from. With ``--kept FILE`` a
run that was broken off goes on with the pass in which it was. Nothing of ``policy/data/empathy`` is read.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from agent.convert_reader import make_reader
from agent.models import resolve
from policy.safety.classifier import BASE, FILE, Reader
from policy.safety.detector import KINDS
from policy.training import danger_measure, danger_talks
from policy.training.danger_talks import NONE, Talk
from policy.training.veiled_sentences import examples, of_file

THREADS = 1
"""The same sums in the same order on every machine of a kind."""


def train(path: Path, *, without: Sequence[str], start: Path | None, passes: int, kept: Path | None) -> None:
    """Train all members, one after the other, and write them."""
    import torch
    from safetensors.numpy import load_file, save_file

    from policy.training import veiled

    torch.set_num_threads(THREADS)
    options = veiled.Options()
    options = replace(options, epochs=passes or options.epochs)
    given = veiled.Given(danger_talks.talks(without), examples([n for n in without if n not in danger_talks.names()]))
    first = veiled.member_of(load_file(start), 0) if start else None
    runs = []
    for member, seed in enumerate(options.seeds):
        place = kept.with_name(f"{kept.name}.{member}") if kept else None
        runs.append(veiled.train(resolve(BASE), options, given, seed, _tell, start=first, kept=place))
    save_file(made := veiled.named(runs), path)
    _tell(f"{len(made)} tensors, {path.stat().st_size / 1e3:.0f} kB")


def measure(path: Path, files: Sequence[str]) -> None:
    """Print what is found, and what is taken for danger, in some files."""
    make_reader(resolve(BASE), path, path.parent)
    reader = Reader(path.parent)
    for name in files:
        talks = danger_talks.talks_of(name) if name in danger_talks.names() else _alone(name)
        shares = danger_measure.read_all(reader, talks)
        _tell(f"{name}: {len(talks)} conversations, area under the curve {danger_measure.area(talks, shares):.4f}")
        _tell(danger_measure.HEADER)
        for row in danger_measure.rows(talks, shares):
            _tell(str(row))


def _alone(name: str) -> list[Talk]:
    """Return the sentences of a file as conversations of one turn."""
    return [
        Talk(danger_talks.SAFE, turns, ("none",))
        if label == NONE
        else Talk(KINDS[label - danger_talks.EITHER], turns, ("hint",))
        for turns, label in of_file(name)
    ]


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--leave-out", default="", metavar="FILES", help="measure on these files, and write nothing")
    parser.add_argument("--start", type=Path, metavar="FILE", help="what an earlier run learnt, of which it goes on")
    parser.add_argument("--passes", type=int, default=0, metavar="N", help="over the conversations")
    parser.add_argument("--kept", type=Path, metavar="FILE", help="where each pass is kept, to go on from")
    arguments = parser.parse_args()
    left = [name for name in arguments.leave_out.split(",") if name]
    how = {"without": left, "start": arguments.start, "passes": arguments.passes, "kept": arguments.kept}
    if left:
        with tempfile.TemporaryDirectory() as folder:
            train(Path(folder) / FILE.name, **how)
            measure(Path(folder) / FILE.name, left)
    else:
        train(FILE, **how)
