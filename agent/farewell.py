"""The agent takes its leave because the server is about to stop: says so, once, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from perception.context import ContextWindow
from perception.timebase import SECOND, Nanos
from policy.decision import Speak

CUE_CLOSING: Final = "closing"
LINE: Final = (
    "I'm sorry, I have to end our call in a moment, because this server is being restarted. "
    "It is nothing you said. You can call again in a minute."
)
"""What is said. A person may be in the middle of something heavy: it is neither their fault nor the end."""

HELP: Final = "Please don't wait for me: the help on your screen is there for you right now."
"""What is said with it where the safety lane has met a danger in the call."""

_WAITS: Final[Nanos] = 4 * SECOND
"""How long the sentence of either side is waited for."""


class Farewell:
    """One call's leave-taking; also the session that says it. See :class:`agent.thinking.Thinking`.

    Attributes:
        danger: whether the safety lane has met one in this call.
    """

    def __init__(self) -> None:
        self.danger = False
        self._by: Nanos | None = None
        self._begun = False

    def begin(self, now: Nanos, left: Nanos) -> None:
        """The call ends in ``left``."""
        if not self._begun:
            self._begun = True
            self._by = now + min(_WAITS, left // 3)

    def due(self, now: Nanos, *, busy: bool) -> bool:
        """Tell, once, that it has to be said now.

        Args:
            now: the time on the call's clock.
            busy: whether either side is in the middle of a sentence.
        """
        if self._by is None or (busy and now < self._by):
            return False
        self._by = None
        return True

    async def prepare(self, window: ContextWindow, /) -> None:
        """There is nothing to prepare."""

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Speak]:
        """Say it."""
        why = "The server is about to stop."
        yield Speak(text=LINE, tone="warm", emotion="warm", reason=why)
        if self.danger:
            yield Speak(text=HELP, tone="soft", strategy="safety", emotion="concern", reason=why)

    async def close(self) -> None:
        """There is nothing to free."""
