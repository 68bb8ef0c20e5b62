"""Voice activity: Silero v6 as a stream, and the hysteresis that turns its probabilities into speech.

The network (Silero Team, *Silero VAD*, MIT) sees 512 new samples together with the 64 before them and
carries an LSTM state. It fires 35-75 ms after a voice begins; the class :class:`Segmenter` therefore
dates an onset back to the start of the first hop that it believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.onnx import open_session

HOP = 512
"""New samples per step: 32 ms."""
_CONTEXT = 64
_STATE = (1, 1, 128)


class Silero:
    """The detector's state in one stream.

    Args:
        session: an open Silero v6 session, shared by all streams; see :func:`load_silero`.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.reset()

    def reset(self) -> None:
        """Forget the stream, as after a break in the sound."""
        self._input = np.zeros((1, _CONTEXT + HOP), dtype=np.float32)
        self._hidden = np.zeros(_STATE, dtype=np.float32)
        self._cell = np.zeros(_STATE, dtype=np.float32)

    def step(self, hop: NDArray[np.float32]) -> float:
        """Return the probability, 0..1, that there is a voice in the next 512 samples."""
        self._input[0, :_CONTEXT] = self._input[0, HOP:]
        self._input[0, _CONTEXT:] = hop
        output, self._hidden, self._cell = self._session.run(
            None, {"input": self._input, "h": self._hidden, "c": self._cell}
        )
        return float(output.reshape(-1)[0])


def load_silero(model: Path) -> Any:
    """Open Silero v6 for any number of :class:`Silero` streams.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return open_session(model)


@dataclass(frozen=True, slots=True)
class Edge:
    """Speech begins or ends.

    Attributes:
        began: whether this is the beginning.
        at: sample index of the onset, or of the first sample after the voice.
    """

    began: bool
    at: int


class Segmenter:
    """Speech with hysteresis: a pure state machine over the probabilities of consecutive hops.

    Args:
        on: a hop at or above this is voice.
        off: a hop below this is silence; between the two nothing changes.
        min_speech: hops of voice until speech is believed; dips above ``off`` do not restart the count.
        min_silence: hops of silence until it is over.
    """

    def __init__(self, *, on: float = 0.5, off: float = 0.35, min_speech: int = 2, min_silence: int = 6) -> None:
        if not 0.0 < off <= on < 1.0:
            raise ValueError(f"want 0 < off <= on < 1, got off {off} and on {on}")
        if min_speech < 1 or min_silence < 1:
            raise ValueError("min_speech and min_silence are at least one hop")
        self._on = on
        self._off = off
        self._min_speech = min_speech
        self._min_silence = min_silence
        self.reset()

    def reset(self) -> None:
        """Back to silence."""
        self.speaking = False
        """Whether the voice has begun and not ended."""
        self.onset = 0
        """Index of the first sample of the running, or last, speech."""
        self.silence = 0
        """Samples since the voice stopped; 0 while it is there."""
        self.doubtful = False
        """Whether the running, or last, speech was begun by :meth:`begin` and no hop of it was voice."""
        self._voiced = 0
        self._candidate = 0

    def begin(self, onset: int) -> Edge:
        """Begin speech that the probabilities alone do not show yet; they end it like any other.

        Args:
            onset: index of its first sample.
        """
        self.speaking, self.onset, self.silence, self._voiced, self.doubtful = True, onset, 0, 0, True
        return Edge(began=True, at=onset)

    def step(self, probability: float, end: int) -> Edge | None:
        """Take in the next hop, which ends before sample ``end``; return what began or ended with it."""
        if self.speaking:
            return self._during(probability, end)
        if probability >= self._on:
            if self._voiced == 0:
                self._candidate = end - HOP
            self._voiced += 1
            if self._voiced >= self._min_speech:
                self.speaking, self.onset, self.silence, self._voiced = True, self._candidate, 0, 0
                self.doubtful = False
                return Edge(began=True, at=self.onset)
        elif probability < self._off:
            self._voiced = 0
        return None

    def _during(self, probability: float, end: int) -> Edge | None:
        if probability >= self._on:
            self.silence = 0
            self.doubtful = False
        elif self.silence or probability < self._off:
            self.silence += HOP
            if self.silence >= self._min_silence * HOP:
                self.speaking = False
                return Edge(began=False, at=end - self.silence)
        return None
