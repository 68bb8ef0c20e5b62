"""A call outlives its connection: who comes back into it, with what, and whose line goes to somebody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aioice.ice import StunProtocol
from structlog.testing import capture_logs

from agent.action import Caption, PlayAudio
from agent.refusal import Refused, Visitor
from agent.server_options import ServerConfig
from agent.transports import Transport
from agent.transports._limits import CallLimits
from agent.transports._liveness import Liveness
from agent.transports._tickets import Tickets
from agent.transports.webrtc import Bye, Offer
from perception.timebase import MS, SECOND, Nanos
from tests.agent.test_webrtc import House, beep, house, run
from tests.rtc import Client

slow = pytest.mark.slow


async def back(h: House, client: Client, **more: Any) -> Client:
    """Go on with a call by nothing but its token."""
    return await h.call(resume=client.resume, **more)


async def refused(h: House, resume: str | None) -> int:
    stranger = Client(video=False)
    h.clients.append(stranger)
    with pytest.raises(Refused) as caught:
        await h.door.offer(Offer(**await stranger.offer(resume=resume)))
    assert str(resume) not in str(caught.value)
    return caught.value.status


def mute(client: Client, index: int) -> None:
    assert client.channel is not None
    status = {"type": "trackStatus", "receiver_index": index, "enabled": False}
    client.channel.send(json.dumps({"type": "signalling", "message": status}))


@slow
def test_a_token_alone_brings_back_the_call_with_mute_and_consent() -> None:
    spoken: list[int] = []
    tokens: list[str] = []

    async def greet(transport: Transport) -> None:
        await transport.send(PlayAudio(beep(0.2), 1))
        spoken.append(1)

    async def main() -> None:
        async with house(greet, consent="required", max_calls=1) as h:
            first = await h.ready(senses=["vad", "face"])
            heard = h.recorder
            mute(first, 0)
            await first.wait_for(lambda m: m.get("data", {}).get("microphone") is False)
            await heard.until(lambda: len(heard.audio) > 10 and len(heard.video) > 2)
            await first.vanish()
            await heard.transports[0].send(Caption("agent", "said meanwhile", final=True, reply=1))
            second = await back(h, first)
            assert second.pc_id != first.pc_id
            assert second.resume not in (None, first.resume)
            pictures, begin = len(heard.video), len(heard.audio)
            await heard.until(lambda: len(heard.video) > pictures + 3 and len(heard.audio) > begin + 20)
            assert not np.concatenate([c.samples for c in heard.audio[begin + 3 :]]).any(), "muted stays muted"
            stamps = [c.start for c in heard.audio]
            assert stamps == sorted(stamps)
            second.say("client-ready", {"version": "2.1.0"}, "hello456")
            state = (await second.wait_for(lambda m: m.get("data", {}).get("t") == "state"))["data"]
            assert (state["senses"], state["microphone"], state["consent"]) == (["face", "vad"], False, True)
            assert state["call"] == heard.transports[0].call_id
            assert len(heard.transports) == h.door.calls == 1
            assert spoken == [1], "nothing is said twice"
            assert await refused(h, first.resume) == 409
            assert await refused(h, "made up") == 410
            # The page that still showed the call is told where it went, if it can hear that.
            third = await back(h, second)
            moved = await second.wait_for(lambda m: m.get("data", {}).get("t") == "link")
            assert moved["data"]["state"] == "moved"
            third.say("disconnect-bot")
            await h.empty()
            assert await refused(h, third.resume) == 410
            tokens.extend(str(client.resume) for client in (first, second, third))

    with capture_logs() as logs:
        run(main)
    assert any(line["event"] == "senses_allowed" for line in logs)
    assert len(set(tokens)) == 3
    assert not [token for token in tokens if token in repr(logs)]


@slow
def test_a_token_whose_answer_got_lost_still_opens_the_call() -> None:
    async def main() -> None:
        async with house(max_calls=1) as h:
            first = await h.ready()
            lost = Client()
            h.clients.append(lost)
            answer = await h.door.offer(Offer(**await lost.offer(resume=first.resume)))
            second = await back(h, first)
            second.ask("ping", None, "there")
            await second.wait_for(lambda m: m.get("id") == "there")
            assert await refused(h, first.resume) == 409
            assert await refused(h, answer["resume"]) == 409, "a token of a connection that never stood"
            await back(h, second)

    run(main)


@slow
def test_a_resumed_call_keeps_its_grants_wherever_it_comes_from() -> None:
    async def main() -> None:
        async with house() as h:
            visitor = Visitor("192.0.2.1", "guest", frozenset({"audio"}))
            first = Client(video=False)
            h.clients.append(first)
            await first.accept(await h.door.offer(Offer(**await first.offer()), visitor))
            other = Visitor("198.51.100.7", "host", frozenset({"audio", "video", "data", "observe"}))
            second = Client(video=False)
            h.clients.append(second)
            await second.accept(await h.door.offer(Offer(**await second.offer(resume=first.resume)), other))
            second.say("send-text", {"content": "hello"}, "typed")
            answer = await second.wait_type("error-response")
            assert "not granted" in answer["data"]["error"]
            assert h.door.calls == 1

    run(main)


@slow
def test_a_page_that_unloads_keeps_its_call_but_not_its_line() -> None:
    async def main() -> None:
        async with house(max_calls=1) as h:
            first = await h.ready()
            h.door.bye(Bye(pc_id=str(first.pc_id), may_return=True))
            await first.close()
            assert (h.door.calls, h.door.open_to) == (1, 1)
            second = await back(h, first)
            assert h.door.open_to == 0
            h.door.bye(Bye(pc_id=str(first.pc_id), may_return=True))  # late, of the page before
            assert h.door.open_to == 0
            h.door.bye(Bye(pc_id=str(second.pc_id), may_return=True))
            next_one = await h.ready()
            assert len(h.recorder.transports) == 2, "somebody else has the line"
            assert await refused(h, second.resume) == 410
            h.door.bye(Bye(pc_id=str(next_one.pc_id)))
            await h.ready()
            assert len(h.recorder.transports) == 3, "who hangs up does not block the next one for a moment"

    run(main)


@slow
def test_a_closed_connection_keeps_its_line_for_a_moment_and_its_call_while_there_is_room() -> None:
    async def main() -> None:
        async with house(max_calls=1, degraded_after_s=0.8) as h:
            first = await h.ready()
            await first.close()
            stranger = Client(video=False)
            h.clients.append(stranger)
            await h.recorder.until(lambda: h.door.open_to == 0)
            with pytest.raises(Refused) as caught:
                await h.door.offer(Offer(**await stranger.offer()))
            assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
            await h.recorder.until(lambda: h.door.open_to == 1)
            assert h.door.calls == 1
            await stranger.accept(await h.door.offer(Offer(**await stranger.offer())))
            assert await refused(h, first.resume) == 410

    run(main)


@slow
def test_nobody_gives_way_while_another_line_is_being_freed() -> None:
    async def main() -> None:
        async with house(max_calls=2) as h:
            away, leaving = await h.ready(), await h.ready()
            h.door.bye(Bye(pc_id=str(away.pc_id), may_return=True))
            h.door.bye(Bye(pc_id=str(leaving.pc_id)))
            await h.ready()
            await back(h, away)
            assert h.door.calls == 2
            with pytest.raises(Refused, match="busy"):
                await h.ready()

    run(main)


@slow
def test_caps_take_the_line_of_their_own_gone_callers_only() -> None:
    async def main() -> None:
        async with house(max_calls=3, calls_per_label=1) as h:
            mine, theirs = Visitor("", "mine"), Visitor("", "theirs")

            async def call(visitor: Visitor) -> Client:
                client = Client(video=False)
                h.clients.append(client)
                await client.accept(await h.door.offer(Offer(**await client.offer()), visitor))
                return client

            first, other = await call(mine), await call(theirs)
            with pytest.raises(Refused, match="label"):
                await call(mine)
            for client in (other, first):
                h.door.bye(Bye(pc_id=str(client.pc_id), may_return=True))
            await call(mine)
            assert await refused(h, first.resume) == 410
            await back(h, other)

    run(main)


@slow
def test_a_house_that_drains_lets_its_own_callers_back_in() -> None:
    async def main() -> None:
        async with house(max_calls=3) as h:
            first = await h.ready()
            h.door.draining = True
            assert h.door.open_to == 0
            with pytest.raises(Refused, match="about to stop"):
                await h.call()
            await back(h, first)

    run(main)


@slow
def test_messages_of_any_size_fit_into_packets_that_every_path_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    send = StunProtocol.send_data

    async def noted(self: StunProtocol, data: bytes, addr: tuple[str, int]) -> None:
        sizes.append(len(data))
        await send(self, data, addr)

    async def main() -> None:
        async with house() as h:
            client = await h.ready(Client(video=False))
            monkeypatch.setattr(StunProtocol, "send_data", noted)
            client.say("send-text", {"content": "a" * 4000})
            await h.recorder.until(lambda: bool(h.recorder.texts))
            await h.recorder.transports[0].send(Caption("agent", "b" * 9000, final=True, reply=1))
            await client.wait_type("bot-output")

    run(main)
    assert sum(size > 1000 for size in sizes) >= 10, "there were messages of many packets"
    assert max(sizes) + 40 + 8 <= 1280, "with the headers of IPv6 and UDP"


def states(limits: CallLimits, act: Callable[[Liveness, int], None], seconds: int) -> list[tuple[int, str]]:
    life = Liveness(limits, 0)
    found = []
    for tenth in range(seconds * 10 + 1):
        act(life, tenth)
        state = life.look(tenth * 100 * MS)
        if state is not None:
            found.append((tenth, str(state)))
    return found


def test_a_silent_link_is_degraded_then_lost_then_closed() -> None:
    assert states(CallLimits(), lambda *_: None, 16) == [(21, "degraded"), (101, "lost"), (151, "closed")]


def test_a_closed_connection_is_lost_at_once_and_live_again_with_the_next() -> None:
    def act(life: Liveness, tenth: int) -> None:
        if tenth == 10:
            life.cut(tenth * 100 * MS)
        if tenth == 60:
            life.attached(tenth * 100 * MS)
        if tenth > 60:
            life.sign(tenth * 100 * MS)

    assert states(CallLimits(), act, 9) == [(10, "lost"), (60, "live")]


def test_a_machine_that_slept_does_not_blame_its_callers() -> None:
    life = Liveness(CallLimits(), 0)
    life.look(0)
    assert life.look(300 * SECOND) is None, "five minutes in which nobody looked"
    assert life.look(301 * SECOND) is None
    assert life.look(302 * SECOND) == "degraded"
    life.cut(302 * SECOND)
    life.look(303 * SECOND)
    assert life.gone(316 * SECOND) == ""
    life.look(1000 * SECOND)
    assert life.gone(1000 * SECOND) == ""
    assert life.gone(1016 * SECOND) == "connection closed"


@pytest.mark.parametrize(
    ("happens", "yields_at"),
    [
        (lambda life: life.sign(SECOND), 11 * SECOND),
        (lambda life: life.cut(SECOND), 3 * SECOND),
        (lambda life: life.step_out(SECOND), SECOND),
    ],
    ids=["silent", "closed", "bye"],
)
def test_when_a_line_goes_to_somebody_else(happens: Callable[[Liveness], None], yields_at: Nanos) -> None:
    life = Liveness(CallLimits(), 0)
    happens(life)
    assert life.yields_at() == yields_at


def test_tokens_are_random_bound_to_their_call_and_spent_in_order() -> None:
    tickets: Tickets[str] = Tickets()
    first, other = tickets.issue("a"), tickets.issue("b")
    assert len(first) >= 43
    assert tickets.find(first) == "a"
    second = tickets.issue("a")
    assert (tickets.find(first), tickets.find(second)) == ("a", "a"), "good until a connection stands"
    tickets.settle("a", second)
    with pytest.raises(Refused, match="used before"):
        tickets.find(first)
    tickets.settle("a", second)
    tickets.settle("a", other)
    assert tickets.find(second) == "a"
    for _ in range(20):
        tickets.issue("a")
    assert len(tickets) == 9
    tickets.forget("a")
    tickets.forget("a")
    for token in (first, second, "", "\ud800"):
        with pytest.raises(Refused, match="is over"):
            tickets.find(token)
    assert tickets.find(other) == "b"
    assert first not in repr(vars(tickets))


@pytest.mark.parametrize(
    ("times", "complaint"),
    [
        ({"lost_after": 2 * SECOND}, "each to be longer"),
        ({"dead_after": 10 * SECOND}, "each to be longer"),
        ({"degraded_after": SECOND // 2}, "the first 1 or more"),
        ({"return_within": -SECOND}, "return_within is -1"),
    ],
)
def test_times_that_make_no_sense_stop_the_start(times: dict[str, Any], complaint: str) -> None:
    ServerConfig()
    with pytest.raises(ValueError, match=complaint):
        ServerConfig(**times)
