"""What stands in for a sense and for a voice where a call is staged: by a benchmark, a measure, or a test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from perception.media import RATE_HZ, AudioChunk, Media, VideoFrame
from perception.percept import Percept
from perception.timebase import Nanos

Line = tuple[Nanos, Percept]
"""A percept and when it becomes known."""


class Script:
    """A sense that reports what its script says, each percept once its time has been fed.

    Args:
        name: of the sense.
        lines: what it reports.
        sees: whether it is fed pictures, instead of sound.
    """

    def __init__(self, name: str, lines: Sequence[Line], *, sees: bool = False) -> None:
        self.name = name
        self.accepts: tuple[type[AudioChunk] | type[VideoFrame], ...] = (VideoFrame if sees else AudioChunk,)
        self._lines = sorted(lines, key=lambda line: line[0])

    def __call__(self) -> Reporting:
        """Begin a call."""
        return Reporting(list(self._lines))


class Reporting:
    """One call of a :class:`Script`."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Return what has become known by the end of ``media``."""
        last = media[-1]
        until = last.end if isinstance(last, AudioChunk) else last.at
        found: list[Percept] = []
        while self._lines and self._lines[0][0] <= until:
            found.append(self._lines.pop(0)[1])
        return found


class Mute:
    """A voice without sound: what is said stands at once as said, and is read, not heard."""

    name = "mute"
    rate_hz = RATE_HZ

    async def say(self, text: str, tone: str, /) -> AsyncGenerator[AudioChunk, None]:
        """Yield nothing."""
        for _ in ():
            yield _

    def close(self) -> None:
        """Free nothing."""
