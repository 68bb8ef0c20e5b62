"""Danger that was misheard: how much of what is said plainly is lost, and how much of it is asked back about.

Run ``python -m benchmarks.misheard``. Two synthetic voices, the embedded one and espeak-ng's plainest, say the
sentences of ``benchmarks/misheard.toml`` in a quiet room and in noise with the spectrum of the speech, 10 and 5 dB
below it. The baseline, in the same run, is the best transcript alone, as it is recognised without a second decode.
Times are CPU time on one thread; the order of the two is turned from sound to sound.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.models import resolve
from agent.rendering.manner import PLAIN
from agent.rendering.speak import SPEAKERS, Speaker, Voices
from benchmarks.safety.figures import Figure
from perception.media import RATE_HZ
from perception.whisper import Heard, Whisper
from policy.safety.detector import check_patterns
from policy.safety.misheard import doubt

_SENTENCES: Final = Path(__file__).with_suffix(".toml")
_VOICES: Final = ("hibari-heart", "espeak-en-us")
_DANGER: Final = "danger"
_HARMLESS: Final = "harmless"
_NOISES_DB: Final = (None, 10.0, 5.0)
_BEFORE_S: Final = 0.3
_AFTER_S: Final = 0.2
_FRAME: Final = 512
_ROOM: Final = 0.0005
"""Level of a quiet room."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What was made of one sound.

    Attributes:
        voice: who said it.
        noise_db: level of the speech above the noise; ``None`` for a quiet room.
        kind: ``danger`` or ``harmless``.
        said: the words.
        heard: the best transcript; ``""`` where nothing is believed.
        alternatives: of the second decode.
        alone_ms: CPU time without a second decode.
        both_ms: with it.
    """

    voice: str
    noise_db: float | None
    kind: str
    said: str
    heard: str
    alternatives: tuple[str, ...]
    alone_ms: float
    both_ms: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tuning", action="store_true", help="the sentences that chose the thresholds")
    parser.add_argument("--heard", type=Path, help="file of what was recognised: read where it is there, else written")
    parser.add_argument("--show", action="store_true", help="print what is lost and what is asked back about in vain")
    chosen = parser.parse_args()
    clips = list(_clips("tuning" if chosen.tuning else "measured", chosen.heard))
    for voice in _VOICES:
        for noise in _NOISES_DB:
            here = [clip for clip in clips if (clip.voice, clip.noise_db) == (voice, noise)]
            if here:
                _table(here, voice, noise)
    _table(clips, "both voices", "all")
    _costs(clips)
    if chosen.show:
        _show(clips)


def asked(clip: Clip) -> bool:
    """Tell whether the lane asks back about what was heard: of what the recogniser was sure of, it never does."""
    return bool(clip.alternatives) and doubt(clip.heard, clip.alternatives) is not None


def plain(clip: Clip) -> bool:
    """Tell whether the best transcript is plain danger."""
    return check_patterns(clip.heard) is not None


def _table(clips: Sequence[Clip], voice: str, noise: float | str | None) -> None:
    where = "in quiet" if noise is None else f"at {noise:g} dB" if isinstance(noise, float) else noise
    danger = [clip for clip in clips if clip.kind == _DANGER]
    harmless = [clip for clip in clips if clip.kind == _HARMLESS]
    others = [clip for clip in danger if any(check_patterns(words) for words in clip.alternatives)]
    print(f"\n{voice}, {where}")
    print(Figure("danger: best transcript alone (baseline)", sum(map(plain, danger)), len(danger)))
    print(Figure("danger: best transcript or an alternative", len({*filter(plain, danger), *others}), len(danger)))
    print(Figure("danger: found or asked back about", sum(plain(c) or asked(c) for c in danger), len(danger)))
    print(Figure("harmless: taken for danger (baseline)", sum(map(plain, harmless)), len(harmless)))
    print(Figure("harmless: asked back about", sum(map(asked, harmless)), len(harmless)))


def _costs(clips: Sequence[Clip]) -> None:
    second = [clip.both_ms - clip.alone_ms for clip in clips if clip.alternatives]
    print(f"\nsecond decode in {len(second)} of {len(clips)} transcripts")
    for voice in _VOICES:
        for noise in _NOISES_DB:
            here = [clip for clip in clips if (clip.voice, clip.noise_db) == (voice, noise)]
            if here:
                share = sum(bool(clip.alternatives) for clip in here) / len(here)
                alone, both = (statistics.median(t) for t in zip(*((c.alone_ms, c.both_ms) for c in here), strict=True))
                print(f"  {voice:14} {noise or 'quiet':>6} {share:6.1%}  median {alone:5.0f} -> {both:5.0f} ms")
    if second:
        print(f"where it is done: median {statistics.median(second):.0f} ms more, longest {max(second):.0f} ms")


def _show(clips: Sequence[Clip]) -> None:
    for clip in clips:
        lost = clip.kind == _DANGER and not plain(clip) and not asked(clip)
        vain = clip.kind == _HARMLESS and asked(clip)
        if lost or vain:
            print("lost" if lost else "vain", clip.voice, clip.noise_db, "|", clip.said, "|", clip.heard)
            print("    ", *(f"[{words}]" for words in clip.alternatives))


def _clips(section: str, kept: Path | None) -> Iterator[Clip]:
    if kept is not None and kept.exists():
        for line in kept.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            yield Clip(**found | {"alternatives": tuple(found["alternatives"])})
        return
    whisper, voices = Whisper(resolve("whisper-base")), Voices()
    sentences: dict[str, list[str]] = tomllib.loads(_SENTENCES.read_text(encoding="utf-8"))[section]
    lines: list[str] = []
    for speaker in (speaker for speaker in SPEAKERS if speaker.name in _VOICES):
        for clip in _spoken(whisper, voices, speaker, sentences):
            lines.append(json.dumps(asdict(clip)) + "\n")
            yield clip
    if kept is not None:
        kept.write_text("".join(lines), encoding="utf-8")


def _spoken(whisper: Whisper, voices: Voices, speaker: Speaker, sentences: dict[str, list[str]]) -> Iterator[Clip]:
    told = [(kind, text) for kind in (_DANGER, _HARMLESS) for text in sentences[kind]]
    sounds = [voices.say(text, speaker, PLAIN) for _, text in told]
    spectrum = _spectrum(np.concatenate(sounds))
    for n, ((kind, text), sound) in enumerate(zip(told, sounds, strict=True)):
        padded = np.pad(sound, (round(_BEFORE_S * RATE_HZ), round(_AFTER_S * RATE_HZ)))
        for noise_db in _NOISES_DB:
            level = _ROOM if noise_db is None else float(np.sqrt(np.mean(sound**2))) / 10 ** (noise_db / 20)
            noise = _noise(len(padded), None if noise_db is None else spectrum, n)
            mixed = np.asarray(padded + noise * level, dtype=np.float32)
            runs = {count: _timed(whisper, mixed, count) for count in ((0, 5) if n % 2 else (5, 0))}
            (heard, both_ms), (_, alone_ms) = runs[5], runs[0]
            words = heard.text if heard.believed else ""
            others = heard.alternatives if words else ()
            yield Clip(speaker.name, noise_db, kind, text, words, others, alone_ms, both_ms)


def _timed(whisper: Whisper, sound: NDArray[np.float32], alternatives: int) -> tuple[Heard, float]:
    began = time.process_time()
    heard = whisper.decode(sound, timed=True, alternatives=alternatives)
    return heard, (time.process_time() - began) * 1e3


def _spectrum(speech: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the long-term magnitude spectrum of speech."""
    frames = np.lib.stride_tricks.sliding_window_view(speech, _FRAME)[:: _FRAME // 2] * np.hanning(_FRAME)
    return np.asarray(np.sqrt((np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0)))


def _noise(count: int, spectrum: NDArray[np.float64] | None, seed: int) -> NDArray[np.float64]:
    """Return noise of standard deviation 1, white or with a spectrum."""
    white = np.random.default_rng(seed).standard_normal(count)
    if spectrum is None:
        return white
    bins = np.fft.rfft(white)
    shape = np.interp(np.linspace(0, 1, len(bins)), np.linspace(0, 1, len(spectrum)), spectrum)
    noise = np.fft.irfft(bins * shape, count)
    return np.asarray(noise / noise.std())


if __name__ == "__main__":
    main()
