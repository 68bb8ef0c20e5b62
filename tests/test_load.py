"""Where the machine is too busy nobody new comes in, at once, and the calls that run do not feel it."""

from __future__ import annotations

import asyncio
import time

import pytest

from agent.doors import Admission
from tests.rtc import Client
from tests.test_server import house, run

pytestmark = pytest.mark.slow

WAYS = 60


def test_a_busy_machine_takes_no_new_call_and_keeps_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Admission] = []
    real = Admission.__init__

    def remember(self: Admission, *args: object, **more: object) -> None:
        real(self, *args, **more)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(Admission, "__init__", remember)

    async def main() -> None:
        async with house(max_calls=4) as h:
            client = await h.call()
            await h.runtime.until(lambda: len(h.runtime.audio) > 10 and len(h.runtime.video) > 2)
            other = Client()
            h.clients.append(other)
            offer = await other.offer()
            load = made[0].load
            heard = len(h.runtime.audio)
            times: list[float] = []
            for _ in range(WAYS):
                for _ in range(20):
                    load.observe(0.5)  # what a loop that is half a second late would measure
                began = time.monotonic()
                refused = await h.http.post("/api/offer", json=offer)
                times.append(time.monotonic() - began)
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) > 0
                assert "too busy" in refused.json()["detail"]
            assert (await h.http.get("/readyz")).status_code == 503
            assert await h.metric('rapport_refused_total{reason="load"}') == WAYS
            await asyncio.sleep(0.2)
            assert len(h.runtime.audio) - heard >= 8, "sound goes on"
            assert len(h.runtime.transports) == 1
            client.ask("ping", None, "alive")
            await client.wait_for(lambda m: m.get("id") == "alive")
            assert not h.runtime.ended.is_set()
            assert sorted(times)[WAYS // 2] < 0.05
            for _ in range(20):
                load.observe(0.0)
            await h.call(client=other)

    run(main)


def test_a_call_that_goes_on_is_not_asked_how_busy_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with house(max_calls=4) as h:
            client = await h.call()
            monkeypatch.setattr("agent.doors.Load.heavy", property(lambda self: True))
            again = await h.call(pc_id=client.pc_id, restart_pc=True)
            again.ask("ping", None, "here")
            await again.wait_for(lambda m: m.get("id") == "here")
            assert len(h.runtime.transports) == 1

    run(main)
