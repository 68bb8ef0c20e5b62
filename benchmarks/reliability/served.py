"""The server in a process of its own, so that what is measured of it is not what those who attack it need.

:class:`Served` starts this module as a child; the child answers questions about itself, one line of JSON each, over its
standard input and output. Behind its door is a runtime that lets go of whatever is fed.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import structlog
import uvicorn

import server
from agent.clock import SystemClock
from agent.config import Config
from agent.logs import console
from agent.sense_map import SenseMap
from agent.server_options import ServerConfig
from agent.transports import Hangup, Transport
from agent.transports.webrtc import load
from benchmarks.reliability.packets import Spy
from benchmarks.reliability.resources import Resources


class Listening:
    """A runtime that lets go of what is fed."""

    async def answer(self, transport: Transport, /) -> None:
        try:
            await transport.receive(lambda found: None, SystemClock())
        except Hangup:
            pass
        finally:
            await transport.close()

    def describe(self) -> dict[str, Any]:
        return {"policy": "listening", "voice": "none", "workers": []}

    @property
    def senses(self) -> SenseMap:
        return SenseMap()

    def given_up(self) -> frozenset[str]:
        return frozenset()

    def late_s(self) -> float:
        return 0.0

    def sends_to(self) -> list[str]:
        return []

    def watch(self, told: Callable[[str], None], /) -> None:
        return


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(options: argparse.Namespace) -> None:
    spy = Spy(loopback=not options.street)
    door = load(
        consent="given",
        max_calls=options.max_calls,
        loopback=not options.street,
        private=False,
        connect_s=options.connect_s,
    )
    application = server.app(Listening(), Config(server=ServerConfig(max_calls=options.max_calls)), door)

    def left(word: str) -> dict[str, Any]:
        if word == "trim":
            ctypes.CDLL(None).malloc_trim(0)
        found = Resources.now()
        return {
            "tasks": found.tasks,
            "threads": found.threads,
            "files": found.files,
            "peers": found.connections,
            "calls": door.calls,
            "rss_mb": round(found.rss_mb, 1),
            "sent": dict(spy.counts),
        }

    await talk(application, left)


async def talk(application: Any, answer: Callable[[str], dict[str, Any]]) -> None:
    """Serve, say where, and answer what is asked on standard input until that ends."""
    running = _Server(uvicorn.Config(application, host="127.0.0.1", port=0, log_config=None, ws="websockets-sansio"))
    loop, asked = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(asked.put_nowait, line.strip())
        loop.call_soon_threadsafe(asked.put_nowait, "end")

    threading.Thread(target=read, name="asked", daemon=True).start()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(running.serve())
        while not running.started:
            await asyncio.sleep(0.01)
        # As the server does once everything is loaded.
        gc.collect()
        gc.freeze()
        port = running.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"port": port}), flush=True)
        while (word := await asked.get()) != "end":
            print(json.dumps(answer(word)), flush=True)
        running.should_exit = True
        await task


def quiet() -> None:
    """Let the child tell errors alone, and not on its standard output; refusals are what is measured."""
    made = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(
        processors=[structlog.processors.add_log_level, console()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=made,
    )


class Child:
    """A child that serves. An async context manager.

    Args:
        words: module and arguments.

    Attributes:
        url: where it listens.
    """

    def __init__(self, *words: str) -> None:
        self._words = (sys.executable, "-m", *words)
        self._process: asyncio.subprocess.Process
        self.url = ""

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._words, stdin=pipe, stdout=pipe, limit=1 << 20)
        self.url = f"http://127.0.0.1:{(await self._line())['port']}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    async def ask(self, word: str) -> dict[str, Any]:
        """Return what the child answers to ``word``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()
        return await self._line()

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 120)
        if not line:
            raise RuntimeError("the server ended; its last words are on standard error")
        found: dict[str, Any] = json.loads(line)
        return found


class Served(Child):
    """The child with the runtime that lets go.

    Args:
        street: whether it serves strangers, with an address beside loopback; else it listens to this machine alone.
        max_calls: as in the configuration.
        connect_s: time that a caller has to come.
    """

    def __init__(self, *, street: bool, max_calls: int = 4, connect_s: float = 20.0) -> None:
        words = ["--max-calls", str(max_calls), "--connect-s", str(connect_s), *(["--street"] if street else [])]
        super().__init__("benchmarks.reliability.served", *words)

    async def left(self, *, trim: bool = False) -> dict[str, Any]:
        """Return what there is now in the child of everything that could be left behind.

        Args:
            trim: give back first what the allocator keeps for later.
        """
        return await self.ask("trim" if trim else "left")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--street", action="store_true", help="serve strangers, not this machine alone")
    parser.add_argument("--max-calls", type=int, default=4)
    parser.add_argument("--connect-s", type=float, default=20.0)
    quiet()
    asyncio.run(_serve(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
