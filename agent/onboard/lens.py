"""The camera of this machine, through OpenCV."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import structlog

from agent.clock import Clock
from agent.offload import Thread
from agent.onboard.devices import DeviceError, Found, Pixels, See
from perception.timebase import SECOND, Nanos

log = structlog.get_logger(__name__)

_AGAIN: Final[Nanos] = 2 * SECOND
_PATIENCE_S: Final = 2.0
_MOST_CAMERAS: Final = 8


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def isOpened(self) -> bool:  # noqa: N802  the name is OpenCV's
        """Whether there are pictures to be had."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Wait for the next picture, BGR."""
        ...

    def set(self, key: int, value: float) -> bool:
        """Ask for a setting."""
        ...

    def release(self) -> None:
        """Let go of the camera."""
        ...


class Lens:
    """One camera. It is opened at once; when it goes away later, it is tried again every two seconds.

    Args:
        index: its number, as OpenCV counts them.
        name: for messages.
        most_hz: pictures per second at most.
        size: width and height that are asked for.
        opened: opens it.

    Raises:
        DeviceError: it cannot be opened.
    """

    def __init__(
        self,
        index: int,
        name: str = "",
        *,
        most_hz: float = 15.0,
        size: tuple[int, int] = (640, 480),
        opened: Any = cv2.VideoCapture,
    ) -> None:
        self._index = index
        self._name = name or f"number {index}"
        self._step: Nanos = round(SECOND / most_hz)
        self._hz = most_hz
        self._size = size
        self._opened = opened
        self._thread: Thread | None = None
        self._capture: Capture | None = self._open()
        if self._capture is None:
            raise DeviceError(
                f"camera {self._name}: cannot be opened; close what else uses it, or choose another "
                "(agent talk --list-devices), or do without: --camera none"
            )

    async def run(self, see: See, clock: Clock) -> None:
        """Hand over each picture as it comes."""
        self._thread = Thread("camera")
        due: Nanos = 0
        while True:
            pixels = await self._thread.run(self._read)
            now = clock.now()
            if pixels is None:
                await clock.sleep_until(now + _AGAIN)
                await self._thread.run(self._reopen)
            elif now >= due:
                due = max(due + self._step, now - self._step)
                see(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Let go of the camera."""
        if self._thread is not None and not self._thread.close(wait_s=_PATIENCE_S):
            return  # it hangs in the driver, which must not be called twice at once
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _open(self) -> Capture | None:
        capture: Capture = self._opened(self._index)
        if not capture.isOpened():
            capture.release()
            return None
        for key, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, self._size[0]),
            (cv2.CAP_PROP_FRAME_HEIGHT, self._size[1]),
            (cv2.CAP_PROP_FPS, self._hz),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            capture.set(key, value)
        return capture

    def _read(self) -> Pixels | None:
        if self._capture is None:
            return None
        good, pixels = self._capture.read()
        if not good:
            log.warning("camera_lost", camera=self._name, fix="plug it in again; it is tried every two seconds")
            self._capture.release()
            self._capture = None
            return None
        found: Pixels = pixels
        return found

    def _reopen(self) -> None:
        self._capture = self._open()
        if self._capture is not None:
            log.info("camera_back", camera=self._name)


def cameras(folder: Path = Path("/sys/class/video4linux")) -> list[Found]:
    """Return the cameras of this machine.

    On Linux the kernel knows their names. Elsewhere nobody tells them without a library of its own, and looking means
    opening them: there they are offered by number.

    Args:
        folder: where the kernel tells of them.
    """
    if sys.platform != "linux":
        return [Found("camera", index, f"camera {index}", index == 0) for index in range(_MOST_CAMERAS)]
    found: list[Found] = []
    for entry in sorted(folder.glob("video*")):
        number = re.fullmatch(r"video(\d+)", entry.name)
        # One camera has several nodes, of which the first gives pictures and the others what is known about them.
        if number is None or _text(entry / "index") not in ("0", ""):
            continue
        name = _text(entry / "name") or entry.name
        found.append(Found("camera", int(number[1]), name, not found))
    return sorted(found, key=lambda one: one.index)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
