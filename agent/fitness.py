"""Whether the senses are fit for one more call: none that is needed is given up, and they keep up with the calls there
are.

The event loop may be punctual while words are lost, for the senses work in other threads and processes; see
:class:`agent.doors.Load` for the loop.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from agent.refusal import Refused
from agent.sense_map import SenseMap
from agent.server_options import ServerConfig
from perception.timebase import as_seconds

OK: Final = "ok"
GIVEN_UP: Final = "given_up"
LATE: Final = "late"

_LATE_S: Final = 5
_GIVEN_UP_S: Final = 30


class Runtime(Protocol):
    """What has the senses."""

    @property
    def senses(self) -> SenseMap:
        """The senses that callers can allow."""
        ...

    def given_up(self) -> frozenset[str]:
        """Return the names of the senses whose process is given up for the time being."""
        ...

    def late_s(self) -> float:
        """Return how late the senses are, see :class:`agent.pace.Pace`."""
        ...


class Fitness:
    """Of one server.

    Args:
        runtime: has the senses.
        server: which senses are needed, and how late they may be.
    """

    def __init__(self, runtime: Runtime, server: ServerConfig) -> None:
        self._runtime = runtime
        self._needs = server.needs
        self._most_s = as_seconds(server.most_sense_lag)

    @property
    def state(self) -> str:
        """``ok``, ``given_up`` or ``late``."""
        if self._missing():
            return GIVEN_UP
        return LATE if self._runtime.late_s() > self._most_s else OK

    def check(self) -> None:
        """See that the senses are fit for one more call.

        Raises:
            Refused: they are not (503).
        """
        match self.state:
            case "given_up":
                what = "hear" if self._missing() & self._runtime.senses.ears else "see"
                told = f"the agent cannot {what} just now, and takes no calls until it can"
                raise Refused(503, told, _GIVEN_UP_S, kind="sense_given_up")
            case "late":
                raise Refused(503, "the machine is too busy to listen to one more call", _LATE_S, kind="senses_late")

    def describe(self) -> dict[str, Any]:
        """Return the same for an operator, with names and numbers."""
        away = {"given_up": sorted(found)} if (found := self._runtime.given_up()) else {}
        return {"senses_late_s": round(self._runtime.late_s(), 3), **away}

    def _missing(self) -> frozenset[str]:
        if self._needs == "none":
            return frozenset()
        found = self._runtime.given_up()
        return found if self._needs == "all" else found & self._runtime.senses.ears
