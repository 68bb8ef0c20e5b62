"""What seeing costs: CPU time per second of a 640x480 camera at 30 fps, H.264, decoding included.

The clip is made here: the crying-to-joyful woman, cropped to 4:3, scaled to 640x480 and encoded like a call.
The whole pipeline is compared with the naive one, in which every worker analyses every picture with every
network. Times are CPU time of this process; run on an otherwise quiet machine.

    python benchmarks/seeing.py [--seconds 10] [--repeat 3] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))
from agent.models import resolve, resolve_clip
from perception.emotion import ExpressionNetworks
from perception.facemesh import FaceMesh, region_of
from perception.hands import HandNetworks
from perception.headpose import HeadPoser
from perception.litert import read_bundle
from perception.media import VideoFrame
from perception.pixels import Region
from perception.ssd import FULL_RANGE_FACE, SHORT_RANGE_FACE, Detector
from perception.timebase import from_ticks
from perception.workers import Worker, WorkerFactory, face, gesture, scene
from tests.video_samples import frames

FPS = 30
BUDGET_PERCENT = 35.0


def encode(seconds: int) -> bytes:
    """The test camera as an MP4."""
    sink = io.BytesIO()
    sources = list(frames(resolve_clip("wolfganglanger")))
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "tune": "zerolatency"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 640, 480, "yuv420p", 1_200_000
        for i in range(seconds * FPS):
            source = sources[i * 24 // FPS % len(sources)].pixels
            picture = cv2.resize(source[:, 160:640], (640, 480))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return sink.getvalue()


def decode(movie: bytes) -> Iterator[VideoFrame]:
    with av.open(io.BytesIO(movie), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for i, picture in enumerate(container.decode(stream)):
            yield VideoFrame(np.asarray(picture.to_ndarray(format="rgb24"), np.uint8), from_ticks(i, FPS))


def cost(movie: bytes, make: Callable[[], Sequence[Worker]]) -> dict[str, float]:
    """CPU milliseconds per second of media: decoding, and each worker by its name."""
    workers = make()
    spent = dict.fromkeys(("decode", *(type(w).__name__ for w in workers)), 0)
    count, began = 0, time.process_time_ns()
    for frame in decode(movie):
        count += 1
        spent["decode"] += time.process_time_ns() - began
        for worker in workers:
            began = time.process_time_ns()
            worker.feed([frame])
            spent[type(worker).__name__] += time.process_time_ns() - began
        began = time.process_time_ns()
    return {name: ns / 1e6 / (count / FPS) for name, ns in spent.items()}


def components(movie: bytes) -> dict[str, float]:
    """Median CPU milliseconds of one run of each part on a 640x480 picture."""
    picture = next(f for f in decode(movie) if f.at >= from_ticks(75, FPS)).pixels
    landmarker, recogniser = read_bundle(resolve("face-landmarker")), read_bundle(resolve("gesture-recognizer"))
    full = Detector(resolve("face-detector-full").read_bytes(), FULL_RANGE_FACE)
    short = Detector(landmarker["face_detector.tflite"], SHORT_RANGE_FACE)
    mesh, poser, hands = FaceMesh(landmarker), HeadPoser(landmarker), HandNetworks(recogniser)
    emotions = ExpressionNetworks(resolve("fer").read_bytes(), resolve("facex").read_bytes())
    found = mesh.face(picture, region_of(full(picture)[0]))
    assert found is not None
    whole = found
    parts: dict[str, Callable[[], Any]] = {
        "full-range detector": lambda: full(picture),
        "short-range detector": lambda: short(picture),
        "mesh": lambda: mesh.face(picture, whole.region),
        "movements": lambda: mesh.movements(whole),
        "head pose": lambda: poser(whole),
        "fer": lambda: emotions.fer(picture, whole),
        "facex": lambda: emotions.facex(picture, whole),
        "hands (none found)": lambda: hands.hands(np.zeros_like(picture), 2),
        "hand points": lambda: hands._hand(picture, Region(320, 400, 200)),
    }
    medians = {}
    for name, run in parts.items():
        run()
        times = []
        for _ in range(30):
            began = time.process_time_ns()
            run()
            times.append((time.process_time_ns() - began) / 1e6)
        medians[name] = statistics.median(times)
    return medians


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--seconds", type=int, default=10)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    movie = encode(chosen.seconds)
    before = psutil.Process().memory_info().rss
    usual: list[WorkerFactory] = [
        face.load(resolve=resolve),
        gesture.load(resolve=resolve),
        scene.load(resolve=resolve),
    ]
    naive: list[WorkerFactory] = [
        face.load(resolve=resolve, mesh_hz=1e3, facex_hz=1e3, people_hz=1e3),
        gesture.load(resolve=resolve, rate_hz=1e3),
        scene.load(resolve=resolve, rate_hz=1e3),
    ]
    runs = [cost(movie, lambda: [f() for f in usual]) for _ in range(chosen.repeat)]
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    each = {name: statistics.median(run[name] for run in runs) / 10 for name in runs[0]}
    sums = sorted(sum(run.values()) / 10 for run in runs)
    total = statistics.median(sums)
    bare = cost(movie, lambda: [f() for f in naive])
    baseline = sum(bare.values()) / 10
    idle = cost(movie, lambda: [])["decode"] / 10
    parts = components(movie)
    if chosen.json:
        print(json.dumps({"total_percent": total, "naive_percent": baseline, "workers": each, "components_ms": parts}))
    else:
        print(f"640x480@{FPS} H.264, {chosen.seconds} s, median of {chosen.repeat} runs, % of one core")
        for name, percent in each.items():
            print(f"  {name:22s} {percent:6.1f} %")
        print(f"  {'all':22s} {total:6.1f} %   (best run {sums[0]:.1f} %; budget {BUDGET_PERCENT:.0f} %)")
        print(f"  {'decoding alone':22s} {idle:6.1f} %")
        print(f"  {'naive, all networks':22s} {baseline:6.1f} %   ({baseline / total:.1f} times as much)")
        print(f"  memory of the workers {grown:6.0f} MiB")
        print("medians of one run, CPU ms")
        for name, ms in parts.items():
            print(f"  {name:22s} {ms:6.2f}")
    return 0 if total <= BUDGET_PERCENT else 1


if __name__ == "__main__":
    raise SystemExit(main())
