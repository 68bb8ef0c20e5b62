"""The door to the network: one port for the page, signalling, health and metrics.

==========================================  ===========================================================
``GET /``                                   the page
``POST``, ``PATCH /api/offer``              offer and trickled candidates, as Pipecat's SmallWebRTC has them
``POST /start``                             ``{sessionId, iceConfig}``; then the same under
                                            ``/sessions/{sessionId}/api/offer``
``GET /ws``                                 a WebSocket (docs/protocol.md)
``GET /api/ice``                            ``{iceServers}`` for one call, with credentials of its own
``POST``, ``DELETE /api/bye``               a page that goes away says so
``GET /status`` ``/livez`` ``/readyz``      whether it runs, and whether it takes one more call
``GET /metrics``                            Prometheus; for operators
``POST /drain``                             take no new calls, and stop when those that run are over; for operators
``/whip``                                   WHIP publishers as callers, see :mod:`agent.whip`
``/v1/realtime``                            clients of OpenAI's Realtime API, see :mod:`agent.realtime`
==========================================  ===========================================================

What is refused is answered by ``application/problem+json`` (RFC 9457) with the reason, and leaves nothing
behind. Where others than this machine can reach it, every new call needs a join token (:mod:`agent.doors`), as
``Authorization: Bearer``, as ``?token=`` or in the body of the offer.
"""

from __future__ import annotations

import asyncio
import gc
import mimetypes
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

import agent
from agent import fitness, serving
from agent.answers import HANDLERS, Headers
from agent.asking import address_of, body_of, check_type, token_of, with_port
from agent.clock import SystemClock
from agent.config import Config
from agent.connections import Connections, Crowd
from agent.descriptors import Descriptors, raise_limit
from agent.doors import Admission, is_fronted, is_loopback, is_public, key_of, operates
from agent.drain import Drain
from agent.elements import serving as elements
from agent.hosts import Hosts, Names
from agent.metrics import Metrics, watch_loop
from agent.privacy import deployment
from agent.realtime.calls import RealtimeCalls
from agent.realtime.channel import RealtimeTongue
from agent.realtime.desk import RealtimeDesk
from agent.reception import Reception
from agent.server_options import ServerConfig
from agent.sockets import SocketDesk, nowhere
from agent.transports import Transport
from agent.transports.webrtc import Bye, Candidate, Offer, Refused, Trickle, Visitor, WebRtcDoor, load
from agent.transports.websocket import WebSocketDoor
from agent.turn_servers import IceServers
from agent.whip import Whip
from perception.timebase import as_seconds

log = structlog.get_logger(__name__)

_UNSTORED: Final = {"Cache-Control": "no-store"}
_JSON: Final = "application/json"


class Runtime(fitness.Runtime, Protocol):
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
    deployment.check(config)
    server = config.server
    metrics = Metrics()
    admission = Admission(server, SystemClock())
    door = door or webrtc_door(server)
    door.about = runtime.describe()
    door.senses = runtime.senses
    door.watch = metrics.observe
    runtime.watch(metrics.delivered)
    ice = IceServers(server)
    door.ice = ice.for_server
    drain = Drain(door, server.drain, SystemClock())
    descriptors = Descriptors()
    connections = Connections(server)
    connections.told = lambda why: metrics.ended.labels(why).inc()
    names = Names(server)
    fit = fitness.Fitness(runtime, server)
    reception = Reception(server, admission, drain, metrics, descriptors, fit)
    desk = _Desk(door, runtime, server, metrics, admission, ice, drain, reception, connections, descriptors, names, fit)

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
                group.create_task(ice.watch(SystemClock()), name="relays"),
                group.create_task(drain.run(), name="drain"),
                group.create_task(descriptors.watch(SystemClock()), name="descriptors"),
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
        Route("/api/ice", desk.ice),
        Route("/start", desk.start, methods=["POST"]),
        Route("/status", desk.status),
        Route("/livez", desk.alive),
        Route("/readyz", desk.ready),
        Route("/metrics", desk.numbers),
        Route("/drain", desk.drain, methods=["POST"]),
        *Whip(reception, _Switchboard(door, runtime), ice.for_page).routes(),
        *RealtimeCalls(reception, _Switchboard(door, runtime), runtime.describe).routes(),
        WebSocketRoute("/ws", SocketDesk(reception, WebSocketDoor(door), runtime.describe).enter),
        WebSocketRoute(
            "/v1/realtime", RealtimeDesk(reception, WebSocketDoor(door), runtime.describe, SystemClock()).enter
        ),
        WebSocketRoute("/{path:path}", nowhere),
        Route("/embed/{element}.js", elements.serve),
        Mount("/", StaticFiles(directory=Path(agent.__file__).parent / "web", html=True)),
    ]
    middleware = [Middleware(Headers), Middleware(Crowd), Middleware(Hosts, names, metrics)]
    if server.allowed_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(server.allowed_origins),
                allow_methods=["GET", "POST", "PATCH", "DELETE"],
                allow_headers=["content-type", "authorization", "if-match"],
                expose_headers=["retry-after", "location", "etag", "link"],
            )
        )
    made = Starlette(routes=routes, middleware=middleware, exception_handlers=HANDLERS, lifespan=lifespan)
    made.state.drain = drain
    made.state.connections = connections
    return made


def webrtc_door(server: ServerConfig) -> WebRtcDoor:
    """Make the WebRTC transport that the configuration describes."""
    return load(
        consent="given" if server.consent == "given" else "required",
        max_calls=server.max_calls,
        calls_per_label=server.calls_per_label,
        calls_per_address=server.calls_per_address,
        ice_servers=server.ice_servers,
        loopback=is_loopback(server.host) and not is_fronted(server),
        private=not is_public(server),
        degraded_after_s=as_seconds(server.degraded_after),
        lost_after_s=as_seconds(server.lost_after),
        dead_after_s=as_seconds(server.dead_after),
        return_within_s=as_seconds(server.return_within),
    )


def serve(config: Config) -> None:
    """Load the models and serve until a signal; then end the calls in good order and return.

    SIGTERM, like ``POST /drain``, takes no new calls and lets those that run come to their end, for ``server.drain``
    at most; a second one ends them at once. So does SIGINT, which comes from somebody at a keyboard.

    Raises:
        agent.config.ConfigError: a part is not known or does not take its options.
        agent.models.ModelMissing: an embedded model is not there.
    """
    from agent import build

    server = config.server
    key_of(server)  # whether it may open is told before anything heavy is loaded
    deployment.check(config)
    serving.check_address(server)
    raise_limit()  # before processes are started, which inherit it
    with build.runtime(config) as runtime:
        application = app(runtime, config)
        # What is loaded stays; looking through it again and again would stop the loop for a tenth of a second.
        gc.collect()
        gc.freeze()
        connections: Connections = application.state.connections
        connections.most = Descriptors().for_connections(connections.most, server.max_calls)
        serving.run(application, server, application.state.drain, connections)


class _Desk:
    """The handlers."""

    def __init__(
        self,
        door: WebRtcDoor,
        runtime: Runtime,
        server: ServerConfig,
        metrics: Metrics,
        admission: Admission,
        ice: IceServers,
        drain: Drain,
        reception: Reception,
        connections: Connections,
        watch: Descriptors,
        names: Names,
        fit: fitness.Fitness,
    ) -> None:
        self._door = door
        self._runtime = runtime
        self._server = server
        self._metrics = metrics
        self._admission = admission
        self._ice = ice
        self._drain = drain
        self._reception = reception
        self._connections = connections
        self._descriptors = watch
        self._names = names
        self._fit = fit

    async def offer(self, request: Request) -> Response:
        with self._reception.counted():
            answer = await self._offer(request)
        return JSONResponse(answer, headers=_UNSTORED)

    async def _offer(self, request: Request) -> dict[str, Any]:
        self._reception.step(request)
        check_type(request, _JSON)
        body = await body_of(request, Offer)
        self._door.about = self._runtime.describe()  # which mind can speak may have changed
        if body.resume is not None or self._door.knows(body.pc_id):
            return await self._door.offer(body)
        with self._reception.enter(request, body.token) as visitor:
            return await self._door.offer(body, visitor)

    async def trickle(self, request: Request) -> Response:
        self._reception.check_origin(request)
        check_type(request, _JSON)
        await self._door.trickle(await body_of(request, Trickle))
        return JSONResponse({"status": "success"})

    async def bye(self, request: Request) -> Response:
        self._reception.check_origin(request)
        self._door.bye(await body_of(request, Bye))
        return Response(status_code=204)

    async def start(self, request: Request) -> Response:
        self._reception.check_origin(request)
        self._admission.step(address_of(request))
        self._admission.check(token_of(request))
        found = {"sessionId": secrets.token_hex(16), "iceConfig": {"iceServers": self._ice.for_page()}}
        return JSONResponse(found, headers=_UNSTORED)

    async def ice(self, request: Request) -> Response:
        """Credentials are for those who may call; a page that comes back without a token has had its own."""
        self._reception.check_origin(request)
        self._admission.step(address_of(request))
        given = token_of(request)
        servers: list[dict[str, Any]] = []
        if given or not self._admission.guarded:
            self._admission.check(given)
            servers = self._ice.for_page()
        return JSONResponse({"iceServers": servers}, headers=_UNSTORED)

    async def drain(self, request: Request) -> Response:
        self._reception.check_origin(request)
        if not self._is_operator(request):
            raise Refused(403, "only the networks of server.operators may stop this server", kind="operator")
        self._drain.begin()
        found = {"draining": True, "calls": self._door.calls, "seconds": round(self._drain.left_s)}
        return JSONResponse(found, 202, headers=_UNSTORED)

    async def status(self, request: Request) -> Response:
        state = "ready" if self._room else "busy"
        found: dict[str, Any] = {
            "status": state,
            "transports": ["webrtc", "websocket"],
            "sends_to": self._runtime.sends_to(),
            "privacy": self._runtime.describe().get("privacy", {}),
        }
        if self._drain.begun:
            found["draining"] = True
        return JSONResponse(found)

    async def alive(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        room = self._room
        found: dict[str, Any] = {"ready": room > 0}
        if (state := self._fit.state) != fitness.OK:
            found["senses"] = state
        if self._is_operator(request):
            more = {"calls": self._door.calls, "room": room, "lag_s": round(self._admission.load.lag_s, 3)}
            found |= more | self._fit.describe() | {"agent": self._runtime.describe(), "draining": self._drain.begun}
            found["descriptors"] = {
                "open": self._descriptors.open,
                "most": self._descriptors.most,
                "short": self._descriptors.short,
            }
            if self._server.name:
                found["name"] = self._server.name
            if self._ice.relays:
                found["relay"] = "not asked yet" if self._ice.problem is None else self._ice.problem or "ok"
        return JSONResponse(found, status_code=200 if room else 503)

    async def numbers(self, request: Request) -> Response:
        if not self._is_operator(request):
            raise Refused(403, "only the networks of server.operators may read this")
        self._metrics.calls.set(self._door.calls)
        self._metrics.senses_late.set(self._runtime.late_s())
        self._metrics.senses_given_up.set(len(self._runtime.given_up()))
        self._metrics.draining.set(self._drain.begun)
        self._metrics.connections.set(len(self._connections))
        self._metrics.descriptors.set(self._descriptors.open)
        self._metrics.most_descriptors.set(self._descriptors.most)
        self._metrics.relay.set(self._ice.relays and self._ice.problem == "")
        return Response(self._metrics.text(), media_type=self._metrics.content_type)

    @property
    def _room(self) -> int:
        shut = self._admission.load.heavy or self._descriptors.short or self._fit.state != fitness.OK
        return 0 if shut else self._door.open_to

    def _is_operator(self, request: Request) -> bool:
        if not self._admission.guarded:
            return True
        address = address_of(request)
        return operates(address, self._server) and not with_port(request) and self._names.told_to(request, address)


class _Switchboard:
    """The door as those want it who have SDP in a body of its own."""

    def __init__(self, door: WebRtcDoor, runtime: Runtime) -> None:
        self._door = door
        self._runtime = runtime

    async def offer(self, sdp: str, visitor: Visitor, /, tongue: RealtimeTongue | None = None) -> dict[str, Any]:
        self._door.about = self._runtime.describe()
        return await self._door.offer(Offer(sdp=sdp, type="offer"), visitor, tongue)

    async def trickle(self, pc_id: str, candidates: list[tuple[str, str]], /) -> None:
        found = [Candidate(candidate=text, sdp_mid=mid) for text, mid in candidates]
        await self._door.trickle(Trickle(pc_id=pc_id, candidates=found))

    def allow(self, pc_id: str, senses: frozenset[str] | None, recording: bool | None, /) -> dict[str, Any]:
        return self._door.allow(pc_id, senses, recording)

    def bye(self, pc_id: str, /) -> None:
        self._door.bye(Bye(pc_id=pc_id))


def _log_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    log.error("unhandled", what=context.get("message"), exc_info=error if isinstance(error, Exception) else None)
