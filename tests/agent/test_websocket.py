"""Callers over a WebSocket: what comes in, what goes out, what is refused, and how a connection ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from agent.action import Caption, Display, PlayAudio, StopAudio
from agent.frames import HEADER, Kind, pack
from agent.refusal import Refused, Visitor
from agent.transports import Transport, _socket
from agent.transports.websocket import load
from agent.wire import MAX_BYTES
from perception.media import AudioChunk
from perception.timebase import MS
from tests.rtc import Recorder
from tests.sockets import Pipe, called, jpeg, opened, rgb, sound, talk

pytestmark = pytest.mark.slow

Script = Callable[[Transport], Coroutine[Any, Any, None]]


def beep(seconds: float) -> list[AudioChunk]:
    step = np.full(2400, 0.2, np.float32)
    return [AudioChunk(step.copy(), n * 100 * MS, 24_000) for n in range(round(seconds * 10))]


async def say(transport: Transport, seconds: float, reply: int = 1) -> None:
    for chunk in beep(seconds):
        await transport.send(PlayAudio(chunk, reply))


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def watched() -> None:
        async with asyncio.timeout(30):
            await main()

    asyncio.run(watched())


def test_sound_and_pictures_are_fed_on_the_calls_clock() -> None:
    async def main() -> None:
        runtime = Recorder()
        async with opened(runtime.answer) as door, called(door) as pipe:
            await talk(pipe, 0.6)
            await pipe.until(lambda: len(runtime.video) >= 5)
            heard = np.concatenate([c.samples for c in runtime.audio])
            assert float(np.percentile(np.abs(heard), 97)) == pytest.approx(0.3, abs=0.02)
            starts = [c.start for c in runtime.audio]
            assert starts == sorted(starts)
            assert all(a.end == b.start for a, b in zip(runtime.audio, runtime.audio[1:], strict=False))
            assert runtime.video[0].pixels.shape == (48, 64, 3)
            gaps = [b.at - a.at for a, b in zip(runtime.video, runtime.video[1:], strict=False)]
            # A picture that travels faster than all before it moves the clock: one gap may be shorter, most are not.
            assert float(np.median(gaps)) == pytest.approx(100 * MS, abs=2 * MS)
            assert max(gaps) < 110 * MS
            assert pipe.errors() == []
        assert runtime.ended.is_set()

    run(main)


def test_opus_is_taken_and_given() -> None:
    async def main() -> None:
        from agent.transports._opus import OpusDecoder, OpusEncoder

        runtime = Recorder(lambda transport: say(transport, 0.5))
        encoder = OpusEncoder(48_000)
        wave = (0.3 * np.sin(np.arange(48_000) * 2 * np.pi * 300 / 48_000)).astype(np.float32)
        async with opened(runtime.answer) as door, called(door, sound="opus") as pipe:
            for n in range(20):
                packet = encoder.encode(wave[n * 960 : n * 960 + 960])
                pipe.push(pack(Kind.OPUS, 48, n * 20_000, packet))
                await asyncio.sleep(0.02)
            await pipe.until(lambda: len(pipe.frames) >= 20)
            decoder = OpusDecoder()
            pieces = [decoder.decode(bytes(frame.payload)) for _, frame in pipe.frames]
            assert all(frame.kind is Kind.OPUS and frame.reply == 1 for _, frame in pipe.frames)
            assert max(float(np.abs(p).max()) for p in pieces if p is not None) == pytest.approx(0.2, abs=0.05)
            heard = np.concatenate([c.samples for c in runtime.audio])
            assert np.abs(heard).max() == pytest.approx(0.3, abs=0.05)

    run(main)


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_the_voice_goes_out_in_time_at_the_rate_that_was_asked_for(rate: int) -> None:
    async def main() -> None:
        runtime = Recorder(lambda transport: say(transport, 0.6, reply=3))
        async with opened(runtime.answer) as door, called(door, rate=str(rate)) as pipe:
            await pipe.until(lambda: sum(len(f.payload) for _, f in pipe.frames) >= 2 * 0.58 * rate)
            assert pipe.hello["rate_hz"] == rate
            assert {(f.kind, f.rate_hz, f.reply) for _, f in pipe.frames} == {(Kind.PCM16, rate, 3)}
            arrivals = [at for at, _ in pipe.frames]
            assert arrivals[-1] - arrivals[0] > 0.5, "it goes out at the pace of speech"
            voice = np.concatenate([np.frombuffer(f.payload, "<i2") for _, f in pipe.frames]) / 32767
            assert float(np.median(voice)) == pytest.approx(0.2, abs=0.005)
            times = [f.time_us for _, f in pipe.frames]
            assert times == sorted(times)

    run(main)


def test_a_cut_is_told_with_the_number_of_its_reply() -> None:
    async def main() -> None:
        async def script(transport: Transport) -> None:
            await say(transport, 0.4, reply=5)
            await transport.send(StopAudio(5))
            await transport.send(Caption("agent", "I was", final=True, reply=5, cut=True))
            await transport.send(Display("warm", "nod", 0.5))

        async with opened(Recorder(script).answer) as door, called(door) as pipe:
            await pipe.wait_for(lambda m: m["type"] == "bot-output")
            told = [m["data"] for m in pipe.texts if m["type"] == "server-message" and m["data"]["t"] == "voice"]
            assert [(v["state"], v["reply"], v.get("cut")) for v in told] == [
                ("started", 5, None),
                ("stopped", 5, True),
            ]

    run(main)


def test_consent_mute_and_push_to_talk_are_those_of_every_call() -> None:
    async def main() -> None:
        runtime = Recorder()
        async with opened(runtime.answer, consent="required") as door, called(door) as pipe:
            pipe.say("client-ready", {"version": "2.1.0"})
            await pipe.wait_for(lambda m: m["type"] == "bot-ready")
            await talk(pipe, 0.2)
            assert runtime.audio == []
            assert runtime.video == []
            pipe.ask("consent", {"senses": ["vad"], "version": "1"})
            await pipe.wait_for(lambda m: m["type"] == "server-response")
            pipe.push(sound(100))
            pipe.push(pack(Kind.JPEG, 0, 9_000_000, jpeg()))
            await pipe.until(lambda: len(runtime.audio) > 0)
            assert runtime.video == [], "the face was not allowed"
            pipe.ask("push-to-talk", {"enabled": True, "held": False})
            await pipe.until(lambda: len(runtime.signals) == 2)
            before = len(runtime.audio)
            pipe.push(sound(101))
            await pipe.until(lambda: len(runtime.audio) > before)
            assert float(np.abs(runtime.audio[-1].samples[200:]).max()) < 0.05

    run(main)


def test_what_cannot_be_taken_is_told_by_name_and_the_call_goes_on() -> None:
    async def main() -> None:
        runtime = Recorder()
        async with opened(runtime.answer) as door, called(door) as pipe:
            await pipe.until(lambda: bool(runtime.transports))
            bad = [
                (b"\x01\x01\x10", "truncated_frame"),
                (b"\x07" + bytes(30), "wrong_version"),
                (pack(Kind.PCM16, 44, 0, bytes(640)), "wrong_rate"),
                (pack(Kind.PCM16, 16, 0, bytes(6402)), "oversize_frame"),
                (pack(Kind.RGB, 0, 0, rgb()[:-1]), "truncated_frame"),
                (pack(Kind.JPEG, 0, 0, jpeg()[:-9]), "truncated_frame"),
                (pack(Kind.RGB, 0, 5, rgb()), ""),
                (pack(Kind.RGB, 0, 4, rgb()), "time_backwards"),
            ]
            for frame, _ in bad:
                pipe.push(frame)
            names = [name for _, name in bad if name]
            await pipe.until(lambda: len(pipe.errors()) == len(names))
            assert pipe.errors() == names
            await talk(pipe, 0.2)
            await pipe.until(lambda: bool(runtime.audio))
            assert pipe.closed is None

    run(main)


def test_a_broken_picture_is_told_and_the_next_is_seen() -> None:
    async def main() -> None:
        runtime = Recorder()
        good = jpeg(64, 48)
        broken = good[: len(good) - 60] + b"\xff\xd8" * 5 + b"\xff\xd9"
        torn = good[: good.index(b"\xff\xda")] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\xd9"
        async with opened(runtime.answer) as door, called(door) as pipe:
            await pipe.until(lambda: bool(runtime.transports))
            for n, data in enumerate((broken, torn, good)):
                pipe.push(pack(Kind.JPEG, 0, n * 200_000, data))
                await asyncio.sleep(0.25)
            await pipe.until(lambda: bool(runtime.video))
            assert runtime.video[-1].pixels.shape == (48, 64, 3)
            assert set(pipe.errors()) <= {"not_a_picture"}

    run(main)


def test_who_sends_nothing_but_faults_is_sent_away_and_others_are_not() -> None:
    async def main() -> None:
        runtime = Recorder()
        async with opened(runtime.answer) as door, called(door) as other, called(door) as pipe:
            for _ in range(200):
                pipe.push(b"\x09" + bytes(20))
            await pipe.until(lambda: pipe.closed is not None)
            assert pipe.closed == (_socket.FAULTY, "wrong_version")
            assert pipe.texts[-1]["type"] == "error"
            assert pipe.texts[-1]["data"]["message"].startswith("wrong_version: ")
            assert len(pipe.errors()) < 20, "not one answer to each"
            await talk(other, 0.3)
            await other.until(lambda: bool(runtime.audio))
            assert other.closed is None
            assert other.errors() == []

    run(main)


def test_who_does_not_read_costs_little_and_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "UNREAD_S", 0.6)

    async def main() -> None:
        async def script(transport: Transport) -> None:
            for n in range(10_000):
                await transport.send(Caption("agent", f"{n} " + "x" * 500, final=True, reply=1))
                if n % 100 == 0:
                    await asyncio.sleep(0)
            await say(transport, 30)

        runtime = Recorder(script)
        async with opened(runtime.answer) as door, called(door) as other, called(door) as pipe:
            pipe.reads.clear()
            await pipe.until(lambda: len(runtime.transports) == 2)
            call: Any = runtime.transports[1]
            socket = call.peer
            await pipe.until(lambda: socket.over)
            assert sum(len(m) for m in socket._waiting) < 400_000
            assert len(call.outbox) <= 256
            assert call.played(1) < 700 * MS, "what nobody reads is not played"
            assert not other.closed
            pipe.reads.set()
            await pipe.until(lambda: pipe.closed is not None)
            assert pipe.closed == (_socket.NOT_READING, "client_not_reading")

    run(main)


def test_grants_hold() -> None:
    async def main() -> None:
        runtime = Recorder()
        visitor = Visitor("10.0.0.1", "robot", frozenset({"video"}))
        async with opened(runtime.answer) as door, called(door, visitor) as pipe:
            pipe.push(sound(0))
            pipe.push(pack(Kind.RGB, 0, 0, rgb()))
            pipe.say("send-text", {"content": "hi"})
            await pipe.until(lambda: bool(runtime.video))
            assert pipe.errors() == ["not_granted", ""]
            assert runtime.audio == []
            assert runtime.texts == []

    run(main)


def test_messages_keep_their_limits() -> None:
    async def main() -> None:
        async with opened(Recorder().answer) as door, called(door) as pipe:
            pipe.push("x" * (MAX_BYTES + 1))
            await pipe.wait_for(lambda m: m["type"] == "error-response" and "not read" in m["data"]["error"])
            for _ in range(4000):
                pipe.push("{}")
            await pipe.until(lambda: pipe.closed is not None)
            assert pipe.closed is not None
            assert pipe.closed[0] == _socket.FAULTY

    run(main)


@pytest.mark.parametrize("wants", [{"rate": "44100"}, {"rate": "x"}, {"sound": "mp3"}])
def test_wishes_that_make_no_sense_are_refused(wants: dict[str, str]) -> None:
    async def accept() -> Pipe:
        raise AssertionError("refused before the handshake")

    async def main() -> None:
        async with opened(Recorder().answer) as door:
            with pytest.raises(Refused) as refused:
                await door.take(accept, wants=wants)
            assert refused.value.status == 400

    run(main)


def test_options_that_make_no_sense_are_refused() -> None:
    bad: list[dict[str, Any]] = [{"consent": "maybe"}, {"max_calls": 0}]
    for options in bad:
        with pytest.raises(ValueError, match=next(iter(options))):
            load(**options)


def test_a_client_that_wants_no_sound_is_paced_all_the_same() -> None:
    async def main() -> None:
        runtime = Recorder(lambda transport: say(transport, 0.5))
        async with opened(runtime.answer) as door, called(door, sound="none") as pipe:
            await pipe.wait_for(lambda m: m["type"] == "bot-stopped-speaking")
            assert pipe.frames == []
            assert runtime.transports[0].played(1) == pytest.approx(500 * MS, abs=25 * MS)

    run(main)


def test_the_smallest_frame_has_a_sample() -> None:
    async def main() -> None:
        async with opened(Recorder().answer) as door, called(door) as pipe:
            pipe.push(pack(Kind.PCM16, 16, 0, b"\x00\x01"))
            pipe.push(bytes(HEADER.size))
            await pipe.until(lambda: len(pipe.errors()) == 1)
            assert pipe.errors() == ["wrong_version"]

    run(main)


def test_nothing_waits_after_the_caller_left() -> None:
    async def main() -> None:
        pipe = Pipe()
        runtime = Recorder(lambda transport: say(transport, 5))
        async with opened(runtime.answer, return_within_s=0.0) as door, called(door, pipe=pipe):
            await pipe.until(lambda: bool(pipe.frames))
        assert runtime.ended.is_set()

    run(main)


def test_whatever_times_a_client_gives_nothing_is_fed_from_the_future_or_twice() -> None:
    dice = random.Random(7)
    times = [0, 1, 20_000, 40_000, 1 << 40, (1 << 53) - 1, 5_000_000, 5_020_000, 10**12]

    async def main() -> None:
        runtime = Recorder()
        async with opened(runtime.answer) as door, called(door) as pipe:
            for _ in range(45):
                at = dice.choice(times) + dice.randrange(1000) * (dice.random() < 0.5)
                at = min(at, (1 << 53) - 1)
                kind = dice.choice([Kind.PCM16, Kind.PCM16, Kind.RGB])
                if kind is Kind.RGB:
                    pipe.push(pack(kind, dice.randrange(2), at, rgb(4, 4)))
                else:
                    pipe.push(pack(kind, dice.choice([16, 24, 48]), at, bytes(2 * dice.randrange(1, 3000))))
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert pipe.closed is None
            assert set(pipe.errors()) <= {"time_backwards"}
            assert all(c.end <= now + 5 * MS for c, now in zip(runtime.audio, runtime.arrivals, strict=True))
            for a, b in zip(runtime.audio, runtime.audio[1:], strict=False):
                assert a.end <= b.start + 1

    run(main)
