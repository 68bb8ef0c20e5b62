"""A real server process for end-to-end tests."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.clock import SystemClock
from perception.timebase import SECOND

ROOT = Path(__file__).parent.parent.parent
START_S = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(port: int, path: str) -> tuple[int, str]:
    """Return status and body of a GET; status 0 if nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


class Server:
    """``agent serve`` in a process of its own; its log is in ``log``."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> int:
        """Ask it to end, as an operator does, and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(20)


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Server]:
    """Start a server on a free port and wait until it is ready."""
    port = free_port()
    log = folder / "server.log"
    clock = SystemClock()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", "serve", "--port", str(port), *arguments],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        server = Server(process, port, log)
        try:
            while get(port, "/readyz")[0] != 200:
                assert process.poll() is None, log.read_text()
                assert clock.now() < START_S * SECOND, log.read_text()
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
            yield server
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)
