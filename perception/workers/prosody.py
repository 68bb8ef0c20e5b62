"""How it is said: ``prosody`` at the end of each phrase, and during long ones when something stands out.

A phrase is speech with gaps shorter than ``gap_ms``; its percept comes at the same moment as the first
``end_of_turn``, and spans it from onset to the end of the voice. In a phrase longer than ``long_s`` the
last ``long_s`` seconds are judged every ``again_s``, and reported if they are not neutral and not what was
reported last. Labels and confidence are those of :mod:`perception.manner`: relative to the speaker, with
a confidence below 0.3 for the first five phrases. Phrases with less than a quarter of a second of voice
are passed over.

Data: ``pitch_hz``, ``pitch_range_st``, ``pitch_slope_st_s``, ``pitch_final_st``, ``loudness_db``,
``rate_hz``, ``tremor_st``, ``voiced_s`` (see :class:`perception.prosody.Measures`), ``pause_ratio`` (share
of silence since the onset of a stretch of speech with gaps up to 1.5 s, over at most 10 s), ``phrases``
(that the baseline rests on) and, of each measure, its z-score: ``z_pitch``, ``z_range``, ``z_loudness``,
``z_rate``, ``z_tremor``, ``z_final``; range, rate and tremor are averaged over the latest phrases for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import perception.onnx  # noqa: F401 -- swift_f0 imports onnxruntime
from perception.ear import MAX_FILL, Ear, Hop, hops, samples
from perception.manner import NEUTRAL, Speaker
from perception.media import RATE_HZ, AudioChunk, Media
from perception.percept import PROSODY, Percept
from perception.prosody import FRAME, Contour, measure
from perception.silero import HOP, Segmenter, Silero, load_silero
from perception.workers import Resolve

_LEFT = 11
_RIGHT = 10
_EVERY = 8
_BOUNDS_HZ = (60.0, 500.0)
_KEEP_S = 12.0
_PAUSES = hops(10_000)
_STRETCH_MS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be tuned.

    Attributes:
        on: see :class:`perception.silero.Segmenter`.
        off: see there.
        min_speech_ms: voice until speech is believed.
        gap_ms: silence that ends a phrase; 160 to 1500.
        long_s: length from which a phrase is judged while it goes on; 1 to 10.
        again_s: time from one such judgement to the next.
    """

    on: float = 0.5
    off: float = 0.35
    min_speech_ms: float = 64
    gap_ms: float = 200
    long_s: float = 3.0
    again_s: float = 1.0

    def __post_init__(self) -> None:
        if not _RIGHT * FRAME <= hops(self.gap_ms) * HOP <= samples(_STRETCH_MS) < MAX_FILL:
            raise ValueError("want 160 <= gap_ms <= 1500")
        if not 1.0 <= self.long_s <= _KEEP_S - 2.0 or self.again_s <= 0:
            raise ValueError("want 1 <= long_s <= 10 and again_s > 0")


class Prosody:
    """The worker. See the module."""

    def __init__(self, silero: Any, pitch: Any, options: Options) -> None:
        self._options = options
        self._pitch = pitch
        self._ear = Ear(Silero(silero), keep_s=_KEEP_S)
        self._phrases = self._segmenter(hops(options.gap_ms))
        self._stretches = self._segmenter(hops(_STRETCH_MS))
        self._speaker = Speaker()
        self._voice: deque[bool] = deque(maxlen=_PAUSES)
        self._begin(0)

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        """Take in sound; return how the phrases in it were said."""
        found: list[Percept] = []
        for hop in self._ear.hear(media):
            if hop.fresh:
                self._phrases.reset()
                self._stretches.reset()
            found += self._step(hop)
        return found

    def _segmenter(self, min_silence: int) -> Segmenter:
        options = self._options
        return Segmenter(
            on=options.on, off=options.off, min_speech=hops(options.min_speech_ms), min_silence=min_silence
        )

    def _begin(self, onset: int) -> None:
        self._onset = onset
        self._hops = 0
        self._done = onset // FRAME
        self._frames: list[tuple[float, float, float]] = []
        self._said = NEUTRAL
        self._judged = onset

    def _step(self, hop: Hop) -> list[Percept]:
        self._stretches.step(hop.probability, hop.end)
        self._pausing()
        edge = self._phrases.step(hop.probability, hop.end)
        if edge is not None and edge.began:
            self._begin(edge.at)
        if edge is not None and not edge.began:
            self._listen(hop.end)
            return self._judge(edge.at, finished=True)
        if not self._phrases.speaking:
            return []
        self._hops += 1
        if self._hops % _EVERY:
            return []
        self._listen(hop.end)
        length, since = self._done * FRAME - self._onset, self._done * FRAME - self._judged
        if length < samples(self._options.long_s * 1000) or since < samples(self._options.again_s * 1000):
            return []
        self._judged = self._done * FRAME
        return self._judge(self._done * FRAME, finished=False)

    def _pausing(self) -> None:
        if not self._stretches.speaking:
            self._voice.clear()
        else:
            self._voice.append(self._stretches.silence == 0)

    def _pause_ratio(self) -> float:
        spoken = len(self._voice) - self._stretches.silence // HOP
        return max(0.0, 1.0 - sum(self._voice) / spoken) if spoken > 0 else 0.0

    def _listen(self, end: int) -> None:
        """Follow the pitch up to the last frame that more sound would not change."""
        left = max(self._ear.first, (self._done - _LEFT) * FRAME)
        result = self._pitch.detect(self._ear.between(left, end), RATE_HZ, *_BOUNDS_HZ)
        skip = self._done - left // FRAME
        fresh = slice(skip, end // FRAME - left // FRAME - _RIGHT)
        values = zip(result.pitch_hz[fresh], result.confidence[fresh], result.loudness_db[fresh], strict=True)
        frames = [(float(hz), float(belief), float(db)) for hz, belief, db in values]
        self._frames += frames
        self._done += len(frames)

    def _judge(self, stop: int, *, finished: bool) -> list[Percept]:
        most = round((_KEEP_S - 1.0 if finished else self._options.long_s) * RATE_HZ) // FRAME
        last = min(stop // FRAME, self._done)
        first = max(self._done - len(self._frames), last - most)
        offset = first - (self._done - len(self._frames))
        frames = np.array(self._frames[offset : offset + last - first], dtype=np.float64).reshape(-1, 3)
        if not len(frames):
            return []
        sound = self._ear.between(first * FRAME, last * FRAME)
        measures = measure(Contour(frames[:, 0], frames[:, 1], frames[:, 2]), sound)
        if measures is None:
            return []
        manner = self._speaker.judge(measures, finished=finished)
        data = {
            **asdict(measures),
            "pause_ratio": self._pause_ratio(),
            "phrases": float(self._speaker.phrases),
            **{f"z_{name}": value for name, value in manner.z.items()},
        }
        if finished:
            self._speaker.learn(measures)
        elif manner.label in {NEUTRAL, self._said}:
            return []
        self._said = manner.label
        start = self._onset if finished else first * FRAME
        span = self._ear.instant(start), self._ear.instant(max(start, stop))
        return [Percept(PROSODY, manner.label, *span, manner.confidence, "prosody", data)]


class ProsodyFactory:
    """Makes one :class:`Prosody` per call."""

    name = "prosody"
    accepts = (AudioChunk,)

    def __init__(self, silero: Any, pitch: Any, options: Options) -> None:
        self._silero = silero
        self._pitch = pitch
        self._options = options

    def __call__(self) -> Prosody:
        """Return a worker that has heard nothing."""
        return Prosody(self._silero, self._pitch, self._options)


def load(*, resolve: Resolve, **options: Any) -> ProsodyFactory:
    """Load the models; see :class:`Options`. The pitch tracker (swift-f0) brings its weights along.

    Raises:
        TypeError: an option is unknown.
        ValueError: an option is out of its range.
    """
    from swift_f0 import SwiftF0

    chosen = Options(**options)
    return ProsodyFactory(load_silero(resolve("silero-vad")), SwiftF0(threads=1, spin=False), chosen)
