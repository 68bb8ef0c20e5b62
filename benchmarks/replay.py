"""A file through the whole runtime: how long it takes, and whether it happens the same way twice.

The clip is a minute of the woman who cries and then laughs, with her words. Baseline: the same replay with a
clock that stands still during every piece of work, so that nothing overlaps (``--measured``). Floor: decoding alone.

    python -m benchmarks.replay [--repeats 3]
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from agent.media_file import open_media
from perception.media import RATE_HZ, AudioChunk, VideoFrame
from perception.timebase import SECOND, to_ticks
from tests.scenes import crying_to_joyful

MINUTE_S = 60
FPS = 24


def minute(folder: Path) -> Path:
    """Play the clip again and again into a file of one minute."""
    scene = crying_to_joyful(folder)
    with open_media(scene.path) as source:
        items = list(source)
    sound = np.concatenate([m.samples for m in items if isinstance(m, AudioChunk)])
    sound = np.resize(sound, to_ticks(MINUTE_S * SECOND, RATE_HZ))
    pictures = [m for m in items if isinstance(m, VideoFrame)]
    path = folder / "minute.mp4"
    with av.open(str(path), "w") as out:
        height, width = pictures[0].pixels.shape[:2]
        video = out.add_stream("libx264", rate=FPS, width=width, height=height, options={"preset": "veryfast"})
        audio = out.add_stream("aac", rate=RATE_HZ, layout="mono")
        for n in range(MINUTE_S * FPS):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pictures[n % len(pictures)].pixels))
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            out.mux(video.encode(frame))
            step = RATE_HZ // FPS + 1
            piece = sound[n * step : (n + 1) * step]
            if len(piece):
                chunk = av.AudioFrame.from_ndarray(piece[None], format="fltp", layout="mono")
                chunk.sample_rate, chunk.pts, chunk.time_base = RATE_HZ, n * step, Fraction(1, RATE_HZ)
                out.mux(audio.encode(chunk))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path


def timed(path: Path, *options: str) -> tuple[float, str]:
    """Wall seconds of one replay, and a hash of its journal."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "replay", str(path), "--json", *options],
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - began, hashlib.sha256(done.stdout).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = minute(Path(name))
        began = time.perf_counter()
        with open_media(path) as media:
            count = sum(1 for _ in media)
        floor = time.perf_counter() - began
        runs = [timed(path) for _ in range(options.repeats)]
        slow = [timed(path, "--measured")[0] for _ in range(max(1, options.repeats // 2))]
    wall = statistics.median(t for t, _ in runs)
    base = statistics.median(slow)
    print(f"decoding alone ({count} pieces)                {floor:6.1f} s")
    print(f"replay of {MINUTE_S} s, every sense on             {wall:6.1f} s   goal 40 s   (with start-up)")
    print(f"the same with nothing overlapping          {base:6.1f} s   ratio {base / wall:.2f}")
    print(f"journals of {len(runs)} runs: {'all the same' if len({h for _, h in runs}) == 1 else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
