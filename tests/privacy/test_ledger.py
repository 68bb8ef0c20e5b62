from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.privacy.agreement import Agreement
from agent.privacy.ledger import CHANGED, GIVEN, Entry, Ledger, LedgerError
from agent.sense_map import SenseMap
from agent.staged import Script

SAID = Agreement("2", "de-AT", recording=True)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state")


def test_an_event_is_on_the_disk_when_store_returns(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    real = os.fsync

    def spy(handle: int) -> None:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")).read_bytes())
        real(handle)

    monkeypatch.setattr(os, "fsync", spy)
    entry = ledger.store("call1", GIVEN, SAID, {"voice", "recording"}, frozenset({"vad", "asr"}))
    (path,) = ledger.files()
    assert synced == [path.read_bytes()], "it is synced after it is written, and before store returns"
    assert json.loads(path.read_text()) == {
        "v": 1,
        "time": entry.time,
        "call": "call1",
        "event": "given",
        "version": "2",
        "locale": "de-AT",
        "by": "person",
        "scopes": ["recording", "voice"],
        "senses": ["asr", "vad"],
    }
    assert ledger.entries("call1") == [entry]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_only_grows(ledger: Ledger) -> None:
    ledger.store("a", GIVEN, SAID, {"voice"})
    (path,) = ledger.files()
    before = path.read_bytes()
    Ledger(ledger.folder).store("a", CHANGED, SAID, (), None)
    assert path.read_bytes().startswith(before)
    assert [e.senses for e in ledger.entries()] == [(), None]


def test_what_a_crash_cut_off_harms_no_other_line(ledger: Ledger) -> None:
    ledger.store("a", GIVEN)
    (path,) = ledger.files()
    with path.open("ab") as file:
        file.write(b'{"v":1,"time":"2026')
    ledger.store("b", GIVEN)
    assert [e.call for e in ledger.entries()] == ["a", "b"]


def test_what_cannot_be_stored_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ledger = Ledger(tmp_path / "file" / "state")
    with pytest.raises(LedgerError, match="Not a directory"):
        ledger.store("a", GIVEN)
    with pytest.raises(LedgerError, match="Not a directory"):
        ledger.check()
    assert ledger.entries() == []


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def no_space(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("full")
def test_a_full_disk_is_no_consent(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="No space left"):
        ledger.store("a", GIVEN)


def test_a_call_can_be_taken_out(ledger: Ledger) -> None:
    for call in ("a", "b", "a"):
        ledger.store(call, GIVEN)
    assert ledger.drop("a") == 2
    assert [e.call for e in ledger.entries()] == ["b"]
    assert ledger.drop("a") == 0
    assert {p.name for p in ledger.folder.iterdir()} == {".lock", *(p.name for p in ledger.files())}
    assert ledger.drop("b") == 1
    assert ledger.files() == []


def test_what_is_stored_while_old_lines_go_is_not_lost(ledger: Ledger) -> None:
    """The job of one process and a call of another use the same file."""
    ledger.store("old", GIVEN)
    other = Ledger(ledger.folder)
    stored = [0]

    def store() -> None:
        for _ in range(50):
            other.store("new", GIVEN)
            stored[0] += 1

    thread = threading.Thread(target=store)
    thread.start()
    gone = 0
    while thread.is_alive():
        gone += ledger.drop("old")
        ledger.store("old", GIVEN)
    thread.join()
    assert gone > 1
    assert len(ledger.entries("new")) == stored[0] == 50


@pytest.mark.parametrize("words", ["I said yes to all of this", "x" * 65, "a\nb", "a/b", "ä"])
def test_nothing_that_somebody_could_say_fits_into_a_version(words: str) -> None:
    assert Agreement(words, words) == Agreement("unreadable", "unreadable")


def test_scopes_follow_from_what_a_worker_takes_in() -> None:
    known = SenseMap.of([Script("ear", []), Script("eye", [], sees=True)])
    assert known.scopes(None) == {"voice", "face"}
    assert known.scopes(frozenset({"ear"})) == {"voice"}
    assert known.scopes(frozenset({"gaze"})) == {"face"}
    assert known.scopes(frozenset()) == frozenset()


def test_an_entry_that_is_none_is_passed_over(ledger: Ledger) -> None:
    ledger.store("a", GIVEN)
    (path,) = ledger.files()
    path.write_text('[]\n{"v":1}\nnull\n' + Entry("2026-01-01T00:00:00+00:00", "b", GIVEN).as_line())
    assert [e.call for e in ledger.entries()] == ["b"]
