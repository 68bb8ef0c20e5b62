"""Several items at once: child processes that replay them, and what happens when one of them dies.

A child that crashes, is killed for its memory, or hangs costs the item that it was at: that item gets a record
with the reason, and a fresh child goes on with the next one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.bench.child import Job
from agent.bench.records import Record, RunError, from_json
from perception.timebase import SECOND, Nanos
from policy.tasks import Item

CHILD: Final = ("-m", "agent.bench.child")
_LINE_BYTES: Final = 256 << 20
_START_S: Final = 180
_LAST_WORDS: Final = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """One replay to be done."""

    item: Item
    repeat: int


async def run(
    wanted: Sequence[Wanted],
    job: Job,
    *,
    jobs: int,
    patience: Nanos,
    took: Callable[[Record], None],
    command: Sequence[str] = (sys.executable, *CHILD),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Replay everything that is ``wanted``.

    Args:
        wanted: in the order of beginning.
        job: what the children are for.
        jobs: how many at once.
        patience: longest real time for one item.
        took: is given every record as soon as it is there.
        command: starts a child.
        environment: of the children; by default this process's.

    Raises:
        RunError: a child cannot start, which no item is to blame for.
    """
    left = deque(wanted)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(jobs, len(left))):
            group.create_task(_work(left, job, patience, took, command, environment))


async def _work(
    left: deque[Wanted],
    job: Job,
    patience: Nanos,
    took: Callable[[Record], None],
    command: Sequence[str],
    environment: Mapping[str, str] | None,
) -> None:
    child: _Child | None = None
    try:
        while left:
            wanted = left.popleft()
            if child is None:
                child = await _Child.start(job, command, environment)
            line = await child.ask(wanted, patience)
            if line is not None:
                took(from_json(json.loads(line)))
                continue
            why = await child.end()
            child = None
            took(failed(wanted, f"the process that replayed it {why}"))
    finally:
        if child is not None:
            await child.end()


def failed(wanted: Wanted, error: str) -> Record:
    """Return the record of an item that has no other."""
    item = wanted.item
    return Record(id=item.id, task_type=item.task_type, media=item.media, repeat=wanted.repeat, error=error)


class _Child:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process, errors: asyncio.Task[None], said: deque[str]) -> None:
        self._process = process
        self._errors = errors
        self._said = said
        self._late = False

    @classmethod
    async def start(cls, job: Job, command: Sequence[str], environment: Mapping[str, str] | None) -> _Child:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            env=None if environment is None else dict(environment),
            start_new_session=True,  # Ctrl-C is for the run, which then ends its children
        )
        said: deque[str] = deque(maxlen=_LAST_WORDS)
        errors = asyncio.ensure_future(_listen(process, said))
        child = cls(process, errors, said)
        try:
            child._send(json.dumps(dataclasses.asdict(job)))
            ready = await child._line(_START_S)
        except BaseException:
            await child.end()
            raise
        if ready is None:
            why = await child.end()
            raise RunError(f"the process that replays items {why} before it was ready:\n" + "\n".join(said))
        return child

    async def ask(self, wanted: Wanted, patience: Nanos) -> bytes | None:
        """Return the line of the answer, or ``None`` if the process died or took too long."""
        try:
            self._send(json.dumps({"id": wanted.item.id, "repeat": wanted.repeat}))
        except ConnectionError:
            return None
        return await self._line(patience / SECOND)

    async def end(self) -> str:
        """End the process, and say how it ended."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        code = process.returncode
        if code is None:
            try:
                async with asyncio.timeout(0.0 if self._late else 5.0):
                    code = await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        await asyncio.wait([self._errors], timeout=5)
        self._errors.cancel()
        if self._late:
            return "did not come to an end in time and was stopped"
        if code is not None and code < 0:
            return f"died of {_signal(-code)}"
        return f"ended with code {code}"

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def _line(self, within_s: float) -> bytes | None:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(within_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            self._late = True
            return None
        return line if line.endswith(b"\n") else None


async def _listen(process: asyncio.subprocess.Process, said: deque[str]) -> None:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        said.append(line.decode(errors="replace").rstrip())


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
