"""The WebSocket route of the server: who may open one, in which version, and how it is refused.

What is refused is refused before the handshake, by an HTTP answer with the reason (:mod:`agent.answers`). A browser
shows its page none of that; a program reads it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.answers import HANDLERS
from agent.frames import SUBPROTOCOLS
from agent.reception import Reception
from agent.refusal import Refused, Visitor

RESUME: Final = "rapport-resume"
"""Header that goes on with a call; a browser, which can send none, says ``?resume=``."""

_WANTS: Final = ("sound", "rate")


class Pipe(Protocol):
    """Carries whole messages both ways. Text is ``str``."""

    async def receive(self) -> str | bytes | None:
        """Return the next message, or ``None`` once the other side has closed."""
        ...

    async def send(self, data: str | bytes) -> None:
        """Send a message; wait while the other side does not read.

        Raises:
            ConnectionError: there is nobody any more.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close with a code of RFC 6455 and a few words."""
        ...


Accept = Callable[[], Awaitable[Pipe]]


class Connected(Protocol):
    """A connection that stands."""

    async def run(self) -> None:
        """Carry media and messages until it is over."""
        ...


class SocketDoor(Protocol):
    """What opens calls; :class:`agent.transports.websocket.WebSocketDoor` is one."""

    @property
    def about(self) -> Mapping[str, Any]:
        """The agent's parts by name."""
        ...

    @about.setter
    def about(self, about: Mapping[str, Any], /) -> None: ...

    async def take(self, accept: Accept, visitor: Visitor, /, *, wants: Mapping[str, str]) -> Connected:
        """Open a call."""
        ...

    async def go_on(self, accept: Accept, resume: str, /, *, wants: Mapping[str, str]) -> Connected:
        """Go on with a call."""
        ...


class SocketDesk:
    """The handler of ``/ws``.

    Args:
        reception: where every caller passes.
        door: opens calls.
        describe: returns the names of what is loaded.
    """

    def __init__(self, reception: Reception, door: SocketDoor, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._reception = reception
        self._door = door
        self._describe = describe

    async def enter(self, socket: WebSocket) -> None:
        """Take one WebSocket from its handshake to its end."""
        await attend(socket, self._reception, self._open)

    async def _open(self, socket: WebSocket) -> Connected:
        self._reception.step(socket)
        chosen = choose(socket.scope.get("subprotocols", ()))
        wants = {name: socket.query_params[name] for name in _WANTS if name in socket.query_params}
        self._door.about = self._describe()  # which mind can speak may have changed

        async def accept() -> Pipe:
            return await accepted(socket, chosen)

        resume = _resume_of(socket)
        if resume:
            return await self._door.go_on(accept, resume, wants=wants)
        with self._reception.enter(socket) as visitor:
            return await self._door.take(accept, visitor, wants=wants)


async def attend(socket: WebSocket, reception: Reception, opened: Callable[[WebSocket], Awaitable[Connected]]) -> None:
    """Take one WebSocket from its handshake to its end.

    Args:
        socket: of the client.
        reception: counts how it went.
        opened: opens the call, or raises ``Refused``, or ``ConnectionError`` if the client has left meanwhile.
    """
    try:
        with reception.counted():
            connected = await opened(socket)
    except Refused as error:
        await socket.send_denial_response(HANDLERS[Refused](socket, error))
    except ConnectionError:
        pass
    else:
        await connected.run()


async def accepted(socket: WebSocket, subprotocol: str | None) -> StarlettePipe:
    """Finish the handshake.

    Raises:
        ConnectionError: the client has left.
    """
    try:
        await socket.accept(subprotocol)
    except (WebSocketDisconnect, OSError, RuntimeError) as error:
        raise ConnectionError("the client left") from error
    return StarlettePipe(socket)


async def nowhere(socket: WebSocket) -> None:
    """Answer whoever opens a WebSocket where there is none."""
    await socket.send_denial_response(HANDLERS[Refused](socket, Refused(404, "there is no WebSocket here; see /ws")))


class StarlettePipe:
    """Messages over a WebSocket of Starlette that has been accepted."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes | None:
        """Return the next message, or ``None`` once the other side has closed."""
        try:
            message = await self._socket.receive()
        except RuntimeError:
            return None
        if message["type"] == "websocket.disconnect":
            return None
        data: bytes | None = message.get("bytes")
        text: str = message.get("text") or ""
        return text if data is None else data

    async def send(self, data: str | bytes) -> None:
        """Send a message; wait while the other side does not read.

        Raises:
            ConnectionError: there is nobody any more.
        """
        try:
            if isinstance(data, str):
                await self._socket.send_text(data)
            else:
                await self._socket.send_bytes(data)
        except (WebSocketDisconnect, OSError, RuntimeError) as error:
            raise ConnectionError("the client is gone") from error

    async def close(self, code: int, reason: str) -> None:
        """Close with a code of RFC 6455 and a few words."""
        try:
            await self._socket.close(code, reason)
        except (WebSocketDisconnect, OSError, RuntimeError) as error:
            raise ConnectionError("the client is gone") from error


def choose(offered: object) -> str:
    """Return the version to speak of those that a client offers.

    Raises:
        Refused: none of them is spoken here.
    """
    names = [str(name) for name in offered] if isinstance(offered, (list, tuple)) else []
    for known in SUBPROTOCOLS:
        if known in names:
            return known
    told = f"{', '.join(names)[:128]} is not spoken here" if names else "no version was offered"
    raise Refused(400, f"wrong_version: {told}; offer {SUBPROTOCOLS[0]} as Sec-WebSocket-Protocol", kind="malformed")


def _resume_of(connection: HTTPConnection) -> str:
    found: str = connection.headers.get(RESUME) or connection.query_params.get("resume") or ""
    return found
