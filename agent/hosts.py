"""Under which names the server is reached.

A page of somebody else can have its own name point to this machine (DNS rebinding). To a browser it then is the
server's own page: it may read every answer, and a GET carries no Origin that would give it away. Its name does: what a
browser sends as ``Host`` no page can choose. So a request is answered only under a name that this server goes by.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from agent.answers import HANDLERS
from agent.doors import is_loopback
from agent.metrics import Metrics
from agent.refusal import Refused
from agent.server_options import ServerConfig

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]:@/?#\\]+)(:\d{0,5})?", re.IGNORECASE)


class Names:
    """The names of one server.

    Args:
        server: where it listens, and how else it is reached.
    """

    def __init__(self, server: ServerConfig) -> None:
        origins = (urlsplit(origin).hostname or "" for origin in server.allowed_origins)
        self._named = {name.strip("[]").lower().rstrip(".") for name in (*server.allowed_hosts, *origins)}
        self._inside = is_loopback(server.host)
        self._strict = self._inside or bool(server.allowed_hosts)

    def check(self, host: str) -> None:
        """See that a request is for this server.

        Args:
            host: as the client says it; empty for a program of old that says nothing, which no browser is.

        Raises:
            Refused: it is for somebody else.
        """
        if not host or not self._strict:
            return
        if not self.knows(host):
            how = "this server is reached as localhost" if self._inside else "this server goes by another name"
            raise Refused(
                403,
                f"{how}, not as {host[:128]!r}; if that is its name, add it to server.allowed_hosts",
                kind="host",
            )

    def told_to(self, asked: HTTPConnection, address: str) -> bool:
        """Return whether what is for operators may be told to this address under the name that it uses.

        A page in a browser on this machine comes from loopback, as an operator may, but under its own name.
        """
        host = asked.headers.get("host", "")
        return not host or not is_loopback(address) or self.knows(host) or _is_address(host)

    def knows(self, host: str) -> bool:
        """Return whether a ``Host`` is this machine's own, or among those that the configuration allows."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").lower().rstrip(".")
        return is_loopback(name) or name in self._named


def _is_address(host: str) -> bool:
    found = _HOST.fullmatch(host)
    try:
        return found is not None and bool(ip_address(found[1].strip("[]")))
    except ValueError:
        return False


class Hosts:
    """Refuses what is asked under another name; ASGI middleware.

    Args:
        inner: answers the rest.
        names: under which it is asked.
        metrics: counts what is refused.
    """

    def __init__(self, inner: ASGIApp, names: Names, metrics: Metrics) -> None:
        self._inner = inner
        self._names = names
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse one WebSocket before its handshake."""
        if scope["type"] not in ("http", "websocket"):
            await self._inner(scope, receive, send)
            return
        try:
            self._names.check(HTTPConnection(scope).headers.get("host", ""))
        except Refused as error:
            self._metrics.refused.labels(error.kind).inc()
            answer = HANDLERS[Refused](None, error)
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).send_denial_response(answer)
            else:
                await answer(scope, receive, send)
            return
        await self._inner(scope, receive, send)
