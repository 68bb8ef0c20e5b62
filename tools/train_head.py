"""Train ``policy/data/head.safetensors`` on the corpus, and print how it fits.

With ``--freeze`` the test part is frozen first; that is done once.

python tools/train_head.py [--freeze]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import json

import torch

from agent.models import resolve
from perception.context import ContextWindow
from policy.embedding import Embedder
from policy.head import FILE
from policy.mind import Mind
from policy.training import head
from policy.training.corpus import FOLDER, situations
from policy.training.measure import Choose, measure
from policy.training.parts import FROZEN, freeze, parts, repeated


def main() -> None:
    """Train, save, measure."""
    torch.set_num_threads(1)
    embed = Embedder(resolve("minilm"))
    found = situations()
    if "--freeze" in sys.argv:
        if (FOLDER / FROZEN).exists():
            sys.exit(f"{FOLDER / FROZEN} is frozen already")
        if pairs := repeated(found, embed):
            sys.exit(f"take one of each out first: {pairs}")
        (FOLDER / FROZEN).write_text(json.dumps(freeze(found, embed), indent=1) + "\n", encoding="utf-8")
    divided = parts(found)
    say(f"{len(divided.train)} to train on, {len(divided.dev)} to decide on, {len(divided.test)} to test on")
    head.save(head.train(divided.train, divided.dev, embed), FILE)
    say(f"{FILE.name}: {FILE.stat().st_size / 1e3:.0f} kB")
    mind = Mind(embed, None)
    for name, part in (("train", divided.train), ("dev", divided.dev), ("test", divided.test)):
        say(f"{name:<6} {measure(chosen_by(mind), part)}")
    mind.head = None
    say(f"test, rules alone: {measure(chosen_by(mind), divided.test)}")


def chosen_by(mind: Mind) -> Choose:
    """Return what the compact policy decides, as a measurement takes it."""

    def choose(window: ContextWindow) -> tuple[str, str]:
        choice = mind.consider(window).choice
        return "wait" if choice.wait else choice.strategy, choice.emotion

    return choose


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
