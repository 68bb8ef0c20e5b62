"""The fixture that looks for leaks finds each kind of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from aiortc import RTCPeerConnection

from tests import leaks


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "PATIENCE_S", 0.02)


def test_a_tidy_test_passes() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))

    with leaks.watched():
        asyncio.run(main())
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()


def test_a_task_is_found() -> None:
    kept: list[asyncio.Task[None]] = []

    async def forgotten() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        kept.append(asyncio.create_task(forgotten(), name="forgotten one"))

    with pytest.raises(AssertionError, match=r"tasks that were still running.*forgotten one"), leaks.watched():
        asyncio.run(main())


def leave_a_thread() -> Callable[[], object]:
    gate = threading.Event()
    thread = threading.Thread(target=gate.wait, name="left thread")
    thread.start()

    def tidy() -> None:
        gate.set()
        thread.join()

    return tidy


def leave_a_file() -> Callable[[], object]:
    fd = os.open(os.devnull, os.O_RDONLY)
    return lambda: os.close(fd)


def leave_a_process() -> Callable[[], object]:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    return lambda: child.communicate(b"\n")


def leave_a_zombie() -> Callable[[], object]:
    child = subprocess.Popen([sys.executable, "-c", ""])
    return child.wait


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leave", "says"),
    [
        (leave_a_thread, "left behind: thread left thread"),
        (leave_a_file, "left behind: file /dev/null"),
        (leave_a_process, "left behind: process"),
        (leave_a_zombie, "left behind: process"),
    ],
)
def test_what_is_left_is_found(leave: Callable[[], Callable[[], object]], says: str) -> None:
    tidy: list[Callable[[], object]] = []
    try:
        with pytest.raises(AssertionError, match=says), leaks.watched():
            tidy.append(leave())
    finally:
        for each in tidy:
            each()


def test_a_peer_connection_is_found() -> None:
    async def main() -> RTCPeerConnection:
        return RTCPeerConnection()

    kept: list[RTCPeerConnection] = []
    with pytest.raises(AssertionError, match="left behind: peer connection, new"), leaks.watched():
        kept.append(asyncio.run(main()))
    asyncio.run(kept[0].close())
