"""What is owed to a person who took something back and whose journal could not be changed yet.

Each call with a journal has a file in the folder of the ledger, ``owed-CALL.json``, of :data:`ROOM` bytes. It is taken
when the call begins, while there is room on the disk, and is blank as long as nothing is owed. What is owed is written
in its place, before anything is erased, and blanked once that is done; so it is there after a crash, and when the disk
is full. Whoever runs later than the call, :mod:`agent.privacy.retention`, erases what such files say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from agent.privacy.agreement import Agreement
from agent.privacy.files import Appender, append_to, in_use, sync_folder
from agent.privacy.ledger import Ledger, LedgerError
from agent.privacy.withdrawal import erase_from
from agent.sense_map import Sense
from perception.media import AudioChunk, Text, VideoFrame

log = structlog.get_logger(__name__)

ROOM: Final = 4096
_MEDIA: Final = {"sound": AudioChunk, "pictures": VideoFrame, "text": Text}


@dataclass(frozen=True, slots=True)
class Taken:
    """A sense as it is written down."""

    name: str
    accepts: tuple[type[Any], ...]


@dataclass(frozen=True, slots=True)
class Owed:
    """What has to be done.

    Attributes:
        journal: of the call.
        senses: names of those whose traces may stay, ``None`` for all.
        recording: whether words may.
        workers: of the call.
        event: what the ledger is to say, if it does not yet.
        agreement: likewise.
        scopes: likewise.
        allowed: names of the senses that are allowed then, likewise.
    """

    journal: Path
    senses: frozenset[str] | None
    recording: bool
    workers: Sequence[Sense]
    event: str
    agreement: Agreement | None
    scopes: frozenset[str]
    allowed: frozenset[str] | None

    def text(self) -> str:
        """Return it as JSON."""
        said = self.agreement or Agreement(by="")
        return json.dumps(
            {
                "v": 1,
                "journal": str(self.journal.absolute()),
                "senses": _listed(self.senses),
                "recording": self.recording,
                "workers": {w.name: [k for k, kind in _MEDIA.items() if kind in w.accepts] for w in self.workers},
                "ledger": {
                    "event": self.event,
                    "version": said.version,
                    "locale": said.locale,
                    "by": said.by,
                    "recording": said.recording,
                    "scopes": sorted(self.scopes),
                    "senses": _listed(self.allowed),
                },
            },
            separators=(",", ":"),
        )

    @classmethod
    def read(cls, text: str) -> Owed:
        """Read what :meth:`text` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            found = json.loads(text)
            said = found["ledger"]
            workers = [Taken(n, tuple(_MEDIA[k] for k in kinds)) for n, kinds in found["workers"].items()]
            agreement = Agreement(said["version"], said["locale"], bool(said["recording"]), said["by"])
            return cls(
                Path(found["journal"]),
                _set(found["senses"]),
                bool(found["recording"]),
                workers,
                str(said["event"]),
                agreement,
                frozenset(said["scopes"]),
                _set(said["senses"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"it is not what was written ({type(error).__name__})") from None


class Debt:
    """The file of one call. May be used from other threads, one at a time.

    Args:
        folder: of the ledger.
        call: its name.

    Raises:
        OSError: there is no room, or it cannot be written.
    """

    def __init__(self, folder: Path, call: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path_of(folder, call)
        self.owes = False
        self._file: Appender = append_to(self.path)
        try:
            self._file.reserve(ROOM)
            self._put("")  # not synced: a call begins in the event loop, and after a crash nothing is owed yet
        except OSError:
            self._file.close()
            self.path.unlink(missing_ok=True)
            raise

    def note(self, owed: Owed) -> None:
        """Write down what is owed.

        Raises:
            OSError: that failed.
        """
        self._put(owed.text())
        self.owes = True
        self._file.sync()
        sync_folder(self.path.parent)

    def clear(self) -> None:
        """Nothing is owed any more.

        Raises:
            OSError: that cannot be written.
        """
        self._put("")
        self.owes = False
        self._file.sync()

    def close(self) -> None:
        """The call is over: leave the file where something is owed, and delete it where nothing is."""
        if not self.owes:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _put(self, text: str) -> None:
        data = text.encode()
        if len(data) >= ROOM:
            raise OSError(None, f"what is owed takes more than {ROOM} bytes")
        self._file.overwrite(data.ljust(ROOM - 1) + b"\n", 0)


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of settling.

    Attributes:
        done: calls to which nothing is owed any more.
        left: calls to which something still is.
    """

    done: int = 0
    left: int = 0


def path_of(folder: Path, call: str) -> Path:
    """Return the file of a call."""
    return folder / f"owed-{call}.json"


def owed_to(folder: Path, call: str) -> bool:
    """Return whether something is owed to a call."""
    try:
        return bool(path_of(folder, call).read_text(encoding="utf-8", errors="replace").strip())
    except OSError:
        return False


def settle(ledger: Ledger) -> Settled:
    """Do what is owed to calls that are over, in any process of this machine; never raises for one of them."""
    done = left = 0
    paths = sorted(ledger.folder.glob("owed-*.json")) if ledger.folder.is_dir() else []
    for path in paths:
        call = path.stem.removeprefix("owed-")
        try:
            if in_use(path):
                continue
            text = path.read_text(encoding="utf-8").strip()
            if text:
                _do(Owed.read(text), call, ledger)
                done += 1
                log.info("erased", call=call, what="what was taken back in the call and could not be erased then")
            path.unlink()
        except (OSError, ValueError, LedgerError) as error:
            left += 1
            log.error("not_erased", call=call, error=str(error), fix=f"agent data erase {call}, or mend its folder")
    return Settled(done, left)


def _do(owed: Owed, call: str, ledger: Ledger) -> None:
    if owed.journal.exists():
        erase_from(owed.journal, owed.senses, owed.workers, recording=owed.recording)
    last = ledger.entries(call)[-1:]
    allowed = None if owed.allowed is None else tuple(sorted(owed.allowed))
    if last and (last[0].senses, last[0].scopes) != (allowed, tuple(sorted(owed.scopes))):
        ledger.store(call, owed.event, owed.agreement, owed.scopes, owed.allowed)


def _listed(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _set(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(map(str, names))
