"""A server that is to stop: nobody new comes in, whoever is there may finish, and nothing is left of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import psutil
import pytest

from agent.clock import VirtualClock
from agent.drain import NOTICE, Drain
from agent.transports import Signal
from perception.timebase import MS, SECOND, Nanos
from tests.rtc import Client
from tests.test_server import free_port, house, run, start, until_up


class House:
    """Callers who leave by themselves at given instants, or when they are hung up."""

    def __init__(self, clock: VirtualClock, *leave: Nanos) -> None:
        self.draining = False
        self.told: list[tuple[Nanos, Signal]] = []
        self.why = ""
        self._clock = clock
        self._leave = leave

    @property
    def calls(self) -> int:
        return 0 if self.why else sum(at > self._clock.now() for at in self._leave)

    def tell_all(self, signal: Signal) -> None:
        self.told.append((self._clock.now(), signal))

    def hang_up_all(self, why: str) -> None:
        self.why = why


def drained(*leave: Nanos, begin: Nanos = SECOND, hurry: Nanos | None = None) -> tuple[House, Nanos]:
    """Run a drain of thirty seconds; return the house, and when it was done."""
    clock = VirtualClock({})
    rooms = House(clock, *leave)
    drain = Drain(rooms, 30 * SECOND, clock)
    done: list[Nanos] = []
    drain.done = lambda: done.append(clock.now())

    async def order() -> None:
        await clock.sleep_until(begin)
        assert not rooms.draining
        drain.begin()
        assert rooms.draining
        if hurry is not None:
            await clock.sleep_until(hurry)
            drain.hurry()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(order())
            group.create_task(drain.run())

    clock.run(main())
    (at,) = done
    return rooms, at


def test_nobody_there_is_done_at_once() -> None:
    rooms, at = drained()
    assert at <= 1200 * MS
    assert not rooms.told


def test_who_is_there_may_finish() -> None:
    rooms, at = drained(8 * SECOND, 15 * SECOND)
    assert 15 * SECOND <= at <= 15200 * MS
    assert not rooms.told, "they were gone before there was anything to tell"


def test_who_stays_is_told_in_time_and_then_hung_up() -> None:
    rooms, at = drained(8 * SECOND, 500 * SECOND)
    ((told, what),) = rooms.told
    assert what.kind == "closing"
    assert abs(told + what.left - 31 * SECOND) < 200 * MS
    assert what.left <= NOTICE
    assert rooms.why
    assert 31 * SECOND <= at <= 31200 * MS


def test_in_a_hurry_nobody_is_waited_for() -> None:
    rooms, at = drained(500 * SECOND, hurry=5 * SECOND)
    assert 5 * SECOND <= at <= 5200 * MS
    assert not rooms.told


@pytest.mark.slow
def test_over_http_nobody_new_comes_in_and_the_call_goes_on() -> None:
    async def main() -> None:
        async with house(max_calls=3, drain=20 * SECOND) as h:
            client = await h.call()
            began = await h.http.post("/drain")
            assert (began.status_code, began.json()) == (202, {"draining": True, "calls": 1, "seconds": 20})
            assert (await h.http.post("/drain")).status_code == 202
            other = Client()
            h.clients.append(other)
            refused = await h.http.post("/api/offer", json=await other.offer())
            assert refused.status_code == 503
            assert 20 <= int(refused.headers["retry-after"]) <= 40
            assert "about to stop" in refused.json()["detail"]
            ready = await h.http.get("/readyz")
            assert (ready.status_code, ready.json()["draining"]) == (503, True)
            assert (await h.http.get("/status")).json()["draining"]
            assert (await h.http.get("/livez")).status_code == 200
            assert await h.metric("rapport_draining ") == 1
            assert await h.metric('rapport_refused_total{reason="draining"}') == 1
            client.ask("ping", None, "alive")
            await client.wait_for(lambda m: m.get("id") == "alive")
            again = await h.call(pc_id=client.pc_id, restart_pc=True)  # who goes on with a call is let in
            again.ask("ping", None, "here")
            await again.wait_for(lambda m: m.get("id") == "here")
            strange = await h.http.post("/drain", headers={"Origin": "http://evil.example"})
            assert strange.status_code == 403

    run(main)


@pytest.mark.slow
def test_the_person_is_told_before_the_end_and_nothing_is_left(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, port, drain=4)

    async def main() -> list[psutil.Process]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            await until_up(http, process)
            client = Client()
            try:
                answer = await http.post("/api/offer", json=await client.offer())
                assert answer.status_code == 200, answer.text
                await client.accept(answer.json())
                client.say("client-ready", {"version": "2.1.0"})
                await client.wait_type("bot-ready")
                children = list(psutil.Process(process.pid).children(recursive=True))
                assert (await http.post("/drain")).json()["calls"] == 1
                spoken = await client.wait_type("bot-output", 10)
                assert "end our call" in spoken["data"]["text"]
                note = await client.wait_for(lambda m: (m.get("data") or {}).get("event") == "closing")
                assert note["data"]["seconds"] <= 4
                await client.wait_for(lambda m: m.get("message", {}).get("type") == "peerLeft", 10)
                return children
            finally:
                await client.close()

    try:
        children = asyncio.run(main())
        assert process.wait(15) == 0
        assert not [child for child in children if child.is_running()]
        assert process.stderr is not None
        log = process.stderr.read()
        assert "the grace is over" in log
        assert "Traceback" not in log, log
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
