"""One map from senses to media, used at every place: a sense of one's own is heard and seen as any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent import build
from agent.config import Config
from agent.parts import Parts
from agent.privacy.ledger import Ledger
from agent.sense_map import SHIPPED, SenseMap
from agent.transports.webrtc import Offer
from agent.transports.webrtc import load as webrtc
from agent.transports.websocket import load
from agent.voices.plain import PlainVoice
from perception.media import AudioChunk, Media, Text, VideoFrame
from perception.percept import Percept
from tests.agent.stage import Mind, Mindful, kind_words
from tests.rtc import Client
from tests.sockets import called, opened, talk


class Own:
    """A sense of one's own, that keeps what it is fed."""

    def __init__(self, name: str, *accepts: type[Any]) -> None:
        self.name = name
        self.accepts: tuple[type[Any], ...] = accepts
        self.fed: list[Media] = []

    def __call__(self) -> Own:
        return self

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        self.fed += media
        return []


def runtime(folder: Path, *workers: Own) -> build.Runtime:
    return build.Runtime(Config(), Parts(workers, Mindful(Mind(kind_words)), PlainVoice()), Ledger(folder))


def test_the_shipped_senses_are_as_their_workers_say() -> None:
    for name, accepts in SHIPPED.items():
        module = build.loader("worker", name).__globals__
        makers = [c for c in module.values() if isinstance(c, type) and c.__module__ == module["__name__"]]
        assert accepts in [getattr(object.__new__(c), "accepts", None) for c in makers], name


def test_a_sense_belongs_to_what_its_worker_accepts() -> None:
    found = SenseMap(
        {"claps": (AudioChunk,), "waves": (VideoFrame,), "both": (AudioChunk, VideoFrame), "read": (Text,)}
    )
    assert found.ears == {"claps", "both"}
    assert found.eyes == {"waves", "both"}
    assert found.hears(frozenset({"claps"}))
    assert not found.sees(frozenset({"claps", "read", "asr"})), "a sense that ships and is not loaded takes nothing"
    assert found.scopes(None) == {"voice", "face"}
    assert found.scopes(frozenset({"waves"})) == {"face"}
    assert found.scopes(frozenset({"gaze"})) == {"face"}
    assert found.scopes(frozenset({"read"})) == frozenset()
    assert {"claps", "asr", "expression", "words"} <= found.known
    assert "my aunt Gertrude" not in found.known


async def websocket(held: build.Runtime, names: list[str], enough: Callable[[], bool]) -> None:
    door = load(consent="required")
    door.senses = held.senses
    async with opened(held.answer, door), called(door) as pipe:
        pipe.ask("consent", {"senses": names, "version": 1})
        await pipe.wait_for(lambda m: m["type"] == "server-response")
        async with asyncio.TaskGroup() as group:
            talking = group.create_task(talk(pipe, 5))
            await pipe.until(enough)
            talking.cancel()


async def browser(held: build.Runtime, names: list[str], enough: Callable[[], bool]) -> None:
    door = webrtc(consent="required", loopback=True)
    door.senses = held.senses
    async with asyncio.TaskGroup() as group:
        task = group.create_task(door.open(held.answer))
        await asyncio.sleep(0)
        client = Client()
        await client.accept(await door.offer(Offer(**await client.offer())))
        client.ask("consent", {"senses": names, "version": 1})
        async with asyncio.timeout(8):
            while not enough():
                await asyncio.sleep(0.02)
        await client.close()
        task.cancel()


Way = Callable[[build.Runtime, list[str], Callable[[], bool]], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("way", [websocket, browser], ids=["websocket", "webrtc"])
def test_a_sense_of_ones_own_is_fed_what_it_accepts(tmp_path: Path, way: Way) -> None:
    claps, waves, other = Own("claps", AudioChunk), Own("waves", VideoFrame), Own("other", AudioChunk)
    held = runtime(tmp_path, claps, waves, other)
    asyncio.run(way(held, ["claps", "waves"], lambda: len(claps.fed) > 10 and len(waves.fed) > 1))
    assert all(isinstance(m, AudioChunk) for m in claps.fed)
    assert all(isinstance(m, VideoFrame) for m in waves.fed)
    assert not other.fed
    (entry,) = held.ledger.entries()[:1]
    assert (entry.senses, entry.scopes) == (("claps", "waves"), ("face", "voice"))
