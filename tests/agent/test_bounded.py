"""What one hostile peer can make the server keep, send and compute, over real connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from aioice.ice import Connection
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtcsctptransport import WEBRTC_STRING, DataChunk

from agent.journal import Event, Metric, Note
from agent.refusal import Refused, Visitor
from agent.transports import _bounded, _teardown
from agent.transports._aiortc import Moved
from agent.transports._bounded import MOST_SOURCES, MOST_STREAMS
from agent.transports._guard import Addresses
from agent.transports._limits import MessageLimits
from agent.transports._messages import Messages
from agent.transports.webrtc import Candidate, Offer, Trickle
from perception.timebase import MS, SECOND
from tests.agent.test_webrtc import House, house, run
from tests.rtc import Client

slow = pytest.mark.slow


def test_messages_in_time_and_of_size_are_read() -> None:
    messages = Messages(MessageLimits(), 0)
    assert all(messages.judge(16 * 1024, k * 20 * MS) == "read" for k in range(1000))
    assert messages.refused == 0


def test_a_flood_is_warned_of_once_and_then_dropped_until_it_ends() -> None:
    messages = Messages(MessageLimits(), 0)
    found = [messages.judge(10, 0) for _ in range(1000)]
    assert (found.count("read"), found.count("warn"), found.count("drop")) == (100, 1, 899)
    assert messages.refused == 900
    assert messages.judge(10, 2 * SECOND) == "read"
    assert [messages.judge(10, 2 * SECOND) for _ in range(200)].count("warn") == 1


def test_a_flood_that_goes_on_closes_the_channel() -> None:
    messages = Messages(MessageLimits(), 0)
    found = [messages.judge(10, k * SECOND // 1000) for k in range(4000)]
    assert found[-1] == "close"
    assert 2000 < found.index("close") < 2500
    slower = Messages(MessageLimits(), 0)
    assert "close" not in [slower.judge(10, k * SECOND // 90) for k in range(20_000)]


def test_big_messages_close_the_channel_soon() -> None:
    messages = Messages(MessageLimits(), 0)
    found = [messages.judge(16 * 1024 + 1, 0) for _ in range(60)]
    assert found.index("close") == 40
    assert "read" not in found
    rare = Messages(MessageLimits(), 0)
    assert {rare.judge(10**6, k * 2 * SECOND) for k in range(500)} == {"warn"}


class Watched:
    """A house with one caller, and what is told of the call."""

    def __init__(self, h: House, client: Client) -> None:
        self.h = h
        self.client = client
        self.notes: list[Note] = []
        self.metrics: list[Metric] = []

    def observe(self, event: Event) -> None:
        if isinstance(event.body, Note):
            self.notes.append(event.body)
        elif isinstance(event.body, Metric):
            self.metrics.append(event.body)

    async def ended(self) -> str:
        async with asyncio.timeout(10):
            await self.h.recorder.ended.wait()
        await self.h.empty()
        return self.h.recorder.why

    def why(self) -> str:
        found = [note for note in self.notes if note.event == "data_channel_closed"]
        assert len(found) == 1
        return str(found[0].data["why"])


def with_caller(script: Callable[[Watched], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with house() as h:
            watched = Watched(h, Client())
            h.door.watch = watched.observe
            await h.ready(watched.client)
            sctp = watched.client.pc.sctp
            assert sctp is not None
            sctp._remote_max_message_size = 0  # it does not mind the limit that it was told
            await script(watched)

    run(main)


async def lag(stop: asyncio.Event) -> float:
    """Return the longest time for which the event loop stood still."""
    longest = 0.0
    while not stop.is_set():
        began = time.monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, time.monotonic() - began)
    return longest


@slow
def test_an_honest_client_is_told_how_long_a_message_may_be() -> None:
    async def main() -> None:
        async with house() as h:
            client = await h.ready()
            assert "a=max-message-size:16384" in client.pc.remoteDescription.sdp
            assert client.channel is not None
            client.channel.send("x" * 16_384)
            with pytest.raises(ValueError, match="up to 16384 bytes"):
                client.channel.send("x" * 16_385)

    run(main)


@slow
def test_a_message_that_is_too_big_is_counted_and_not_read_and_the_call_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.transports._numbers._EVERY", SECOND // 2)

    async def script(w: Watched) -> None:
        assert w.client.channel is not None
        w.client.channel.send("x" * 60_000)
        told = await w.client.wait_type("error-response")
        assert "16384 bytes" in told["data"]["error"]
        w.client.ask("ping", None, "alive")
        await w.client.wait_for(lambda m: m.get("id") == "alive")
        async with asyncio.timeout(5):
            while not any(m.name == "messages_refused_count" and m.value == 1 for m in w.metrics):
                await asyncio.sleep(0.05)

    with_caller(script)


@slow
def test_a_message_of_megabytes_ends_the_channel_before_it_is_whole_and_stops_nobody() -> None:
    async def script(w: Watched) -> None:
        assert w.client.channel is not None
        stop = asyncio.Event()
        watching = asyncio.ensure_future(lag(stop))
        w.client.channel.send(b"x" * 5_000_000)
        assert await w.ended() == "data channel closed"
        assert "unfinished" in w.why()
        stop.set()
        assert await watching < 1.0

    with_caller(script)


@slow
def test_fragments_that_never_end_do_not_pile_up() -> None:
    async def script(w: Watched) -> None:
        sctp = w.client.pc.sctp
        assert sctp is not None
        for k in range(2000):
            chunk = DataChunk(flags=4 if k % 2 else 0)  # middles of messages, ordered and not
            chunk.tsn = sctp._local_tsn + 2 + k  # the first is missing
            chunk.stream_id, chunk.stream_seq, chunk.protocol = 0, k % 65_536, WEBRTC_STRING
            chunk.user_data = b"x"
            try:
                await sctp._send_chunk(chunk)
            except ConnectionError:  # the server has had enough
                break
            await asyncio.sleep(0)
        assert await w.ended() == "data channel closed"
        assert "unfinished" in w.why()

    with_caller(script)


@slow
def test_streams_do_not_pile_up() -> None:
    async def script(w: Watched) -> None:
        sctp = w.client.pc.sctp
        assert sctp is not None
        for k in range(MOST_STREAMS + 1):
            await sctp._send(100 + k, WEBRTC_STRING, b"x")
        assert await w.ended() == "data channel closed"
        assert "streams" in w.why()

    with_caller(script)


@slow
def test_what_is_no_sctp_ends_the_channel_in_good_order() -> None:
    async def script(w: Watched) -> None:
        sctp = w.client.pc.sctp
        assert sctp is not None
        await sctp._send(cast(Any, w.client.channel).id, WEBRTC_STRING, b"\xff\xfe")
        assert await w.ended() == "data channel closed"
        assert "UnicodeDecodeError" in w.why()

    with_caller(script)


@slow
def test_more_than_two_channels_are_closed() -> None:
    async def script(w: Watched) -> None:
        more = [w.client.pc.createDataChannel(f"more {k}") for k in range(6)]
        async with asyncio.timeout(5):
            while sum(channel.readyState == "closed" for channel in more) < 5:
                await asyncio.sleep(0.02)
        w.client.ask("ping", None, "alive")
        await w.client.wait_for(lambda m: m.get("id") == "alive")

    with_caller(script)


@slow
def test_without_the_grants_nothing_is_typed_seen_heard_or_shown() -> None:
    async def main() -> None:
        async with house() as h:
            client = Client()
            h.clients.append(client)
            visitor = Visitor("10.0.0.7", "desk", frozenset({"audio"}))
            await client.accept(await h.door.offer(Offer(**await client.offer()), visitor))
            client.say("send-text", {"content": "hello"})
            refused = await client.wait_type("error-response")
            assert "not granted" in refused["data"]["error"]
            heard = h.recorder
            await heard.until(lambda: len(heard.audio) > 20)
            heard.transports[0].tell(Event(SECOND, Note("hello")))
            client.ask("ping", None, "after")
            await client.wait_for(lambda m: m.get("id") == "after")
            assert not [m for m in client.messages if m.get("type") == "server-message" and m["data"]["t"] == "note"]
            assert not heard.video
            assert not heard.texts

    run(main)


@slow
def test_calls_are_capped_by_label_and_by_address() -> None:
    async def main() -> None:
        async with house(max_calls=9, calls_per_label=1, calls_per_address=2) as h:

            async def ask(visitor: Visitor) -> None:
                client = Client(video=False)
                h.clients.append(client)
                await client.accept(await h.door.offer(Offer(**await client.offer()), visitor))

            await ask(Visitor("10.0.0.7", "desk"))
            with pytest.raises(Refused, match="label") as caught:
                await ask(Visitor("10.0.0.8", "desk"))
            assert caught.value.status == 429
            await ask(Visitor("10.0.0.7", "shop"))
            with pytest.raises(Refused, match="address") as caught:
                await ask(Visitor("10.0.0.7", "lab"))
            assert (caught.value.status, caught.value.retry_after_s) == (429, 10)
            await ask(Visitor("10.0.0.8", "lab"))
            assert h.door.calls == 3

    run(main)


@slow
def test_addresses_are_counted_over_the_life_of_a_call() -> None:
    async def main() -> None:
        async with house() as h:
            client = await h.call()
            assert client.pc_id is not None

            async def trickle(k: int) -> None:
                line = f"candidate:{k} 1 udp 1 10.0.0.{k} 5000 typ host"
                await h.door.trickle(Trickle(pc_id=client.pc_id or "", candidates=[Candidate(candidate=line)]))

            async def again(k: int) -> None:
                other = Client()
                h.clients.append(other)
                offer = await other.offer(pc_id=client.pc_id, restart_pc=True)
                lines = [line for line in offer["sdp"].split("\r\n") if "candidate" not in line]
                lines[-1:-1] = [f"a=candidate:1 1 udp 1 10.{k}.1.{n} 5000 typ host" for n in range(1, 31)]
                await h.door.offer(Offer(**offer | {"sdp": "\r\n".join(lines)}))

            for k in range(1, 24):  # nine came with the offer
                await trickle(k)
            with pytest.raises(Refused, match="more than 32"):
                await trickle(24)
            for k in range(7):
                await again(k)
            with pytest.raises(Refused, match="256 in one call"):
                await again(7)
            assert not h.recorder.ended.is_set()

    run(main)


@slow
def test_a_later_offer_with_other_media_is_refused_and_the_call_goes_on() -> None:
    async def main() -> None:
        async with house() as h:
            client = await h.ready()
            offer = await client.offer(pc_id=client.pc_id)
            for old, new in (("a=mid:1", "a=mid:7"), ("a=mid:0", "a=mid:8")):
                changed = offer["sdp"].replace(old, new).replace("BUNDLE 0 1 2", "BUNDLE 2")
                with pytest.raises(Refused, match="other media"):
                    await h.door.offer(Offer(**offer | {"sdp": changed}))
            client.ask("ping", None, "alive")
            await client.wait_for(lambda m: m.get("id") == "alive")
            assert h.door.calls == 1

    run(main)


RAISED = [StopIteration("x"), AssertionError("x"), ValueError("x"), KeyError("x"), IndexError("x"), AttributeError("x")]


@slow
@pytest.mark.parametrize("step", ["setRemoteDescription", "createAnswer", "setLocalDescription"])
def test_whatever_aiortc_raises_is_a_refusal_and_leaves_nothing(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with house() as h:
            client = Client()
            h.clients.append(client)
            offer = Offer(**await client.offer())
            for error in (*RAISED, TypeError("x"), RuntimeError("x"), OSError("x")):

                async def fail(*_: Any, error: Exception = error) -> None:
                    raise error

                with monkeypatch.context() as patch:
                    patch.setattr(RTCPeerConnection, step, fail)
                    with pytest.raises(Refused) as caught:
                        await h.door.offer(offer)
                assert caught.value.status == (503 if isinstance(error, OSError) else 400)
                assert h.door.calls == 0
            await client.accept(await h.door.offer(offer))

    run(main)


@slow
def test_an_answer_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.transports.webrtc._NEGOTIATE_S", 0.2)

    async def main() -> None:
        async with house() as h:
            client = Client()
            h.clients.append(client)
            offer = Offer(**await client.offer())

            async def hang(*_: Any) -> None:
                await asyncio.Event().wait()

            with monkeypatch.context() as patch:
                patch.setattr(RTCPeerConnection, "createAnswer", hang)
                with pytest.raises(Refused, match=r"no answer within 0\.2 s") as caught:
                    await h.door.offer(offer)
            assert (caught.value.status, caught.value.retry_after_s) == (503, 5)
            assert h.door.calls == 0

    run(main)


@slow
def test_a_stun_server_that_is_down_does_not_take_the_time_of_the_answer() -> None:
    async def main() -> None:
        async with house(ice_servers=("stun:127.0.0.1:9",)) as h:
            began = time.monotonic()
            await h.ready()
            assert 1.5 < time.monotonic() - began < 4.5

    run(main)


def run_bare(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 20))


@slow
@pytest.mark.parametrize("error", [AttributeError("x"), RuntimeError("x")])
def test_a_connection_whose_closing_fails_is_closed_step_by_step(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        first = pc.addTransceiver("audio")
        pc.addTransceiver("video")
        pc.createDataChannel("chat")
        await pc.setLocalDescription(await pc.createOffer())
        transports = _bounded._ice_transports(pc)
        sockets = [protocol.transport for t in transports for protocol in t._connection._protocols]
        assert sockets

        async def fail() -> None:
            raise error

        monkeypatch.setattr(first, "stop", fail)
        assert not await _teardown.close(pc, 1.0)
        assert all(transport.state == "closed" for transport in transports)
        assert all(socket.is_closing() for socket in sockets)
        assert pc.connectionState == "closed"

    run_bare(main)


class Line:
    """The socket of a connection, as far as checks need it."""

    class local_candidate:  # noqa: N801 - as aioice calls it
        component = 1


def connection(addresses: Addresses) -> tuple[Any, list[tuple[str, int]]]:
    """Return a bounded connection, and the sources whose checks it has let through."""
    taken: list[tuple[str, int]] = []
    found = Connection(ice_controlling=False)
    found.request_received = lambda message, addr, protocol: taken.append(addr)
    _bounded._bound_ice(found, addresses)
    return found, taken


def test_checks_are_answered_from_a_bounded_number_of_allowed_addresses() -> None:
    async def main() -> None:
        bounded, taken = connection(Addresses())
        for source in ("169.254.169.254", "127.0.0.1", "224.0.0.1"):
            bounded.request_received(None, (source, 5000), Line())
        assert taken == []
        for k in range(1000):
            bounded.request_received(None, ("10.0.0.7", 1024 + k), Line())
        assert len(taken) == MOST_SOURCES
        bounded.request_received(None, ("10.0.0.7", 1024), Line())
        assert len(taken) == MOST_SOURCES + 1, "those that are known are still answered"

    run_bare(main)


def test_a_check_without_what_it_has_to_say_is_nothing() -> None:
    async def main() -> None:
        found = Connection(ice_controlling=False)

        def fail(message: Any, addr: Any, protocol: Any) -> None:
            raise KeyError("PRIORITY")

        found.request_received = fail
        _bounded._bound_ice(found, Addresses())
        found.request_received(None, ("10.0.0.7", 5000), Line())

    run_bare(main)


def test_this_aiortc_has_everything_where_it_is_bounded() -> None:
    _bounded.check()


@pytest.mark.parametrize(
    "part",
    [
        "aiortc.rtcsctptransport.RTCSctpTransport._handle_data",
        "aiortc.rtcsctptransport.RTCSctpTransport._receive_data_chunk",
        "aioice.ice.Connection.request_received",
        "aioice.ice.Connection.get_component_candidates",
    ],
)
def test_an_aiortc_that_has_moved_something_stops_the_start(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, lambda self, other: None)
    with pytest.raises(Moved, match=part.rsplit(".", maxsplit=1)[-1]):
        _bounded.check()
