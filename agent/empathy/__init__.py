"""The measure of what the agent does with empathy: when it acts, what it chooses, and how it keeps people safe.

``agent bench --task empathy`` runs three parts, each in a module of its own with one function::

    def run(given: Given) -> Part

Every item is authored for this project and lies in ``policy/data/empathy``; it is replayed through the live loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agent.bench.canary import ARRIVED
from agent.config import Config
from perception.workers import Resolve

PARTS: Final = ("timing", "choice", "safety")
"""Names of the parts, and of their modules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a part is run with.

    Attributes:
        config: as for a live call; its policy is the first row.
        resolve: finds embedded models.
        jobs: items at once, at least 1.
        limit: at most so many items of a kind; ``None`` for all.
        seed: of everything that is drawn.
    """

    config: Config
    resolve: Resolve
    jobs: int = 1
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that was measured.

    Attributes:
        name: what it is, for people.
        value: the number; a share is 0..1. NaN where nothing could be measured.
        n: how many events or items it rests on.
        target: what is to be reached, in words such as ``<= 5 %``; ``""`` where nothing is promised.
        met: whether that was reached, ``None`` without a target or without events.
        low: lower end of its 95 % interval, ``None`` where it has none.
        high: upper end.
        unit: ``%`` for a share (the value stays 0..1), ``ms``, ``s``, or ``""`` for a plain number.
    """

    name: str
    value: float
    n: int
    target: str = ""
    met: bool | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What one mind reached: figures in the same order in every row of a part."""

    label: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One part's result.

    Attributes:
        name: one of :data:`PARTS`.
        title: for people.
        rows: one for each mind.
        misses: weak spots, one line each.
        items: one JSON object for each item and row, for those who want to look closer.
        about: what the figures rest on, such as the checksum of the held-out items.
        alarms: why its figures are worth nothing, one line each: what should have arrived has not.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    misses: tuple[str, ...] = ()
    items: tuple[Mapping[str, Any], ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()


def deaf(what: str, arrived: Sequence[bool]) -> tuple[str, ...]:
    """Return the alarm of a part of which too little arrived, or nothing.

    Args:
        what: has words in it that should have arrived, for people: ``conversations``.
        arrived: of each, whether they did.
    """
    came = sum(arrived)
    if came >= ARRIVED * len(arrived):
        return ()
    return (f"the words of only {came} of {len(arrived)} {what} arrived; is a recogniser (asr) among the workers?",)
