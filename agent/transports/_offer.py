"""Reads what a stranger offers before aiortc does, and writes anew what may be passed on.

aiortc's parser raises seven kinds of exception on input that it does not expect, and a description that it swallows
may still break it later, on closing. So an offer is read here by a grammar of its own, line by line: what a call does
not need is left out, what it needs has to be well formed, and aiortc sees only text that was written here.

Sources: RFC 8866 (SDP), RFC 8839 (ICE in SDP), RFC 8122 (fingerprints), RFC 8841 (SCTP in SDP), RFC 9143 (BUNDLE).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.transports._guard import MOST_CANDIDATES, Addresses
from agent.transports._section import Section, begin, no, read

MAX_BYTES: Final = 64 * 1024
MOST_MEDIA: Final = 4
_MOST: Final = {"audio": 1, "video": 2, "application": 1}
_CODECS: Final = {"audio": ("opus",), "video": ("vp8", "h264")}
_MOST_LINES: Final = 4096
_UNSENT: Final = {"sendrecv": "recvonly", "sendonly": "inactive"}


@dataclass(frozen=True, slots=True)
class Screened:
    """An offer that may be passed on.

    Attributes:
        sdp: written anew.
        candidates: how many addresses the original named, usable or not.
        targets: the usable ones, each with its port.
        shape: kind and name of each medium, in order.
    """

    sdp: str
    candidates: int
    targets: frozenset[tuple[str, int]]
    shape: tuple[tuple[str, str], ...]


def screen(sdp: str, addresses: Addresses, *, sends: frozenset[str] = frozenset({"audio", "video"})) -> Screened:
    """Return the offer as it may be given to aiortc.

    Addresses that the policy does not take are left out. The peer is made to begin the DTLS handshake, because aiortc
    as a client refuses peers with RSA certificates.

    Args:
        sdp: as it came.
        addresses: where packets may go.
        sends: kinds of media that the peer may send; of others it may only receive ours.

    Raises:
        Refused: the offer cannot be answered; the message says why. Nothing else is raised, whatever the text.
    """
    session, sections = _split(sdp)
    named = 0
    common = Section("session", "")
    for line in session:
        read(line, common, addresses)
    found: list[Section] = []
    for first, *lines in sections:
        section = begin(first)
        for line in lines:
            named += line.startswith("a=candidate:")
            if named > MOST_CANDIDATES:
                no(f"the offer names more than {MOST_CANDIDATES} candidates")
            read(line, section, addresses)
        section.inherit(common)
        _check(section)
        found.append(section)
    _check_all(found)
    for section in found:
        if section.kind != "application" and section.kind not in sends:
            section.direction = _UNSENT.get(section.direction, section.direction)
    bundle = _bundle(common, [section.mid for section in found])
    written = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "t=0 0", *bundle, *(["a=ice-lite"] if common.lite else [])]
    for section in found:
        written += section.lines()
    targets = frozenset(target for section in found for target in section.targets)
    return Screened("\r\n".join(written) + "\r\n", named, targets, tuple((s.kind, s.mid) for s in found))


def _split(sdp: str) -> tuple[list[str], list[list[str]]]:
    if len(sdp) > MAX_BYTES or len(sdp.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        no(f"the offer has more than {MAX_BYTES} bytes")
    lines = sdp.replace("\r\n", "\n").rstrip("\n").split("\n")
    if lines[0] != "v=0":
        no("the offer is not SDP: it does not begin with v=0")
    if len(lines) > _MOST_LINES:
        no(f"the offer has more than {_MOST_LINES} lines")
    session: list[str] = []
    sections: list[list[str]] = []
    for number, line in enumerate(lines, 1):
        if len(line) < 2 or line[1] != "=" or not "a" <= line[0] <= "z" or not line.isprintable():
            no(f"the offer is not SDP: line {number} is not of the form x=...")
        if line.startswith("m="):
            sections.append([line])
            if len(sections) > MOST_MEDIA:
                no(f"the offer has more than {MOST_MEDIA} media")
        else:
            (sections[-1] if sections else session).append(line)
    if not sections:
        no("the offer has no media")
    return session, sections


def _check(section: Section) -> None:
    if not section.mid:
        no("the offer has a medium without a mid")
    if not section.fingerprints:
        no("the offer has no DTLS fingerprint by SHA-256 or better")
    if not section.setup:
        no("the offer does not say who begins the DTLS handshake")
    if not section.ufrag or not section.password:
        no("the offer has no ICE credentials")
    if section.kind == "application":
        return
    if not section.mux:
        no("the offer sends RTCP on a port of its own; rtcp-mux is needed")
    known = _CODECS[section.kind]
    if not section.names.intersection(known):
        no(f"none of the offered {section.kind} codecs is {' or '.join(known)}")


def _check_all(found: list[Section]) -> None:
    kinds = [section.kind for section in found]
    for kind, most in _MOST.items():
        if kinds.count(kind) > most:
            no(f"the offer has more than {most} media of the kind {kind}")
    mids = [section.mid for section in found]
    if len(set(mids)) != len(mids):
        no("the offer has two media of the same mid")
    if not {"audio", "video"}.intersection(kinds):
        no("the offer has neither audio nor video")


def _bundle(common: Section, mids: list[str]) -> list[str]:
    for text in common.groups:
        word, *members = text.split(" ")
        if word != "BUNDLE" or not members:
            continue
        if len(set(members)) != len(members) or not set(members) <= set(mids):
            no("the offer bundles media that it does not have")
        return [f"a=group:BUNDLE {' '.join(members)}"]
    return []
