"""Binary messages of the WebSocket: sound and pictures behind a header of sixteen bytes. Sans-IO.

======  ====  =========  ==================================================================================
offset  size  field      meaning
======  ====  =========  ==================================================================================
0       1     version    1
1       1     kind       1 PCM16, 2 Opus, 3 JPEG, 4 RGB
2       1     detail     of sound its rate in kHz: 16, 24 or 48 (Opus: 48); of a picture its source: 0 camera, 1 screen
3       1     flags      0
4       4     reply      of the agent's sound the number of its reply; 0 in what a client sends
8       8     time       microseconds since any instant that the sender keeps for the connection: of the first sample,
                         or of the picture
16            payload    PCM16: int16, mono. Opus: one packet. JPEG: one baseline file. RGB: width and height (2 bytes
                         each), then rows from the top, 3 bytes a pixel
======  ====  =========  ==================================================================================

All numbers are unsigned and little-endian, samples are signed and little-endian. docs/protocol.md says the rest.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

VERSION: Final = 1
SUBPROTOCOLS: Final = ("rapport.v1",)
"""Versions of the whole protocol that are spoken here, the best first; offered as ``Sec-WebSocket-Protocol``."""

HEADER: Final = struct.Struct("<BBBBIQ")
SIZE: Final = struct.Struct("<HH")
RATES_HZ: Final = (16_000, 24_000, 48_000)
SOURCES: Final = ("camera", "screen")

MOST_BYTES: Final = 1 << 20
"""Of one message."""

MOST_SOUND_MS: Final = 200
MOST_OPUS_BYTES: Final = 4000
MOST_SIDE: Final = 4096
MOST_PIXELS: Final = 1 << 21
"""A little more than 1920 by 1080."""

MOST_TIME: Final = 1 << 53
"""Microseconds: 285 years, and exact in a double."""


class Kind(IntEnum):
    """What a frame carries."""

    PCM16 = 1
    OPUS = 2
    JPEG = 3
    RGB = 4

    @property
    def sound(self) -> bool:
        """Whether it is sound, and not a picture."""
        return self in (Kind.PCM16, Kind.OPUS)


class FrameError(ValueError):
    """A frame that cannot be taken.

    Attributes:
        name: of the error, one word that programs may rely on.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes:
        kind: what it carries.
        detail: rate in kHz, or number of the source.
        time_us: when it begins, microseconds of the sender's clock.
        payload: sound or picture.
        reply: number of the reply that the sound belongs to.
    """

    kind: Kind
    detail: int
    time_us: int
    payload: memoryview
    reply: int = 0

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return self.detail * 1000

    @property
    def source(self) -> str:
        """Which camera."""
        return SOURCES[self.detail]


def pack(kind: Kind, detail: int, time_us: int, payload: bytes | memoryview, reply: int = 0) -> bytes:
    """Return a frame as bytes."""
    return HEADER.pack(VERSION, kind, detail, 0, reply, time_us) + payload


def unpack(data: bytes) -> Frame:
    """Return the frame that a message holds.

    Raises:
        FrameError: it holds none; ``wrong_version truncated_frame oversize_frame unknown_kind wrong_rate wrong_source
            wrong_time picture_too_large``.
    """
    if not data:
        raise FrameError("truncated_frame", f"a frame has {HEADER.size} bytes at least, not 0")
    if data[0] != VERSION:
        raise FrameError("wrong_version", f"a frame of version {data[0]}; version {VERSION} is understood")
    if len(data) <= HEADER.size:
        raise FrameError("truncated_frame", f"a frame has more than {HEADER.size} bytes, not {len(data)}")
    if len(data) > MOST_BYTES:
        raise FrameError("oversize_frame", f"a frame has at most {MOST_BYTES} bytes, not {len(data)}")
    _, number, detail, flags, reply, time_us = HEADER.unpack_from(data)
    try:
        kind = Kind(number)
    except ValueError:
        known = ", ".join(f"{k.value} {k.name}" for k in Kind)
        raise FrameError("unknown_kind", f"a frame of kind {number}; known are {known}") from None
    if flags:
        raise FrameError("unknown_kind", f"flags are {flags:#04x}; version {VERSION} has none")
    if time_us >= MOST_TIME:
        raise FrameError("wrong_time", f"a time of {time_us} microseconds; it is less than 2 to the power of 53")
    payload = memoryview(data)[HEADER.size :]
    frame = Frame(kind, detail, time_us, payload, reply)
    if kind.sound:
        _check_sound(frame)
    elif detail >= len(SOURCES):
        raise FrameError("wrong_source", f"a picture of source {detail}; 0 is the camera, 1 the screen")
    elif kind is Kind.RGB:
        size_of_rgb(payload)
    return frame


def _check_sound(frame: Frame) -> None:
    size = len(frame.payload)
    if frame.kind is Kind.OPUS:
        if frame.detail != 48:
            raise FrameError("wrong_rate", f"Opus at {frame.detail} kHz; it is 48, whatever the sound's own rate")
        if size > MOST_OPUS_BYTES:
            raise FrameError("oversize_frame", f"an Opus packet has at most {MOST_OPUS_BYTES} bytes, not {size}")
        return
    if frame.rate_hz not in RATES_HZ:
        raise FrameError("wrong_rate", f"sound at {frame.detail} kHz; 16, 24 and 48 are taken")
    if size % 2:
        raise FrameError("truncated_frame", f"{size} bytes are no whole number of 16-bit samples")
    most = 2 * frame.rate_hz * MOST_SOUND_MS // 1000
    if size > most:
        raise FrameError("oversize_frame", f"a frame holds at most {MOST_SOUND_MS} ms of sound: {most} bytes")


def size_of_rgb(payload: bytes | memoryview) -> tuple[int, int]:
    """Return width and height of an RGB picture.

    Raises:
        FrameError: it is not what it says (``truncated_frame``), or too large (``picture_too_large``).
    """
    if len(payload) < SIZE.size:
        raise FrameError("truncated_frame", "an RGB picture begins with its width and height")
    width, height = SIZE.unpack_from(payload)
    check_size(width, height)
    want = SIZE.size + 3 * width * height
    if len(payload) != want:
        raise FrameError("truncated_frame", f"{width}x{height} in RGB are {want} bytes of payload, not {len(payload)}")
    return width, height


def check_size(width: int, height: int) -> None:
    """See that a picture of this size is taken.

    Raises:
        FrameError: it is not (``picture_too_large``).
    """
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and width * height <= MOST_PIXELS):
        most = f"at most {MOST_SIDE} on a side and {MOST_PIXELS} in all"
        raise FrameError("picture_too_large", f"a picture of {width}x{height} pixels; {most} are taken")
