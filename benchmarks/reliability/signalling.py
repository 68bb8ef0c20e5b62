"""What strangers can do to signalling: malformed requests, mutated offers, hostile messages; then a good caller joins.

The server runs in a process of its own and is attacked over loopback. One request in ten is no offer at all; one in
fifty is a good offer whose 32 addresses are those of other machines, and more of them follow; the rest are offers as
browsers make them with some lines cut, dropped, doubled, swapped or garbled. Then come messages of up to 5 MB from a
peer that minds no limit, and callers beyond the last free line. Counted are the statuses, the time of each answer,
where packets go, and what is left behind in the server: tasks, threads, files, open peer connections, calls, memory.

Packets are counted by the kernel in a network namespace with nothing behind it, where this process may have one, and
else at the sockets of the server; which it was is said. In the namespace the server serves strangers (no loopback, no
private addresses); without it this machine alone.

    python -m benchmarks.reliability.signalling [--offers 1000] [--messages 100] [--here]

``--offers 10000 --messages 1000`` gives the figures of docs/security.md; it takes about ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from benchmarks.reliability import verdict
from benchmarks.reliability.packets import Sniffer, alone
from benchmarks.reliability.served import Served
from tests.agent.test_guard_sdp import OFFERS, mutated
from tests.rtc import Client
from tests.test_server import GARBAGE

SIZES = (0, 10, 16_384, 16_385, 65_536, 1_000_000, 5_000_000)
TARGETS = (
    "10.0.0.1", "10.255.3.4", "172.16.0.9", "192.168.1.1", "100.64.0.1", "169.254.169.254", "169.254.7.7",
    "224.0.0.251", "239.255.255.250", "255.255.255.255", "240.0.0.1", "0.0.0.0", "168.63.129.16", "192.0.0.192",
    "fe80::1", "fd00:ec2::254", "fd12:3456::9", "ff02::fb", "::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::a00:1", "2002:a00:1::1",
)  # fmt: skip
"""Where an attacker would like packets to go."""

ALLOWED = "8.8.4.4"
"""Of the same offers, an address in the street that has to be tried; in the namespace nobody is behind it."""

P99_MS, CAPACITY_MS, RSS_MB = 50.0, 50.0, 10.0
JSON = {"Content-Type": "application/json"}


@dataclass
class Outcome:
    """What came of it; ``before`` and ``after`` as :meth:`benchmarks.reliability.served.Served.left` gives them."""

    counted: str
    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    cut: Counter[str] = field(default_factory=Counter)
    beyond: list[float] = field(default_factory=list)
    busy: Counter[int] = field(default_factory=Counter)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    trimmed: dict[str, Any] = field(default_factory=dict)
    packets: Counter[str] = field(default_factory=Counter)
    where: Counter[str] = field(default_factory=Counter)
    joined: bool = False

    @property
    def leaked(self) -> dict[str, int]:
        """What there is more of than before, without memory."""
        names = ("tasks", "threads", "files", "peers", "calls")
        return {name: n for name in names if (n := int(self.after[name]) - int(self.before[name])) > 0}


def spread(times: Sequence[float]) -> str:
    """Return the middle, the 99th percentile and the longest of seconds, in words."""
    middle, longest = statistics.median(times) * 1000, max(times) * 1000
    return f"p50 {middle:.1f} ms, p99 {p99_ms(times):.1f} ms, longest {longest:.1f} ms"


def p99_ms(times: Sequence[float]) -> float:
    """Return the 99th percentile of seconds, in milliseconds."""
    return statistics.quantiles(times, n=100)[98] * 1000


class Attacker:
    """Sends what strangers send.

    Args:
        http: to the server.
        found: takes what comes of it.
        street: whether the server serves strangers.
    """

    def __init__(self, http: httpx.AsyncClient, found: Outcome, *, street: bool, seed: int = 7) -> None:
        self._http = http
        self._found = found
        self._street = street
        self._chance = random.Random(seed)
        self._garbage = list(GARBAGE.values())
        self._goods = list(OFFERS.values())

    async def offers(self, count: int) -> None:
        """Send malformed requests and mutated offers, with hostile ones among them; hang up what is answered."""
        for k in range(count):
            if k % 50 == 1:
                await self._hostile(self._goods[k % len(self._goods)])
                continue
            if k % 10 == 0:
                content, headers, _ = self._garbage[k // 10 % len(self._garbage)]
            else:
                offer = mutated(self._goods[k % len(self._goods)], self._chance)
                content, headers = _body({"type": "offer", "sdp": offer}), JSON
            await self._send(content, headers)
            await self._nothing()

    async def _nothing(self) -> None:
        """Ask for nothing, and see how long that takes here and now."""
        began = time.perf_counter()
        await self._http.get("/livez")
        self._found.idle.append(time.perf_counter() - began)

    async def _send(self, content: bytes, headers: dict[str, str], *, hang_up: bool = True) -> str:
        began = time.perf_counter()
        answer = await self._http.post("/api/offer", content=content, headers=headers)
        self._found.times.append(time.perf_counter() - began)
        self._found.statuses[answer.status_code] += 1
        if answer.status_code != 200:
            return ""
        name: str = answer.json()["pc_id"]
        if hang_up:
            await self._http.post("/api/bye", json={"pc_id": name})
        return name

    async def _hostile(self, offer: str) -> None:
        """Let the server be told of machines that are none of its business, in the offer and behind it."""
        lines = [self._line(self._chance.choice(TARGETS), self._chance.choice((80, 5000, 40000))) for _ in range(31)]
        lines.append(self._line(ALLOWED if self._street else "127.0.0.1", 40009))
        kept = [line for line in offer.split("\r\n") if not line.startswith("a=candidate")]
        at = next(n for n, line in enumerate(kept) if line.startswith("a=mid"))
        offer = "\r\n".join([*kept[:at], *(f"a={line}" for line in lines), *kept[at:]])
        name = await self._send(_body({"type": "offer", "sdp": offer}), JSON, hang_up=False)
        if not name:
            return
        more = [{"candidate": self._line(address, 5000), "sdp_mid": "0"} for address in TARGETS]
        await self._http.patch("/api/offer", json={"pc_id": name, "candidates": more})
        await asyncio.sleep(0.25)
        await self._http.post("/api/bye", json={"pc_id": name})

    @staticmethod
    def _line(address: str, port: int) -> str:
        return f"candidate:1 1 udp 2122194687 {address} {port} typ host generation 0"

    async def caller(self) -> Client:
        """Let a good caller join."""
        client = Client()
        answer = await self._http.post("/api/offer", json=await client.offer())
        if answer.status_code != 200:
            await client.close()
            raise RuntimeError(f"a good caller got {answer.status_code}: {answer.text[:200]}")
        await client.accept(answer.json())
        return client

    async def leave(self, client: Client) -> None:
        """Let a caller go, who says so: a line is kept for those who do not."""
        await self._http.post("/api/bye", json={"pc_id": client.pc_id})
        await client.close()

    async def messages(self, count: int) -> None:
        """Send messages of all sizes over data channels of a peer that minds no limit; call again when cut off."""
        client: Client | None = None
        for _ in range(count):
            if client is None or client.channel is None or client.channel.readyState != "open":
                if client is not None:
                    self._found.cut["channels closed"] += 1
                    await self.leave(client)
                client = await self._again()
                assert client.pc.sctp is not None
                client.pc.sctp._remote_max_message_size = 0
            assert client.channel is not None
            size = self._chance.choice(SIZES)
            try:
                client.channel.send(os.urandom(size) if self._chance.random() < 0.5 else "x" * size)
                self._found.cut["sent"] += 1
            except Exception as error:
                self._found.cut[type(error).__name__] += 1
            await asyncio.sleep(0.01 if size < 100_000 else 0.3)
        if client is not None:
            await self.leave(client)

    async def _again(self) -> Client:
        """Call again; wait for a line where those before are still being taken down."""
        async with asyncio.timeout(40):
            while True:
                try:
                    return await self.caller()
                except RuntimeError as error:
                    if "503" not in str(error):
                        raise
                    await asyncio.sleep(0.5)

    async def beyond(self, lines: int, count: int) -> None:
        """Fill the lines with good callers, and ask for one more again and again."""
        callers = [await self._again() for _ in range(lines)]
        try:
            content = _body({"type": "offer", "sdp": self._goods[0]})
            for _ in range(count):
                began = time.perf_counter()
                answer = await self._http.post("/api/offer", content=content, headers=JSON)
                self._found.beyond.append(time.perf_counter() - began)
                told = answer.status_code == 503 and int(answer.headers.get("retry-after", "0")) > 0
                self._found.busy[503 if told else answer.status_code] += 1
                await self._nothing()
                await asyncio.sleep(0.005)
            for n, caller in enumerate(callers):
                caller.ask("ping", None, f"still{n}")
                await caller.wait_for(partial(_is, f"still{n}"))
        finally:
            for caller in callers:
                await self.leave(caller)


def _is(id: str, message: dict[str, Any]) -> bool:
    return message.get("id") == id


def _body(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


async def measure(
    offers: int, messages: int, *, street: bool, counted: str, lines: int = 2, beyond: int = 200, settle_s: float = 2.5
) -> Outcome:
    """Attack a server; see the module.

    Args:
        offers: requests to signalling.
        messages: messages over data channels.
        street: whether this process is in a network of its own.
        counted: who counts packets, in words.
        lines: calls that the server takes.
        beyond: callers for whom there is no line.
        settle_s: time for what is closed behind a call.
    """
    found = Outcome(counted)
    with Sniffer() if street else nullcontext() as sniffer:
        async with Served(street=street, max_calls=lines) as served, httpx.AsyncClient(timeout=20) as http:
            http.base_url = httpx.URL(served.url)
            # Whatever is kept from one call to the next has been kept once: codecs, pools, an endless message.
            warm = Attacker(http, Outcome(counted), street=street, seed=1)
            await warm.offers(min(offers // 2, 200))
            await warm.messages(min(messages // 2, 20))
            await _quiet(served, settle_s)
            found.before = await served.left()
            attacker = Attacker(http, found, street=street)
            await attacker.offers(offers)
            await attacker.messages(messages)
            await attacker.beyond(lines, beyond)
            await _quiet(served, settle_s)
            found.after = await served.left()
            found.trimmed = await served.left(trim=True)
            client = await attacker.caller()
            client.ask("ping", None, "alive")
            await client.wait_for(lambda m: m.get("id") == "alive")
            found.joined = True
            await attacker.leave(client)
        found.packets = sniffer.counts if sniffer is not None else Counter(found.trimmed["sent"])
        found.where = sniffer.where if sniffer is not None else Counter()
    return found


async def _quiet(served: Served, settle_s: float) -> None:
    """Wait until the server has taken down every call."""
    async with asyncio.timeout(40):
        while (await served.left())["calls"]:
            await asyncio.sleep(0.2)
    await asyncio.sleep(settle_s)


def report(found: Outcome) -> dict[str, bool]:
    """Print what came of it; return which figures were reached."""
    idle = p99_ms(found.idle)
    print(f"requests  {len(found.times)}: {dict(sorted(found.statuses.items()))}; {spread(found.times)}")
    print(f"nothing   {spread(found.idle)} for a request that asks for nothing, meanwhile, on this machine")
    print(f"messages  of up to {max(SIZES)} bytes: {dict(found.cut)}")
    print(f"beyond    {dict(found.busy)}; {spread(found.beyond)}")
    print(f"packets   {dict(found.packets)}, counted {found.counted}; denied: {dict(found.where) or 'none'}")
    for name, left in (("before", found.before), ("after", found.after), ("trimmed", found.trimmed)):
        print(f"{name:9s} " + ", ".join(f"{what} {count}" for what, count in left.items() if what != "sent"))
    return {
        "no answer of 500 or above": not any(status >= 500 for status in found.statuses),
        f"answers, p99 at most {P99_MS:g} ms above that of nothing": p99_ms(found.times) <= P99_MS + idle,
        "nothing left behind": not found.leaked,
        f"memory +{RSS_MB:g} MB at most": found.trimmed["rss_mb"] - found.before["rss_mb"] <= RSS_MB,
        "no packet to a denied address": not found.packets["denied"],
        "packets to others were seen": found.packets["taken"] > 0,
        "beyond the last line always 503 with Retry-After": set(found.busy) == {503},
        f"and that, p99, at most {CAPACITY_MS:g} ms above nothing": p99_ms(found.beyond) <= CAPACITY_MS + idle,
        "then a good caller joined": found.joined,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--offers", type=int, default=1000, help="requests to signalling")
    parser.add_argument("--messages", type=int, default=100, help="messages over data channels")
    parser.add_argument("--here", action="store_true", help="in the network of this machine, never one of its own")
    options = parser.parse_args()
    why = "asked for with --here" if options.here else alone()
    counted = f"at the sockets of the server ({why})" if why else "by the kernel, in a network namespace"
    return verdict(report(asyncio.run(measure(options.offers, options.messages, street=not why, counted=counted))))


if __name__ == "__main__":
    sys.exit(main())
