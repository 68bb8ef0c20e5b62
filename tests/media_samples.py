"""Small media files for tests, written with FFmpeg."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def tone(rate_hz: int, seconds: float, hz: float = 440.0) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * seconds)) / rate_hz)


def write_sound(
    path: Path,
    codec: str = "pcm_s16le",
    *,
    rate_hz: int = 16_000,
    layout: str = "mono",
    format: str = "s16",
    seconds: float = 1.0,
    hz: float = 440.0,
) -> Path:
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    wave = np.repeat(tone(rate_hz, seconds, hz)[None], channels, axis=0)
    scaled = wave * 32767 if format.startswith("s16") else wave * ((1 << 31) - 1) if format.startswith("s32") else wave
    kind = {"s16": np.int16, "s32": np.int32, "flt": np.float32, "dbl": np.float64}[format.rstrip("p")]
    data = scaled.astype(kind)
    if not format.endswith("p"):
        data = data.T.reshape(1, -1)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=format, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        for each in (frame, None):
            out.mux(stream.encode(each))
    return path


def write_pictures(
    path: Path,
    codec: str = "mpeg4",
    *,
    size: tuple[int, int] = (64, 48),
    instants: Sequence[int] = tuple(range(0, 1000, 40)),
    sound_from: float | None = None,
    sound_seconds: float = 1.0,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Write pictures at ``instants`` (ms) that get brighter with time; left half red, right half blue."""
    width, height = size
    base = Fraction(1, 1000)
    with av.open(str(path), "w", options=options or {}) as out:
        stream: Any = out.add_stream(codec, rate=25, width=width, height=height, pix_fmt=pix_fmt)
        stream.codec_context.time_base = base
        sound: Any = out.add_stream("pcm_s16le", rate=16_000, layout="mono") if sound_from is not None else None
        for at in instants:
            pixels = np.zeros((height, width, 3), np.uint8)
            pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 120 + at // 10 % 130
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
            picture.pts, picture.time_base = at, base
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
        if sound is not None and sound_from is not None:
            data = (tone(16_000, sound_seconds) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(data, format="s16", layout="mono")
            frame.sample_rate, frame.time_base = 16_000, Fraction(1, 16_000)
            frame.pts = round(sound_from * 16_000)
            for each in (frame, None):
                out.mux(sound.encode(each))
    return path
