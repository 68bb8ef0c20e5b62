"""Write ``policy/data/SHA256SUMS``, what the shipped weights must hash to; with ``--check``, compare them with it.

    python tools/checksums.py [--check] [FOLDER]

Run it after training or after a change of the model card. Nothing is written while a file is missing, or while one lies
there that does not belong. Exit code 1: something is missing, altered or too much.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from agent.models import sha256
from agent.shipped import DATA, SHIPPED, SUMS, ChecksumError, read_sums, strays, verify


def write(data: Path) -> list[str]:
    """Write the checksums; return what stands in the way, and then write nothing."""
    names = sorted(name for shipped in SHIPPED for name in shipped.files)
    wrong = [f"{data / name} is missing" for name in names if not (data / name).is_file()]
    wrong += [
        f"{data / name} does not belong to {shipped.name}" for shipped in SHIPPED for name in strays(shipped, data)
    ]
    if not wrong:
        fresh = data / f".{SUMS}.new"
        text = "".join(f"{sha256(data / name)}  {name}\n" for name in names)
        fresh.write_text(text, encoding="utf-8", newline="\n")
        fresh.replace(data / SUMS)
    return wrong


def check(data: Path) -> list[str]:
    """Return how the files differ from the checksums."""
    try:
        sums = read_sums(data)
    except ChecksumError as error:
        return [str(error)]
    if sums is None:
        return [f"{data / SUMS} is missing"]
    names = {name for shipped in SHIPPED for name in shipped.files}
    wrong = [f"{data / SUMS} names {name}, which does not ship" for name in sums if name not in names]
    return wrong + [found.problem for found in verify(data=data) if found.state != "ok"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    parser.add_argument("folder", type=Path, nargs="?", default=DATA, help="default: policy/data")
    options = parser.parse_args(arguments)
    wrong = check(options.folder) if options.check else write(options.folder)
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    if not wrong:
        sys.stdout.write(f"{options.folder / SUMS}: {'all as it says' if options.check else 'written'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
