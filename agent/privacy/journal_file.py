"""The journal of a call on disk, from which something can be erased while the call goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import structlog

from agent.journal import Event, Journal, as_line
from agent.privacy.files import Appender, append_to, replace

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

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines that can be read; needs no further descriptor while the file is open.

        Raises:
            OSError: the file cannot be read.
        """
        if self._file.closed:
            return lines_of(self.path) if self.path.exists() else []
        return [line for _, _, line in _places(self._file.read()) if line is not None]

    def erase(self, change: Change) -> None:
        """Leave of each line what ``change`` does. May be called from another thread.

        The file is written anew. Where that cannot be, because the disk is full or no descriptor is left, what goes is
        covered with blanks in its place.

        Raises:
            OSError: neither can be.
        """
        with self._alone:
            with self._lock:
                self._erasing = True
            try:
                if self.path.exists():  # an operator may have erased all of it
                    self._erase(change)
            finally:
                with self._lock:
                    self._erasing = False
                    waiting, self._waiting = self._waiting, []
                    for event in waiting:
                        self._write(event)

    def _erase(self, change: Change) -> None:
        try:
            rewrite(self.path, change)
        except OSError as error:
            if self._file.closed:
                mask_file(self.path, change)
            else:
                mask(self._file, change)
            log.warning("journal_masked", path=str(self.path), error=str(error), fix="blanks stand where words were")
            return
        if self._file.closed:
            return
        old = self._file
        try:
            self._file = self._out = append_to(self.path)
        except OSError as error:
            self._broken = True
            log.error("journal_failed", path=str(self.path), error=str(error), fix="the call goes on without")
        else:
            old.close()

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


def mask(file: Appender, change: Change) -> None:
    """Cover with blanks, in its place, what ``change`` does not leave; a line that cannot be read goes.

    Raises:
        OSError: a part of it is not covered.
    """
    for at, size, line in _places(file.read()):
        left = change(line) if line is not None else None
        text = as_line(left).rstrip("\n").encode() if left is not None else b""
        file.overwrite(text.ljust(size) if len(text) <= size else b" " * size, at)
    file.sync()


def mask_file(path: Path, change: Change) -> None:
    """Do the same to a file that nobody has opened.

    Raises:
        OSError: a part of it is not covered.
    """
    with closing(append_to(path)) as file:
        mask(file, change)


def _places(data: bytes) -> Iterator[tuple[int, int, dict[str, Any] | None]]:
    """Yield where each line begins, how many bytes it has without its end, and what it says, if it can be read."""
    at = 0
    for raw in data.split(b"\n"):
        found = list(_parsed([raw.decode(errors="replace")]))
        yield at, len(raw), found[0] if found else None
        at += len(raw) + 1


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
