"""What the face of one call's person expresses, as percepts. Loaded only where that may be inferred."""

from __future__ import annotations

from typing import Final

import numpy as np

from perception.emotion import CLASSES, ExpressionFilter, ExpressionNetworks, at_rest
from perception.facemesh import Face, Movements
from perception.litert import Floats
from perception.media import VideoFrame
from perception.percept import EXPRESSION, Datum, Percept
from perception.slots import Slots
from perception.timebase import Nanos

WORKER: Final = "face"


class Expressing:
    """Reads a face that is followed. Not thread-safe.

    Args:
        fer: weights of the small network.
        facex: weights of the large network.
        rate_hz: expressions per second.
        smoothing: time constant of the expression.
        least_probability: below it an expression is ``uncertain``.
        least_talking: likewise, while the mouth talks.
    """

    def __init__(
        self,
        *,
        fer: bytes,
        facex: bytes,
        rate_hz: float,
        smoothing: Nanos,
        least_probability: float,
        least_talking: float,
    ) -> None:
        self._networks = ExpressionNetworks(fer, facex)
        self._filter = ExpressionFilter(smoothing)
        self._slots = Slots(rate_hz)
        self._least = least_probability
        self._least_talking = least_talking
        self._votes: list[Floats] = []
        self._told_at: Nanos | None = None

    def step(self, frame: VideoFrame, face: Face, moves: Movements, *, plain: bool, talking: bool) -> list[Percept]:
        """Look at the next picture; return what is newly known.

        Args:
            frame: the picture.
            face: the person's face in it.
            moves: what the face does.
            plain: whether it is seen well enough to tell.
            talking: whether the mouth talks.
        """
        at = frame.at
        self._votes.append(self._networks.fer(frame.pixels, face))
        if not self._slots.due(at):
            return []
        votes: Floats = np.mean(self._votes, axis=0, dtype=np.float32)
        self._votes.clear()
        if plain:
            votes = (votes + self._networks.facex(frame.pixels, face)) / np.float32(2)
        least = self._least_talking if talking else self._least
        told = self._filter.step(at, votes, least=least, resting=at_rest(moves), reliable=plain)
        period = self._slots.period
        start = max(0, at - period) if self._told_at is None else max(self._told_at, at - period)
        self._told_at = at
        data: dict[str, Datum] = dict(zip(CLASSES, told.smoothed, strict=True))
        data["valence"] = told.valence
        data.update((f"raw_{name}", p) for name, p in zip(CLASSES, told.probabilities, strict=True))
        return [Percept(EXPRESSION, told.label, min(start, at), at, told.confidence, WORKER, data)]

    def interrupt(self) -> None:
        """The face was out of sight for a moment."""
        self._votes.clear()
        self._filter.interrupt()

    def lose(self) -> None:
        """Forget the person."""
        self._filter.lose()
