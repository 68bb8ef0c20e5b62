"""What a test leaves behind: tasks, threads, file descriptors, child processes, peer connections.

:func:`watched` is a context; ``tests/conftest.py`` puts it around every test of the modules that open such things. The
standard library cancels left-over tasks when an event loop ends, and so hides them; here they are caught before that.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from asyncio import runners
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from aiortc import RTCPeerConnection

PATIENCE_S = 3.0
"""What is on its way out may take so long; a test that leaves nothing does not wait."""

POOL = "asyncio_"
"""Threads of asyncio's own pool, which stay until the loop is gone."""


@dataclass(frozen=True)
class Held:
    """What this process holds. Numbers of file descriptors, and their targets for the message."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    files: dict[int, str]

    @classmethod
    def now(cls) -> Held:
        return cls(
            threads=frozenset(t for t in threading.enumerate() if not t.name.startswith(POOL)),
            children=frozenset(c.pid for c in psutil.Process().children(recursive=True)),
            files=_files(),
        )

    def more(self, before: Held) -> list[str]:
        """Name what there is more than ``before``."""
        found = [f"thread {t.name}" for t in self.threads - before.threads]
        found += [f"process {_name(pid)}" for pid in self.children - before.children]
        grown = [f"file {name}" for fd, name in self.files.items() if before.files.get(fd) != name]
        return found + (grown if len(self.files) > len(before.files) else [])


@contextmanager
def watched() -> Iterator[None]:
    """Fail if what runs inside leaves anything behind."""
    before = Held.now()
    tasks: list[str] = []
    with _pending_noted(tasks):
        yield
    left: list[str] = []
    for wait in _waits():
        left = Held.now().more(before) + _connections()
        if not left:
            break
        wait()
    assert not tasks, f"tasks that were still running when their loop ended: {', '.join(tasks)}"
    assert not left, f"left behind: {', '.join(left)}"


@contextmanager
def _pending_noted(tasks: list[str]) -> Iterator[None]:
    """Note the tasks that a loop still has when it ends."""
    cancel_all: Callable[[asyncio.AbstractEventLoop], None] = vars(runners)["_cancel_all_tasks"]

    def noting(loop: asyncio.AbstractEventLoop) -> None:
        tasks.extend(f"{task.get_name()} ({task.get_coro()})" for task in asyncio.all_tasks(loop))
        cancel_all(loop)

    vars(runners)["_cancel_all_tasks"] = noting
    try:
        yield
    finally:
        vars(runners)["_cancel_all_tasks"] = cancel_all


def _waits() -> Iterator[Callable[[], Any]]:
    deadline = time.monotonic() + PATIENCE_S
    yield gc.collect
    while time.monotonic() < deadline:
        yield lambda: time.sleep(0.05)
    yield gc.collect


def _connections() -> list[str]:
    return [
        f"peer connection, {x.connectionState}"
        for x in gc.get_objects()
        if type(x) is RTCPeerConnection and x.connectionState != "closed"
    ]


def _files() -> dict[int, str]:
    found: dict[int, str] = {}
    if not os.path.isdir("/proc/self/fd"):
        return found
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            pass  # that of the listing itself
    return found


def _name(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{pid} ({process.status()}: {' '.join(process.cmdline()[-2:])[:80]})"
    except psutil.Error:
        return str(pid)
