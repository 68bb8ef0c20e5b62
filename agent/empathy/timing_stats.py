"""Figures with their intervals: shares after Wilson, medians and quantiles from a bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from agent.bench.stats import wilson
from agent.empathy import Figure

_Z: Final = 1.959964
_DRAWS: Final = 1000


def share(
    name: str, hits: Sequence[bool], target: str = "", most: float | None = None, least: float | None = None
) -> Figure:
    """Return a share of 0..1 with its Wilson interval; ``most`` or ``least`` is the target as a number."""
    n, k = len(hits), sum(hits)
    if not n:
        return Figure(name, math.nan, 0, target, None, unit="%")
    p = k / n
    low, high = wilson(p, n, z=_Z)
    return Figure(name, p, n, target, _met(p, most, least), low, high, "%")


def quantile(
    name: str, values: Sequence[float], q: float, target: str = "", most: float | None = None, unit: str = "ms"
) -> Figure:
    """Return a quantile, with a bootstrap interval. ``values`` are seconds; ``unit`` says how they are shown."""
    if not values:
        return Figure(name, math.nan, 0, target, None, unit=unit)
    scaled = np.asarray(values) * (1000.0 if unit == "ms" else 1.0)
    found = float(np.quantile(scaled, q))
    rng = np.random.default_rng(0)
    drawn = np.quantile(rng.choice(scaled, (_DRAWS, len(scaled))), q, axis=1)
    low, high = (float(x) for x in np.quantile(drawn, (0.025, 0.975)))
    return Figure(name, found, len(values), target, _met(found, most, None), low, high, unit)


def number(name: str, value: float, n: int, target: str = "", most: float | None = None, unit: str = "") -> Figure:
    """Return a plain number."""
    return Figure(name, value if n else math.nan, n, target, _met(value, most, None) if n else None, unit=unit)


def _met(value: float, most: float | None, least: float | None) -> bool | None:
    if most is None and least is None:
        return None
    return (most is None or value <= most + 1e-9) and (least is None or value >= least - 1e-9)
