"""Pictures that survive loss: puts the packets of video together, and takes the place of aiortc's buffer for them.

aiortc waits for a missing packet until 512 have piled up behind it, however long that takes: a camera that sends
one packet per picture stays black for many seconds after an outage, and then shows the past in a burst. It asks
for a packet again only when another one is lost, gives its decoder one picture per packet at most, and neither the
queue before the decoder nor the one behind it has a bound. Here a missing packet is asked for every 100 ms and
waited for 300 ms; then the pictures go on at the next whole one, which the sender is asked for (RFC 4585 PLI).
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpreceiver import NackGenerator, RTCRtpReceiver, TimestampMapper
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket

from agent.transports import _aiortc
from agent.transports._latest import Latest
from perception.timebase import MS, Nanos, to_ticks

WAIT: Final[Nanos] = 300 * MS
STALE: Final[Nanos] = 500 * MS
_AGAIN: Final[Nanos] = 100 * MS
_KEY_AGAIN: Final[Nanos] = 300 * MS
_VIDEO_HZ: Final = 90_000
_CAPACITY: Final = 1024
"""Packets that are kept, at most; more than 300 ms of any picture that a call sends."""

_HOPED: Final = 32
"""Packets that are kept in the hope that they belong to a key picture whose first has not come yet."""

_BACKLOG: Final = 16
"""Pictures that may wait for the decoder."""


@dataclass(frozen=True, slots=True)
class Part:
    """One packet of a picture.

    Attributes:
        sequence: 16-bit RTP sequence number.
        timestamp: 32-bit RTP timestamp at 90 kHz, the same for all parts of a picture.
        last: whether it is marked as the picture's last.
        key: whether a picture begins with it that needs none before it.
        data: its share of the encoded picture; empty in a packet that only probes the path.
        payload_type: names the codec.
        arrived: when it came.
    """

    sequence: int
    timestamp: int
    last: bool
    key: bool
    data: bytes
    payload_type: int
    arrived: Nanos


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded picture."""

    data: bytes
    timestamp: int
    payload_type: int


class FrameBuffer:
    """Puts pictures together. Sans-IO: the time is an argument.

    Args:
        wait: longest time that pictures are kept back for a missing packet.

    Attributes:
        late: packets that came after their picture had been given up, or twice.
        breaks: times that the pictures could not go on without a key picture.
    """

    def __init__(self, wait: Nanos = WAIT) -> None:
        self.late = 0
        self.breaks = 0
        self._wait = wait
        self._next: int | None = None
        self._parts: dict[int, Part] = {}
        self._broken = True
        self._asked: Nanos | None = None
        self._shown: int | None = None

    def push(self, part: Part, now: Nanos) -> list[Frame]:
        """Take in a packet; return the pictures that are whole, in order."""
        if self._next is None:
            self._next = part.sequence
        ahead = signed(part.sequence - self._next)
        if abs(ahead) >= _CAPACITY:
            self._parts.clear()
            self._next = part.sequence
            self.lose()
        elif ahead < 0 or part.sequence in self._parts:
            self.late += 1
            return self._advance(now)
        self._parts[part.sequence] = part
        return self._advance(now)

    def lose(self) -> None:
        """Go on only with a picture that needs none before it."""
        self.breaks += not self._broken
        self._broken = True

    def wants_key(self, now: Nanos) -> bool:
        """Whether the sender should be asked for such a picture now; true again every 300 ms until it is there."""
        if not self._broken:
            self._asked = None
            return False
        if self._asked is not None and now - self._asked < _KEY_AGAIN:
            return False
        self._asked = now
        return True

    def _advance(self, now: Nanos) -> list[Frame]:
        frames: list[Frame] = []
        while self._next is not None:
            if self._broken and not self._resume():
                break
            frame = self._whole()
            if frame is not None:
                frames.append(frame)
            elif not self._gives_up(now):
                break
        return frames

    def _resume(self) -> bool:
        """Move on to the first key picture, if there is one."""
        start = self._next or 0
        keys = [s for s, part in self._parts.items() if part.key]
        if keys:
            self._next = min(keys, key=lambda s: signed(s - start))
            self._forget(lambda part: signed(part.sequence - (self._next or 0)) < 0)
            self._broken = False
            return True
        # The first packet of a key picture may still be on its way, behind some others of it.
        if len(self._parts) > 2 * _HOPED:
            ordered = sorted(self._parts, key=lambda s: signed(s - start))
            self._parts = {s: self._parts[s] for s in ordered[-_HOPED:]}
        if self._parts:
            self._next = min(self._parts, key=lambda s: signed(s - start))
        return False

    def _whole(self) -> Frame | None:
        """Take out the next picture, if all of it is there."""
        parts: list[Part] = []
        found = self._parts.get(self._next or 0)
        while found is not None:
            sequence = found.sequence + 1 & 0xFFFF
            if not parts and not found.data:
                del self._parts[found.sequence]
                self._next = sequence
            elif parts and found.timestamp != parts[0].timestamp:
                return self._take(parts)
            else:
                parts.append(found)
                if found.last:
                    return self._take(parts)
            found = self._parts.get(sequence)
        return None

    def _take(self, parts: list[Part]) -> Frame:
        for part in parts:
            del self._parts[part.sequence]
        self._next = parts[-1].sequence + 1 & 0xFFFF
        self._shown = parts[0].timestamp
        return Frame(b"".join(p.data for p in parts), parts[0].timestamp, parts[0].payload_type)

    def _gives_up(self, now: Nanos) -> bool:
        """Whether there is a hole that is no longer waited for; then what is before it is forgotten."""
        hole = self._next or 0
        while hole in self._parts:
            hole = hole + 1 & 0xFFFF
        behind = [p for p in self._parts.values() if signed(p.sequence - hole) > 0]
        if not behind:
            return False
        after = min(behind, key=lambda p: signed(p.sequence - hole))
        # What the sender has forgotten, or is too old to be looked at, is not worth waiting for.
        old = self._shown is not None and after.timestamp - self._shown & 0xFFFFFFFF > to_ticks(STALE, _VIDEO_HZ)
        long = signed(after.sequence - hole) > RTP_HISTORY_SIZE
        if not (old or long) and now - min(p.arrived for p in behind) < self._wait:
            return False
        self._next = after.sequence
        self._forget(lambda part: signed(part.sequence - hole) < 0)
        self.lose()
        return True

    def _forget(self, which: Callable[[Part], bool]) -> None:
        self._parts = {s: part for s, part in self._parts.items() if not which(part)}


class Nacks(NackGenerator):
    """Asks for a missing packet at once and every 100 ms, for as long as it is of use.

    Args:
        now: reads the clock.
        wait: time after which a packet is no longer asked for.
    """

    def __init__(self, now: Callable[[], Nanos], wait: Nanos = WAIT) -> None:
        super().__init__()
        self._now = now
        self._wait = wait
        self._holes: dict[int, tuple[Nanos, Nanos | None]] = {}

    def add(self, packet: RtpPacket) -> bool:
        """Note a packet; return whether ``missing`` is to be asked for now."""
        now = self._now()
        sequence = packet.sequence_number
        ahead = 1 if self.max_seq is None else signed(sequence - self.max_seq)
        if abs(ahead) > RTP_HISTORY_SIZE and not -_CAPACITY < ahead < 0:
            self._holes.clear()  # more than a sender keeps
            self.max_seq = sequence
        elif ahead > 0:
            for k in range(sequence - ahead + 1, sequence):
                self._holes[k & 0xFFFF] = (now, None)
            self.max_seq = sequence
        else:
            self._holes.pop(sequence, None)
        kept = [(s, hole) for s, hole in self._holes.items() if now - hole[0] < self._wait]
        self._holes = dict(kept[-RTP_HISTORY_SIZE:])
        self.missing = {s for s, (_, asked) in self._holes.items() if asked is None or now - asked >= _AGAIN}
        for s in self.missing:
            self._holes[s] = (self._holes[s][0], now)
        return bool(self.missing)


class VideoInlet:
    """Stands in a receiver where its jitter buffer stood.

    Args:
        receiver: of video, before its first packet.
        now: reads the clock.

    Attributes:
        buffer: puts the pictures together.
        dropped: pictures that the decoder could not keep up with.
        frames: where decoded pictures wait, the latest only.
    """

    def __init__(self, receiver: RTCRtpReceiver, now: Callable[[], Nanos]) -> None:
        self.buffer = FrameBuffer()
        self.dropped = 0
        self.frames = Latest()
        self._now = now
        self._codecs: dict[int, Any] = _aiortc.private(receiver, _aiortc.CODECS, dict)
        self._mapper: TimestampMapper = _aiortc.private(receiver, _aiortc.MAPPER, TimestampMapper)
        self._waiting: queue.Queue[Any] = _aiortc.private(receiver, _aiortc.DECODER, queue.Queue)

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Do the work of ``JitterBuffer.add``: whether to ask for a key picture, and a picture for the decoder."""
        now = self._now()
        data: bytes = packet._data  # type: ignore[attr-defined]
        codec = self._codecs.get(packet.payload_type)
        key = begins_key(codec.name if codec is not None else "", packet.payload, data)
        part = Part(packet.sequence_number, packet.timestamp, bool(packet.marker), key, data, packet.payload_type, now)
        frames = self.buffer.push(part, now)
        if frames and self._waiting.qsize() + len(frames) > _BACKLOG:
            self.dropped += len(frames)
            self.buffer.lose()
            frames = []
        # aiortc takes one picture; those before it go the same way by hand.
        for frame in frames[:-1]:
            picture = JitterFrame(data=frame.data, timestamp=self._mapper.map(frame.timestamp))
            self._waiting.put((self._codecs.get(frame.payload_type, codec), picture))
        last = JitterFrame(data=frames[-1].data, timestamp=frames[-1].timestamp) if frames else None
        return self.buffer.wants_key(now), last


def install(receiver: RTCRtpReceiver, now: Callable[[], Nanos]) -> VideoInlet:
    """Give a video receiver this buffer, these requests and a bounded queue, before its first packet.

    Raises:
        agent.transports._aiortc.Moved: this aiortc keeps them somewhere else.
    """
    inlet = VideoInlet(receiver, now)
    _aiortc.replace(receiver, _aiortc.BUFFER, JitterBuffer, inlet)
    _aiortc.replace(receiver, _aiortc.NACKS, NackGenerator, Nacks(now))
    if receiver.track is not None:
        _aiortc.replace(receiver.track, _aiortc.FRAMES, asyncio.Queue, inlet.frames)
    return inlet


def begins_key(codec: str, payload: bytes, data: bytes) -> bool:
    """Whether a packet is the first of a picture that needs none before it.

    Args:
        codec: its name; of one that is not known every packet is taken for such a one.
        payload: of RTP.
        data: the encoded picture's share of it.
    """
    if not data:
        return False
    match codec.upper():
        case "VP8":  # RFC 7741: S and partition 0 in the descriptor, P clear in the frame header
            return bool(payload) and payload[0] & 0x1F == 0x10 and not data[0] & 1
        case "H264":  # a sequence parameter set or an IDR slice
            return any(unit[:1] and unit[0] & 0x1F in (5, 7) for unit in data.split(b"\0\0\0\1")[1:])
        case _:
            return True


def signed(distance: int) -> int:
    """Return the distance of two sequence numbers, which wrap at 16 bits."""
    return ((distance + 0x8000) & 0xFFFF) - 0x8000
