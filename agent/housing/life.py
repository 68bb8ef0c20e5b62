"""One life of a supervised process: what is asked of it, who waits for it, and why it ended."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Sequence
from typing import Any, Final

import structlog

from agent.housing import WorkerAway
from agent.housing.child import Child
from agent.housing.parcels import BadParcel, wrap
from perception.media import Media

log = structlog.get_logger(__name__)

CLOSED: Final = "closed"
_NUMBERS: Final = itertools.count(1)


class Life:
    """The process from its start to its end.

    Args:
        house: its name.

    Attributes:
        why: it ended, in one word; see :class:`agent.housing.WorkerAway`.
        over: is set when it ends.
        silent: looks since its last sign of life; whoever looks counts.
        loading: whether it has neither loaded nor failed to.
        letters: what the process says while it loads.
        suspects: tenants whose work was in hand when it ended.
    """

    def __init__(self, house: str) -> None:
        self.house = house
        self.why = ""
        self.over = threading.Event()
        self.silent = 0
        self.loading = True
        self.letters: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._jobs: dict[int, _Job] = {}
        self._lock = threading.Lock()
        self.suspects: frozenset[int] = frozenset()
        self.child = Child("agent.housing.inside", [house], tied=True, most=0)
        self._reader = threading.Thread(target=self._read, name=f"house-{house}-reader", daemon=True)
        self._reader.start()

    def ask(self, tenant: int, seat: int, worker: int, media: Sequence[Media]) -> dict[str, Any]:
        """Send ``media`` to a worker in its seat, and return the answer.

        Raises:
            WorkerAway: the process is gone, or goes away over it.
        """
        number, job = next(_NUMBERS), _Job(tenant, seat)
        listed, arrays = wrap(media)
        with self._lock:
            if self.over.is_set():
                raise WorkerAway(self.house, self.why)
            self._jobs[number] = job
        try:
            header = {"do": "feed", "seat": seat, "worker": worker, "job": number, "media": listed}
            self.child.pipe.send(header, arrays)
        except OSError:
            self.end("died")
        job.answered.wait()
        if job.answer is None:
            raise WorkerAway(self.house, self.why)
        return job.answer

    def abandon(self, seat: int) -> None:
        """Nobody waits for this seat any more, but it may still work."""
        with self._lock:
            for job in self._jobs.values():
                job.abandoned |= job.seat == seat

    def overdue(self) -> int:
        """Count one look; return the looks since the oldest abandoned work that still goes on was given up."""
        with self._lock:
            for job in self._jobs.values():
                job.looks += job.abandoned
            return max((job.looks for job in self._jobs.values()), default=0)

    def end(self, why: str) -> None:
        """End the process, and tell all who wait; does not block. The first reason is kept."""
        with self._lock:
            if self.over.is_set():
                return
            self.why = why
            self.suspects = frozenset(job.tenant for job in self._jobs.values())
            self.over.set()
            waiting = list(self._jobs.values())
            self._jobs.clear()
        self.letters.put({"did": "over"})
        if why != CLOSED:
            self.child.kill()
        for job in waiting:
            job.answered.set()

    def bury(self) -> int:
        """Wait for its end, which has begun, and give everything back; return its exit status."""
        return self.child.close(kill=self.why != CLOSED, drained=self._reader.join)

    def _read(self) -> None:
        try:
            while True:
                header, _ = self.child.pipe.receive()
                self.silent = 0
                match header.get("did"):
                    case "done" | "raised":
                        with self._lock:
                            job = self._jobs.pop(header["job"], None)
                        if job is not None:
                            job.answer = header
                            job.answered.set()
                    case "alive":
                        pass
                    case "resolve" | "loaded" | "failed" if self.loading:
                        self.letters.put(header)
                        self.loading = header["did"] == "resolve"
                    case did:
                        raise BadParcel(f"{str(did)[:32]!r} is nothing it may say now")
        except (EOFError, OSError):
            self.end("died")
        except (BadParcel, KeyError, TypeError) as error:
            log.error("house_babbles", house=self.house, error=str(error))
            self.end("died")


class _Job:
    def __init__(self, tenant: int, seat: int) -> None:
        self.tenant = tenant
        self.seat = seat
        self.abandoned = False
        self.looks = 0
        self.answered = threading.Event()
        self.answer: dict[str, Any] | None = None
