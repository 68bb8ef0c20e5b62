"""Files that hold what people said or agreed to: readable by their owner only, whole at every moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

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


class Appender:
    """A file that text is appended to, and that can be changed in place. Its only writer.

    Nothing is kept back: what could not be written because the disk was full is not written later, when it may have
    been taken back.

    Args:
        handle: open for reading and writing.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.closed = False

    def write(self, text: str, /) -> int:
        """Append text.

        Raises:
            OSError: it could not be written whole.
            ValueError: the file is closed.
        """
        if self.closed:
            raise ValueError("the file is closed")
        os.lseek(self._handle, 0, os.SEEK_END)
        data = text.encode()
        if os.write(self._handle, data) != len(data):
            raise OSError(errno.ENOSPC, "only a part of it could be written")
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def read(self) -> bytes:
        """Return all that is in the file.

        Raises:
            OSError: it cannot be read.
        """
        parts, at = [], 0
        while part := os.pread(self._handle, _PIECE, at):
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def overwrite(self, data: bytes, at: int) -> None:
        """Put ``data`` in the place of what is there, which needs no room on the disk.

        Raises:
            OSError: it could not be written whole.
        """
        if os.pwrite(self._handle, data, at) != len(data):
            raise OSError(errno.EIO, "only a part of it could be written")

    def reserve(self, size: int) -> None:
        """Take room on the disk for so many bytes, where the system can.

        Raises:
            OSError: there is none.
        """
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._handle, 0, size)

    def sync(self) -> None:
        """Bring it to the disk.

        Raises:
            OSError: it may not be there.
        """
        os.fsync(self._handle)

    def close(self) -> None:
        """Close it; may be called twice."""
        if not self.closed:
            self.closed = True
            os.close(self._handle)


_PIECE: Final = 1 << 20


def append_to(path: Path) -> Appender:
    """Open a file to append text to, and mark it as in use until it is closed.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    _lock(handle, exclusive=False)
    return Appender(handle)


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
