"""A sense of one's own: the page asks for it in the words of the configuration, and the real server feeds it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

import server as rapport
from agent import build, serving
from agent.config import Config, ConfigError, parse
from agent.parts import CallOptions, Parts
from agent.privacy import deployment, kept
from agent.sense_map import SenseMap
from agent.voices.plain import PlainVoice
from perception.media import AudioChunk, Media
from perception.percept import Percept
from tests.agent.stage import Mind, Mindful, kind_words
from tests.privacy.house import Watched
from tests.web.browser import until
from tests.web.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CLAPS = {"title": "Claps & <b>thuds</b>", "what": "When you clap your hands. Nothing else of the sound."}


class Claps:
    """Reports a clap every second of sound."""

    name = "claps"
    accepts = (AudioChunk,)

    def __init__(self) -> None:
        self.fed = 0

    def __call__(self) -> Claps:
        return self

    def feed(self, media: Sequence[Media], /) -> list[Percept]:
        found = []
        for chunk in media:
            assert isinstance(chunk, AudioChunk)
            self.fed += 1
            if self.fed % 50 == 1:
                found.append(Percept("clap", "two_claps", chunk.start, chunk.end, 0.9, "claps"))
        return found


@contextmanager
def served(folder: Path, workers: Sequence[Claps | Watched]) -> Iterator[tuple[str, build.Runtime]]:
    """The real server with these senses, in a thread of its own."""
    table = {
        "server": {"port": 0},
        "privacy": {"directory": str(folder / "state"), "senses": {"claps": CLAPS}},
    }
    config: Config = parse(table, "test")
    parts = Parts(workers, Mindful(Mind(kind_words)), PlainVoice(), CallOptions(greeting=False, reflexes=False))
    ledger = kept.ledger_of(config)
    made = build.Runtime(config, parts, ledger)
    made = build.Runtime(config, parts, ledger, offered=deployment.offered(config, made.senses))
    running = uvicorn.Server(
        uvicorn.Config(rapport.app(made, config), host="127.0.0.1", port=0, log_config=None, **serving.WEBSOCKETS)
    )

    def work() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(running.serve())
        loop.run_until_complete(asyncio.sleep(0.1))  # so that what it closed is closed before the loop is
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while not running.started:
            thread.join(0.02)
        port = running.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/", made
    finally:
        running.should_exit = True
        thread.join(15)


def test_the_page_asks_for_it_and_it_is_fed(visit: Open, tmp_path: Path) -> None:
    claps, asr, face = Claps(), Watched("asr"), Watched("face", sees=True)
    with served(tmp_path, [claps, asr, face]) as (url, runtime):
        v = visit(url=url)
        v.expected = ("Permissions-Policy",)
        until(v.page, "!!part('#allow-claps')")
        label = "part('#allow-claps').closest('label')"
        assert v.page.evaluate(f"{label}.querySelector('b').textContent") == CLAPS["title"], "words, never markup"
        assert v.page.evaluate(f"{label}.querySelector('small').textContent") == CLAPS["what"]
        assert v.page.evaluate(f"{label}.closest('fieldset').querySelector('legend').textContent") == (
            "From your microphone"
        )
        v.shot("own-sense-consent")
        for sense in ("words", "voice", "expression", "gaze", "gesture", "scene"):
            v.page.evaluate(f"part('#allow-{sense}').click()")
        assert v.page.evaluate("part('#start').textContent") == "Allow one of seven and start"
        v.begin()
        until(v.page, "rapport.rows.claps?.text === 'Two claps'")
        v.shot("own-sense-call")
        assert claps.fed > 5
        assert not asr.fed
        assert not face.fed
        (entry,) = runtime.ledger.entries()
        assert (entry.senses, entry.scopes) == (("claps",), ("voice",))
        v.page.evaluate("part('#flip-claps').click()")
        until(v.page, "rapport.rows.claps.state === 'off'")
        while len(runtime.ledger.entries()) < 2:
            v.page.wait_for_timeout(50)
        fed = claps.fed
        v.page.wait_for_timeout(400)
        assert claps.fed == fed, "and taken back as any other"
        v.page.evaluate("part('#hangup').click()")


def test_a_sense_that_is_not_described_is_not_offered(visit: Open, tmp_path: Path) -> None:
    with served(tmp_path, [Claps(), Watched("bare")]) as (url, _):
        v = visit(url=url)
        v.expected = ("Permissions-Policy",)
        until(v.page, "!!part('#allow-claps')")
        assert v.page.evaluate("part('#allow-bare') === undefined")


def test_a_description_of_what_is_not_loaded_is_an_error() -> None:
    config = parse({"privacy": {"senses": {"claps": CLAPS}}}, "test")
    with pytest.raises(ConfigError, match="describes a sense that no worker has; your own are: b"):
        deployment.offered(config, SenseMap({"asr": (AudioChunk,), "b": (AudioChunk,)}))


@pytest.mark.parametrize(
    ("senses", "why"),
    [
        ({"asr": CLAPS}, "the page has words of its own for asr, expression"),
        ({"a b": CLAPS}, "describe senses of your own"),
        ({"claps": {"title": "Claps"}}, "needs title = "),
        ({"claps": "Claps"}, "needs title = "),
        ({"claps": CLAPS | {"title": ""}}, "privacy.senses.claps.title is '', expected 1 to 40 characters"),
        ({"claps": CLAPS | {"what": 3}}, "privacy.senses.claps.what is 3, expected 1 to 200 characters"),
    ],
)
def test_a_description_that_cannot_be_is_told(senses: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse({"privacy": {"senses": senses}}, "test")
