"""No frame reaches perception before it is stored that the person agreed; what is taken back stops at once."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from agent.action import Caption
from agent.journal import Note
from agent.loopback import Loopback
from agent.privacy.agreement import Agreement
from agent.privacy.gate import NOT_STORED, STORED, Gate
from agent.privacy.ledger import Entry, Ledger, LedgerError
from perception.media import AudioChunk, Text, VideoFrame
from perception.percept import Percept
from perception.timebase import MS, SECOND, Nanos
from tests.agent.stage import frames, merged, quiet, said
from tests.privacy.house import PERSON, Held, Watched, hold

EVERYTHING = frozenset({"ear", "eye"})


def senses() -> list[Watched]:
    return [Watched("ear"), Watched("eye", sees=True)]


def notes(held: Held, event: str) -> list[Note]:
    return [e.body for e in held.caller.events if isinstance(e.body, Note) and e.body.event == event]


class Slow(Ledger):
    """Keeps the number of frames that were fed when it was asked to store, and when it was done."""

    def __init__(self, folder: Path, workers: list[Watched]) -> None:
        super().__init__(folder)
        self.fed: list[int] = []
        self._workers = workers

    def store(self, *args: object, **more: object) -> Entry:
        self.fed.append(sum(len(w.fed) for w in self._workers))
        entry = super().store(*args, **more)  # type: ignore[arg-type]
        self.fed.append(sum(len(w.fed) for w in self._workers))
        return entry


def test_no_frame_is_perceived_before_consent_is_stored(tmp_path: Path) -> None:
    workers = senses()
    ledger = Slow(tmp_path / "state", workers)
    held = hold(
        tmp_path,
        merged(quiet(6), frames(6)),
        workers,
        [(2 * SECOND, EVERYTHING, PERSON)],
        ledger=ledger,
        store_s=0.7,
    )
    assert ledger.fed == [0, 0], "storing was begun and ended before anything was perceived"
    for worker in workers:
        assert 2700 * MS <= worker.fed[0] < 3 * SECOND, "it took 0.7 s to store, and the frames of that time are gone"
        assert worker.fed[-1] >= 5900 * MS
    (entry,) = ledger.entries()
    assert (entry.event, entry.version, entry.by) == ("given", "2", "person")
    assert entry.scopes == ("face", "recording", "voice")
    assert entry.senses == ("ear", "eye")
    assert notes(held, "consent_stored")[0].data == {"scopes": ["face", "recording", "voice"]}


def test_without_any_consent_nothing_is_stored_and_nothing_perceived(tmp_path: Path) -> None:
    workers = senses()
    held = hold(tmp_path, merged(quiet(3), frames(3)), workers, [])
    assert held.ledger.entries() == []
    assert not any(worker.fed for worker in workers)


def test_what_the_application_says_it_has_asked_is_stored_before_the_call_begins(tmp_path: Path) -> None:
    workers = senses()
    ledger = Slow(tmp_path / "state", workers)
    held = hold(tmp_path, merged(quiet(1), frames(1)), workers, [(0, None, None)], ledger=ledger)
    assert ledger.fed == [0, 0]
    (entry,) = held.ledger.entries()
    assert (entry.event, entry.by, entry.senses) == ("given", "application", None)
    assert entry.scopes == ("face", "recording", "voice")
    assert all(worker.fed for worker in workers)


def test_where_nothing_is_recorded_nobody_is_noted_as_having_allowed_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    gate = Gate(Loopback(), ledger, senses(), records=False)
    asyncio.run(gate.begin())
    assert ledger.entries()[0].scopes == ("face", "voice")
    assert not gate.recording


class Broken(Ledger):
    """Cannot store for the first so many times."""

    def __init__(self, folder: Path, times: int) -> None:
        super().__init__(folder)
        self.times = times

    def store(self, *args: object, **more: object) -> Entry:
        self.times -= 1
        if self.times >= 0:
            raise LedgerError("No space left on device")
        return super().store(*args, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("begin", [0, 1 * SECOND], ids=["from the start", "later"])
def test_where_it_cannot_be_stored_nothing_is_perceived_and_the_person_is_told(tmp_path: Path, begin: Nanos) -> None:
    workers = senses()
    script = merged(quiet(4), frames(4), [Text("can you read me", at=3 * SECOND)])
    held = hold(tmp_path, script, workers, [(begin, EVERYTHING, PERSON)], ledger=Broken(tmp_path / "s", 1000))
    assert not any(worker.fed for worker in workers)
    told = [a.text for _, a in held.actions if isinstance(a, Caption) and a.speaker == "agent"]
    assert told.count(NOT_STORED) == 1
    assert notes(held, "consent_not_stored")[0].level == "error"
    assert held.mind.windows, "typed words are answered all the same"
    assert held.mind.windows[-1].turns[-1].text == "can you read me"


def test_it_is_tried_again_and_then_goes_on(tmp_path: Path) -> None:
    workers = senses()
    ledger = Broken(tmp_path / "s", 2)
    held = hold(tmp_path, merged(quiet(14), frames(14)), workers, [(SECOND, EVERYTHING, PERSON)], ledger=ledger)
    assert [e.event for e in ledger.entries()] == ["given"]
    assert 11 * SECOND <= workers[0].fed[0] < 12 * SECOND
    told = [a.text for _, a in held.actions if isinstance(a, Caption) and a.speaker == "agent"]
    assert told == [NOT_STORED, STORED]


def test_a_sense_that_is_taken_back_is_fed_nothing_more(tmp_path: Path) -> None:
    workers = senses()
    held = hold(
        tmp_path,
        merged(quiet(6), frames(6)),
        workers,
        [(0, EVERYTHING, PERSON), (3 * SECOND, frozenset({"ear"}), PERSON)],
    )
    ear, eye = workers
    assert eye.fed[-1] <= 3 * SECOND
    assert ear.fed[-1] >= 5900 * MS
    assert [(e.event, e.scopes) for e in held.ledger.entries()] == [
        ("given", ("face", "recording", "voice")),
        ("changed", ("recording", "voice")),
    ]
    assert notes(held, "consent_withdrawn")[0].data == {"scopes": ["recording", "voice"]}


def test_all_of_it_can_be_taken_back_also_where_that_cannot_be_stored(tmp_path: Path) -> None:
    workers = [Watched("ear", said("my canary died", 0.5, 1.5)), Watched("eye", sees=True)]

    class Fills(Ledger):
        def store(self, call: str, event: str, *args: object, **more: object) -> Entry:
            if event != "given":
                raise LedgerError("No space left on device")
            return super().store(call, event, *args, **more)  # type: ignore[arg-type]

    nothing = Agreement("2", "en")
    held = hold(
        tmp_path,
        merged(quiet(6), frames(6)),
        workers,
        [(0, EVERYTHING, PERSON), (3 * SECOND, frozenset(), nothing)],
        ledger=Fills(tmp_path / "s"),
    )
    assert max(w.fed[-1] for w in workers) <= 3 * SECOND
    assert not [a for _, a in held.actions if isinstance(a, Caption) and a.text == NOT_STORED]
    assert [e.event for e in held.ledger.entries()] == ["given"]
    assert [e for e in held.events if isinstance(e.body, Percept)]
    assert not [line for line in held.lines if line["type"] == "percept"], "what was inferred is erased all the same"
    assert "canary" not in held.journal.read_text()


def test_what_was_taken_back_comes_again_only_once_that_is_stored(tmp_path: Path) -> None:
    workers = senses()
    changes = [
        (0, EVERYTHING, PERSON),
        (2050 * MS, frozenset({"ear"}), PERSON),
        (2070 * MS, EVERYTHING, PERSON),  # before anybody had time to store the first
    ]
    held = hold(tmp_path, merged(quiet(6), frames(6, hz=50)), workers, changes, store_s=0.5)
    eye = workers[1].fed
    gap = max(b - a for a, b in pairwise(eye))
    assert gap >= 500 * MS
    assert [e.event for e in held.ledger.entries()] == ["given", "changed"]
    assert eye[-1] >= 5900 * MS


def test_what_is_taken_back_while_it_is_stored_is_not_perceived(tmp_path: Path) -> None:
    workers = senses()
    changes = [
        (1010 * MS, EVERYTHING, PERSON),  # it takes until 2.1 s to store this
        (1410 * MS, frozenset({"ear"}), PERSON),
        (1610 * MS, EVERYTHING, PERSON),
    ]
    held = hold(tmp_path, merged(quiet(6), frames(6)), workers, changes, store_s=1.0)
    ear, eye = (worker.fed[0] for worker in workers)
    assert 2 * SECOND <= ear < 2300 * MS
    assert eye > 3 * SECOND, "its consent was taken back since, so it has to be stored again"
    assert len(held.ledger.entries()) == 2


def test_what_is_taken_back_with_the_last_breath_is_stored_too(tmp_path: Path) -> None:
    changes = [(0, EVERYTHING, PERSON), (2990 * MS, frozenset(), Agreement("2", "en"))]
    held = hold(tmp_path, merged(quiet(3), frames(3)), senses(), changes, hang_up=True)
    assert [e.event for e in held.ledger.entries()] == ["given", "withdrawn"]
    assert "pii." not in held.journal.read_text()


def test_a_medium_that_no_allowed_sense_takes_does_not_even_come_in(tmp_path: Path) -> None:
    fed: list[type] = []
    workers = senses()
    held = hold(tmp_path, merged(quiet(2), frames(2)), workers, [(0, frozenset({"ear"}), PERSON)])
    fed = [type(m) for m in (*held.call._context.window(0).audio, *held.call._context.window(0).frames)]
    assert AudioChunk in fed
    assert VideoFrame not in fed


@pytest.mark.slow
def test_words_are_written_down_only_with_leave(tmp_path: Path) -> None:
    words = said("the canary sings", 1.0, 2.0) + said("the second canary", 5.0, 6.0, 2)
    silent = Agreement("2", "en", recording=False)

    def talk(folder: Path, *changes: tuple[Nanos, frozenset[str], Agreement]) -> Held:
        return hold(folder, quiet(10), [Watched("ear", words)], changes)

    never = talk(tmp_path / "a", (0, frozenset({"ear"}), silent))
    assert "canary" not in never.journal.read_text()
    always = talk(tmp_path / "b", (0, frozenset({"ear"}), PERSON))
    assert "second canary" in always.journal.read_text()
    for line in always.lines:
        for key, value in line.items():
            assert key.startswith("pii.") or "canary" not in str(value)
    later = talk(tmp_path / "c", (0, frozenset({"ear"}), PERSON), (4 * SECOND, frozenset({"ear"}), silent))
    assert "canary" not in later.journal.read_text(), "what was written is erased, and nothing more is"
    assert [line["type"] for line in later.lines if line["type"] == "turn"], "that something was said stays"
    assert [(e.event, e.scopes) for e in later.ledger.entries()][-1] == ("changed", ("voice",))
