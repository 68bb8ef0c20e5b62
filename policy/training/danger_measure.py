"""What the classifier of danger makes of conversations that it did not learn from, at several thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from policy.safety.detector import KINDS
from policy.training.danger_talks import SAFE, Talk

LIMITS: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_AT_ONCE: Final = 16

Read = Callable[[Sequence[Sequence[str]]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Row:
    """What is found at one threshold, each 0..1, NaN where there is nothing of the kind.

    Attributes:
        limit: probability of danger from which a turn counts.
        safe: of the turns of safe conversations, how many count.
        early: of the turns without danger before the first one with it.
        after: of the turns without danger after one with it.
        found: of the conversations with danger that is only hinted at, in how many a turn with danger counts.
        plain: of the turns that say it plainly, how many count.
    """

    limit: float
    safe: float
    early: float
    after: float
    found: float
    plain: float

    def __str__(self) -> str:
        shares = (self.safe, self.early, self.after, self.found, self.plain)
        return f"{self.limit:.2f} " + " ".join(f"{share:7.2%}" for share in shares)


HEADER: Final = "limit    safe   early   after   found   plain"


def read_all(read: Read, talks: Sequence[Talk]) -> list[NDArray[np.float32]]:
    """Read each turn of each conversation behind those before it.

    Returns:
        One array for each conversation, float32 of shape ``(turns, 8)``.
    """
    windows = [turns for talk in talks for turns, _ in talk.windows()]
    order = sorted(range(len(windows)), key=lambda number: sum(map(len, windows[number])))
    shares = np.zeros((len(windows), 2 * len(KINDS)), np.float32)
    for at in range(0, len(order), _AT_ONCE):
        some = order[at : at + _AT_ONCE]
        shares[some] = read([windows[number] for number in some])
    return np.split(shares, np.cumsum([len(talk.turns) for talk in talks])[:-1])


def rows(talks: Sequence[Talk], shares: Sequence[NDArray[np.float32]]) -> Iterator[Row]:
    """Yield what is found at each of :data:`LIMITS`.

    Args:
        talks: with their levels.
        shares: what was read of each, as :func:`read_all` returns it.
    """
    told = [(talk, share.sum(axis=1)) for talk, share in zip(talks, shares, strict=True)]
    safe = [value for talk, danger in told if talk.kind == SAFE for value in danger]
    early, after, plain = list[float](), list[float](), list[float]()
    highest = list[float]()
    for talk, danger in told:
        if talk.kind == SAFE:
            continue
        first = next(number for number, level in enumerate(talk.levels) if level != "none")
        for number, (level, value) in enumerate(zip(talk.levels, danger, strict=True)):
            if level == "none":
                (early if number < first else after).append(value)
            elif level == "plain":
                plain.append(value)
        if "plain" not in talk.levels:
            highest.append(max(v for level, v in zip(talk.levels, danger, strict=True) if level == "hint"))
    for limit in LIMITS:
        yield Row(limit, *(_above(values, limit) for values in (safe, early, after, highest, plain)))


def area(talks: Sequence[Talk], shares: Sequence[NDArray[np.float32]]) -> float:
    """Return the area under the ROC curve, of turns with danger against turns without it."""
    danger = np.concatenate([share.sum(axis=1) for share in shares])
    wanted = np.array([level != "none" for talk in talks for level in talk.levels])
    ranks = np.empty(len(danger))
    ranks[danger.argsort(kind="stable")] = np.arange(1, len(danger) + 1)
    dark, light = wanted.sum(), (~wanted).sum()
    return float((ranks[wanted].sum() - dark * (dark + 1) / 2) / (dark * light))


def _above(values: Sequence[float], limit: float) -> float:
    return sum(value >= limit for value in values) / len(values) if values else float("nan")
