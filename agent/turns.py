"""Turn taking, without input or output: percepts and instants in, moves out.

The taker never reads a clock and never waits. It is told what was perceived and what the agent's voice
does, says which moves follow, and names the next instant at which it wants to be asked again
(:meth:`TurnTaker.deadline`).

End of turn. The voice has stopped (VAD) and the words up to that pause are known (ASR). How long the silence then has
to last depends on how likely the turn is over: the turn detector, the words, what the agent said before and the pauses
so far, all weighed (:mod:`agent.turn_ending`), and where the person looks. Whoever weeps and looks away is given more
time, so is whoever was cut off before, and nobody is waited for longer than ``longest``. A reply that is likely wanted
is prepared meanwhile (:class:`Draft`) and dropped if the person goes on (:class:`Scrap`).

Barge-in. The first sound of the person holds the agent's voice at once. Words make it final and the
reply is dropped; no words, or only a listener's "mm-hm", and the reply goes on where it was held. Words that are
recognised after it has gone on still stop it.
"""

from __future__ import annotations

from typing import Final

from agent.turn_ending import Course, Ending, Signs, shipped
from agent.turn_moves import Consider, Draft, GiveWay, Hold, Move, Resume, Scrap
from agent.turn_options import TurnOptions
from agent.turn_words import Heard, announces, trails_off, wants_turn, weighs
from perception.context import CUE_END_OF_TURN, CUE_GREETING, CUE_QUESTION, CUE_SILENCE, Turn
from perception.media import Text
from perception.percept import (
    END_OF_TURN,
    EXPRESSION,
    GAZE,
    PARTIAL,
    PROSODY,
    SPEECH_ENDED,
    SPEECH_STARTED,
    TRANSCRIPT,
    UNCERTAIN,
    Percept,
)
from perception.timebase import MS, Nanos

__all__ = ["Consider", "Draft", "GiveWay", "Hold", "Move", "Resume", "Scrap", "TurnOptions", "TurnTaker"]


_SURE: Final = 0.5
_FINISHED: Final = 0.7
"""Probability of the turn detector from which the voice sounds finished, whatever the last word."""
_SORROW: Final = frozenset({"sad", "fear"})


class TurnTaker:
    """Decides whose turn it is in one call.

    Args:
        options: when a turn ends and when the agent gives way.
        ending: weighs the signs of an end; what ships if left out.
    """

    def __init__(self, options: TurnOptions | None = None, ending: Ending | None = None) -> None:
        self._o = options or TurnOptions()
        self._ending = ending or shipped()
        self._heard = Heard()
        self._speaking = False
        self._speech_start: Nanos = 0
        self._speech_end: Nanos | None = None
        self._probability: float | None = None
        self._clear_at: Nanos = 0
        self._replying = False
        self._audible = False
        self._held_at: Nanos | None = None
        self._quiet_since: Nanos = 0
        self._silences = 0
        self._pushed: bool | None = None
        self._final_st = 0.0
        self._away = False
        self._wept_at: Nanos | None = None
        self._words_at: Nanos = 0
        self._partials = False
        self._passed: Nanos | None = None
        self._drafted = ""
        self._over = self._cut_in = False
        self._course = Course()
        self._before: tuple[Nanos, float | None, float] | None = None
        self._sound_end: Nanos = 0

    @property
    def hearing(self) -> str:
        """Words of the running turn."""
        return self._heard.text()

    @property
    def person_speaking(self) -> bool:
        """Whether the person's voice is on."""
        return self._speaking

    @property
    def speech_end(self) -> Nanos:
        """Where the person's voice last stopped (0 before it ever did)."""
        return self._speech_end or 0

    def told(self, turn: Turn) -> None:
        """Take in what was said by either side: what the agent said last tells an answer from a story's beginning."""
        self._course.told(turn)

    def signs(self) -> Signs | None:
        """Return what is known about this pause, ``None`` where the turn detector has not spoken."""
        if self._probability is None:
            return None
        return self._course.signs(self._probability, self._heard.text(), self._final_st, cut_in=self._cut_in)

    def push_to_talk(self, enabled: bool, held: bool, now: Nanos) -> list[Move]:
        """While push-to-talk is on, the turn ends when the button is released, and not before."""
        was = self._pushed
        self._pushed = held if enabled else None
        if was and self._pushed is False:
            return self._settle(now)
        return []

    def greet(self) -> list[Move]:
        """Return the move that opens a call."""
        return [Consider(CUE_GREETING)]

    def typed(self, text: Text, now: Nanos) -> list[Move]:
        """Typed words take the turn at once. A question in a set form leaves the running turn as it is."""
        moves: list[Move] = []
        if self._replying:
            moves.append(GiveWay("typed words", now))
        moves += self._scrap()
        self._quiet_since, self._silences = now, 0
        if text.form:
            return [*moves, Consider(CUE_QUESTION, question=text)]
        turn = Turn("user", text.text.strip(), text.at, text.at)
        return [*moves, Consider(CUE_QUESTION, turn)] if turn.text else moves

    def reply_began(self, now: Nanos) -> None:
        """The policy was asked and a reply is under way, perhaps still without a sound."""
        self._replying, self._audible, self._held_at = True, False, None
        self._quiet_since = now

    def voice_began(self) -> None:
        """The first sound of the reply left."""
        self._audible = True

    def reply_ended(self, now: Nanos) -> None:
        """The reply is over: said, dropped, or nothing was said."""
        self._replying, self._audible, self._held_at = False, False, None
        self._quiet_since = now

    def step(self, percept: Percept, now: Nanos) -> list[Move]:
        """Take in one percept."""
        match percept.kind:
            case k if k == SPEECH_STARTED:
                return self._voice_on(percept, now)
            case k if k == SPEECH_ENDED:
                self._voice_off(percept, now)
            case k if k == END_OF_TURN:
                sounds = percept.number("probability", percept.confidence)
                # A doubt stands for the whole pause: in a silence that lasts, everything comes to sound finished.
                self._probability = sounds if self._probability is None else min(sounds, self._probability)
                self._clear_at = now
            case k if k in (PARTIAL, TRANSCRIPT):
                moves = self._words(percept, now)
                if moves:
                    return moves
            case k if k == PROSODY:
                self._final_st = percept.number("pitch_final_st")
                if percept.label == "trembling" and percept.confidence >= _SURE:
                    self._wept_at = now
            case k if k == GAZE:
                if percept.label != UNCERTAIN:
                    self._away = percept.label == "away"
            case k if k == EXPRESSION:
                if percept.label in _SORROW and percept.confidence >= _SURE:
                    self._wept_at = now
                return []
            case _:
                return []
        return self._settle(now)

    def tick(self, now: Nanos) -> list[Move]:
        """Look again at an instant that :meth:`deadline` named."""
        return self._settle(now)

    def deadline(self) -> Nanos | None:
        """Return the next instant at which :meth:`tick` may have something to say, if any."""
        o = self._o
        ends: list[Nanos] = []
        if self._held_at is not None:
            if self._speaking:
                ends.append(self._speech_start + o.give_way_after)
            else:
                ends.append((self._speech_end or self._held_at) + o.resume_after)
        elif self._stuck() is not None:
            ends.append(self._stuck() or 0)
        elif not self._speaking and not self._replying and self._speech_end is not None and not self._pushed:
            patience = self._patience()
            if self._words_known():
                ends.append(self._speech_end + (patience if self._heard.text() else o.noise_after))
            else:
                ends.append(self._speech_end + max(o.words_wait, patience, o.noise_after))
        if self._may_ask_in_silence():
            ends.append(self._quiet_since + o.silence * (1 + self._silences))
        return min(ends, default=None)

    def _voice_on(self, percept: Percept, now: Nanos) -> list[Move]:
        if self._held_at is None and self._speech_end is not None:
            self._before = (self._speech_end, self._probability, self._final_st)
        self._sound_end = 0
        self._speaking = True
        self._speech_start = percept.start
        self._speech_end = None
        self._probability = None
        self._final_st = 0.0
        self._silences = 0
        self._words_at = now
        moves = self._scrap()
        if self._replying and self._held_at is None:
            self._held_at = now
            self._over = self._audible
            moves.append(Hold(percept.start))
        return moves

    def _voice_off(self, percept: Percept, now: Nanos) -> None:
        self._speaking = False
        self._speech_end = percept.end
        self._quiet_since = self._clear_at = now
        before, self._before = self._before, None
        if before is not None and self._held_at is None and percept.number("doubtful"):
            # No voice after all: the pause before it goes on.
            self._speech_end, self._probability, self._final_st = before
            self._sound_end = now
        elif before is not None:
            self._course.pauses += 1

    def _words(self, percept: Percept, now: Nanos) -> list[Move]:
        """Take in words; return what follows if they are said over the agent's voice."""
        before = self._heard.text()
        final = percept.kind == TRANSCRIPT
        self._partials = self._partials or not final
        self._heard.put(percept, final=final)
        if self._heard.text() != before:
            self._words_at = now
        if self._held_at is not None:
            return self._give_way("the person speaks", now) if self._wants_turn() else []
        if self._passed is None or not final:
            return []
        passed, self._passed = self._passed, None
        if self._wants_turn():
            self._speech_end = self._speech_end or (None if self._speaking else passed)
            return self._give_way("the person spoke", now) if self._replying else []
        self._heard.take(passed)
        return []

    def _give_way(self, reason: str, now: Nanos) -> list[Move]:
        since = self._speech_start
        self._cut_in = self._over
        self._course.gave_way(since, self._o.care_within)
        self.reply_ended(now)
        return [GiveWay(reason, since)]

    def _scrap(self) -> list[Move]:
        drafted, self._drafted = self._drafted, ""
        return [Scrap()] if drafted else []

    def _wants_turn(self) -> bool:
        return wants_turn(self._heard.text(), self._o.backchannels)

    def _settle(self, now: Nanos) -> list[Move]:
        o = self._o
        if self._held_at is not None:
            if self._speaking:
                if now >= self._speech_start + o.give_way_after:
                    return self._give_way("the person keeps speaking", now)
                return []
            return self._go_on(now)
        stuck = self._stuck()
        if stuck is not None and now >= stuck:
            self._speaking, self._probability = False, None
            self._speech_end = self._clear_at = min(now, self._words_at)
        if self._speaking or self._pushed:
            return []
        if self._speech_end is not None and not self._replying:
            moves = self._end_of_turn(now)
            if moves:
                return moves
        if self._may_ask_in_silence() and now >= self._quiet_since + o.silence * (1 + self._silences):
            self._silences += 1
            return [Consider(CUE_SILENCE)]
        return []

    def _go_on(self, now: Nanos) -> list[Move]:
        """Let the held voice go on, once it is clear that the sound was no turn."""
        end = self._speech_end or self._held_at or now
        known = self._speech_end is not None and self._words_known() and bool(self._heard.text())
        if not known and now < end + self._o.resume_after:
            return []
        self._held_at = self._speech_end = None
        if known:
            self._heard.take(end)
        else:
            self._passed = end
        return [Resume()]

    def _end_of_turn(self, now: Nanos) -> list[Move]:
        assert self._speech_end is not None
        o = self._o
        silence = now - self._speech_end
        if not self._words_known() and silence < o.words_wait:
            return []
        text = self._heard.text()
        span = self._heard.span()
        if not text or span is None:
            if silence >= o.noise_after:
                self._speech_end = None
            return []
        turn = Turn("user", text, span[0], max(span[1], self._speech_end))
        patience = self._patience()
        if silence < patience and self._pushed is None:
            if o.drafts and text != self._drafted and self._looks_complete(text):
                self._drafted = text
                return [Draft(turn)]
            return []
        clear = min(now, max(self._clear_at, self._speech_end + patience))
        ended, words = clear - self._speech_end, now - clear
        self._heard.take(self._speech_end)
        self._speech_end = self._wept_at = None
        self._silences = 0
        self._drafted, self._cut_in = "", False
        self._course.took(text, now)
        return [Consider(CUE_END_OF_TURN, turn, ended, words)]

    def _words_known(self) -> bool:
        assert self._speech_end is not None
        return self._heard.known_until() >= self._speech_end - 200 * MS

    def _stuck(self) -> Nanos | None:
        """Return when a voice that brings no words is taken for noise, if there is a turn to be ended by that."""
        if not (self._speaking and self._partials) or self._replying or self._pushed or not self._heard.text():
            return None
        return self._words_at + self._o.wordless

    def _may_ask_in_silence(self) -> bool:
        quiet = not self._speaking and not self._replying and self._speech_end is None
        return bool(self._o.silence) and quiet and self._silences < self._o.silence_most

    def _patience(self) -> Nanos:
        o = self._o
        if self._pushed is False:
            return 0
        signs = self.signs()
        base = o.patience_unknown if signs is None else self._by_signs(signs)
        if base < o.heavy and weighs(self._heard.latest()):
            base = o.heavy
        if self._sound_end and self._speech_end is not None:  # somebody who breathes in or clears the throat goes on
            base = max(base, self._sound_end + o.resume_after - self._speech_end)
        return min(base + self._further(), max(base, o.longest))

    def _by_signs(self, signs: Signs) -> Nanos:
        o, text = self._o, self._heard.text()
        if trails_off(text, finished=signs.probability >= _FINISHED) or announces(text) or self._took_floor(text):
            return o.patience_open
        over = self._ending.probability(signs)
        if over >= o.over_at:
            return min(o.patience_sure + self._course.cares * o.care, o.patience)
        asks = text.rstrip().endswith("?") and signs.probability >= o.complete_at
        return o.patience_likely if asks or over >= o.likely_at else o.patience

    def _took_floor(self, text: str) -> bool:
        """Return whether the person has just cut the agent off, and so has more to say than these few words."""
        return self._cut_in and len(text.split()) < self._o.cut_in_words and not text.rstrip().endswith("?")

    def _looks_complete(self, text: str) -> bool:
        """Return whether it is worth preparing a reply."""
        signs = self.signs()
        if signs is None or not self._words_known() or trails_off(text, finished=True):
            return False
        return signs.probability >= self._o.complete_at or self._ending.probability(signs) >= self._o.likely_at

    def _further(self) -> Nanos:
        """Return the further silence that somebody deserves who looks away, and more if they weep."""
        if not self._away:
            return 0
        o, at = self._o, self._wept_at
        weeps = at is not None and at >= (self._speech_end or 0) - o.weeping_memory
        return o.weeping_away if weeps else o.away
