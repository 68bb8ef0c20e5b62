"""Turn taking, without input or output: percepts and instants in, moves out.

The taker never reads a clock and never waits. It is told what was perceived and what the agent's voice
does, says which moves follow, and names the next instant at which it wants to be asked again
(:meth:`TurnTaker.deadline`).

End of turn. The voice has stopped (VAD), the words up to that pause are known (ASR), and either the turn
detector calls them complete, or the silence has lasted longer than its doubt deserves: ``patience`` when
the words look unfinished, ``patience_sentence`` when they end like a sentence.

Barge-in. The first sound of the person holds the agent's voice at once. Words make it final and the
reply is dropped; no words, or only a listener's "mm-hm", and the reply goes on where it was held.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from perception.context import CUE_END_OF_TURN, CUE_GREETING, CUE_QUESTION, CUE_SILENCE, Turn
from perception.media import Text
from perception.percept import END_OF_TURN, PARTIAL, SPEECH_ENDED, SPEECH_STARTED, TRANSCRIPT, Percept
from perception.timebase import MS, SECOND, Nanos, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """When a turn ends and when the agent gives way.

    Attributes:
        complete_at: turn-detector probability from which a pause ends the turn.
        patience_unknown: silence that ends a turn when no detector has spoken.
        patience_sentence: silence that ends a turn that the detector calls incomplete but whose words end
            like a sentence.
        patience: silence that ends any turn.
        words_wait: longest wait for the words of a pause before the turn is judged without them.
        noise_after: silence after which a sound without words is forgotten.
        resume_after: silence after which a held reply goes on when no words came.
        give_way_after: speech over a held reply that makes it give way even before words are known.
        silence: quiet after which the policy is asked whether to say something; 0 for never.
        silence_most: most such questions in a row.
        backchannels: what a listener says without wanting the turn.
    """

    complete_at: float = 0.5
    patience_unknown: Nanos = 500 * MS
    patience_sentence: Nanos = 600 * MS
    patience: Nanos = 1200 * MS
    words_wait: Nanos = 2 * SECOND
    noise_after: Nanos = 1000 * MS
    resume_after: Nanos = 500 * MS
    give_way_after: Nanos = 1000 * MS
    silence: Nanos = 20 * SECOND
    silence_most: int = 2
    backchannels: frozenset[str] = frozenset(
        {"mm", "mhm", "mm-hm", "mmhm", "mm-hmm", "uh-huh", "uhuh", "hm", "hmm", "ah", "oh", "yeah", "yep", "okay"}
        | {"ok", "right", "sure", "wow", "really", "i see", "uh"}
    )


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


Move = Consider | Hold | Resume | GiveWay


@dataclass(slots=True)
class _Utterance:
    words: tuple[str, ...]
    starts: tuple[float, ...]
    start: Nanos
    end: Nanos
    final: bool


@dataclass(slots=True)
class _Heard:
    """What the person has said since their last turn was taken."""

    utterances: dict[int, _Utterance] = field(default_factory=dict)
    taken_until: Nanos = 0

    def put(self, percept: Percept, final: bool) -> None:
        key = int(percept.number("utterance"))
        known = self.utterances.get(key)
        if known is not None and known.final and not final and percept.end <= known.end:
            return
        starts = percept.data.get("word_starts", ())
        words = tuple(percept.label.split())
        fresh = _Utterance(words, starts if isinstance(starts, tuple) else (), percept.start, percept.end, final)
        if not final and fresh.start < self.taken_until:
            # A partial of an utterance whose beginning was already taken: its word times are not known, so
            # the words that were taken are counted off instead.
            taken = known.words if known is not None and known.final else ()
            fresh.words = words[len(taken) :] if len(words) >= len(taken) else ()
        self.utterances[key] = fresh

    def text(self) -> str:
        return " ".join(word for u in self._by_time() for word in self._left(u))

    def _by_time(self) -> list[_Utterance]:
        return sorted(self.utterances.values(), key=lambda u: u.start)

    def _left(self, utterance: _Utterance) -> tuple[str, ...]:
        if len(utterance.starts) == len(utterance.words):
            return tuple(
                w for w, s in zip(utterance.words, utterance.starts, strict=True) if seconds(s) >= self.taken_until
            )
        return utterance.words if utterance.end > self.taken_until else ()

    def span(self) -> tuple[Nanos, Nanos] | None:
        left = [u for u in self._by_time() if self._left(u)]
        return (max(left[0].start, self.taken_until), left[-1].end) if left else None

    def known_until(self) -> Nanos:
        return max((u.end for u in self.utterances.values() if u.final), default=0)

    def take(self, until: Nanos) -> None:
        self.taken_until = until
        newest = max(self.utterances, default=None)
        self.utterances = {k: u for k, u in self.utterances.items() if k == newest}


class TurnTaker:
    """Decides whose turn it is in one call.

    Args:
        options: when a turn ends and when the agent gives way.
    """

    def __init__(self, options: TurnOptions | None = None) -> None:
        self._o = options or TurnOptions()
        self._heard = _Heard()
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
                self._speaking = False
                self._speech_end = percept.end
                self._quiet_since = self._clear_at = now
            case k if k == END_OF_TURN:
                self._probability = percept.number("probability", percept.confidence)
                self._clear_at = now
            case k if k in (PARTIAL, TRANSCRIPT):
                self._heard.put(percept, final=k == TRANSCRIPT)
                if self._held_at is not None and self._wants_turn():
                    return self._give_way("the person speaks", now)
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
        elif not self._speaking and not self._replying and self._speech_end is not None and not self._pushed:
            if self._words_known():
                ends.append(self._speech_end + (self._patience() if self._heard.text() else o.noise_after))
            else:
                ends.append(self._speech_end + max(o.words_wait, self._patience(), o.noise_after))
        if self._may_ask_in_silence():
            ends.append(self._quiet_since + o.silence * (1 + self._silences))
        return min(ends, default=None)

    def _voice_on(self, percept: Percept, now: Nanos) -> list[Move]:
        self._speaking = True
        self._speech_start = percept.start
        self._speech_end = None
        self._probability = None
        self._silences = 0
        if not self._replying:
            return []
        if not self._audible:
            return self._give_way("the person goes on", now)
        if self._held_at is None:
            self._held_at = now
            return [Hold(percept.start)]
        return []

    def _give_way(self, reason: str, now: Nanos) -> list[Move]:
        since = self._speech_start
        self.reply_ended(now)
        return [GiveWay(reason, since)]

    def _wants_turn(self) -> bool:
        text = _plain(self._heard.text())
        if not text:
            return False
        if text in self._o.backchannels:
            return False
        return any(word not in self._o.backchannels for word in text.split())

    def _settle(self, now: Nanos) -> list[Move]:
        o = self._o
        if self._held_at is not None:
            if self._speaking:
                if now >= self._speech_start + o.give_way_after:
                    return self._give_way("the person keeps speaking", now)
                return []
            if now < (self._speech_end or self._held_at) + o.resume_after:
                return []
            self._held_at = None
            self._heard.take(self._speech_end or now)
            self._speech_end = None
            return [Resume()]
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
        if silence < self._patience() and self._pushed is None:
            return []
        turn = Turn("user", text, span[0], max(span[1], self._speech_end))
        clear = min(now, max(self._clear_at, self._speech_end + self._patience()))
        ended, words = clear - self._speech_end, now - clear
        self._heard.take(self._speech_end)
        self._speech_end = None
        self._silences = 0
        return [Consider(CUE_END_OF_TURN, turn, ended, words)]

    def _words_known(self) -> bool:
        assert self._speech_end is not None
        return self._heard.known_until() >= self._speech_end - 200 * MS

    def _may_ask_in_silence(self) -> bool:
        quiet = not self._speaking and not self._replying and self._speech_end is None
        return bool(self._o.silence) and quiet and self._silences < self._o.silence_most

    def _patience(self) -> Nanos:
        o = self._o
        if self._pushed is False:
            return 0
        if self._probability is None:
            return o.patience_unknown
        if self._probability >= o.complete_at:
            return 0
        return o.patience_sentence if _ends_sentence(self._heard.text()) else o.patience


def _plain(text: str) -> str:
    return re.sub(r"[^a-z' -]", "", text.lower()).strip()


def _ends_sentence(text: str) -> bool:
    return bool(re.search(r"[.!?]['\")]*$", text.strip())) and not text.strip().endswith("...")
