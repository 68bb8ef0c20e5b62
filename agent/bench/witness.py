"""A policy under observation: what it could know when it was asked, and what it said.

The witness stands between the loop and the policy. It shows the policy no more than the condition allows, and
fails the answer if anything in the window is later than the question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent.bench.condition import FRAMES, Condition
from agent.streams import end
from agent.thinking import Fell, Thinker, Thinking, Told
from perception.context import ContextWindow
from perception.media import Text
from perception.timebase import Nanos, as_seconds
from policy.decision import GUESS, Decision, Speak, Thought
from policy.given import Given
from policy.prompt import messages


class CausalityError(Exception):
    """Something in a window is later than the question."""


@dataclass(slots=True)
class Sight:
    """One question as the policy met it.

    Attributes:
        text: the question.
        at: instant at which the window was taken.
        prompt: all that can be read in it.
        frames: pictures that the policy got; those in the window, where it does not tell.
        heard_s: seconds of sound, likewise.
        decisions: what the policy decided.
        thoughts: pieces of what it thought before.
        error: what went wrong; ``""`` if nothing did.
    """

    text: str
    at: Nanos
    prompt: tuple[Mapping[str, str], ...] = ()
    frames: int = 0
    heard_s: float = 0.0
    decisions: list[Decision] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def raw(self) -> str | None:
        """The words of the answer, ``None`` if there are none."""
        words = [d.text for d in self.decisions if isinstance(d, Speak)]
        return " ".join(words) if words else None

    @property
    def thought(self) -> str:
        """What the policy thought before it decided; no part of the answer."""
        return " ".join(self.thoughts)

    @property
    def reason(self) -> str:
        """Why, as the policy says."""
        return next((d.reason for d in self.decisions), "")

    @property
    def guessed(self) -> bool:
        """Whether the policy says that nothing was perceived that speaks to it."""
        return self.reason.endswith(GUESS)

    @property
    def tokens(self) -> int:
        """Estimated tokens of the prompt: four characters each."""
        return sum(len(message["content"]) // 4 + 4 for message in self.prompt)


class Witness:
    """Wraps a policy for one call.

    Args:
        policy: the one that is asked.
        condition: what it may see.

    Attributes:
        sights: every question that was put, in order.
    """

    def __init__(self, policy: Thinker, condition: Condition) -> None:
        self.sights: list[Sight] = []
        self._policy = policy
        self._condition = condition

    @property
    def name(self) -> str:
        """Of the policy."""
        return self._policy.name

    def session(self) -> _Session:
        """Begin a call."""
        return _Session(self._policy.session(), self)

    def close(self) -> None:
        """Do nothing: the policy is not owned."""

    def show(self, window: ContextWindow) -> ContextWindow:
        """Return what the policy may know of ``window``."""
        if self._condition.feed == "percepts":
            return replace(window, audio=(), frames=())
        return replace(window, frames=window.frames[-FRAMES:])


class _Session:
    def __init__(self, inner: Thinking, witness: Witness) -> None:
        self._inner = inner
        self._witness = witness

    async def prepare(self, window: ContextWindow, /) -> None:
        await self._inner.prepare(self._witness.show(window))

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Told]:
        window = self._witness.show(window)
        question = next((e for e in reversed(window.entries) if isinstance(e, Text) and e.form), None)
        sight = Sight(question.text if question is not None else "", window.end)
        self._witness.sights.append(sight)
        stream: Any = None
        try:
            check_causal(window)
            sight.prompt = tuple(messages(window))
            sight.frames = len(window.frames)
            sight.heard_s = round(as_seconds(sum(chunk.duration for chunk in window.audio)), 3)
            stream = self._inner.decide(window)
            async for step in stream:
                if isinstance(step, Thought):
                    sight.thoughts.append(step.text)
                elif not isinstance(step, Fell):
                    sight.decisions.append(step)
                yield step
        except Exception as error:
            sight.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            if stream is not None:
                await end(stream)
            # A policy that reads the media by itself knows best what of them it read.
            given = getattr(self._inner, "given", None)
            if isinstance(given, Given):
                sight.prompt, sight.frames, sight.heard_s = given.messages, given.frames, given.heard_s

    async def close(self) -> None:
        await self._inner.close()


def check_causal(window: ContextWindow) -> None:
    """Assert that nothing in ``window`` is later than its end.

    Raises:
        CausalityError: something is, and what.
    """
    for entry in window.entries:
        at = entry.at if isinstance(entry, Text) else entry.end
        if at > window.end:
            what = "text" if isinstance(entry, Text) else getattr(entry, "kind", "turn")
            raise CausalityError(f"a {what} of {as_seconds(at):.3f} s was known at {as_seconds(window.end):.3f} s")
    latest = max((*(chunk.end for chunk in window.audio), *(frame.at for frame in window.frames)), default=0)
    if latest > window.end:
        raise CausalityError(f"media of {as_seconds(latest):.3f} s were known at {as_seconds(window.end):.3f} s")
