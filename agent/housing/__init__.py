"""Perception in processes of its own, which are watched and replaced.

Heavy senses run native code on what a stranger sends. Here they live in *houses*: child processes that load the
weights once and serve all calls. A house that is killed, hangs, or takes too much memory is ended and started again;
its senses are lost meanwhile and come back by themselves, and neither the call nor the other house notices.

===============  =================================================================
``options.py``   what can be configured
``parcels.py``   what goes through the pipes, both ways
``child.py``     starting a process and ending it; what it does first itself
``life.py``      one life of a supervised process, and who waits for it
``house.py``     the process through all its lives: loaded, watched, started again
``lodger.py``    what stands in for its workers
``breaker.py``   when to stop replacing it, and whom to blame
``estate.py``    all houses of a runtime; which sense lives where
``inside.py``    the process itself
===============  =================================================================
"""

from __future__ import annotations


class WorkerAway(Exception):
    """The process of a worker is not there, or went away over this batch.

    Args:
        house: its name.
        why: in one word: ``died``, ``hung``, ``memory``, ``starting``, ``given_up``, ``barred`` or ``closed``.
    """

    def __init__(self, house: str, why: str) -> None:
        super().__init__(f"the process {house!r} of this sense is away: {why}")
        self.house = house
        self.why = why
