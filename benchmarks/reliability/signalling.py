"""What strangers can do to signalling: malformed requests, mutated offers, hostile messages; then a good caller joins.

A real server in this process, over loopback. Counted are the statuses, the time of each answer, and what is left
behind: tasks, file descriptors, open peer connections, memory.

    python benchmarks/reliability/signalling.py [--offers 1000] [--messages 100]

The whole of it is ``--offers 10000 --messages 1000``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from aiortc import RTCPeerConnection

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from tests.agent.test_guard_sdp import OFFERS, mutated
from tests.rtc import Client
from tests.test_server import GARBAGE, House, house

SIZES = (0, 10, 16_384, 16_385, 65_536, 1_000_000, 5_000_000)


def left() -> dict[str, float]:
    """Return what there is now of everything that could be left behind."""
    gc.collect()
    peers = [o for o in gc.get_objects() if type(o) is RTCPeerConnection and o.connectionState != "closed"]
    return {
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")),
        "peers": len(peers),
        "rss_mb": round(psutil.Process().memory_info().rss / 1e6, 1),
    }


async def offers(h: House, count: int, chance: random.Random) -> tuple[Counter[int], list[float]]:
    """Send malformed requests and mutated offers; hang up what is answered."""
    statuses: Counter[int] = Counter()
    times: list[float] = []
    garbage = list(GARBAGE.values())
    goods = list(OFFERS.values())
    for k in range(count):
        if k % 10 == 0:
            content, headers, _ = garbage[k // 10 % len(garbage)]
        else:
            body: dict[str, Any] = {"type": "offer", "sdp": mutated(goods[k % len(goods)], chance)}
            content, headers = json.dumps(body).encode("utf-8", "surrogatepass"), {"Content-Type": "application/json"}
        began = time.perf_counter()
        answer = await h.http.post("/api/offer", content=content, headers=headers)
        times.append(time.perf_counter() - began)
        statuses[answer.status_code] += 1
        if answer.status_code == 200:
            await h.http.post("/api/bye", json={"pc_id": answer.json()["pc_id"]})
    return statuses, times


async def messages(h: House, count: int, chance: random.Random) -> Counter[str]:
    """Send messages of all sizes over data channels of a client that minds no limit; call again when cut off."""
    outcomes: Counter[str] = Counter()
    client: Client | None = None
    for _ in range(count):
        if client is None or client.channel is None or client.channel.readyState != "open":
            if client is not None:
                outcomes["channels closed"] += 1
                await client.close()
            client = await h.call()
            assert client.pc.sctp is not None
            client.pc.sctp._remote_max_message_size = 0
        assert client.channel is not None
        size = chance.choice(SIZES)
        try:
            client.channel.send(os.urandom(size) if chance.random() < 0.5 else "x" * size)
            outcomes["sent"] += 1
        except Exception as error:
            outcomes[type(error).__name__] += 1
        await asyncio.sleep(0.01 if size < 100_000 else 0.3)
    if client is not None:
        await client.close()
    return outcomes


async def run(options: argparse.Namespace) -> int:
    chance = random.Random(7)
    async with house(max_calls=4) as h:
        await offers(h, 100, chance)
        await asyncio.sleep(1)
        before = left()
        statuses, times = await offers(h, options.offers, chance)
        cut = await messages(h, options.messages, chance)
        h.clients.clear()
        await asyncio.sleep(4)
        after = left()
        good = await h.call()
        good.ask("ping", None, "alive")
        await good.wait_for(lambda m: m.get("id") == "alive")
    p99 = statistics.quantiles(times, n=100)[98] * 1000
    print(f"offers    {options.offers}: {dict(sorted(statuses.items()))}")
    print(
        f"answers   p50 {statistics.median(times) * 1000:.1f} ms, p99 {p99:.1f} ms, longest {max(times) * 1000:.1f} ms"
    )
    print(f"messages  {options.messages} of up to {max(SIZES)} bytes: {dict(cut)}")
    print(f"left      {before} before, {after} after")
    print("then a good caller joined")
    bad = sum(count for status, count in statuses.items() if status >= 500)
    leaked = [name for name in ("tasks", "files", "peers") if after[name] > before[name]]
    print(f"5xx {bad}; leaked {', '.join(leaked) or 'nothing'}")
    return 1 if bad or leaked else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--offers", type=int, default=1000, help="malformed requests and mutated offers (default: 1000)"
    )
    parser.add_argument("--messages", type=int, default=100, help="messages over data channels (default: 100)")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
