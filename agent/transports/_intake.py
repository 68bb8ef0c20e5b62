"""What comes in on its way to the call: gated, decoded, stamped, counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from agent.clock import Clock
from agent.journal import Body, Metric, Note
from agent.sense_map import SenseMap
from agent.transports import Feed, Signal, _libopus
from agent.transports._ear import Ear
from agent.transports._inbound import WIRE_HZ, AudioIn, VideoIn, to_rgb
from agent.transports._reorder import Packet
from perception.media import Media, VideoFrame
from perception.timebase import Nanos, as_seconds, from_ticks

_MOST_DELAYS: Final = 1000
_EARLY: Final = 16
_PACKET: Final = 960
"""Samples at 48 kHz in 20 ms, the usual packet; late and concealed sound is counted in these."""


class Intake:
    """The way in of one call.

    Nothing is decoded further than it must be: a refused microphone's packets are dropped as they come, a
    refused camera's pictures right after the decoder.

    Args:
        map: which senses need which device.
        senses: names of the senses that are allowed at first, ``None`` for all.
        report: takes what is worth knowing.
        most_video_hz: pictures per second that are looked at, at most.

    Attributes:
        senses: names of the senses that are allowed now.
        microphone: whether the person has it on.
        camera: whether the person has it on.
        push_to_talk: whether the microphone counts only while the button is held.
        held: whether it is.
    """

    def __init__(
        self,
        map: SenseMap,
        senses: frozenset[str] | None,
        report: Callable[[Body], None],
        *,
        most_video_hz: float = 15.0,
    ) -> None:
        self.senses = senses
        self.microphone = self.camera = True
        self.push_to_talk = self.held = False
        self._map = map
        self._most_video_hz = most_video_hz
        self._report = report
        self._feed: Feed | None = None
        self._clock: Clock | None = None
        self._delays: list[Nanos] = []
        self._withheld = 0
        self._reported: dict[str, int] = {}
        self._early: deque[Media | Signal] | None = deque(maxlen=_EARLY)
        self.restart()

    def restart(self) -> None:
        """Begin anew with the tracks of another connection."""
        self._audio = AudioIn()
        self._ear = Ear(_libopus.library())
        self._video: dict[str, VideoIn] = {}

    def open(self, feed: Feed, clock: Clock) -> None:
        """Feed from now on, stamped on ``clock``."""
        self._feed, self._clock = feed, clock
        early, self._early = self._early, None
        for found in early or ():
            feed(found)

    def close(self) -> None:
        """Feed no more."""
        self._feed = self._early = None

    def hand(self, found: Media | Signal) -> None:
        """Feed something that is neither heard nor seen; what a client says at once waits for the call to begin."""
        if self._feed is not None:
            self._feed(found)
        elif self._early is not None:
            self._early.append(found)

    def hear(self, packet: Packet) -> None:
        """Take in an Opus packet."""
        sound = self._ear.hear(packet) if self._listens() else None
        if sound is not None:
            self._push(*sound)

    def listen(self, samples: NDArray[np.float32], ticks: int) -> None:
        """Take in sound that needs no decoder: float32 mono at 48 kHz."""
        if self._listens():
            self._push(samples, ticks)

    def _listens(self) -> bool:
        """Whether sound that comes now is heard; what the person does not allow is counted."""
        if self._clock is None or self._feed is None:
            return False
        allowed = self._map.hears(self.senses)
        self._withheld += not allowed
        return allowed

    def _push(self, samples: NDArray[np.float32], ticks: int) -> None:
        if self._clock is None or self._feed is None:
            return
        now = self._clock.now()
        if from_ticks(len(samples), WIRE_HZ) > now:
            return  # it began before the call did
        if not self.microphone or (self.push_to_talk and not self.held):
            samples = np.zeros_like(samples)
        for chunk in self._audio.push(samples, ticks, now):
            self._feed(chunk)
        if len(self._delays) < _MOST_DELAYS:
            self._delays.append(self._audio.anchor.delay)
        self._notice("microphone", self._audio.anchor.moved)

    def see(self, frame: av.VideoFrame, source: str) -> None:
        """Take in a decoded picture."""
        at = self.glimpse(frame.pts, source) if frame.pts is not None else None
        if at is not None:
            self.hand(VideoFrame(to_rgb(frame), at=at, source=source))

    def glimpse(self, ticks: int, source: str) -> Nanos | None:
        """Return the instant of a picture that came, at ``ticks`` of 90 kHz; ``None`` if it is not wanted."""
        if self._clock is None or self._feed is None:
            return None
        if not self._sees(source):
            self._withheld += 1
            return None
        video = self._video.setdefault(source, VideoIn(self._most_video_hz))
        at = video.wants(ticks, self._clock.now())
        self._notice(source, video.anchor.moved)
        return at

    def show(self, frame: VideoFrame) -> None:
        """Take in a picture that was wanted, unless it is not any more."""
        if self._sees(frame.source):
            self.hand(frame)
        else:
            self._withheld += 1

    def tick(self) -> None:
        """Fill up sound that has stopped coming; called ten times a second."""
        if self._clock is not None and self._map.hears(self.senses):
            for chunk in self._audio.fill(self._clock.now()):
                self.hand(chunk)

    def measure(self, more: Mapping[str, int] | None = None) -> Iterator[Metric]:
        """Yield numbers about what came since they were last asked for; those that are nothing are left out.

        Args:
            more: further totals, by name.
        """
        delays, self._delays = sorted(self._delays), []
        if delays:
            yield Metric("media_delay", as_seconds(delays[len(delays) // 2]))
        for name, total in (self.totals() | dict(more or {})).items():
            fresh = total - self._reported.get(name, 0)
            self._reported[name] = total
            if fresh > 0:
                yield Metric(name, fresh)

    def totals(self) -> dict[str, int]:
        """Return what was counted since the connection began; sound in packets of 20 ms."""
        return {
            "media_broken_count": self._ear.broken,
            "media_withheld_count": self._withheld,
            "audio_late_count": self._audio.late // _PACKET,
            "audio_received_count": self._ear.received,
            "audio_recovered_count": self._ear.recovered,
            "audio_concealed_count": self._ear.concealed + self._audio.concealed // _PACKET,
            "video_stale_count": sum(v.stale for v in self._video.values()),
        }

    def _sees(self, source: str) -> bool:
        return self._map.sees(self.senses) and (source != "camera" or self.camera)

    def _notice(self, track: str, moved: Nanos) -> None:
        if moved:
            self._report(Note("media_drift", data={"track": track, "moved_s": round(as_seconds(moved), 3)}))
