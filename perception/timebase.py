"""The one unit of time.

Every instant and duration inside Rapport is :data:`Nanos`: integer nanoseconds, and every instant
counts from the start of the call it belongs to. Intervals are half-open, ``[start, end)``. Times are
computed from a sample index or from media ticks, never accumulated.
"""

from __future__ import annotations

Nanos = int

MS: Nanos = 1_000_000
SECOND: Nanos = 1_000_000_000


def from_ticks(ticks: int, rate_hz: int) -> Nanos:
    """Return the instant of tick (or sample) number ``ticks`` at ``rate_hz``, rounded to the nearest ns."""
    return (ticks * SECOND + rate_hz // 2) // rate_hz


def to_ticks(instant: Nanos, rate_hz: int) -> int:
    """Return the tick (or sample) at or last before ``instant``; inverse of :func:`from_ticks` on its image."""
    return (instant * rate_hz + rate_hz // 2) // SECOND


def seconds(value: float) -> Nanos:
    """Convert seconds, as people write them, to :data:`Nanos`."""
    return round(value * SECOND)


def as_seconds(value: Nanos) -> float:
    """Convert :data:`Nanos` to seconds, for people and for JSON."""
    return value / SECOND
