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
behind.
"""

from __future__ import annotations

import asyncio
import ipaddress
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
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import agent
from agent.clock import SystemClock
from agent.config import Config, ServerConfig
from agent.metrics import Metrics, watch_loop
from agent.transports import Transport
from agent.transports.webrtc import Bye, Offer, Refused, Trickle, WebRtcDoor, load

log = structlog.get_logger(__name__)

MAX_BODY: Final = 64 * 1024
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self), autoplay=(self)",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

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


def app(runtime: Runtime, config: Config, door: WebRtcDoor | None = None) -> Starlette:
    """Make the ASGI application.

    Args:
        runtime: holds the calls.
        config: its ``server`` part is read here.
        door: takes the offers; by default one as the configuration says.
    """
    server = config.server
    metrics = Metrics()
    door = door or webrtc_door(server)
    door.about = runtime.describe()
    door.watch = metrics.observe
    desk = _Desk(door, runtime, server, metrics)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(_log_unhandled)
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(door.open(runtime.answer), name="door"),
                group.create_task(watch_loop(metrics, SystemClock()), name="loop lag"),
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
    middleware = [Middleware(_Headers)]
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
    handlers: dict[Any, Callable[..., Any]] = {Refused: _refused, ClientDisconnect: _left}
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers, lifespan=lifespan)


def webrtc_door(server: ServerConfig) -> WebRtcDoor:
    """Make the WebRTC transport that the configuration describes."""
    return load(
        consent="given" if server.consent == "given" else "required",
        max_calls=server.max_calls,
        ice_servers=server.ice_servers,
        loopback=_is_loopback(server.host),
    )


def serve(config: Config) -> None:
    """Load the models and serve until SIGTERM or SIGINT; then end the calls in good order and return.

    Raises:
        agent.config.ConfigError: a part is not known or does not take its options.
        agent.models.ModelMissing: an embedded model is not there.
    """
    from agent import build

    server = config.server
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
            timeout_graceful_shutdown=5,
            timeout_keep_alive=10,
            h11_max_incomplete_event_size=MAX_BODY,
        )


class _Desk:
    """The handlers."""

    def __init__(self, door: WebRtcDoor, runtime: Runtime, server: ServerConfig, metrics: Metrics) -> None:
        self._door = door
        self._runtime = runtime
        self._server = server
        self._metrics = metrics

    async def offer(self, request: Request) -> Response:
        try:
            self._check_origin(request)
            self._check_json(request)
            self._door.about = self._runtime.describe()  # which mind can speak may have changed
            answer = await self._door.offer(await _body(request, Offer))
        except Refused as error:
            self._metrics.offers.labels(str(error.status)).inc()
            raise
        self._metrics.offers.labels("200").inc()
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

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
        servers = [{"urls": [url]} for url in self._server.ice_servers]
        return JSONResponse({"sessionId": secrets.token_hex(16), "iceConfig": {"iceServers": servers}})

    async def status(self, request: Request) -> Response:
        state = "ready" if self._door.open_to else "busy"
        found = {"status": state, "transports": ["webrtc"], "sends_to": self._runtime.sends_to()}
        return JSONResponse(found)

    async def alive(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        room = self._door.open_to
        found = {"ready": room > 0, "calls": self._door.calls, "room": room, "agent": self._runtime.describe()}
        return JSONResponse(found, status_code=200 if room else 503)

    async def numbers(self, request: Request) -> Response:
        self._metrics.calls.set(self._door.calls)
        return Response(self._metrics.text(), media_type=self._metrics.content_type)

    def _check_origin(self, request: Request) -> None:
        """Let only the own page call, and those that the configuration names; programs send no Origin."""
        origin = request.headers.get("origin")
        if origin is None or origin in self._server.allowed_origins:
            return
        host = request.headers.get("host", "")
        if urlsplit(origin).netloc != host:
            raise Refused(403, f"pages of {origin[:128]} may not call; see server.allowed_origins")
        # A name that was made to point here (DNS rebinding) is its own origin and yet a stranger's page.
        if _is_loopback(self._server.host) and not _is_loopback(urlsplit(f"//{host}").hostname or ""):
            raise Refused(403, f"this server is reached as localhost, not as {host[:128]}; see server.allowed_origins")

    def _check_json(self, request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, f"the body has to be application/json, not {kind[:64] or 'without a type'}")


async def _body(request: Request, model: type[M]) -> M:
    """Read and check a body.

    Raises:
        Refused: it is too long, no JSON, or not what ``model`` wants.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise Refused(413, f"the body has more than {MAX_BODY} bytes")
        parts.append(part)
    try:
        return model.model_validate_json(b"".join(parts))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(p) for p in first["loc"])
        raise Refused(400, f"{where}: {first['msg']}" if where else str(first["msg"])) from None


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    reason = str(error)
    titles = {400: "Bad request", 403: "Forbidden", 404: "Not found", 413: "Too large", 415: "Wrong type", 503: "Busy"}
    problem = {
        "type": "about:blank",
        "title": titles.get(error.status, "Not answered"),
        "status": error.status,
        "detail": reason,
        "info": reason,  # where some clients look for it
    }
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse(problem, error.status, headers, media_type="application/problem+json")


def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


class _Headers:
    """Adds the headers that every answer carries, where it does not say otherwise itself."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in _HEADERS.items() if k.lower().encode() not in given),
                ]
            await send(message)

        await self._inner(scope, receive, with_headers)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _has_uvloop() -> bool:
    try:
        import uvloop
    except ImportError:
        return False
    return bool(uvloop)


def _log_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    log.error("unhandled", what=context.get("message"), exc_info=error if isinstance(error, Exception) else None)
