"""Which pictures to analyse: the first in each slot of time, whatever the camera's own rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perception.media import Media, VideoFrame
from perception.timebase import SECOND, Nanos


class Slots:
    """Cuts time into slots and says which instants are the first of theirs.

    Args:
        rate_hz: slots per second; above zero.
        phase: share of a slot by which all of them are moved, 0..1, so that different work falls on
            different pictures.

    Raises:
        ValueError: the rate is not above zero.
    """

    def __init__(self, rate_hz: float, phase: float = 0.0) -> None:
        if not rate_hz > 0.0:
            raise ValueError(f"a rate must be above 0 Hz, got {rate_hz}")
        self.period: Nanos = max(1, round(SECOND / rate_hz))
        self._shift = round(self.period * phase)
        self._slot: int | None = None

    def due(self, at: Nanos) -> bool:
        """Return whether ``at`` lies in a later slot than all instants for which this was true before."""
        slot = (at + self._shift) // self.period
        if self._slot is not None and slot <= self._slot:
            return False
        self._slot = slot
        return True

    def pictures(self, media: Sequence[Media]) -> Iterator[VideoFrame]:
        """Yield the pictures of the person's camera that are due; a shared screen and empty pictures never are."""
        for item in media:
            if isinstance(item, VideoFrame) and item.source == "camera" and item.pixels.size and self.due(item.at):
                yield item
