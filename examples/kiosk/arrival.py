"""Whether somebody stands before the camera, before anybody has agreed to anything.

No face is looked for and nothing is kept: a picture of 32 by 24 grey cells is compared with what the place usually
looks like. Knows no clock: the caller says when each picture was taken.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_CELLS: Final = (32, 24)
_DIFFERS: Final = 18.0
"""Grey levels of 255 by which a cell differs from the empty place."""

_SHARE: Final = 0.08
"""Of all cells, from which on somebody is there."""

_LEARNS_S: Final = 30.0
_STAYS_S: Final = 1.0
_GONE_S: Final = 4.0


class Arrival:
    """One place.

    Args:
        share: of the picture that somebody fills at least.
    """

    def __init__(self, share: float = _SHARE) -> None:
        self.present = False
        self._share = share
        self._usual: NDArray[np.float32] | None = None
        self._last = 0.0
        self._since: float | None = None

    def see(self, pixels: NDArray[np.uint8], at: float) -> str:
        """Take a picture; return ``arrived``, ``left``, or nothing.

        Args:
            pixels: uint8 RGB of shape ``(h, w, 3)``.
            at: seconds.
        """
        grey = cv2.cvtColor(cv2.resize(pixels, _CELLS, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        cells = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1)
        if self._usual is None:
            self._usual, self._last = cells, at
            return ""
        # A lamp that is switched on changes all cells alike; that is nobody.
        change = cells - self._usual
        change -= np.median(change)
        there = float(np.mean(np.abs(change) > _DIFFERS)) >= self._share
        passed = max(0.0, at - self._last)
        self._last = at
        if not there or not self.present:  # whoever stands still for long is no part of the place
            pace = min(1.0, passed / (_LEARNS_S if there else _LEARNS_S / 10))
            self._usual = np.asarray(self._usual + (cells - self._usual) * pace, np.float32)
        if there == self.present:
            self._since = None
            return ""
        self._since = at if self._since is None else self._since
        if at - self._since < (_STAYS_S if there else _GONE_S):
            return ""
        self.present, self._since = there, None
        return "arrived" if there else "left"
