"""Workers in processes of their own: killed, stopped, out of memory, and back again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from agent.housing import WorkerAway
from agent.housing.house import House, LoadFailed, Room
from agent.housing.lodger import Lodger, LodgerFactory, WorkerRaised
from agent.housing.options import PerceptionOptions
from perception.media import AudioChunk, VideoFrame
from perception.percept import Datum, Percept
from perception.timebase import MS, SECOND, Nanos
from tests.stand_in import ORDERS

QUICK = PerceptionOptions(silent=1500 * MS, memory_mb=300, retry=30 * SECOND)

pytestmark = [
    pytest.mark.slow,  # processes are started
    pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc as Linux has them"),
]


def nowhere(name: str) -> Path:
    raise LookupError(f"no model {name}")


def settle(*rooms: Mapping[str, Any], options: PerceptionOptions = QUICK) -> tuple[House, list[LodgerFactory]]:
    house = House("ears", [Room("tests.stand_in", room) for room in rooms], nowhere, options)
    return house, [LodgerFactory(house, place, *given) for place, given in enumerate(house.wait())]


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[House, list[LodgerFactory]]]:
    """A house that several tests use, with an ear and an eye; a failure too many gives it up."""
    patient = PerceptionOptions(silent=1500 * MS, memory_mb=300, failures=20)
    house, factories = settle({}, {"name": "eye", "sees": True}, options=patient)
    yield house, factories
    house.close()


def sound(order: str = "", start: Nanos = 0) -> AudioChunk:
    samples = np.linspace(-0.5, 0.5, 320, dtype=np.float32)
    if order:
        samples[0] = ORDERS[order]
    return AudioChunk(samples, start)


def until(true: Callable[[], object], within_s: float = 10.0) -> float:
    """Wait; return how long."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within_s
        time.sleep(0.01)
    return time.monotonic() - began


def for_ever(worker: Lodger, chunk: AudioChunk) -> None:
    while True:
        worker.feed([chunk])


def came_back(house: House, factory: LodgerFactory) -> float:
    """Wait until the worker answers again; return how long."""
    took = until(lambda: house.state == "up")
    assert factory().feed([sound()])[0].label == "1"
    return took


def test_percepts_are_what_the_worker_said(shared: tuple[House, list[LodgerFactory]]) -> None:
    house, (ear, eye) = shared
    assert (ear.name, ear.accepts, eye.name, eye.accepts) == ("ear", (AudioChunk,), "eye", (VideoFrame,))
    chunks = [sound(start=k * 20 * MS) for k in range(3)]
    worker = ear()
    (found,) = worker.feed(chunks)
    total = sum(float(c.samples.sum(dtype=np.float64)) for c in chunks)
    assert house.pid is not None
    data: dict[str, Datum] = {"batch": 1, "sum": total, "pid": house.pid, "times": (1.5, 2.0), "told": ""}
    assert found == Percept("heard", "3", 40 * MS, 60 * MS, 0.1, "ear", data)
    assert worker.feed(chunks)[0].data["batch"] == 2, "the state stays"
    assert ear().feed(chunks)[0].data["batch"] == 1, "and belongs to one call"
    pixels = np.arange(480 * 640 * 3, dtype=np.int64).astype(np.uint8).reshape(480, 640, 3)
    (seen,) = eye().feed([VideoFrame(np.rot90(pixels), 5)])
    assert (seen.start, seen.data["sum"]) == (5, float(pixels.sum(dtype=np.int64)))


def test_a_worker_that_raises_harms_nobody(shared: tuple[House, list[LodgerFactory]]) -> None:
    house, (ear, _) = shared
    other, pid = ear(), house.pid
    other.feed([sound()])
    with pytest.raises(WorkerRaised, match="RuntimeError: ear ache"):
        ear().feed([sound("raise")])
    assert other.feed([sound()])[0].data["batch"] == 2
    assert house.pid == pid


def test_what_a_library_prints_disturbs_nobody(shared: tuple[House, list[LodgerFactory]]) -> None:
    _, (ear, _) = shared
    worker = ear()
    assert worker.feed([sound("print")])
    assert worker.feed([sound()])


def test_nothing_is_inherited(shared: tuple[House, list[LodgerFactory]]) -> None:
    """Not even what is inheritable: a socket that stays open in a child keeps the port and the caller."""
    with open(os.devnull, "rb") as file:
        os.set_inheritable(file.fileno(), True)
        house, (ear,) = settle({})
        try:
            told = str(ear().feed([sound("fds")])[0].data["told"]).splitlines()
            names = {Path(p).name.split(":")[0] for p in told}
        finally:
            house.close()
    assert names <= {"null", "pipe", Path(os.readlink("/proc/self/fd/2")).name.split(":")[0]}
    assert sum(p.startswith("pipe") for p in told) <= 3


def test_killed_it_is_found_at_once_and_comes_back(shared: tuple[House, list[LodgerFactory]]) -> None:
    house, (ear, eye) = shared
    worker, pid = ear(), house.pid
    worker.feed([sound()])
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(WorkerAway, match="died"):
        for_ever(worker, sound())
    assert time.monotonic() - began < 1.0
    assert came_back(house, ear) < 10.0
    assert not psutil.pid_exists(pid), "a zombie"
    with pytest.raises(WorkerAway):
        worker.feed([sound()])
    assert eye().feed([VideoFrame(np.zeros((2, 2, 3), np.uint8), 0)])


def test_a_crash_is_found_at_once(shared: tuple[House, list[LodgerFactory]]) -> None:
    house, (ear, _) = shared
    with pytest.raises(WorkerAway, match="died"):
        ear().feed([sound("die")])
    assert came_back(house, ear) < 10.0


def test_stopped_it_is_found_and_comes_back(shared: tuple[House, list[LodgerFactory]]) -> None:
    house, (ear, _) = shared
    worker, pid = ear(), house.pid
    worker.feed([sound()])
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(WorkerAway, match="hung"):
        worker.feed([sound()])
    assert 0.5 < time.monotonic() - began < 5.0
    assert came_back(house, ear) < 10.0
    assert not psutil.pid_exists(pid)


def test_stopped_with_a_full_pipe_nobody_waits_for_ever(shared: tuple[House, list[LodgerFactory]]) -> None:
    house, (ear, eye) = shared
    assert house.pid is not None
    os.kill(house.pid, signal.SIGSTOP)
    large = VideoFrame(np.zeros((1080, 1920, 3), np.uint8), 0)
    failed: list[str] = []

    def look() -> None:
        try:
            eye().feed([large])
        except WorkerAway as error:
            failed.append(error.why)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join(5)
    assert failed == ["hung"] * 3
    assert came_back(house, ear) < 10.0


def test_a_leap_of_memory_is_refused_by_the_kernel(shared: tuple[House, list[LodgerFactory]]) -> None:
    house, (ear, _) = shared
    pid = house.pid
    with pytest.raises(WorkerRaised, match="MemoryError"):
        ear().feed([sound("leap")])
    assert house.pid == pid, "nobody else notices"


def test_memory_that_grows_is_found(shared: tuple[House, list[LodgerFactory]]) -> None:
    house, (ear, _) = shared
    with pytest.raises((WorkerAway, WorkerRaised)) as caught:
        for_ever(ear(), sound("grow"))
    assert "memory" in str(caught.value).lower()
    until(lambda: house.resident_mb < 300)
    assert came_back(house, ear) < 10.0


def test_closed_nothing_is_left() -> None:
    before = threading.active_count()
    house, (ear,) = settle({})
    worker, pid = ear(), house.pid
    worker.feed([sound()])
    house.close()
    house.close()
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert threading.active_count() == before
    assert house.state == "closed"
    with pytest.raises(WorkerAway, match="closed"):
        worker.feed([sound()])
    with pytest.raises(WorkerAway, match="closed"):
        ear()


def test_it_obeys_nobody_but_its_parent(shared: tuple[House, list[LodgerFactory]]) -> None:
    """SIGTERM goes to the whole group where a service is stopped; calls that are drained still need their senses."""
    house, (ear, _) = shared
    pid = house.pid
    assert pid is not None
    worker = ear()
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert worker.feed([sound()])
    assert house.pid == pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout as said:
        try:
            line = next(line for line in said if line.startswith("process "))
            child = psutil.Process(int(line.split()[1]))
            os.kill(child.pid, signal.SIGSTOP)  # even if it can do nothing itself
            parent.send_signal(number)
            parent.wait(10)
        finally:
            parent.kill()
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5)


_PARENT = """
import faulthandler, os, threading
faulthandler.dump_traceback_later(60, exit=True)  # where it hangs is told, and the test does not wait for ever
from tests.agent.test_housing import settle
house, _ = settle({})
os.write(1, f"\\nprocess {house.pid}\\n".encode())  # at once, and not into the middle of a line that is logged
threading.Event().wait()
"""


def test_what_cannot_load_refuses_the_start() -> None:
    with pytest.raises(LoadFailed, match="ValueError: a broken ear"):
        settle({"broken": "raise"})
    with pytest.raises(LoadFailed, match="ended, or took too long"):
        settle({"broken": "exit"})
    with pytest.raises(LookupError, match="no model whisper"):
        settle({"model": "whisper"})
