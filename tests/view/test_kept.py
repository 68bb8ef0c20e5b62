"""The page of a journal goes when what it was made of goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent import cli
from agent.config import Config, JournalConfig
from agent.privacy import kept, retention
from agent.privacy.options import PrivacyOptions
from tests.view import sample


def configured(folder: Path) -> Config:
    return Config(
        journal=JournalConfig(directory=str(folder), personal=True),
        privacy=PrivacyOptions(directory=str(folder / "state")),
    )


def seen(folder: Path, name: str) -> tuple[Path, Path]:
    journal = sample.write(folder / f"2026-11-01T120000000+0000-{name}.jsonl", sample.events(20.0))
    assert cli.main(["view", str(journal), "--no-open"]) == 0
    page = kept.page_of(journal)
    assert page.is_file()
    return journal, page


def test_a_page_is_erased_with_its_journal(tmp_path: Path) -> None:
    journal, page = seen(tmp_path, "k3v9")
    kept.erase(configured(tmp_path), "k3v9")
    assert not journal.exists()
    assert not page.exists()


def test_a_page_goes_when_the_words_go_and_when_the_journal_goes(tmp_path: Path) -> None:
    journal, page = seen(tmp_path, "k3v9")
    begun = datetime(2026, 11, 1, 12, tzinfo=UTC)
    retention.expire(configured(tmp_path), begun + timedelta(days=2))
    assert journal.exists()
    assert not page.exists()
    _, page = seen(tmp_path, "k3v9")
    retention.expire(configured(tmp_path), begun + timedelta(days=60))
    assert not journal.exists()
    assert not page.exists()
