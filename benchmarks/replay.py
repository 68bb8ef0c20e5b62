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
from pathlib import Path

import av

from agent.media_file import open_media
from tests.scenes import crying_to_joyful

MINUTE_S = 60


def minute(folder: Path) -> Path:
    """Repeat the clip until it lasts a minute, without encoding it anew."""
    scene = crying_to_joyful(folder)
    listing = folder / "list.txt"
    listing.write_text(f"file '{scene.path}'\n" * 4)
    path = folder / "minute.mp4"
    with av.open(str(listing), format="concat", options={"safe": "0"}) as source, av.open(str(path), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams if s.type in ("audio", "video")}
        for packet in source.demux():
            if packet.dts is None or packet.pts is None or packet.pts * packet.time_base >= MINUTE_S:
                continue
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
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
