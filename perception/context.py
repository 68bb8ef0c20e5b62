"""The rolling context: what was perceived and said, bounded, in the order in which it became known.

Entries are only ever appended, and leave in large blocks from the front, so that a text rendered from
them stays a valid prefix of the next rendering (see :mod:`policy.prompt`) until a block leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from perception.media import AudioChunk, Text, VideoFrame
from perception.percept import Percept
from perception.timebase import MS, SECOND, Nanos

CUE_NOTHING = ""
CUE_END_OF_TURN = "end_of_turn"
CUE_QUESTION = "question"
CUE_SILENCE = "silence"
CUE_AFFECT = "affect"
CUE_GREETING = "greeting"
CUE_ARRIVAL = "arrival"
CUE_LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said.

    Attributes:
        speaker: ``user`` or ``agent``.
        text: the words; of a cut agent turn, those that were heard, not those that were planned.
        start: first instant of the voice.
        end: first instant after it.
        cut: whether the other side cut it off.
    """

    speaker: str
    text: str
    start: Nanos
    end: Nanos
    cut: bool = False


Entry = Percept | Turn | Text


@dataclass(frozen=True, slots=True, eq=False)
class ContextWindow:
    """A photograph of the context; safe to keep while the world moves on.

    Attributes:
        start: instant of the oldest thing in it.
        end: the instant it was taken.
        entries: percepts, turns and typed texts in order of arrival.
        first: number of entries that have left in front of ``entries[0]`` since the call began. While it
            stays the same, ``entries`` of a later window begins with all entries of an earlier one. Where something
            was forgotten, those that were kept count as new.
        summary: what left, in a few words; changes only together with ``first``.
        audio: recent sound, oldest first.
        frames: recent pictures, oldest first.
        hearing: words of the user's running turn that are not yet a :class:`Turn`.
        cue: why the policy is asked, one of the ``CUE_`` constants; empty for ``prepare``.
        refused: names of the senses that the person refused.
        cleared: whether a safety lane has looked for danger in it; who stands behind that does not look again.
    """

    start: Nanos
    end: Nanos
    entries: tuple[Entry, ...] = ()
    first: int = 0
    summary: str = ""
    audio: tuple[AudioChunk, ...] = ()
    frames: tuple[VideoFrame, ...] = ()
    hearing: str = ""
    cue: str = CUE_NOTHING
    refused: frozenset[str] = frozenset()
    cleared: bool = False

    @property
    def percepts(self) -> tuple[Percept, ...]:
        """The percepts among the entries."""
        return tuple(e for e in self.entries if isinstance(e, Percept))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns among the entries."""
        return tuple(e for e in self.entries if isinstance(e, Turn))

    def latest(self, kind: str, within: Nanos | None = None) -> Percept | None:
        """Return the newest percept of ``kind``, if it ended at most ``within`` before the window's end."""
        for entry in reversed(self.entries):
            if isinstance(entry, Percept) and entry.kind == kind:
                return entry if within is None or entry.end >= self.end - within else None
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is kept.

    Attributes:
        span: age at which entries may leave.
        media_span: age at which sound and pictures leave.
        media_bytes: most bytes of sound and pictures.
        tokens: most tokens of rendered entries.
        entries: most entries, whatever they weigh.
        block: share of the budget that leaves at once when it is exceeded, 0..1.
        frame_gap: pictures closer together than this are not kept.
    """

    span: Nanos = 600 * SECOND
    media_span: Nanos = 30 * SECOND
    media_bytes: int = 64 * 1024 * 1024
    tokens: int = 1600
    entries: int = 8192
    block: float = 0.5
    frame_gap: Nanos = 500 * MS


Weigh = Callable[[Entry], int]
Summarise = Callable[[str, tuple[Entry, ...]], str]


def _plain_weight(entry: Entry) -> int:
    return 0 if isinstance(entry, Percept) else 4 + len(entry.text) // 3


def _plain_summary(summary: str, gone: tuple[Entry, ...]) -> str:
    return summary


class RollingContext:
    """The bounded memory of one call. Not thread-safe: belongs to the call's loop.

    Args:
        bounds: how much is kept.
        weigh: tokens that an entry costs when rendered; must be cheap.
        summarise: from the old summary and the entries that leave to the new summary.
    """

    def __init__(
        self,
        bounds: Bounds | None = None,
        weigh: Weigh = _plain_weight,
        summarise: Summarise = _plain_summary,
    ) -> None:
        self._bounds = bounds or Bounds()
        self._weigh = weigh
        self._summarise = summarise
        self._entries: deque[tuple[Entry, int]] = deque()
        self._tokens = 0
        self._first = 0
        self._summary = ""
        self._audio: deque[AudioChunk] = deque()
        self._frames: deque[VideoFrame] = deque()
        self._media_bytes = 0
        self._now: Nanos = 0

    @property
    def tokens(self) -> int:
        """Tokens of all kept entries, as ``weigh`` counts them."""
        return self._tokens

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is kept now, in order of arrival."""
        return tuple(entry for entry, _ in self._entries)

    @property
    def media_bytes(self) -> int:
        """Bytes of kept sound and pictures."""
        return self._media_bytes

    def hear(self, chunk: AudioChunk) -> None:
        """Remember sound."""
        self._audio.append(chunk)
        self._media_bytes += chunk.samples.nbytes
        self._advance(chunk.end)
        self._trim_media()

    def see(self, frame: VideoFrame) -> None:
        """Remember a picture, unless the last kept one is younger than ``frame_gap``."""
        self._advance(frame.at)
        if self._frames and frame.at - self._frames[-1].at < self._bounds.frame_gap:
            return
        self._frames.append(frame)
        self._media_bytes += frame.pixels.nbytes
        self._trim_media()

    def note(self, entry: Entry) -> None:
        """Append what was perceived, said or typed."""
        weight = self._weigh(entry)
        self._entries.append((entry, weight))
        self._tokens += weight
        self._advance(entry.at if isinstance(entry, Text) else entry.end)
        self._trim_entries()

    def forget_media(self, of: type[AudioChunk] | type[VideoFrame]) -> None:
        """Drop all kept sound, or all kept pictures, at once (a sense was refused)."""
        (self._audio if of is AudioChunk else self._frames).clear()
        self._media_bytes = sum(a.samples.nbytes for a in self._audio) + sum(f.pixels.nbytes for f in self._frames)

    def forget(self, left: Callable[[Entry], Entry | None]) -> None:
        """Keep of every entry what ``left`` leaves of it, ``None`` for nothing, and of the summary nothing at all.

        What left earlier may be in the summary in other words, so that it cannot be told apart. Windows before and
        after share no entries, as when a block leaves.
        """
        kept = [(found, found is entry) for entry, _ in self._entries if (found := left(entry)) is not None]
        if not self._summary and len(kept) == len(self._entries) and all(same for _, same in kept):
            return
        self._first += max(1, len(self._entries))
        self._summary = ""
        self._entries = deque((entry, self._weigh(entry)) for entry, _ in kept)
        self._tokens = sum(weight for _, weight in self._entries)

    def window(
        self, now: Nanos, *, cue: str = CUE_NOTHING, hearing: str = "", refused: Iterable[str] = ()
    ) -> ContextWindow:
        """Take a photograph at ``now``."""
        entries = self.entries
        return ContextWindow(
            start=_begin(entries[0]) if entries else now,
            end=now,
            entries=entries,
            first=self._first,
            summary=self._summary,
            audio=tuple(self._audio),
            frames=tuple(self._frames),
            hearing=hearing,
            cue=cue,
            refused=frozenset(refused),
        )

    def _advance(self, instant: Nanos) -> None:
        self._now = max(self._now, instant)

    def _trim_media(self) -> None:
        oldest = self._now - self._bounds.media_span
        while self._audio and self._audio[0].end <= oldest:
            self._media_bytes -= self._audio.popleft().samples.nbytes
        while self._frames and self._frames[0].at < oldest:
            self._media_bytes -= self._frames.popleft().pixels.nbytes
        while self._media_bytes > self._bounds.media_bytes and (self._frames or self._audio):
            if self._frames:
                self._media_bytes -= self._frames.popleft().pixels.nbytes
            else:
                self._media_bytes -= self._audio.popleft().samples.nbytes

    def _trim_entries(self) -> None:
        bounds = self._bounds
        oldest = self._now - bounds.span
        if (
            self._tokens <= bounds.tokens
            and len(self._entries) <= bounds.entries
            and _finish(self._entries[0][0]) > oldest
        ):
            return
        keep = 1.0 - bounds.block
        gone: list[Entry] = []
        while len(self._entries) > 1 and (
            self._tokens > bounds.tokens * keep
            or len(self._entries) > bounds.entries * keep
            or _finish(self._entries[0][0]) <= self._now - bounds.span * keep
        ):
            entry, weight = self._entries.popleft()
            self._tokens -= weight
            gone.append(entry)
        if gone:
            self._first += len(gone)
            self._summary = self._summarise(self._summary, tuple(gone))


def _begin(entry: Entry) -> Nanos:
    return entry.at if isinstance(entry, Text) else entry.start


def _finish(entry: Entry) -> Nanos:
    return entry.at if isinstance(entry, Text) else entry.end
