"""Binary messages: sound and pictures behind a header of sixteen bytes, all of it little-endian. docs/protocol.md."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from rapport_client.errors import FrameError

VERSION: Final = 1
SUBPROTOCOL: Final = "rapport.v1"
HEADER: Final = struct.Struct("<BBBBIQ")
SIZE: Final = struct.Struct("<HH")
RATES_HZ: Final = (16_000, 24_000, 48_000)
SOURCES: Final = ("camera", "screen")


class Kind(IntEnum):
    """What a frame carries."""

    PCM16 = 1
    OPUS = 2
    JPEG = 3
    RGB = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes:
        kind: what it carries.
        detail: of sound its rate in kHz, of a picture its source.
        time_us: when it begins, microseconds of the sender's clock.
        payload: sound or picture.
        reply: number of the reply that the agent's sound belongs to.
    """

    kind: Kind
    detail: int
    time_us: int
    payload: bytes
    reply: int = 0


def pack(frame: Frame) -> bytes:
    """Return a frame as bytes."""
    return HEADER.pack(VERSION, frame.kind, frame.detail, 0, frame.reply, frame.time_us) + frame.payload


def unpack(data: bytes) -> Frame:
    """Return the frame that a message holds.

    Raises:
        FrameError: it holds none that is known.
    """
    if data and data[0] != VERSION:
        raise FrameError("wrong_version", f"a frame of version {data[0]}; version {VERSION} is understood")
    if len(data) <= HEADER.size:
        raise FrameError("truncated_frame", f"a frame has more than {HEADER.size} bytes, not {len(data)}")
    _, number, detail, _, reply, time_us = HEADER.unpack_from(data)
    try:
        kind = Kind(number)
    except ValueError:
        raise FrameError("unknown_kind", f"a frame of kind {number}") from None
    return Frame(kind, detail, time_us, data[HEADER.size :], reply)
