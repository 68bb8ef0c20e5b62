"""The libopus that comes with PyAV, asked for what FFmpeg does not pass on: in-band FEC and concealment.

FFmpeg's decoder takes packets only. libopus itself can also decode, from the packet behind a lost one, the coarse
copy of the lost one that a sender may have put in (RFC 6716 section 2.1.7), and go on with the sound where there
is no copy. The library is the very file that PyAV has loaded; where it is not found, or does not pass the check,
:func:`library` returns ``None`` and the caller does without.
"""

from __future__ import annotations

import ctypes
import weakref
from functools import cache
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

WIRE_HZ: Final = 48_000
_MOST: Final = 5760
"""Samples of the longest packet, 120 ms."""

_FOLDERS: Final = ("../av.libs", ".dylibs", "../av.dylibs")
_NAMES: Final = ("libopus.so.0", "libopus.0.dylib", "opus.dll")
_SILENCE: Final = b"\xf8\xff\xfe"
"""A packet of 20 ms of silence, to try a library with."""

Samples = NDArray[np.float32]


class Library:
    """The functions of one libopus.

    Args:
        path: of the shared library.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it has not the functions of libopus.
        ValueError: it does not decode.
    """

    def __init__(self, path: str) -> None:
        opus = ctypes.CDLL(path)
        self.create = opus.opus_decoder_create
        self.create.argtypes = [ctypes.c_int32, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
        self.create.restype = ctypes.c_void_p
        self.destroy = opus.opus_decoder_destroy
        self.destroy.argtypes = [ctypes.c_void_p]
        self.destroy.restype = None
        self.decode = opus.opus_decode_float
        self.decode.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_int32,
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_int,
        ]
        self.decode.restype = ctypes.c_int
        self._has_copy = getattr(opus, "opus_packet_has_lbrr", None)  # since libopus 1.5
        if self._has_copy is not None:
            self._has_copy.argtypes = [ctypes.c_char_p, ctypes.c_int32]
            self._has_copy.restype = ctypes.c_int
        if len(Decoder(self).decode(_SILENCE)) != WIRE_HZ // 50:
            raise ValueError(f"{path} does not decode Opus")

    def has_copy(self, data: bytes) -> bool:
        """Whether a packet carries a copy of the one before it; unknown counts as no."""
        return self._has_copy is not None and self._has_copy(data, len(data)) == 1


class Decoder:
    """One stream: packets in, mono float32 at 48 kHz out. Belongs to one thread."""

    def __init__(self, library: Library) -> None:
        self._library = library
        error = ctypes.c_int()
        self._state: int = library.create(WIRE_HZ, 1, ctypes.byref(error))
        if error.value or not self._state:
            raise MemoryError(f"libopus gives no decoder (error {error.value})")
        self._out = np.zeros(_MOST, np.float32)
        weakref.finalize(self, library.destroy, self._state)

    def decode(self, data: bytes) -> Samples:
        """Return the samples of a packet, shape ``(n,)``; none if it is broken."""
        return self._run(data, _MOST, copy=False)

    def recover(self, data: bytes, count: int) -> Samples:
        """Return ``count`` samples of the lost packet right before ``data``; call it before ``decode(data)``.

        Where ``data`` has no copy of it the sound is gone on with, as by :meth:`conceal`.
        """
        return self._run(data, count, copy=True)

    def conceal(self, count: int) -> Samples:
        """Return ``count`` samples that go on with the sound and fade."""
        return self._run(None, count, copy=False)

    def _run(self, data: bytes | None, count: int, *, copy: bool) -> Samples:
        size = len(data) if data is not None else 0
        made = self._library.decode(self._state, data, size, self._out.ctypes.data, min(count, _MOST), int(copy))
        return self._out[: max(0, made)].copy()


@cache
def library() -> Library | None:
    """Return PyAV's libopus, or the machine's, or ``None``."""
    here = Path(av.__file__).parent
    paths = [str(p) for folder in _FOLDERS for p in sorted((here / folder).glob("*opus*"))]
    for path in (*paths, *_NAMES):
        try:
            return Library(path)
        except (OSError, AttributeError, ValueError, MemoryError):
            continue
    return None
