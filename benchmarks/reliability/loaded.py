"""The server with the agent that a configuration names, in a process of its own, telling how loaded it is.

A child of :mod:`benchmarks.reliability.capacity`. It is asked ``load`` and answers what happened since it was asked
last: lateness of the event loop, what the senses let fall and how far they are behind, CPU time by thread, and what
came in by calls.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import psutil

import server
from agent import build
from agent.config import DEFAULT_WORKERS, Config, Use
from agent.journal import Event, Metric, Note
from agent.server_options import ServerConfig
from agent.transports import Transport
from benchmarks.reliability.served import quiet, talk

VOICE = ("vad", "asr", "turn", "prosody")
LEVELS = ("media", "voice", "face")


def configuration(level: str, most: int) -> Config:
    """Return what is loaded.

    Args:
        level: ``media``: calls without senses; ``voice``: all that hears, thinks and speaks; ``face``: all of it.
        most: calls that are let in.
    """
    served = ServerConfig(max_calls=most, consent="given", most_lag=10**12)
    if level == "media":
        return Config(server=served, workers=(), policy=Use("scripted"), voice=Use("plain"))
    names = VOICE if level == "voice" else DEFAULT_WORKERS
    return Config(server=served, workers=tuple(map(Use, names)))


class Load:
    """Collects what happens, and tells it once."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._lags: list[float] = []
        self._dropped: Counter[str] = Counter()
        self._behind: dict[str, float] = defaultdict(float)
        self._waits: list[float] = []
        self._lost: Counter[str] = Counter()
        self._cpu = self._threads()
        self._at = time.perf_counter()

    async def probe(self) -> None:
        """Look how late the event loop is, fifty times a second."""
        while True:
            due = time.perf_counter() + 0.02
            await asyncio.sleep(0.02)
            self._lags.append(time.perf_counter() - due)

    def note(self, event: Event) -> None:
        """Take in an event of a call."""
        match event.body:
            case Metric(name, value):
                if name.endswith("_dropped_count"):
                    self._dropped[name.removesuffix("_dropped_count")] += int(value)
                elif name.endswith("_lag"):
                    self._behind[name.removesuffix("_lag")] = max(self._behind[name.removesuffix("_lag")], value)
                elif name == "end_of_turn":
                    self._waits.append(value)
            case Note(event="sense_failed" | "sense_hung" | "reply_failed" as what):
                self._lost[what] += 1

    @staticmethod
    def _threads() -> Counter[str]:
        """Return the seconds of CPU by thread, those of a pool together, and of child processes."""
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        found: Counter[str] = Counter()
        for each in psutil.Process().threads():
            name = names.get(each.id, "native").rstrip("0123456789").rstrip("-_ ")
            found["event loop" if name == "MainThread" else name] += each.user_time + each.system_time
        for child in psutil.Process().children(recursive=True):
            try:
                times = child.cpu_times()
            except psutil.Error:
                continue
            found[f"process {child.name()}"] += times.user + times.system
        return found

    def tell(self) -> dict[str, Any]:
        """Return what happened since it was told last."""
        now, cpu = time.perf_counter(), self._threads()
        seconds = now - self._at
        used = {name: round((spent - self._cpu[name]) / seconds, 3) for name, spent in cpu.items()}
        lags = np.array(self._lags or [0.0])
        live = [call for call in self.calls if not call.over]
        found = {
            "seconds": seconds,
            "lag_p99_ms": round(float(np.percentile(lags, 99)) * 1000, 1),
            "dropped": dict(self._dropped),
            "behind_s": {name: round(value, 2) for name, value in self._behind.items()},
            "waits_s": sorted(round(value, 2) for value in self._waits),
            "lost": dict(self._lost),
            "cores": round(sum(used.values()), 2),
            "cpu": {name: share for name, share in sorted(used.items(), key=lambda item: -item[1])[:6] if share > 0},
            "live": len(live),
            "sounds": sum(call.intake.totals()["audio_received_count"] for call in live),
        }
        self._lags, self._waits = [], []
        self._dropped, self._lost = Counter(), Counter()
        self._behind.clear()
        self._cpu, self._at = cpu, now
        return found


class Counting:
    """The runtime, which remembers its calls.

    Args:
        runtime: that holds them.
        load: takes them.
    """

    def __init__(self, runtime: build.Runtime, load: Load) -> None:
        self._runtime, self._load = runtime, load
        self.describe, self.sends_to, self.watch = runtime.describe, runtime.sends_to, runtime.watch
        self.senses, self.given_up, self.late_s = runtime.senses, runtime.given_up, runtime.late_s

    async def answer(self, transport: Transport, /) -> None:
        self._load.calls.append(transport)
        await self._runtime.answer(transport)


async def _serve(level: str, most: int) -> None:
    config = configuration(level, most)
    with build.runtime(config) as runtime:
        load = Load()
        door = server.webrtc_door(config.server)
        application = server.app(Counting(runtime, load), config, door)
        observe = door.watch

        def watch(event: Event) -> None:
            load.note(event)
            observe(event)

        door.watch = watch
        probe = asyncio.ensure_future(load.probe())
        try:
            await talk(application, lambda _: load.tell())
        finally:
            probe.cancel()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("level", choices=LEVELS)
    parser.add_argument("--most", type=int, default=64)
    options = parser.parse_args()
    quiet()
    asyncio.run(_serve(options.level, options.most))
    return 0


if __name__ == "__main__":
    sys.exit(main())
