"""The client against a real server on the loopback: what it brings, and how each failure is named, in real time."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import aclosing, contextmanager

import pytest

from policy.api_client import Client, Limits, Request, Usage
from policy.api_errors import ApiError, Busy, Refused, Stalled, Unreachable, Unreadable, shown
from policy.api_events import Delta
from tests.openai_server import GARBAGE, THOUGHT, OpenAIServer

PERSONAL = "My dog died last night."
PATIENT = Limits(connect=5.0, first_token=10.0, between_tokens=10.0, total=20.0)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as found:
        yield found


@contextmanager
def client_of(url: str) -> Iterator[Client]:
    client = Client(url, "secret", "tiny")
    try:
        yield client
    finally:
        client.close()


def asking(limits: Limits = PATIENT, retries: int = 0, **more: object) -> Request:
    content = [{"type": "text", "text": PERSON_SAYS}, {"type": "text", "text": "Decide with one JSON object."}]
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": content}]
    body = {"model": "tiny", "stream": True, "max_tokens": 99, "messages": messages, **more}
    return Request(body=json.dumps(body).encode(), sent=(PERSON_SAYS,), limits=limits, retries=retries)


PERSON_SAYS = f'[0:01.0] says: "{PERSONAL}"'


def ask(client: Client, request: Request) -> list[Delta]:
    async def collect() -> list[Delta]:
        async with aclosing(client.ask(request)) as stream:
            return [delta async for delta in stream]

    return asyncio.run(collect())


def failure(url: str, request: Request) -> tuple[ApiError, float]:
    """Return the error, and how long it took to come."""
    with client_of(url) as client:
        began = time.perf_counter()
        with pytest.raises(ApiError) as caught:
            ask(client, request)
        took = time.perf_counter() - began
        assert client.usage.failures == 1
    assert url in str(caught.value)
    assert PERSONAL not in str(caught.value)
    assert "secret" not in str(caught.value)
    return caught.value, took


def test_an_answer_comes_in_pieces_and_is_counted(server: OpenAIServer) -> None:
    with client_of(server.url) as client:
        found = ask(client, asking())
        assert len(found) > 10
        assert json.loads("".join(delta.text for delta in found))["action"] == "speak"
        assert found[-1].finish == "stop"
        once = client.usage
        assert once.requests == 1
        assert once.prompt_tokens > once.completion_tokens > 10
        assert (once.cached_tokens, once.failures) == (0, 0)
        ask(client, asking())
        again = client.usage
    assert again == Usage(
        requests=2,
        prompt_tokens=2 * once.prompt_tokens,
        cached_tokens=once.prompt_tokens,
        completion_tokens=2 * once.completion_tokens,
    )
    assert server.asked.key == "secret"


def test_characters_that_end_a_line_elsewhere_end_none_here(server: OpenAIServer) -> None:
    server.words = "One\u2028two\u0085three\u000cfour ünï 😀"
    with client_of(server.url) as client:
        found = ask(client, asking())
    assert json.loads("".join(delta.text for delta in found))["words"] == server.words


def test_a_connection_serves_again(server: OpenAIServer) -> None:
    with client_of(server.url) as client:
        for _ in range(3):
            ask(client, asking())
            wait(client._pumps, 2)  # until the rest of the response was read
    assert len({asked.port for asked in server.requests}) == 1


@pytest.mark.parametrize("mode", ["reasoning", "reasoning_content"])
def test_reasoning_comes_apart(server: OpenAIServer, mode: str) -> None:
    server.mode = mode
    with client_of(server.url) as client:
        found = ask(client, asking())
    assert "".join(delta.thought for delta in found) == THOUGHT
    assert json.loads("".join(delta.text for delta in found))


def test_no_server_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    error, took = failure(url, asking(retries=1))
    assert isinstance(error, Unreachable)
    assert "start the server" in str(error)
    assert took < 2


def test_no_connection_in_time_is_named() -> None:
    with socket.socket() as deaf, socket.socket() as first:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        first.connect(deaf.getsockname())  # takes the one place in its queue: the next connection hangs
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        error, took = failure(url, asking(Limits(connect=0.15, first_token=1.0)))
    assert isinstance(error, Stalled)
    assert error.stage == "connect"
    assert "connect_s" in str(error)
    assert 0.1 < took < 0.9


@pytest.mark.parametrize(
    ("mode", "at", "limits", "stage", "option"),
    [
        ("stall_first", 0.0, Limits(first_token=0.15), "first token", "first_token_s"),
        ("stall", 0.0, Limits(between_tokens=0.15), "between tokens", "between_tokens_s"),
        ("stall", 0.5, Limits(total=0.15), "total", "total_s"),
        ("stall_first", 0.0, Limits(total=0.15), "total", "total_s"),
    ],
)
def test_each_stall_is_named_within_its_limit(
    server: OpenAIServer, mode: str, at: float, limits: Limits, stage: str, option: str
) -> None:
    server.mode, server.at = mode, at
    error, took = failure(server.url, asking(limits, retries=3))
    assert isinstance(error, Stalled)
    assert (error.stage, error.kind) == (stage, "stalled")
    assert option in str(error)
    assert "0.15 s" in str(error)
    assert 0.12 < took < 2
    assert len(server.requests) == 1
    assert server.asked.gone.wait(2)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_is_starting_is_asked_again(server: OpenAIServer, status: int) -> None:
    server.mode, server.status, server.times = "status", status, 2
    with client_of(server.url) as client:
        assert ask(client, asking(retries=2))
        assert (client.usage.requests, client.usage.failures) == (3, 0)


def test_but_only_as_often_as_it_was_told(server: OpenAIServer) -> None:
    server.mode = "status"
    error, _ = failure(server.url, asking(retries=2))
    assert isinstance(error, Busy)
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_names_a_time_is_not_pressed(server: OpenAIServer, status: int) -> None:
    server.mode, server.status, server.headers = "status", status, {"Retry-After": "7"}
    error, _ = failure(server.url, asking(retries=2))
    assert isinstance(error, Busy)
    assert (error.after_s, error.kind) == (7.0, "busy")
    assert "in 7 s" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "fix"),
    [(400, "structured"), (401, "key_file"), (403, "key_file"), (404, "'tiny'"), (413, "budget"), (500, "log")],
)
def test_a_refusal_is_told_with_its_fix_and_not_asked_again(server: OpenAIServer, status: int, fix: str) -> None:
    server.mode, server.status = "status", status
    error, _ = failure(server.url, asking(retries=2))
    assert isinstance(error, Refused)
    assert (error.status, error.kind) == (status, "refused")
    assert "no room" in str(error)
    assert fix in str(error)
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed(server: OpenAIServer) -> None:
    server.mode, server.status, server.headers = "status", 307, {"Location": "http://127.0.0.1:9/v1"}
    error, _ = failure(server.url, asking())
    assert "redirects are not followed" in str(error)


@pytest.mark.parametrize(
    "message",
    [f"bad request: {PERSON_SAYS}", f"cannot read {PERSONAL}", f"[{{'msg': 'bad', 'input': '{PERSONAL}'}}]"],
)
def test_what_the_person_said_does_not_come_back_in_an_error(server: OpenAIServer, message: str) -> None:
    server.mode, server.status, server.message = "status", 400, message
    error, _ = failure(server.url, asking())  # which looks for the words in the message
    assert "answered 400" in str(error)


def test_messages_are_cut_to_what_can_be_shown() -> None:
    assert shown("one\n two\x1b[31m") == "one two[31m"
    assert len(shown("x" * 9000)) <= 200
    assert shown("bad url data:image/jpeg;base64,AAAA") == "bad url"
    assert shown("", ["anything at all"]) == "(without a message)"
    assert shown("the model does not exist", ["model"]) == "the model does not exist"


@pytest.mark.parametrize("mode", GARBAGE)
def test_garbage_is_named(server: OpenAIServer, mode: str) -> None:
    server.mode = mode
    error, took = failure(server.url, asking(retries=3))
    assert isinstance(error, Unreadable)
    assert error.kind == "garbled"
    assert took < 2
    assert len(server.requests) == 1


def test_an_answer_without_end_is_cut_off(server: OpenAIServer) -> None:
    server.words, server.every = "on and " * 20_000, 5_000
    error, _ = failure(server.url, asking(Limits()))
    assert isinstance(error, Unreadable)
    assert "most_tokens" in str(error)


@pytest.mark.parametrize(("mode", "kind"), [("cut", Unreachable), ("ends", Unreachable), ("error", Refused)])
def test_an_answer_that_breaks_off_is_not_asked_for_again(server: OpenAIServer, mode: str, kind: type) -> None:
    server.mode = mode
    error, _ = failure(server.url, asking(retries=3))
    assert isinstance(error, kind)
    assert len(server.requests) == 1


def test_what_happens_behind_the_last_word_does_not_matter(server: OpenAIServer) -> None:
    server.mode = "late_cut"
    with client_of(server.url) as client:
        assert json.loads("".join(delta.text for delta in ask(client, asking())))
        assert client.usage.failures == 0


def test_closing_is_quick_and_the_server_sees_it(server: OpenAIServer) -> None:
    server.mode = "stall"

    async def leave(client: Client) -> float:
        stream = client.ask(asking(Limits()))
        await anext(stream)
        began = time.perf_counter()
        await stream.aclose()
        return time.perf_counter() - began

    with client_of(server.url) as client:
        assert asyncio.run(leave(client)) < 0.1
        assert server.asked.gone.wait(2)
        server.mode = "ok"
        assert ask(client, asking())
        assert client.usage.failures == 0


def test_who_still_listens_when_the_client_closes_is_told(server: OpenAIServer) -> None:
    server.mode = "stall"

    async def listen(client: Client) -> None:
        async for _ in client.ask(asking(Limits())):
            threading.Thread(target=client.close).start()

    client = Client(server.url)
    with pytest.raises(Unreachable, match="closed"):
        asyncio.run(listen(client))
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(listen(client))


def test_a_loop_that_is_gone_harms_nobody(server: OpenAIServer) -> None:
    async def leave_without_a_word(client: Client) -> None:
        await anext(client.ask(asking(Limits())))

    with client_of(server.url) as client:
        asyncio.run(leave_without_a_word(client))
        assert server.asked.whole.wait(2)
        assert ask(client, asking())


def test_limits_have_to_be_lengths_of_time() -> None:
    with pytest.raises(ValueError, match="first_token_s = 0"):
        Limits(first_token=0)
    with pytest.raises(ValueError, match="total_s = nan"):
        Limits(total=float("nan"))
