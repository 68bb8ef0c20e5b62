"""What hearing costs: CPU per second of sound for each worker, and time per decode against faster-whisper.

Run ``python -m benchmarks.hearing``. One thread; medians; speech by the embedded voice. Decodes are timed in
CPU time, which other programs disturb less, and in turns, so that what disturbs one disturbs both: *stock*
is ``WhisperModel.transcribe`` as faster-whisper ships it, greedy, with its 30 s window and no word times;
*short* is :class:`perception.whisper.Whisper` with word times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agent.models import resolve
from perception.media import RATE_HZ
from perception.whisper import Whisper
from perception.workers import WorkerFactory, asr, prosody, turn, vad
from tests.speech_samples import SENTENCES, chunked, say, silence

_MODELS = {"base": ("whisper-base", True), "tiny.en": ("whisper-tiny-en", False)}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="runs per decode (default 7)")
    parser.add_argument("--skip-stock", action="store_true", help="leave out the slow baseline")
    chosen = parser.parse_args()
    _workers()
    _decodes(chosen.repeats, stock=not chosen.skip_stock)


def _workers() -> None:
    conversation = np.concatenate([part for text in SENTENCES[:6] for part in (say(text), silence(0.8))])
    length_s = len(conversation) / RATE_HZ
    print(f"{length_s:.0f} s of sound, about three quarters of it speech, in chunks of 20 ms")
    print(f"{'worker':22} {'CPU ms per s':>12} {'median feed ms':>15} {'longest feed ms':>16}")
    factories: Sequence[tuple[str, WorkerFactory]] = (
        ("vad", vad.load(resolve=resolve)),
        ("turn", turn.load(resolve=resolve)),
        ("prosody", prosody.load(resolve=resolve)),
        ("asr partials=off", asr.load(resolve=resolve, partials="off")),
        ("asr partials=tiny-en", asr.load(resolve=resolve)),
        ("asr partials=base", asr.load(resolve=resolve, partials="base")),
    )
    for name, factory in factories:
        factory().feed(chunked(conversation[: 4 * RATE_HZ]))
        worker = factory()
        began = time.process_time()
        feeds = []
        for chunk in chunked(conversation):
            start = time.perf_counter()
            worker.feed([chunk])
            feeds.append((time.perf_counter() - start) * 1e3)
        cpu = (time.process_time() - began) / length_s * 1e3
        print(f"{name:22} {cpu:12.1f} {statistics.median(feeds):15.2f} {max(feeds):16.1f}")


def _speech(seconds: float) -> NDArray[np.float32]:
    sound = np.concatenate([say(text) for text in SENTENCES])
    return sound[: round(seconds * RATE_HZ)].copy()


def _decodes(repeats: int, *, stock: bool) -> None:
    print(f"\nmedian of {repeats} decodes, CPU ms, one thread")
    print(f"{'model':10} {'speech s':>8} {'short':>8} {'stock':>8} {'ratio':>7}")
    for name, (folder, pad_minimum) in _MODELS.items():
        short = Whisper(resolve(folder), pad_minimum=pad_minimum)
        usual = _stock(folder) if stock else None
        for seconds in (1.5, 3, 6, 10):
            sound = _speech(seconds)
            runs: list[Callable[[], object]] = [partial(short.decode, sound, timed=True)]
            runs += [partial(usual, sound)] if usual else []
            ours, *theirs = _medians(runs, repeats)
            versus = f" {theirs[0]:8.0f} {theirs[0] / ours:7.1f}" if theirs else ""
            print(f"{name:10} {seconds:8.1f} {ours:8.0f}{versus}")


def _stock(folder: str) -> Callable[[NDArray[np.float32]], object]:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(resolve(folder)), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    return lambda sound: list(model.transcribe(sound, language="en", beam_size=1)[0])


def _medians(runs: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, taken in zip(runs, times, strict=True):
            start = time.process_time()
            run()
            taken.append((time.process_time() - start) * 1e3)
    return [statistics.median(taken[1:]) for taken in times]


if __name__ == "__main__":
    main()
