"""The journal of a call on disk, from which something can be erased while the call goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import structlog

from agent.journal import Event, Journal, as_line
from agent.privacy.files import append_to, replace

log = structlog.get_logger(__name__)

Change = Callable[[dict[str, Any]], dict[str, Any] | None]
"""From a line to what is left of it; ``None`` for nothing."""


class JournalFile(Journal):
    """A journal in a file that only its owner can read.

    Args:
        path: appended to; its folder is made.
        personal: whether words and looks may be written at the moment.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, *, personal: bool | Callable[[], bool] = False) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self._file = append_to(path)
        self._erasing = self._broken = False
        self._waiting: list[Event] = []
        self._lock = threading.Lock()
        self._alone = threading.Lock()
        super().__init__(self._file, personal=personal)

    def __call__(self, event: Event) -> None:
        """Write one event; while something is being erased, soon after."""
        with self._lock:
            if self._erasing:
                self._waiting.append(event)
            else:
                self._write(event)

    def _write(self, event: Event) -> None:
        if self._broken:
            return
        try:
            super().__call__(event)
        except (OSError, ValueError) as error:  # a full disk, or a file that is closed, is no reason to end a call
            self._broken = True
            log.error("journal_failed", path=str(self.path), kind=type(error).__name__, fix="the call goes on without")

    def erase(self, change: Change) -> None:
        """Write the file anew with what ``change`` leaves of each line. May be called from another thread.

        Raises:
            OSError: it cannot be written, and is as it was.
        """
        with self._alone:
            with self._lock:
                self._erasing = True
            try:
                if self.path.exists():  # an operator may have erased all of it
                    rewrite(self.path, change)
                    if not self._file.closed:
                        old, self._file = self._file, append_to(self.path)
                        self._out = self._file
                        old.close()
            finally:
                with self._lock:
                    self._erasing = False
                    waiting, self._waiting = self._waiting, []
                    for event in waiting:
                        self._write(event)

    def close(self) -> None:
        """Close the file, once nothing is being erased any more; may be called twice."""
        with self._alone:
            self._file.close()


def rewrite(path: Path, change: Change) -> None:
    """Write a journal file anew with what ``change`` leaves of each line; a line that cannot be read goes.

    Raises:
        OSError: it cannot be written, and is as it was.
    """
    lines = lines_of(path)
    kept = [left for line in lines if (left := change(line)) is not None]
    replace(path, "".join(as_line(line) for line in kept))


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal file that can be read.

    Raises:
        OSError: the file cannot be read.
    """
    return list(_parsed(path.read_text(encoding="utf-8", errors="replace").splitlines()))


def _parsed(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found
