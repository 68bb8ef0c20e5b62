"""What speaking costs: time to the first sound, and time per second of speech, per length and tone.

Run ``python -m benchmarks.voice``. One thread; medians. The baseline is the same engine asked for the whole
text at once, as its own ``__call__`` does: its first sound comes when all of it is made, after 0.2 to 0.3 s
of silence that the network puts in front; that silence counts, because the listener waits for it too.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.models import resolve
from agent.vocoder import RATE_HZ
from agent.voices.hibari import HibariVoice, load
from policy.decision import TONES

TEXTS = {
    "mm-hm": "mm-hm",
    "3 words": "I hear you.",
    "12 words": "That sounds really hard, and I am glad that you told me.",
    "33 words": (
        "When my sister called me last night we talked for two hours about everything that had happened since "
        "the summer, and by the end of it both of us felt a little lighter."
    ),
    "4 sentences": (
        "I am so sorry about your dog. Losing someone who was there every single day leaves a hole in all the "
        "small things. You do not have to know what to do yet. Would you like to tell me about him?"
    ),
}

_now: Callable[[], float] = time.perf_counter


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="runs per cell (default 15)")
    parser.add_argument("--cpu", action="store_true", help="CPU time instead of wall time, on a busy machine")
    chosen = parser.parse_args()
    repeats = chosen.repeats
    global _now  # noqa: PLW0603
    _now = time.process_time if chosen.cpu else time.perf_counter
    began = _now()
    voice = load(resolve=resolve)
    print(f"load and warm-up {_now() - began:.2f} s\n")

    print("| text, tone | speech | first sound | all | RTF | first sound, baseline |")
    print("|---|---|---|---|---|---|")
    for name, text in TEXTS.items():
        for tone in TONES if name == "12 words" else ("neutral",):
            print(f"| {name}, {tone} | {_row(voice, text, tone, repeats)} |")
    voice.close()


def _row(voice: HibariVoice, text: str, tone: str, repeats: int) -> str:
    runs = [asyncio.run(_streamed(voice, text, tone)) for _ in range(repeats)]
    first, whole, length = (statistics.median(run[k] for run in runs) for k in range(3))
    base = statistics.median(_whole(voice, text) for _ in range(repeats))
    return f"{length:.2f} s | {first * 1e3:.1f} ms | {whole * 1e3:.1f} ms | {whole / length:.4f} | {base * 1e3:.1f} ms"


async def _streamed(voice: HibariVoice, text: str, tone: str) -> tuple[float, float, float]:
    """Return seconds until something is heard, until all is made, and of speech."""
    began = _now()
    first = None
    parts: list[NDArray[np.float32]] = []
    async for chunk in voice.say(text, tone):
        if first is None:
            first = _now() - began
        parts.append(chunk.samples)
    sound = np.concatenate(parts)
    assert first is not None
    return first + _silence(sound), _now() - began, len(sound) / RATE_HZ


def _whole(voice: HibariVoice, text: str) -> float:
    """Return seconds until something is heard of the engine's own rendering."""
    engine: Any = voice.engine
    began = _now()
    sound = engine(text, seed=0)
    return _now() - began + _silence(sound)


def _silence(sound: NDArray[np.float32]) -> float:
    """Return seconds before the sound first exceeds a hundredth of its peak."""
    return float(np.argmax(np.abs(sound) > 0.01 * np.abs(sound).max())) / RATE_HZ


if __name__ == "__main__":
    main()
