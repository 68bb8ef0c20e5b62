"""How a server is reached: its address, the handshake, and why it says no."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from rapport_client.errors import Refused, Unreachable
from rapport_client.events import Hello, parse
from rapport_client.frames import RATES_HZ, SUBPROTOCOL

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HELLO_S: Final = 10.0
_WRITE_AHEAD: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where to call, and how the agent's voice is wanted.

    Attributes:
        url: of the server's ``/ws``.
        token: join token, where the server asks for one.
        sound_hz: rate of the agent's voice; 0 for none.
        ssl: context for ``wss``, ``None`` for the usual one.
    """

    url: str
    token: str = field(default="", repr=False)
    sound_hz: int = 24_000
    ssl: Any = None

    @classmethod
    def of(cls, url: str, token: str = "", sound_hz: int = 24_000, ssl: Any = None) -> Address:
        """Make an address of what a person writes: ``http`` is ``ws``, and no path is ``/ws``.

        Raises:
            ValueError: it is no address, or the rate is none of those that there are.
        """
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.netloc:
            raise ValueError(f"{url!r} is no address of a server; write http://host:port or wss://host")
        if sound_hz and sound_hz not in RATES_HZ:
            raise ValueError(f"sound_hz is one of {', '.join(map(str, RATES_HZ))}, or 0 for no sound, not {sound_hz}")
        wants = {"sound": "pcm16", "rate": sound_hz} if sound_hz else {"sound": "none"}
        query = "&".join(q for q in (parts.query, urlencode(wants)) if q)
        path = parts.path if parts.path not in ("", "/") else "/ws"
        return cls(urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, query, "")), token, sound_hz, ssl)


async def dial(address: Address, resume: str = "", timeout_s: float = 10.0) -> tuple[ClientConnection, Hello]:
    """Open a connection, of a new call or of the one that ``resume`` goes on with; return it with the greeting.

    Raises:
        Refused: the server says no, and why.
        Unreachable: there is nobody, or somebody else.
    """
    headers = {"Rapport-Resume": resume} if resume else {}
    if address.token and not resume:
        headers["Authorization"] = f"Bearer {address.token}"
    more: dict[str, Any] = {"ssl": address.ssl} if address.ssl is not None else {}
    try:
        connection = await connect(
            address.url,
            additional_headers=headers,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            open_timeout=timeout_s,
            ping_interval=None,  # the call has signs of life of its own
            close_timeout=2.0,
            max_size=1 << 21,
            max_queue=64,
            write_limit=_WRITE_AHEAD,
            **more,
        )
    except InvalidStatus as error:
        raise _refused(error) from None
    except InvalidURI as error:
        raise Unreachable(str(error)) from None
    except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
        raise Unreachable(
            f"no Rapport server answers at {_bare(address.url)}: {error or type(error).__name__}"
        ) from None
    try:
        async with asyncio.timeout(_HELLO_S):
            first = await connection.recv()
    except (TimeoutError, WebSocketException) as error:
        await connection.close()
        raise Unreachable(f"the server did not greet: {error or type(error).__name__}") from None
    hello = parse(first) if isinstance(first, str) else None
    if not isinstance(hello, Hello):
        await connection.close()
        raise Unreachable("what answers there is no Rapport server")
    return connection, hello


def _refused(error: InvalidStatus) -> Refused | Unreachable:
    status, body = error.response.status_code, bytes(error.response.body or b"")
    try:
        reason = str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return Unreachable(f"no Rapport server answers there, but HTTP {status}")
    wait = error.response.headers.get("Retry-After", "")
    return Refused(status, reason, float(wait) if wait.isdecimal() else None)


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
