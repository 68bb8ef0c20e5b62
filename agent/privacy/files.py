"""Files that hold what people said or agreed to: readable by their owner only, whole at every moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

try:
    import fcntl
except ImportError:  # pragma: no cover  a system without such locks
    fcntl = None  # type: ignore[assignment]


def replace(path: Path, text: str) -> None:
    """Write a file anew, so that at every moment either the old or the new one is there.

    Raises:
        OSError: it cannot be written; the old one is still there.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder last, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def append_to(path: Path) -> TextIO:
    """Open a file to append text to, and mark it as in use until it is closed.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    _lock(handle, exclusive=False)
    return os.fdopen(handle, "a", encoding="utf-8")


def in_use(path: Path) -> bool:
    """Return whether somebody has opened a file by :func:`append_to`, in any process of this machine.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        return not _lock(handle, exclusive=True)
    finally:
        os.close(handle)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one, of all processes of this machine, that changes the files of a folder; waits for the others.

    Raises:
        OSError: the folder cannot be written to.
    """
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    locks: Any = fcntl
    try:
        if locks is not None:
            try:
                locks.flock(handle, locks.LOCK_EX)
            except OSError:  # a file system without locks
                pass
        yield
    finally:
        os.close(handle)


def _lock(handle: int, *, exclusive: bool) -> bool:
    locks: Any = fcntl
    if locks is None:  # pragma: no cover
        return True
    try:
        locks.flock(handle, (locks.LOCK_EX if exclusive else locks.LOCK_SH) | locks.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
