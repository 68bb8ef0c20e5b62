"""What is kept goes by itself: words after a day, journals after a month, what was agreed to after three years."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from agent.clock import timestamp
from agent.config import Config
from agent.privacy.files import in_use
from agent.privacy.journal_file import rewrite
from agent.privacy.kept import began, journals, ledger_of, pages
from agent.privacy.masking import PREFIX, strip
from agent.privacy.owed import settle

log = structlog.get_logger(__name__)

HOUR_S: Final = 3600.0
MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Expired:
    """What has gone.

    Attributes:
        words: journals that lost their words and looks.
        journals: journals that were deleted.
        agreements: lines of the ledger that were deleted.
        failed: files that could not be changed.
        settled: calls of which was erased what had been owed.
        owed: calls to which that is still owed.
    """

    words: int = 0
    journals: int = 0
    agreements: int = 0
    failed: int = 0
    settled: int = 0
    owed: int = 0


def expire(config: Config, now: datetime, clean: set[Path] | None = None) -> Expired:
    """Erase what is owed, and delete what is kept longer than the configuration says.

    Never raises for a file that cannot be changed.

    Time counts from the begin of the call, or from when something was agreed to. The journal of a call that is going
    on is left alone.

    Args:
        config: says where things are kept, and for how long.
        now: the time, with its zone.
        clean: journals that are known to hold no words; they are not read again, and new ones are added.
    """
    clean = set() if clean is None else clean
    options = config.privacy
    words = gone = agreements = failed = 0
    debts = settle(ledger_of(config))
    for _, path in journals(config):
        age = now - began(path)
        try:
            if age < min(timedelta(days=options.keep_journals_days), timedelta(days=options.keep_words_days)):
                continue
            if in_use(path):
                continue
            if age >= timedelta(days=options.keep_journals_days):
                path.unlink()
                clean.discard(path)
                gone += 1
            elif path not in clean:
                if f'"{PREFIX}' in path.read_text(encoding="utf-8", errors="replace"):
                    rewrite(path, strip)
                    words += 1
                clean.add(path)
        except OSError as error:
            failed += 1
            log.error("not_expired", path=str(path), error=str(error), fix="delete it by hand, or mend its folder")
    for _, path in pages(config):
        try:
            if now - began(path) >= timedelta(days=options.keep_words_days):
                path.unlink()
        except OSError as error:
            failed += 1
            log.error("not_expired", path=str(path), error=str(error), fix="delete it by hand, or mend its folder")
    try:
        agreements = ledger_of(config).expire(now - timedelta(days=options.keep_ledger_days))
    except OSError as error:
        failed += 1
        log.error("not_expired", error=str(error), fix="mend the folder of the consent ledger, privacy.directory")
    found = Expired(words, gone, agreements, failed, debts.done, debts.left)
    log.info("expired", words=words, journals=gone, agreements=agreements, failed=failed, owed=debts.left)
    return found


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.fromisoformat(timestamp())


class Keeper:
    """Lets what is kept expire, at once and then every hour, in a thread of its own; what is owed, every minute.

    Args:
        config: says where things are kept, and for how long.
        every_s: seconds between two times.
        owed_s: seconds between two looks for what is owed.
    """

    def __init__(self, config: Config, every_s: float = HOUR_S, owed_s: float = MINUTE_S) -> None:
        self.times = 0
        self._config = config
        self._every_s = every_s
        self._owed_s = owed_s
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="retention", daemon=True)
        self._thread.start()

    def wait(self, times: int, timeout_s: float) -> bool:
        """Wait until it has happened so often; return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self.times >= times, timeout_s)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(10.0)

    def _work(self) -> None:
        clean: set[Path] = set()
        while True:
            try:
                expire(self._config, now(), clean)
            except Exception as error:
                log.error("retention_failed", exc_info=error)
            with self._changed:
                self.times += 1
                self._changed.notify_all()
            if self._wait():
                return

    def _wait(self) -> bool:
        """Wait until it is time again, and settle what is owed meanwhile; return whether it is to end."""
        left_s = self._every_s
        while left_s > 0:
            step_s = min(left_s, self._owed_s)
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, step_s):
                    return True
            left_s -= step_s
            if left_s > 0:
                settle(ledger_of(self._config))
        return False


@contextmanager
def keeping(config: Config) -> Iterator[Keeper]:
    """Let what is kept expire while something runs."""
    keeper = Keeper(config)
    try:
        yield keeper
    finally:
        keeper.close()
