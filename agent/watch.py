"""Notices a camera or a microphone that has gone silent: no worker can, since none is fed any more."""

from __future__ import annotations

from perception.media import AudioChunk, VideoFrame
from perception.percept import SENSE_BACK, SENSE_LOST, Percept
from perception.timebase import Nanos

MediaType = type[AudioChunk] | type[VideoFrame]

NAMES: dict[MediaType, str] = {VideoFrame: "camera", AudioChunk: "microphone"}


class MediaWatch:
    """Keeps the instant of the last picture and the last sound.

    Args:
        lost_after: time without media after which they are reported lost.
    """

    def __init__(self, lost_after: Nanos) -> None:
        self._lost_after = lost_after
        self._last: dict[MediaType, Nanos] = dict.fromkeys(NAMES, 0)
        self._missing: set[MediaType] = set()

    def saw(self, kind: MediaType, at: Nanos) -> None:
        """Media of this kind came, up to ``at``."""
        self._last[kind] = at

    def restart(self, now: Nanos, wanted: frozenset[MediaType]) -> None:
        """The person has allowed or refused senses: begin to wait anew, and forget what is not wanted."""
        self._last = dict.fromkeys(NAMES, now)
        self._missing &= wanted

    def step(self, now: Nanos, wanted: frozenset[MediaType]) -> list[Percept]:
        """Return ``sense_lost`` or ``sense_back`` for each kind of wanted media that went or came back."""
        found: list[Percept] = []
        for kind, name in NAMES.items():
            last = self._last[kind]
            gone = kind in wanted and now - last > self._lost_after
            if gone == (kind in self._missing):
                continue
            self._missing ^= {kind}
            label = SENSE_LOST if gone else SENSE_BACK
            found.append(Percept(label, name, min(last, now), now, 1.0, "runtime"))
        return found
