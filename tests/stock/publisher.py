"""FFmpeg's WHIP muxer with a tone and a picture that gets brighter, in real time, until its input is closed.

A program of its own: the muxer keeps Python's lock while it waits for the answer of a server.

Usage: ``publisher.py URL CERTIFICATE KEY [TOKEN]``
"""

from __future__ import annotations

import os
import selectors
import sys
import time
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np

TONE_HZ = 440.0
RATE_HZ = 48_000
FRAME_S = 0.02


def main(url: str, certificate: str, key: str, token: str = "") -> None:
    options = {"cert_file": certificate, "key_file": key, **({"authorization": token} if token else {})}
    with av.open(url, "w", format="whip", options=options) as out:
        video = cast(Any, out.add_stream("libx264", rate=15))
        video.width, video.height, video.pix_fmt, video.bit_rate = 320, 240, "yuv420p", 300_000
        video.options = {"profile": "baseline", "preset": "ultrafast", "tune": "zerolatency", "bf": "0", "g": "15"}
        audio = cast(Any, out.add_stream("libopus", rate=RATE_HZ, layout="stereo"))
        told = selectors.DefaultSelector()
        told.register(sys.stdin, selectors.EVENT_READ)
        start, k = time.monotonic(), 0
        while not told.select(max(0.0, start + k * FRAME_S - time.monotonic())):
            if k % 4 == 0:
                picture = av.VideoFrame.from_ndarray(np.full((240, 320, 3), min(255, k), np.uint8), format="rgb24")
                picture.pts, picture.time_base = k // 4, Fraction(4, 50)
                out.mux(video.encode(picture))
            t = (np.arange(960) + k * 960) / RATE_HZ
            pcm = (0.3 * np.sin(2 * np.pi * TONE_HZ * t) * 32767).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(np.repeat(pcm, 2)[None], format="s16", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = RATE_HZ, k * 960, Fraction(1, RATE_HZ)
            out.mux(audio.encode(sound))
            k += 1


if __name__ == "__main__":
    av.logging.set_level(av.logging.INFO if os.environ.get("PUBLISHER_LOG") else av.logging.ERROR)
    main(*sys.argv[1:])
