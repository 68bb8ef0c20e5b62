"""Processes of workers in calls: given up, barred, and what a call is told of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import psutil
import pytest

from agent import build
from agent.clock import SystemClock
from agent.config import Config, ConfigError, Use, for_replay
from agent.housing import WorkerAway
from agent.housing.breaker import AGAIN, BARRED, GIVEN_UP, Breaker
from agent.housing.estate import Estate
from agent.housing.options import PerceptionOptions
from agent.senses import Senses, SensesOptions
from perception.media import VideoFrame
from perception.percept import SENSE_BACK, SENSE_LOST, Percept
from perception.timebase import MS, SECOND
from tests.agent.test_housing import came_back, nowhere, pytestmark, settle, sound, until
from tests.stand_in import Factory

__all__ = ["pytestmark"]


def test_three_failures_and_it_is_given_up_and_tried_again() -> None:
    brief = PerceptionOptions(failures=3, window=20 * SECOND, retry=SECOND // 2)
    house, (ear,) = settle({}, options=brief)
    try:
        for _ in range(2):
            with pytest.raises(WorkerAway):
                ear().feed([sound("die")])
            came_back(house, ear)
        with pytest.raises(WorkerAway):
            ear().feed([sound("die")])
        until(lambda: house.state == "given_up")
        with pytest.raises(WorkerAway, match="given_up"):
            ear()
        assert came_back(house, ear) > 0.3
        with pytest.raises(WorkerAway):
            ear().feed([sound("die")])
        until(lambda: house.state == "given_up", 5)
    finally:
        house.close()


def test_whose_media_do_it_every_time_is_barred_and_the_others_go_on() -> None:
    house, (ear,) = settle({})
    try:
        bad, good = ear.for_call(), ear.for_call()
        for _ in range(3):
            with pytest.raises(WorkerAway):
                bad().feed([sound("die")])
            came_back(house, good)
        with pytest.raises(WorkerAway, match="barred"):
            bad()
        assert good().feed([sound()])
    finally:
        house.close()


def test_the_breaker_blames_only_who_was_always_there() -> None:
    options = PerceptionOptions(failures=3, window=60 * SECOND, retry=30 * SECOND)
    every = {1, 2, 3}
    breaker = Breaker(options)
    assert [breaker.failed(k * SECOND, s, every) for k, s in enumerate([{1, 2}, {1, 3}])] == [AGAIN, AGAIN]
    assert breaker.failed(3 * SECOND, {1}, every) == BARRED
    assert breaker.bars(1, 20 * SECOND)
    assert not breaker.bars(2, 20 * SECOND)
    assert not breaker.bars(1, 33 * SECOND)
    assert breaker.failed(40 * SECOND, {2}, every) == AGAIN, "they were counted"
    slow = Breaker(options)
    assert [slow.failed(k * 40 * SECOND, {1}, every) for k in range(6)] == [AGAIN] * 6, "one a while is no series"
    alone = Breaker(options)
    assert [alone.failed(0, {1}, {1}) for _ in range(3)] == [AGAIN, AGAIN, GIVEN_UP], "nobody is left to serve"
    assert alone.failed(31 * SECOND, set(), {1}) == GIVEN_UP, "tried again, and failed again"


def test_an_estate_keeps_the_order_and_tells_who_is_away() -> None:
    parts = [
        Use("tests.stand_in", {"name": "ear"}),
        Use("light", {}),
        Use("second", {"name": "eye", "sees": True}),
    ]
    options = PerceptionOptions(here=("light",), seeing=("second",), hearing=(), silent=SECOND)
    with Estate(
        parts, options, nowhere, module=lambda _: "tests.stand_in", load=lambda _: Factory("light", sees=False)
    ) as estate:
        assert set(estate.houses) == {"seeing", "others"}
        assert [f.name for f in estate.factories()] == ["ear", "light", "eye"]
        assert estate.away() == {}
        pid = estate.houses["others"].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: estate.away() == {"ear": "starting"}, 2)
        until(lambda: estate.away() == {})


def test_a_call_loses_one_sense_and_gets_it_back() -> None:
    """The whole chain, for two calls: the percept that says so, and the other sense goes on."""
    ears, (ear,) = settle({})
    eyes, (eye,) = settle({"name": "eye", "sees": True})
    found: list[list[tuple[float, Percept]]] = [[], []]
    killed: list[float] = []

    async def main() -> None:
        clock = SystemClock()

        def emit(k: int) -> Callable[[Percept], Any]:
            async def take(percept: Percept) -> None:
                found[k].append((clock.now() / SECOND, percept))

            return take

        calls = [Senses([ear, eye], clock, emit(k), SensesOptions(backoff=100 * MS)) for k in range(2)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(senses.run()) for senses in calls]
            k = 0
            while not all(any(p.kind == SENSE_BACK for _, p in each) for each in found) and k < 500:
                for senses in calls:
                    senses.feed(sound(start=k * 20 * MS), None)
                    senses.feed(VideoFrame(np.zeros((4, 4, 3), np.uint8), k * 20 * MS), None)
                if k == 25 and ears.pid is not None:
                    killed.append(clock.now() / SECOND)
                    os.kill(ears.pid, signal.SIGKILL)
                k += 1
                await asyncio.sleep(0.02)
            for task in tasks:
                task.cancel()

    try:
        asyncio.run(main())
    finally:
        ears.close()
        eyes.close()
    for each in found:
        (lost,) = [(at, p) for at, p in each if p.kind == SENSE_LOST]
        (back,) = [(at, p) for at, p in each if p.kind == SENSE_BACK]
        assert (lost[1].label, lost[1].data["why"]) == ("ear", "died")
        assert lost[0] - killed[0] < 1.0
        assert back[0] - killed[0] < 10.0
        seen = [at for at, p in each if p.worker == "eye"]
        assert max(b - a for a, b in pairwise(seen)) < 0.5, "the other sense noticed"


def test_a_worker_that_takes_too_long_is_replaced_and_at_last_its_process() -> None:
    """A thread in native code can be ended in no other way; but the sense is back long before."""
    house, (ear,) = settle({}, options=PerceptionOptions(silent=SECOND, stuck=SECOND))
    found: list[tuple[str, object]] = []
    pid = house.pid

    async def main() -> None:
        clock = SystemClock()

        async def emit(percept: Percept) -> None:
            found.append((percept.kind, percept.data.get("pid", percept.data.get("why"))))

        senses = Senses([ear], clock, emit, SensesOptions(hang=300 * MS, backoff=100 * MS))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(senses.run())
            senses.feed(sound("block"), None)
            while len([kind for kind, _ in found if kind == SENSE_BACK]) < 2:
                await asyncio.sleep(0.02)
                if found:
                    senses.feed(sound(), None)
            await asyncio.sleep(0.05)
            task.cancel()

    try:
        asyncio.run(asyncio.wait_for(main(), 15))
    finally:
        house.close()
    assert found[:3] == [(SENSE_LOST, None), (SENSE_BACK, None), ("heard", pid)], "it goes on in the same process"
    kinds = [kind for kind, _ in found if kind != "heard"]
    assert kinds == [SENSE_LOST, SENSE_BACK] * 2
    assert (SENSE_LOST, "hung") in found
    assert found[-1][0] == "heard"
    assert found[-1][1] != pid


def test_a_sense_that_is_taken_back_is_forgotten_there_too() -> None:
    house, (ear,) = settle({})
    assert house.pid is not None
    process = psutil.Process(house.pid)
    idle, heard = process.num_threads(), asyncio.Event()

    async def main() -> None:
        async def emit(_: Percept) -> None:
            heard.set()

        senses = Senses([ear], SystemClock(), emit)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(senses.run())
            senses.feed(sound(), None)
            await heard.wait()
            assert process.num_threads() == idle + 1
            senses.forget(["ear"])
            async with asyncio.timeout(1):
                while process.num_threads() > idle:
                    await asyncio.sleep(0.01)
            task.cancel()

    try:
        asyncio.run(main())
    finally:
        house.close()


def test_a_runtime_owns_its_processes() -> None:
    config = Config(workers=(Use("tests.stand_in"),), policy=Use("scripted"), voice=Use("plain"))
    with build.runtime(config, nowhere) as runtime:
        (ear,) = runtime.parts.workers
        assert ear.name == "ear"
        assert ear().feed([sound()])[0].data["pid"] != os.getpid()
        assert "away" not in runtime.describe()


def test_what_is_wrong_with_a_worker_is_told_like_any_other_setting() -> None:
    config = Config(workers=(Use("tests.stand_in", {"broken": "raise"}),), policy=Use("scripted"), voice=Use("plain"))
    with pytest.raises(ConfigError, match=r"process 'others': ValueError: a broken ear"):
        build.runtime(config, nowhere)


@pytest.mark.parametrize("part", ["policy", "worker"])
def test_a_runtime_that_cannot_load_leaves_no_process(part: str) -> None:
    workers = [Use("tests.stand_in")]
    if part == "worker":
        workers.append(Use("perception.workers.vad"))
    policy = Use("scripted", {"script": "no/such/file"} if part == "policy" else {})
    with pytest.raises(Exception, match=r"no model|no/such/file"):
        build.runtime(Config(workers=tuple(workers), policy=policy, voice=Use("plain")), nowhere)


def test_a_replay_keeps_its_senses_in_this_process() -> None:
    """Its costs are fixed and its journal is the same every time."""
    assert for_replay(Config()).perception.isolate == "thread"
    assert Config().perception.isolate == "process"
