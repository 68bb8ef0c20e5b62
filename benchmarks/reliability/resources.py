"""What this process holds, for finding out what it does not give back."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import dataclass

import psutil
from aiortc import RTCPeerConnection


@dataclass(frozen=True)
class Resources:
    """What this process holds; the threads of asyncio's own pool, which is bounded and fills up slowly, left out."""

    tasks: int
    threads: int
    files: int
    connections: int
    rss_mb: float

    @classmethod
    def now(cls) -> Resources:
        """Count, after a collection of garbage."""
        gc.collect()
        process = psutil.Process()
        return cls(
            tasks=len(asyncio.all_tasks()),
            threads=sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate()),
            files=process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
            connections=sum(type(x) is RTCPeerConnection and x.connectionState != "closed" for x in gc.get_objects()),
            rss_mb=process.memory_info().rss / 1e6,
        )

    def grown(self, since: Resources) -> dict[str, int]:
        """Return how many more there are than before of all but memory."""
        names = ("tasks", "threads", "files", "connections")
        return {name: getattr(self, name) - getattr(since, name) for name in names}
