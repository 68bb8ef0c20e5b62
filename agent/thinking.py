"""What a call hears from what thinks for it: a policy, or several minds behind one another (:mod:`agent.minds`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from perception.context import ContextWindow
from policy.decision import Step
from policy.form import Garbled
from policy.safety.helplines import Country


@dataclass(frozen=True, slots=True, kw_only=True)
class Fell:
    """A mind gave up its reply; told between the steps, so that it can be recorded in order.

    Attributes:
        mind: its name.
        why: ``late`` (no decision in time), ``stalled`` (it stopped in the middle), ``silent`` (it ended without a
            decision), or ``failed`` (it raised).
        error: the kind of the exception and never its words, which may quote somebody; ``""`` where there was none.
        next: the mind that is asked instead; ``""`` where something was said already, or nobody is left.
    """

    mind: str
    why: str
    error: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The safety lane found danger in what was said; told in front of its decisions, without the words.

    Attributes:
        kind: one of :data:`policy.safety.detector.KINDS`.
        country: whose help is to be shown.
        level: ``plain`` where it was said plainly, ``confirmed`` where a hint was confirmed, ``policy`` where the
            policy came upon it by itself; ``hint`` where it is only hinted at, and nothing is shown; ``language``
            where the words are not understood, and help is shown in case.
    """

    kind: str
    country: Country
    level: str = "plain"

    @property
    def shows(self) -> bool:
        """Whether help is shown."""
        return self.level != "hint"

    @property
    def danger(self) -> bool:
        """Whether it is a danger, of which an operator is told."""
        return self.level in ("plain", "confirmed", "policy")


Told = Step | Fell | Alarm
"""What a call hears from what thinks for it."""


class Thinking(Protocol):
    """One call's share of what thinks for it; every :class:`policy.backends.Session` is one."""

    async def prepare(self, window: ContextWindow, /) -> None:
        """Take in what is known so far; say nothing."""
        ...

    def decide(self, window: ContextWindow, /) -> AsyncIterator[Told]:
        """Answer ``window.cue``."""
        ...

    async def close(self) -> None:
        """Free what the call held."""
        ...


class Thinker(Protocol):
    """What thinks for all calls: a :class:`policy.backends.Policy`, or :class:`Minds`."""

    @property
    def name(self) -> str:
        """As shown on the page and in metrics."""
        ...

    def session(self) -> Thinking:
        """Begin a call."""
        ...

    def close(self) -> None:
        """Free weights and threads."""
        ...


def kind_of(error: BaseException) -> str:
    """Return the kind of an exception without its words, such as ``ApiError (busy)``."""
    kind = getattr(error, "kind", "")
    return f"{type(error).__name__} ({kind})" if isinstance(kind, str) and kind else type(error).__name__


def told_of(error: BaseException) -> Mapping[str, Any]:
    """Return an exception for the log: its words under ``pii.`` where they may quote what was read or written.

    Errors of the system and of a served model that have a kind are told in words of their own; any other may quote.
    """
    quotes = any(isinstance(found, Garbled) for found in (error, error.__cause__, error.__context__))
    plain = isinstance(error, OSError) or getattr(error, "kind", "garbled") != "garbled"
    return {"kind": kind_of(error), "error" if plain and not quotes else "pii.error": str(error)}
