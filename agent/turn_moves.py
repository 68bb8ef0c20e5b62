"""What a turn taker asks for: the moves of :mod:`agent.turns`."""

from __future__ import annotations

from dataclasses import dataclass

from perception.context import Turn
from perception.media import Text
from perception.timebase import Nanos


@dataclass(frozen=True, slots=True)
class Consider:
    """Ask the policy.

    Attributes:
        cue: why, one of the ``CUE_`` constants.
        turn: what the person said, if that is why.
        question: what was asked in a set form, if that is why.
        ended: from the end of the voice until it was clear that the turn is over.
        words: from then on until the words were known.
    """

    cue: str
    turn: Turn | None = None
    ended: Nanos = 0
    words: Nanos = 0
    question: Text | None = None

    @property
    def told(self) -> str:
        """What the person said or typed, unless it asks for an answer of a set form."""
        if self.question is not None and not self.question.form:
            return self.question.text
        return self.turn.text if self.turn is not None else ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Pause the agent's voice; what follows decides."""

    since: Nanos


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with the held voice."""


@dataclass(frozen=True, slots=True)
class GiveWay:
    """Stop the voice and drop the reply for good."""

    reason: str
    since: Nanos


@dataclass(frozen=True, slots=True)
class Draft:
    """Prepare a reply as if the turn was over; nothing of it leaves before :class:`Consider` brings the same turn."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class Scrap:
    """Drop the draft: the person goes on."""


Move = Consider | Hold | Resume | GiveWay | Draft | Scrap
