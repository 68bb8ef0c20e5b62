"""Looks for input that a parser does not stand, and keeps it.

Input is made from good input and from what was kept before. A crash is written to ``tests/fuzz/corpus/PARSER/``, named
by its hash, where the tests find it from then on. The parsers are those of ``tests/fuzz/parsers.py``.

    python -m benchmarks.reliability.fuzz [--seconds 60] [--seed 1] [PARSER ...]
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time

from tests.fuzz.parsers import CORPUS, PARSERS, mutated


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parsers", nargs="*", metavar="PARSER", help=f"of {', '.join(PARSERS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all of them together")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for name in options.parsers:
        if name not in PARSERS:
            parser.error(f"there is no parser {name!r}; there are {', '.join(PARSERS)}")
    names = options.parsers or list(PARSERS)
    worst = 0
    for name in names:
        found = PARSERS[name]
        kept = tuple(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))
        seeds, chance = found.seeds + kept, random.Random(options.seed)
        crashes: dict[str, bytes] = {}
        count, until = 0, time.monotonic() + options.seconds / len(names)
        while time.monotonic() < until:
            data = mutated(chance.choice(seeds), chance, seeds)
            count += 1
            told = found.crashes(data)
            if told and told.partition(":")[0] not in {known.partition(":")[0] for known in crashes}:
                crashes[told] = data
        for told, data in crashes.items():
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            path = CORPUS / name / hashlib.sha256(data).hexdigest()[:16]
            path.write_bytes(data)
            print(f"{name}: {told}\n  kept as {path}")
        print(f"{name}: {count} inputs, {len(crashes)} kinds of crashes")
        worst = max(worst, len(crashes))
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
