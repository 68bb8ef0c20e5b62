"""One supervised process, seen from the runtime: it is loaded, watched, and started again.

A thread of its own starts the process, has it load its models, watches it, and starts it again. What ends a life of
the process is found

* when it dies, at once: its pipe ends;
* when it hangs (stopped, or inside native code that lets nothing else run), after ``silent``: it gives no sign of life;
* when a worker was given up by whoever waited for it (:meth:`agent.housing.lodger.Lodger.abandon`) and still works
  after ``stuck``: nothing else ends a thread in native code, but a machine that is merely busy must not lose a sense
  of all calls;
* when it takes too much memory, within a quarter of a second; what is quicker than that, the kernel refuses.

Whoever waits for the process is told at once, and asks again. Time is counted in looks of this thread, not read from
a clock: a machine that slept does not take its children for dead.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from agent.clock import SystemClock
from agent.housing import WorkerAway
from agent.housing.breaker import BARRED, GIVEN_UP, Breaker
from agent.housing.life import CLOSED, Life
from agent.housing.options import PerceptionOptions
from perception.media import AudioChunk, Text, VideoFrame
from perception.timebase import MS, SECOND, Nanos, as_seconds
from perception.workers import Resolve

log = structlog.get_logger(__name__)

_LOOK: Final[Nanos] = 250 * MS
_KINDS: Final = {kind.__name__: kind for kind in (AudioChunk, VideoFrame, Text)}

UP: Final = "up"
STARTING: Final = "starting"


class LoadFailed(Exception):
    """A process could not load its workers; the message is that of whatever went wrong there."""


@dataclass(frozen=True, slots=True)
class Room:
    """A worker to live in a house: its module by its dotted name, and the options of its ``load``, as JSON has them."""

    module: str
    options: Mapping[str, Any]


class House:
    """A supervised process with several workers in it. Starts at once, in the background.

    Args:
        name: for logs.
        rooms: its workers.
        resolve: finds embedded models, for it.
        options: how it is watched.
    """

    def __init__(self, name: str, rooms: Sequence[Room], resolve: Resolve, options: PerceptionOptions) -> None:
        self.name = name
        self._rooms = rooms
        self._resolve = resolve
        self._options = options
        self._clock = SystemClock()
        self._breaker = Breaker(options)
        self._tenants: set[int] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._settled = threading.Event()
        self._error: Exception | None = None
        self._life: Life | None = None
        self._state = STARTING
        self._why = STARTING
        self._given: list[tuple[str, tuple[Any, ...]]] = []
        self.lost = 0
        """Times that the process was lost."""
        self._keeper = threading.Thread(target=self._keep, name=f"house-{name}", daemon=True)
        self._keeper.start()

    @property
    def state(self) -> str:
        """``up``, ``starting``, ``given_up`` or ``closed``."""
        life = self._life
        ended = self._state == UP and (life is None or life.over.is_set())
        return STARTING if ended else self._state

    @property
    def pid(self) -> int | None:
        """Process id while it is up."""
        life = self._life
        return None if life is None or life.over.is_set() else life.child.pid

    @property
    def resident_mb(self) -> float:
        """Resident memory in megabytes; 0 while it is not up."""
        life = self._life
        return 0.0 if life is None else life.child.resident_mb()

    def wait(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Wait until the models are loaded for the first time; return name and accepted media per worker, in order.

        Raises:
            LoadFailed: they cannot be loaded.
            Exception: what ``resolve`` raised.
        """
        self._settled.wait()
        if not self._given:
            self._keeper.join()
            raise self._error or LoadFailed(f"process {self.name!r} of the senses was closed before it had loaded")
        return list(self._given)

    def close(self) -> None:
        """End the process and its watch; may be called twice."""
        self._closing.set()
        if (life := self._life) is not None:
            life.end(CLOSED)
        self._keeper.join()

    def enter(self, tenant: int) -> None:
        """A sense of a call will be served."""
        with self._lock:
            self._tenants.add(tenant)

    def leave(self, tenant: int) -> None:
        """It will not be any more."""
        with self._lock:
            self._tenants.discard(tenant)
            self._breaker.forget(tenant)

    def life(self, tenant: int) -> Life:
        """Return the running process.

        Raises:
            WorkerAway: it does not run, or not for this one.
        """
        life = self._life
        if life is None:
            raise WorkerAway(self.name, self._state if self._state != STARTING else self._why)
        with self._lock:
            if self._breaker.bars(tenant, self._clock.now()):
                raise WorkerAway(self.name, BARRED)
        return life

    def _keep(self) -> None:
        while not self._closing.is_set():
            began = self._clock.now()
            self._state = STARTING
            try:
                life = Life(self.name)
            except OSError as error:
                log.error("house_cannot_start", house=self.name, error=str(error))
                if not self._settled.is_set():
                    self._error = LoadFailed(f"process {self.name!r} of the senses cannot be started: {error}")
                    break
                self._closing.wait(as_seconds(self._options.silent))
                continue
            if self._load(life, began + self._options.load):
                self._life, self._state = life, UP
                self._settled.set()
                log.info("house_up", house=self.name, pid=life.child.pid, took_s=as_seconds(self._clock.now() - began))
                self._watch(life)
            self._life, self._state, self._why = None, STARTING, life.why
            status = life.bury()
            if life.why == CLOSED or (self._error is not None and not self._settled.is_set()):
                break
            self._reckon(life, status)
        self._state = CLOSED
        self._settled.set()

    def _load(self, life: Life, deadline: Nanos) -> bool:
        """Have the process load; return whether it did."""
        try:
            rooms = [[room.module, dict(room.options)] for room in self._rooms]
            life.child.pipe.send({"do": "load", "workers": rooms, "memory_mb": self._options.memory_mb})
            while not self._closing.is_set() and self._clock.now() < deadline:
                try:
                    letter = life.letters.get(timeout=_LOOK / SECOND)
                except queue.Empty:
                    continue
                match letter["did"]:
                    case "resolve":
                        life.child.pipe.send(self._find(str(letter["name"])))
                    case "loaded":
                        self._given = [
                            (str(name), tuple(_KINDS[kind] for kind in kinds)) for name, kinds in letter["workers"]
                        ]
                        self._error = None
                        return True
                    case "failed":
                        self._error = self._error or LoadFailed(f"process {self.name!r}: {letter['what']}")
                        log.error("house_cannot_load", house=self.name, error=str(self._error), trace=letter["trace"])
                        break
                    case _:
                        break  # it is over
            else:
                if not self._closing.is_set():
                    log.error("house_slow", house=self.name, limit_s=as_seconds(self._options.load))
        except (OSError, KeyError, TypeError, ValueError) as error:
            log.error("house_cannot_load", house=self.name, error=str(error))
        if self._error is None and not self._settled.is_set():
            self._error = LoadFailed(f"process {self.name!r} of the senses ended, or took too long, while it loaded")
        life.end(CLOSED if self._closing.is_set() else "died")
        return False

    def _find(self, name: str) -> dict[str, Any]:
        try:
            return {"do": "resolved", "path": str(self._resolve(name))}
        except Exception as error:
            self._error = error  # is raised where the runtime waits for the house
            return {"do": "unresolved"}

    def _watch(self, life: Life) -> None:
        while not life.over.wait(_LOOK / SECOND):
            life.silent += 1
            if self._closing.is_set():
                life.end(CLOSED)
            elif life.silent * _LOOK > self._options.silent or life.overdue() * _LOOK > self._options.stuck:
                life.end("hung")
            elif life.child.resident_mb() > self._options.memory_mb:
                life.end("memory")

    def _reckon(self, life: Life, status: int) -> None:
        """Judge a loss; wait, where it is given up."""
        self.lost += 1
        with self._lock:
            verdict = self._breaker.failed(self._clock.now(), life.suspects, frozenset(self._tenants))
        told = {"house": self.name, "why": life.why, "status": status, "lost": self.lost}
        if verdict == GIVEN_UP:
            retry_s = as_seconds(self._options.retry)
            self._state = GIVEN_UP
            log.error("house_given_up", **told, retry_s=retry_s, fix="its senses are missing in all calls until then")
            self._closing.wait(retry_s)
        elif verdict == BARRED:
            log.error("house_lost", **told, barred="the calls whose media were in hand each time")
        else:
            log.error("house_lost", **told)
