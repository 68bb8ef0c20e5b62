"""The consent ledger: who agreed to what is stored before anything is perceived, line by line, synced to the disk.

One file per month, ``consent-YYYY-MM.jsonl``. Each line is one event of one call::

    {"v":1,"time":"...","call":"...","event":"given","version":"2","locale":"en","by":"person",
     "scopes":["face","voice"],"senses":["asr","face","vad"]}

``event`` is ``given``, ``changed``, ``withdrawn`` (nothing is allowed any more), ``erased`` (an operator erased the
call's data). There is no content in it, no address and no name: the call's own random name is the only key. ``senses``
is ``null`` for all.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agent.clock import timestamp
from agent.privacy.agreement import Agreement
from agent.privacy.files import alone, replace, sync_folder

GIVEN: Final = "given"
CHANGED: Final = "changed"
WITHDRAWN: Final = "withdrawn"
ERASED: Final = "erased"

_VERSION: Final = 1


class LedgerError(Exception):
    """What was agreed to cannot be stored; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    Attributes:
        time: ISO 8601, UTC.
        call: random name of the call.
        event: see the module.
        version: of the text that was shown.
        locale: in which language.
        by: ``person`` or ``application``.
        scopes: of ``voice face recording``, sorted.
        senses: names that are allowed, sorted; ``None`` for all.
    """

    time: str
    call: str
    event: str
    version: str = ""
    locale: str = ""
    by: str = ""
    scopes: tuple[str, ...] = ()
    senses: tuple[str, ...] | None = ()

    def as_json(self) -> dict[str, Any]:
        """Return the entry as it stands in the file."""
        return {
            "v": _VERSION,
            "time": self.time,
            "call": self.call,
            "event": self.event,
            "version": self.version,
            "locale": self.locale,
            "by": self.by,
            "scopes": list(self.scopes),
            "senses": None if self.senses is None else list(self.senses),
        }

    def as_line(self) -> str:
        """Return the entry as a line of a file."""
        return json.dumps(self.as_json(), separators=(",", ":")) + "\n"


class Ledger:
    """The ledger in a folder. May be used from several threads and processes.

    Args:
        folder: made when it is first written to, readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def store(
        self,
        call: str,
        event: str,
        agreement: Agreement | None = None,
        scopes: Iterable[str] = (),
        senses: frozenset[str] | None = frozenset(),
    ) -> Entry:
        """Append an event, and return once it is on the disk.

        Raises:
            LedgerError: it is not; whether part of it is cannot be known, and then it counts as not stored.
        """
        said = agreement or Agreement(by="")
        entry = Entry(
            timestamp(),
            call,
            event,
            said.version,
            said.locale,
            said.by,
            tuple(sorted(scopes)),
            None if senses is None else tuple(sorted(senses)),
        )
        self._append(self.folder / f"consent-{entry.time[:7]}.jsonl", entry)
        return entry

    def check(self) -> None:
        """See that something can be stored, without storing anything.

        Raises:
            LedgerError: it cannot.
        """
        try:
            self._make_folder()
            probe = self.folder / f".probe-{os.getpid()}"
            with probe.open("wb") as file:
                file.write(b"\n")
                os.fsync(file.fileno())
            probe.unlink()
        except OSError as error:
            raise LedgerError(f"{self.folder}: {error.strerror or error}") from error

    def files(self) -> list[Path]:
        """Return the files, oldest first."""
        return sorted(self.folder.glob("consent-*.jsonl")) if self.folder.is_dir() else []

    def entries(self, call: str | None = None) -> list[Entry]:
        """Return what is stored, oldest first, of one call or of all. A line that a crash cut off is passed over.

        Raises:
            OSError: a file cannot be read.
        """
        return [entry for path in self.files() for entry in read(path) if call is None or entry.call == call]

    def drop(self, call: str) -> int:
        """Take all lines of a call out of the ledger; return how many there were.

        Raises:
            OSError: a file cannot be written.
        """
        return self._keep(lambda entry: entry.call != call)

    def expire(self, oldest: datetime) -> int:
        """Take out all lines that were stored up to ``oldest``; return how many there were.

        Raises:
            OSError: a file cannot be written.
        """
        return self._keep(lambda entry: _time(entry) > oldest)

    def _keep(self, wanted: Callable[[Entry], bool]) -> int:
        gone = 0
        if not self.files():
            return gone
        with self._lock, alone(self.folder):
            for path in self.files():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
                kept = [line for line in lines if (found := _entry(line)) is None or wanted(found)]
                gone += len(lines) - len(kept)
                if not kept:
                    path.unlink()
                elif len(kept) < len(lines):
                    replace(path, "".join(kept))
        return gone

    def _append(self, path: Path, entry: Entry) -> None:
        line = entry.as_line().encode()
        try:
            self._make_folder()
            with self._lock, alone(self.folder):
                fresh = not path.exists()
                handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    if _cut_off(handle):
                        line = b"\n" + line  # what a crash left half-written stays a line of its own
                    if os.write(handle, line) != len(line):
                        raise OSError(None, "only a part of it could be written")
                    os.fsync(handle)
                finally:
                    os.close(handle)
                if fresh:
                    sync_folder(self.folder)
        except OSError as error:
            raise LedgerError(f"{path}: {error.strerror or error}") from error

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _time(entry: Entry) -> datetime:
    """Return when an entry was stored; one that does not say so is as old as can be."""
    try:
        found = datetime.fromisoformat(entry.time)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def read(path: Path) -> list[Entry]:
    """Return the entries in one file, oldest first."""
    found = (_entry(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [entry for entry in found if entry is not None]


def _entry(line: str) -> Entry | None:
    try:
        found = json.loads(line)
        senses = found["senses"]
        return Entry(
            str(found["time"]),
            str(found["call"]),
            str(found["event"]),
            str(found["version"]),
            str(found["locale"]),
            str(found["by"]),
            tuple(map(str, found["scopes"])),
            None if senses is None else tuple(map(str, senses)),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _cut_off(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"
