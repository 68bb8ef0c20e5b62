"""The agent says that it is an AI: at the start, when asked, and again after hours. Time in, due out.

The greeting says it first. Where somebody has typed or spoken before anything of it was heard, their answer begins with
it, also one that comforts. From then on a clock runs, three hours for adults and one for minors; when it has run out,
the next natural reply ends with a reminder. Whoever asks gets a straight answer, whatever the policy would have said.
Only what was *heard* counts: a greeting that was cut off before the word fell is made up for.

:class:`Disclosing` stands around the session of any policy, so that this does not hang on what a model writes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final

from agent.streams import ending
from agent.thinking import Thinking, Told
from agent.turn_words import weighs
from perception.context import CUE_END_OF_TURN, CUE_QUESTION, ContextWindow
from perception.media import Text
from perception.timebase import SECOND, Nanos
from policy import honesty, replies
from policy.cues import Cues, cues_of
from policy.decision import Speak
from policy.reading import act_of

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

    Raises:
        ValueError: a time is not above 0; the message names it.
    """

    every: Nanos = 3 * _HOUR
    every_minor: Nanos = _HOUR
    minor: bool = False
    grace: Nanos = 120 * SECOND

    def __post_init__(self) -> None:
        for name in ("every", "every_minor"):
            if getattr(self, name) <= 0:
                raise ValueError(
                    f"disclosure.{name} is {getattr(self, name) / SECOND:g} s, expected more than 0; the reminder that "
                    "an AI is speaking cannot be switched off"
                )
        if self.grace < 0:
            raise ValueError(f"disclosure.grace is {self.grace / SECOND:g} s, expected 0 or more")

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

    def heard(self, window: ContextWindow) -> None:
        """Take in what was said: an agent's turn in which it was heard starts the time anew."""
        for turn in window.turns:
            if turn.speaker == "agent" and honesty.says_ai(turn.text):
                self._last = max(turn.end, self._last or 0)

    def opens(self, window: ContextWindow) -> bool:
        """Tell whether nothing of the greeting that the call begins with was heard, nor anything else of the agent."""
        return self._greets and self._last is None and all(turn.speaker != "agent" for turn in window.turns)

    def due(self, now: Nanos) -> bool:
        """Tell whether it has to be said at ``now``."""
        return self.since(now) is not None

    def since(self, now: Nanos) -> Nanos | None:
        """Return for how long it has been due at ``now``; ``None`` if it is not."""
        if self._last is None and self._greets:
            return now
        late = now - (self._last or 0) - self._interval
        return late if late >= 0 else None


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

    async def prepare(self, window: ContextWindow, /) -> None:
        """Let the policy read along."""
        await self._inner.prepare(window)

    def decide(self, window: ContextWindow, /) -> AsyncIterator[Told]:
        """Let the policy decide, and add what has to be said."""
        self._disclosure.heard(window)
        if window.cue not in _NATURAL or _in_form(window):
            return self._inner.decide(window)
        return self._decide(window)

    async def close(self) -> None:
        """Free what the policy held."""
        await self._inner.close()

    async def _decide(self, window: ContextWindow) -> AsyncGenerator[Told, None]:
        last: Speak | None = None
        said = False
        opens = self._disclosure.opens(window)
        async with ending(self._inner.decide(window)) as steps:
            async for step in steps:
                if isinstance(step, Speak):
                    if opens and last is None and not _says_who(step, cues_of(window).words):
                        said = True
                        yield _line(replies.greeting(), step, "The person spoke first, so it says who answers.")
                    last, said = step, said or honesty.says_ai(step.text)
                yield step
        if last is None or said or last.strategy == "safety":
            return
        cues = cues_of(window)
        turn = len(cues.agent)
        if honesty.asks_ai(cues.words):
            yield _line(honesty.straight(turn), last, "The person asks whether an AI is speaking; it says so.")
            return
        late = self._disclosure.since(window.end)
        if late is None or (not opens and _comforts(last, cues) and late < self._options.grace):
            return
        yield _line(honesty.reminder(turn), last, "It is time to say again that an AI is speaking.")


def _says_who(first: Speak, words: str) -> bool:
    """Tell whether a reply that begins so will say who speaks by itself, or must not be held up by that."""
    return (
        first.strategy == "safety"
        or honesty.says_ai(first.text)
        or honesty.asks_ai(words)
        or act_of(words) == "greeting"
    )


def _comforts(last: Speak, cues: Cues) -> bool:
    """Tell whether a reply comforts somebody: its look says so, or what was said is heavy, whatever the look."""
    return last.emotion in _COMFORT or weighs(cues.words)


def _line(text: str, last: Speak, reason: str) -> Speak:
    return Speak(text=text, tone="warm", strategy="other", emotion=last.emotion, reason=reason)


def _in_form(window: ContextWindow) -> bool:
    """Tell whether a question wants an answer of a set form, as a benchmark's does."""
    last = next((e for e in reversed(window.entries) if isinstance(e, Text)), None)
    return window.cue == CUE_QUESTION and last is not None and bool(last.form)
