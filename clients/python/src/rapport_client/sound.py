"""Whatever holds sound, as 16-bit little-endian mono. NumPy is not needed, its arrays are welcome."""

from __future__ import annotations

import array
import sys
from typing import Any

Pcm = Any
"""Bytes of 16-bit little-endian mono, or an array of int16 or of float32 in -1..1, of shape ``(n,)`` or ``(n, 1)``."""


def pcm16(sound: Pcm) -> bytes:
    """Return ``sound`` as 16-bit little-endian mono.

    Raises:
        ValueError: it is of another kind, or has more than one channel; the message says what to do.
    """
    if isinstance(sound, (bytes, bytearray)):
        if len(sound) % 2:
            raise ValueError(f"{len(sound)} bytes are no whole number of 16-bit samples")
        return bytes(sound)
    try:
        view = memoryview(sound)
    except TypeError:
        raise ValueError(f"sound is bytes or an array, not {type(sound).__name__}") from None
    if view.ndim > 2 or (view.ndim == 2 and view.shape is not None and 1 not in view.shape):
        raise ValueError(f"sound is mono, of shape (n,), not {view.shape}; average its channels first")
    if view.format in ("h", "<h"):
        data = view.tobytes()
    elif view.format in ("f", "<f", "d", "<d"):
        data = _rounded(sound, view)
    elif view.format in ("B", "b", "c"):
        return pcm16(view.tobytes())
    else:
        raise ValueError(f"sound is int16, or float32 in -1..1, not of format {view.format!r}")
    return data if sys.byteorder == "little" else _swapped(data)


def _rounded(sound: Any, view: memoryview) -> bytes:
    if hasattr(sound, "clip") and hasattr(sound, "astype"):  # NumPy's, which is then there and much faster
        data: bytes = (sound.clip(-1.0, 1.0) * 32767).astype("i2").tobytes()
        return data
    flat = array.array("d" if str(view.format).endswith("d") else "f")
    flat.frombytes(view.tobytes())
    return array.array("h", (int(max(-1.0, min(1.0, x)) * 32767) for x in flat)).tobytes()


def _swapped(data: bytes) -> bytes:
    found = array.array("h", data)
    found.byteswap()
    return found.tobytes()


def rgb_of(picture: Any) -> tuple[int, int, bytes]:
    """Return width, height and rows of a picture: an array of uint8 of shape ``(h, w, 3)``.

    Raises:
        ValueError: it is none.
    """
    try:
        view = memoryview(picture)
    except TypeError:
        raise ValueError(f"a picture is an array of uint8 of shape (h, w, 3), not {type(picture).__name__}") from None
    shape = view.shape or ()
    if view.format != "B" or len(shape) != 3 or shape[2] != 3:
        raise ValueError(f"a picture is an array of uint8 of shape (h, w, 3), not {view.format!r} of {shape}")
    return shape[1], shape[0], view.tobytes()
