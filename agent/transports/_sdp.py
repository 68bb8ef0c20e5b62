"""Lets a machine talk to itself, which aioice does not think of."""

from __future__ import annotations

import aioice.ice

_host_addresses = aioice.ice.get_host_addresses
_loopback_wanted = False


def _with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    found: list[str] = _host_addresses(use_ipv4, use_ipv6)
    if use_ipv4 and (_loopback_wanted or not found) and "127.0.0.1" not in found:
        found.append("127.0.0.1")
    return found


def offer_loopback(always: bool) -> None:
    """Let this process use 127.0.0.1 for media, which aioice leaves out.

    Without it a machine that has no network has no address to offer even to itself.

    Args:
        always: also where there are other addresses, for a server that listens on loopback only.
    """
    global _loopback_wanted  # noqa: PLW0603 - aioice asks a function of its module, for all connections alike
    _loopback_wanted = _loopback_wanted or always
    aioice.ice.get_host_addresses = _with_loopback
