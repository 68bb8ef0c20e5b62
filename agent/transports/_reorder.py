"""Puts RTP packets back in order, and takes the place of aiortc's audio jitter buffer.

aiortc waits until four packets lie in a row behind the next one. That adds 80 ms to every call, and a lost
packet within those four stops the sound until sixteen have piled up, of which it then throws the good ones
away: one packet in twenty lost on the network is one in four lost to the listener, and 200 ms more delay
for the rest of the call. Here a packet that is next in line passes at once; a hole is waited for, at
most 60 ms, and then skipped, and nothing remains of it. What was in the hole is made up for by
:mod:`agent.transports._ear`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from agent.transports import _aiortc
from agent.transports._aiortc import bare_receiver, check
from perception.timebase import MS, Nanos

__all__ = ["AudioInlet", "Packet", "ReorderBuffer", "bare_receiver", "check", "install"]

T = TypeVar("T")

WAIT: Final[Nanos] = 60 * MS
_RESET = 3000
"""A sequence number further away than this means that the sender began anew."""

_MOST_KEPT: Final = 64
"""More packets than this do not wait behind a hole, however fast they come."""


class ReorderBuffer(Generic[T]):
    """Reorders items by their 16-bit RTP sequence number. Sans-IO: the time is an argument.

    Args:
        wait: longest time that items are kept back for a missing one.

    Attributes:
        late: items that came after their place had been given up, or twice.
        skipped: places given up.
    """

    def __init__(self, wait: Nanos = WAIT) -> None:
        self.late = 0
        self.skipped = 0
        self._wait = wait
        self._next: int | None = None
        self._kept: dict[int, tuple[T, Nanos]] = {}

    def push(self, sequence: int, item: T, now: Nanos) -> list[T]:
        """Take in an item; return those that may pass, in order."""
        if self._next is None:
            self._next = sequence
        ahead = _signed(sequence - self._next)
        if abs(ahead) > _RESET:
            self._kept.clear()
            self._next, ahead = sequence, 0
        if ahead < 0 or sequence in self._kept:
            self.late += 1
            return self.overdue(now)
        self._kept[sequence] = (item, now)
        return self._run() + self.overdue(now)

    def overdue(self, now: Nanos) -> list[T]:
        """Return what has been kept back for too long, and what follows it without a hole."""
        passed: list[T] = []
        while self._kept and self._next is not None:
            start = self._next
            oldest = min(since for _, since in self._kept.values())
            if now - oldest < self._wait and len(self._kept) <= _MOST_KEPT:
                break
            first = min(self._kept, key=lambda s: _signed(s - start))
            self.skipped += _signed(first - start)
            self._next = first
            passed += self._run()
        return passed

    def _run(self) -> list[T]:
        passed: list[T] = []
        while self._next in self._kept:
            passed.append(self._kept.pop(self._next)[0])
            self._next = (self._next + 1) & 0xFFFF
        return passed


def _signed(distance: int) -> int:
    return ((distance + 0x8000) & 0xFFFF) - 0x8000


@dataclass(frozen=True, slots=True)
class Packet:
    """One Opus packet.

    Attributes:
        data: as the encoder made it.
        ticks: the RTP timestamp at 48 kHz, unwrapped.
        arrived: when it came.
        sequence: 16-bit RTP sequence number.
    """

    data: bytes
    ticks: int
    arrived: Nanos
    sequence: int = 0


class AudioInlet:
    """Stands in a receiver where its jitter buffer stood: packets go straight to ``take``.

    aiortc's decoder thread gets nothing to do and waits until the receiver stops it.

    Args:
        take: gets every packet in order, on the event loop; must not raise.
        now: reads the clock.
        wait: see :class:`ReorderBuffer`.
    """

    def __init__(self, take: Callable[[Packet], None], now: Callable[[], Nanos], wait: Nanos = WAIT) -> None:
        self.buffer: ReorderBuffer[Packet] = ReorderBuffer(wait)
        self._take = take
        self._now = now
        self._ticks: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Do the work of ``JitterBuffer.add``: no picture is ever lost here, and no frame is ever ready."""
        now = self._now()
        data: bytes = packet._data  # type: ignore[attr-defined]
        sequence = packet.sequence_number
        for ready in self.buffer.push(sequence, Packet(data, self._unwrap(packet.timestamp), now, sequence), now):
            self._take(ready)
        return False, None

    def flush(self) -> None:
        """Let pass what has waited for too long although nothing new came."""
        for ready in self.buffer.overdue(self._now()):
            self._take(ready)

    def _unwrap(self, timestamp: int) -> int:
        if self._ticks is None:
            self._ticks = timestamp
        else:
            self._ticks += ((timestamp - self._ticks + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        return self._ticks


def install(receiver: RTCRtpReceiver, inlet: AudioInlet) -> None:
    """Put ``inlet`` where the jitter buffer of an audio receiver was, before its first packet.

    Raises:
        agent.transports._aiortc.Moved: this aiortc keeps it somewhere else.
    """
    _aiortc.replace(receiver, _aiortc.BUFFER, JitterBuffer, inlet)
