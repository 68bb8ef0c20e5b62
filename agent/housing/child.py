"""Starting a child process and ending it, and what it does first itself.

A child is a fresh interpreter, not a fork: it inherits no socket, no file, no lock and no thread, only two pipes and
standard error. It dies with its parent, because it reads to the end of a pipe that only its parent holds, and on Linux
also because the kernel kills it. It ignores SIGINT and SIGTERM, which a terminal or a service manager sends to all
processes of a group: the parent ends it, after the calls that still need it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import IO, Final

from agent.housing.parcels import MAX_BODY, Pipe

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_GRACE_S: Final = 2.0


class Child:
    """A running child.

    Args:
        module: the module that it runs, by its dotted name.
        arguments: passed to it.
        tied: whether the kernel kills it when the *thread* that started it ends; Linux only.
        most: longest body that is taken from it, bytes.

    Attributes:
        pipe: to and from it.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), *, tied: bool = False, most: int = MAX_BODY) -> None:
        places = os.pathsep.join(p or os.getcwd() for p in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, places, str(os.getpid() if tied else 0), module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.pipe = Pipe(self._output.fileno(), self._input.fileno(), most=most)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def resident_mb(self) -> float:
        """Return its resident memory in megabytes; 0 where the system does not tell."""
        try:
            with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        except (OSError, IndexError, ValueError):
            return 0.0

    def kill(self) -> None:
        """End it now; does not wait."""
        self._process.kill()

    def close(self, *, kill: bool = False, drained: Callable[[], object] = lambda: None) -> int:
        """End it, in good order or at once, wait for that, and close the pipes. Return its exit status.

        The status is negative, a signal's number, where it was killed.

        Args:
            kill: at once.
            drained: waits until no other thread receives any more; they are told by the end of the pipe.
        """
        if kill or not self.pipe.shut(_GRACE_S):
            self._process.kill()
            self.pipe.shut()  # whoever was sending has failed by now
        self._input.close()
        try:
            status = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        drained()
        self._output.close()
        return status


_START: Final = """
import os, sys
places, parent, module, *arguments = sys.argv[1:]
sys.path[:] = places.split(os.pathsep)
sys.argv = [module, *arguments]
from agent.housing.child import settle
settle(int(parent))
import importlib
importlib.import_module(module).main(arguments)
"""


def settle(parent: int = 0) -> None:
    """Do what every child does first.

    Args:
        parent: process whose end is to be its own; 0 for none.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # whatever it starts gains no rights
        if parent:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(0)  # the parent ended before it could be tied to it
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def own_pipe(*, most: int = MAX_BODY) -> Pipe:
    """Take standard input and output for parcels; what a library prints from now on goes to standard error."""
    reading, writing = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return Pipe(reading, writing, most=most)


def bound_memory(more_mb: int) -> None:
    """Let this process take ``more_mb`` megabytes beyond what it has; beyond them it gets no memory. Linux only."""
    if sys.platform == "linux":
        import resource

        with open("/proc/self/status", encoding="ascii") as file:
            held = next((int(line.split()[1]) for line in file if line.startswith("VmData:")), 0)
        limit = (held << 10) + more_mb * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
