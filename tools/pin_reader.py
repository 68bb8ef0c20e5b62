"""Make the reader of danger from its base and ``policy/data/veiled.safetensors``, and pin it in ``agent/models.toml``.

    agent models fetch mpnet    its base, once
    python tools/pin_reader.py

Run it after training. What was made is put in the model store as well, so that nothing need be fetched again here.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from agent import paths
from agent.convert_reader import make_reader
from agent.manifest import MANIFEST
from agent.models import resolve, sha256
from policy.safety.classifier import BASE, FILE, NAME


def pin(manifest: str, made: Path) -> str:
    """Return the manifest with the sizes and sha256 of the files in ``made``."""
    head, begin, rest = manifest.partition(f"[models.{NAME}]")
    block, end, tail = rest.partition("\n[models.")
    files = sorted(path for path in made.rglob("*") if path.is_file())
    if (count := block.count("\nsha256 = ") - block.count(".inputs]]")) != len(files):
        raise SystemExit(f"{MANIFEST}: [models.{NAME}] has {count} files, and another number was made")
    for path in files:
        name = path.relative_to(made).as_posix()
        entry = f'path = "{name}"\nsize = {path.stat().st_size}\nsha256 = "{sha256(path)}"'
        pattern = rf'path = "{re.escape(name)}"\nsize = \d+\nsha256 = "[0-9a-f]{{64}}"'
        block, count = re.subn(pattern, entry, block)
        if count != 1:
            raise SystemExit(f"{MANIFEST}: [models.{NAME}] names {name} {count} times, expected once")
    return head + begin + block + end + tail


def main() -> None:
    """Make, pin and store it."""
    store, base = paths.models_dir(), resolve(BASE)
    with tempfile.TemporaryDirectory(dir=store) as folder:
        made = Path(folder) / NAME
        made.mkdir()
        make_reader(base, FILE, made)
        MANIFEST.write_text(pin(MANIFEST.read_text(encoding="utf-8"), made), encoding="utf-8", newline="\n")
        shutil.rmtree(store / NAME, ignore_errors=True)
        made.rename(store / NAME)
    sys.stdout.write(f"{store / NAME}, pinned in {MANIFEST}\n")


if __name__ == "__main__":
    main()
