"""Perception in processes of its own: what it costs, and what it survives.

Costs are measured against the same workers in threads of this process (the baseline), in the same run: both are fed
the same clip, piece by piece in turn, and have to report the same percepts. Then two calls run in real time while the
process that hears is killed, stopped, and eats memory, and the one that sees is killed; printed is when each call is
told, when the sense is back, and the longest gap in what the face reports while hearing is away. Last, three failures
in a row: it is given up, and tried again. Real time on a machine that is busy is late: look at the load average first.

    python -m benchmarks.reliability.isolation [--seconds 10]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import psutil
import structlog

from agent import build
from agent.clock import SystemClock
from agent.config import Config, Use
from agent.housing import WorkerAway
from agent.housing.estate import Estate
from agent.media_file import open_media
from agent.models import resolve, resolve_clip
from agent.senses import Senses, SensesOptions
from benchmarks.reliability import verdict
from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import SENSE_BACK, SENSE_LOST, Percept
from perception.timebase import SECOND
from perception.workers import Resolve, WorkerFactory

KILLED_S, HUNG_S, BACK_S, GAP_S, ADDED_MS = 1.0, 5.0, 10.0, 1.0, 5.0
HOG = "benchmarks.reliability.isolation"
PIECE = 10 << 20


class Hog:
    """A worker that takes memory without end as soon as anybody types."""

    name, accepts = "hog", (Text,)

    def __init__(self) -> None:
        self._kept: list[np.ndarray[Any, Any]] = []

    def __call__(self) -> Hog:
        return Hog()

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        while True:
            self._kept.append(np.ones(PIECE, np.uint8))


def load(*, resolve: Resolve) -> WorkerFactory:
    return Hog()


def settle(isolate: str, *, hog: bool = False, retry_s: float = 60.0) -> Estate:
    """The default senses; with ``hog``, one more where it hears."""
    config = Config()
    perception = replace(
        config.perception,
        isolate=isolate,
        hearing=(*config.perception.hearing, HOG),
        memory_mb=800,
        retry=round(retry_s * SECOND),
    )
    workers = (*config.workers, Use(HOG)) if hog else config.workers
    return build.senses(replace(config, workers=workers, perception=perception), resolve)


def clip(seconds: float) -> list[AudioChunk | VideoFrame]:
    with open_media(resolve_clip("wolfganglanger")) as media:
        found = [m for m in media if at(m) < seconds * SECOND]
    assert {type(m) for m in found} == {AudioChunk, VideoFrame}
    return found


def at(media: Media) -> int:
    return media.end if isinstance(media, AudioChunk) else media.at


@dataclass
class Cost:
    """Of one worker, in milliseconds of real time per batch that had to be worked on, in both places."""

    here: list[float] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)
    same: bool = True


def costs(media: Sequence[AudioChunk | VideoFrame]) -> dict[str, Cost]:
    """Feed every worker in both places, piece by piece, in turn."""
    found: dict[str, Cost] = defaultdict(Cost)
    with settle("thread") as here, settle("process") as apart:
        pairs = [(a, a(), b()) for a, b in zip(here.factories(), apart.factories(), strict=True)]
        for factory, one, other in pairs:
            if factory.name in apart_names():
                cost = found[factory.name]
                for k, item in enumerate(m for m in media if isinstance(m, factory.accepts)):
                    order = [(one, cost.here), (other, cost.apart)]
                    said = []
                    for worker, times in order if k % 2 else order[::-1]:
                        began = time.perf_counter()
                        said.append(worker.feed([item]))
                        times.append((time.perf_counter() - began) * 1e3)
                    cost.same &= said[0] == said[1]
    return found


def apart_names() -> frozenset[str]:
    options = Config().perception
    return frozenset((*options.seeing, *options.hearing))


def memory(isolate: str) -> float:
    """Megabytes of a process with all senses of one call, and of its children, each shared page counted once."""
    with settle(isolate) as estate:
        workers = [(factory, factory()) for factory in estate.factories()]
        for factory, worker in workers:
            if AudioChunk in factory.accepts:
                worker.feed([AudioChunk(np.zeros(320, np.float32), k * SECOND // 50) for k in range(50)])
            else:
                worker.feed([VideoFrame(np.zeros((480, 640, 3), np.uint8), 0)])
        me = psutil.Process()
        return float(sum(p.memory_full_info().pss for p in (me, *me.children()))) / 1e6


@dataclass
class Line:
    """One call: when it was told what, in seconds of its clock."""

    told: list[tuple[float, Percept]] = field(default_factory=list)
    senses: Senses | None = None

    def first(self, kind: str, label: str, after: float) -> float | None:
        return next((t for t, p in self.told if t >= after and (p.kind, p.label) == (kind, label)), None)

    def gap(self, worker: str, begin: float, end: float) -> float:
        """Longest time without a word of ``worker`` between two instants."""
        times = [begin, *(t for t, p in self.told if p.worker == worker and begin <= t <= end), end]
        return max(b - a for a, b in pairwise(times))


@dataclass(frozen=True)
class Event:
    """What was done to a process, and what came of it in the call that noticed last."""

    what: str
    found_s: float
    back_s: float
    gap_s: float
    why: str


class Street:
    """Two calls in real time."""

    def __init__(self, estate: Estate, media: Sequence[AudioChunk | VideoFrame]) -> None:
        self.estate = estate
        self.clock = SystemClock()
        self.lines = [Line(), Line()]
        self._media = media
        self._factories = estate.factories()

    def now(self) -> float:
        return self.clock.now() / SECOND

    async def run(self, script: Callable[[], Any]) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for line in self.lines:
                line.senses = Senses(self._factories, self.clock, self._taker(line), SensesOptions())
                tasks.append(group.create_task(line.senses.run()))
            tasks.append(group.create_task(self._feed()))
            await script()
            for task in tasks:
                task.cancel()

    def _taker(self, line: Line) -> Callable[[Percept], Any]:
        async def take(percept: Percept) -> None:
            line.told.append((self.now(), percept))

        return take

    async def _feed(self) -> None:
        """The clip over and over, with the stamps going on."""
        begin = self.clock.now()
        while True:
            for item in self._media:
                await self.clock.sleep_until(begin + at(item))
                moved: Media = (
                    AudioChunk(item.samples, item.start + begin)
                    if isinstance(item, AudioChunk)
                    else VideoFrame(item.pixels, item.at + begin)
                )
                for line in self.lines:
                    assert line.senses is not None
                    line.senses.feed(moved, None)
            begin += at(self._media[-1]) + SECOND // 50

    async def harm(self, what: str, house: str, sense: str, watch: str, do: Callable[[int], object]) -> Event:
        """Do it, and wait until every call has lost the sense and has it back."""
        pid = self.estate.houses[house].pid
        assert pid is not None
        began = self.now()
        do(pid)
        while not all(line.first(SENSE_BACK, sense, began) for line in self.lines):
            if self.now() - began > 30:
                raise TimeoutError(f"{sense} did not come back within 30 s after: {what}")
            await asyncio.sleep(0.02)
        lost = [line.first(SENSE_LOST, sense, began) or float("inf") for line in self.lines]
        back = [line.first(SENSE_BACK, sense, began) or float("inf") for line in self.lines]
        gap = max(line.gap(watch, began, max(back)) for line in self.lines)
        why = {str(p.data.get("why")) for line in self.lines for t, p in line.told if t in lost}
        return Event(what, max(lost) - began, max(back) - began, gap, "/".join(sorted(why)))


async def events(media: Sequence[AudioChunk | VideoFrame]) -> list[Event]:
    found: list[Event] = []
    with settle("process", hog=True) as estate:
        street = Street(estate, media)

        def eat(_: int) -> None:
            for line in street.lines[:1]:
                assert line.senses is not None
                line.senses.feed(Text("eat", street.clock.now()), None)

        async def script() -> None:
            await asyncio.sleep(3)
            kill, stop = (lambda pid, n=n: os.kill(pid, n) for n in (signal.SIGKILL, signal.SIGSTOP))
            found.append(await street.harm("hearing: kill -9", "hearing", "prosody", "face", kill))
            found.append(await street.harm("seeing: kill -9", "seeing", "face", "asr", kill))
            found.append(await street.harm("hearing: SIGSTOP", "hearing", "prosody", "face", stop))

        await street.run(script)
    with settle("process", hog=True) as estate:
        street = Street(estate, media)

        async def hunger() -> None:
            await asyncio.sleep(3)
            found.append(await street.harm("hearing: eats memory", "hearing", "prosody", "face", eat))

        await street.run(hunger)
    return found


def broken(retry_s: float = 2.0) -> tuple[bool, float]:
    """Kill the same process three times; return whether it was given up, and after how long it was back."""
    with settle("process", retry_s=retry_s) as estate:
        factory = next(f for f in estate.factories() if f.name == "face")
        house = estate.houses["seeing"]
        for k in range(3):
            while house.pid is None:
                time.sleep(0.02)
            os.kill(house.pid, signal.SIGKILL)
            while house.lost <= k:
                time.sleep(0.01)
        began = time.perf_counter()
        given_up = house.state == "given_up"
        while True:
            try:
                factory().feed([VideoFrame(np.zeros((48, 64, 3), np.uint8), 0)])
            except WorkerAway:
                time.sleep(0.02)
            else:
                return given_up, time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the clip")
    parser.add_argument("--memory", choices=("thread", "process"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(memory(options.memory))
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # failures are meant
    if hasattr(os, "getloadavg"):
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, niceness {os.nice(0)}")
    media = clip(options.seconds)
    held = {
        kind: float(
            subprocess.run(
                [sys.executable, "-m", HOG, "--memory", kind], check=True, capture_output=True, text=True
            ).stdout.splitlines()[-1]
        )
        for kind in ("thread", "process")
    }
    print(f"memory, all senses of one call: threads {held['thread']:.0f} MB, processes {held['process']:.0f} MB")
    found = costs(media)
    print("per batch of one, ms            threads p50 / p95     processes p50 / p95    added (median of pairs)")
    added: dict[str, float] = {}
    for name, cost in found.items():
        added[name] = statistics.median(b - a for a, b in zip(cost.here, cost.apart, strict=True))
        here, apart = (np.percentile(x, [50, 95]) for x in (cost.here, cost.apart))
        print(
            f"  {name:<10} {len(cost.here):>5} batches {here[0]:>10.2f} /{here[1]:>8.2f} "
            f"{apart[0]:>12.2f} /{apart[1]:>8.2f} {added[name]:>14.2f}"
        )
    happened = asyncio.run(events(media))
    for event in happened:
        print(
            f"  {event.what:<22} found {event.found_s:5.2f} s ({event.why}), back {event.back_s:5.2f} s"
            + (f", longest gap of the face {event.gap_s:.2f} s" if event.what.startswith("hearing") else "")
        )
    given_up, again_s = broken()
    print(f"three failures: given up {given_up}; with retry = 2.0 s it was back after {again_s:.2f} s")
    left = [c.pid for c in psutil.Process().children(recursive=True)]
    faces = [e for e in happened if e.what.startswith("hearing")]
    return verdict(
        {
            f"killed: found within {KILLED_S:g} s": all(e.found_s <= KILLED_S for e in happened if "kill" in e.what),
            f"stopped or out of memory: found within {HUNG_S:g} s": all(e.found_s <= HUNG_S for e in happened),
            f"back within {BACK_S:g} s of that": all(e.back_s - e.found_s <= BACK_S for e in happened),
            f"no gap of the face above {GAP_S:g} s while hearing is away": all(e.gap_s <= GAP_S for e in faces),
            f"at most {ADDED_MS:g} ms added per batch": all(ms <= ADDED_MS for ms in added.values()),
            "the same percepts in both places": all(cost.same for cost in found.values()),
            "given up after three failures, and tried again": given_up,
            "no process left behind": not left,
        }
    )


if __name__ == "__main__":
    sys.exit(main())
