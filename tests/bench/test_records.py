"""What a run leaves behind survives everything."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.bench.records import (
    RECORDS,
    RUN,
    Answer,
    Ledger,
    Record,
    RunError,
    from_json,
    read_records,
    replacing,
    to_json,
)

IDENTITY = {"version": 1, "data_hash": "a", "selected": ["1", "2"]}


def record(name: str, repeat: int = 0) -> Record:
    answer = Answer(ask=name, raw="B — “é”", prompt=({"role": "user", "content": "x\ny"},), frames=3, answer_s=0.05)
    return Record(id=name, task_type="Emo_Strategy", media="data/videos/a.mp4", repeat=repeat, answers=(answer,))


def test_a_record_survives_json() -> None:
    there = json.loads(json.dumps(to_json(record("1"))))
    assert from_json(there) == record("1")
    assert from_json(there | {"of_a_later_version": 1}) == record("1")


def test_every_record_is_there_once(tmp_path: Path) -> None:
    with Ledger(tmp_path, IDENTITY) as ledger:
        for name in ("1", "2", "1"):
            ledger.append(record(name))
        ledger.append(record("1", repeat=1))
        assert ledger.done == {("1", 0), ("2", 0), ("1", 1)}
    assert [(r.id, r.repeat) for r in read_records(tmp_path)] == [("1", 0), ("2", 0), ("1", 1)]


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_that_was_cut_off_is_dropped_and_done_again(tmp_path: Path, cut: int) -> None:
    with Ledger(tmp_path, IDENTITY) as ledger:
        ledger.append(record("1"))
        ledger.append(record("2"))
    path = tmp_path / RECORDS
    path.write_bytes(path.read_bytes()[:-cut])
    assert [r.id for r in read_records(tmp_path)] == ["1"]
    with Ledger(tmp_path, IDENTITY) as ledger:
        assert ledger.done == {("1", 0)}
        ledger.append(record("2"))
    assert [r.id for r in read_records(tmp_path)] == ["1", "2"]


def test_another_run_is_refused_and_says_what_differs(tmp_path: Path) -> None:
    with Ledger(tmp_path, IDENTITY):
        pass
    with pytest.raises(RunError, match=r"holds another run: data_hash differ; choose another --out"):
        Ledger(tmp_path, IDENTITY | {"data_hash": "b"})
    with Ledger(tmp_path, IDENTITY):  # the refused one has let go
        pass


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path, IDENTITY), pytest.raises(RunError, match="in use by another run"):
        Ledger(tmp_path, IDENTITY)


def test_a_broken_line_in_the_middle_is_told(tmp_path: Path) -> None:
    (tmp_path / RECORDS).write_text('{"id": 1}\n{}\n', encoding="utf-8")
    with pytest.raises(RunError, match=r"line 1: is no record"):
        list(read_records(tmp_path))
    (tmp_path / RUN).write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match="is no run"):
        Ledger(tmp_path, IDENTITY)


def test_a_run_is_for_its_owner_only(tmp_path: Path) -> None:
    """Whatever the umask: its prompts hold what people said, and its report their media."""
    before = os.umask(0)
    try:
        folder = tmp_path / "run"
        with Ledger(folder, IDENTITY) as ledger:
            ledger.append(record("1"))
        with replacing(folder / "report.html") as out:
            out.write("<video>")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o077 == 0
    for name in (RUN, RECORDS, "report.html"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
