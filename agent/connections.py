"""The TCP connections of the server: how many there may be, from where, and how long one may keep it waiting.

As long as no request has come over it whole, a connection costs a descriptor and nothing else. So whoever opens many
and sends nothing, or half a head, shuts nobody out: such a connection has a deadline, and where there are too many the
one that has been waited for longest gives way to the next. The same holds for a client that does not read its answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import h11
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from agent.answers import HANDLERS
from agent.doors import among, whereabouts
from agent.refusal import Refused
from agent.server_options import ServerConfig
from perception.timebase import as_seconds

log = structlog.get_logger(__name__)

MOST_REQUESTS: Final = 512
"""Requests that are being answered at once; one more gets 503, unless it only asks whether the process lives."""

ALIVE: Final = "/livez"

_STALL_S: Final = 30.0
"""Longest wait for a client to read on: below 1.6 KB/s, at the buffers that uvicorn has."""

_QUIET_S: Final = 10.0
"""Least time between two lines of the log about too many connections."""

_RETRY_S: Final = 2
_LATE: Final = b'{"title":"Request Timeout","status":408,"detail":"the head of the request did not come in time"}'
_TOO_LATE: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_LATE), _LATE)
)


class Connections:
    """The open connections of one server.

    Args:
        server: how many there may be, and which proxies bring those of everybody.

    Attributes:
        most: open at once.
        told: is called with ``slow`` or ``crowd`` for each connection that is ended from here.
    """

    def __init__(self, server: ServerConfig) -> None:
        self.most = server.most_connections
        self.told: Callable[[str], None] = lambda why: None
        self._per_address = server.connections_per_address
        self._head_s = as_seconds(server.head_within)
        self._proxies = server.trusted_proxies
        self._open: dict[asyncio.BaseTransport, str] = {}
        self._by_address: Counter[str] = Counter()
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self._logged_at = -_QUIET_S
        self._unlogged = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def head_s(self) -> float:
        """Seconds in which the head of a request has to come."""
        return self._head_s

    def protocols(self) -> dict[str, Any]:
        """Return the settings of :class:`uvicorn.Config` that put its connections under this watch."""
        return {"http": partial(Connection, self), "ws": partial(Socket, self)}

    def enter(self, new: Connection, address: str) -> bool:
        """Count a connection, and return whether it may stay. Where there are too many, another one may have to go.

        Args:
            new: the connection.
            address: where it comes from, as its socket says it; a proxy's is not counted by it.
        """
        new.counted_by = "" if not address or _is_proxy(address, self._proxies) else whereabouts(address)
        crowded = bool(new.counted_by) and self._by_address[new.counted_by] >= self._per_address
        if (crowded and not self._end_one(new.counted_by)) or (len(self._open) >= self.most and not self._end_one("")):
            self._end(new.transport)
            return False
        self._open[new.transport] = new.counted_by
        self._by_address[new.counted_by] += 1
        return True

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """A connection is over."""
        address = self._open.pop(transport, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def wait_for(self, one: Connection, waiting: bool) -> None:
        """A connection keeps the server waiting from now on, or does so no longer."""
        self._waiting.pop(one, None)
        if waiting:
            self._waiting[one] = None

    def _end_one(self, address: str) -> bool:
        """End the connection that has been waited for longest, of an address or of all; return whether there is one."""
        found = next((one for one in self._waiting if not address or one.counted_by == address), None)
        if found is None:
            return False
        del self._waiting[found]
        self._end(found.transport)
        return True

    def _end(self, transport: asyncio.Transport) -> None:
        self.leave(transport)
        transport.abort()
        self.told("crowd")
        self._unlogged += 1
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= _QUIET_S:
            log.warning(
                "connections_full",
                open=len(self._open),
                most=self.most,
                ended=self._unlogged,
                fix="somebody opens many and leaves them idle; let a proxy in front limit them, see docs/security.md",
            )
            self._logged_at, self._unlogged = now, 0


class Connection(H11Protocol):
    """One HTTP connection, which may not keep the server waiting."""

    counted_by = ""

    def __init__(self, table: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._table = table
        self._state = ""
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False
        self._paused = False
        self._handed_over = False
        self._lost = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, or end it at once."""
        super().connection_made(transport)
        if self._table.enter(self, self.client[0] if self.client else ""):
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._lost = True
        self._table.leave(self.transport)
        self._look()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the first byte of a request starts its deadline anew."""
        if self._state == "head" and not self._begun:
            self._begun, self._state = True, ""
            self._look()
        super().data_received(data)
        self._look()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand over; the connection counts until the WebSocket is closed."""
        self._handed_over = True
        self._look()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """An answer is written; the next request may come."""
        super().on_response_complete()
        self._look()

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        super().timeout_keep_alive_handler()
        self._look()

    def shutdown(self) -> None:
        """The server stops."""
        super().shutdown()
        self._look()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self._paused = True
        self._look()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        self._paused = False
        self._look()

    def _look(self) -> None:
        """See whether the server waits for the client, and for what; set the deadline where that has changed."""
        state = self._now()
        if state == self._state:
            return
        self._state = state
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if state != "head":
            self._begun = False
        self._table.wait_for(self, bool(state))
        if state:
            self._timer = self.loop.call_later(self._table.head_s if state == "head" else _STALL_S, self._expire)

    def _now(self) -> str:
        if self._handed_over or self._lost:
            return ""
        if self.transport.is_closing() or self._paused:
            return "reading"
        return "head" if self.cycle is None or self.cycle.response_complete else ""

    def _expire(self) -> None:
        self._timer = None
        self._table.told("slow")
        if self._state != "head":
            self.transport.abort()
            return
        if self._begun and self.conn.our_state is h11.IDLE:
            self.transport.write(_TOO_LATE)
        self.transport.close()
        self._look()


class Socket(WebSocketsSansIOProtocol):
    """One WebSocket, which counts as a connection until it is closed."""

    def __init__(self, table: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._table = table

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._table.leave(self.transport)
        super().connection_lost(exc)


class Crowd:
    """Answers at most so many requests at once; ASGI middleware."""

    def __init__(self, inner: ASGIApp, most: int = MOST_REQUESTS) -> None:
        self._inner = inner
        self._most = most
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] == ALIVE:
            await self._inner(scope, receive, send)
            return
        if self._busy >= self._most:
            refused = Refused(503, "the server answers as many requests as it can; try again", _RETRY_S, kind="crowd")
            await HANDLERS[Refused](None, refused)(scope, receive, send)
            return
        self._busy += 1
        try:
            await self._inner(scope, receive, send)
        finally:
            self._busy -= 1


def _is_proxy(address: str, proxies: tuple[str, ...]) -> bool:
    return "*" in proxies or among(address, proxies)
