"""How long thinking takes: ``python benchmarks/thinking.py [--adapter none] [--threads 1] [--turns 12] [--beside]``.

Prints medians and maxima in milliseconds over the situations of the tests, on this machine:

* ``first decision``: end of turn to the look;
* ``first sentence``: end of turn to the first sentence that may be spoken;
* ``whole reply``: end of turn to the end of the reply;

each unprepared; with what was said read along while the person spoke; and with an answer drafted in the pause before
the end of the turn, as a call has it. With an adapter also what it takes to read along two seconds of sound and face,
and as floor and baseline the time to read all weights from memory once and to read the whole conversation again.

``--beside`` runs the senses of a call on a film in another process meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch

from agent.models import resolve, resolve_clip
from perception.context import ContextWindow
from perception.media import RATE_HZ
from perception.percept import SPEECH_ENDED, Percept
from policy.backends import compact
from policy.decision import Speak
from policy.script import SPAN, Look, Sound, answering, script
from policy.signals import LOOK
from tests.policy.windows import situation, talk

MODES = ("unprepared", "read along", "drafted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generate", choices=compact.GENERATE, default="first")
    parser.add_argument("--adapter", default=compact.SHIPPED)
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--beside", action="store_true", help="run the senses on a film meanwhile")
    options = parser.parse_args()
    path = Path(__file__).parent.parent / "tests" / "policy" / "situations.toml"
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["situation"][: options.turns]
    began = time.perf_counter()
    given = {"generate": options.generate, "adapter": options.adapter, "int8": options.int8}
    policy = compact.load(resolve=resolve, threads=options.threads, **given)
    print(f"load {time.perf_counter() - began:.1f} s, threads={options.threads}, {given}, beside={options.beside}")
    torch.set_num_threads(options.threads)
    with senses() if options.beside else nothing():
        asyncio.run(measure(policy, [situation(entry) for entry in entries]))
        if policy.mind.listens:
            reading(policy)
    policy.close()


async def measure(policy: compact.Compact, windows: list[ContextWindow]) -> None:
    await decide(policy, talk("Warm up the threads."), "drafted")
    for number, mode in enumerate(MODES):
        # Other words each time, for what was embedded once is remembered.
        rows = [await decide(policy, varied(w, ("So", "Well", "Yes")[number]), mode) for w in windows]
        for name, column in zip(
            ("first decision", "first sentence", "whole reply"), zip(*rows, strict=True), strict=True
        ):
            report(f"{name}, {mode}", list(column))


async def decide(policy: compact.Compact, window: ContextWindow, mode: str) -> tuple[float, float, float]:
    session = policy.session()
    words = window.turns[-1].text
    running = replace(window, entries=window.entries[:-1], hearing=words, cue="")
    if mode == "read along":
        cut = replace(running, hearing=" ".join(words.split()[:2]))
        await session.prepare(cut)
    if mode == "drafted":
        end = window.turns[-1].end
        paused = (*running.entries, Percept(SPEECH_ENDED, "", end, end, 0.9, "vad"))
        await session.prepare(replace(running, entries=paused))
    began = time.perf_counter()
    first = clause = 0.0
    async for decision in session.decide(window):
        now = time.perf_counter() - began
        first = first or now
        if isinstance(decision, Speak):
            clause = clause or now
    last = time.perf_counter() - began
    await session.close()
    return first, clause or last, last


def varied(window: ContextWindow, word: str) -> ContextWindow:
    turn = replace(window.turns[-1], text=f"{word}, {window.turns[-1].text}")
    return replace(window, entries=(*window.entries[:-1], turn))


def reading(policy: compact.Compact) -> None:
    """Measure what reading along costs, and its floor."""
    writer, ears = policy.mind.writer, policy.mind.ears
    assert writer is not None
    rng = np.random.default_rng(1)
    chat, stop = writer.blank(), Event()
    pieces = list(script(talk(*("My week was long and I hardly slept.", "What wore you out the most?") * 4, "Work.")))
    chat.read(pieces, stop)
    span, anew = [], []
    for _ in range(10):
        sound = rng.standard_normal(round(SPAN / 1e9 * RATE_HZ), np.float32) / np.float32(10)
        began = time.perf_counter()
        states = ears.states(sound) if ears is not None else np.zeros((12, 3072), np.float32)
        pieces += [Look(rng.random(LOOK, np.float32)), Sound(states)]
        chat.read(pieces, stop)
        span.append(time.perf_counter() - began)
    for _ in range(3):
        began = time.perf_counter()
        writer.blank().read([*pieces, answering()], stop)
        anew.append(time.perf_counter() - began)
    report("1.92 s of sound and face", span)
    report(f"all {chat.length} units again (baseline)", anew)
    weights = torch.zeros(134_515_008)
    floor = []
    for _ in range(5):
        began = time.perf_counter()
        weights.sum()
        floor.append(time.perf_counter() - began)
    report("weights once through memory (floor)", floor)


@contextmanager
def senses() -> Iterator[None]:
    """Run the senses of a call on a film, in the time of life, until the measurement is over."""
    film = resolve_clip("carphone")
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write('policy = "scripted"\nvoice = "plain"\n')
        config.flush()
        command = f"while true; do {sys.executable} -m agent replay --config {config.name} --realtime {film}; done"
        child = subprocess.Popen(
            ["/bin/sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(8.0)
        try:
            yield
        finally:
            import os
            import signal

            os.killpg(child.pid, signal.SIGKILL)


@contextmanager
def nothing() -> Iterator[None]:
    yield


def report(name: str, values: list[float]) -> None:
    print(f"{name:38} median {statistics.median(values) * 1000:7.0f} ms   max {max(values) * 1000:7.0f} ms")


if __name__ == "__main__":
    main()
