"""Which addresses of a stranger this machine sends packets to.

Whoever makes an offer names the addresses at which they can be reached, and WebRTC tries every one of them: unguarded,
one request makes the server scan a network. An address is taken only if it is a plain unicast address of the kind
that :class:`Addresses` allows. Names are never looked up: a ``.local`` name costs a second of multicast, any other is a
question that a stranger puts to the resolver of this network. A peer that can reach this machine is found by the
packets it sends, whether or not its addresses were taken.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from aiortc import RTCIceCandidate

from agent.refusal import Refused

MOST_CANDIDATES: Final = 32
"""Addresses that a caller may name for one connection, usable or not."""

_LONGEST_CANDIDATE: Final = 512
_LOWEST_PORT: Final = 1024
"""Below lie the services of other machines; no browser receives media there."""

_CANDIDATE: Final = re.compile(
    r"(?P<foundation>[A-Za-z0-9+/]{1,32}) (?P<component>[0-9]{1,3}) (?P<transport>[A-Za-z]{1,8}) "
    r"(?P<priority>[0-9]{1,10}) (?P<address>[A-Za-z0-9.:-]{1,255}) (?P<port>[0-9]{1,5}) typ (?P<type>[a-z]{1,8})"
    r"(?: [\x21-\x7e]+ [\x21-\x7e]+)*"
)
_TYPES: Final = frozenset({"host", "srflx", "prflx", "relay"})
_TRANSPORTS: Final = frozenset({"udp", "tcp"})

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_THIS: Final = ipaddress.ip_network("0.0.0.0/8")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_METADATA: Final[frozenset[IPAddress]] = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds
        "168.63.129.16",  # Azure
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
    )
)
"""Where clouds hand out credentials to whoever asks from inside."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Which addresses are taken.

    Multicast, link-local, reserved and unspecified addresses, the metadata services of clouds, and addresses that
    tunnel others are never taken.

    Attributes:
        loopback: those of this machine, right where it listens to itself only.
        private: those that the internet does not route, such as RFC 1918, unique local and carrier-grade NAT; not
            where strangers come in, who could make the server probe the network behind it.
    """

    loopback: bool = False
    private: bool = True

    def takes(self, text: str) -> bool:
        """Return whether packets may go to an address, given as digits; ``False`` for what is no address."""
        try:
            address = _parse(text)
        except ValueError:
            return False
        if address in _METADATA:
            return False
        if address.is_loopback:
            return self.loopback
        if address.is_multicast or address.is_link_local or address.is_unspecified or address.is_reserved:
            return False
        if address in _THIS:
            return False
        if isinstance(address, ipaddress.IPv6Address) and (
            address.sixtofour or address.teredo or address.is_site_local
        ):
            return False
        return address.is_global or self.private

    def answers(self, text: str) -> bool:
        """Return whether packets that come from an address are answered.

        Wider than :meth:`takes`: who comes from a private or link-local address is a neighbour, or stands behind the
        same router, and no address of theirs was guessed.
        """
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if address.is_loopback:
            return self.loopback
        return not (address in _METADATA or address.is_multicast or address.is_unspecified)


def _parse(text: str) -> IPAddress:
    """Return an address, unwrapped where it is an IPv4 address in the clothes of another."""
    if "%" in text:
        raise ValueError("an address with a zone")
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def candidate(text: str, addresses: Addresses) -> RTCIceCandidate | None:
    """Return the candidate that ``candidate:...`` names, or ``None`` if it is well formed but not to be used.

    Raises:
        Refused: it is malformed, or names a host otherwise than by digits or a ``.local`` name.
    """
    found = _CANDIDATE.fullmatch(text.removeprefix("candidate:")) if len(text) <= _LONGEST_CANDIDATE else None
    if found is None or found["type"] not in _TYPES or found["transport"].lower() not in _TRANSPORTS:
        raise Refused(400, "malformed candidate")
    host, port = found["address"], int(found["port"])
    if not 0 < port < 65536:
        raise Refused(400, "a candidate's port is out of range")
    if int(found["priority"]) >= 1 << 32:
        raise Refused(400, "a candidate's priority is out of range")
    if host.lower().endswith(".local"):
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise Refused(400, "a candidate's address is neither an IP address nor a .local name") from None
    usable = found["transport"].lower() == "udp" and int(found["component"]) == 1 and port >= _LOWEST_PORT
    if not usable or not addresses.takes(host):
        return None
    return RTCIceCandidate(
        component=1,
        foundation=found["foundation"],
        ip=host,
        port=port,
        priority=int(found["priority"]),
        protocol="udp",
        type=found["type"],
    )
