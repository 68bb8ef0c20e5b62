"""What is kept can be listed, taken out and erased, and goes by itself."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import cli
from agent.config import Config, ConfigError, JournalConfig
from agent.journal import Event, Note
from agent.privacy import kept, retention
from agent.privacy.agreement import Agreement
from agent.privacy.journal_file import JournalFile
from agent.privacy.ledger import ERASED, GIVEN, Entry
from agent.privacy.options import PrivacyOptions
from perception.context import Turn
from perception.percept import Percept
from perception.timebase import SECOND

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def configured(folder: Path, **days: int) -> Config:
    return Config(
        journal=JournalConfig(directory=str(folder / "journals"), personal=True),
        privacy=PrivacyOptions(directory=str(folder / "state"), **days),  # type: ignore[arg-type]
    )


def call(config: Config, name: str, age: timedelta = timedelta(0)) -> Path:
    """A call of which a journal with words is kept, and what was agreed to."""
    stamp = (NOW - age).strftime("%Y-%m-%dT%H%M%S000+0000")
    journal = JournalFile(Path(config.journal.directory) / f"{stamp}-{name}.jsonl", personal=True)
    journal(Event(0, Note("call_started", data={"call": name})))
    journal(Event(SECOND, Percept("expression", "sad", 0, SECOND, 0.8, "face", {"valence": -0.5, "yaw": 3.0})))
    journal(Event(2 * SECOND, Turn("user", "the canary died", 0, 2 * SECOND)))
    journal.close()
    ledger = kept.ledger_of(config)
    ledger.folder.mkdir(exist_ok=True)
    time = (NOW - age).isoformat(timespec="milliseconds")
    entry = Entry(time, name, GIVEN, "2", "en", "person", ("recording", "voice"), ("asr", "vad"))
    with (ledger.folder / f"consent-{time[:7]}.jsonl").open("a") as file:
        file.write(entry.as_line())
    return journal.path


def test_every_call_is_listed_also_one_that_left_only_consent(tmp_path: Path) -> None:
    config = configured(tmp_path)
    call(config, "old", timedelta(days=3))
    call(config, "new")
    kept.ledger_of(config).store("bare", GIVEN, Agreement("2"), {"face"})
    (Path(config.journal.directory) / "notes.txt").write_text("not a journal")
    found = {c.call: c for c in kept.calls(config)}
    assert set(found) == {"old", "new", "bare"}
    assert found["old"].personal
    assert found["old"].scopes == ("recording", "voice")
    assert found["old"].began == "2026-11-22T12:00:00+00:00"
    assert not found["bare"].journals
    assert not found["bare"].personal


def test_words_go_first_then_the_journal_then_what_was_agreed_to(tmp_path: Path) -> None:
    config = configured(tmp_path, keep_words_days=1, keep_journals_days=30, keep_ledger_days=1095)
    day = timedelta(days=1)
    fresh, older, oldest = (
        call(config, "a", day - timedelta(minutes=1)),
        call(config, "b", day),
        call(config, "c", 30 * day),
    )
    call(config, "d", 1095 * day)
    gone = retention.expire(config, NOW)
    assert (gone.words, gone.journals, gone.agreements, gone.failed) == (1, 2, 1, 0)
    assert "canary" in fresh.read_text()
    assert "pii." not in older.read_text()
    assert json.loads(older.read_text().splitlines()[2])["words_count"] == 3, "what is nobody's stays"
    assert not oldest.exists()
    assert [c.call for c in kept.calls(config)] == ["c", "b", "a"], "of the third what was agreed to is still there"
    assert retention.expire(config, NOW) == retention.Expired(), "there is nothing more to do"


def test_a_page_that_lies_beside_a_journal_goes_with_the_words(tmp_path: Path) -> None:
    config = configured(tmp_path)
    old, new = call(config, "a", timedelta(days=1)), call(config, "b")
    for path in (old, new):
        path.with_suffix(".html").write_text("the canary died")
    assert kept.find(config, "b").pages == (new.with_suffix(".html"),)
    retention.expire(config, NOW)
    assert not old.with_suffix(".html").exists()
    assert new.with_suffix(".html").exists()
    kept.erase(config, "b")
    assert not list(new.parent.glob("*b.*"))


def test_a_call_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    config = configured(tmp_path, keep_words_days=0, keep_journals_days=0)
    path = call(config, "a")
    going_on = JournalFile(path, personal=True)
    assert retention.expire(config, NOW).words == 0
    assert path.exists()
    going_on.close()
    assert retention.expire(config, NOW).journals == 1
    assert not path.exists()


def test_it_happens_at_the_start_and_again(tmp_path: Path) -> None:
    config = configured(tmp_path, keep_journals_days=0, keep_words_days=0)
    path = call(config, "a", timedelta(days=400))
    keeper = retention.Keeper(config, every_s=0.05)
    try:
        assert keeper.wait(1, 5.0)
        assert not path.exists()
        again = call(config, "b", timedelta(days=400))
        assert keeper.wait(keeper.times + 2, 5.0)
        assert not again.exists()
    finally:
        keeper.close()
    assert not keeper._thread.is_alive()


def test_a_file_that_cannot_be_changed_is_told_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path)
    call(config, "a", timedelta(days=2))
    other = call(config, "b", timedelta(days=40))

    def broken(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(retention, "rewrite", broken)
    gone = retention.expire(config, NOW)
    assert (gone.failed, gone.journals) == (1, 1)
    assert not other.exists()


def write(config: Config, folder: Path) -> str:
    path = folder / "rapport.toml"
    path.write_text(
        f'[journal]\ndirectory = "{config.journal.directory}"\npersonal = true\n'
        f'[privacy]\ndirectory = "{config.privacy.directory}"\n'
    )
    return str(path)


def test_the_command_lists_exports_and_erases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(tmp_path)
    journal = call(config, "c0ffee")
    call(config, "other")
    toml, target = write(config, tmp_path), tmp_path / "out.zip"
    assert cli.main(["data", "list", "--config", toml]) == 0
    listed = capsys.readouterr().out
    assert "c0ffee" in listed
    assert "with words" in listed
    assert cli.main(["data", "list", "--json", "--config", toml]) == 0
    assert [json.loads(line)["words"] for line in capsys.readouterr().out.splitlines()] == [True, True]
    written = journal.read_text()
    assert cli.main(["data", "export", "c0ffee", "--to", str(target), "--config", toml]) == 0
    with zipfile.ZipFile(target) as bundle:
        assert set(bundle.namelist()) == {"index.txt", "journal.jsonl", "consent.jsonl"}
        assert bundle.read("journal.jsonl").decode() == written
        assert "other" not in bundle.read("consent.jsonl").decode()
        index = bundle.read("index.txt").decode()
    for words in (
        "c0ffee",
        "given: recording, voice, text 2, by the person",
        "the person said: the canary died",
        "expression: sad",
    ):
        assert words in index
    assert cli.main(["data", "export", "c0ffee", "--to", str(target), "--config", toml]) == 1
    assert "exists already" in capsys.readouterr().err
    assert cli.main(["data", "erase", "c0ffee", "--config", toml]) == 0
    assert not journal.exists()
    assert [e.event for e in kept.ledger_of(config).entries("c0ffee")] == [GIVEN, ERASED]
    assert kept.find(config, "other").journals, "of other calls nothing is lost"
    assert cli.main(["data", "erase", "c0ffee", "--consent-too", "--config", toml]) == 0
    assert kept.ledger_of(config).entries("c0ffee") == []
    capsys.readouterr()
    for verb in ("export", "erase"):
        assert cli.main(["data", verb, "c0ffee", "--config", toml]) == 1
        assert "nothing is kept of a call 'c0ffee'" in capsys.readouterr().err


def test_the_command_lets_expire(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(tmp_path)
    path = call(config, "a", timedelta(days=4000))
    assert cli.main(["data", "expire", "--config", write(config, tmp_path)]) == 0
    assert not path.exists()
    assert "1 journal(s) and 1 line(s)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_server_whose_ledger_cannot_be_written_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("a file in the way")
    config = configured(tmp_path)
    with pytest.raises(ConfigError, match=r"privacy\.directory"):
        kept.check_ledger(config)
    assert cli.main(["serve", "--port", "0", "--config", write(config, tmp_path)]) == 2
    assert "consent cannot be stored" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["keep_words_days", "keep_journals_days", "keep_ledger_days"])
def test_senseless_times_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=f"privacy.{key} is -1"):
        PrivacyOptions(**{key: -1})  # type: ignore[arg-type]
