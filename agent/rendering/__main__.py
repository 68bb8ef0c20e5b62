"""``python -m agent.rendering --out FOLDER``: speak the corpus and hear it."""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from agent.clock import SystemClock
from agent.manifest import ModelError
from agent.models import resolve
from agent.rendering.figures import figures
from agent.rendering.render import Rendered, Renderer
from agent.rendering.speak import VoiceMissing
from agent.rendering.store import Store
from perception.timebase import as_seconds
from policy.training.corpus import choices, situations
from policy.training.heard import HeardError, Item, load
from policy.training.parts import choice_parts, parts

PARTS = ("test", "dev", "train")
_EVERY = 20

_renderer: Renderer | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Render what is missing; return the exit status."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.figures:
            for line in figures(order("all"), load(chosen.out)):
                sys.stdout.write(f"{line}\n")
        else:
            _render(chosen.out, order(chosen.part), chosen.limit, chosen.seed, chosen.jobs)
    except (HeardError, VoiceMissing, ModelError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def order(part: str) -> list[Item]:
    """Return the items of a part, or of ``all``; those to train on are shuffled, so that a beginning is a sample."""
    told, asked = parts(situations()), choice_parts(choices())
    train: list[Item] = [*told.train, *asked.train]
    train.sort(key=lambda item: hashlib.sha256(f"render/{item.id}".encode()).digest())
    every: dict[str, list[Item]] = {
        "test": [*told.test, *asked.test],
        "dev": [*told.dev, *asked.dev],
        "train": train,
    }
    return [item for name in PARTS if part in {name, "all"} for item in every[name]]


def _render(out: Path, items: Sequence[Item], limit: int | None, seed: int, jobs: int) -> None:
    clock = SystemClock()
    with Store(out, seed) as store:
        missing = [item for item in items if item.id not in store.done][:limit]
        _say(f"{len(missing)} of {len(items)} items to render into {out}")
        sound = 0.0
        began = clock.now()
        for count, rendered in enumerate(_all(missing, seed, jobs), 1):
            store.add(rendered)
            sound += rendered.seconds
            if count % _EVERY == 0 or count == len(missing):
                taken = as_seconds(clock.now() - began)
                rest = taken / count * (len(missing) - count) / 60
                _say(
                    f"{count} items, {sound / count:.1f} s of sound and {taken / count:.2f} s each, {rest:.0f} min left"
                )


def _all(items: Sequence[Item], seed: int, jobs: int) -> Iterator[Rendered]:
    if jobs == 1 or not items:
        _load(seed)
        yield from map(_one, items)
        return
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, fresh, initializer=_load, initargs=(seed,)) as pool:
        try:
            yield from pool.map(_one, items)
        finally:
            pool.shutdown(cancel_futures=True)


def _load(seed: int) -> None:
    global _renderer  # noqa: PLW0603 -- one per process
    _renderer = Renderer(resolve, seed)


def _one(item: Item) -> Rendered:
    assert _renderer is not None
    return _renderer.render(item)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agent.rendering", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/heard"), help="folder to write (build/heard)")
    parser.add_argument("--part", choices=(*PARTS, "all"), default="all", help="of the corpus (all, in this order)")
    parser.add_argument("--limit", type=_positive, help="render at most so many items that are missing")
    parser.add_argument("--seed", type=int, default=7, help="of voices, manners, noise and levels (7)")
    parser.add_argument("--jobs", type=_positive, default=1, help="processes (1)")
    parser.add_argument("--figures", action="store_true", help="render nothing; print tables of what is there")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
