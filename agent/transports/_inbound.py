"""From media ticks to the call's clock: where a frame belongs, and sound without holes."""

from __future__ import annotations

from typing import Final

import av
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import firwin

from perception.media import RATE_HZ, AudioChunk
from perception.timebase import MS, SECOND, Nanos, from_ticks, to_ticks

WIRE_HZ: Final = 48_000
_FACTOR: Final = WIRE_HZ // RATE_HZ
_HALF: Final = 48
_TAPS: Final = firwin(2 * _HALF + 1, 7_300, window=("kaiser", 6.0), fs=WIRE_HZ).astype(np.float32)

DRIFT: Final[Nanos] = 200 * MS
_WATCHED: Final[Nanos] = 2 * SECOND
_SETTLING: Final[Nanos] = 3 * SECOND
_MIRROR: Final = to_ticks(40 * MS, WIRE_HZ)
_CONCEALED: Final = WIRE_HZ
"""A hole longer than a second stays a jump in time."""

_PATIENCE: Final[Nanos] = SECOND
_FILLED: Final[Nanos] = 2 * SECOND

Samples = NDArray[np.float32]


class Anchor:
    """Ties a track's ticks to the call's clock.

    A track begins at the instant of its first frame and then follows its own ticks, so that jitter on the
    way does not move the media. When the two have come more than 200 ms apart for good (clocks that differ,
    a path that got slower, a sender that began anew) it is tied anew. The first frame of all is often held up
    by the start itself; within the first three seconds an earlier arrival counts as the better witness.

    Args:
        rate_hz: ticks per second.

    Attributes:
        delay: how much later than expected the last frame came.
        moved: by how much the last frame moved the anchor, 0 mostly.
    """

    def __init__(self, rate_hz: int) -> None:
        self.delay: Nanos = 0
        self.moved: Nanos = 0
        self._rate_hz = rate_hz
        self._origin: int | None = None
        self._last = -(1 << 62)
        self._base: Nanos = 0
        self._settled: Nanos = 0
        self._since: Nanos = 0
        self._least: Nanos = 0
        self._most: Nanos = 0

    def place(self, ticks: int, span: int, now: Nanos) -> Nanos:
        """Return the instant of a frame that begins at ``ticks``, is ``span`` ticks long and has come ``now``."""
        self.moved = 0
        length = from_ticks(span, self._rate_hz)
        if self._origin is None:
            self._origin, self._base = ticks, max(0, now - length)
            self._settled = now + _SETTLING
            self._begin(now, 0)
        start = self._base + from_ticks(ticks - self._origin, self._rate_hz)
        self.delay = now - (start + length)
        again = ticks < self._last - self._rate_hz
        self._last = ticks
        self._least, self._most = min(self._least, self.delay), max(self._most, self.delay)
        if self.delay < 0 and now < self._settled and not again:
            earlier = max(self.delay, -start)
            start += earlier
            self._base += earlier
            self.delay -= earlier
            self._begin(now, self.delay)
        elif self.delay < -DRIFT or again:
            self._move(self.delay, now)
        elif now - self._since >= _WATCHED:
            # A queue that is being worked off comes late too, but ever less so; that is no reason to move.
            if self._least > DRIFT and self._most - self._least < DRIFT:
                self._move(self._least, now)
            else:
                self._begin(now, self.delay)
        return start + self.moved

    def _move(self, by: Nanos, now: Nanos) -> None:
        self.moved = by
        self._base += by
        self.delay -= by
        self._begin(now, self.delay)

    def _begin(self, now: Nanos, delay: Nanos) -> None:
        self._since = now
        self._least = self._most = delay


class Decimator:
    """48 kHz to 16 kHz, 1 ms late.

    A linear-phase low-pass of 97 taps (flat to 6.6 kHz, -60 dB from 8 kHz) and every third sample. A
    streaming resampler of the usual kind works in blocks and keeps up to 30 ms back.
    """

    def __init__(self) -> None:
        self._held: Samples = np.zeros(_HALF, np.float32)

    def feed(self, samples: Samples) -> Samples:
        """Return the output samples that are known by now; the first belongs to the first sample ever fed."""
        held = np.concatenate((self._held, samples))
        count = max(0, (len(held) - len(_TAPS)) // _FACTOR + 1) if len(held) >= len(_TAPS) else 0
        if not count:
            self._held = held
            return np.zeros(0, np.float32)
        windows = sliding_window_view(held, len(_TAPS))[: count * _FACTOR : _FACTOR]
        self._held = held[count * _FACTOR :].copy()
        out: Samples = windows @ _TAPS
        return out


class AudioIn:
    """Decoded packets in, 16 kHz chunks on the call's clock out, without holes.

    A hole of up to a second is concealed: the last 40 ms are played backwards and faded out, then there is
    silence. When nothing comes for a second, silence is made up to two seconds, so that a voice that was cut
    off by the network still comes to an end.

    Attributes:
        anchor: where the track stands.
        concealed: samples at 48 kHz that were made up.
        late: samples at 48 kHz that came after their place had been filled.
    """

    def __init__(self) -> None:
        self.anchor = Anchor(WIRE_HZ)
        self.concealed = 0
        self.late = 0
        self._line: _Line | None = None
        self._asked: Nanos = 0
        self._tail: Samples = np.zeros(0, np.float32)

    @property
    def end(self) -> Nanos | None:
        """First instant that has no sound yet; ``None`` before the first packet."""
        return self._line.end if self._line is not None else None

    def push(self, samples: Samples, ticks: int, now: Nanos) -> list[AudioChunk]:
        """Take in the samples (48 kHz mono) that begin at ``ticks``."""
        start = self.anchor.place(ticks, len(samples), now)
        line = self._line
        if line is None:
            line = self._line = _Line(start)
        hole = to_ticks(start - line.end, WIRE_HZ)
        if abs(hole) <= 1:
            hole = 0  # the anchor's rounding
        if hole < 0:
            self.late += min(-hole, len(samples))
            samples = samples[-hole:]
            if not len(samples):
                return []
        chunks: list[AudioChunk] = []
        if hole > _CONCEALED:
            chunks += line.chunk(np.zeros(2 * _HALF, np.float32))
            line = self._line = _Line(start)
        elif hole > 0:
            chunks += line.chunk(self._conceal(hole))
        self._tail = samples[-_MIRROR:] if len(samples) >= _MIRROR else np.concatenate((self._tail, samples))[-_MIRROR:]
        return chunks + line.chunk(samples)

    def fill(self, now: Nanos) -> list[AudioChunk]:
        """Make silence if nothing has come for too long; to be called about ten times a second.

        After a stall of this very process the packets are there but not yet read: it must have been called
        in time, too, since the last packet.
        """
        punctual = now - self._asked < _PATIENCE // 2
        self._asked = now
        line = self._line
        if line is None or not punctual or now - line.end < _PATIENCE or line.made >= _FILLED:
            return []
        hole = to_ticks(min(now - line.end - _PATIENCE // 2, _FILLED - line.made), WIRE_HZ)
        line.made += from_ticks(hole, WIRE_HZ)
        return line.chunk(self._conceal(hole), made=True)

    def _conceal(self, count: int) -> Samples:
        self.concealed += count
        out = np.zeros(count, np.float32)
        mirrored = self._tail[::-1][:count]
        fade = np.linspace(1.0, 0.0, len(self._tail), dtype=np.float32)[: len(mirrored)]
        out[: len(mirrored)] = mirrored * fade
        self._tail = np.zeros(0, np.float32)
        return out


class _Line:
    """A stretch of sound without jumps."""

    def __init__(self, start: Nanos) -> None:
        self.made: Nanos = 0
        self._start = start
        self._taken = 0
        self._given = 0
        self._decimator = Decimator()

    @property
    def end(self) -> Nanos:
        return self._start + from_ticks(self._taken, WIRE_HZ)

    def chunk(self, samples: Samples, *, made: bool = False) -> list[AudioChunk]:
        if not made:
            self.made = 0
        self._taken += len(samples)
        out = self._decimator.feed(samples)
        if not len(out):
            return []
        start = self._start + from_ticks(self._given, RATE_HZ)
        self._given += len(out)
        return [AudioChunk(out, start=start)]


_MOST_PIXELS: Final = 1280


class VideoIn:
    """Decides which pictures are worth looking at.

    Args:
        most_hz: pictures per second that are let through at most.

    Attributes:
        anchor: where the track stands.
        stale: pictures that came more than 500 ms late.
        thinned: pictures beyond ``most_hz``.
    """

    def __init__(self, most_hz: float = 15.0) -> None:
        self.anchor = Anchor(90_000)
        self.stale = 0
        self.thinned = 0
        self._gap = round(SECOND / most_hz * 0.9)  # a camera's own jitter must not halve its rate
        self._last: Nanos | None = None

    def wants(self, ticks: int, now: Nanos) -> Nanos | None:
        """Return the instant of a picture that should be converted, or ``None`` to drop it."""
        at = self.anchor.place(ticks, 0, now)
        if self.anchor.delay > 500 * MS:
            self.stale += 1
            return None
        if self._last is not None and -SECOND < at - self._last < self._gap:
            self.thinned += 1
            return None
        self._last = at
        return at


def to_rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Convert a decoded picture to uint8 RGB of shape ``(h, w, 3)``, its longer side at most 1280.

    About 0.25 ms at 640x480. Senders turn pictures upright themselves because the orientation extension
    (RFC 7742 section 4) is not negotiated.
    """
    longer = max(frame.width, frame.height)
    if longer > _MOST_PIXELS:
        width, height = (max(2, side * _MOST_PIXELS // longer // 2 * 2) for side in (frame.width, frame.height))
        frame = frame.reformat(width=width, height=height, format="rgb24")
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
