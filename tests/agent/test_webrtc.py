"""Two real WebRTC peers in one process: a stock aiortc caller and the transport."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection

from agent.action import Caption, Display, HoldAudio, PlayAudio, StopAudio
from agent.clock import SystemClock
from agent.journal import Event, Metric, Note
from agent.playout import Playout
from agent.transports import Transport
from agent.transports._limits import CallLimits
from agent.transports._opus import OpusDecoder, OpusTrack
from agent.transports._outbox import DataChannel, Outbox
from agent.transports.webrtc import Bye, Candidate, Offer, Refused, Trickle, WebRtcDoor, load
from agent.wire import Outbound, ours
from perception.media import AudioChunk
from perception.timebase import MS, SECOND
from tests.rtc import Client, Recorder, microphone

pytestmark = pytest.mark.slow

SENSES = ["vad", "asr", "face"]


def beep(seconds: float, hz: float = 330.0) -> AudioChunk:
    t = np.arange(round(24_000 * seconds)) / 24_000
    return AudioChunk((0.4 * np.sin(2 * np.pi * hz * t)).astype(np.float32), start=0, rate_hz=24_000)


class House:
    """A door with callers behind it."""

    def __init__(self, door: WebRtcDoor, recorder: Recorder) -> None:
        self.door = door
        self.recorder = recorder
        self.clients: list[Client] = []

    async def call(self, client: Client | None = None, **more: Any) -> Client:
        client = client or Client()
        self.clients.append(client)
        await client.accept(await self.door.offer(Offer(**await client.offer(**more))))
        return client

    async def ready(self, client: Client | None = None, senses: list[str] | None = None) -> Client:
        client = await self.call(client)
        client.say("client-ready", {"version": "2.1.0"}, "hello123")
        await client.wait_type("bot-ready")
        if senses is not None:
            client.ask("consent", {"senses": senses, "version": 1})
            await client.wait_type("server-response")
        return client

    async def empty(self, timeout: float = 5) -> None:
        async with asyncio.timeout(timeout):
            while self.door.calls:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def house(
    script: Callable[[Transport], Coroutine[Any, Any, None]] | None = None, **options: Any
) -> AsyncIterator[House]:
    recorder = Recorder(script)
    clock = options.pop("clock", None)
    door = load(loopback=True, **({"consent": "given"} | options))
    if clock is not None:
        door = WebRtcDoor(CallLimits(), most_calls=options["max_calls"], loopback=True, clock=clock)
    async with asyncio.TaskGroup() as group:
        opened = group.create_task(door.open(recorder.answer))
        await asyncio.sleep(0)
        found = House(door, recorder)
        try:
            yield found
        finally:
            for client in found.clients:
                await client.close()
            opened.cancel()


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run ``main`` and see that it leaves no task, no connection and no thread behind."""
    threads = threading.active_count()

    async def watched() -> None:
        async with asyncio.timeout(60):
            await main()
        for _ in range(100):
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            if not rest:
                break
            await asyncio.sleep(0.02)
        assert not rest, rest

    asyncio.run(watched())
    gc.collect()
    open_ = [pc for pc in gc.get_objects() if type(pc) is RTCPeerConnection and pc.connectionState != "closed"]
    assert not open_
    assert threading.active_count() <= threads + 1, threading.enumerate()


def test_sound_and_pictures_arrive_stamped_and_continuous_and_the_agent_is_heard() -> None:
    async def talk(transport: Transport) -> None:
        await transport.send(PlayAudio(beep(1.0), 1))

    async def main() -> None:
        async with house(talk) as h:
            client = await h.ready()
            heard = h.recorder
            await heard.until(lambda: len(heard.audio) > 150 and len(heard.video) > 30)
            assert all(abs(b.start - a.end) <= 1 for a, b in pairwise(heard.audio))
            assert all(c.rate_hz == 16_000 for c in heard.audio)
            assert 0 <= heard.audio[0].start < 2 * SECOND
            sound = np.concatenate([c.samples for c in heard.audio])[8000:24_000]
            spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
            assert np.argmax(spectrum) * 16_000 / len(sound) == pytest.approx(440, abs=2)
            lags = [at - c.end for at, c in zip(heard.arrivals, heard.audio, strict=True)][50:]
            assert min(lags) >= -200 * MS, "no stamp lies far in the future"
            stamps = [v.at for v in heard.video]
            assert stamps == sorted(stamps)
            rate = (len(stamps) - 1) / ((stamps[-1] - stamps[0]) / SECOND)
            assert 9 <= rate <= 17
            assert heard.video[0].pixels.shape == (240, 320, 3)
            transport = heard.transports[0]
            assert transport.played(1) == SECOND
            first = transport.first_out(1)
            assert first is not None
            assert 0 <= first < 2 * SECOND
            loud = client.loud(0)
            assert 45 <= len(loud) <= 56
            types = [m.get("type") for m in client.messages]
            assert types.index("bot-ready") >= 0
            assert "bot-started-speaking" in types
            await client.wait_type("bot-stopped-speaking")

    run(main)


def test_the_answer_suits_a_browser() -> None:
    async def main() -> None:
        async with house() as h:
            client = Client()
            h.clients.append(client)
            offer = await client.offer(pc_id=None, restart_pc=False, requestData={"x": 1})
            answer = await h.door.offer(Offer(**offer))
            sections = answer["sdp"].split("\nm=")[1:]
            assert [s.split(" ")[0] for s in sections] == ["audio", "video", "application"]
            assert all("a=setup:passive" in s for s in sections)
            assert "a=sendrecv" in sections[0]
            assert "opus" in sections[0]
            assert "PCMU" not in sections[0]
            assert "a=recvonly" in sections[1]
            assert "127.0.0.1" in sections[0]
            assert set(answer) == {"sdp", "type", "pc_id", "resume", "link"}
            assert answer["link"] == {"degraded_s": 2, "lost_s": 10, "kept_s": 15}
            await client.accept(answer)

    run(main)


def test_barge_in_silences_the_agent_within_two_packets() -> None:
    stopped: list[float] = []

    async def talk(transport: Transport) -> None:
        clock = SystemClock()
        async with asyncio.TaskGroup() as group:
            group.create_task(transport.send(PlayAudio(beep(5.0), 1)))
            while transport.played(1) < SECOND:
                await clock.sleep_until(clock.now() + 10 * MS)
            await transport.send(StopAudio(1))
            stopped.append(time.monotonic())
        played = transport.played(1)
        await transport.send(PlayAudio(beep(1.0), 1))
        assert transport.played(1) == played
        await clock.sleep_until(clock.now() + 200 * MS)
        await transport.send(PlayAudio(beep(0.2), 2))

    async def main() -> None:
        async with house(talk) as h:
            client = await h.ready()
            transport_of = h.recorder.transports
            await h.recorder.until(lambda: bool(transport_of) and transport_of[0].played(2) > 0, 20)
            await asyncio.sleep(0.4)
            loud = client.loud(0)
            assert len([at for at in loud if at < stopped[0]]) > 40
            assert loud[-1] > stopped[0] + 0.1, "the next reply is heard"
            # One that was under way, one with the last of the fade; in time this is at most 60 ms, if the machine
            # is not busy with something else.
            assert len([at for at in loud if stopped[0] < at < stopped[0] + 0.15]) <= 2

    run(main)


class Jumping:
    """A clock that is where it is asked to be."""

    def __init__(self) -> None:
        self.time = 0

    def now(self) -> int:
        return self.time

    async def sleep_until(self, deadline: int) -> None:
        self.time = max(self.time, deadline)
        await asyncio.sleep(0)

    def working(self, label: str) -> Any:
        raise NotImplementedError


def test_the_track_is_silent_within_sixty_milliseconds_of_a_stop() -> None:
    async def main() -> None:
        playout, clock, decoder = Playout(), Jumping(), OpusDecoder()
        track = OpusTrack(playout, clock)

        async def level() -> tuple[int, float]:
            samples = decoder.decode(bytes(await track.recv()))
            assert samples is not None
            return clock.now(), float(np.abs(samples).max())

        async with asyncio.TaskGroup() as group:
            group.create_task(playout.put(beep(2.0), 1))
            await asyncio.sleep(0)
            assert all(loud > 0.3 for _, loud in [await level() for _ in range(10)][1:])
            playout.stop(1)
            stop = clock.now()
            after = [await level() for _ in range(10)]
        assert all(loud < 0.02 for at, loud in after if at > stop + 40 * MS)
        assert after[-1][0] == stop + 200 * MS
        assert playout.played(1) == 200 * MS
        track.stop()

    run(main)


def test_a_late_track_does_not_send_a_burst() -> None:
    async def main() -> None:
        clock = Jumping()
        track = OpusTrack(Playout(), clock)
        stamps = []
        for k in range(30):
            if k == 10:
                clock.time += SECOND
            packet = await track.recv()
            stamps.append((clock.time, packet.pts))
        assert [pts for _, pts in stamps] == [960 * k for k in range(30)]
        assert track.moved == 1
        gaps = [b - a for (a, _), (b, _) in pairwise(stamps)]
        assert all(gap == 20 * MS for gap in gaps[10:])
        track.stop()

    run(main)


def test_nothing_is_perceived_before_consent_and_refused_senses_never_are() -> None:
    async def main() -> None:
        async with house(consent="required") as h:
            client = await h.ready()
            heard = h.recorder
            await asyncio.sleep(0.8)
            assert heard.transports[0].senses == frozenset()
            assert not heard.audio
            assert not heard.video
            client.ask("senses", {"senses": ["vad"]}, "early")
            refused = await client.wait_for(lambda m: m.get("id") == "early")
            assert refused["type"] == "error-response"
            client.ask("consent", {"senses": ["vad", "asr"], "version": "2026-1"}, "agreed")
            agreed = await client.wait_for(lambda m: m.get("id") == "agreed")
            assert agreed["data"] == {"t": "consent", "d": {"senses": ["asr", "vad"], "recording": False}}
            await heard.until(lambda: len(heard.audio) > 10)
            assert not heard.video
            assert heard.transports[0].senses == {"vad", "asr"}
            assert [s.kind for s in heard.signals] == ["senses"]
            client.ask("senses", {"senses": ["face"]}, "changed")
            await client.wait_for(lambda m: m.get("id") == "changed")
            count = len(heard.audio)
            await heard.until(lambda: len(heard.video) > 5)
            assert len(heard.audio) == count
            state = [m["data"] for m in client.messages if m.get("data", {}).get("t") == "state"][-1]
            assert state["consent"] is True
            assert state["senses"] == ["face"]

    run(main)


def test_mute_camera_off_and_push_to_talk() -> None:
    async def main() -> None:
        async with house() as h:
            client = await h.ready()
            heard = h.recorder
            assert client.channel is not None

            def tell(index: int, enabled: bool) -> None:
                status = {"type": "trackStatus", "receiver_index": index, "enabled": enabled}
                assert client.channel is not None
                client.channel.send(json.dumps({"type": "signalling", "message": status}))

            await heard.until(lambda: len(heard.audio) > 5 and len(heard.video) > 2)
            tell(0, False)
            tell(1, False)
            await client.wait_for(lambda m: m.get("data", {}).get("camera") is False)
            pictures, begin = len(heard.video), len(heard.audio)
            await heard.until(lambda: len(heard.audio) > begin + 20)
            assert len(heard.video) == pictures
            assert not np.concatenate([c.samples for c in heard.audio[begin + 3 :]]).any(), "muted is silent"
            assert all(abs(b.start - a.end) <= 1 for a, b in pairwise(heard.audio)), "but time goes on"
            tell(0, True)
            client.ask("push-to-talk", {"enabled": True, "held": False}, "up")
            await client.wait_for(lambda m: m.get("id") == "up")
            begin = len(heard.audio)
            await heard.until(lambda: len(heard.audio) > begin + 20)
            assert not np.concatenate([c.samples for c in heard.audio[begin + 3 :]]).any()
            client.ask("push-to-talk", {"held": True}, "down")
            await client.wait_for(lambda m: m.get("id") == "down")
            begin = len(heard.audio)
            await heard.until(lambda: len(heard.audio) > begin + 20)
            assert np.abs(heard.audio[-1].samples).max() > 0.1
            assert [(s.enabled, s.held) for s in heard.signals] == [(True, False), (True, True)]

    run(main)


def test_words_wishes_and_nonsense_over_the_data_channel() -> None:
    async def talk(transport: Transport) -> None:
        await transport.send(PlayAudio(beep(3.0), 7))

    async def main() -> None:
        async with house(talk) as h:
            client = await h.ready()
            heard = h.recorder
            assert client.channel is not None
            client.say("send-text", {"content": "hello there"})
            await heard.until(lambda: bool(heard.texts))
            assert heard.texts[0].text == "hello there"
            await heard.until(lambda: heard.transports[0].played(7) > 0)
            client.ask("stop", None, "shush")
            await client.wait_for(lambda m: m.get("id") == "shush")
            assert [s.kind for s in heard.signals] == ["stop"]
            played = heard.transports[0].played(7)
            assert client.pc.sctp is not None
            client.pc.sctp._remote_max_message_size = 0  # a client that does not mind the limit it was told
            for junk in ("{", "[" * 9000, "x" * 20_000, json.dumps({"label": "other"})):
                client.channel.send(junk)
            client.ask("dance", None, "nope")
            refused = await client.wait_for(lambda m: m.get("id") == "nope")
            assert refused["type"] == "error-response"
            assert len([m for m in client.messages if m.get("type") == "error-response"]) == 5
            client.ask("ping", None, "alive")
            await client.wait_for(lambda m: m.get("id") == "alive")
            assert heard.transports[0].played(7) == played
            transport = heard.transports[0]
            await transport.send(Caption("user", "I lost", final=False))
            await transport.send(Display("concern", "nod", 0.5, reply=7))
            transport.tell(Event(SECOND, Metric("decide", 0.2, 7)))
            transport.tell(Event(SECOND, Note("hello")))
            words = await client.wait_type("user-transcription")
            assert words["data"]["text"] == "I lost"
            await client.wait_for(lambda m: m.get("data", {}).get("emotion") == "concern")
            await client.wait_for(lambda m: m.get("data", {}).get("name") == "decide")

    run(main)


def test_a_flood_of_messages_is_cut_off_and_told_so_once() -> None:
    async def main() -> None:
        async with house() as h:
            client = await h.ready()
            for k in range(1000):
                client.ask("ping", None, f"n{k}")
            warning = await client.wait_type("error-response")
            assert "messages a second" in warning["data"]["error"]
            answers = [m for m in client.messages if m.get("type") == "server-response"]
            assert 90 <= len(answers) < 800
            async with asyncio.timeout(30):
                while not any(str(m.get("id")).startswith("later") for m in client.messages):
                    client.ask("ping", None, "later")
                    await asyncio.sleep(0.2)
            assert len([m for m in client.messages if m.get("type") == "error-response"]) == 1

    run(main)


def test_hold_and_resume() -> None:
    async def main() -> None:
        async with house() as h:
            await h.ready()
            await h.recorder.until(lambda: bool(h.recorder.transports))
            transport = h.recorder.transports[0]
            async with asyncio.TaskGroup() as group:
                group.create_task(transport.send(PlayAudio(beep(1.0), 1)))
                await h.recorder.until(lambda: transport.played(1) > 100 * MS)
                await transport.send(HoldAudio(True, 1))
                held = transport.played(1)
                await asyncio.sleep(0.3)
                assert transport.played(1) == held
                await transport.send(HoldAudio(False, 1))
                await h.recorder.until(lambda: transport.played(1) == SECOND)

    run(main)


def test_a_new_connection_goes_on_with_the_same_call() -> None:
    async def main() -> None:
        async with house(dead_after_s=30, max_calls=1) as h:
            first = await h.ready()
            heard = h.recorder
            await heard.until(lambda: len(heard.audio) > 10)
            await first.vanish()
            second = await h.call(pc_id=first.pc_id, restart_pc=True)
            assert second.pc_id != first.pc_id
            count, pictures = len(heard.audio), len(heard.video)
            await heard.until(lambda: len(heard.audio) > count + 20 and len(heard.video) > pictures + 3)
            assert len(heard.transports) == 1
            stamps = [c.start for c in heard.audio]
            assert stamps == sorted(stamps)
            second.ask("ping", None, "there")
            await second.wait_for(lambda m: m.get("id") == "there")
            assert second.pc_id is not None
            assert first.pc_id is not None
            await h.door.trickle(Trickle(pc_id=first.pc_id, candidates=[]))
            third = await h.call(pc_id=first.pc_id, restart_pc=True)
            third.ask("ping", None, "again")
            await third.wait_for(lambda m: m.get("id") == "again")
            assert h.door.calls == 1

    run(main)


def test_an_unknown_name_is_a_new_call() -> None:
    async def main() -> None:
        async with house() as h:
            client = await h.call(pc_id="never heard of", restart_pc=True)
            assert client.pc_id
            assert h.door.calls == 1

    run(main)


def test_a_second_offer_of_the_same_connection_is_answered() -> None:
    async def main() -> None:
        async with house() as h:
            client = await h.ready()
            answer = await h.door.offer(Offer(**await client.offer(pc_id=client.pc_id, restart_pc=False)))
            assert answer["pc_id"] == client.pc_id
            await client.accept(answer)
            count = len(h.recorder.audio)
            await h.recorder.until(lambda: len(h.recorder.audio) > count + 10)

    run(main)


@pytest.mark.parametrize("way", ["vanish", "close", "hang up", "bye", "server"])
def test_every_way_to_leave_frees_the_slot(way: str) -> None:
    async def main() -> None:
        async with house(dead_after_s=0.6, return_within_s=0.2) as h:
            client = await h.ready()
            assert h.door.calls == 1
            match way:
                case "vanish":
                    await client.vanish()
                case "close":
                    await client.close()
                case "hang up":
                    client.say("disconnect-bot", {})
                case "bye":
                    h.door.bye(Bye(pc_id=str(client.pc_id)))
                case _:
                    await h.recorder.transports[0].close()
                    await h.recorder.transports[0].close()
            began = time.monotonic()
            await h.empty()
            assert time.monotonic() - began < 3
            assert h.recorder.ended.is_set()
            if way in ("hang up", "bye", "server"):
                await client.wait_for(lambda m: m.get("message", {}).get("type") == "peerLeft")
            assert client.pc_id is not None
            with pytest.raises(Refused, match="no such connection"):
                h.door.bye(Bye(pc_id=client.pc_id))

    run(main)


def test_a_caller_who_never_comes_frees_the_slot() -> None:
    async def main() -> None:
        async with house(connect_s=0.3, max_calls=1) as h:
            client = Client()
            h.clients.append(client)
            await h.door.offer(Offer(**await client.offer()))
            assert h.door.calls == 1
            await h.empty()
            assert not h.recorder.transports

    run(main)


def test_a_caller_who_has_not_come_makes_room_for_the_next() -> None:
    async def main() -> None:
        clock = Jumping()
        async with house(max_calls=1, clock=clock) as h:
            for _ in range(2):
                client = Client()
                h.clients.append(client)
                await h.door.offer(Offer(**await client.offer()))
                with pytest.raises(Refused, match=r"Somebody is in a call|busy"):
                    await h.door.offer(Offer(**await client.offer()))
                clock.time += 6 * SECOND
            async with asyncio.timeout(5):
                while h.door.calls > 1:
                    await asyncio.sleep(0.02)
            assert not h.recorder.transports

    run(main)


def test_a_full_house_says_when_to_come_back() -> None:
    async def main() -> None:
        async with house(max_calls=1) as h:
            await h.ready()
            other = Client()
            h.clients.append(other)
            with pytest.raises(Refused) as caught:
                await h.door.offer(Offer(**await other.offer()))
            assert caught.value.status == 503
            assert caught.value.retry_after_s
            assert h.door.calls == 1
            assert h.door.open_to == 0

    run(main)


def test_a_closed_door_takes_nobody() -> None:
    async def main() -> None:
        door = load()
        with pytest.raises(Refused, match="takes no calls"):
            await door.offer(Offer(sdp="v=0", type="offer"))

    run(main)


def test_a_runtime_that_fails_ends_its_call_only() -> None:
    async def fail(transport: Transport) -> None:
        raise ValueError("broken on purpose")

    async def main() -> None:
        async with house(fail) as h:
            for _ in range(2):
                await h.call(Client(channel=False))
                await h.empty()
                assert h.recorder.ended.is_set()
                h.recorder.ended.clear()

    run(main)


MEDIA = {"audio": True, "video": True, "channel": True}


@pytest.mark.parametrize(
    "has",
    [{"video": False}, {"audio": False}, {"channel": False}, {"video": False, "channel": False}],
    ids=["no camera", "no microphone", "no channel", "sound only"],
)
def test_a_caller_without_everything(has: dict[str, bool]) -> None:
    async def talk(transport: Transport) -> None:
        await transport.send(PlayAudio(beep(0.5), 1))

    async def main() -> None:
        async with house(talk) as h:
            await h.call(Client(**(MEDIA | has)))
            heard = h.recorder
            await heard.until(lambda: bool(heard.transports) and heard.transports[0].played(1) == 500 * MS)
            if has.get("audio", True):
                await heard.until(lambda: len(heard.audio) > 5)
            if has.get("video", True):
                await heard.until(lambda: len(heard.video) > 2)

    run(main)


async def _sdp() -> str:
    client = Client()
    sdp: str = (await client.offer())["sdp"]
    await client.close()
    return sdp


def _bad_offers(good: str) -> dict[str, str]:
    audio_only_pcmu = "\r\n".join(
        line for line in good.split("\r\n") if "opus" not in line and not line.startswith("a=fmtp:96")
    )
    return {
        "empty": "",
        "words": "hello",
        "no media": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
        "cut": good[: len(good) // 3],
        "no codec": audio_only_pcmu,
        "no fingerprint": "\r\n".join(x for x in good.split("\r\n") if not x.startswith("a=fingerprint")),
        "no ice": "\r\n".join(x for x in good.split("\r\n") if not x.startswith("a=ice-ufrag")),
        "no mux": good.replace("a=rtcp-mux\r\n", ""),
        "no mid": "\r\n".join(x for x in good.split("\r\n") if not x.startswith("a=mid")),
        "twice": good + good[good.index("m=audio") : good.index("m=video")],
        "text": good.replace("m=audio", "m=text"),
        "many candidates": good.replace(
            "m=video",
            "".join(f"a=candidate:{k} 1 udp 1 10.0.{k}.1 9 typ host\r\n" for k in range(40)) + "m=video",
        ),
        "bad candidate": good.replace("m=video", "a=candidate:garbage\r\nm=video"),
        "host name": good.replace("m=video", "a=candidate:1 1 udp 1 example.org 9 typ host\r\nm=video"),
        "long": good + "a=x\r\n" * 20_000,
        "answer": good.replace("a=setup:actpass", "a=setup:nonsense"),
    }


def test_offers_that_make_no_sense_are_refused_and_leave_nothing() -> None:
    async def main() -> None:
        async with house(max_calls=1) as h:
            good = await _sdp()
            before = len(asyncio.all_tasks())
            for name, sdp in _bad_offers(good).items():
                with pytest.raises(Refused) as caught:
                    pytest.fail(f"{name}: {await h.door.offer(Offer(sdp=sdp, type='offer'))}")
                assert caught.value.status == 400, name
                assert str(caught.value), name
                assert h.door.calls == 0
            await asyncio.sleep(0.05)
            assert len(asyncio.all_tasks()) <= before
            await h.ready()  # and the next good caller comes in

    run(main)


def test_trickled_candidates() -> None:
    async def main() -> None:
        async with house() as h:
            client = Client()
            h.clients.append(client)
            offer = await client.offer()
            lines = offer["sdp"].split("\r\n")
            candidates = list(dict.fromkeys(line[2:] for line in lines if line.startswith("a=candidate")))
            offer["sdp"] = "\r\n".join(x for x in lines if "candidate" not in x)
            answer = await h.door.offer(Offer(**offer))
            body = {
                "pc_id": answer["pc_id"],
                "candidates": [
                    {"candidate": candidates[0], "sdp_mid": "0", "sdp_mline_index": 0},
                    {"candidate": candidates[-1], "sdpMid": None, "sdpMLineIndex": None},
                    {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0},
                ],
            }
            await h.door.trickle(Trickle.model_validate(body))
            await client.accept(answer)
            with pytest.raises(Refused) as caught:
                await h.door.trickle(Trickle(pc_id="nobody", candidates=[]))
            assert caught.value.status == 404
            for bad in (
                "garbage",
                "candidate:1 1 udp 1 example.org 9 typ host",
                "candidate:1 1 udp 1 10.0.0.1 0 typ host",
            ):
                with pytest.raises(Refused) as caught:
                    await h.door.trickle(Trickle(pc_id=answer["pc_id"], candidates=[Candidate(candidate=bad)]))
                assert caught.value.status == 400
            flood = [Candidate(candidate=f"candidate:{k} 1 udp 1 10.0.0.{k} 9 typ host") for k in range(1, 60)]
            with pytest.raises(Refused, match="more than 32"):
                await h.door.trickle(Trickle(pc_id=answer["pc_id"], candidates=flood))

    run(main)


def test_options_out_of_range_stop_the_start() -> None:
    with pytest.raises(ValueError, match="consent"):
        load(consent="whatever")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_calls"):
        load(max_calls=0)


def test_the_outbox_drops_what_may_be_missed_first() -> None:
    outbox = Outbox(capacity=4)
    outbox.post(Outbound(type="bot-ready", id="x"))
    for k in range(6):
        outbox.post(ours("percept", k=k))
    outbox.post(ours("turn", text="kept"))
    assert outbox.dropped == 4
    assert len(outbox) == 4

    class Channel:
        readyState = "open"  # noqa: N815 - aiortc's names
        bufferedAmount = 0  # noqa: N815
        bufferedAmountLowThreshold = 0  # noqa: N815

        def __init__(self) -> None:
            self.sent: list[str] = []

        def on(self, event: str, handler: Callable[[], None]) -> None:
            self.handler = handler

        def send(self, text: str) -> None:
            self.sent.append(text)
            self.bufferedAmount += 100_000

    channel: Any = Channel()
    outbox.attach(DataChannel(channel))
    assert len(channel.sent) == 2, "no more than aiortc is able to send"
    channel.bufferedAmount = 0
    channel.handler()
    assert len(outbox) == 0
    assert [json.loads(t)["type"] for t in channel.sent] == ["bot-ready", *["server-message"] * 3]
    assert json.loads(channel.sent[-1])["data"]["text"] == "kept"


def test_connecting_many_times_leaves_nothing() -> None:
    async def main() -> None:
        async with house(max_calls=2) as h:
            for _ in range(8):
                client = await h.call(Client(video=False))
                client.say("disconnect-bot", {})
                await h.empty()
                await client.close()

    run(main)


def test_the_fake_microphone_is_paced() -> None:
    async def main() -> None:
        mic = microphone()
        began = time.monotonic()
        for _ in range(10):
            await mic.recv()
        assert 0.15 < time.monotonic() - began < 0.5

    run(main)
