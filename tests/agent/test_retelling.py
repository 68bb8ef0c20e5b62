"""What was said in a call is told once more to a client that comes back into it, and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from agent.action import Caption
from agent.transports import Transport
from agent.transports._retelling import MOST_LETTERS, MOST_LINES, Retelling
from tests.agent.test_websocket import run
from tests.rtc import Recorder
from tests.sockets import Pipe, called, opened

EVERYTHING = frozenset({"words", "asr", "vad", "expression", "face", "gesture"})


def user(text: str, *, final: bool = True) -> Caption:
    return Caption("user", text, final=final)


def agent(text: str, reply: int, *, final: bool = True, cut: bool = False) -> Caption:
    return Caption("agent", text, final=final, reply=reply, cut=cut)


def told(retelling: Retelling) -> list[tuple[str, str, bool, int, bool]]:
    """Return what is told to a client that comes back: it says that it is ready for the second time."""
    retelling.greeted()
    (message,) = retelling.greeted()
    assert message.data is not None
    assert (message.data["v"], message.data["t"]) == (1, "captions")
    keys = ("speaker", "text", "final", "reply", "cut")
    return [tuple(line[key] for key in keys) for line in message.data["lines"]]


def test_the_first_time_a_client_is_ready_there_is_nothing_to_tell() -> None:
    retelling = Retelling()
    retelling.messages(agent("Hi.", 1))
    assert retelling.greeted() == []


def test_both_sides_are_told_in_order_each_line_as_it_ended() -> None:
    retelling = Retelling()
    for caption in (
        agent("Hi, I'm", 1, final=False),
        agent("Hi, I'm Rapport.", 1),
        user("Hello, I", final=False),
        user("Hello, I am Ben."),
        agent("Hello Ben. What a", 2, final=False),
        user("Wait", final=False),
        agent("Hello Ben.", 2, cut=True),
        user("Wait."),
        agent("Yes", 3, final=False),
    ):
        assert retelling.messages(caption)[0].data
    assert told(retelling) == [
        ("agent", "Hi, I'm Rapport.", True, 1, False),
        ("user", "Hello, I am Ben.", True, 0, False),
        ("agent", "Hello Ben.", True, 2, True),
        ("user", "Wait.", True, 0, False),
        ("agent", "Yes", False, 3, False),
    ]


def test_it_is_bounded_in_lines_and_in_letters() -> None:
    retelling = Retelling()
    for n in range(MOST_LINES + 7):
        retelling.messages(user(f"Line {n}."))
    lines = told(retelling)
    assert len(lines) == MOST_LINES
    assert lines[-1][1] == f"Line {MOST_LINES + 6}."
    for n in range(30):
        retelling.messages(agent("word " * 400, n + 1))
    lines = told(retelling)
    assert sum(len(line[1]) for line in lines) <= MOST_LETTERS
    assert lines[-1][3] == 30
    retelling.messages(user("x" * 2 * MOST_LETTERS))
    ((_, text, *_),) = told(retelling)
    assert len(text) == MOST_LETTERS


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (EVERYTHING, True),
        (EVERYTHING | {"gaze"}, True),
        (EVERYTHING - {"gesture"}, True),
        (EVERYTHING - {"words", "asr"}, False),
        (frozenset(), False),
    ],
)
def test_what_was_said_is_forgotten_with_the_sense_that_heard_it(left: frozenset[str], kept: bool) -> None:
    retelling = Retelling(seeing=frozenset({"face", "gesture"}))
    retelling.allow(EVERYTHING)
    retelling.messages(user("Hello, I am Ben."))
    retelling.allow(left)
    assert bool(told(retelling)) == kept


async def ready(pipe: Pipe, id: str) -> None:
    pipe.say("client-ready", {"version": "2.1.0"}, id)
    await pipe.wait_for(lambda m: m.get("id") == id)
    await pipe.wait_for(lambda m: m.get("data", {}).get("t") == "state")


def captions(pipe: Pipe) -> list[dict[str, Any]]:
    return [m["data"] for m in pipe.texts if m["type"] == "server-message" and m["data"]["t"] == "captions"]


def test_who_comes_back_reads_what_was_said_and_another_caller_does_not() -> None:
    async def talks(transport: Transport) -> None:
        await transport.send(agent("Hi, I'm Rapport.", 1))
        await transport.send(user(f"I am {transport.call_id}."))

    async def main() -> None:
        async with opened(Recorder(talks).answer, return_within_s=5.0) as door:
            async with called(door) as first:
                await ready(first, "one")
                mine = f"I am {first.hello['call']}."
                await first.until(lambda: any(m.get("data", {}).get("text") == mine for m in first.texts))
                assert captions(first) == []
            async with called(door, resume=first.hello["resume"]) as second:
                assert captions(second) == [], "not before it asks"
                await ready(second, "two")
                (back,) = captions(second)
                assert [line["text"] for line in back["lines"]] == ["Hi, I'm Rapport.", mine]
                async with called(door) as stranger:
                    await ready(stranger, "three")
                    await ready(stranger, "four")
                    (theirs,) = captions(stranger)
                    assert [line["text"] for line in theirs["lines"]][1:] == [f"I am {stranger.hello['call']}."]
                    assert mine not in str(stranger.texts)

    run(main)
