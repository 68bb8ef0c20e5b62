"""A withdrawal is owed until it is done: written down, tried again, and told to the person."""

from __future__ import annotations

import argparse
import errno
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.action import Caption
from agent.config import Config, JournalConfig
from agent.journal import Note
from agent.loopback import Loopback
from agent.privacy import commands, journal_file, kept, retention
from agent.privacy.agreement import Agreement
from agent.privacy.files import append_to
from agent.privacy.gate import ERASED, NOT_ERASED, Gate
from agent.privacy.journal_file import JournalFile, lines_of, mask_file
from agent.privacy.ledger import CHANGED, GIVEN, WITHDRAWN, Ledger, LedgerError
from agent.privacy.options import PrivacyOptions
from agent.privacy.owed import ROOM, Debt, Owed, Settled, owed_to, path_of, settle
from agent.privacy.withdrawal import erase_withdrawn
from perception.timebase import SECOND
from tests.agent.stage import quiet, said
from tests.privacy.house import PERSON, Held, Watched, hold

WORDS = "My sister Penelope lives in Zanzibar"
NOTHING = Agreement("2", "en", recording=False)
GONE = (6 * SECOND, frozenset[str](), NOTHING)
BEGIN = (0, frozenset({"asr"}), PERSON)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def failing(times: int, tried: list[int] | None = None) -> Callable[..., JournalFile]:
    """A journal of which nothing can be erased for the first so many times."""

    class Failing(JournalFile):
        left = times

        def erase(self, change: Any) -> None:
            if tried is not None:
                tried.append(1)
            self.left -= 1
            if self.left >= 0:
                full()
            super().erase(change)

    return Failing


def spoken(folder: Path, seconds: float, **more: Any) -> Held:
    """Say something, take everything back at six seconds, and stay on the line."""
    return hold(folder, quiet(seconds), [Watched("asr", said(WORDS, 0.5, 2.5))], [BEGIN, GONE], **more)


def hits(path: Path) -> int:
    return path.read_text().count("Penelope") + path.read_text().count("Zanzibar")


def captions(held: Held) -> list[str]:
    return [a.text for _, a in held.actions if isinstance(a, Caption) and a.text in (NOT_ERASED, ERASED)]


def notes(held: Held) -> list[str]:
    found = [e.body.event for e in held.caller.events if isinstance(e.body, Note)]
    return [event for event in found if event in ("not_erased", "erased", "consent_withdrawn")]


def test_the_words_are_there_until_they_are_taken_back(tmp_path: Path) -> None:
    held = hold(tmp_path, quiet(8), [Watched("asr", said(WORDS, 0.5, 2.5))], [BEGIN])
    assert hits(held.journal) >= 2, "else the tests below prove nothing"


def test_on_a_full_disk_what_is_taken_back_is_covered_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "replace", full)
    held = spoken(tmp_path, 8)
    assert hits(held.journal) == 0
    assert notes(held) == ["consent_withdrawn"]
    assert captions(held) == []
    assert not list(held.ledger.folder.glob("owed-*")), "nothing is owed, and nothing is left of the room for it"


def test_what_cannot_be_erased_is_told_tried_again_and_told_once_it_is_done(tmp_path: Path) -> None:
    tried: list[int] = []
    held = spoken(tmp_path, 20, file=failing(2, tried))
    assert hits(held.journal) == 0
    assert len(tried) == 3, "each five seconds"
    assert notes(held) == ["not_erased", "consent_withdrawn", "erased"]
    assert captions(held) == [NOT_ERASED, ERASED]
    assert not list(held.ledger.folder.glob("owed-*"))


def test_what_is_allowed_again_meanwhile_does_not_save_what_was_taken_back(tmp_path: Path) -> None:
    again = (8 * SECOND, frozenset({"asr"}), PERSON)
    worker = Watched("asr", said(WORDS, 0.5, 2.5))
    held = hold(tmp_path, quiet(20), [worker], [BEGIN, GONE, again], file=failing(2))
    assert hits(held.journal) == 0
    assert notes(held)[-1] == "erased"


def test_after_the_call_it_is_still_owed_and_then_done(tmp_path: Path) -> None:
    held = spoken(tmp_path, 8, file=failing(1000))
    call = held.caller.call_id
    assert hits(held.journal) >= 2
    assert captions(held) == [NOT_ERASED]
    assert owed_to(held.ledger.folder, call)
    assert settle(held.ledger) == Settled(done=1)
    assert hits(held.journal) == 0
    assert lines_of(held.journal), "the rest of the journal stays"
    assert settle(held.ledger) == Settled()
    assert not list(held.ledger.folder.glob("owed-*"))


class Forgetful(Ledger):
    """Stores that somebody agreed, and nothing after that."""

    def store(self, call: str, event: str, *args: Any, **more: Any) -> Any:
        if event != GIVEN:
            raise LedgerError("No space left on device")
        return super().store(call, event, *args, **more)


def test_what_the_ledger_could_not_be_told_is_told_later(tmp_path: Path) -> None:
    held = spoken(tmp_path, 8, file=failing(1000), ledger=Forgetful(tmp_path / "state"))
    ledger = Ledger(held.ledger.folder)
    assert [e.event for e in ledger.entries()] == [GIVEN]
    assert settle(ledger) == Settled(done=1)
    assert [(e.event, e.scopes, e.senses) for e in ledger.entries()][1:] == [(WITHDRAWN, (), ())]


def test_a_crash_forgets_no_debt(tmp_path: Path) -> None:
    journal = written(tmp_path / "journals" / "2026-11-25T120000000+0000-crashed.jsonl")
    debt = Debt(tmp_path, "crashed")
    debt.note(owed(journal))
    debt._file.close()  # as the end of the process does
    free = Debt(tmp_path, "unharmed")
    free._file.close()
    assert settle(Ledger(tmp_path)) == Settled(done=1)
    assert hits(journal) == 0
    assert not list(tmp_path.glob("owed-*")), "room of a call that crashed and owed nothing goes, too"


def test_a_call_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    journal = written(tmp_path / "j.jsonl")
    debt = Debt(tmp_path, "running")
    debt.note(owed(journal))
    assert settle(Ledger(tmp_path)) == Settled()
    debt.close()
    assert path_of(tmp_path, "running").exists(), "it is owed"


def test_a_debt_needs_no_room_once_its_file_is_there(tmp_path: Path) -> None:
    debt = Debt(tmp_path, "c")
    before = debt.path.stat()
    assert before.st_size == ROOM
    assert before.st_blocks * 512 >= ROOM
    debt.note(owed(tmp_path / "j.jsonl"))
    after = debt.path.stat()
    assert (after.st_size, after.st_blocks, after.st_ino) == (before.st_size, before.st_blocks, before.st_ino)
    assert Owed.read(debt.path.read_text()).journal == tmp_path / "j.jsonl"
    assert after.st_mode & 0o777 == 0o600
    debt.clear()
    debt.close()
    assert not debt.path.exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"journal": 1}', '{"workers": {"a": ["smell"]}}'])
def test_a_file_that_says_nothing_clear_stays_and_is_counted(tmp_path: Path, text: str) -> None:
    path_of(tmp_path, "odd").write_text(text)
    assert settle(Ledger(tmp_path)) == Settled(left=1)
    assert path_of(tmp_path, "odd").exists()


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.open(os.devnull, os.O_RDONLY)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_a_descriptor_it_is_covered_in_its_place(tmp_path: Path) -> None:
    path = written(tmp_path / "j.jsonl")
    journal = JournalFile(path, personal=True)
    with no_descriptor_left():
        erase_withdrawn(journal, frozenset(), [Watched("asr")], recording=False)
        journal.close()
    assert hits(path) == 0
    assert [line["type"] for line in lines_of(path)] == ["note"]


def test_covering_leaves_the_rest_and_the_place_of_everything(tmp_path: Path) -> None:
    path = written(tmp_path / "j.jsonl")
    size = path.stat().st_size
    before = lines_of(path)
    mask_file(
        path, lambda line: None if line["type"] == "percept" else {k: v for k, v in line.items() if k != "pii.text"}
    )
    assert hits(path) == 0
    assert path.stat().st_size == size
    assert lines_of(path) == [{"t": 3.0, "type": "turn", "speaker": "user", "start": 1.0, "end": 3.0}, before[-1]]
    assert "cut off" not in path.read_text(), "what a crash left half-written may hold words"


def test_what_a_full_disk_did_not_take_is_never_written_later(tmp_path: Path) -> None:
    file = append_to(tmp_path / "j.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        file.write("x" * 60 + "\n")
        with pytest.raises(OSError, match=r"part|large"):
            file.write("Penelope in Zanzibar\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file.close()
    assert "Zanzibar" not in (tmp_path / "j.jsonl").read_text()


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, object]] = [
        {"t": 2.0, "type": "percept", "kind": "transcript", "worker": "asr", "pii.label": WORDS},
        {"t": 3.0, "type": "turn", "speaker": "user", "start": 1.0, "end": 3.0, "pii.text": f"{WORDS} ü"},
    ]
    note = {"t": 4.0, "type": "note", "event": "call_ended"}
    texts = [json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("\n".join([*texts, '{"t": 3.5, "pii.text": "cut off Penel', json.dumps(note)]) + "\n")
    return path


def owed(journal: Path) -> Owed:
    return Owed(journal, frozenset(), False, [Watched("asr")], CHANGED, NOTHING, frozenset(), frozenset())


def configured(folder: Path) -> Config:
    return Config(
        privacy=PrivacyOptions(directory=str(folder / "state")),
        journal=JournalConfig(directory=str(folder / "journals"), personal=True),
    )


def test_the_job_of_the_server_does_it(tmp_path: Path) -> None:
    keeper = retention.Keeper(configured(tmp_path), every_s=60.0, owed_s=0.05)
    try:
        assert keeper.wait(1, 10)
        held = spoken(tmp_path, 8, file=failing(1000))
        for _ in range(200):
            if not owed_to(held.ledger.folder, held.caller.call_id):
                break
            assert not keeper.wait(2, 0.05)
        assert hits(held.journal) == 0
    finally:
        keeper.close()


def test_the_operator_sees_it_and_can_do_it(tmp_path: Path) -> None:
    held, config, told = spoken(tmp_path, 8, file=failing(1000)), configured(tmp_path), list[str]()
    options = argparse.Namespace(json=False)
    commands.show(config, options, told.append)
    assert told[-1].endswith("agreed: nothing, erasure owed")
    assert kept.find(config, held.caller.call_id).owed
    assert commands.expire(config, options, told.append) == 0
    assert told[-1] == "erased what was taken back in 1 call(s); it is still owed to 0"
    assert not kept.find(config, held.caller.call_id).owed


def test_erasing_the_call_by_hand_settles_it(tmp_path: Path) -> None:
    held, config = spoken(tmp_path, 8, file=failing(1000)), configured(tmp_path)
    kept.erase(config, held.caller.call_id)
    assert settle(held.ledger) == Settled()


def test_the_room_is_taken_and_given_back_around_a_call(tmp_path: Path) -> None:

    config = configured(tmp_path)
    gate = Gate(Loopback(), kept.ledger_of(config), [])
    with kept.journal_of(config, gate):
        assert path_of(tmp_path / "state", gate.call_id).stat().st_size == ROOM
    assert not path_of(tmp_path / "state", gate.call_id).exists()
