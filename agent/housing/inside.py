"""The process in which heavy senses live: loads them, and serves every call with them.

Each sense of each call has a *seat*: its worker, and a thread of its own, as it would have in the parent. What comes
in by the pipe:

====================================  ====================================================================
``load workers memory_mb``            the first parcel; ``workers`` are ``[module, options]``
``resolved path`` / ``unresolved``    the answer to ``resolve``
``feed seat worker job media``        with the arrays of the media; a seat begins with its first
``leave seat``                        forget it, and all that it knows
====================================  ====================================================================

What goes out: ``resolve name``; ``loaded workers`` with ``[name, accepts]`` of each, or ``failed what trace``;
``done job percepts`` or ``raised job what trace``; and ``alive``, twice a second.
"""

from __future__ import annotations

import importlib
import os
import queue
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from agent.housing.child import bound_memory, own_pipe
from agent.housing.parcels import Bytes, Pipe, tell, unwrap
from agent.offload import niceness, stand_back
from perception.workers import Worker, WorkerFactory

BEAT_S: Final = 0.5
_LEAP: Final = 2
_TRACE: Final = 4000

_Job = tuple[dict[str, Any], Bytes]


def main(_: Sequence[str] = ()) -> None:
    """Serve until the parent closes the pipe."""
    pipe = own_pipe()
    first, _body = pipe.receive()
    try:
        factories = [_load(pipe, module, options) for module, options in first["workers"]]
    except Exception as error:
        pipe.send({"did": "failed", **_told(error)})
        return
    threading.Thread(target=_beat, args=(pipe,), name="beat", daemon=True).start()
    # A leap that is too quick for the parent, which looks at resident memory a few times a second, is refused here.
    bound_memory(_LEAP * int(first["memory_mb"]))
    pipe.send({"did": "loaded", "workers": [[f.name, [kind.__name__ for kind in f.accepts]] for f in factories]})
    seats: dict[int, _Seat] = {}
    while True:
        try:
            header, body = pipe.receive()
        except EOFError:
            os._exit(0)  # whatever is still in hand, nobody waits for it
        seat, number = int(header["seat"]), int(header.get("worker", 0))
        if header["do"] == "leave":
            if (gone := seats.pop(seat, None)) is not None:
                gone.jobs.put(None)
            continue
        if seat not in seats:
            seats[seat] = _Seat(pipe, factories[number])
        seats[seat].jobs.put((header, body))


class _Seat:
    """One worker of one call, in its thread."""

    def __init__(self, pipe: Pipe, factory: WorkerFactory) -> None:
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._pipe = pipe
        self._factory = factory
        threading.Thread(target=self._work, name=f"sense-{factory.name}", daemon=True).start()

    def _work(self) -> None:
        stand_back(niceness(self._factory.accepts))
        worker: Worker | None = None
        while (job := self.jobs.get()) is not None:
            header, body = job
            try:
                worker = worker or self._factory()
                percepts = worker.feed(unwrap(header["media"], body))
                reply = {"did": "done", "job": header["job"], "percepts": [tell(p) for p in percepts]}
            except Exception as error:
                reply = {"did": "raised", "job": header["job"], **_told(error)}
            del job, header, body  # pictures are not kept until the next ones come
            self._pipe.send(reply)


def _load(pipe: Pipe, module: str, options: dict[str, Any]) -> WorkerFactory:
    def resolve(name: str) -> Path:
        pipe.send({"did": "resolve", "name": name})
        answer, _ = pipe.receive()
        if answer["do"] != "resolved":
            raise LookupError(f"model {name!r} is not there")
        return Path(answer["path"])

    made: WorkerFactory = importlib.import_module(module).load(resolve=resolve, **options)
    return made


def _beat(pipe: Pipe) -> None:
    never = threading.Event()
    try:
        while not never.wait(BEAT_S):
            pipe.send({"did": "alive"})
    except OSError:
        os._exit(0)  # nobody reads any more


def _told(error: BaseException) -> dict[str, str]:
    trace = "".join(traceback.format_exception(error))
    return {"what": f"{type(error).__name__}: {error}"[:_TRACE], "trace": trace[-_TRACE:]}
