"""Notices what nobody else can: a camera or a microphone that has gone silent, since no worker is fed any more, and
speech that does not leave.
"""

from __future__ import annotations

from perception.media import AudioChunk, VideoFrame
from perception.percept import SENSE_BACK, SENSE_LOST, Percept
from perception.timebase import MS, Nanos

MediaType = type[AudioChunk] | type[VideoFrame]

NAMES: dict[MediaType, str] = {VideoFrame: "camera", AudioChunk: "microphone"}

SLACK: Nanos = 30 * MS
"""Sound that may be left over at the end of a reply: less than two frames."""


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


class SpeechWatch:
    """Notices that sound which was made does not leave: the agent counts as speaking, and nobody hears anything.

    Args:
        silent_after: time without progress after which that is told.
        stalled_after: time after which it is hopeless.
    """

    def __init__(self, silent_after: Nanos, stalled_after: Nanos) -> None:
        self._silent_after = silent_after
        self._stalled_after = stalled_after
        self._played: Nanos = -1
        self._since: Nanos = 0
        self._told = False

    def step(self, now: Nanos, made: Nanos, played: Nanos, *, held: bool) -> str:
        """Return ``silent`` once per stretch of silence, then ``stalled``; else ``""``.

        Args:
            now: the time on the call's clock.
            made: sound of the reply so far.
            played: how much of it has left.
            held: whether it is held back on purpose.
        """
        if held or played != self._played or made - played <= SLACK:
            self._played, self._since, self._told = played, now, False
            return ""
        if now - self._since >= self._stalled_after:
            return "stalled"
        if now - self._since >= self._silent_after and not self._told:
            self._told = True
            return "silent"
        return ""
