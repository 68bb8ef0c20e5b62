"""One thread of one's own, for blocking work off the event loop.

Unlike the executors of the standard library, a thread that hangs can be left behind: it is a daemon and
does not keep the process alive. Nothing here ever uses the event loop's default executor, which aiortc
needs for its own encoders.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from perception.media import VideoFrame
from perception.timebase import SECOND, Nanos

T = TypeVar("T")

_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

_Job = tuple["asyncio.Future[Any] | None", Callable[..., Any], tuple[Any, ...]]


class Thread:
    """A worker thread that runs one function after another.

    Args:
        name: shown by debuggers and ``top -H``.
        nice: how far it stands back when the cores are short, 0..19 as in ``nice(1)``; Linux only.
    """

    def __init__(self, name: str, nice: int = 0) -> None:
        self._nice = nice
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        _THREADS.add(self._thread)
        self._thread.start()

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run ``function(*args)`` in the thread and return what it returns, or raise what it raises.

        A cancelled wait leaves the function running to its end; later jobs wait for it.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((future, function, args))
        return await future

    def close(self, wait_s: float = 0.0) -> bool:
        """Ask the thread to end after its present job; wait for that up to ``wait_s``; return whether it ended."""
        self._jobs.put(None)
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have ``function(*args)`` run in the thread, after what was asked before; nobody hears what comes of it."""
        self._jobs.put((None, function, args))

    def _work(self) -> None:
        stand_back(self._nice)
        while (job := self._jobs.get()) is not None:
            future, function, args = job
            if future is not None and future.cancelled():
                continue
            result: Any = None
            error: BaseException | None = None
            try:
                result = function(*args)
            except BaseException as exc:
                error = exc
            try:
                if future is not None:
                    future.get_loop().call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more
            del job, future, function, args, result, error


def niceness(accepts: Iterable[type]) -> int:
    """Return how far a worker that accepts these media stands back.

    A picture may wait or be dropped; a word that comes late makes the whole reply late.
    """
    return 5 if VideoFrame in accepts else 0


def stand_back(nice: int) -> None:
    """Let the calling thread stand back by ``nice``, 0..19 as in ``nice(1)``, when the cores are short; Linux only."""
    if nice and sys.platform == "linux":  # where a thread has a niceness of its own
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def finish(wait: Nanos = 5 * SECOND) -> bool:
    """Wait, at the end of the process, for threads that were closed while they worked; return whether all ended.

    An interpreter that shuts down while a daemon thread is inside a native library aborts the process.
    """
    for thread in list(_THREADS):
        thread.join(wait / SECOND)
    return not any(thread.is_alive() for thread in _THREADS)
