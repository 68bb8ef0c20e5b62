"""What the senses of a call miss, and when the person has to hear of it: nobody talks into silence without being told.

A sense whose worker is away is told with the note ``senses_away``, whatever else the client may observe: at once where
its process was given up, else after a while. Where it is the hearing, a line is said as well, as soon as a voice is
heard that it misses. Words that were lost because the machine is behind are told with the note ``words_lost`` and a
line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from agent.journal import Note
from agent.sense_map import SenseMap
from agent.senses import Away, Senses
from perception.context import ContextWindow
from perception.percept import PARTIAL, SPEECH_ENDED, SPEECH_STARTED, TRANSCRIPT, Percept
from perception.timebase import SECOND, Nanos
from policy.decision import Speak
from policy.safety.helplines import Country

CUE_UNHEARD: Final = "unheard"
CUE_HEARD_AGAIN: Final = "heard_again"
CUE_WORDS_LOST: Final = "words_lost"
CUES: Final = frozenset({CUE_UNHEARD, CUE_HEARD_AGAIN, CUE_WORDS_LOST})

HEARD_AGAIN: Final = "I can hear you again."

_FINAL: Final = frozenset({"given_up", "barred"})
_MISSED: Final[Nanos] = 2 * SECOND
"""So long a hearing that is away is waited for while somebody talks; a process that was lost is often back by then."""

_LONG: Final[Nanos] = 10 * SECOND
_AGAIN: Final[Nanos] = 30 * SECOND
_WORDS_AGAIN: Final[Nanos] = 60 * SECOND
_REPEAT: Final[Nanos] = 15 * SECOND
"""A page that was loaded anew has to be told, too."""

_WAITS: Final[Nanos] = 3 * SECOND
"""How long the person's sentence is waited for."""

_VOICE: Final[Nanos] = 6 * SECOND
"""Sound that gives way is up to some seconds old."""


def lines(country: Country, *, typing: bool) -> dict[str, str]:
    """Return what is said, by cue.

    Args:
        country: whose emergency number is named.
        typing: whether the person can type.
    """
    instead = "You can type to me instead." if typing else "I am trying to get it back."
    again = "say it again, or type it" if typing else "say it again"
    return {
        CUE_UNHEARD: f"I can't hear you just now. {instead} If you are in danger, please call "
        f"{country.emergency_spoken}.",
        CUE_HEARD_AGAIN: HEARD_AGAIN,
        CUE_WORDS_LOST: f"I'm sorry, I missed some of what you said. Could you {again}?",
    }


class Gaps:
    """Of one call; also the session that says the lines, see :class:`agent.thinking.Thinking`.

    Args:
        senses: at work.
        known: what they take.
        country: whose emergency number is named.
        typing: whether the person can type.
    """

    def __init__(self, senses: Senses, known: SenseMap, country: Country, *, typing: bool) -> None:
        self._senses = senses
        self._known = known
        self._typing = typing
        self._lines = lines(country, typing=typing)
        self._reporters: set[str] = set()
        self._talking = False
        self._voice_at: Nanos | None = None
        self._deaf = False
        self._shown: tuple[str, ...] = ()
        self._shown_at: Nanos = 0
        self._said_at: Nanos | None = None
        self._dropped = 0
        self._lost_at: Nanos | None = None
        self._line = ""
        self._by: Nanos = 0

    def saw(self, percept: Percept, now: Nanos) -> None:
        """Take in a percept that became known at ``now``."""
        if percept.kind in (SPEECH_STARTED, SPEECH_ENDED):
            self._talking = percept.kind == SPEECH_STARTED
            self._voice_at = now
        elif percept.kind in (PARTIAL, TRANSCRIPT):
            self._reporters.add(percept.worker)

    def step(self, now: Nanos, allowed: frozenset[str] | None) -> list[Note]:
        """Return what is to be told now.

        Args:
            now: the time on the call's clock.
            allowed: names of the senses that are allowed, ``None`` for all.
        """
        if self._talking:
            self._voice_at = now
        away = {one.name: one for one in self._senses.away() if allowed is None or one.name in allowed}
        self._follow_hearing(away, now, allowed)
        found = self._words_lost(now, allowed)
        told = tuple(sorted(name for name, one in away.items() if self._tells(one, now)))
        if told != self._shown or (told and now - self._shown_at >= _REPEAT):
            self._shown, self._shown_at = told, now
            data = {"senses": list(told), "hearing": self._deaf, "typing": self._typing}
            found.append(Note("senses_away", "error" if told else "info", data))
        return found

    def due(self, now: Nanos, *, replying: bool, talking: bool) -> str:
        """Return the cue of a line that has to be said now; ``""`` for none. What is returned counts as said.

        Args:
            now: the time on the call's clock.
            replying: whether the agent says something.
            talking: whether the person does.
        """
        cue = self._line
        if not cue or replying or (talking and now < self._by):
            return ""
        self._line, self._said_at = "", now
        return cue

    async def prepare(self, window: ContextWindow, /) -> None:
        """There is nothing to prepare."""

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Speak]:
        """Say the line of the window's cue."""
        back = window.cue == CUE_HEARD_AGAIN
        why = "The hearing is back." if back else "Words of the person could not be heard."
        yield Speak(text=self._lines[window.cue], tone="soft", emotion="warm" if back else "concern", reason=why)

    async def close(self) -> None:
        """There is nothing to free."""

    def _follow_hearing(self, away: dict[str, Away], now: Nanos, allowed: frozenset[str] | None) -> None:
        lost = self._lost_hearing(away, allowed)
        if not lost:
            if self._deaf:
                self._deaf = False
                self._say(CUE_HEARD_AGAIN if self._line != CUE_UNHEARD else "", now)
            return
        since = min(one.since for one in lost)
        voice = self._voice_at is not None and self._voice_at >= since - SECOND
        missed = (voice and now - since >= _MISSED) or now - since >= _LONG
        if not self._deaf and (missed or any(one.why in _FINAL for one in lost)):
            self._deaf = True
            self._say(CUE_UNHEARD, now)
        elif self._deaf and not self._line and self._talks_on(now):
            self._say(CUE_UNHEARD, now)

    def _talks_on(self, now: Nanos) -> bool:
        """Return whether the person talks although they were told, a while ago, that they are not heard."""
        if self._said_at is None or self._voice_at is None:
            return False
        return now - self._said_at >= _AGAIN and self._voice_at > self._said_at + SECOND

    def _lost_hearing(self, away: dict[str, Away], allowed: frozenset[str] | None) -> list[Away]:
        """Return the senses without which no word is known, where they are away."""
        words = self._words(allowed)
        lost = [away[name] for name in words if name in away]
        if words and len(lost) == len(words):
            return lost
        return [away["vad"]] if words and "vad" in away else []

    def _words(self, allowed: frozenset[str] | None) -> frozenset[str]:
        """Return the allowed senses that give words: those that have, or else the recogniser, or all that hear."""
        ears = self._known.ears if allowed is None else self._known.ears & allowed
        return (ears & self._reporters) or (ears & {"asr"}) or ears

    def _words_lost(self, now: Nanos, allowed: frozenset[str] | None) -> list[Note]:
        words = self._words(allowed)
        before = self._dropped
        self._dropped = sum(report.dropped for report in self._senses.report() if report.name in words)
        lost = self._dropped - before
        if lost <= 0 or self._voice_at is None or now - self._voice_at > _VOICE:
            return []
        if self._lost_at is None or now - self._lost_at >= _WORDS_AGAIN:
            self._lost_at = now
            if not self._deaf:
                self._say(CUE_WORDS_LOST, now)
            return [Note("words_lost", "warning", {"typing": self._typing})]
        return []

    def _tells(self, one: Away, now: Nanos) -> bool:
        if one.why in _FINAL or now - one.since >= _LONG:
            return True
        return self._deaf and one.name in self._known.ears

    def _say(self, cue: str, now: Nanos) -> None:
        self._line, self._by = cue, now + _WAITS
