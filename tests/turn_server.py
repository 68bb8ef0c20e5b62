"""A small TURN server on loopback: it gives allocations to whoever has the right credentials, and relays nothing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aioice import stun, turn

REALM = "rapport.test"
NONCE = b"0123456789abcdef"


class TurnServer(asyncio.DatagramProtocol):
    """Answers Allocate and Refresh requests.

    Args:
        secret: shared with whoever makes credentials.
        now_s: seconds since 1970.

    Attributes:
        silent: whether it answers nothing.
        usernames: of the allocations that were given, in order.
        open: allocations that were not given back.
        url: its own.
    """

    def __init__(self, secret: bytes, now_s: Callable[[], float]) -> None:
        self.silent = False
        self.usernames: list[str] = []
        self.open = 0
        self.url = ""
        self._secret = secret
        self._now_s = now_s
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.silent:
            return
        request = stun.parse_message(data)
        username = request.attributes.get("USERNAME")
        if username is None:
            self._refuse(request, addr, 401)
            return
        digest = hmac.new(self._secret, username.encode(), hashlib.sha1).digest()
        key = turn.make_integrity_key(username, REALM, base64.b64encode(digest).decode())
        if not request.check_message_integrity(key):
            self._refuse(request, addr, 401)
            return
        if int(username.partition(":")[0]) < self._now_s():
            self._refuse(request, addr, 401)
            return
        answer = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        lifetime = request.attributes.get("LIFETIME", 600)
        answer.attributes["LIFETIME"] = lifetime
        if request.message_method == stun.Method.ALLOCATE:
            self.usernames.append(username)
            self.open += 1
            answer.attributes["XOR-MAPPED-ADDRESS"] = addr
            answer.attributes["XOR-RELAYED-ADDRESS"] = ("127.0.0.1", 50_000 + self.open)
        elif request.message_method == stun.Method.REFRESH and not lifetime:
            self.open -= 1
        answer.add_message_integrity(key)
        self._transport.sendto(bytes(answer), addr)

    def _refuse(self, request: Any, addr: Any, code: int) -> None:
        answer = stun.Message(request.message_method, stun.Class.ERROR, request.transaction_id)
        answer.attributes["ERROR-CODE"] = (code, "Unauthorized")
        answer.attributes["REALM"] = REALM
        answer.attributes["NONCE"] = NONCE
        self._transport.sendto(bytes(answer), addr)


@asynccontextmanager
async def serving(secret: bytes, now_s: Callable[[], float]) -> AsyncIterator[TurnServer]:
    """Run a server for as long as the block."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: TurnServer(secret, now_s), local_addr=("127.0.0.1", 0)
    )
    server.url = f"turn:127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    try:
        yield server
    finally:
        transport.close()
