"""The door to the network: one port for the page, signalling, health and metrics.

==========================================  ===========================================================
``GET /``                                   the page
``POST``, ``PATCH /api/offer``              offer and trickled candidates, as Pipecat's SmallWebRTC has them
``POST /start``                             ``{sessionId, iceConfig}``; then the same under
                                            ``/sessions/{sessionId}/api/offer``
``POST``, ``DELETE /api/bye``               a page that goes away says so
``GET /status`` ``/livez`` ``/readyz``      whether it runs, and whether it takes one more call
``GET /metrics``                            Prometheus
==========================================  ===========================================================

What is refused is answered by ``application/problem+json`` (RFC 9457) with the reason, and leaves nothing
behind. Where others than this machine can reach it, every new call needs a join token (:mod:`agent.doors`), as
``Authorization: Bearer``, as ``?token=`` or in the body of the offer.
"""

from __future__ import annotations

import asyncio
import mimetypes
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import structlog
import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import agent
from agent.answers import HANDLERS, Headers
from agent.clock import SystemClock
from agent.config import Config
from agent.doors import Admission, among, is_loopback, is_public, key_of
from agent.metrics import Metrics, watch_loop
from agent.server_options import ServerConfig
from agent.transports import Transport
from agent.transports.webrtc import Bye, Offer, Refused, Trickle, WebRtcDoor, load

log = structlog.get_logger(__name__)

MAX_BODY: Final = 64 * 1024
_BODY_S: Final = 5.0
_CONNECTIONS: Final = 512

M = TypeVar("M", bound=BaseModel)


class Runtime(Protocol):
    """What holds the calls; :class:`agent.build.Runtime` is one."""

    async def answer(self, transport: Transport, /) -> None:
        """Hold one call to its end."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the names of what is loaded."""
        ...

    def sends_to(self) -> list[str]:
        """Return the names of other machines that are sent words, sound or pictures."""
        ...

    def watch(self, told: Callable[[str], None], /) -> None:
        """Let ``told`` take the outcomes of the operator's webhook."""
        ...


def app(runtime: Runtime, config: Config, door: WebRtcDoor | None = None) -> Starlette:
    """Make the ASGI application.

    Args:
        runtime: holds the calls.
        config: its ``server`` part is read here.
        door: takes the offers; by default one as the configuration says.

    Raises:
        agent.config.ConfigError: others can reach it and there is no key, or the key cannot be used.
    """
    server = config.server
    metrics = Metrics()
    admission = Admission(server, SystemClock())
    door = door or webrtc_door(server)
    door.about = runtime.describe()
    door.watch = metrics.observe
    runtime.watch(metrics.delivered)
    desk = _Desk(door, runtime, server, metrics, admission)

    def late(seconds: float) -> None:
        metrics.lag.observe(seconds)
        admission.load.observe(seconds)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(_log_unhandled)
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(door.open(runtime.answer), name="door"),
                group.create_task(watch_loop(late, SystemClock()), name="loop lag"),
            )
            yield
            for task in tasks:
                task.cancel()

    mimetypes.add_type("text/javascript", ".js")
    mimetypes.add_type("font/woff2", ".woff2")
    routes = [
        Route("/api/offer", desk.offer, methods=["POST"]),
        Route("/api/offer", desk.trickle, methods=["PATCH"]),
        Route("/sessions/{session}/api/offer", desk.offer, methods=["POST"]),
        Route("/sessions/{session}/api/offer", desk.trickle, methods=["PATCH"]),
        Route("/api/bye", desk.bye, methods=["POST", "DELETE"]),
        Route("/start", desk.start, methods=["POST"]),
        Route("/status", desk.status),
        Route("/livez", desk.alive),
        Route("/readyz", desk.ready),
        Route("/metrics", desk.numbers),
        Mount("/", StaticFiles(directory=Path(agent.__file__).parent / "web", html=True)),
    ]
    middleware = [Middleware(Headers)]
    if server.allowed_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(server.allowed_origins),
                allow_methods=["GET", "POST", "PATCH", "DELETE"],
                allow_headers=["content-type", "authorization"],
                expose_headers=["retry-after"],
            )
        )
    return Starlette(routes=routes, middleware=middleware, exception_handlers=HANDLERS, lifespan=lifespan)


def webrtc_door(server: ServerConfig) -> WebRtcDoor:
    """Make the WebRTC transport that the configuration describes."""
    return load(
        consent="given" if server.consent == "given" else "required",
        max_calls=server.max_calls,
        calls_per_label=server.calls_per_label,
        calls_per_address=server.calls_per_address,
        ice_servers=server.ice_servers,
        loopback=is_loopback(server.host),
        private=not is_public(server),
    )


def serve(config: Config) -> None:
    """Load the models and serve until SIGTERM or SIGINT; then end the calls in good order and return.

    Raises:
        agent.config.ConfigError: a part is not known or does not take its options.
        agent.models.ModelMissing: an embedded model is not there.
    """
    from agent import build

    server = config.server
    key_of(server)  # whether it may open is told before anything heavy is loaded
    with build.runtime(config) as runtime:
        application = app(runtime, config)
        # uvicorn raises the signal again once it has shut down; by then it has been obeyed.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        uvicorn.run(
            application,
            host=server.host,
            port=server.port,
            loop="uvloop" if _has_uvloop() else "asyncio",
            ws="websockets-sansio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(server.trusted_proxies),
            forwarded_allow_ips=list(server.trusted_proxies),
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=10,
            h11_max_incomplete_event_size=MAX_BODY,
        )


class _Desk:
    """The handlers."""

    def __init__(
        self, door: WebRtcDoor, runtime: Runtime, server: ServerConfig, metrics: Metrics, admission: Admission
    ) -> None:
        self._door = door
        self._runtime = runtime
        self._server = server
        self._metrics = metrics
        self._admission = admission

    async def offer(self, request: Request) -> Response:
        try:
            answer = await self._offer(request)
        except Refused as error:
            self._metrics.offers.labels(str(error.status)).inc()
            raise
        self._metrics.offers.labels("200").inc()
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def _offer(self, request: Request) -> dict[str, str]:
        self._check_origin(request)
        self._check_json(request)
        address = _address(request)
        self._admission.step(address)
        body = await _body(request, Offer)
        self._door.about = self._runtime.describe()  # which mind can speak may have changed
        if self._door.knows(body.pc_id):
            return await self._door.offer(body)
        with self._admission.enter(_token(request) or body.token, address) as visitor:
            return await self._door.offer(body, visitor)

    async def trickle(self, request: Request) -> Response:
        self._check_origin(request)
        self._check_json(request)
        await self._door.trickle(await _body(request, Trickle))
        return JSONResponse({"status": "success"})

    async def bye(self, request: Request) -> Response:
        self._check_origin(request)
        self._door.bye(await _body(request, Bye))
        return Response(status_code=204)

    async def start(self, request: Request) -> Response:
        self._check_origin(request)
        self._admission.step(_address(request))
        self._admission.check(_token(request))
        servers = [{"urls": [url]} for url in self._server.ice_servers]
        return JSONResponse({"sessionId": secrets.token_hex(16), "iceConfig": {"iceServers": servers}})

    async def status(self, request: Request) -> Response:
        state = "ready" if self._room else "busy"
        found = {"status": state, "transports": ["webrtc"], "sends_to": self._runtime.sends_to()}
        return JSONResponse(found)

    async def alive(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        room = self._room
        found: dict[str, Any] = {"ready": room > 0}
        if self._is_operator(request):
            more = {"calls": self._door.calls, "room": room, "lag_s": round(self._admission.load.lag_s, 3)}
            found |= more | {"agent": self._runtime.describe()}
        return JSONResponse(found, status_code=200 if room else 503)

    async def numbers(self, request: Request) -> Response:
        if not self._is_operator(request):
            raise Refused(403, "only the networks of server.operators may read this")
        self._metrics.calls.set(self._door.calls)
        return Response(self._metrics.text(), media_type=self._metrics.content_type)

    @property
    def _room(self) -> int:
        return 0 if self._admission.load.heavy else self._door.open_to

    def _is_operator(self, request: Request) -> bool:
        return not self._admission.guarded or among(_address(request), self._server.operators)

    def _check_origin(self, request: Request) -> None:
        """Let only the own page call, and those that the configuration names; programs send no Origin."""
        origin = request.headers.get("origin")
        if origin is None or origin in self._server.allowed_origins:
            return
        host = request.headers.get("host", "")
        if urlsplit(origin).netloc != host:
            raise Refused(403, f"pages of {origin[:128]} may not call; see server.allowed_origins")
        # A name that was made to point here (DNS rebinding) is its own origin and yet a stranger's page.
        if is_loopback(self._server.host) and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            raise Refused(403, f"this server is reached as localhost, not as {host[:128]}; see server.allowed_origins")

    def _check_json(self, request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, f"the body has to be application/json, not {kind[:64] or 'without a type'}")


async def _body(request: Request, model: type[M]) -> M:
    """Read and check a body.

    Raises:
        Refused: it is too long or too slow, no JSON, or not what ``model`` wants.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY:
                    raise Refused(413, f"the body has more than {MAX_BODY} bytes")
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_BODY_S:g} s") from None
    try:
        return model.model_validate_json(b"".join(parts))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(p) for p in first["loc"])
        raise Refused(400, f"{where}: {first['msg']}" if where else str(first["msg"])) from None


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _token(request: Request) -> str | None:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else request.query_params.get("token")


def _has_uvloop() -> bool:
    try:
        import uvloop
    except ImportError:
        return False
    return bool(uvloop)


def _log_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    log.error("unhandled", what=context.get("message"), exc_info=error if isinstance(error, Exception) else None)
