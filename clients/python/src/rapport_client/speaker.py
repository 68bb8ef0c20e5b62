"""What the agent says, on its way to a loudspeaker: a little ahead of time, and gone at once when it is cut off."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

_MOST_S: Final = 5.0
_REMEMBERED: Final = 64
_FADE_S: Final = 0.005


class Speaker:
    """A queue of sound. A sound card's callback may read it from a thread of its own.

    Args:
        rate_hz: samples per second.
        ahead_s: sound that is gathered before it is played, against a network that stutters.

    Attributes:
        underruns: times that the sound was not there in the midst of speech.
        dropped_s: seconds that nobody read in time.
    """

    def __init__(self, rate_hz: int, ahead_s: float = 0.06) -> None:
        self.underruns = 0
        self.dropped_s = 0.0
        self._rate_hz = rate_hz
        self._ahead = int(ahead_s * rate_hz)
        self._lock = threading.Lock()
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._queued = 0
        self._primed = False
        self._held: int | None = None
        self._cut: deque[int] = deque(maxlen=_REMEMBERED)
        self._used = False

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return self._rate_hz

    @property
    def queued_s(self) -> float:
        """Seconds of sound that wait to be read."""
        return self._queued / self._rate_hz

    @property
    def playing(self) -> bool:
        """Whether sound of the agent waits for the loudspeaker; ``False`` where nobody reads."""
        return self._used and self._queued > 0

    def read(self, samples: int) -> bytes:
        """Return the next ``samples`` as 16-bit little-endian mono; silence where there is nothing. Never blocks."""
        out = bytearray()
        with self._lock:
            self._used = True
            if self._primed and not self._waits():
                while self._pieces and len(out) < 2 * samples and not self._waits():
                    piece, reply = self._pieces.popleft()
                    taken = piece[: 2 * samples - len(out)]
                    out += taken
                    self._queued -= len(taken) // 2
                    if len(taken) < len(piece):
                        self._pieces.appendleft((piece[len(taken) :], reply))
                if len(out) < 2 * samples and not self._pieces:
                    self.underruns += 1
                    self._primed = False
        out += bytes(2 * samples - len(out))
        return bytes(out)

    def write(self, pcm: bytes, reply: int) -> bool:
        """Append sound; return whether it will be played, and not belongs to a reply that was cut off."""
        with self._lock:
            if reply in self._cut:
                return False
            self._pieces.append((pcm, reply))
            self._queued += len(pcm) // 2
            if self._queued >= self._ahead:
                self._primed = True
            while self._queued > _MOST_S * self._rate_hz:
                gone, _ = self._pieces.popleft()
                self._queued -= len(gone) // 2
                self.dropped_s += len(gone) / 2 / self._rate_hz
        return True

    def drop(self, reply: int) -> None:
        """Forget what is unplayed of a reply, now and later."""
        with self._lock:
            self._cut.append(reply)
            if self._held == reply:
                self._held = None
            head = self._pieces[0] if self._pieces else None
            self._pieces = deque(p for p in self._pieces if p[1] != reply)
            if head is not None and head[1] == reply and self._primed and self._used:
                self._pieces.appendleft((self._faded(head[0]), -1))
            self._queued = sum(len(p) // 2 for p, _ in self._pieces)

    def hold(self, reply: int) -> None:
        """Pause a reply; nothing of it is lost."""
        with self._lock:
            self._held = reply

    def go_on(self) -> None:
        """Go on with the reply that was paused."""
        with self._lock:
            self._held = None

    def end(self) -> None:
        """The agent has finished: what is there is played, however little."""
        with self._lock:
            self._primed = self._primed or bool(self._pieces)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._pieces.clear()
            self._queued = 0
            self._held = None
            self._primed = False

    def _waits(self) -> bool:
        return self._held is not None and bool(self._pieces) and self._pieces[0][1] == self._held

    def _faded(self, pcm: bytes) -> bytes:
        """Return the first 5 ms, getting quieter, so that the end does not click."""
        count = min(len(pcm) // 2, int(_FADE_S * self._rate_hz))
        sound = memoryview(pcm[: 2 * count]).cast("h") if count else []
        fading = (int(x * (count - k) / count) for k, x in enumerate(sound))
        return b"".join(x.to_bytes(2, "little", signed=True) for x in fading)
