"""Opus packets in, sound out, with what was lost between two packets made up for."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.transports import _libopus
from agent.transports._opus import OpusDecoder
from agent.transports._reorder import Packet

_MOST_LOST: Final = 6
"""Packets in a row, 120 ms, that libopus makes up; a longer hole is left to the fade of :class:`AudioIn`."""

Samples = NDArray[np.float32]


class Ear:
    """Decodes one microphone.

    A lost packet is decoded from the copy that the next one carries (in-band FEC), where the sender has put one
    in; where not, libopus goes on with the sound. Where there is no libopus beside PyAV, a hole is left for
    :class:`agent.transports._inbound.AudioIn` to conceal.

    Args:
        library: of libopus, or ``None`` to do without.

    Attributes:
        received: packets that came and were decoded.
        recovered: packets that did not come and were decoded from a copy.
        concealed: packets that did not come and were made up.
        broken: packets that could not be decoded.
    """

    def __init__(self, library: _libopus.Library | None) -> None:
        self.received = self.recovered = self.concealed = self.broken = 0
        self._library = library
        self._decoder = _libopus.Decoder(library) if library is not None else None
        self._plain = OpusDecoder() if library is None else None
        self._before: Packet | None = None
        self._length = 0

    def hear(self, packet: Packet) -> tuple[Samples, int] | None:
        """Return sound, float32 mono at 48 kHz of shape ``(n,)``, and the tick it begins at; ``None`` if broken."""
        made = self._bridge(packet)
        samples = self._decode(packet.data)
        if samples is None:
            self.broken += 1
            return None
        self.received += 1
        self._before, self._length = packet, len(samples)
        return np.concatenate((*made, samples)), packet.ticks - sum(map(len, made))

    def _decode(self, data: bytes) -> Samples | None:
        if self._plain is not None:
            return self._plain.decode(data)
        samples = self._decoder.decode(data) if self._decoder is not None and data else None
        return samples if samples is not None and len(samples) else None

    def _bridge(self, packet: Packet) -> list[Samples]:
        """Make up what was lost right before ``packet``, if it is a hole of a few packets of the usual length."""
        before, length = self._before, self._length
        if self._decoder is None or self._library is None or before is None or not packet.data:
            return []
        lost = (packet.sequence - before.sequence - 1) & 0xFFFF
        if not 0 < lost <= _MOST_LOST or packet.ticks - before.ticks != (lost + 1) * length:
            return []
        made = [self._decoder.conceal(length) for _ in range(lost - 1)]
        made.append(self._decoder.recover(packet.data, length))
        if any(len(m) != length for m in made):
            return []
        copied = self._library.has_copy(packet.data)
        self.recovered += copied
        self.concealed += lost - copied
        return made


def with_copies(sdp: str) -> str:
    """Return an answer that asks the sender for in-band FEC (RFC 7587 section 6.1), which aiortc's does not."""
    lines = sdp.splitlines()
    told: list[str] = []
    for line in lines:
        told.append(line)
        found = re.fullmatch(r"a=rtpmap:(\d+) opus/48000(?:/2)?", line, re.IGNORECASE)
        if found and not any(other.startswith(f"a=fmtp:{found[1]} ") for other in lines):
            told.append(f"a=fmtp:{found[1]} minptime=10;useinbandfec=1")
    return "\r\n".join(told) + "\r\n"
