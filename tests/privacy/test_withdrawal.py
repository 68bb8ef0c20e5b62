"""What is taken back goes: from the context, from the policy's memory, and from the journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.action import Caption, StopAudio
from agent.clock import SystemClock
from agent.journal import Event, Note
from agent.loop import Call
from agent.privacy.agreement import Agreement
from agent.privacy.journal_file import JournalFile, lines_of
from agent.privacy.renewing import Renewing
from agent.privacy.withdrawal import Left, erase_withdrawn, unlearn
from agent.transports import Signal
from perception.context import ContextWindow, RollingContext, Turn
from perception.media import Text
from perception.percept import EXPRESSION, FACE, GAZE, PROSODY, TRANSCRIPT, Percept
from perception.timebase import MS, SECOND
from policy.decision import Wait
from tests.agent.stage import frames, look, merged, quiet, said
from tests.privacy.house import PERSON, Held, Watched, hold

WORKERS = [Watched("vad"), Watched("asr"), Watched("prosody"), Watched("face", sees=True)]


def percept(kind: str, worker: str, label: str = "x", **data: float) -> Percept:
    return Percept(kind, label, 0, SECOND, 0.9, worker, data)


def remembered(context: RollingContext) -> list[str]:
    return [e.label if isinstance(e, Percept) else e.text for e in context.window(10 * SECOND).entries]


@pytest.fixture
def context() -> RollingContext:
    found = RollingContext()
    for entry in (
        percept(EXPRESSION, "face", "sad"),
        percept(PROSODY, "prosody", "flat"),
        percept(TRANSCRIPT, "asr", "my dog died"),
        Turn("user", "my dog died", 0, SECOND),
        Turn("agent", "Your dog died. I am sorry.", SECOND, 2 * SECOND),
        Text("typed", 3 * SECOND),
        Turn("user", "typed", 3 * SECOND, 3 * SECOND),
        percept("sense_lost", "runtime", "camera"),
    ):
        found.note(entry)
    return found


@pytest.mark.parametrize(
    ("allowed", "left"),
    [
        (None, "sad flat my dog died my dog died Your dog died. I am sorry. typed typed camera"),
        ({"vad", "asr", "prosody"}, "flat my dog died my dog died Your dog died. I am sorry. typed typed camera"),
        ({"vad", "asr", "face"}, "sad my dog died my dog died Your dog died. I am sorry. typed typed camera"),
        ({"vad", "prosody", "face"}, "sad flat typed typed camera"),
        (
            {"vad", "asr", "prosody", "face", "gaze"},
            "flat my dog died my dog died Your dog died. I am sorry. typed typed camera",
        ),
        (set(), "typed typed camera"),
    ],
    ids=["nothing", "the face", "the tone", "the words", "the expression", "all"],
)
def test_what_a_sense_told_is_forgotten_with_it(context: RollingContext, allowed: set[str] | None, left: str) -> None:
    before = context.window(10 * SECOND)
    words = unlearn(context, None if allowed is None else frozenset(allowed), WORKERS)
    assert " ".join(remembered(context)) == left
    assert words is (allowed is not None and "asr" not in allowed)
    after = context.window(10 * SECOND)
    assert (after.first == before.first) is (allowed is None), "whoever has read the old entries has to see that"
    assert after.first in (before.first, before.first + len(before.entries))


def test_what_else_may_have_been_said_goes_with_the_words() -> None:
    context = RollingContext()
    context.note(Percept(TRANSCRIPT, "a bottle", 0, SECOND, 0.9, "asr", {"alternatives": ("a battle",)}))
    assert "battle" in repr(context.entries)
    unlearn(context, frozenset({"vad", "face"}), WORKERS)
    assert "battle" not in repr(context.entries)


def test_what_has_left_in_other_words_goes_too() -> None:
    context = RollingContext(summarise=lambda summary, gone: "Their dog died.")
    for i in range(9000):
        context.note(Turn("user", "my dog died", i, i + 1))
    assert context.window(0).summary == "Their dog died."
    assert unlearn(context, frozenset(), WORKERS)
    assert context.window(0).summary == ""
    assert context.window(0).entries == ()
    assert context.tokens == 0


def test_of_a_face_only_what_is_refused_goes() -> None:
    context = RollingContext()
    context.note(Percept(FACE, "present", 0, 1, 0.9, "face", {"smile": 0.9, "yaw": 3.0}))
    context.note(percept(GAZE, "face", "away"))
    unlearn(context, frozenset({"face", "gaze"}), WORKERS)
    present, gaze = context.window(1).percepts
    assert dict(present.data) == {"yaw": 3.0}
    assert gaze.label == "away"


def test_where_nobody_knows_who_gave_the_words_every_ear_may_have() -> None:
    assert not Left(frozenset({"asr"}), WORKERS).words
    assert Left(frozenset({"asr"}), WORKERS, ["asr"]).words
    assert not Left(frozenset({"asr"}), WORKERS, ["asr", "vad"]).words


class Session:
    """Keeps what it has read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.closed = 0

    async def prepare(self, window: object, /) -> None:
        self.read.append("prepared")

    async def decide(self, window: object, /) -> AsyncIterator[Wait]:
        self.read.append("decided")
        yield Wait(reason="")

    async def close(self) -> None:
        self.closed += 1


def test_a_policy_begins_anew_with_what_is_left(context: RollingContext) -> None:
    sessions: list[Session] = []

    def begin() -> Session:
        sessions.append(Session())
        return sessions[-1]

    async def main() -> None:
        renewing = Renewing(begin)
        window = context.window(0)
        await renewing.prepare(window)
        renewing.renew()
        renewing.renew()
        assert [step async for step in renewing.decide(window)] == [Wait(reason="")]
        await renewing.prepare(window)
        await renewing.close()

    asyncio.run(main())
    old, new = sessions
    assert (old.read, old.closed) == (["prepared"], 1)
    assert (new.read, new.closed) == (["decided", "prepared"], 1)


SCENE = merged(quiet(12), frames(12))
WORDS = said("my canary died", 1.0, 2.0) + said("it sang so well", 8.0, 9.0, 2)
SADNESS = [look(t, "sad") for t in (1.0, 2.0, 3.0, 7.0, 8.0, 9.0)]


def talk(folder: Path, allowed: frozenset[str], recording: bool = True) -> tuple[Held, dict[str, object]]:
    """Words and a sad face; at 6 s something is taken back. Also what the call knew a second later."""
    known: dict[str, object] = {}

    def probe(call: Call) -> None:
        now = call._clock.now()
        if 6900 * MS <= now < 8 * SECOND and "window" not in known:
            known["window"] = call._window()

    workers = [Watched("ear", WORDS), Watched("eye", SADNESS, sees=True)]
    ticks = [(at * 100 * MS, Signal("nothing")) for at in range(120)]
    changes = [
        (0, frozenset({"ear", "eye"}), PERSON),
        (6 * SECOND, allowed, Agreement("2", "en", recording=recording)),
    ]
    held = hold(folder, merged(SCENE, ticks), workers, changes, probe=probe)
    return held, known


def kinds(held: Held, worker: str) -> list[float]:
    return [float(str(line["t"])) for line in held.lines if line.get("worker") == worker]


@pytest.mark.slow
def test_the_face_goes_from_the_journal_and_the_words_stay(tmp_path: Path) -> None:
    held, _ = talk(tmp_path, frozenset({"ear"}))
    assert not kinds(held, "eye")
    text = held.journal.read_text()
    before = json.dumps([line for line in held.lines if float(str(line["t"])) < 6])
    assert "They look sad" not in before, "neither as a percept nor as the reason of a decision"
    assert "my canary died" in text
    assert "it sang so well" in text
    assert [e.event for e in held.ledger.entries()] == ["given", "changed"]


@pytest.mark.slow
def test_the_words_go_from_the_journal_and_the_face_stays(tmp_path: Path) -> None:
    held, _ = talk(tmp_path, frozenset({"eye"}))
    text = held.journal.read_text()
    assert "canary" not in text
    assert not kinds(held, "ear")
    assert len(kinds(held, "eye")) == len(SADNESS)
    user = [line for line in held.lines if line["type"] == "turn" and line["speaker"] == "user"]
    assert not user
    before = [line for line in held.lines if float(str(line["t"])) < 6]
    assert [line["type"] for line in before if line["type"] == "decision"]
    assert all("pii.text" not in line for line in before if line["type"] in ("turn", "decision"))


@pytest.mark.slow
def test_without_the_recording_no_personal_key_is_left(tmp_path: Path) -> None:
    held, _ = talk(tmp_path, frozenset({"ear", "eye"}), recording=False)
    assert "pii." not in held.journal.read_text()
    assert len(kinds(held, "eye")) == len(SADNESS)


def window_of(known: dict[str, object]) -> ContextWindow:
    found = known["window"]
    assert isinstance(found, ContextWindow)
    return found


def test_a_second_later_the_call_knows_nothing_of_the_words(tmp_path: Path) -> None:
    held, known = talk(tmp_path, frozenset({"eye"}))
    window = window_of(known)
    assert not [e for e in window.entries if isinstance(e, (Turn, Text))]
    assert {p.worker for p in window.percepts} == {"eye"}
    assert window.refused == {"ear"}
    stops = [at for at, action in held.actions if isinstance(action, StopAudio)]
    assert stops, "a reply that rests on them is cut"
    assert all(6 * SECOND <= at < 7 * SECOND for at in stops)
    said = [a for at, a in held.actions if at > 7 * SECOND and isinstance(a, Caption)]
    assert not said, "nobody hears the second sentence"


def test_a_second_later_the_call_knows_nothing_of_the_face(tmp_path: Path) -> None:
    held, known = talk(tmp_path, frozenset({"ear"}))
    window = window_of(known)
    assert [t.text for t in window.turns if t.speaker == "user"] == ["my canary died"]
    assert {p.worker for p in window.percepts} == {"ear"}
    assert held.mind.closed == 2, "the session that had read of it was closed when it went, the other at the end"
    assert held.mind.windows[-1].turns[-1].text == "it sang so well", "and the call goes on"
    assert not [p for w in held.mind.windows[1:] for p in w.percepts if p.worker == "eye"]


def test_what_happens_while_it_is_erased_is_written_after_it(tmp_path: Path) -> None:
    clock = SystemClock()
    journal = JournalFile(tmp_path / "j" / "2026-11-25T120000000+0000-c.jsonl", personal=True)
    journal(Event(clock.now(), percept(EXPRESSION, "face", "sad")))

    def change(line: dict[str, object]) -> dict[str, object]:
        journal(Event(clock.now(), Note("meanwhile")))
        return line

    journal.erase(change)
    journal(Event(clock.now(), Note("after")))
    journal.close()
    assert [line.get("event", "sad") for line in lines_of(journal.path)] == ["sad", "meanwhile", "after"]


def test_a_journal_that_an_operator_has_erased_stays_so(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "c.jsonl", personal=True)
    journal(Event(0, percept(EXPRESSION, "face", "sad")))
    journal.path.unlink()
    erase_withdrawn(journal, frozenset(), WORKERS, recording=False)
    journal(Event(1, Note("after")))
    journal.close()
    assert not journal.path.exists()


def test_a_journal_that_cannot_be_written_does_not_end_the_call(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "c.jsonl")
    journal._file.close()
    journal(Event(0, Note("x")))
    journal(Event(1, Note("y")))
    assert json.dumps(lines_of(journal.path)) == "[]"
