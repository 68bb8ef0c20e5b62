"""All processes of a runtime: which sense lives in which, and closing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from agent.housing.house import UP, House, Room
from agent.housing.lodger import LodgerFactory
from agent.housing.options import PerceptionOptions
from perception.workers import Resolve, WorkerFactory


class Part(Protocol):
    """A worker as the configuration names it."""

    @property
    def use(self) -> str:
        """Its name."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """Of its ``load``."""
        ...


class Estate:
    """Loads workers, each where it belongs. A context manager: ends the processes.

    The processes begin to load at once; :meth:`factories` waits for them.

    Args:
        parts: the workers, in order.
        options: where they live.
        resolve: finds embedded models.
        module: from a worker's name to that of its module.
        load: loads a worker in this process.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        options: PerceptionOptions,
        resolve: Resolve,
        module: Callable[[str], str],
        load: Callable[[Any], WorkerFactory],
    ) -> None:
        self._parts = parts
        self._load = load
        self._homes = {part.use: options.house_of(part.use) for part in parts}
        rooms: dict[str, list[Room]] = {}
        for part in parts:
            if (home := self._homes[part.use]) is not None:
                rooms.setdefault(home, []).append(Room(module(part.use), part.options))
        self.houses = {name: House(name, each, resolve, options) for name, each in rooms.items()}
        self._senses: dict[str, str] = {}

    def factories(self) -> list[WorkerFactory]:
        """Return a factory per worker, in order; waits until all are loaded. Call once.

        Raises:
            agent.housing.house.LoadFailed: a process cannot load.
            Exception: what loading a worker, or finding its model, raised.
        """
        here = {part.use: self._load(part) for part in self._parts if self._homes[part.use] is None}
        waiting = {
            name: iter([LodgerFactory(house, place, *given) for place, given in enumerate(house.wait())])
            for name, house in self.houses.items()
        }
        made: list[WorkerFactory] = []
        for part in self._parts:
            home = self._homes[part.use]
            factory = here[part.use] if home is None else next(waiting[home])
            if home is not None:
                self._senses[factory.name] = home
            made.append(factory)
        return made

    def away(self) -> dict[str, str]:
        """Return the senses whose process does not run, each with its state: ``starting`` or ``given_up``."""
        states = {name: house.state for name, house in self.houses.items()}
        return {sense: states[home] for sense, home in self._senses.items() if states[home] != UP}

    def close(self) -> None:
        """End all processes; may be called twice."""
        for house in self.houses.values():
            house.close()

    def __enter__(self) -> Estate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
