"""The process that replays items for a run, one after another: ``python -m agent.bench.child``.

It reads JSON lines on stdin: first a :class:`Job`, then one ``{"id": ..., "repeat": ...}`` after another, and writes
one line per item on stdout: its record. What a media file does to a decoder happens here, under a limit on memory,
and costs at most this process. It ends when stdin does, even in the middle of an item: then nobody wants it any more.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from agent import build, logs, models
from agent.bench.canary import Ground
from agent.bench.condition import Condition
from agent.bench.records import Record, to_json
from agent.bench.replaying import replay
from agent.config import Config, Use, for_bench, load
from perception.timebase import seconds
from policy.tasks import Item

ROOM_BYTES: Final = 3 << 30
"""Memory that an item may need beyond the loaded models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a child is for.

    Attributes:
        task: name of the benchmark's module.
        options: of its ``load``.
        data: folder of the data set.
        config: configuration file, ``""`` for the built-in one.
        policy: name of a policy that takes the place of the configured one, ``""`` for none.
        condition: as JSON values.
    """

    task: str
    options: Mapping[str, Any]
    data: str
    config: str
    policy: str
    condition: Mapping[str, Any]

    def loaded(self) -> Config:
        """Return the configuration of the run."""
        found = for_bench(load(Path(self.config) if self.config else None))
        return dataclasses.replace(found, policy=Use(self.policy)) if self.policy else found


def main() -> None:
    """Serve until stdin ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not end up between the records
    logs.configure()
    lines = _lines()
    job = Job(**json.loads(lines.get()))
    loaded = job.loaded()
    task = build.task(Use(job.task, job.options))
    items = {item.id: item for item in task.items(Path(job.data))}
    costs = {k: seconds(v) for k, v in loaded.replay.costs.items()}
    ground = Ground(models.resolve)
    with build.runtime(loaded) as runtime:
        _limit_memory()
        _write(out, {"ready": True})
        while True:
            wanted = json.loads(lines.get())
            item: Item = items[wanted["id"]]
            try:
                record = replay(
                    item,
                    Path(job.data),
                    task=task,
                    parts=runtime.parts,
                    condition=Condition.from_json(job.condition),
                    costs=costs,
                    repeat=wanted["repeat"],
                    ground=ground,
                )
            except MemoryError:
                record = _failed(item, wanted["repeat"], f"it needs more than {ROOM_BYTES >> 30} GiB of memory")
            except Exception as error:
                record = _failed(item, wanted["repeat"], f"{type(error).__name__}: {error}")
            _write(out, to_json(record))


def _failed(item: Item, repeat: int, error: str) -> Record:
    return Record(id=item.id, task_type=item.task_type, media=item.media, repeat=repeat, error=error)


def _write(out: IO[str], value: Mapping[str, Any]) -> None:
    out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    out.flush()


def _lines() -> queue.SimpleQueue[str]:
    """Return the lines of stdin as they come; its end is the end of the process."""
    found: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            found.put(line)
        os._exit(0)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return found


def _limit_memory() -> None:
    """Let the process grow by :data:`ROOM_BYTES`, where the system has such a limit."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):
        return
    limit = pages * resource.getpagesize() + ROOM_BYTES
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if most < 0 else min(limit, most), most))


if __name__ == "__main__":
    main()
