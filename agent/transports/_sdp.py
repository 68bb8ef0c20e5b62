"""Looks at what a stranger offers before aiortc does.

An offer may name any number of addresses, and aiortc sends packets to every one of them: unguarded, one
request makes the server scan a network. It may also be no SDP at all.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import aioice.ice
from aiortc.rtcicetransport import RTCIceCandidate
from aiortc.sdp import SessionDescription, candidate_from_sdp

MAX_BYTES: Final = 64 * 1024
MOST_CANDIDATES: Final = 32
_MOST: Final = {"audio": 1, "video": 2, "application": 1}
_CODECS: Final = {"audio": ("opus",), "video": ("vp8", "h264")}


def guard(sdp: str, *, loopback: bool) -> str:
    """Return the offer as it may be given to aiortc.

    Addresses that a peer has no business with are taken out, and so are ``.local`` names: to look one up
    costs a second, and a peer that can reach this machine is found by the packets it sends. The peer is
    made to begin the DTLS handshake, because aiortc as a client refuses peers with RSA certificates.

    Raises:
        ValueError: the offer cannot be answered; the message says why.
    """
    if len(sdp) > MAX_BYTES:
        raise ValueError(f"the offer has more than {MAX_BYTES} characters")
    try:
        parsed = SessionDescription.parse(sdp)
    except Exception:  # the parser raises whatever its input makes it raise
        raise ValueError("the offer is not SDP") from None
    _check_media(parsed)
    kept: list[str] = []
    candidates = 0
    for line in sdp.splitlines():
        if line.startswith("a=candidate:"):
            candidates += 1
            if parse_candidate(line[2:], loopback=loopback) is None:
                continue
        elif line.startswith("a=end-of-candidates"):
            continue
        kept.append(line.replace("a=setup:actpass", "a=setup:active"))
    if candidates > MOST_CANDIDATES:
        raise ValueError(f"the offer names {candidates} candidates, at most {MOST_CANDIDATES} are taken")
    return "\r\n".join(kept) + "\r\n"


def _check_media(parsed: SessionDescription) -> None:
    if not parsed.media:
        raise ValueError("the offer has no media")
    seen: dict[str, int] = {}
    for media in parsed.media:
        if media.kind not in _MOST:
            raise ValueError(f"the offer has media of the unknown kind {media.kind[:32]!r}")
        seen[media.kind] = seen.get(media.kind, 0) + 1
        if seen[media.kind] > _MOST[media.kind]:
            raise ValueError(f"the offer has more than {_MOST[media.kind]} media of the kind {media.kind}")
        if not media.dtls or not media.dtls.fingerprints:
            raise ValueError("the offer has no DTLS fingerprint")
        if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
            raise ValueError("the offer has no ICE credentials")
        known = _CODECS.get(media.kind)
        if known is None:
            continue
        names = {codec.name.lower() for codec in media.rtp.codecs}
        if not names.intersection(known):
            raise ValueError(f"none of the offered {media.kind} codecs is {' or '.join(known)}")
    if not {"audio", "video"}.intersection(seen):
        raise ValueError("the offer has neither audio nor video")


def parse_candidate(text: str, *, loopback: bool) -> RTCIceCandidate | None:
    """Return the candidate that ``candidate:...`` names, or ``None`` if it is not to be used.

    Raises:
        ValueError: it is malformed.
    """
    try:
        candidate = candidate_from_sdp(text.removeprefix("candidate:"))
    except (AssertionError, ValueError, IndexError):
        raise ValueError("malformed candidate") from None
    if candidate.protocol.lower() != "udp" or candidate.ip.endswith(".local"):
        return None
    try:
        address = ipaddress.ip_address(candidate.ip)
    except ValueError:
        raise ValueError("a candidate's address is neither an IP address nor a .local name") from None
    if not 0 < candidate.port < 65536:
        raise ValueError("a candidate's port is out of range")
    never = address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved
    if address.is_loopback:
        return candidate if loopback else None
    return None if never else candidate


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
