"""The Python client against the real server, over loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rapport_client import (
    Back,
    Call,
    CallOver,
    Caption,
    Lost,
    NotDone,
    Problem,
    Rapport,
    Refused,
    Sound,
    Unreachable,
    Voice,
)

from agent.action import Caption as CaptionAction
from agent.action import PlayAudio, StopAudio
from agent.offload import Thread
from agent.transports import Transport
from perception.media import AudioChunk
from tests.test_server import House, house, run

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"

pytestmark = pytest.mark.slow

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(320) / 16_000) * 32767).astype(np.int16)


def beep(n: int = 5) -> list[AudioChunk]:
    step = np.full(2400, 0.3, np.float32)
    return [AudioChunk(step.copy(), k * 100_000_000, 24_000) for k in range(n)]


async def say(transport: Transport, pieces: int = 5, reply: int = 1) -> None:
    for chunk in beep(pieces):
        await transport.send(PlayAudio(chunk, reply))


def address(h: House, scheme: str = "http") -> str:
    return f"{scheme}://{h.http.base_url.host}:{h.http.base_url.port}"


@asynccontextmanager
async def calling(
    script: Callable[[Transport], Coroutine[Any, Any, None]] | None = None,
    server: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[House, Call]]:
    async with house(script, **(server or {})) as h, Rapport.connect(address(h), **options) as call:
        yield h, call


def test_sound_and_pictures_arrive_and_the_voice_comes_back() -> None:
    async def main() -> None:
        async def script(transport: Transport) -> None:
            await transport.send(CaptionAction("agent", "Hello", final=True, reply=1))
            await say(transport)

        async with calling(script) as (h, call):
            for n in range(60):
                await call.send_audio(TONE)
                if n % 10 == 0:
                    call.send_rgb(np.full((48, 64, 3), 90, np.uint8))
            await h.runtime.until(lambda: len(h.runtime.video) >= 2)
            heard = b""
            async with asyncio.timeout(5):
                async for event in call:
                    match event:
                        case Caption(speaker="agent"):
                            assert (event.text, event.final) == ("Hello", True)
                        case Sound(pcm, 24_000, 1):
                            heard += pcm
                        case Voice(state="stopped"):
                            break
            assert len(heard) == pytest.approx(24_000, abs=960)
            assert len(call.speaker.read(12_000)) == 24_000
            await h.runtime.until(lambda: sum(len(c.samples) for c in h.runtime.audio) > 16_000)
            loud = np.concatenate([c.samples for c in h.runtime.audio])
            assert float(np.percentile(np.abs(loud), 97)) == pytest.approx(0.3, abs=0.05)
            assert h.runtime.video[0].pixels[10, 10].tolist() == [90, 90, 90]
        await h.runtime.until(h.runtime.ended.is_set)

    run(main)


def test_a_voice_that_is_cut_off_is_not_played_any_more() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def script(transport: Transport) -> None:
            await say(transport, 4)
            await go.wait()
            await transport.send(StopAudio(1))
            await asyncio.sleep(30)

        async with calling(script) as (_, call):
            async with asyncio.timeout(5):
                async for event in call:
                    if isinstance(event, Sound):
                        break
                while call.speaker.queued_s < 0.1:
                    await asyncio.sleep(0.01)
                go.set()
                async for event in call:
                    if isinstance(event, Voice) and event.state == "stopped":
                        assert event.cut
                        break
            assert call.speaker.queued_s == 0.0

    run(main)


def test_the_microphone_is_silent_while_the_agent_speaks_in_half_duplex() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def script(transport: Transport) -> None:
            await go.wait()
            await say(transport, 4)
            await asyncio.sleep(30)

        async with calling(script, duplex="half") as (h, call):
            states: list[str] = []

            async def follow() -> None:
                async for event in call:
                    if isinstance(event, Voice):
                        states.append(event.state)

            following = asyncio.create_task(follow())
            await call.send_audio(np.tile(TONE, 10))
            await h.runtime.until(lambda: loudness(h) > 0.2)
            go.set()
            await h.runtime.until(lambda: states == ["started"])
            h.runtime.audio.clear()
            for _ in range(15):
                await call.send_audio(TONE)
            await h.runtime.until(lambda: len(h.runtime.audio) > 10)
            assert loudness(h, 2) < 0.01, "the agent would hear itself"
            await h.runtime.until(lambda: states == ["started", "stopped"])
            await asyncio.sleep(0.35)
            h.runtime.audio.clear()
            await call.send_audio(np.tile(TONE, 15))
            await h.runtime.until(lambda: loudness(h) > 0.2)
            following.cancel()

    run(main)


def loudness(h: House, skip: int = 0) -> float:
    return max((float(np.abs(c.samples).max()) for c in h.runtime.audio[skip:]), default=0.0)


def test_push_to_talk_sends_only_while_the_button_is_down() -> None:
    async def main() -> None:
        async with calling(duplex="push") as (h, call):
            await call.send_audio(np.tile(TONE, 15))
            await h.runtime.until(lambda: len(h.runtime.audio) > 8)
            assert loudness(h) < 0.01
            await call.talk(True)
            await call.send_audio(np.tile(TONE, 15))
            await h.runtime.until(lambda: loudness(h) > 0.2)
            await call.talk(False)
            assert [(s.enabled, s.held) for s in h.runtime.signals] == [(True, False), (True, True), (True, False)]
        with pytest.raises(ValueError, match="push"):
            await Rapport.connect("http://localhost:1").talk(True)

    run(main)


def test_people_are_told_while_they_are_perceived() -> None:
    async def main() -> None:
        shown: list[tuple[frozenset[str], bool]] = []
        async with calling(server={"consent": "required"}) as (h, call):
            call.announce_affect(lambda p: shown.append((p.senses, p.affect)))
            await call.consent()
            await h.runtime.until(lambda: len(shown) == 2)
            await call.mute(camera=True)
            await h.runtime.until(lambda: len(shown) == 3)
        nobody, both = frozenset[str](), frozenset({"vad", "face"})
        assert shown == [(nobody, False), (both, True), (frozenset({"vad"}), False), (nobody, False)]

    run(main)


def test_a_lost_connection_is_found_again_and_the_call_goes_on() -> None:
    async def main() -> None:
        async with calling() as (h, call):
            await call.say("one")
            await h.runtime.until(lambda: len(h.runtime.texts) == 1)
            seen: list[type] = []

            async def follow() -> None:
                async for event in call:
                    seen.append(type(event))

            following = asyncio.create_task(follow())
            connection = call._carrier._connection
            assert connection is not None
            connection.transport.abort()
            await h.runtime.until(lambda: Back in seen)
            await call.say("two")
            await call.send_audio(np.tile(TONE, 10))
            await h.runtime.until(lambda: len(h.runtime.texts) == 2 and bool(h.runtime.audio))
            assert Lost in seen
            assert len(h.runtime.transports) == 1
            assert h.runtime.transports[0].call_id == call.id
            following.cancel()

    run(main)


def test_a_call_that_the_server_ends_says_why() -> None:
    async def main() -> None:
        async def script(transport: Transport) -> None:
            await transport.close()

        async with calling(script) as (_, call):
            with pytest.raises(CallOver):
                async for _event in call:
                    pass
            assert call.over
            with pytest.raises(CallOver):
                await call.say("anybody?")

    run(main)


def test_what_is_wrong_is_said_in_words() -> None:
    async def main() -> None:
        async with calling() as (h, call):
            with pytest.raises(Refused, match="Somebody is in a call with it") as refused:
                async with Rapport.connect(address(h, "ws")):
                    pass
            assert refused.value.status == 503
            assert refused.value.retry_after_s is not None
            with pytest.raises(Refused, match="no WebSocket here"):
                async with Rapport.connect(address(h) + "/elsewhere"):
                    pass
            with pytest.raises(ValueError, match="mono"):
                await call.send_audio(np.zeros((100, 2), np.int16))
            with pytest.raises(ValueError, match="resample"):
                await call.send_audio(TONE, 44_100)
            with pytest.raises(ValueError, match=r"\(h, w, 3\)"):
                call.send_rgb(np.zeros((10, 10), np.uint8))
            with pytest.raises(ValueError, match="send it as JPEG"):
                call.send_rgb(np.zeros((1080, 1920, 3), np.uint8))
            with pytest.raises(NotDone, match="senses"):
                await call.consent(["x" * 99])
            call.send_jpeg(b"no picture")
            async for event in call:
                if isinstance(event, Problem):
                    assert event.name == "not_a_picture"
                    break
        with pytest.raises(Unreachable, match="no Rapport server answers"):
            async with Rapport.connect(address(h)):
                pass

    run(main)


def test_sound_waits_for_its_time_and_pictures_give_way() -> None:
    async def main() -> None:
        async with calling() as (_, call):
            began = time.monotonic()
            await call.send_audio(np.tile(TONE, 50))
            assert 0.5 < time.monotonic() - began < 1.5
            picture = np.zeros((48, 64, 3), np.uint8)
            assert [call.send_rgb(picture) for _ in range(3)] == [True, False, False]
            await asyncio.sleep(0.1)
            assert call.send_rgb(picture)

    run(main)


def test_the_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    source = README.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 10

    async def main() -> None:
        async def script(transport: Transport) -> None:
            await transport.send(CaptionAction("agent", "I am", final=False, reply=1))
            await transport.send(CaptionAction("agent", "I am so sorry.", final=True, reply=1))
            await asyncio.sleep(30)

        async with house(script, consent="required") as h:
            code = source.replace("http://localhost:8080", address(h))
            thread = Thread("example")
            try:
                await thread.run(exec, code, {})
            finally:
                thread.close(5.0)
            await h.runtime.until(h.runtime.ended.is_set)
            assert h.runtime.texts[0].text == "My dog died last night."
            assert {"senses"} == {s.kind for s in h.runtime.signals}

    run(main)
    assert capsys.readouterr().out.splitlines()[-1] == "I am so sorry."


def test_a_program_without_asyncio_has_all_of_it() -> None:
    async def main() -> None:
        def program(url: str) -> list[str]:
            found: list[str] = []
            with Rapport.connect_sync(url, sound_hz=0) as call:
                call.announce_affect(lambda p: found.append("on" if p else "off"))
                call.consent(["vad"], recording=True)
                call.senses([])
                call.mute(microphone=True)
                call.stop()
                call.send_audio(bytes(TONE.tobytes()))
                call.offer_audio(TONE.astype(np.float32) / 32768)
                assert call.send_jpeg(b"\xff\xd8") is True
                call.send_rgb(np.zeros((4, 4, 3), np.uint8), "screen")
                assert not call.over
                assert call.id
                found += [type(e).__name__ for e in call.events(timeout_s=0.3)]
                assert call.state is not None
                assert call.state.microphone is False
                assert call.speaker.queued_s == 0.0
            assert call._loop.is_closed()
            with pytest.raises(Unreachable), Rapport.connect_sync("http://127.0.0.1:9"):
                pass
            return found

        async with house(lambda t: say(t, 2)) as h:
            thread = Thread("program")
            try:
                found = await thread.run(program, address(h))
            finally:
                thread.close(5.0)
        lights = [name for name in found if name in ("on", "off")]
        assert "on" in lights  # with the first state if that comes first, else with the consent
        assert lights[-1] == "off"
        assert "State" in found
        assert "Sound" not in found

    run(main)
