"""Under which condition a benchmark is run. Everything here is part of a run's identity."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from perception.context import Bounds
from perception.timebase import SECOND, Nanos
from policy.tasks import VARIANTS

FEEDS: Final = ("percepts", "native")
FRAMES: Final = 24
"""Most pictures of one medium that a policy is given, as in the published runs."""

_PERCEPTS: Final = Bounds(span=24 * 3600 * SECOND, media_span=0, media_bytes=0, tokens=3000)
_GIBIBYTE: Final = 1 << 30


class ConditionError(ValueError):
    """A condition that cannot be; the message names the option and what it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How items are shown and questions are put.

    Attributes:
        variant: one of :data:`policy.tasks.VARIANTS`.
        feed: ``percepts``: the policy reads the context that the senses write; ``native``: it gets the pictures
            and the sound themselves, at most :data:`FRAMES` pictures, and no percepts.
        asr: whether the data set's own transcript is shown.
        hear_all: whether the tasks that are silent in the published runs are heard.
        settle_s: silence between the end of a medium and the question, so that the last words are known.
        measured: whether work is charged what it takes, instead of fixed costs.
    """

    variant: str = "direct"
    feed: str = "percepts"
    asr: bool = False
    hear_all: bool = False
    settle_s: float = 1.0
    measured: bool = False

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ConditionError(f"variant is {self.variant!r}; it is one of {', '.join(VARIANTS)}")
        if self.feed not in FEEDS:
            raise ConditionError(f"feed is {self.feed!r}; it is one of {', '.join(FEEDS)}")
        if not 0 <= self.settle_s <= 60:
            raise ConditionError(f"settle_s is {self.settle_s}; it is 0 to 60")

    @property
    def mode(self) -> str:
        """Which form of answer is asked for: ``direct`` or ``think``."""
        return "think" if self.variant.endswith("think") else "direct"

    def bounds(self, duration: Nanos, fps: float) -> Bounds:
        """Return what the context keeps of one medium.

        Args:
            duration: of the medium.
            fps: of its pictures.
        """
        if self.feed == "percepts":
            return _PERCEPTS
        return dataclasses.replace(
            _PERCEPTS, media_span=24 * 3600 * SECOND, media_bytes=2 * _GIBIBYTE, frame_gap=frame_gap(duration, fps)
        )

    def as_json(self) -> dict[str, Any]:
        """Return the condition as JSON values."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Condition:
        """Return the condition that :meth:`as_json` wrote."""
        return Condition(**value)


def frame_gap(duration: Nanos, fps: float) -> Nanos:
    """Return the time between two pictures that a policy is given, by the rule of the published runs.

    One picture a second for media of up to 300 frames, one in two seconds up to 600, one in five seconds
    beyond; and never more than :data:`FRAMES` in all.
    """
    count = duration / SECOND * fps
    rate_hz = 1.0 if count <= 300 else 0.5 if count < 600 else 0.2
    return max(round(SECOND / rate_hz), -(-duration // FRAMES))
