"""Whom the server lets in: with which key it may open at all, with which token a call, and under which load.

A server that only its own machine can reach needs no key. Any other does not start without one, and then every new
call needs a join token (:mod:`agent.token`). Offers are counted by address before anything of them is read, and new
calls are refused while the event loop is late, so that the calls that run stay as they are.
"""

from __future__ import annotations

import ipaddress
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from agent import token
from agent.clock import Clock
from agent.config import ConfigError
from agent.refusal import Refused, Visitor
from agent.server_options import ServerConfig
from perception.timebase import Nanos, as_seconds

log = structlog.get_logger(__name__)

_SET_BACK_S: Final = 5.0
_SAMPLES: Final = 20
_RETRY_S: Final = 5
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_MOST_ADDRESSES: Final = 4096
"""Addresses that are remembered."""


class Admission:
    """Decides who may open a call.

    Args:
        server: keys, caps and the load that is borne.
        clock: real time.
        time_of_day: seconds since 1970, which tokens speak of.

    Attributes:
        load: how late the event loop is.

    Raises:
        ConfigError: the server may not open as it is configured; the message says what to do.
    """

    def __init__(self, server: ServerConfig, clock: Clock, time_of_day: Callable[[], float] = token.now_s) -> None:
        self.load = Load(server.most_lag)
        self._key = key_of(server)
        self._longest_s = int(as_seconds(server.token_ttl))
        self._name = server.name
        self._now_s = time_of_day
        self._latest_s = 0.0
        self._spent = token.Spent()
        self._turnstile = Turnstile(server.offers_per_minute, clock) if self.guarded else None

    @property
    def guarded(self) -> bool:
        """Whether a token is needed to come in."""
        return self._key is not None

    def step(self, address: str) -> None:
        """Count an offer.

        Raises:
            Refused: there were too many from this address.
        """
        if self._turnstile is not None:
            self._turnstile.step(whereabouts(address))

    def check(self, text: str | None) -> None:
        """See that there is a valid token, without spending it.

        Raises:
            Refused: there is none.
        """
        self._read(text)

    @contextmanager
    def enter(self, text: str | None, address: str) -> Iterator[Visitor]:
        """Let somebody open a call, and spend their token unless that fails.

        Args:
            text: the token, if one came.
            address: where they are.

        Raises:
            Refused: the machine is too busy, or the token is not good.
        """
        claims = self._read(text)
        self.load.check()
        if claims is None:
            yield Visitor()
            return
        try:
            self._spent.take(claims, self._time())
        except token.TokenError as error:
            raise Refused(401, str(error)) from None
        try:
            yield Visitor(whereabouts(address), claims.label, claims.grants)
        except BaseException:
            self._spent.give_back(claims)
            raise

    def _read(self, text: str | None) -> token.Claims | None:
        if self._key is None:
            return None
        if not text:
            raise Refused(401, "a join token is needed; ask whoever runs this server for a link")
        try:
            return token.read(self._key, text, longest_s=self._longest_s, at_s=self._time(), name=self._name)
        except token.TokenError as error:
            raise Refused(401, str(error)) from None

    def _time(self) -> float:
        """Return the time of day; a clock that was set back is told, for what had run out may be valid again."""
        now = self._now_s()
        if now < self._latest_s - _SET_BACK_S:
            back = round(self._latest_s - now)
            fix = "unspent join tokens that had run out are valid again; let the clock be slewed (chrony, ntpd)"
            log.warning("clock_set_back", by_s=back, fix=fix)
            self._latest_s = now
        self._latest_s = max(self._latest_s, now)
        return now


class Load:
    """How late the event loop was lately.

    Args:
        most: median lateness over a second from which on no new call is taken.
    """

    def __init__(self, most: Nanos) -> None:
        self._most_s = as_seconds(most)
        self._late_s: deque[float] = deque(maxlen=_SAMPLES)

    def observe(self, late_s: float) -> None:
        """Take one measurement, of twenty a second."""
        self._late_s.append(late_s)

    @property
    def lag_s(self) -> float:
        """Median lateness of the last twenty measurements, seconds: one long stall is no load."""
        return statistics.median(self._late_s) if len(self._late_s) == _SAMPLES else 0.0

    @property
    def heavy(self) -> bool:
        """Whether one more call would be one too many."""
        return self.lag_s > self._most_s

    def check(self) -> None:
        """See that there is time for one more call.

        Raises:
            Refused: there is none.
        """
        if self.heavy:
            raise Refused(503, "the machine is too busy for one more call", _RETRY_S, kind="load")


class Turnstile:
    """Counts the offers of each address in a token bucket.

    Of too many addresses those are forgotten that lose least by it: who has used up their offers gains nothing by
    having others pass.

    Args:
        per_minute: offers in the long run, and at once.
        clock: real time.
    """

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._most = per_minute
        self._clock = clock
        self._left: dict[str, tuple[float, Nanos]] = {}

    def step(self, address: str) -> None:
        """Count one offer.

        Raises:
            Refused: it is one too many.
        """
        now = self._clock.now()
        left, at = self._left.pop(address, (float(self._most), now))
        left = min(self._most, left + as_seconds(now - at) * self._most / 60)
        enough = left >= 1
        self._left[address] = (left - enough, now)
        if len(self._left) > _MOST_ADDRESSES:
            self._forget(now)
        if not enough:
            raise Refused(429, "too many offers from your address", 1 + int((1 - left) * 60 / self._most))

    def _forget(self, now: Nanos) -> None:
        """Forget a quarter of the addresses: those that have most offers left by now."""

        def left(address: str) -> float:
            found, at = self._left[address]
            return min(self._most, found + as_seconds(now - at) * self._most / 60)

        for address in sorted(self._left, key=left, reverse=True)[: _MOST_ADDRESSES // 4]:
            del self._left[address]


def key_of(server: ServerConfig) -> bytes | None:
    """Return the key that join tokens are signed with; ``None`` where none is needed.

    Raises:
        ConfigError: one is needed and there is none, it cannot be used, or an origin is too wide.
    """
    for origin in server.allowed_origins:
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https") or "*" in origin:
            raise ConfigError(
                f"server.allowed_origins has {origin!r}; name each origin as https://host or http://host:port"
            )
    if not server.key_file:
        if not is_loopback(server.host):
            raise ConfigError(_NO_KEY.format(f"server.host is {server.host!r}, which other machines can reach"))
        if server.public == "yes":
            raise ConfigError(_NO_KEY.format('server.public is "yes"'))
        return None
    try:
        return token.read_key(Path(server.key_file))
    except token.TokenError as error:
        raise ConfigError(f"server.key_file: {error}") from None


_NO_KEY: Final = (
    "{}: set server.key_file to a file with a key, so that only callers with a join token come in "
    "(`agent token --new-key FILE` makes one), or listen on 127.0.0.1"
)


def is_public(server: ServerConfig) -> bool:
    """Return whether callers may come from the internet, so that no private address is probed for them."""
    if server.public != "auto":
        return server.public == "yes"
    try:
        address = ipaddress.ip_address(server.host)
    except ValueError:
        return not is_loopback(server.host)
    return address.is_unspecified or address.is_global


def is_fronted(server: ServerConfig) -> bool:
    """Return whether callers come from elsewhere through a proxy on this machine: public, and yet on loopback."""
    return is_loopback(server.host) and is_public(server)


def operates(address: str, server: ServerConfig) -> bool:
    """Return whether an address is an operator's.

    Behind a proxy on this machine loopback is nobody's, whatever ``operators`` says: where the proxy forwards no
    address, or what a stranger wrote, everybody seems to come from there. Neither the ``Host`` nor a missing header
    tells them apart, for both are as the proxy is set up.

    Args:
        address: where whoever asks comes from, as a trusted proxy has forwarded it.
        server: whose operators they may be.
    """
    if not is_bare(address) or (is_fronted(server) and among(address, _LOOPBACK)):
        return False
    return among(address, server.operators)


def is_bare(address: str) -> bool:
    """Return whether an address is written as sockets write them: only a link-local one of IPv6 has a zone."""
    plain, zone, _ = address.partition("%")
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:
        return False
    return not zone or (isinstance(found, ipaddress.IPv6Address) and found.is_link_local)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def whereabouts(address: str) -> str:
    """Return what a caller is counted by: the address, of IPv6 the upper half, which a household has to itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found)


def among(address: str, networks: tuple[str, ...]) -> bool:
    """Return whether an address lies in one of some networks."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return any((mapped or found) in ipaddress.ip_network(network) for network in networks)
