"""What a model that sees and hears by itself reads of a call: lines, pictures and sound as one list that only grows.

:mod:`policy.prompt` renders what the senses wrote; here the pictures and the sound themselves stand between those
lines, in the order of time. Sound comes in blocks, a picture when something changed (an expression, a gesture, a cut,
somebody who came or went) and otherwise every few seconds.

A :class:`Reel` belongs to one call. Media leave a window after seconds; what was read of them stays in the model's
cache and so in the reel, until its budget of tokens is used up. Then the older half goes at once, media first, so that
a cache is read anew seldom and not little by little. The media themselves are let go as soon as they have been read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from perception.context import ContextWindow, Entry
from perception.media import Text, VideoFrame
from perception.percept import EXPRESSION, GESTURE, PRESENCE, SCENE, UNCERTAIN, Percept
from perception.timebase import MS, SECOND, Nanos
from policy.hearing import filled
from policy.prompt import PERSON, Line, Teller
from policy.quoting import unmarked
from policy.signals import Floats

M = TypeVar("M")


class _Medium(Generic[M]):
    """Holds a medium until it has been read."""

    def __init__(self, medium: M) -> None:
        self._medium: M | None = medium

    def release(self) -> None:
        """Let the medium itself go: what was made of it is enough from now on."""
        self._medium = None

    @property
    def held(self) -> M:
        """The medium.

        Raises:
            RuntimeError: it was released.
        """
        if self._medium is None:
            raise RuntimeError("this medium was read and let go; it cannot be read again")
        return self._medium


class Sight(_Medium[VideoFrame]):
    """A picture that is to be read; ``size`` is its height and width."""

    def __init__(self, frame: VideoFrame) -> None:
        super().__init__(frame)
        self.at = frame.at
        self.size: tuple[int, int] = frame.pixels.shape[:2]

    @property
    def frame(self) -> VideoFrame:
        """The picture, until it is released."""
        return self.held


class Sound(_Medium[Floats]):
    """A stretch of sound that is to be read: float32, shape ``(n,)`` at 16 kHz; ``count`` is ``n``."""

    def __init__(self, start: Nanos, end: Nanos, samples: Floats) -> None:
        super().__init__(samples)
        self.start, self.end, self.count = start, end, len(samples)

    @property
    def samples(self) -> Floats:
        """The sound, until it is released."""
        return self.held


Part = Line | Sight | Sound
Weigh = Callable[[Part], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How much of a call is read.

    Attributes:
        block: length of a stretch of sound; the audio tower of Qwen2.5-Omni attends within two seconds.
        least_sound: a shorter rest at the end of a turn is left out.
        quiet_dbfs: a block whose loudness stays below is left out.
        frame_every: a picture is read at least this often.
        frame_gap: and never sooner after another, whatever happens.
        budget: most tokens of what is kept.
        keep: share of the budget that stays when it is used up.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    block: Nanos = 2 * SECOND
    least_sound: Nanos = 200 * MS
    quiet_dbfs: float = -60.0
    frame_every: Nanos = 2 * SECOND
    frame_gap: Nanos = 500 * MS
    budget: int = 12_000
    keep: float = 0.5

    def __post_init__(self) -> None:
        if not 100 * MS <= self.block <= 30 * SECOND:
            raise ValueError(f"block is {self.block / SECOND} s; it is 0.1 to 30")
        if self.frame_gap < 0 or self.frame_every < self.frame_gap:
            raise ValueError("frame_every is shorter than frame_gap; a picture cannot come both sooner and later")
        if self.budget < 256:
            raise ValueError(f"budget is {self.budget} tokens; it is at least 256")
        if not 0.1 <= self.keep <= 0.9:
            raise ValueError(f"keep is {self.keep}; it is 0.1 to 0.9")


@dataclass(frozen=True, slots=True)
class _Item:
    """A part and what it came from: the number of its entry since the call began, ``-1`` for media."""

    part: Part
    entry: int
    at: Nanos


class Reel:
    """The list of one call. Belongs to one session.

    Args:
        sampling: how much is read.
        weigh: tokens of a part.
    """

    def __init__(self, sampling: Sampling, weigh: Weigh) -> None:
        self._sampling = sampling
        self._weigh = weigh
        self._begin()

    def _begin(self) -> None:
        self._first = 0
        self._entries: tuple[Entry, ...] = ()
        self._summary = ""
        self._items: list[_Item] = []
        self._tokens = 0
        self._heard_until: Nanos | None = None
        self._seen_at: Nanos | None = None
        self._look = ""
        self._teller = Teller()

    @property
    def tokens(self) -> int:
        """Tokens of all parts, as ``weigh`` counts them."""
        return self._tokens

    def take(self, window: ContextWindow, *, ends: bool) -> tuple[Part, ...]:
        """Take in what is new in ``window`` and return all parts, oldest first.

        As long as nothing left, the parts of an earlier call are a prefix of those of a later one.

        Args:
            window: a later photograph of the same call; one of another call begins a new list.
            ends: whether an answer is wanted now, so that sound is read up to the window's end.
        """
        if not self._goes_on(window):
            self._begin()
        if window.first > self._first or not self._entries:
            self._forget(window)
        if window.refused and not window.frames:
            self._drop(Sight)
        if window.refused and not window.audio:
            self._drop(Sound)
        fresh = window.entries[len(self._entries) :]
        number = window.first + len(self._entries)
        media = sorted([*self._sounds(window, ends), *self._sights(window, fresh)], key=lambda item: item.at)
        self._entries = window.entries
        for entry in fresh:
            at = entry.at if isinstance(entry, Text) else entry.end
            while media and media[0].at <= at:
                self._append(media.pop(0))
            for line in self._teller.lines(entry):
                self._append(_Item(line, number, at))
            number += 1
        for item in media:
            self._append(item)
        if self._tokens > self._sampling.budget:
            self._shrink()
        head = [Line(PERSON, f"(earlier: {unmarked(self._summary)})")] if self._summary else []
        return (*head, *(item.part for item in self._items))

    def _goes_on(self, window: ContextWindow) -> bool:
        gone = window.first - self._first
        if gone < 0 or gone > len(self._entries):
            return False
        known = self._entries[gone:]
        return window.entries[: len(known)] == known

    def _forget(self, window: ContextWindow) -> None:
        """Let go of what has left the window; its lines are in the summary from now on."""
        self._entries = self._entries[window.first - self._first :]
        self._first, self._summary = window.first, window.summary
        self._keep([item for item in self._items if item.entry < 0 or item.entry >= window.first])

    def _drop(self, kind: type[Sight] | type[Sound]) -> None:
        if any(isinstance(item.part, kind) for item in self._items):
            self._keep([item for item in self._items if not isinstance(item.part, kind)])

    def _shrink(self) -> None:
        """Let go of old media, and of old lines where those alone are too many."""
        most = self._sampling.budget * self._sampling.keep
        left = float(self._tokens)
        for media in (True, False):
            kept: list[_Item] = []
            for item in self._items:
                if left > most and isinstance(item.part, Line) is not media:
                    left -= self._weigh(item.part)
                else:
                    kept.append(item)
            self._keep(kept)

    def _keep(self, items: list[_Item]) -> None:
        self._items = items
        self._tokens = sum(self._weigh(item.part) for item in items)

    def _append(self, item: _Item) -> None:
        self._items.append(item)
        self._tokens += self._weigh(item.part)

    def _sounds(self, window: ContextWindow, ends: bool) -> Iterator[_Item]:
        if not window.audio:
            return
        sampling = self._sampling
        begin, last = window.audio[0].start, window.audio[-1].end
        at = begin if self._heard_until is None else max(begin, self._heard_until)
        while (stop := min(at + sampling.block, last)) > at:
            whole = stop - at == sampling.block
            if not whole and not (ends and stop - at >= sampling.least_sound):
                break
            samples = filled(window.audio, at, stop)
            if _loudness(samples) >= sampling.quiet_dbfs:
                yield _Item(Sound(at, stop, samples), -1, stop)
            at = stop
        self._heard_until = at

    def _sights(self, window: ContextWindow, fresh: Sequence[Entry]) -> Iterator[_Item]:
        sampling, frames = self._sampling, window.frames
        marks = list(self._marks(fresh))
        shown = {id(min(frames, key=lambda frame: abs(frame.at - mark))) for mark in marks} if frames else set[int]()
        for frame in frames:
            since = None if self._seen_at is None else frame.at - self._seen_at
            least = sampling.frame_gap if id(frame) in shown else sampling.frame_every
            if since is None or since >= max(1, least):
                self._seen_at = frame.at
                yield _Item(Sight(frame), -1, frame.at)

    def _marks(self, fresh: Sequence[Entry]) -> Iterator[Nanos]:
        """Yield instants that are worth a picture."""
        for entry in fresh:
            if not isinstance(entry, Percept) or entry.label == UNCERTAIN:
                continue
            if entry.kind == EXPRESSION:
                if entry.label != self._look:
                    self._look = entry.label
                    yield entry.end
            elif entry.kind in (GESTURE, PRESENCE) or (entry.kind == SCENE and entry.label == "cut"):
                yield entry.end


def _loudness(samples: Floats) -> float:
    """Return the loudness of the loudest tenth of a second, dBFS, so that a short sigh is heard in a long silence."""
    pieces = np.array_split(samples, max(1, len(samples) // 1600))
    power = max(float(np.mean(np.square(piece, dtype=np.float64))) for piece in pieces)
    return 10.0 * float(np.log10(max(power, 1e-12)))
