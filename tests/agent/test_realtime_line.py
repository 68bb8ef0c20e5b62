"""The sound of Realtime clients in time, and who of them is let in."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from agent import token
from agent.frames import Kind, unpack
from agent.realtime.calls import form_of
from agent.realtime.dialect import Message, Sound
from agent.realtime.spool import MOST_S, Spool
from agent.refusal import Refused
from perception.timebase import MS, SECOND, Nanos
from tests.rtc import Client
from tests.test_server import house, run


class Line:
    """Empties a spool as the pipe does, in a time of its own."""

    def __init__(self) -> None:
        self.spool = Spool()
        self.now: Nanos = 10 * SECOND
        self.came: list[tuple[Nanos, Any]] = []

    def run(self, length: Nanos) -> None:
        end = self.now + length
        while True:
            found = self.spool.next(self.now)
            if found is not None:
                self.came.append((self.now, unpack(found) if isinstance(found, bytes) else found))
                continue
            step = max(MS, self.spool.wait(self.now))
            if self.now + step > end:
                break
            self.now += step
        self.now = end

    @property
    def frames(self) -> list[tuple[Nanos, Any]]:
        return [(at, found) for at, found in self.came if not isinstance(found, str)]


def loud(ms: int, rate_hz: int = 24_000) -> Sound:
    return Sound(b"\x01\x10" * (rate_hz * ms // 1000), rate_hz)


def test_a_stream_is_passed_on_as_it_comes() -> None:
    line = Line()
    for _ in range(20):
        line.spool.append(loud(100))
        before = line.now
        line.run(100 * MS)
        assert line.frames[-1][0] - before <= 60 * MS
    assert len(line.frames) == 20
    assert [frame.time_us for _, frame in line.frames] == [100_000 * n for n in range(20)]


def test_a_file_takes_as_long_as_it_lasts() -> None:
    line = Line()
    assert line.spool.append(loud(3000))
    began = line.now
    line.run(4 * SECOND)
    last = max(at for at, frame in line.frames if any(frame.payload))
    assert 2800 * MS < last - began < 3000 * MS


def test_what_does_not_come_is_silence_after_a_while() -> None:
    line = Line()
    line.spool.append(loud(100))
    line.run(500 * MS)
    assert len(line.frames) == 1
    line.run(1500 * MS)
    heard = sum(len(frame.payload) / 2 / frame.rate_hz for _, frame in line.frames)
    assert heard == pytest.approx(2.0, abs=0.2)
    assert all(frame.kind is Kind.PCM16 for _, frame in line.frames)
    times = [frame.time_us for _, frame in line.frames]
    assert times == sorted(times)
    line.spool.append(loud(100))
    before = line.now
    line.run(100 * MS)
    spoken = next(at for at, frame in line.frames if at >= before and any(frame.payload))
    assert spoken - before < 100 * MS


def test_a_mark_waits_for_the_sound_before_it() -> None:
    line = Line()
    line.spool.append(loud(1000))
    line.spool.mark(Message("committed"))
    line.spool.append(loud(100))
    line.run(2 * SECOND)
    at = next(n for n, (_, found) in enumerate(line.came) if found == "committed")
    assert sum(any(found.payload) for _, found in line.came[:at]) == 10
    assert any(not isinstance(found, str) and any(found.payload) for _, found in line.came[at:])


def test_waiting_sound_is_bounded_and_can_be_cleared() -> None:
    line = Line()
    assert all(line.spool.append(loud(1000)) for _ in range(int(MOST_S)))
    assert not line.spool.append(loud(100))
    line.spool.mark(Message("kept"))
    line.spool.clear()
    assert line.spool.append(loud(100))
    line.run(SECOND)
    assert line.came[0][1] == "kept"


def test_messages_behind_sound_are_bounded() -> None:
    line = Line()
    line.spool.append(loud(1000))
    for _ in range(32):
        assert not line.spool.crowded
        line.spool.mark(Message("x"))
    assert line.spool.crowded
    line.run(2 * SECOND)
    assert not line.spool.crowded
    assert [found for _, found in line.came].count("x") == 32


def test_tiny_pieces_are_put_together() -> None:
    line = Line()
    for _ in range(2400):
        assert line.spool.append(Sound(b"\x01\x10", 24_000))
    line.run(500 * MS)
    assert len(line.frames) <= 6
    assert sum(len(frame.payload) for _, frame in line.frames) == 4800


@pytest.mark.slow
def test_who_is_let_in(tmp_path: Path) -> None:
    async def refused(url: str, **more: Any) -> tuple[int, str]:
        with pytest.raises(websockets.InvalidStatus) as error:
            await websockets.connect(url, **more)
        return error.value.response.status_code, (error.value.response.body or b"").decode()

    async def main() -> None:
        async with house(consent="required") as h:
            url = f"ws://127.0.0.1:{h.http.base_url.port}/v1/realtime"
            status, why = await refused(url)
            assert status == 403
            assert "server.consent" in why
        key_file = tmp_path / "key"
        token.new_key(key_file)
        async with house(key_file=str(key_file)) as h:
            url = f"ws://127.0.0.1:{h.http.base_url.port}/v1/realtime"
            assert (await refused(url))[0] == 401
            join = token.mint(token.read_key(key_file), ttl_s=60)
            names: list[Any] = ["realtime", f"openai-insecure-api-key.{join}"]
            async with websockets.connect(url, subprotocols=names) as socket:
                assert socket.subprotocol == "realtime"
                assert json.loads(await socket.recv())["type"] == "session.created"
            assert (await refused(url, subprotocols=names))[0] == 401, "a token opens one call"
        async with house(max_calls=1) as h:
            url = f"ws://127.0.0.1:{h.http.base_url.port}/v1/realtime"
            assert (await refused(url, origin="https://elsewhere.test"))[0] == 403
            assert (await refused(url + "?intent=transcription"))[0] == 400
            async with websockets.connect(url) as socket:
                await socket.recv()
                assert (await refused(url))[0] == 503
            async with asyncio.timeout(5):
                await h.runtime.ended.wait()
            assert h.runtime.why == "disconnect-bot"

    run(main)


@pytest.mark.slow
def test_its_sound_reaches_the_call() -> None:
    async def main() -> None:
        async with (
            house() as h,
            websockets.connect(f"ws://127.0.0.1:{h.http.base_url.port}/v1/realtime") as socket,
        ):
            await socket.recv()
            for _ in range(5):
                audio = base64.b64encode(b"\x00\x20" * 2400).decode()
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
                await asyncio.sleep(0.1)
            await h.runtime.until(lambda: sum(len(chunk.samples) for chunk in h.runtime.audio) > 7000)
            await socket.send("nonsense")
            assert json.loads(await socket.recv())["error"]["code"] == "invalid_json"

    run(main)


@pytest.mark.slow
def test_a_flood_of_nonsense_ends_the_call() -> None:
    async def main() -> None:
        async with (
            house() as h,
            websockets.connect(f"ws://127.0.0.1:{h.http.base_url.port}/v1/realtime") as socket,
        ):

            async def flood() -> None:
                while True:
                    for _ in range(200):
                        await socket.send("{}")
                    for _ in range(200):
                        await socket.recv()

            with pytest.raises(websockets.ConnectionClosed):
                await flood()
            async with asyncio.timeout(5):
                await h.runtime.ended.wait()

    run(main)


@pytest.mark.slow
def test_calls_over_webrtc_are_let_in_or_told_why() -> None:
    async def main() -> None:
        calls = "/v1/realtime/calls"
        sdp = {"Content-Type": "application/sdp"}
        async with house(consent="required") as h:
            assert (await h.http.post(calls, content="v=0", headers=sdp)).status_code == 403
        caller = Client()
        offered = (await caller.offer())["sdp"]
        async with house() as h:
            h.clients.append(caller)
            wrong: list[tuple[dict[str, Any], int]] = [
                ({"content": "v=0", "headers": sdp}, 400),
                ({"content": b"\xff", "headers": sdp}, 400),
                ({"json": {"sdp": "v=0"}}, 415),
                ({"files": {"session": (None, "{}")}}, 400),
                ({"files": {"sdp": (None, "v=0"), "session": (None, "nonsense")}}, 400),
                ({"files": {"sdp": (None, "v=0"), "session": (None, "[]")}}, 400),
                ({"files": {"sdp": (None, offered), "session": (None, '{"instructions": "x"}')}}, 400),
                ({"content": "nonsense", "headers": {"Content-Type": "multipart/form-data"}}, 400),
            ]
            for body, status in wrong:
                answer: httpx.Response = await h.http.post(calls, **body)
                assert answer.status_code == status, (body, answer.text)
            for name in ("none-such", "0" * 32):
                assert (await h.http.post(f"{calls}/{name}/hangup")).status_code == 404

    run(main)


def test_forms_are_read_and_nothing_else() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="sdp"\r\n\r\nv=0\r\n\r\n--x--\r\n'
    assert form_of("multipart/form-data; boundary=x", body) == {"sdp": b"v=0\r\n"}
    for kind in ("multipart/form-data", "multipart/form-data; boundary=y", "multipart/form-data; boundary=\n"):
        with pytest.raises(Refused):
            form_of(kind, body)
