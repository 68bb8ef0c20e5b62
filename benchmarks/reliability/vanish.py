"""Callers who are gone without a word: how long do they hold their line?

Three at once: one whose network is cut in mid-call, one whose process ends without closing anything (its sockets are
shut, and nothing is said), and one that got an answer and never came. Measured is the time until the line is free.

    python -m benchmarks.reliability.vanish
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from agent.transports._call import RemoteCall
from agent.transports.webrtc import Offer
from benchmarks.reliability import Caller, house, verdict

FREE_S, NEVER_S = 15.0, 20.0
SLACK_S = 0.5
"""Of the clock that looks once in a while, and of a machine that is busy."""

CUT, KILLED, NEVER = "network cut", "process ended", "never came"


async def measure(**options: Any) -> dict[str, float]:
    """Return the seconds until the line was free, by the way in which a caller went.

    Args:
        options: of the door, where not the defaults.
    """
    async with house(**({"max_calls": 3} | options)) as found:
        cut, killed, never = (Caller(keep=False) for _ in range(3))
        for caller in (cut, killed):
            await found.call(caller)
            await caller.heard(5)
        calls = {CUT: found.calls[0], KILLED: found.calls[1]}
        found.callers.append(never)
        began = time.perf_counter()
        await found.door.offer(Offer(sdp=await never.offer(), type="offer"))
        cut.network.down = True
        for transport in killed.pc.getTransceivers():
            for protocol in transport.receiver.transport.transport._connection._protocols:
                protocol.transport.inner.abort()
        gone = time.perf_counter()
        taken = await asyncio.gather(
            *(_until(partial(_is_over, call), gone) for call in calls.values()),
            _until(lambda: found.door.calls == sum(not call.over for call in calls.values()), began),
        )
        return dict(zip((*calls, NEVER), taken, strict=True))


def _is_over(call: RemoteCall) -> bool:
    return call.over


async def _until(free: Callable[[], bool], began: float) -> float:
    async with asyncio.timeout(60):
        while not free():
            await asyncio.sleep(0.02)
    return time.perf_counter() - began


def main() -> int:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    found = asyncio.run(measure())
    for way, seconds in found.items():
        print(f"{way}: {seconds:.1f} s until the line was free")
    return verdict(
        {
            f"who vanished held a line for {FREE_S:g} s at most": max(found[CUT], found[KILLED]) <= FREE_S + SLACK_S,
            f"who never came, for {NEVER_S:g} s at most": found[NEVER] <= NEVER_S + SLACK_S,
        }
    )


if __name__ == "__main__":
    sys.exit(main())
