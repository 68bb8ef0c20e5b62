"""Command line of the measure; see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.safety import detection, talk
from benchmarks.safety.figures import Figure
from benchmarks.safety.sets import NAMES, PARTS, WHOLE, SetError, load


def main() -> int:
    """Measure; return 1 where a figure misses its goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.safety", description=(__doc__ or ""))
    parser.add_argument("--set", choices=NAMES, default="four", help="which set (default: four)")
    parser.add_argument("--part", choices=WHOLE, action="append", help="only these parts (default: all)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/safety"), help="folder for what is missed or to be judged"
    )
    options = parser.parse_args()
    try:
        tables = load(options.set)
    except SetError as error:
        print(f"benchmarks.safety: {error}", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    parts = options.part or PARTS.get(options.set, WHOLE)
    for part in parts:
        measured, told = detection.measure(tables) if part == "detection" else talk.PARTS[part](tables)
        path = options.out / f"{options.set}-{part}.txt"
        path.write_text("\n".join(told) + "\n", encoding="utf-8")
        for figure in measured:
            print(figure, flush=True)
        print(f"{'':<46} {len(told)} lines in {path}")
        figures += measured
    return int(any(figure.reached is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
