"""The HTTP API against its contract: schemathesis makes good and bad requests from it, and checks the answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

import server
from agent.config import Config
from agent.server_options import ServerConfig
from agent.transports._bodies import Bye, Offer, Trickle
from tests.rtc import Recorder
from tests.test_server import free_port

pytestmark = pytest.mark.slow

PROBLEM = {
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["title", "status", "detail"],
                "properties": {"status": {"type": "integer"}, "detail": {"type": "string", "minLength": 1}},
            }
        }
    },
    "description": "why not",
}
TEXT = {"description": "text", "content": {"text/plain": {"schema": {"type": "string"}}}}


def _json(schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": "done", "content": {"application/json": {"schema": schema or {"type": "object"}}}}


def _body(model: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}


def _refusals(*more: int) -> dict[str, Any]:
    return {str(status): PROBLEM for status in (400, 403, 408, 413, 415, 429, 503, *more)}


ANSWER = _json({"type": "object", "required": ["sdp", "type", "pc_id"]})
SESSION = {
    "name": "session",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[a-z0-9]{1,32}$"},
}
OFFER = {"requestBody": _body(Offer), "responses": {"200": ANSWER, **_refusals(401, 410)}}
TRICKLE = {"requestBody": _body(Trickle), "responses": {"200": _json(), **_refusals(404)}}
BYE = {"requestBody": _body(Bye), "responses": {"204": {"description": "gone"}, **_refusals(404)}}
CONTRACT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "signalling", "version": "1"},
    "paths": {
        "/api/offer": {"post": OFFER, "patch": TRICKLE},
        "/sessions/{session}/api/offer": {"parameters": [SESSION], "post": OFFER, "patch": TRICKLE},
        "/api/bye": {"post": BYE, "delete": BYE},
        "/start": {"post": {"responses": {"200": _json({"required": ["sessionId", "iceConfig"]}), **_refusals(401)}}},
        "/status": {"get": {"responses": {"200": _json({"required": ["status"]})}}},
        "/livez": {"get": {"responses": {"200": TEXT}}},
        "/readyz": {"get": {"responses": {"200": _json({"required": ["ready"]}), "503": _json()}}},
        "/metrics": {"get": {"responses": {"200": TEXT, "403": PROBLEM}}},
    },
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A real server in a thread; every answer leaves a free line, or says that there is none."""
    port = free_port()
    application = server.app(Recorder(), Config(server=ServerConfig(port=port, consent="given", max_calls=2)))
    running = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=port, log_config=None, lifespan="on"))
    thread = threading.Thread(target=lambda: asyncio.run(running._serve()), name="api")
    thread.start()
    while not running.started:
        threading.Event().wait(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


SCHEMA = schemathesis.openapi.from_dict(CONTRACT)
OPERATIONS: list[Any] = [cast(Any, result).ok() for result in SCHEMA.get_all_operations()]
"""What is checked: no 5xx but a 503, statuses, types and bodies as the contract has them."""


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_keeps_to_the_contract(operation: Any, url: str) -> None:
    chosen = [
        CHECKS.get_one(name)
        for name in ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    ]

    def check(case: Any) -> None:
        answer = case.call(base_url=url)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, checks=chosen)

    _run(operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE), check)
    if operation.body:  # what asks for nothing cannot be asked wrongly
        _run(operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE), check)


def _run(strategy: Any, check: Any) -> None:
    from hypothesis import given

    bounded = settings(
        max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
    )
    wrap: Any = given(strategy)
    made: Any = cast(Any, bounded)(wrap(check))
    made()
