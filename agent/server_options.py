"""The settings of the server."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from agent.token import NAME
from perception.timebase import SECOND, Nanos

_AT_LEAST_ONE: Final = (
    *("max_calls", "calls_per_label", "calls_per_address", "offers_per_minute"),
    *("most_connections", "connections_per_address"),
)
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The door.

    Attributes:
        host: address to listen on.
        port: TCP port of page, signalling, health and metrics.
        max_calls: calls at the same time; one more gets 503.
        consent: ``required``: nothing is perceived before the page's consent; ``given``: the embedding
            application has asked already.
        ice_servers: STUN or TURN URLs; none by default, so that no socket opens by itself.
        allowed_origins: further origins whose pages may call.
        allowed_hosts: further names under which this server is reached, without a port. Where it listens on loopback,
            localhost and the hosts of ``allowed_origins`` are allowed as well and any other is refused; elsewhere any
            name is taken as long as this is empty.
        name: of this server, which join tokens have to be for (``aud``); empty where no other server has the same key.
        key_file: file with the key that join tokens are signed with; needed on any address but loopback.
        token_ttl: how long a join token is valid, and the longest that is taken.
        public: whether callers come from the internet, and nothing is sent to private addresses that they name:
            ``yes``, ``no``, or ``auto``, which asks whether ``host`` is a public address or all of them.
        calls_per_label: calls at once with tokens of the same label.
        calls_per_address: calls at once from the same address, where tokens are needed.
        offers_per_minute: offers from the same address, where tokens are needed.
        most_connections: TCP connections open at once; beyond, the one that has been waited for longest is ended.
        connections_per_address: the same for those from one address that is no trusted proxy.
        head_within: time for the head of a request to come.
        most_lag: median lateness of the event loop over a second from which on no new call is taken.
        most_sense_lag: how late the senses that hear typically are, over five seconds in the call that fares worst,
            from which on no new call is taken.
        needs: without which senses no new call is taken, where their process is given up: ``hearing``, those that
            hear; ``all``; or ``none``.
        degraded_after: time without a sign of life after which a caller's link counts as degraded.
        lost_after: the same after which it counts as lost; from then on the line goes to whoever asks for the last one.
        dead_after: the same after which the call ends.
        return_within: time that a caller whose connection was closed, or whose page is reloaded, has to come back.
        drain: how long calls may go on when the server is to stop; 0 ends them at once.
        turn_urls: TURN servers that relay the media of callers who cannot be reached otherwise.
        turn_secret_file: file with the secret that those servers share with this one, for credentials of one call.
        turn_ttl: how long such credentials are valid; the longest call through a relay.
        trusted_proxies: addresses of proxies whose ``X-Forwarded-For`` is believed.
        operators: networks that may read ``/metrics`` where tokens are needed; where the server is public on loopback,
            never loopback itself, which is the proxy's.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    max_calls: int = 1
    consent: str = "required"
    ice_servers: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    name: str = ""
    key_file: str = ""
    token_ttl: Nanos = 300 * SECOND
    public: str = "auto"
    calls_per_label: int = 4
    calls_per_address: int = 4
    offers_per_minute: int = 60
    most_connections: int = 1024
    connections_per_address: int = 64
    head_within: Nanos = 10 * SECOND
    most_lag: Nanos = SECOND // 10
    most_sense_lag: Nanos = SECOND
    needs: str = "hearing"
    degraded_after: Nanos = 2 * SECOND
    lost_after: Nanos = 10 * SECOND
    dead_after: Nanos = 15 * SECOND
    return_within: Nanos = 15 * SECOND
    drain: Nanos = 30 * SECOND
    turn_urls: tuple[str, ...] = ()
    turn_secret_file: str = ""
    turn_ttl: Nanos = 4 * 3600 * SECOND
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    operators: tuple[str, ...] = ("127.0.0.0/8", "::1/128")

    def __post_init__(self) -> None:
        if self.consent not in ("required", "given"):
            raise ValueError(f"server.consent is {self.consent!r}, expected 'required' or 'given'")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"server.port is {self.port}, expected 0 to 65535")
        for key in _AT_LEAST_ONE:
            if getattr(self, key) < 1:
                raise ValueError(f"server.{key} is {getattr(self, key)}, expected 1 or more")
        if self.public not in ("auto", "yes", "no"):
            raise ValueError(f"server.public is {self.public!r}, expected 'auto', 'yes' or 'no'")
        if self.token_ttl < SECOND:
            raise ValueError(f"server.token_ttl is {self.token_ttl / SECOND:g}, expected 1 or more seconds")
        if self.head_within <= 0:
            raise ValueError(f"server.head_within is {self.head_within / SECOND:g}, expected more than 0")
        if self.name and not NAME.fullmatch(self.name):
            raise ValueError(f"server.name is {self.name!r}, expected 1 to 64 of letters, digits and ._-")
        for host in self.allowed_hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"server.allowed_hosts has {host!r}, expected a name alone, such as agent.example, without scheme, "
                    "port or wildcard"
                )
        if self.most_lag <= 0:
            raise ValueError(f"server.most_lag is {self.most_lag / SECOND:g}, expected more than 0")
        if self.most_sense_lag <= 0:
            raise ValueError(f"server.most_sense_lag is {self.most_sense_lag / SECOND:g}, expected more than 0")
        if self.needs not in ("hearing", "all", "none"):
            raise ValueError(f"server.needs is {self.needs!r}, expected 'hearing', 'all' or 'none'")
        if not SECOND <= self.degraded_after < self.lost_after < self.dead_after:
            raise ValueError(
                f"server.degraded_after, lost_after and dead_after are {self.degraded_after / SECOND:g}, "
                f"{self.lost_after / SECOND:g} and {self.dead_after / SECOND:g} seconds; expected each to be longer "
                "than the one before, and the first 1 or more: a page gives a sign of life every second"
            )
        if self.return_within < 0:
            raise ValueError(f"server.return_within is {self.return_within / SECOND:g}, expected 0 or more seconds")
        if self.drain < 0:
            raise ValueError(f"server.drain is {self.drain / SECOND:g}, expected 0 or more seconds")
        if self.turn_ttl < 60 * SECOND:
            raise ValueError(f"server.turn_ttl is {self.turn_ttl / SECOND:g}, expected 60 or more seconds")
        for key, networks in (("operators", self.operators), ("trusted_proxies", self.trusted_proxies)):
            for network in networks:
                if key == "trusted_proxies" and network == "*":
                    continue
                try:
                    ipaddress.ip_network(network)
                except ValueError:
                    raise ValueError(f"server.{key} has {network!r}, expected a network as 10.0.0.0/8") from None
