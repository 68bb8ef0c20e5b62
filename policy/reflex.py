"""The fast path: what the agent's face and a small sound do within moments of a percept, with no model to wait for.

A pure function of what it was told: time is an argument. It mirrors joy with warmth and meets distress with
concern, nods where the person pauses, and says "mm-hm" at most a few times within a turn. It never acts on
``uncertain``, and a smile after distress is met with warmth only, for crying can read as a smile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from perception.percept import (
    END_OF_TURN,
    EXPRESSION,
    GESTURE,
    NEGATIVE,
    PARTIAL,
    PRESENCE,
    PROSODY,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    UNCERTAIN,
    Percept,
)
from perception.timebase import MS, SECOND, Nanos
from policy import replies
from policy.decision import Backchannel, Decision, Express
from policy.prompt import GLAD
from policy.reading import HEAVY
from policy.words import mood_words

INCOMPLETE: Final = "incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """When the reflexes act.

    Attributes:
        sure: confidence a percept needs.
        express_gap: least time between two looks of the same emotion.
        change_gap: least time between two looks of different emotions.
        nod_gap: least time between two nods.
        backchannel_gap: least time between two sounds of listening, and from the start of a turn to the first.
        backchannels: most sounds of listening within one turn of the person.
        memory: how long distress is remembered.
    """

    sure: float = 0.5
    express_gap: Nanos = 6 * SECOND
    change_gap: Nanos = 1200 * MS
    nod_gap: Nanos = 2500 * MS
    backchannel_gap: Nanos = 4 * SECOND
    backchannels: int = 3
    memory: Nanos = 12 * SECOND


@dataclass(slots=True)
class _State:
    talking: bool = False
    agent: bool = False
    turn_began: Nanos = 0
    sounds: int = 0
    sound_at: Nanos | None = None
    nod_at: Nanos | None = None
    look: str = "neutral"
    look_at: Nanos | None = None
    heavy_at: Nanos | None = None
    words: str = ""
    said: list[str] = field(default_factory=list)


class Reflex:
    """The reflexes of one call.

    Args:
        options: when they act; the defaults if left out.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()
        self._state = _State()

    def agent_speaks(self, speaking: bool) -> None:
        """Say whether the agent's own voice is on; while it is, there is no sound of listening and no nod."""
        self._state.agent = speaking

    def turn_taken(self) -> None:
        """Say that the person's turn is over; the count of sounds starts anew with the next."""
        self._state.sounds = 0
        self._state.talking = False
        self._state.words = ""

    def step(self, percept: Percept, now: Nanos) -> Decision | None:
        """Take in a percept; return what to do about it at once, or ``None``.

        Args:
            percept: what was perceived.
            now: the time on the call's clock.
        """
        state = self._state
        if percept.kind == SPEECH_STARTED:
            if not state.talking:
                state.talking, state.turn_began = True, now
            return None
        if percept.kind in {PARTIAL, TRANSCRIPT}:
            return self._hear(percept, now)
        if percept.label == UNCERTAIN or percept.confidence < self._options.sure:
            return None
        if percept.kind == END_OF_TURN:
            if percept.label == INCOMPLETE:
                return self._sound(percept, now) or self._nod(percept, now, "The person pauses and has more to say.")
            return None
        if percept.kind == SPEECH_ENDED:
            return self._nod(percept, now, "The person takes a breath.")
        if percept.kind == EXPRESSION:
            return self._mirror(percept, now)
        if percept.kind == PROSODY and percept.label == "trembling":
            state.heavy_at = now
            return self._look("concern", percept, now, "The voice trembles.")
        if percept.kind == GESTURE and percept.label == "nod" and not state.agent:
            return self._nod(percept, now, "The person nods.")
        if percept.kind == PRESENCE and percept.label == "arrived":
            return self._look("warm", percept, now, "Someone arrives.")
        return None

    def _hear(self, percept: Percept, now: Nanos) -> Decision | None:
        state = self._state
        new = percept.label != state.words
        state.words = percept.label
        if not new:
            return None
        moods = mood_words(percept.label)
        if any(mood in HEAVY for mood in moods):
            state.heavy_at = now
            return self._look("concern", percept, now, "Heavy words.")
        if any(mood in GLAD for mood in moods):
            return self._look("warm" if self._heavy(now) else "happy", percept, now, "Glad words.")
        return None

    def _mirror(self, percept: Percept, now: Nanos) -> Decision | None:
        if percept.label in NEGATIVE:
            self._state.heavy_at = now
            emotion = "calm" if percept.label == "angry" else "concern"
            return self._look(emotion, percept, now, f"The face looks {percept.label}.")
        if percept.label == "happy":
            heavy = self._heavy(now)
            why = "A smile, shortly after something heavy." if heavy else "The person smiles."
            return self._look("warm" if heavy else "happy", percept, now, why)
        if percept.label == "surprise":
            return self._look("surprise", percept, now, "The face looks surprised.")
        return None

    def _heavy(self, now: Nanos) -> bool:
        at = self._state.heavy_at
        return at is not None and now - at < self._options.memory

    def _look(self, emotion: str, percept: Percept, now: Nanos, reason: str) -> Express | None:
        state, options = self._state, self._options
        if state.look_at is not None:
            gap = options.express_gap if emotion == state.look else options.change_gap
            if now - state.look_at < gap:
                return None
        state.look, state.look_at = emotion, now
        return Express(
            emotion=emotion,
            intensity=round(0.4 + 0.5 * percept.confidence, 3),
            reason=reason,
            evidence=(percept,),
            confidence=percept.confidence,
        )

    def _nod(self, percept: Percept, now: Nanos, reason: str) -> Express | None:
        state = self._state
        if state.agent or not state.talking:
            return None
        if state.nod_at is not None and now - state.nod_at < self._options.nod_gap:
            return None
        state.nod_at = now
        emotion = "concern" if self._heavy(now) else "warm"
        return Express(
            emotion=emotion,
            gesture="nod",
            intensity=0.5,
            reason=reason,
            evidence=(percept,),
            confidence=percept.confidence,
        )

    def _sound(self, percept: Percept, now: Nanos) -> Backchannel | None:
        state, options = self._state, self._options
        since = state.turn_began if state.sound_at is None else max(state.sound_at, state.turn_began)
        if state.agent or not state.talking or state.sounds >= options.backchannels:
            return None
        if now - since < options.backchannel_gap:
            return None
        glad = state.look == "happy" and not self._heavy(now)
        tokens = replies.tokens(heavy=self._heavy(now), light=glad)
        fresh = [token for token in tokens if token not in state.said[-2:]] or list(tokens)
        token = fresh[len(state.said) % len(fresh)]
        state.said.append(token)
        del state.said[:-4]
        state.sounds += 1
        state.sound_at = now
        return Backchannel(
            token=token,
            reason="The person pauses within the turn.",
            evidence=(percept,),
            confidence=percept.confidence,
        )
