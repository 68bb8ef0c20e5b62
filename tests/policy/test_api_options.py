"""Options of the served policy: what cannot be is named at the start, and what ships is complete."""

from __future__ import annotations

import asyncio
import threading
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from agent.config import load as load_config
from agent.models import resolve
from policy.api_session import Asking
from policy.backends import openai_api
from policy.backends.openai_api import OpenAIApi, OptionError
from policy.decision import Speak
from policy.guard import Guard
from tests.openai_server import OpenAIServer
from tests.policy.windows import talk


def loading(**options: Any) -> OpenAIApi:
    def nothing(name: str) -> Path:
        raise LookupError(name)

    return openai_api.load(**{"resolve": nothing, "url": "http://127.0.0.1:8000/v1", "model": "m", **options})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"url": "localhost:8000"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://me:secret@host/v1"}, "key_file"),
        ({"url": "http://host:port/v1"}, "url"),
        ({"model": " "}, "model"),
        ({"structured": "guided_json"}, "structured_outputs"),
        ({"budget": 10}, "budget"),
        ({"picture_height": 0}, "picture_height"),
        ({"retries": -1}, "retries"),
        ({"frame_every_s": 0.1}, "frame_every_s"),
        ({"connect_s": 0}, "connect_s"),
        ({"first_token_s": -1}, "first_token_s"),
        ({"answer_s": 0}, "answer_s"),
        ({"key": "a", "key_file": "b"}, "key_file"),
        ({"key_file": "/no/such/file"}, "key_file"),
        ({"key": "two words"}, "key"),
        ({"extra": {"stream": False}}, "stream"),
    ],
)
def test_an_option_that_cannot_be_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named) as caught:
        loading(**options)
    assert "secret" not in str(caught.value)


def test_options_are_judged_before_anything_heavy_is_loaded() -> None:
    threads = threading.active_count()
    with pytest.raises(LookupError, match="minilm"):
        loading()
    assert threading.active_count() == threads


def test_the_configuration_that_ships_names_every_option() -> None:
    config = load_config(Path(__file__).parents[2] / "configs" / "omni-vllm.toml")
    assert config.policy.use == "openai_api"
    assert [part.use for part in config.fallback] == ["compact"]
    assert config.call.keep_media
    known = set(signature(openai_api.load).parameters) - {"resolve", "key"}
    assert set(config.policy.options) == known
    with pytest.raises(LookupError, match="minilm"):
        loading(**config.policy.options)


@pytest.mark.models
@pytest.mark.slow
def test_it_loads_with_the_sentence_encoder_and_a_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("secret\n", encoding="utf-8")

    async def answer(policy: OpenAIApi, text: str) -> str:
        session = policy.session()
        found = [step async for step in session.decide(talk(text, face="sad"))]
        await session.close()
        return " ".join(step.text for step in found if isinstance(step, Speak))

    with OpenAIServer() as server:
        server.words = "That sounds exhausting. What happens when it starts?"
        url = f"{server.url}/chat/completions/"
        policy = openai_api.load(resolve=resolve, url=url, model="tiny", key_file=str(file))
        try:
            assert asyncio.run(answer(policy, "My boss shouts at me every single day.")) == server.words
            assert server.asked.key == "secret"
            # Danger is answered without the model.
            assert asyncio.run(answer(policy, "I want to kill myself."))
            assert len(server.requests) == 1
        finally:
            policy.close()


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://127.0.0.1:8000/v1", ""),
        ("http://localhost:8000/v1", ""),
        ("http://[::1]:8000/v1", ""),
        ("https://gpu.example/v1", "gpu.example"),
    ],
)
def test_it_says_where_words_and_pictures_go(url: str, other: str) -> None:
    policy = OpenAIApi(Asking(url=url, model="m"), Guard())
    assert policy.sends_to == other
    policy.close()
