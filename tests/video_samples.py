"""Read test clips as the frames that a camera would have sent."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from perception.media import VideoFrame
from perception.timebase import SECOND


def frames(path: Path, *, fps: float | None = None, limit: int | None = None) -> Iterator[VideoFrame]:
    """Yield the pictures of a clip (or the one of a photograph), stamped with their own times from zero.

    Args:
        path: any file that FFmpeg reads.
        fps: keep only the first picture of each 1/fps of a second; all when not given.
        limit: stop after this many.
    """
    count, slot = 0, -1
    origin: int | None = None
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for picture in container.decode(stream):
            if count == limit:
                return
            base = picture.time_base or Fraction(1, 1)
            ticks = picture.pts or 0
            origin = ticks if origin is None else origin
            at = round((ticks - origin) * base * SECOND)
            if fps is not None:
                here = int(at * fps / SECOND + 1e-6)
                if here == slot:
                    continue
                slot = here
            count += 1
            yield VideoFrame(pixels=np.ascontiguousarray(picture.to_ndarray(format="rgb24")), at=at)
