"""What the agent says though nobody asked it: that it takes its leave, that it cannot hear, or of its own accord."""

from __future__ import annotations

from typing import Final

from agent.disclosure import CUE_DISCLOSURE, Disclosing
from agent.farewell import CUE_CLOSING, Farewell
from agent.gaps import CUE_UNHEARD, CUES, Gaps
from agent.initiative import Initiative
from agent.parts import Parts
from agent.reply import Reply
from agent.sense_map import SenseMap
from agent.senses import Senses
from agent.thinking import Thinking
from agent.turn_moves import GiveWay, Move
from perception.context import Turn
from perception.percept import Percept
from perception.timebase import Nanos
from policy.safety import helplines

STOPPED: Final = "asked to stop"
"""Why a reply ends where the person presses a button for that."""


class Unasked:
    """Of one call.

    Args:
        parts: how the call behaves. Where it only answers questions, as in a benchmark, nothing is said but the leave.
        senses: at work.
        disclosing: says that an AI speaks, where that is due.
        typing: whether the person can type.

    Attributes:
        farewell: its leave-taking.
        gaps: what the senses miss.
    """

    def __init__(self, parts: Parts, senses: Senses, disclosing: Disclosing, *, typing: bool) -> None:
        country = parts.lane.country if parts.lane is not None else helplines.country()
        self.farewell = Farewell()
        self.gaps = Gaps(senses, SenseMap.of(parts.workers), country, typing=typing)
        self._disclosing = disclosing
        self._options = parts.options.initiative
        self._initiative = Initiative(self._options)
        self._quiet = parts.options.answers == "questions"

    def saw(self, percept: Percept, now: Nanos) -> None:
        """Take in a percept that became known at ``now``."""
        self._initiative.saw(percept, now)
        self.gaps.saw(percept, now)

    def told(self, turn: Turn, now: Nanos) -> None:
        """Take in what either side has said."""
        self._initiative.told(turn, now)

    def forget(self) -> None:
        """Let go of all that was perceived: the person took a sense back."""
        self._initiative = Initiative(self._options)

    def due(self, now: Nanos, *, replying: bool, talking: bool) -> str:
        """Return the cue of what is to be said now; ``""`` for nothing. What is returned counts as done.

        Args:
            now: the time on the call's clock.
            replying: whether the agent says something.
            talking: whether the person does, or their words wait for an answer.
        """
        busy = replying or talking
        if self.farewell.due(now, busy=busy):
            return CUE_CLOSING
        if self._quiet:
            return ""
        if cue := self.gaps.due(now, replying=replying, talking=talking):
            return cue
        return self._disclosing.alone(now, busy=busy) or self._initiative.due(now, busy=busy)

    def session(self, cue: str) -> Thinking | None:
        """Return what speaks on a cue; ``None`` for the policy."""
        if cue == CUE_DISCLOSURE:
            return self._disclosing
        return self.farewell if cue == CUE_CLOSING else self.gaps if cue in CUES else None

    @staticmethod
    def insists(reply: Reply | None, move: Move) -> bool:
        """Return whether a reply goes on against a move of the person, who cannot be heard; not if they ask to stop."""
        stopped = isinstance(move, GiveWay) and move.reason == STOPPED
        return reply is not None and reply.cue == CUE_UNHEARD and not stopped
