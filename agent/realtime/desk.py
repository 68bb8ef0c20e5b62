"""``/v1/realtime``: a client that speaks OpenAI's Realtime API over a WebSocket as a caller."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.websockets import WebSocket

from agent.clock import Clock
from agent.realtime.pipe import RealtimePipe
from agent.realtime.session import OUTPUT_HZ, Session
from agent.reception import Reception
from agent.refusal import Refused
from agent.sockets import Connected, Pipe, SocketDoor, accepted, attend

PATH: Final = "/v1/realtime"

_PROTOCOL: Final = "realtime"
_KEY: Final = "openai-insecure-api-key."
"""How a browser, which can send no header, sends its key: as the name of a subprotocol."""

_WANTS: Final = {"sound": "pcm16", "rate": str(OUTPUT_HZ)}


class RealtimeDesk:
    """The handler.

    Args:
        reception: where every caller passes.
        door: opens calls.
        describe: returns the names of what is loaded.
        clock: real time.
    """

    def __init__(
        self, reception: Reception, door: SocketDoor, describe: Callable[[], Mapping[str, Any]], clock: Clock
    ) -> None:
        self._reception = reception
        self._door = door
        self._describe = describe
        self._clock = clock

    async def enter(self, socket: WebSocket) -> None:
        """Take one WebSocket from its handshake to its end."""
        await attend(socket, self._reception, self._open)

    async def _open(self, socket: WebSocket) -> Connected:
        self._reception.step(socket)
        self._reception.check_consent("a client of the Realtime API")
        for name in ("intent", "call_id"):
            if name in socket.query_params:
                raise Refused(400, f"?{name}= is not supported: a WebSocket is one whole session of its own")
        offered = [str(name) for name in socket.scope.get("subprotocols", ())]
        key = next((name.removeprefix(_KEY) for name in offered if name.startswith(_KEY)), None)
        about = self._describe()
        self._door.about = about
        session = session_of(about)

        async def accept() -> Pipe:
            pipe = await accepted(socket, _PROTOCOL if _PROTOCOL in offered else None)
            everything = socket.query_params.get("events") == "rapport"
            return RealtimePipe(pipe, session, self._clock, everything=everything)

        with self._reception.enter(socket, key) as visitor:
            return await self._door.take(accept, visitor, wants=_WANTS)


def session_of(about: Mapping[str, Any]) -> Session:
    """Return the settings of a new session.

    Args:
        about: the agent's parts by name.
    """
    voice, policy = str(about.get("voice", "default")), str(about.get("policy", "default"))
    return Session(f"sess_{secrets.token_hex(8)}", f"rapport-{policy}", voice=voice, hearing="asr")
