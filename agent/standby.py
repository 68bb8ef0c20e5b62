"""What is left when the voice is not: a few lines kept ready as sound, and when the voice is tried again.

The lines are made with the call's own voice while it is well, at the start. They are held in memory, and never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from agent.streams import ending
from agent.voices import Voice
from perception.media import AudioChunk
from perception.timebase import SECOND, Nanos

log = structlog.get_logger(__name__)

TONE: Final = "soft"
"""The tone in which lines are kept."""

_REST_MOST: Final[Nanos] = 60 * SECOND
_TELL_AGAIN: Final[Nanos] = 60 * SECOND


class Standby:
    """Lines as sound; shared by all calls. Empty until :meth:`warm`."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[AudioChunk, ...]] = {}

    async def warm(self, voice: Voice, lines: Iterable[str]) -> None:
        """Let ``voice`` say every line, and keep it. What it cannot say is logged and left out."""
        for line in lines:
            try:
                async with ending(voice.say(line, TONE)) as chunks:
                    kept = tuple([chunk async for chunk in chunks])
            except Exception as error:
                log.error("line_not_kept", error=type(error).__name__, fix="without it, captions have to do")
                continue
            if kept:
                self._kept[line] = kept

    def sound(self, line: str) -> Sequence[AudioChunk]:
        """Return the sound of ``line``; nothing where it was not kept."""
        return self._kept.get(line, ())


class VoiceHealth:
    """Whether the voice of one call can be asked, and whether the person knows that it cannot.

    Args:
        rest: how long a voice that failed is left alone; doubles with each failure in a row, to a minute.
    """

    def __init__(self, rest: Nanos) -> None:
        self._rest = rest
        self._failures = 0
        self._rests_until: Nanos | None = None
        self._told_at: Nanos | None = None

    def usable(self, now: Nanos) -> bool:
        """Tell whether it is worth asking."""
        return self._rests_until is None or now >= self._rests_until

    def spoke(self) -> None:
        """It has said a clause to its end."""
        self._failures, self._rests_until, self._told_at = 0, None, None

    def failed(self, now: Nanos) -> None:
        """It raised, or was late."""
        self._rests_until = now + min(self._rest << min(self._failures, 8), _REST_MOST)
        self._failures += 1

    def tells(self, now: Nanos) -> bool:
        """Tell whether the person has to hear of it now; what is returned counts as said."""
        if self._told_at is not None and now - self._told_at < _TELL_AGAIN:
            return False
        self._told_at = now
        return True


@dataclass(frozen=True, slots=True)
class Mouth:
    """What a call speaks with."""

    voice: Voice
    standby: Standby
    health: VoiceHealth
