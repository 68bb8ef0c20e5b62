"""The fast path: what the agent's face and a small sound do within moments of a percept, with no model to wait for.

A pure function of what it was told: time is an argument. It mirrors joy with warmth and meets distress with concern,
never with a copy of it; a look has an onset, holds while something renews it, and decays to rest. It nods where the
person pauses or the voice falls, and says "mm-hm" at most a few times within a turn, in a pause, and quietly where
somebody is in distress. Whoever looks away to think is left in peace. It never acts on ``uncertain``. A smile alone is
met with warmth, and returned only over glad words and after nothing heavy, for crying can read as a smile.

Pauses and falls of the voice as places for a sound of listening: Ward and Tsukahara, *Prosodic features which cue
back-channel responses in English and Japanese*, Journal of Pragmatics 32, 2000. Looking away as a sign that one keeps
the turn: Kendon, *Some functions of gaze-direction in social interaction*, Acta Psychologica 26, 1967.
"""

from __future__ import annotations

from typing import Final

from perception.percept import (
    END_OF_TURN,
    EXPRESSION,
    GAZE,
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
from perception.timebase import Nanos
from policy import affect, replies
from policy.affect import CARE, REMEMBERED, SMILES, SURE, TENDER, Affect
from policy.decision import Backchannel, Decision, Express, Wait
from policy.irony import ironic, opens_with_praise, sober
from policy.reading import HEAVY
from policy.reflex_options import ReflexOptions
from policy.reflex_state import Look, State
from policy.words import mood_words

__all__ = ["COURSE", "INCOMPLETE", "QUIET", "REST", "Reflex", "ReflexOptions"]

INCOMPLETE: Final = "incomplete"
REST: Final = "neutral"
QUIET: Final = ("mm", "mm-hm")
"""Sounds of listening that are hummed, for strong distress."""

_KEPT: Final = "They still feel it, so I keep this look."
_SOFTER: Final = "The moment has passed, so my look softens."
_RESTED: Final = "My face is at rest again."
COURSE: Final = frozenset({_KEPT, _SOFTER, _RESTED})
"""Reasons of a look that only takes its course: nothing new was perceived."""


class Reflex:
    """The reflexes of one call.

    Args:
        options: when they act; the defaults if left out.
    """

    def __init__(self, options: ReflexOptions | None = None) -> None:
        self._options = options or ReflexOptions()
        self._state = State()

    def agent_speaks(self, speaking: bool, now: Nanos = 0, shown: str = REST) -> None:
        """Say whether the agent's own voice is on; while it is, there is no sound of listening and no nod.

        Args:
            speaking: whether it is.
            now: the time on the call's clock.
            shown: what the face shows when the reply is over; it fades like any look.
        """
        state, options = self._state, self._options
        state.agent = speaking
        if speaking:
            state.look.due = None
        elif shown != REST:
            state.look = Look(shown, now, 0.6, "peak", now + options.hold, now)

    def turn_taken(self, words: str = "") -> None:
        """Say that the person's turn is over; the count of sounds starts anew with the next.

        Args:
            words: what they said or typed in it; what was heard if left out.
        """
        state = self._state
        state.sounds = 0
        state.talking = state.pausing = False
        if said := words or self._said_now():
            state.before = [*state.before, said][-REMEMBERED:]
        state.words = ""
        state.finals = []

    def deadline(self) -> Nanos | None:
        """Return when :meth:`tick` has something to say, if ever."""
        return self._state.look.due

    def tick(self, now: Nanos) -> Express | None:
        """Let the look grow, fade, or go to rest, if its time has come."""
        look, options = self._state.look, self._options
        if look.due is None or now < look.due:
            return None
        match look.stage:
            case "onset":
                look.stage, look.due = "peak", look.renewed + options.hold
                return self._shown(look.peak, _KEPT)
            case "peak" if now < look.renewed + options.hold:
                look.due = look.renewed + options.hold
                return None
            case "peak":
                look.stage, look.due = "decay", now + options.decay
                return self._shown(look.peak / 2, _SOFTER)
            case _:
                evidence = look.evidence
                self._state.look = Look(at=look.at)
                return Express(emotion=REST, intensity=0.3, reason=_RESTED, evidence=evidence)

    def step(self, percept: Percept, now: Nanos) -> Decision | None:
        """Take in a percept; return what to do about it at once, or ``None``.

        Args:
            percept: what was perceived.
            now: the time on the call's clock.
        """
        state = self._state
        if percept.kind == SPEECH_STARTED:
            state.pausing = False
            if not state.talking:
                state.talking, state.turn_began = True, now
            return None
        if percept.kind in {PARTIAL, TRANSCRIPT}:
            return self._hear(percept, now)
        if percept.kind == SPEECH_ENDED:
            state.pausing = True
        if percept.label == UNCERTAIN:
            return None
        if (
            percept.kind == PROSODY
            and not state.pausing
            and percept.number("pitch_final_st") <= -self._options.falls_st
        ):
            return self._nod(percept, now, "The voice falls in the middle of the turn.")
        if percept.confidence < self._options.sure:
            return None
        match percept.kind:
            case k if k == END_OF_TURN:
                if percept.label != INCOMPLETE:
                    return None
                return self._sound(percept, now) or self._nod(percept, now, "The person pauses and has more to say.")
            case k if k == SPEECH_ENDED:
                return self._nod(percept, now, "The person takes a breath.")
            case k if k == EXPRESSION:
                return self._mirror(percept, now)
            case k if k == GAZE:
                return self._gaze(percept, now)
            case k if k == PROSODY and percept.label == "trembling":
                state.heavy_at = state.strong_at = state.tears_at = now
                return self._look("concern", percept, now, "The voice trembles.")
            case k if k == GESTURE and percept.label == "nod" and not state.agent:
                return self._nod(percept, now, "The person nods.")
            case k if k == PRESENCE and percept.label == "arrived":
                return self._look(TENDER if self._heavy(now) else "warm", percept, now, "Someone arrives.")
        return None

    def _said_now(self) -> str:
        return " ".join([*self._state.finals, self._state.words]).strip()

    def _affect(self) -> Affect:
        """What this turn and the last ones speak of."""
        return affect.read(self._said_now(), self._state.before)

    def _hear(self, percept: Percept, now: Nanos) -> Decision | None:
        state = self._state
        new = percept.label != state.words
        state.words = percept.label
        if not new:
            return None
        told = affect.read(self._said_now())
        if percept.kind == TRANSCRIPT:
            state.finals, state.words = [*state.finals, percept.label], ""
        glad = told.valence == affect.GLAD
        moods = mood_words(sober(percept.label))
        if told.heavy or ironic(percept.label) or (not glad and any(mood in HEAVY for mood in moods)):
            if self._giddy(now) and "grief" not in moods and told.sure < SURE:
                return None
            state.heavy_at = now
            # A strong word that another may turn, as in "thought I'd lose him", waits for the rest of the sentence.
            open_ended = affect.WEAK < told.sure < SURE or told.valence == affect.MIXED
            plain = not open_ended and (told.sure >= SURE or any(mood in HEAVY for mood in moods))
            return self._look("concern" if plain else TENDER, percept, now, "Heavy words.")
        if not glad:
            return None
        if opens_with_praise(percept.label):
            return self._look("warm", percept, now, "Words of praise, which may be meant otherwise.")
        if told.sure < SURE and not self._smiles(now):
            return None
        state.glad_at, state.glad_sure = now, told.sure >= SURE
        if self._weeps(now):
            return self._look(TENDER, percept, now, "Glad words, and a face or voice in distress.")
        happy = told.sure >= SURE and not self._heavy(now)
        return self._look("happy" if happy else "warm", percept, now, "Glad words.")

    def _mirror(self, percept: Percept, now: Nanos) -> Decision | None:
        state, label = self._state, percept.label
        if self._undecided(percept, now):
            return None
        if label in NEGATIVE:
            state.smiles = 0
            state.heavy_at = state.tears_at = now
            if percept.confidence >= self._options.strong:
                state.strong_at = now
            glad = self._affect().valence == affect.GLAD
            emotion = TENDER if glad else "calm" if label == "angry" else "concern"
            return self._look(emotion, percept, now, f"The face looks {label}.")
        if label == "happy":
            state.smile_at, state.smiles = now, state.smiles + 1
            at = state.glad_at
            told = at is not None and now - at < self._options.memory
            if self._heavy(now):
                look, why = ("warm", "glad words") if told else (TENDER, "something heavy")
                return self._look(look, percept, now, f"A smile, shortly after {why}.")
            if told:
                look = "happy" if state.glad_sure else "warm"
                return self._look(look, percept, now, "The person smiles over glad words.")
            return self._look("warm", percept, now, "The person smiles; a smile alone is not joy.")
        if label == "surprise":
            heavy = self._heavy(now)
            return self._look("concern" if heavy else "surprise", percept, now, "The face looks surprised.")
        return None

    def _undecided(self, percept: Percept, now: Nanos) -> bool:
        """Whether a face is too close a call to turn a look of care into a smile, or a smile into one."""
        look, options = self._state.look, self._options
        if look.stage not in ("onset", "peak") or percept.confidence >= options.sure + options.lead:
            return False
        return (percept.label == "happy" and look.emotion in CARE) or (
            percept.label in NEGATIVE and look.emotion in SMILES
        )

    def _gaze(self, percept: Percept, now: Nanos) -> Decision | None:
        state = self._state
        if percept.label == "away":
            if state.away_at is None:
                state.away_at, state.still_told = now, False
                if self._heavy(now) and not state.agent:
                    return self._gesture(
                        "look_away", percept, "They look away in distress: the eyes give them room.", intensity=0.3
                    )
            return self._thinks(percept, now)
        since, state.away_at = state.away_at, None
        if since is None or now - since < self._options.away or state.agent:
            return None
        return self._gesture("blink", percept, "They look back: the eyes meet them.", intensity=0.4)

    def _gesture(self, gesture: str, percept: Percept, reason: str, *, intensity: float) -> Express:
        return Express(
            emotion=self._kept(percept.end),
            gesture=gesture,
            intensity=intensity,
            reason=reason,
            evidence=(percept,),
            confidence=percept.confidence,
        )

    def _still(self, now: Nanos) -> bool:
        """Whether the person looks away to think, in a pause of their own turn."""
        state = self._state
        if state.away_at is None or not (state.talking and state.pausing):
            return False
        return now - state.away_at < self._options.still

    def _thinks(self, percept: Percept, now: Nanos) -> Wait | None:
        """Say once that the agent keeps still."""
        state = self._state
        if not self._still(now) or state.still_told or state.agent:
            return None
        state.still_told = True
        return Wait(
            reason="The person looks away to think: keep still.", evidence=(percept,), confidence=percept.confidence
        )

    def _heavy(self, now: Nanos) -> bool:
        """Whether nothing may smile: face, voice or words were heavy, and the talk has not plainly turned glad."""
        return self._sombre(now) or self._affect().heavy

    def _sombre(self, now: Nanos) -> bool:
        at = self._state.heavy_at
        return at is not None and now - at < self._options.memory

    def _weeps(self, now: Nanos) -> bool:
        """Whether face or voice were in distress lately, and no smile came after."""
        at = self._state.tears_at
        return at is not None and now - at < self._options.memory and (not self._state.smiles)

    def _smiles(self, now: Nanos) -> bool:
        state = self._state
        return state.smiles > 0 and now - state.smile_at < self._options.smile

    def _kept(self, now: Nanos) -> str:
        """Return the look that a gesture goes with: the one that is shown, and one of care where the talk is heavy.

        A nod smiles only where somebody smiles or tells of something glad: what hurts may still be coming.
        """
        look, at = self._state.look, self._state.glad_at
        told = at is not None and now - at < self._options.memory
        if self._heavy(now) and not (told and look.emotion in SMILES):
            return look.emotion if look.emotion in CARE and look.stage != "rest" else "concern"
        if told or self._smiles(now):
            return "warm"
        return REST if look.stage == "rest" or look.emotion in SMILES else look.emotion

    def _giddy(self, now: Nanos) -> bool:
        """Whether the person has kept smiling, with nothing heavy before: one heavy word is part of the story then."""
        state, options = self._state, self._options
        glad = state.glad_at is not None and now - state.glad_at < options.memory
        smiles = state.smiles >= (1 if glad else 2) and now - state.smile_at < options.smile
        return smiles and not self._sombre(now)

    def _strong(self, now: Nanos) -> bool:
        at = self._state.strong_at
        return at is not None and now - at < self._options.memory

    def _look(self, emotion: str, percept: Percept, now: Nanos, reason: str) -> Express | None:
        look, options = self._state.look, self._options
        held = now - look.renewed < options.hold + options.decay and look.stage in ("onset", "peak")
        steady = emotion in CARE and look.emotion in CARE and self._heavy(now)
        if held and (emotion == look.emotion or steady):
            look.renewed = now
            return None
        if look.at is not None and now - look.at < options.change_gap:
            return None
        peak = round(0.4 + 0.5 * percept.confidence, 3)
        due = None if self._state.agent else now + options.onset
        self._state.look = Look(emotion, now, peak, "onset", due, now, (percept,))
        return Express(
            emotion=emotion,
            intensity=round(0.6 * peak, 3),
            reason=reason,
            evidence=(percept,),
            confidence=percept.confidence,
        )

    def _shown(self, intensity: float, reason: str) -> Express:
        look = self._state.look
        sure = min((p.confidence for p in look.evidence), default=1.0)
        return Express(
            emotion=look.emotion, intensity=round(intensity, 3), reason=reason, evidence=look.evidence, confidence=sure
        )

    def _nod(self, percept: Percept, now: Nanos, reason: str) -> Decision | None:
        state = self._state
        if state.agent or not state.talking or now - state.turn_began < self._options.first:
            return None
        if self._still(now):
            return self._thinks(percept, now)
        if state.nod_at is not None and now - state.nod_at < self._options.nod_gap:
            return None
        state.nod_at = now
        return Express(
            emotion=self._kept(now),
            gesture="nod",
            intensity=0.5,
            reason=reason,
            evidence=(percept,),
            confidence=percept.confidence,
        )

    def _sound(self, percept: Percept, now: Nanos) -> Decision | None:
        state, options = self._state, self._options
        if state.agent or not state.talking or not state.pausing or state.sounds >= options.backchannels:
            return None
        if percept.confidence < options.more:
            return None
        if now - state.turn_began < max(options.first, options.backchannel_gap):
            return None
        if state.sound_at is not None and now - state.sound_at < options.backchannel_gap:
            return None
        if self._still(now):
            return self._thinks(percept, now)
        strong = self._strong(now)
        glad = state.look.emotion == "happy" and not self._heavy(now)
        tokens = QUIET if strong else replies.tokens(heavy=self._heavy(now), light=glad)
        fresh = [token for token in tokens if token not in state.said[-2:]] or list(tokens)
        token = fresh[len(state.said) % len(fresh)]
        state.said.append(token)
        del state.said[:-4]
        state.sounds += 1
        state.sound_at = now
        return Backchannel(
            token=token,
            reason="The person pauses within the turn" + (", in distress: quietly." if strong else "."),
            evidence=(percept,),
            confidence=percept.confidence,
        )
