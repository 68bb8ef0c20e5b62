"""When the agent acts of its own accord, without input or output: percepts and instants in, a cue out.

Four occasions: a face that falls in silence, a long silence after something heavy, someone who arrives, someone who
leaves. On each the policy is consulted, and may speak, express or wait. Between two such consultations lies
:attr:`InitiativeOptions.gap`, and there are at most :attr:`InitiativeOptions.most` within
:attr:`InitiativeOptions.within`, so that nobody feels watched.

Nothing is done upon an ``uncertain`` percept, and a lost camera is no empty room.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from perception.context import CUE_AFFECT, CUE_ARRIVAL, CUE_LEAVING, CUE_SILENCE, Turn
from perception.percept import (
    EXPRESSION,
    FACE,
    NEGATIVE,
    PRESENCE,
    PROSODY,
    SENSE_LOST,
    SPEECH_ENDED,
    SPEECH_STARTED,
    UNCERTAIN,
    Percept,
)
from perception.timebase import MS, SECOND, Nanos
from policy.reading import HEAVY
from policy.words import mood_words

_HEAVY_VOICES: Final = frozenset({"flat", "trembling"})
_EYES: Final = frozenset({"face", "camera", "video"})
_LATE: Final[Nanos] = 5 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiativeOptions:
    """When the policy is consulted though nobody said anything.

    Attributes:
        enabled: whether it ever is.
        sure: confidence that a percept needs, 0..1.
        fallen: how long a face must have looked distressed, without a break, before it counts.
        quiet: silence of both sides before a look or a change in the room is answered.
        silence: silence after something heavy after which the policy is asked; 0 for never.
        gone: how long nobody must have been there before that counts as leaving.
        settle: what happens in the room so soon after the begin of the call belongs to its greeting.
        gap: least time between two consultations.
        most: most consultations within ``within``.
        within: see ``most``.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    enabled: bool = True
    sure: float = 0.55
    fallen: Nanos = 1500 * MS
    quiet: Nanos = 3 * SECOND
    silence: Nanos = 9 * SECOND
    gone: Nanos = 2500 * MS
    settle: Nanos = 5 * SECOND
    gap: Nanos = 20 * SECOND
    most: int = 3
    within: Nanos = 180 * SECOND

    def __post_init__(self) -> None:
        if not 0.0 <= self.sure <= 1.0:
            raise ValueError(f"initiative.sure is {self.sure}, expected 0 to 1")
        if self.most < 1:
            raise ValueError(f"initiative.most is {self.most}, expected 1 or more; enabled = false switches it off")
        for name in ("fallen", "quiet", "silence", "gone", "settle", "gap", "within"):
            if getattr(self, name) < 0:
                raise ValueError(f"initiative.{name} is {getattr(self, name) / SECOND:g} s, expected 0 or more")


@dataclass(slots=True)
class _State:
    talking: bool = False
    quiet_since: Nanos = 0
    fell_at: Nanos | None = None
    answered: bool = False
    heavy_face: Nanos | None = None
    heavy_voice: Nanos | None = None
    heavy_turn: bool = False
    waited: bool = False
    count: int | None = None
    came_at: Nanos | None = None
    left_at: Nanos | None = None


class Initiative:
    """The initiative of one call.

    Args:
        options: when it acts; the defaults if left out.
    """

    def __init__(self, options: InitiativeOptions | None = None) -> None:
        self._o = options or InitiativeOptions()
        self._state = _State()
        self._asked: deque[Nanos] = deque(maxlen=self._o.most)

    def saw(self, percept: Percept, now: Nanos) -> None:
        """Take in a percept that became known at ``now``."""
        state = self._state
        match percept.kind:
            case k if k == SPEECH_STARTED:
                state.talking = True
                self._sounded(now)
            case k if k == SPEECH_ENDED:
                state.talking = False
                self._sounded(now)
            case k if k == SENSE_LOST and percept.label in _EYES:
                state.fell_at = state.came_at = state.left_at = state.count = None
            case _ if percept.label == UNCERTAIN or percept.confidence < self._o.sure:
                return
            case k if k == EXPRESSION:
                self._looked(percept, now)
            case k if k == PROSODY and percept.label in _HEAVY_VOICES:
                state.heavy_voice = percept.end
            case k if k == PRESENCE:
                self._moved(percept, now)
            case k if k == FACE and percept.label == "present" and state.count is None:
                state.count = 1

    def told(self, turn: Turn, now: Nanos) -> None:
        """Take in what either side has said."""
        state = self._state
        self._sounded(now)
        if turn.speaker != "user":
            return
        state.waited = False
        heavy = any(mood in HEAVY for mood in mood_words(turn.text))
        seen = any(at is not None and at >= turn.start for at in (state.heavy_face, state.heavy_voice))
        state.heavy_turn = heavy or seen

    def due(self, now: Nanos, *, busy: bool) -> str:
        """Return why the policy is to be consulted at ``now``, one of the ``CUE_`` constants; ``""`` if it is not.

        What is returned counts as done.

        Args:
            now: the time on the call's clock.
            busy: whether a reply is under way, or words of the person wait for one.
        """
        state = self._state
        if busy:
            self._sounded(now)
            return ""
        if not self._o.enabled or state.talking or not self._may(now):
            return ""
        cue = self._cue(now)
        if cue:
            self._asked.append(now)
        return cue

    def _cue(self, now: Nanos) -> str:
        o, state = self._o, self._state
        quiet = now - state.quiet_since
        self._forget(now)
        if state.left_at is not None and now >= max(state.left_at + o.gone, state.quiet_since + o.gone):
            state.left_at = state.fell_at = None
            return CUE_LEAVING
        if state.came_at is not None and quiet >= min(o.quiet, SECOND):
            state.came_at = None
            return CUE_ARRIVAL
        fell = state.fell_at
        if fell is not None and not state.answered and fell >= state.quiet_since and quiet >= o.quiet:
            if now - fell >= o.fallen:
                state.answered = True
                return CUE_AFFECT
            return ""
        if o.silence and state.heavy_turn and not state.waited and quiet >= o.silence and state.count != 0:
            state.waited = True
            return CUE_SILENCE
        return ""

    def _forget(self, now: Nanos) -> None:
        """Let go of who came or went so long ago that a word to it would come too late."""
        state, late = self._state, now - _LATE
        if state.came_at is not None and max(state.came_at, state.quiet_since) < late:
            state.came_at = None
        if state.left_at is not None and max(state.left_at, state.quiet_since) + self._o.gone < late:
            state.left_at = None

    def _may(self, now: Nanos) -> bool:
        asked, o = self._asked, self._o
        if asked and now - asked[-1] < o.gap:
            return False
        return len(asked) < o.most or now - asked[0] >= o.within

    def _sounded(self, now: Nanos) -> None:
        self._state.quiet_since = max(self._state.quiet_since, now)

    def _looked(self, percept: Percept, now: Nanos) -> None:
        state = self._state
        if percept.label in NEGATIVE:
            state.heavy_face = percept.end
            if state.fell_at is None:
                state.fell_at, state.answered = now, False
        else:
            state.fell_at = None

    def _moved(self, percept: Percept, now: Nanos) -> None:
        state = self._state
        known, state.count = state.count, round(percept.number("count", 1.0 if percept.label == "arrived" else 0.0))
        if percept.label == "arrived":
            back = state.left_at is not None
            state.left_at = None
            if not back and now >= self._o.settle and (known in (None, 0)):
                state.came_at = now
        elif state.count == 0:
            state.left_at, state.came_at, state.fell_at = now, None, None
