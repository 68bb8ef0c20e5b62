"""What was said in a call, for a client that comes back into it with an empty screen, as a page after a reload."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from agent import wire
from agent.action import Caption

MOST_LINES: Final = 60
MOST_LETTERS: Final = 12_000
"""Of all lines together; older ones give way."""

_SEEN: Final = frozenset({"expression", "gaze"})
"""Names by which a client allows what a camera sees, beside those of the workers."""


class Retelling:
    """The captions of one call; they are kept in memory only, and as long as the call.

    Args:
        hearing: senses that need the microphone.
        seeing: senses that need the camera: what was said does not rest on these.
        allowed: what the person allows at the beginning; ``None`` for all.
    """

    def __init__(
        self, hearing: Collection[str] = (), seeing: Collection[str] = (), allowed: frozenset[str] | None = frozenset()
    ) -> None:
        self._captions = wire.Captions()
        self._lines: list[Caption] = []
        self._seeing = _SEEN.union(seeing)
        self._every = self._seeing.union(hearing)
        self._allowed = self._every if allowed is None else allowed
        self._greeted = False

    def messages(self, caption: Caption) -> list[wire.Outbound]:
        """Return a caption as messages, and remember it."""
        if caption.speaker == "agent" or caption.final:
            self._remember(caption)
        return self._captions.messages(caption)

    def greeted(self) -> list[wire.Outbound]:
        """Return what a client is told that says it is ready: at first nothing, and after that all that was said."""
        again, self._greeted = self._greeted, True
        return [wire.ours("captions", lines=[_line(caption) for caption in self._lines])] if again else []

    def allow(self, senses: frozenset[str] | None) -> None:
        """Follow what the person allows, ``None`` for all: with a sense that may have heard, what was said goes."""
        senses = self._every if senses is None else senses
        if not self._allowed - senses <= self._seeing:
            self._lines.clear()
        self._allowed = senses

    def _remember(self, caption: Caption) -> None:
        known = next((n for n, line in enumerate(self._lines) if _same(line, caption)), None)
        if known is None:
            self._lines.append(caption)
        else:
            self._lines[known] = caption
        while len(self._lines) > MOST_LINES or (
            len(self._lines) > 1 and sum(len(line.text) for line in self._lines) > MOST_LETTERS
        ):
            del self._lines[0]


def _same(line: Caption, caption: Caption) -> bool:
    """Tell whether a caption takes the place of a line: the agent's of one reply do."""
    return caption.speaker == line.speaker == "agent" and caption.reply == line.reply and bool(caption.reply)


def _line(caption: Caption) -> dict[str, Any]:
    return {
        "speaker": caption.speaker,
        "text": caption.text[-MOST_LETTERS:],
        "final": caption.final,
        "reply": caption.reply,
        "cut": caption.cut,
    }
