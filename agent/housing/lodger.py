"""The stand-ins of workers that live in a house: a factory for the runtime, and one worker per call."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

from agent.housing import WorkerAway
from agent.housing.house import House
from agent.housing.life import Life
from agent.housing.parcels import BadParcel, told
from perception.media import Media
from perception.percept import Percept

_NUMBERS: Final = itertools.count(1)


class WorkerRaised(Exception):
    """A worker raised in its process; the message has the traceback."""


class LodgerFactory:
    """A worker that lives in a house, for all calls. See :class:`perception.workers.WorkerFactory`.

    Args:
        house: where it lives.
        place: its number there.
        name: of the sense.
        accepts: media that it wants.
    """

    def __init__(self, house: House, place: int, name: str, accepts: tuple[Any, ...]) -> None:
        self.house = house
        self._place = place
        self._name = name
        self._accepts = accepts
        self._tenant = next(_NUMBERS)

    @property
    def name(self) -> str:
        """The sense."""
        return self._name

    @property
    def accepts(self) -> tuple[Any, ...]:
        """Media that it wants."""
        return self._accepts

    def for_call(self) -> LodgerFactory:
        """Return the same for one call, which alone is then to blame for what it does; see :meth:`leave`."""
        made = LodgerFactory(self.house, self._place, self._name, self._accepts)
        self.house.enter(made._tenant)
        return made

    def leave(self) -> None:
        """The call is over."""
        self.house.leave(self._tenant)

    def __call__(self) -> Lodger:
        """Return a fresh worker.

        Raises:
            WorkerAway: its process does not run.
        """
        return Lodger(self.house.life(self._tenant), self._tenant, self._place)


class Lodger:
    """One call's worker in the process; ends with it."""

    def __init__(self, life: Life, tenant: int, place: int) -> None:
        self._life = life
        self._tenant = tenant
        self._place = place
        self._seat = next(_NUMBERS)

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Have it take in a batch; return what is newly known.

        Raises:
            WorkerAway: the process is gone, or went away over it.
            WorkerRaised: it raised.
        """
        answer = self._life.ask(self._tenant, self._seat, self._place, media)
        if answer["did"] == "raised":
            raise WorkerRaised(f"{answer.get('what')}\n{answer.get('trace')}")
        try:
            return [told(fields) for fields in answer["percepts"]]
        except (BadParcel, KeyError, TypeError) as error:
            self._life.end("died")
            raise WorkerAway(self._life.house, "died") from error

    def close(self) -> None:
        """Have the process forget this worker; may wait while the process hangs."""
        if not self._life.over.is_set():
            try:
                self._life.child.pipe.send({"do": "leave", "seat": self._seat})
            except OSError:
                pass  # it has forgotten everything

    def abandon(self) -> None:
        """It takes too long, and is not waited for; if it never ends, its process does. Does not wait."""
        self._life.abandon(self._seat)
