"""The HTTP server as a process: its limits, and the signals that it obeys."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from types import FrameType
from typing import Any, Final

import structlog
import uvicorn

from agent.asking import MAX_BODY
from agent.config import ConfigError
from agent.connections import Connections
from agent.drain import Drain
from agent.frames import MOST_BYTES
from agent.server_options import ServerConfig

log = structlog.get_logger(__name__)

WEBSOCKETS: Final[dict[str, Any]] = {
    "ws": "websockets-sansio",
    "ws_max_size": MOST_BYTES,
    "ws_per_message_deflate": False,  # sound and JPEG do not get smaller, and a small message could become a large one
}

_NOT_STARTED: Final = 3
_LAST_RESORT_S: Final = 20.0
"""A process that has hung up and does not come to its end is ended after this."""


def settings(application: Any, server: ServerConfig, connections: Connections) -> uvicorn.Config:
    """Return how the application is served.

    Args:
        application: an ASGI application.
        server: where to listen, and which proxies to believe.
        connections: watches over the connections.
    """
    return uvicorn.Config(
        application,
        host=server.host,
        port=server.port,
        loop="uvloop" if _has_uvloop() else "asyncio",
        **WEBSOCKETS | connections.protocols(),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=list(server.trusted_proxies),
        timeout_graceful_shutdown=5,
        timeout_keep_alive=10,
        h11_max_incomplete_event_size=MAX_BODY,
    )


def check_address(server: ServerConfig) -> None:
    """See that the address can be listened on, before anything heavy is loaded.

    Raises:
        ConfigError: it cannot.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(server.host or None, server.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        fix = "stop the program that listens there, or choose another port: --port, or server.port"
        if error.errno not in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", None)):
            fix = "choose an address of this machine and a port that this user may open: server.host and server.port"
        where = f"{server.host or '*'} port {server.port}"
        raise ConfigError(f"cannot listen on {where}: {error.strerror or error}; {fix}") from None


def run(application: Any, server: ServerConfig, drain: Drain, connections: Connections) -> None:
    """Serve until the drain is done.

    SIGTERM begins it, a second one ends it at once. So does SIGINT, which comes from somebody at a keyboard.

    Args:
        application: an ASGI application, whose lifespan runs ``drain``.
        server: where to listen, and which proxies to believe.
        drain: sees to the end of the calls.
        connections: watches over the connections.

    Raises:
        SystemExit: the address cannot be listened on.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # once it has shut down, it has been obeyed
        signal.signal(number, lambda *_: None)
    running = _Server(settings(application, server, connections), drain)
    running.run()
    if not running.started:
        raise SystemExit(_NOT_STARTED)


class _Server(uvicorn.Server):
    def __init__(self, settings: uvicorn.Config, drain: Drain) -> None:
        super().__init__(settings)
        self._drain = drain
        drain.done = self._done

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if sig == signal.SIGINT or self._drain.begun:
            self._drain.hurry()
        else:
            self._drain.begin()
        if not self.started:
            self.should_exit = True

    def _done(self) -> None:
        last = threading.Timer(_LAST_RESORT_S, _give_up)
        last.daemon = True
        last.start()
        self.should_exit = True


def _give_up() -> None:
    log.critical("stop_hangs", after_s=_LAST_RESORT_S, fix="something does not come to its end; the process is ended")
    os._exit(1)


def _has_uvloop() -> bool:
    try:
        import uvloop
    except ImportError:
        return False
    return bool(uvloop)
