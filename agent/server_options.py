"""The settings of the server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from perception.timebase import SECOND, Nanos


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
        key_file: file with the key that join tokens are signed with; needed on any address but loopback.
        token_ttl: how long a join token is valid, and the longest that is taken.
        public: whether callers come from the internet, and nothing is sent to private addresses that they name:
            ``yes``, ``no``, or ``auto``, which asks whether ``host`` is a public address or all of them.
        calls_per_label: calls at once with tokens of the same label.
        calls_per_address: calls at once from the same address, where tokens are needed.
        offers_per_minute: offers from the same address, where tokens are needed.
        most_lag: median lateness of the event loop over a second from which on no new call is taken.
        trusted_proxies: addresses of proxies whose ``X-Forwarded-For`` is believed.
        operators: networks that may read ``/metrics`` where tokens are needed.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    max_calls: int = 1
    consent: str = "required"
    ice_servers: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    key_file: str = ""
    token_ttl: Nanos = 300 * SECOND
    public: str = "auto"
    calls_per_label: int = 4
    calls_per_address: int = 4
    offers_per_minute: int = 60
    most_lag: Nanos = SECOND // 10
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    operators: tuple[str, ...] = ("127.0.0.0/8", "::1/128")

    def __post_init__(self) -> None:
        if self.consent not in ("required", "given"):
            raise ValueError(f"server.consent is {self.consent!r}, expected 'required' or 'given'")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"server.port is {self.port}, expected 0 to 65535")
        for key in ("max_calls", "calls_per_label", "calls_per_address", "offers_per_minute"):
            if getattr(self, key) < 1:
                raise ValueError(f"server.{key} is {getattr(self, key)}, expected 1 or more")
        if self.public not in ("auto", "yes", "no"):
            raise ValueError(f"server.public is {self.public!r}, expected 'auto', 'yes' or 'no'")
        if self.token_ttl < SECOND:
            raise ValueError(f"server.token_ttl is {self.token_ttl / SECOND:g}, expected 1 or more seconds")
        if self.most_lag <= 0:
            raise ValueError(f"server.most_lag is {self.most_lag / SECOND:g}, expected more than 0")
        for network in self.operators:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise ValueError(f"server.operators has {network!r}, expected a network as 10.0.0.0/8") from None
