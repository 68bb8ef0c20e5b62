"""When to recognise: cuts the running speech into utterances and names the points worth decoding.

A pure function of the voice activity, so that what is decoded does not depend on how the sound was cut
into batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from perception.ear import MAX_FILL, Hop, hops, samples
from perception.silero import HOP, Segmenter


@dataclass(frozen=True, slots=True)
class Growing:
    """The person is speaking on; a good moment to show what was said so far.

    Attributes:
        utterance: number of the utterance.
        begin: index of the first sample to decode.
        end: index of the first sample not heard yet.
        onset: index at which the voice began.
    """

    utterance: int
    begin: int
    end: int
    onset: int


@dataclass(frozen=True, slots=True)
class Pause:
    """The voice has stopped; perhaps the person has finished.

    Attributes:
        utterance: number of the utterance.
        revision: counts the pauses in the utterance, from 1.
        begin: index of the first sample to decode.
        end: index of the first sample after those to decode.
        onset: index at which the voice began.
        stop: index at which it stopped.
        gaps: first and one after the last index of the earlier pauses in the utterance.
    """

    utterance: int
    revision: int
    begin: int
    end: int
    onset: int
    stop: int
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Resumed:
    """The voice is back inside the utterance: the last :class:`Pause` was not its end."""

    utterance: int


@dataclass(frozen=True, slots=True)
class Closed:
    """No sound will be added to the utterance."""

    utterance: int


Point = Growing | Pause | Resumed | Closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """Where utterances are cut.

    Attributes:
        on: probability of voice from which a hop is voice, see :class:`perception.silero.Segmenter`.
        off: the same below which it is silence.
        min_speech_ms: voice until speech is believed.
        min_voice_ms: an utterance with less voice in it is not worth decoding.
        pause_ms: silence until a :class:`Pause`.
        gap_ms: silence until an utterance is closed.
        growing_ms: new voice until the next :class:`Growing`; in long utterances more, a twelfth of them.
        long_s: an utterance longer than this is closed at its next pause.
        longest_s: longest utterance; without a pause it is cut where the voice was weakest.
        lead_ms: sound before the onset that is decoded too.
    """

    on: float = 0.5
    off: float = 0.35
    min_speech_ms: float = 64
    min_voice_ms: float = 128
    pause_ms: float = 128
    gap_ms: float = 600
    growing_ms: float = 500
    long_s: float = 14.0
    longest_s: float = 25.0
    lead_ms: float = 300

    def __post_init__(self) -> None:
        if not hops(self.pause_ms) <= hops(self.gap_ms) <= (MAX_FILL // HOP) - 1:
            raise ValueError("want pause_ms <= gap_ms < 2000")
        if not 5.0 <= self.long_s <= self.longest_s <= 28.0:
            raise ValueError("want 5 <= long_s <= longest_s <= 28")


_SEARCH_HOPS = hops(2000)
_GROWTH = 12


@dataclass(slots=True)
class _Utterance:
    """What is open: sample indices, and samples of voice since the onset, the last pause, the last point."""

    onset: int
    begin: int
    beliefs: list[float]
    voice: int
    since_pause: int
    since_point: int
    gaps: list[tuple[int, int]] = field(default_factory=list)
    stop: int = 0
    number: int = 0
    revision: int = 0


class Utterances:
    """The state machine of one stream."""

    def __init__(self, cuts: Cuts) -> None:
        self._cuts = cuts
        self._pause = hops(cuts.pause_ms) * HOP
        self._segments = Segmenter(
            on=cuts.on, off=cuts.off, min_speech=hops(cuts.min_speech_ms), min_silence=hops(cuts.gap_ms)
        )
        self._open: _Utterance | None = None
        self._count = 0
        self._fence = 0

    def step(self, hop: Hop) -> list[Point]:
        """Take in the next hop; return the points it brings, in order."""
        points: list[Point] = []
        if hop.fresh:
            points += self._close()
            self._segments.reset()
            self._fence = hop.end - HOP
        edge = self._segments.step(hop.probability, hop.end)
        if not self._segments.speaking:
            return points + (self._ended(hop.end) if edge is not None else [])
        voiced = self._segments.silence == 0
        if self._open is None:
            if not voiced:
                return points
            onset = self._segments.onset if edge is not None else hop.end - HOP
            begin = max(self._fence, onset - samples(self._cuts.lead_ms))
            heard = hop.end - HOP - onset
            self._open = _Utterance(onset, begin, [], heard, heard, heard)
        self._open.beliefs.append(hop.probability)
        return points + (self._voiced(self._open, hop.end) if voiced else self._silent(self._open, hop.end))

    def _voiced(self, open_: _Utterance, end: int) -> list[Point]:
        points: list[Point] = []
        if open_.revision and not open_.since_pause:
            open_.gaps.append((open_.stop, end - HOP))
            points.append(Resumed(open_.number))
        open_.voice += HOP
        open_.since_pause += HOP
        open_.since_point += HOP
        length = end - open_.begin
        if length >= samples(self._cuts.longest_s * 1000):
            points += self._cut(open_, end)
        elif open_.since_point >= max(samples(self._cuts.growing_ms), length // _GROWTH):
            open_.since_point = 0
            points.append(Growing(self._numbered(open_), open_.begin, end, open_.onset))
        return points

    def _silent(self, open_: _Utterance, end: int) -> list[Point]:
        points = self._pauses(open_, end)
        if points and end - open_.begin > samples(self._cuts.long_s * 1000):
            points += self._close()
        return points

    def _ended(self, end: int) -> list[Point]:
        """Close what is open; the pause comes first where it is no shorter than the gap that closes."""
        return (self._pauses(self._open, end) if self._open is not None else []) + self._close()

    def _pauses(self, open_: _Utterance, end: int) -> list[Point]:
        """Name the pause that has become long enough, once, if enough was said to be worth decoding."""
        silence = self._segments.silence
        if silence < self._pause or not open_.since_pause or open_.voice < samples(self._cuts.min_voice_ms):
            return []
        return [self._paused(open_, end, end - silence)]

    def _cut(self, open_: _Utterance, end: int) -> list[Point]:
        recent = open_.beliefs[-_SEARCH_HOPS:]
        weakest = min(range(len(recent)), key=recent.__getitem__)
        at = end - (len(recent) - 1 - weakest) * HOP
        points = [self._paused(open_, at, at), *self._close()]
        self._open = _Utterance(at, at, recent[weakest + 1 :], end - at, end - at, end - at)
        return points

    def _paused(self, open_: _Utterance, end: int, stop: int) -> Point:
        open_.revision += 1
        open_.since_pause = open_.since_point = 0
        open_.stop = stop
        self._fence = end
        number = self._numbered(open_)
        return Pause(number, open_.revision, open_.begin, end, open_.onset, stop, tuple(open_.gaps))

    def _numbered(self, open_: _Utterance) -> int:
        if not open_.number:
            self._count += 1
            open_.number = self._count
        return open_.number

    def _close(self) -> list[Point]:
        closed, self._open = self._open, None
        return [Closed(closed.number)] if closed is not None and closed.number else []
