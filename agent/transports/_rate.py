"""Keeps a camera that comes back from stopping the event loop.

aiortc estimates the bandwidth of video from a window of one second in buckets of a millisecond, and after a
pause erases one bucket per millisecond of it: a camera that was off for ten minutes costs a third of a
second of everyone's time when its first packet comes, one that was off for an hour two seconds.
"""

from __future__ import annotations

from aiortc.rate import RateBucket, RateCounter, RemoteBitrateEstimator
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from agent.transports import _aiortc


class PatientRateCounter(RateCounter):
    """A rate counter to which a long pause costs no more than a short one."""

    def _erase_old(self, now_ms: int) -> None:
        assert self._origin_ms is not None
        start = now_ms - self._window_size + 1
        if start - self._origin_ms >= self._window_size:
            for bucket in self._buckets:
                bucket.count = bucket.value = 0
            self._total = RateBucket()
            self._origin_index = (self._origin_index + start - self._origin_ms) % self._window_size
            self._origin_ms = start
        super()._erase_old(now_ms)


def install(receiver: RTCRtpReceiver) -> None:
    """Give a video receiver the patient counter, before its first packet.

    Raises:
        agent.transports._aiortc.Moved: this aiortc keeps it somewhere else.
    """
    estimator = _aiortc.private(receiver, _aiortc.ESTIMATOR, RemoteBitrateEstimator)
    _aiortc.replace(estimator, "incoming_bitrate", RateCounter, PatientRateCounter(1000, 8000))
