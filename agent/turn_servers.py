"""Relays (TURN) for callers who cannot be reached otherwise: credentials of one call each, and whether a relay works.

Credentials follow the convention that coturn calls ``use-auth-secret`` and Pion ``long-term credentials with a shared
secret`` (draft-uberti-behave-turn-rest): the username is ``EXPIRY:LABEL``, the password the Base64 of its HMAC-SHA1
under a secret that both servers know. Neither is ever logged. A relay that refuses them, or is not there,
raises nothing in WebRTC: there is merely no relay, and whoever needs one hears nothing. So it is asked for one, really,
at the start and every few minutes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from aioice import stun, turn
from aiortc import RTCIceServer
from aiortc.rtcicetransport import parse_stun_turn_uri

from agent import token
from agent.clock import Clock
from agent.config import ConfigError
from agent.server_options import ServerConfig
from perception.timebase import SECOND, Nanos, as_seconds

log = structlog.get_logger(__name__)

ASK_EVERY: Final[Nanos] = 300 * SECOND
ASK_AGAIN: Final[Nanos] = 30 * SECOND
"""After a failure."""

_ASK_S: Final = 5.0
_LEAST_SECRET: Final = 16


def credentials(secret: bytes, expires_s: int, label: str) -> tuple[str, str]:
    """Return user name and password for a relay.

    Args:
        secret: what this server and the relay share.
        expires_s: until when they are valid, seconds since 1970.
        label: tells one call's from another's; random, and nobody's name.
    """
    username = f"{expires_s}:{label}"
    digest = hmac.new(secret, username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


class IceServers:
    """STUN and TURN servers as the configuration names them, for pages and for this server's own connections.

    Args:
        server: URLs, secret file and how long credentials are valid.
        now_s: seconds since 1970.
        label: makes the label of credentials.

    Attributes:
        problem: why there is no relay, ``""`` where there is one, or none is wanted; ``None`` before it was asked.

    Raises:
        ConfigError: a URL or the secret file cannot be used; the message says what to do.
    """

    def __init__(
        self,
        server: ServerConfig,
        now_s: Callable[[], float] = token.now_s,
        label: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._stun = [url for url in server.ice_servers if not url.startswith("turn")]
        self._urls = server.turn_urls
        self._secret = _secret(server)
        self._ttl_s = int(as_seconds(server.turn_ttl))
        self._now_s = now_s
        self._label = label
        self._others = [url for url in server.ice_servers if url.startswith("turn")]
        self.problem: str | None = None if self._urls else ""

    @property
    def relays(self) -> bool:
        """Whether relays are named."""
        return bool(self._urls)

    def for_page(self) -> list[dict[str, Any]]:
        """Return ``iceServers`` for the ``RTCPeerConnection`` of one call."""
        found: list[dict[str, Any]] = [{"urls": [url]} for url in (*self._stun, *self._others)]
        if self._urls:
            username, password = self._mint()
            found.append({"urls": list(self._urls), "username": username, "credential": password})
        return found

    def for_server(self) -> list[RTCIceServer]:
        """Return the servers for one connection of this server; without a relay that does not answer, for each would
        cost it five seconds."""
        found = [RTCIceServer(urls=[url]) for url in (*self._stun, *self._others)]
        if self._urls and not self.problem:
            username, password = self._mint()
            found.append(RTCIceServer(urls=list(self._urls), username=username, credential=password))
        return found

    async def ask(self) -> str:
        """Ask each relay for an allocation, and give it back; return why there is none, or ``""``."""
        problems: list[str] = []
        for url in self._urls:
            why = await self._ask(url)
            if why:
                problems.append(f"{url}: {why}")
        self.problem = "; ".join(problems)
        return self.problem

    async def watch(self, clock: Clock) -> None:
        """Ask again and again, until cancelled; at once where no relay is named."""
        while self._urls:
            before = self.problem
            problem = await self.ask()
            if problem and problem != before:
                fix = "callers behind strict firewalls cannot be heard meanwhile; see server.turn_urls"
                log.error("no_relay", why=problem, fix=fix)
            elif before and not problem:
                log.info("relay_back")
            await clock.sleep_until(clock.now() + (ASK_AGAIN if problem else ASK_EVERY))

    async def _ask(self, url: str) -> str:
        parts = parse_stun_turn_uri(url)
        username, password = self._mint()
        try:
            async with asyncio.timeout(_ASK_S):
                transport, relay = await turn.create_turn_endpoint(
                    _Relay,
                    server_addr=(parts["host"], parts["port"]),
                    username=username,
                    password=password,
                    ssl=parts["scheme"] == "turns",
                    transport=parts["transport"],
                )
        except stun.TransactionFailed as error:
            code = error.response.error_code
            if code in (401, 441):
                return "it refuses the credentials; compare its secret with server.turn_secret_file, and the clocks"
            return f"it refuses an allocation ({code})"
        except (TimeoutError, stun.TransactionTimeout):
            return "it does not answer"
        except Exception as error:
            return f"it cannot be reached ({type(error).__name__})"
        transport.close()  # gives the allocation back
        try:
            async with asyncio.timeout(_ASK_S):
                await relay.gone.wait()
        except TimeoutError:
            log.info("relay_not_given_back", url=url)
        return ""

    def _mint(self) -> tuple[str, str]:
        return credentials(self._secret, int(self._now_s()) + self._ttl_s, self._label())


class _Relay(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


def _secret(server: ServerConfig) -> bytes:
    for url in server.turn_urls:
        try:
            good = url.startswith("turn") and bool(parse_stun_turn_uri(url))
        except ValueError:
            good = False
        if not good:
            raise ConfigError(f"server.turn_urls has {url!r}, expected turn:HOST:PORT or turns:HOST:PORT?transport=tcp")
    if not server.turn_urls:
        if server.turn_secret_file:
            raise ConfigError("server.turn_secret_file is set without server.turn_urls; name the relays too")
        return b""
    if not server.turn_secret_file:
        raise ConfigError(
            "server.turn_urls is set without server.turn_secret_file; name a file with the secret that the relays "
            "share with this server (coturn: use-auth-secret and static-auth-secret)"
        )
    try:
        secret = Path(server.turn_secret_file).read_bytes().strip()
    except OSError as error:
        why = f"{server.turn_secret_file} cannot be read ({error.strerror})"
        raise ConfigError(f"server.turn_secret_file: {why}") from None
    if len(secret) < _LEAST_SECRET:
        raise ConfigError(
            f"server.turn_secret_file: {server.turn_secret_file} holds {len(secret)} bytes, expected "
            f"{_LEAST_SECRET} or more; `openssl rand -hex 32` makes a good one"
        )
    return secret
