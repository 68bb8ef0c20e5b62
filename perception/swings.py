"""Back and forth: the swings in a short series of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perception.timebase import Nanos


@dataclass(frozen=True, slots=True)
class Swing:
    """A movement in one direction.

    Attributes:
        start: instant at which it set off.
        end: instant at which it turned, or the last one seen.
        size: how far it went; negative is downwards.
    """

    start: Nanos
    end: Nanos
    size: float


def swings(series: Sequence[tuple[Nanos, float]], least: float) -> list[Swing]:
    """Split a series into swings of at least ``least``, alternating in direction; smaller ones are noise.

    Args:
        series: instants, increasing, and what was measured at them.
        least: size of the smallest swing, in the unit of the measurements; above zero.
    """
    found: list[Swing] = []
    if not series:
        return found
    origin = far = low = high = series[0]
    up = 0
    for point in series:
        if up == 0:
            # Until it first moves, the set-off is the last extreme on the other side.
            low = point if point[1] <= low[1] else low
            high = point if point[1] >= high[1] else high
            if high[1] - low[1] >= least:
                up = 1 if point is high else -1
                origin, far = (low, high) if up > 0 else (high, low)
        elif (point[1] - far[1]) * up >= 0.0:
            far = point
        elif (far[1] - point[1]) * up >= least:
            found.append(Swing(origin[0], far[0], far[1] - origin[1]))
            origin, far, up = far, point, -up
    if up:
        found.append(Swing(origin[0], far[0], far[1] - origin[1]))
    return found
