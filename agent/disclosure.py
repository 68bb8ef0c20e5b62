"""The agent says that it is an AI: at the start, when asked, and again after hours. Time in, due out.

The greeting says it first. Where somebody has typed or spoken before the greeting was heard, they are answered, and it
is said alone, in the first pause after an answer that does not comfort. From the first time on a clock runs, three
hours for adults and one for minors; when it has run out, it is said in the next such pause. Whoever leaves no pause
hears it at the end of the next answer that does not comfort, and after :attr:`DisclosureOptions.grace` at the end of
any, but never with words about a danger. Whoever asks gets a straight answer, whatever the policy would have said.
Only what was *heard* counts: a greeting that was cut off before the word fell is made up for.

:class:`Disclosing` stands around the session of any policy, so that this does not hang on what a model writes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final

from agent.journal import Body, Decided
from agent.streams import ending
from agent.thinking import Thinking, Told
from agent.turn_words import weighs
from perception.context import CUE_END_OF_TURN, CUE_QUESTION, ContextWindow, Turn
from perception.media import Text
from perception.timebase import MS, SECOND, Nanos
from policy import honesty
from policy.cues import cues_of
from policy.decision import Speak

CUE_DISCLOSURE: Final = "disclosure"
"""The cue of a reply that says nothing else."""

_HOUR: Final[Nanos] = 3600 * SECOND
_NATURAL: Final = frozenset({CUE_END_OF_TURN, CUE_QUESTION})
_COMFORT: Final = frozenset({"concern", "sad", "tender"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureOptions:
    """How often the agent says that it is an AI.

    Attributes:
        every: time after which it says so again.
        every_minor: the same where a minor talks.
        minor: whether a minor talks; whoever opens the call has to know.
        grace: longest time for which a reply that comforts somebody is let go by without it.
        pause: silence of both sides after a reply, in which it is said alone.

    Raises:
        ValueError: a time is not above 0; the message names it.
    """

    every: Nanos = 3 * _HOUR
    every_minor: Nanos = _HOUR
    minor: bool = False
    grace: Nanos = 120 * SECOND
    pause: Nanos = 1200 * MS

    def __post_init__(self) -> None:
        for name in ("every", "every_minor"):
            if getattr(self, name) <= 0:
                raise ValueError(
                    f"disclosure.{name} is {getattr(self, name) / SECOND:g} s, expected more than 0; the reminder that "
                    "an AI is speaking cannot be switched off"
                )
        for name in ("grace", "pause"):
            if getattr(self, name) < 0:
                raise ValueError(f"disclosure.{name} is {getattr(self, name) / SECOND:g} s, expected 0 or more")

    @property
    def interval(self) -> Nanos:
        """The time that holds for this call."""
        return self.every_minor if self.minor else self.every


class Disclosure:
    """Knows when it is time to say so again.

    Args:
        options: how often.
        greets: whether the call begins with a greeting that says it; without one, the host application says it.
    """

    def __init__(self, options: DisclosureOptions | None = None, *, greets: bool = True) -> None:
        self._interval = (options or DisclosureOptions()).interval
        self._greets = greets
        self._last: Nanos | None = None

    @property
    def never(self) -> bool:
        """Whether it has not been said in this call."""
        return self._last is None

    def told(self, turn: Turn) -> None:
        """Take in what was said: a turn of the agent in which it was heard starts the time anew."""
        if turn.speaker == "agent" and honesty.says_ai(turn.text):
            self._last = max(turn.end, self._last or 0)

    def heard(self, window: ContextWindow) -> None:
        """Take in all that was said."""
        for turn in window.turns:
            self.told(turn)

    def due(self, now: Nanos) -> bool:
        """Tell whether it has to be said at ``now``."""
        if self._last is None and self._greets:
            return True
        return now - (self._last or 0) >= self._interval


class Disclosing:
    """A session that also discloses; see the module.

    Args:
        inner: the session of the policy.
        options: how often.
        greets: see :class:`Disclosure`.
    """

    def __init__(self, inner: Thinking, options: DisclosureOptions | None = None, *, greets: bool = True) -> None:
        self._inner = inner
        self._options = options or DisclosureOptions()
        self._disclosure = Disclosure(self._options, greets=greets)
        # What the person said is not kept here, where a withdrawal would not find it: only whether it was heavy.
        self._answers = self._heavy = self._comforted = self._danger = False
        self._pause: Nanos | None = None
        self._owed: Nanos | None = None
        self._missed = False

    async def prepare(self, window: ContextWindow, /) -> None:
        """Let the policy read along."""
        await self._inner.prepare(window)

    def decide(self, window: ContextWindow, /) -> AsyncIterator[Told]:
        """Let the policy decide, and add what has to be said; to :data:`CUE_DISCLOSURE`, say that alone."""
        self._disclosure.heard(window)
        if window.cue == CUE_DISCLOSURE:
            return self._alone(window)
        if window.cue not in _NATURAL or _in_form(window):
            return self._inner.decide(window)
        return self._decide(window)

    async def close(self) -> None:
        """Free what the policy held."""
        await self._inner.close()

    def saw(self, body: Body) -> None:
        """Take in what is recorded of the call: what was decided, and what either side said."""
        match body:
            case Decided(decision=Speak() as spoken):
                self._comforted = self._comforted or spoken.emotion in _COMFORT
                self._danger = self._danger or spoken.strategy == "safety"
            case Turn(speaker="user"):
                # A pause that the person ended was none.
                self._missed = self._missed or self._pause is not None
                self._answers, self._heavy, self._pause = True, weighs(body.text), None
                self._comforted = self._danger = False
            case Turn():
                self._disclosure.told(body)
                late = self._late(body.end)
                self._missed = self._missed and late is not None
                never = late is None or body.cut or self._danger or not self._answers
                waits = late is not None and late < self._options.grace and (self._heavy or self._comforted)
                self._pause = None if never or waits else body.end
                self._answers = self._comforted = self._danger = False

    def alone(self, now: Nanos, *, busy: bool) -> str:
        """Return :data:`CUE_DISCLOSURE` where it is to be said now, alone, and ``""`` where not.

        What is returned counts as done.

        Args:
            now: the time on the call's clock.
            busy: whether a reply is under way, or the person speaks or waits for one.
        """
        if busy or self._pause is None or now - self._pause < self._options.pause:
            return ""
        self._pause = None
        return CUE_DISCLOSURE

    def _late(self, now: Nanos) -> Nanos | None:
        """Return for how long answers have gone by without it since it was due; ``None`` if it is not."""
        if not self._disclosure.due(now):
            self._owed = None
            return None
        self._owed = now if self._owed is None else self._owed
        return now - self._owed

    async def _alone(self, window: ContextWindow) -> AsyncGenerator[Told, None]:
        never = self._disclosure.never
        text = honesty.straight() if never else honesty.reminder(len(cues_of(window).agent))
        why = "It was not said at the start" if never else "It is time to say it again"
        yield Speak(text=text, tone="soft", strategy="other", emotion="calm", reason=f"{why}: an AI is speaking.")

    async def _decide(self, window: ContextWindow) -> AsyncGenerator[Told, None]:
        spoken: list[Speak] = []
        async with ending(self._inner.decide(window)) as steps:
            async for step in steps:
                if isinstance(step, Speak):
                    spoken.append(step)
                yield step
        if not spoken or any(step.strategy == "safety" or honesty.says_ai(step.text) for step in spoken):
            return
        cues = cues_of(window)
        turn = len(cues.agent)
        if honesty.asks_ai(cues.words):
            yield _line(honesty.straight(turn), spoken[-1], "The person asks whether an AI is speaking; it says so.")
            return
        late = self._late(window.end)
        if late is None:
            return
        comforts = weighs(cues.words) or any(step.emotion in _COMFORT for step in spoken)
        missed = self._missed or self._pause is not None  # a draft comes before the turn that ends the pause
        if late >= self._options.grace or (missed and not comforts):
            text = honesty.reminder(0 if self._disclosure.never else turn)
            yield _line(text, spoken[-1], "It is time to say that an AI is speaking, and there was no pause for it.")


def _line(text: str, last: Speak, reason: str) -> Speak:
    return Speak(text=text, tone="warm", strategy="other", emotion=last.emotion, reason=reason)


def _in_form(window: ContextWindow) -> bool:
    """Tell whether a question wants an answer of a set form, as a benchmark's does."""
    last = next((e for e in reversed(window.entries) if isinstance(e, Text)), None)
    return window.cue == CUE_QUESTION and last is not None and bool(last.form)
