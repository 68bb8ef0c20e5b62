"""Callers who come and go: does anything stay behind?

One caller after another connects with microphone, camera and data channel, is heard, and leaves: by closing, by
asking the agent to hang up, or by vanishing without a word. After each the line has to be free again. Counted at the
beginning and at the end are asyncio tasks, threads, open files and open peer connections; memory is compared with
that after the 50th caller (or half of them), by when every pool and cache is filled. Callers and server live in
one process, so what a caller leaks counts too.

    python -m benchmarks.reliability.cycles [--cycles 60]

``--cycles 1000`` gives the figure of docs/operations.md; it takes about ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass

from benchmarks.reliability import Caller, House, house, verdict
from benchmarks.reliability.resources import Resources

RSS_MB = 10.0
WARM = 50


@dataclass(frozen=True)
class Outcome:
    """Of all cycles.

    Attributes:
        failed: callers who did not get through or did not free their line, with the reason.
        grown: tasks, threads, files and connections more than after the first caller.
        rss_mb: growth of memory since it was warm.
    """

    done: int
    failed: list[str]
    grown: dict[str, int]
    rss_mb: float


async def measure(cycles: int) -> Outcome:
    """Let callers come and go."""
    warm = min(WARM, cycles // 2)
    failed: list[str] = []
    async with house(dead_after_s=1.0, return_within_s=0.2) as found:
        await _cycle(found, 0)
        before = await _settled()
        rss_mb = before.rss_mb
        for k in range(1, cycles):
            try:
                await _cycle(found, k)
            except (TimeoutError, OSError, ValueError) as error:
                failed.append(f"caller {k}: {error!r}")
            if k == warm:
                rss_mb = Resources.now().rss_mb
        after = await _settled()
    return Outcome(cycles, failed, after.grown(before), after.rss_mb - rss_mb)


async def _cycle(found: House, k: int) -> None:
    found.callers.clear()
    found.calls.clear()
    caller = Caller(keep=False, video=k % 2 == 0)
    try:
        await found.call(caller)
        await caller.heard(5)
        match k % 3:
            case 0:
                await caller.close()
            case 1:
                async with asyncio.timeout(10):
                    while caller.channel.readyState != "open":
                        await asyncio.sleep(0.01)
                caller.channel.send(json.dumps({"label": "rtvi-ai", "type": "disconnect-bot", "id": "x", "data": {}}))
            case _:
                caller.network.down = True
        await found.empty()
    finally:
        caller.network.down = False
        await caller.close()


async def _settled() -> Resources:
    """Count once what is on its way out has gone."""
    last = Resources.now()
    for _ in range(20):
        await asyncio.sleep(0.1)
        now = Resources.now()
        if not any(now.grown(last).values()):
            break
        last = now
    return now


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cycles", type=int, default=60, help="callers, one after another")
    options = parser.parse_args()
    if options.cycles < 4:
        parser.error("--cycles is at least 4")
    found = asyncio.run(measure(options.cycles))
    left = ", ".join(f"{name} {count:+d}" for name, count in found.grown.items())
    print(f"{found.done} callers, {len(found.failed)} failed; left behind: {left}; memory {found.rss_mb:+.1f} MB")
    for line in found.failed[:10]:
        print(f"  {line}")
    reached = {
        "no caller failed": not found.failed,
        "nothing left behind": all(count <= 0 for count in found.grown.values()),
        f"memory +{RSS_MB:g} MB at most since it was warm": found.rss_mb <= RSS_MB,
    }
    return verdict(reached)


if __name__ == "__main__":
    sys.exit(main())
