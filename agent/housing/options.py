"""What can be configured of the processes that perception runs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from perception.timebase import SECOND, Nanos

ISOLATE: Final = ("process", "thread")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptionOptions:
    """Where the senses run, and how their processes are watched.

    Attributes:
        isolate: ``process``: heavy senses in processes of their own; ``thread``: all in threads of this one.
        here: senses that stay in this process all the same: light ones, and voice activity, on which turns hang.
        seeing: senses of the process ``seeing``.
        hearing: senses of the process ``hearing``. Senses that are named nowhere share the process ``others``.
        memory_mb: resident memory in megabytes from which a process is replaced.
        load: longest time that it may take to load its models.
        silent: time without a sign of life after which it is replaced.
        stuck: time after which a worker that was given up (``call.senses.hang``) and still works costs its process.
        failures: that many within ``window`` and it is given up for ``retry``.
        window: see ``failures``.
        retry: see ``failures``.

    Raises:
        ValueError: a value is out of its range, or a sense is named twice.
    """

    isolate: str = "process"
    here: tuple[str, ...] = ("vad", "scene")
    seeing: tuple[str, ...] = ("face", "gesture")
    hearing: tuple[str, ...] = ("asr", "turn", "prosody")
    memory_mb: int = 2500
    load: Nanos = 60 * SECOND
    silent: Nanos = 3 * SECOND
    stuck: Nanos = 10 * SECOND
    failures: int = 3
    window: Nanos = 60 * SECOND
    retry: Nanos = 60 * SECOND

    def __post_init__(self) -> None:
        if self.isolate not in ISOLATE:
            raise ValueError(f"perception.isolate is {self.isolate!r}, expected one of {', '.join(ISOLATE)}")
        named = (*self.here, *self.seeing, *self.hearing)
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"perception: {', '.join(twice)} is named twice in here, seeing and hearing; keep one")
        for key in ("memory_mb", "load", "silent", "stuck", "failures", "window", "retry"):
            if getattr(self, key) <= 0:
                raise ValueError(f"perception.{key} must be above 0")

    def house_of(self, name: str) -> str | None:
        """Return the process of a sense, or ``None`` where it stays in this one."""
        if self.isolate == "thread" or name in self.here:
            return None
        for house in ("seeing", "hearing"):
            if name in getattr(self, house):
                return house
        return "others"
