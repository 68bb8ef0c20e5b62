"""The agent's voice as frames of a WebSocket: 20 ms at a time, in the form that the client asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from agent.frames import RATES_HZ, Kind, pack
from agent.playout import RATE_HZ
from agent.transports._opus import FRAME, OpusEncoder
from perception.timebase import to_ticks

Samples = NDArray[np.float32]

_SETTLE: Final = 5
"""Frames of silence after which nothing of the sound before is left in a resampler or an encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounding:
    """What a client wants to hear.

    Attributes:
        form: ``pcm16``, ``opus``, or ``none``.
        rate_hz: of ``pcm16``.
    """

    form: Literal["pcm16", "opus", "none"] = "pcm16"
    rate_hz: int = RATE_HZ

    def __post_init__(self) -> None:
        if self.form not in ("pcm16", "opus", "none"):
            raise ValueError(f"sound is 'pcm16', 'opus' or 'none', not {self.form!r}")
        if self.rate_hz not in RATES_HZ:
            raise ValueError(f"rate is one of {', '.join(map(str, RATES_HZ))}, not {self.rate_hz}")


class Mouthpiece:
    """Makes frames of what the playout gives.

    Args:
        sounding: what the client wants to hear.
        rate_hz: of the playout.
    """

    def __init__(self, sounding: Sounding, rate_hz: int) -> None:
        self.samples = to_ticks(FRAME, rate_hz)
        self._sounding = sounding
        self._silent = _SETTLE
        self._encoder = OpusEncoder(rate_hz) if sounding.form == "opus" else None
        self._stream = (
            soxr.ResampleStream(rate_hz, sounding.rate_hz, 1, dtype="float32", quality="MQ")
            if sounding.form == "pcm16" and sounding.rate_hz != rate_hz
            else None
        )

    def frame(self, samples: Samples | None, time_us: int, reply: int) -> bytes | None:
        """Return the frame of 20 ms of sound; ``None`` if nothing is to be sent.

        Args:
            samples: float32 mono of shape ``(samples,)``; ``None`` is silence.
            time_us: when they begin.
            reply: whose they are.
        """
        self._silent = 0 if samples is not None else min(_SETTLE, self._silent + 1)
        if self._sounding.form == "none" or self._silent == _SETTLE:
            return None
        if self._encoder is not None:
            return pack(Kind.OPUS, 48, time_us, self._encoder.encode(samples), reply)
        if self._stream is not None:
            sound = samples if samples is not None else np.zeros(self.samples, np.float32)
            samples = self._stream.resample_chunk(sound)
        if samples is None or not len(samples):
            return None
        pcm = (np.clip(samples, -1.0, 1.0) * np.float32(32767)).astype("<i2")
        return pack(Kind.PCM16, self._sounding.rate_hz // 1000, time_us, pcm.tobytes(), reply)
