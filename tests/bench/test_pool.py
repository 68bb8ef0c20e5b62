"""Children that answer, crash and hang: real processes that only pretend to replay."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from agent.bench import pool
from agent.bench.child import Job
from agent.bench.pool import Wanted
from agent.bench.records import Record, RunError
from perception.timebase import SECOND
from policy.tasks import Ask, Item

JOB = Job(task="humansense", options={}, data="", config="", policy="", condition={})
CHILD = """
import json, os, signal, sys, time
sys.stdin.readline()
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    wanted = json.loads(line)
    name = wanted["id"]
    if name.startswith("crash"):
        print("a decoder fell over", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("leave"):
        print('{"id": "leave", "ta', end="", flush=True)
        os._exit(3)
    if name.startswith("hang"):
        time.sleep(600)
    print(json.dumps({"id": name, "repeat": wanted["repeat"], "task_type": "T", "media": "m"}), flush=True)
"""
COMMAND = (sys.executable, "-c", CHILD)


def items(*names: str) -> list[Wanted]:
    ask = Ask(id="q", question="?", pattern="single", answer="A", options=("A. a", "B. b"))
    return [Wanted(Item(id=name, task_type="T", media="m", asks=(ask,)), 0) for name in names]


def run(
    wanted: Sequence[Wanted], *, jobs: int = 1, command: Sequence[str] = COMMAND, patience: int = 20
) -> list[Record]:
    found: list[Record] = []
    asyncio.run(pool.run(wanted, JOB, jobs=jobs, patience=patience * SECOND, took=found.append, command=command))
    return found


@pytest.mark.slow
def test_every_item_is_answered_in_order() -> None:
    assert [r.id for r in run(items("a", "b", "c"))] == ["a", "b", "c"]


@pytest.mark.slow
def test_several_at_once_do_each_item_once() -> None:
    names = [str(n) for n in range(40)]
    assert sorted(r.id for r in run(items(*names), jobs=3)) == sorted(names)


@pytest.mark.slow
def test_a_child_that_dies_costs_one_item() -> None:
    found = {r.id: r.error for r in run(items("a", "crash", "b", "leave", "c"))}
    assert found == {
        "a": "",
        "crash": "the process that replayed it died of SIGSEGV",
        "b": "",
        "leave": "the process that replayed it ended with code 3",
        "c": "",
    }


@pytest.mark.slow
def test_a_child_that_hangs_is_stopped() -> None:
    found = {r.id: r.error for r in run(items("hang", "a"), patience=1)}
    assert found == {"hang": "the process that replayed it did not come to an end in time and was stopped", "a": ""}


@pytest.mark.slow
def test_a_child_that_cannot_start_stops_the_run() -> None:
    broken = (sys.executable, "-c", "import sys; print('no models', file=sys.stderr); sys.exit(3)")
    with pytest.raises(ExceptionGroup) as raised:
        run(items("a"), command=broken)
    (error,) = raised.value.exceptions
    assert isinstance(error, RunError)
    assert "ended with code 3 before it was ready" in str(error)
    assert "no models" in str(error)
