"""Keeps the agent from hearing itself: what the speaker plays comes back into the microphone beside it.

``cancel`` takes the echo out with WebRTC's echo canceller (AEC3, in the package pywebrtc-audio), so that a person can
cut in. ``half-duplex`` does not listen while the speaker sounds and shortly after: simple, needs nothing, and nobody
can cut in by voice. ``off`` is for headphones.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
import structlog

from agent.onboard.devices import DeviceError, Samples
from perception.media import RATE_HZ
from perception.timebase import MS, Nanos, to_ticks

log = structlog.get_logger(__name__)

AUTO, CANCEL, HALF_DUPLEX, OFF = "auto", "cancel", "half-duplex", "off"
KINDS: Final = (AUTO, CANCEL, HALF_DUPLEX, OFF)

_SOUNDS: Final = 10 ** (-60 / 20)
"""Amplitude from which the speaker counts as sounding."""

_RINGS: Final[Nanos] = 300 * MS
"""How long a room and the buffers of a speaker go on sounding."""


class Echo(Protocol):
    """Works on sound at 16 kHz; one per stretch of sound."""

    def clean(self, near: Samples, far: Samples) -> Samples:
        """Return what of ``near`` is not the echo of ``far``.

        Args:
            near: what the microphone heard, float32 of shape ``(n,)``.
            far: what the speaker was given meanwhile, of the same shape.
        """
        ...


def make(kind: str, delay_s: float = 0.0) -> Echo:
    """Make what ``kind`` names, one of :data:`KINDS`.

    Args:
        kind: ``auto`` cancels where that is installed, and is half-duplex where not.
        delay_s: time from the speaker's buffer to the microphone's, as far as it is known.

    Raises:
        DeviceError: there is no such kind, or what it needs is not installed.
    """
    if kind == OFF:
        return Through()
    if kind == HALF_DUPLEX:
        return HalfDuplex(delay_s)
    if kind not in KINDS:
        raise DeviceError(f"echo {kind!r}: expected one of {', '.join(KINDS)}")
    try:
        return Canceller(delay_s)
    except ImportError:
        if kind == CANCEL:
            raise DeviceError(
                "the echo canceller is not installed: pip install 'rapport-agent[local]'; or listen only while the "
                "agent does not speak: --half-duplex"
            ) from None
    log.warning("no_echo_canceller", fix="pip install 'rapport-agent[local]'; until then nobody can cut in by voice")
    return HalfDuplex(delay_s)


class Through:
    """Does nothing."""

    def clean(self, near: Samples, far: Samples) -> Samples:
        """Return ``near``."""
        return near


class HalfDuplex:
    """Hears nothing while the speaker sounds, and until that has died away.

    Args:
        delay_s: time from the speaker's buffer to the microphone's.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self._rings = to_ticks(_RINGS, RATE_HZ) + round(delay_s * RATE_HZ)
        self._left = 0

    def clean(self, near: Samples, far: Samples) -> Samples:
        """Return ``near``, or silence of the same length."""
        if np.abs(far).max(initial=0.0) >= _SOUNDS:
            self._left = self._rings + len(near)
        if self._left <= 0:
            return near
        self._left -= len(near)
        return np.zeros_like(near)


class Canceller:
    """WebRTC's AEC3.

    Args:
        delay_s: time from the speaker's buffer to the microphone's; it finds out by itself, and sooner with it.

    Raises:
        ImportError: pywebrtc-audio is not installed.
    """

    _FRAME: Final = RATE_HZ // 100
    """Samples that it takes at once; of a shorter piece it would make a whole one."""

    def __init__(self, delay_s: float = 0.0) -> None:
        from pywebrtc_audio import EchoCanceller

        self._aec: Any = EchoCanceller(sample_rate=RATE_HZ, stream_delay_ms=round(delay_s * 1000))
        self._near = self._far = np.zeros(0, np.float32)

    def clean(self, near: Samples, far: Samples) -> Samples:
        """Return ``near`` without the echo; in whole frames of 10 ms, so that up to 10 ms are kept for later."""
        near, far = np.concatenate((self._near, near)), np.concatenate((self._far, far))
        whole = len(near) - len(near) % self._FRAME
        self._near, self._far = near[whole:], far[whole:]
        if not whole:
            return np.zeros(0, np.float32)
        found: Samples = self._aec.process(near[:whole], far[:whole])
        return found
