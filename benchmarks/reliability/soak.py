"""One long call: does memory grow?

A caller with microphone and camera stays on the line while now and then its network loses packets and is gone for
two seconds. Memory is read every second; its slope is that of a straight line through the second half (least
squares), given with its standard error, because a short run says little. Caller and server live in one process.

    python -m benchmarks.reliability.soak [--seconds 60]

``--seconds 1800`` gives the figure of docs/operations.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass

import numpy as np
import psutil

from benchmarks.reliability import Caller, house, verdict
from benchmarks.reliability.resources import Resources

SLOPE_MB_MIN = 0.1


@dataclass(frozen=True)
class Outcome:
    """Of the call.

    Attributes:
        slope: megabytes a minute over the second half.
        error: standard error of that.
        first_mb, last_mb: memory at the beginning of the second half and at the end.
        grown: tasks, threads, files and connections more at the end than when it was warm.
        same_call: whether it was one call throughout.
        ends: why it ended before its time.
        late_s: the longest time that the event loop stood still: above some seconds, others had the machine.
        pieces: of sound and pictures that came out.
    """

    slope: float
    error: float
    first_mb: float
    last_mb: float
    grown: dict[str, int]
    same_call: bool
    pieces: int
    ends: tuple[str, ...] = ()
    late_s: float = 0.0


async def measure(seconds: float, every: float = 1.0) -> Outcome:
    """Stay on the line for ``seconds`` and look at memory ``every`` so often."""
    async with house() as found:
        caller = await found.call(Caller(keep=False))
        began = time.perf_counter()
        points: list[tuple[float, float]] = []
        warm: Resources | None = None
        k, process, late_s = 0, psutil.Process(), 0.0
        while (at := time.perf_counter() - began) < seconds:
            if warm is None and at > seconds / 2:
                warm = Resources.now()
            points.append((at / 60, process.memory_info().rss / 1e6))
            # In each minute ten seconds of loss and two without a network.
            caller.network.loss = 0.1 if 20 <= at % 60 < 30 else 0.0
            caller.network.down = 40 <= at % 60 < 42
            k += 1
            due = max(time.perf_counter(), began + k * every)
            await asyncio.sleep(due - time.perf_counter())
            late_s = max(late_s, time.perf_counter() - due)
        caller.network.loss, caller.network.down = 0.0, False
        after = Resources.now()
        same = len(found.calls) == 1 and not found.calls[0].over
        pieces, ends = caller.seen.count, tuple(found.ends)
    late = np.array([p for p in points if p[0] * 60 >= seconds / 2])
    slope, error = line(late)
    return Outcome(
        slope, error, float(late[0, 1]), float(late[-1, 1]), after.grown(warm or after), same, pieces, ends, late_s
    )


def line(points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> tuple[float, float]:
    """Return the slope of a straight line through the points, and its standard error."""
    x, y = points[:, 0], points[:, 1]
    centred = x - x.mean()
    slope = float((centred * (y - y.mean())).sum() / (centred**2).sum())
    rest = y - y.mean() - slope * centred
    return slope, float(np.sqrt((rest**2).sum() / max(1, len(x) - 2) / (centred**2).sum()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the call")
    options = parser.parse_args()
    if options.seconds < 10:
        parser.error("--seconds is at least 10")
    found = asyncio.run(measure(options.seconds))
    left = ", ".join(f"{name} {count:+d}" for name, count in found.grown.items())
    memory = f"{found.first_mb:.1f} -> {found.last_mb:.1f} MB, {found.slope:+.3f} +- {found.error:.3f} MB/min"
    print(
        f"{options.seconds:g} s, {found.pieces} pieces of sound and pictures; second half: {memory}; {left}; "
        f"event loop at most {found.late_s:.2f} s late"
    )
    for why in found.ends:
        print(f"  the call ended: {why}")
    reached = {
        f"memory, at most {SLOPE_MB_MIN:g} MB a minute (within two standard errors)": found.slope - 2 * found.error
        <= SLOPE_MB_MIN,
        "nothing left behind": all(count <= 0 for count in found.grown.values()),
        "one call throughout": found.same_call,
    }
    return verdict(reached)


if __name__ == "__main__":
    sys.exit(main())
