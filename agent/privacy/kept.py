"""What is kept of calls on this machine: their journals, pages made of them, and the lines of the consent ledger.

Nothing else is. Journals are named ``TIME-CALL.jsonl``, ``TIME`` being the begin of the call in UTC, and a page of
``agent view`` that lies beside one ``TIME-CALL.html``. A page that was written elsewhere, and what
``agent replay --audio-out`` wrote, is the file of whoever named it, and is not looked for here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from agent.clock import timestamp
from agent.config import Config, ConfigError
from agent.paths import state_dir
from agent.privacy.gate import Gate
from agent.privacy.journal_file import JournalFile
from agent.privacy.ledger import ERASED, Entry, Ledger, LedgerError
from agent.privacy.masking import PREFIX
from agent.privacy.owed import Debt, owed_to, path_of

log = structlog.get_logger(__name__)

_NAME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2})(\d{2})(\d{2})\d*(?:Z|\+0000)-([A-Za-z0-9._-]{1,128})\.(?:jsonl|html)"
)


class DataError(Exception):
    """What was asked of the kept data cannot be done; the message says why."""


@dataclass(frozen=True, slots=True)
class KeptCall:
    """What is kept of one call.

    Attributes:
        call: its random name.
        began: when, ISO 8601 in UTC, as far as that is known.
        journals: files, oldest first; a call that was replayed twice has two.
        pages: that were made of them, beside them.
        entries: its lines in the ledger, oldest first.
        owed: whether something was taken back in it that could not be erased yet.
    """

    call: str
    began: str
    journals: tuple[Path, ...] = ()
    pages: tuple[Path, ...] = ()
    entries: tuple[Entry, ...] = ()
    owed: bool = False

    @property
    def size(self) -> int:
        """Bytes of its journals and pages."""
        return sum(path.stat().st_size for path in (*self.journals, *self.pages) if path.exists())

    @property
    def personal(self) -> bool:
        """Whether its journals hold words or looks; a page may."""
        mark = f'"{PREFIX}'
        texts = (path.read_text(encoding="utf-8", errors="replace") for path in self.journals)
        return bool(self.pages) or any(mark in text for text in texts)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of what was agreed to last."""
        agreed = [entry for entry in self.entries if entry.event != ERASED]
        return agreed[-1].scopes if agreed else ()


def ledger_of(config: Config) -> Ledger:
    """Return the consent ledger of a configuration."""
    chosen = config.privacy.directory
    return Ledger(Path(chosen).expanduser() if chosen else state_dir())


def check_ledger(config: Config) -> None:
    """See that consent could be stored.

    Raises:
        ConfigError: it could not, so that nothing would ever be perceived; the message names the fix.
    """
    try:
        ledger_of(config).check()
    except LedgerError as error:
        raise ConfigError(
            f"consent cannot be stored, so nothing would be perceived: {error}; name a folder that this user can write "
            "to as privacy.directory"
        ) from None


def journal_path(config: Config, call: str) -> Path:
    """Return where the journal of a call that begins now is to be."""
    stamp = timestamp().replace(":", "").replace(".", "")
    return Path(config.journal.directory) / f"{stamp}-{call}.jsonl"


@contextmanager
def journal_of(config: Config, gate: Gate) -> Iterator[JournalFile | None]:
    """Open the journal of a call that begins, if the configuration wants one; the call goes on without where it fails.

    Words and looks are written into it while the configuration wants them *and* the caller allows it.
    """
    if not config.journal.directory:
        yield None
        return
    path = journal_path(config, gate.call_id)
    try:
        journal = JournalFile(path, personal=lambda: config.journal.personal and gate.recording)
    except OSError as error:
        log.error("journal_failed", path=str(path), error=str(error), fix="the call goes on without a journal")
        yield None
        return
    with closing(journal), _debt_of(config, gate):
        gate.journal = journal
        yield journal


@contextmanager
def _debt_of(config: Config, gate: Gate) -> Iterator[None]:
    """Take room for what may be owed to the person, while there is some."""
    try:
        debt = Debt(ledger_of(config).folder, gate.call_id)
    except OSError as error:
        fix = "what is taken back and cannot be erased is owed only until a restart"
        log.error("no_room_for_debt", call=gate.call_id, error=str(error), fix=fix)
        yield
        return
    with closing(debt):
        gate.debt = debt
        yield


def journals(config: Config) -> list[tuple[str, Path]]:
    """Return the journals in the configured folder with the names of their calls, oldest first."""
    return [(call, path) for call, path in _files(config) if path.suffix == ".jsonl"]


def pages(config: Config) -> list[tuple[str, Path]]:
    """Return the pages that were made of them and lie there, too."""
    return [(call, path) for call, path in _files(config) if path.suffix == ".html"]


def _files(config: Config) -> list[tuple[str, Path]]:
    folder = Path(config.journal.directory) if config.journal.directory else None
    if folder is None or not folder.is_dir():
        return []
    found = ((_NAME.fullmatch(path.name), path) for path in sorted(folder.iterdir()) if path.is_file())
    return [(match[5], path) for match, path in found if match is not None]


def began(path: Path) -> datetime:
    """Return the begin of the call whose journal this is."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name} is not the name of a journal")
    return datetime.fromisoformat(f"{match[1]}T{match[2]}:{match[3]}:{match[4]}+00:00").astimezone(UTC)


def calls(config: Config) -> list[KeptCall]:
    """Return all calls of which something is kept, oldest first.

    Raises:
        DataError: a file cannot be read.
    """
    files: dict[str, list[Path]] = {}
    sheets: dict[str, list[Path]] = {}
    lines: dict[str, list[Entry]] = {}
    for call, path in journals(config):
        files.setdefault(call, []).append(path)
    for call, path in pages(config):
        sheets.setdefault(call, []).append(path)
    try:
        for entry in ledger_of(config).entries():
            lines.setdefault(entry.call, []).append(entry)
    except OSError as error:
        raise DataError(f"the consent ledger cannot be read: {error}") from None
    found = [
        KeptCall(
            call,
            began(first).isoformat() if (first := _first(files, sheets, call)) is not None else lines[call][0].time,
            tuple(files.get(call, ())),
            tuple(sheets.get(call, ())),
            tuple(lines.get(call, ())),
            owed_to(ledger_of(config).folder, call),
        )
        for call in files.keys() | sheets.keys() | lines.keys()
    ]
    return sorted(found, key=lambda kept: (kept.began, kept.call))


def page_of(journal: Path) -> Path:
    """Return where ``agent view`` puts the page of a journal, unless it is told another place."""
    return journal.with_suffix(".html")


def _first(files: Mapping[str, list[Path]], sheets: Mapping[str, list[Path]], call: str) -> Path | None:
    return next(iter((*files.get(call, ()), *sheets.get(call, ()))), None)


def find(config: Config, call: str) -> KeptCall:
    """Return what is kept of one call.

    Raises:
        DataError: nothing is, or a file cannot be read.
    """
    for kept in calls(config):
        if kept.call == call:
            return kept
    raise DataError(f"nothing is kept of a call {call!r}; `agent data list` names those of which something is")


def erase(config: Config, call: str, *, consent_too: bool = False) -> KeptCall:
    """Erase what is kept of a call; return what that was.

    What was agreed to stays, with a line that the rest was erased, for whoever has to prove it; there is no content in
    it. A call that is going on keeps nothing from then on, either.

    Args:
        config: says where things are kept.
        call: its name.
        consent_too: whether what was agreed to goes as well.

    Raises:
        DataError: nothing is kept of it, or it cannot be erased.
    """
    kept = find(config, call)
    ledger = ledger_of(config)
    try:
        for path in (*kept.journals, *kept.pages):
            page_of(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        path_of(ledger.folder, call).unlink(missing_ok=True)
        if consent_too:
            ledger.drop(call)
        elif kept.journals or kept.pages:
            ledger.store(call, ERASED)
    except (OSError, LedgerError) as error:
        raise DataError(f"the call {call!r} could not be erased whole: {error}") from None
    return kept
