"""Several minds behind one another, on the virtual clock: who speaks when one is late, down, garbled or not there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pytest
import structlog

from agent.action import Caption
from agent.clock import VirtualClock
from agent.initiative import InitiativeOptions
from agent.journal import Decided, Event, Note, Pondered
from agent.loop import Call
from agent.loopback import Loopback
from agent.minds import Candidate, Minds, Patience
from agent.minds_session import MindsSession
from agent.parts import CallOptions, Parts
from agent.reply import ReplyOptions
from agent.staged import Script
from agent.thinking import Alarm, Fell, Told
from agent.turns import TurnOptions
from agent.voices.plain import PlainVoice
from perception.context import CUE_END_OF_TURN, ContextWindow
from perception.timebase import MS, SECOND, Nanos, as_seconds
from policy.decision import Express, Speak, Step, Thought, Wait
from policy.form import Garbled
from tests.agent.stage import COSTS, quiet, said

HANG = "hang"
LOOK = Express(emotion="concern", reason="They look sad.")
FIRST = Speak(text="I am sorry.", reason="Loss.")
SECOND_CLAUSE = Speak(text="Tell me more.", reason="Loss.")
SMALL = Speak(text="I hear you.", reason="A small mind.")
Move = Step | Exception | str | Nanos


class Busy(RuntimeError):
    kind = "busy"


@dataclass
class Fake:
    """A policy and its one session: goes through ``moves``; a number is slept, an exception raised, ``hang`` hangs."""

    moves: Sequence[Move] | Callable[[], Sequence[Move]]
    name: str = "fake"
    prepares: Callable[[], object] = lambda: None
    asked: int = 0
    prepared: int = 0
    stopped: int = 0
    sessions: int = 0
    closed: list[str] = field(default_factory=list)

    def session(self) -> _Session:
        self.sessions += 1
        return _Session(self)

    def close(self) -> None:
        self.closed.append("policy")


class _Session:
    def __init__(self, of: Fake) -> None:
        self._of = of

    async def prepare(self, window: ContextWindow, /) -> None:
        if self._of.prepares() is HANG:
            await asyncio.Event().wait()
        self._of.prepared += 1

    async def decide(self, window: ContextWindow, /) -> AsyncIterator[Step]:
        self._of.asked += 1
        moves = self._of.moves
        try:
            for move in moves() if callable(moves) else moves:
                if move is HANG:
                    await asyncio.Event().wait()
                elif isinstance(move, Exception):
                    raise move
                elif isinstance(move, int):
                    await asyncio.sleep(move / SECOND)
                elif not isinstance(move, str):
                    yield move
        finally:
            self._of.stopped += 1

    async def close(self) -> None:
        self._of.closed.append("session")


def window(at: float = 10.0) -> ContextWindow:
    return ContextWindow(start=0, end=round(at * SECOND), cue=CUE_END_OF_TURN)


def chained(*policies: Fake, patience: Patience | None = None) -> Minds:
    names = ("big", "small", "least")
    chain = [Candidate(name, lambda p=found: p) for name, found in zip(names, policies, strict=False)]  # type: ignore[misc]
    return Minds(chain, patience or Patience())


async def listen(session: MindsSession, at: float = 10.0) -> tuple[list[Told], list[float]]:
    """What one answer yields, and how many seconds after the question."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    found: list[Told] = []
    times: list[float] = []
    async for step in session.decide(window(at)):
        found.append(step)
        times.append(round(loop.time() - began, 3))
    return found, times


def ask(*policies: Fake, patience: Patience | None = None) -> tuple[list[Told], list[float]]:
    return VirtualClock().run(listen(chained(*policies, patience=patience).session()))


def brief(told: Iterable[Told]) -> list[str]:
    found: list[str] = []
    for step in told:
        assert not isinstance(step, Alarm)  # the lane stands outside
        fell = f"fell:{step.why}:{step.next}" if isinstance(step, Fell) else type(step).__name__
        found.append(f"{step.mind}:{fell}")
    return found


def test_the_first_mind_speaks_and_the_second_is_not_asked() -> None:
    small = Fake([SMALL])
    told, _ = ask(Fake([Thought(text="Hm."), LOOK, FIRST, SECOND_CLAUSE]), small)
    assert brief(told) == ["big:Thought", "big:Express", "big:Speak", "big:Speak"]
    assert [step.text for step in told if isinstance(step, Speak)] == [FIRST.text, SECOND_CLAUSE.text]
    assert small.asked == 0


@pytest.mark.parametrize(
    ("moves", "expected", "at"),
    [
        ([Busy("full")], ["big:fell:failed:small"], 0.0),
        ([], ["big:fell:silent:small"], 0.0),
        ([Thought(text="Hm.")], ["big:Thought", "big:fell:silent:small"], 0.0),
        ([HANG], ["big:fell:late:small"], 2.5),
        ([LOOK, Busy("full")], ["big:Express", "big:fell:failed:small"], 0.0),
        ([LOOK, HANG], ["big:Express", "big:fell:stalled:small"], 3.0),
        ([Thought(text="Hm."), HANG], ["big:Thought", "big:fell:late:small"], 3.0),
        (
            [2 * SECOND, Thought(text="Hm."), SECOND, Thought(text="Hm."), HANG],
            ["big:Thought", "big:Thought", "big:fell:late:small"],
            3.5,
        ),
    ],
    ids=[
        "raises",
        "silent",
        "only thinks",
        "hangs",
        "look, raises",
        "look, hangs",
        "thought, hangs",
        "thinks too long",
    ],
)
def test_the_next_mind_goes_on_where_nothing_was_said(moves: list[Move], expected: list[str], at: float) -> None:
    big = Fake(moves)
    told, times = ask(big, Fake([LOOK, SMALL]))
    assert brief(told) == [*expected, "small:Express", "small:Speak"]
    assert times[-1] == at
    assert big.stopped == big.asked == 1, "its work was stopped"


def test_a_mind_that_is_seen_thinking_gets_longer() -> None:
    thinking: list[Move] = [SECOND, Thought(text="Sad."), SECOND, Thought(text="Loss."), SECOND, LOOK, FIRST]
    told, times = ask(Fake(thinking), Fake([SMALL]))
    assert brief(told) == ["big:Thought", "big:Thought", "big:Express", "big:Speak"]
    assert times[-1] == 3.0


@pytest.mark.parametrize(("end", "why"), [(Busy("full"), "failed"), (HANG, "stalled")])
def test_what_was_said_stays_and_nobody_begins_anew(end: Move, why: str) -> None:
    small = Fake([SMALL])
    told, _ = ask(Fake([LOOK, FIRST, end]), small)
    assert brief(told) == ["big:Express", "big:Speak", f"big:fell:{why}:"]
    assert small.asked == 0


def test_time_that_the_listener_takes_is_not_the_minds() -> None:
    async def slowly() -> list[Told]:
        found: list[Told] = []
        async for step in chained(Fake([LOOK, FIRST, SECOND_CLAUSE]), Fake([SMALL])).session().decide(window()):
            found.append(step)
            await asyncio.sleep(20)  # as long as the voice has enough to say
        return found

    assert brief(VirtualClock().run(slowly())) == ["big:Express", "big:Speak", "big:Speak"]


def test_the_last_mind_is_waited_for_by_the_reply_alone() -> None:
    told, times = ask(Fake([HANG]), Fake([5 * SECOND, SMALL]))
    assert brief(told) == ["big:fell:late:small", "small:Speak"]
    assert times[-1] == 7.5


def test_when_all_fail_the_last_one_says_why() -> None:
    async def everybody() -> list[Told]:
        stream = chained(Fake([Busy("one")]), Fake([Busy("two")])).session().decide(window())
        found = [await anext(stream), await anext(stream)]
        with pytest.raises(Busy, match="two"):
            await anext(stream)
        return found

    told = VirtualClock().run(everybody())
    assert brief(told) == ["big:fell:failed:small", "small:fell:failed:"]
    assert [step.error for step in told if isinstance(step, Fell)] == ["Busy (busy)"] * 2


def test_a_mind_that_fell_rests_longer_each_time_and_comes_back() -> None:
    state: list[Sequence[Move]] = [[Busy("down")]]
    big = Fake(lambda: state[0])

    async def talk() -> list[tuple[float, int]]:
        session = chained(big, Fake([SMALL])).session()
        asked: list[tuple[float, int]] = []
        for at in (10.0, 10.5, 11.0, 12.9, 13.0, 16.9, 17.0):
            await listen(session, at)
            asked.append((at, big.asked))
        state[0] = [LOOK, FIRST]
        told, _ = await listen(session, 40.0)
        assert brief(told) == ["big:Express", "big:Speak"]
        state[0] = [Busy("down")]
        await listen(session, 41.0)
        state[0] = [FIRST]
        told, _ = await listen(session, 42.0)
        assert brief(told) == ["big:Speak"], "a success begins the pauses anew"
        return asked

    asked = VirtualClock().run(talk())
    assert asked == [(10.0, 1), (10.5, 1), (11.0, 2), (12.9, 2), (13.0, 3), (16.9, 3), (17.0, 4)]


def test_the_longest_rest_is_half_a_minute() -> None:
    big = Fake([Busy("down")])

    async def talk() -> None:
        session = chained(big, Fake([SMALL])).session()
        at = 0.0
        for _ in range(12):
            await listen(session, at)
            at += 30.0
        await listen(session, at - 0.5)

    VirtualClock().run(talk())
    assert big.asked == 12


def test_cutting_off_is_no_failure_and_stops_the_mind() -> None:
    big = Fake([LOOK, FIRST, HANG])

    async def talk() -> None:
        session = chained(big, Fake([SMALL])).session()
        for _ in range(2):
            stream = session.decide(window())
            assert [type(await anext(stream)) for _ in range(2)] == [Express, Speak]
            await stream.aclose()  # type: ignore[attr-defined]
        assert (big.asked, big.stopped) == (2, 2)
        listening = asyncio.ensure_future(listen(session))
        await asyncio.sleep(0.1)
        listening.cancel()
        await asyncio.wait([listening])
        assert listening.cancelled()
        assert big.stopped == 3
        assert big.asked == 3, "it was not left out"

    VirtualClock().run(talk())


def test_all_minds_read_along_whatever_happens_to_one() -> None:
    def down() -> None:
        raise Busy("down")

    small = Fake([SMALL])

    async def prepare(big: Fake) -> float:
        session = chained(big, small).session()
        began = asyncio.get_running_loop().time()
        await session.prepare(window())
        return asyncio.get_running_loop().time() - began

    with structlog.testing.capture_logs() as logs:
        assert VirtualClock().run(prepare(Fake([], prepares=down))) == 0.0
    assert [(line["event"], line["mind"]) for line in logs] == [("mind_not_prepared", "big")]
    assert small.prepared == 1
    assert VirtualClock().run(prepare(Fake([], prepares=lambda: HANG))) == pytest.approx(3.5)
    assert small.prepared == 2


def test_preparing_may_be_cancelled() -> None:
    async def cut() -> None:
        big = Fake([FIRST], prepares=lambda: HANG)
        session = chained(big, Fake([SMALL], prepares=lambda: HANG)).session()
        task = asyncio.ensure_future(session.prepare(window()))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        told, _ = await listen(session)
        assert brief(told) == ["big:Speak"]

    VirtualClock().run(cut())


def test_closing_frees_everything_even_if_one_raises() -> None:
    class Stubborn(Fake):
        def close(self) -> None:
            raise RuntimeError("no")

    big, small = Stubborn([FIRST]), Fake([SMALL])
    minds = chained(big, small)

    async def talk() -> None:
        session = minds.session()
        await session.prepare(window())
        await session.close()

    VirtualClock().run(talk())
    with structlog.testing.capture_logs() as logs:
        minds.close()
    assert (big.closed, small.closed) == (["session"], ["session", "policy"])
    assert [line["event"] for line in logs] == ["mind_not_closed"]


def test_what_a_model_wrote_is_logged_only_as_personal() -> None:
    with structlog.testing.capture_logs() as logs:
        told, _ = ask(Fake([Garbled("no JSON, but 'your dog'")]), Fake([SMALL]))
        ask(Fake([Busy("start the server at 8000")]), Fake([SMALL]))
    garbled, busy = logs
    assert garbled["pii.error"] == "no JSON, but 'your dog'"
    assert "dog" not in repr(told)
    assert "dog" not in repr({k: v for k, v in garbled.items() if not k.startswith("pii.")})
    assert busy["error"] == "start the server at 8000"


# Loading.


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time: Nanos = 0

    def now(self) -> Nanos:
        return self.time

    async def sleep_until(self, deadline: Nanos) -> None:
        self.time = max(self.time, deadline)

    def working(self, label: str):  # type: ignore[no-untyped-def]
        raise AssertionError(label)


def test_a_mind_that_cannot_be_loaded_is_told_once_and_tried_again() -> None:
    hands, tries, big = (
        Hands(),
        [MemoryError("out of memory\nwith details"), MemoryError("out of memory")],
        Fake([FIRST]),
    )
    tried = threading.Semaphore(0)

    def load() -> Fake:
        try:
            if tries:
                raise tries.pop(0)
            return big
        finally:
            tried.release()

    with structlog.testing.capture_logs() as logs:
        minds = Minds([Candidate("big", load), Candidate("small", lambda: Fake([SMALL]))], Patience(), clock=hands)
        assert tried.acquire(timeout=5)
        assert minds.about() == {
            "minds": ["big", "small"],
            "speaks": "small",
            "trouble": ["big cannot be loaded: MemoryError"],
        }
        session = minds.session()
        assert brief(VirtualClock().run(listen(session))[0]) == ["small:Speak"]
        assert not tried.acquire(timeout=0), "not within a minute"
        for at in (60, 120):
            hands.time = at * SECOND
            settled(minds)
            minds.session()
            assert tried.acquire(timeout=5)
        settled(minds)
    errors = [line for line in logs if line["log_level"] == "error"]
    assert [(line["event"], line["mind"], line["why"]) for line in errors] == [
        ("mind_not_loaded", "big", "MemoryError: out of memory")
    ]
    assert minds.about() == {"minds": ["big", "small"], "speaks": "big"}
    assert brief(VirtualClock().run(listen(session))[0]) == ["big:Speak"], "also in a call that began before"
    minds.close()
    assert big.closed == ["policy"]


def settled(minds: Minds) -> None:
    """Wait until nothing is being loaded."""
    pool = minds._loading
    if pool is not None:
        pool.submit(lambda: None).result(5)


def test_one_that_comes_after_the_end_is_freed() -> None:
    hands, go, began, big = Hands(), threading.Event(), threading.Event(), Fake([FIRST])
    tries: list[Exception] = [MemoryError("out of memory")]

    def load() -> Fake:
        if tries:
            raise tries.pop()
        began.set()
        assert go.wait(5)
        return big

    minds = Minds([Candidate("big", load), Candidate("small", lambda: Fake([SMALL]))], Patience(), clock=hands)
    hands.time = 60 * SECOND
    minds.session()
    assert began.wait(5)
    minds.close()
    go.set()
    pool = minds._loading
    assert pool is not None
    pool.shutdown(wait=True)
    assert big.closed == ["policy"]
    assert minds.chain[0].loaded is None


def test_the_last_mind_has_to_load_and_a_mistake_is_nobodys_fallback() -> None:
    def broken() -> Fake:
        raise ValueError("no such option")

    big = Fake([FIRST])
    with pytest.raises(ValueError, match="no such option"):
        Minds([Candidate("big", lambda: big), Candidate("small", broken)], Patience())
    assert big.closed == ["policy"], "what was loaded is freed"
    with pytest.raises(ValueError, match="no such option"):
        Minds([Candidate("big", broken), Candidate("small", lambda: big)], Patience(), stops=(ValueError,))


# In a call.


def talk(*policies: Fake, cost: Nanos = 50 * MS, options: ReplyOptions | None = None) -> tuple[Loopback, list[Event]]:
    still = CallOptions(
        greeting=False,
        reflexes=False,
        turns=TurnOptions(silence=0),
        reply=options or ReplyOptions(),
        initiative=InitiativeOptions(enabled=False),
    )
    caller, events = Loopback(quiet(16)), list[Event]()
    parts = Parts([Script("ear", said("My dog died.", 1.0, 3.0))], chained(*policies), PlainVoice(), still)
    clock = VirtualClock(COSTS | {"policy": cost})
    clock.run(Call(caller, parts, clock, [events.append]).run())
    return caller, events


def noted(events: list[Event], name: str) -> list[dict[str, object]]:
    return [dict(e.body.data) for e in events if isinstance(e.body, Note) and e.body.event == name]


def words(caller: Loopback) -> list[str]:
    return [c.text for c in caller.of(Caption) if isinstance(c, Caption) and c.speaker == "agent" and c.final]


def test_a_call_hears_the_next_mind_and_the_journal_says_so() -> None:
    caller, events = talk(Fake([Thought(text="A loss."), LOOK, Busy("full")]), Fake([LOOK, SMALL]))
    assert words(caller) == ["I hear you."]
    assert [e.body for e in events if isinstance(e.body, Pondered)] == [
        Pondered(Thought(text="A loss.", mind="big"), 1)
    ]
    decided = [e.body.decision for e in events if isinstance(e.body, Decided)]
    assert [(type(d), d.mind) for d in decided] == [(Express, "big"), (Express, "small"), (Speak, "small")]
    assert noted(events, "mind_failed") == [
        {"mind": "big", "why": "failed", "next": "small", "reply": 1, "error": "Busy (busy)"}
    ]
    assert not noted(events, "policy_failed")


def test_a_call_whose_first_mind_hangs_is_answered_within_the_limit() -> None:
    # Time must go on while a mind hangs, so the work is given a long fixed cost.
    caller, events = talk(Fake([HANG]), Fake([SMALL]), cost=4 * SECOND)
    assert words(caller) == [f"{ReplyOptions().filler} I hear you."]
    (fell,) = (e for e in events if isinstance(e.body, Note) and e.body.event == "mind_failed")
    assert not noted(events, "policy_failed")
    assert as_seconds(fell.at) < 3.3 + ReplyOptions().first_decision / SECOND


def test_when_no_mind_answers_the_fixed_line_is_said() -> None:
    caller, events = talk(Fake([Busy("full")]), Fake([Busy("full")]))
    assert words(caller) == [ReplyOptions().fallback]
    assert [note["mind"] for note in noted(events, "mind_failed")] == ["big", "small"]
    assert noted(events, "policy_failed") == [{"late": False, "reply": 1}]


def test_a_reply_that_breaks_off_is_not_begun_anew() -> None:
    caller, events = talk(Fake([LOOK, FIRST, Busy("full")]), Fake([SMALL]))
    assert words(caller) == [FIRST.text]
    assert [note["next"] for note in noted(events, "mind_failed")] == [""]
    assert not noted(events, "policy_failed")


def test_thoughts_are_no_decisions_and_do_not_buy_time() -> None:
    class Muse(Fake):
        def session(self) -> _Session:
            return _Musing(self)

    class _Musing(_Session):
        async def decide(self, window: ContextWindow, /) -> AsyncIterator[Step]:
            while True:
                yield Thought(text="And then?")
            yield Wait(reason="never")

    caller, events = Loopback(quiet(16)), list[Event]()
    still = CallOptions(
        greeting=False, reflexes=False, turns=TurnOptions(silence=0), initiative=InitiativeOptions(enabled=False)
    )
    parts = Parts([Script("ear", said("My dog died.", 1.0, 3.0))], Muse([]), PlainVoice(), still)
    clock = VirtualClock(COSTS | {"policy": 500 * MS})
    clock.run(Call(caller, parts, clock, [events.append]).run())
    thoughts = [e for e in events if isinstance(e.body, Pondered)]
    assert 10 <= len(thoughts) <= 13
    assert words(caller) == [f"{ReplyOptions().filler} {ReplyOptions().fallback}"]
    assert noted(events, "policy_failed") == [{"late": True, "reply": 1}]
