"""One section of an offer: which of its lines are kept, and how they have to look.

Whatever a line says that is not named in ``_READERS`` is left out; whatever is named has to match its pattern.

Sources: RFC 8866 (SDP), RFC 8839 (ICE in SDP), RFC 8122 (fingerprints), RFC 8841 (SCTP in SDP), RFC 5576 (sources).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from agent.refusal import Refused
from agent.transports._guard import Addresses, candidate

KINDS: Final = ("audio", "video", "application")
_MOST_FORMATS: Final = 128
_MOST_SOURCES: Final = 32
_MOST_EXTENSIONS: Final = 64
_MOST_FINGERPRINTS: Final = 8

_MEDIA: Final = re.compile(r"([a-z]{1,16}) ([0-9]{1,5}) ([A-Z/]{1,32}) ([\x21-\x7e ]{1,1024})")
_RTP: Final = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF"})
_SCTP: Final = frozenset({"UDP/DTLS/SCTP", "DTLS/SCTP", "TCP/DTLS/SCTP"})
_MID: Final = re.compile(r"[A-Za-z0-9._~-]{1,32}")
_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
_OPTIONS: Final = re.compile(r"[A-Za-z0-9+/ -]{1,64}")
_FINGERPRINT: Final = re.compile(r"([A-Za-z0-9-]{1,16}) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,63})")
_DIGEST: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_RTPMAP: Final = re.compile(r"([0-9]{1,3}) ([A-Za-z0-9_.+-]{1,32})/([0-9]{1,6})(?:/([1-9]))?")
_PAIR: Final = re.compile(r"([0-9]{1,3}) ([\x20-\x7e]{1,1024})")
_PARAMETER: Final = re.compile(r"([A-Za-z0-9_.-]{1,64})=([\x21-\x3a\x3c-\x7e]{1,512})")
_BARE: Final = re.compile(r"[\x21-\x3a\x3c-\x7e]{1,512}")
_FEEDBACK: Final = re.compile(r"([0-9]{1,3}|\*) ([A-Za-z0-9-]{1,32})(?: ([A-Za-z0-9-]{1,32}))?")
_EXTENSION: Final = re.compile(r"([0-9]{1,3})(?:/[a-z]{1,8})? ([A-Za-z0-9:/.#_+-]{1,256})(?: [\x20-\x7e]{1,256})?")
_SOURCE: Final = re.compile(r"([0-9]{1,10})(?: [\x20-\x7e]{0,512})?")
_PAIRED: Final = re.compile(r"FID ([0-9]{1,10}) ([0-9]{1,10})")
_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_WHOLE: Final = frozenset({"apt", "max-fr", "max-fs", "maxplaybackrate", "minptime", "stereo", "useinbandfec"})
"""Parameters of a codec that aiortc takes for whole numbers."""

_RESERVED: Final = range(72, 77)
"""Payload types that cannot be told from RTCP on the same port."""

_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
_ROLES: Final = {"actpass": "active", "active": "active", "passive": "passive"}


def no(reason: str) -> NoReturn:
    """Refuse the offer."""
    raise Refused(400, reason)


@dataclass(slots=True)
class Section:
    """What is kept of one medium, or of what is said for all of them."""

    kind: str
    head: str
    formats: tuple[int, ...] = ()
    legacy: bool = False
    mid: str = ""
    direction: str = ""
    ufrag: str = ""
    password: str = ""
    options: str = ""
    setup: str = ""
    lite: bool = False
    mux: bool = False
    fingerprints: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    codecs: dict[int, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    parameters: dict[int, str] = field(default_factory=dict)
    feedback: list[str] = field(default_factory=list)
    extensions: dict[int, str] = field(default_factory=dict)
    sources: list[int] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    targets: set[tuple[str, int]] = field(default_factory=set)
    sctp_port: int = 5000
    longest: int = 65536

    def inherit(self, common: Section) -> None:
        """Take over what was said for all media."""
        self.ufrag = self.ufrag or common.ufrag
        self.password = self.password or common.password
        self.options = self.options or common.options
        self.setup = self.setup or common.setup
        self.direction = self.direction or common.direction or "sendrecv"
        if not self.fingerprints:
            self.fingerprints = common.fingerprints

    def lines(self) -> list[str]:
        """Return its lines, written anew."""
        found = [self.head, "c=IN IP4 0.0.0.0", f"a=mid:{self.mid}"]
        if self.kind == "application":
            if self.legacy:
                found.append(f"a=sctpmap:{self.sctp_port} webrtc-datachannel 65535")
            else:
                found.append(f"a=sctp-port:{self.sctp_port}")
            found.append(f"a=max-message-size:{self.longest}")
        else:
            found += [f"a={self.direction}", "a=rtcp-mux"]
            found += [f"a=extmap:{number} {uri}" for number, uri in self.extensions.items()]
            found += [f"a=rtpmap:{number} {codec}" for number, codec in self.codecs.items()]
            found += [f"a=fmtp:{number} {text}" for number, text in self.parameters.items() if number in self.codecs]
            found += [f"a=rtcp-fb:{text}" for text in self.feedback]
            known = set(self.sources)
            found += [f"a=ssrc-group:FID {a} {b}" for a, b in self.pairs if {a, b} <= known]
            found += [f"a=ssrc:{number} cname:-" for number in self.sources]
        found += [f"a=ice-ufrag:{self.ufrag}", f"a=ice-pwd:{self.password}"]
        if self.options:
            found.append(f"a=ice-options:{self.options}")
        found += [f"a=fingerprint:{text}" for text in self.fingerprints]
        return [*found, f"a=setup:{self.setup}", *self.candidates]


def begin(line: str) -> Section:
    """Return the section that an ``m=`` line begins.

    Raises:
        Refused: the line is malformed, or of a medium that a call does not have.
    """
    found = _MEDIA.fullmatch(line[2:])
    if found is None:
        no("the offer has a malformed m= line")
    kind, port, profile, formats = found.groups()
    if kind not in KINDS:
        no(f"the offer has media of the unknown kind {kind!r}")
    if int(port) > 65535:
        no("the offer has a port out of range")
    words = formats.split()
    if kind == "application":
        if profile not in _SCTP or len(words) != 1:
            no("the offer's application medium is no WebRTC data channel")
        section = Section(kind, f"m=application {port} UDP/DTLS/SCTP webrtc-datachannel")
        if words[0] != "webrtc-datachannel":
            section.sctp_port, section.legacy = _number(words[0], 1, 65535, "SCTP port"), True
            section.head = f"m=application {port} DTLS/SCTP {section.sctp_port}"
        return section
    if profile not in _RTP:
        no("the offer's media are not sent by RTP over DTLS")
    if len(words) > _MOST_FORMATS or len(set(words)) != len(words):
        no("the offer names too many payload types, or one of them twice")
    section = Section(kind, f"m={kind} {port} {profile} {' '.join(words)}")
    section.formats = tuple(_number(word, 0, 127, "payload type") for word in words)
    if any(number in _RESERVED for number in section.formats):
        no("the offer names a payload type that is reserved for RTCP")
    section.head = f"m={kind} {port} {profile} {' '.join(map(str, section.formats))}"
    return section


def read(line: str, section: Section, addresses: Addresses) -> None:
    """Let a section take in one of its lines.

    Raises:
        Refused: the line is malformed.
    """
    if line[0] != "a":
        return
    name, _, value = line[2:].partition(":")
    if name in _DIRECTIONS and not value:
        section.direction = name
        return
    reader = _READERS.get(name)
    if reader is not None:
        reader(section, value.strip(" "))
    elif name == "candidate":
        if section.kind == "session":
            no("the offer names a candidate outside of its media")
        usable = candidate(value.strip(" "), addresses)
        if usable is not None:
            u = usable
            text = f"{u.foundation} {u.component} {u.protocol} {u.priority} {u.ip} {u.port} typ {u.type}"
            section.candidates.append(f"a=candidate:{text}")
            section.targets.add((u.ip, u.port))


def _number(text: str, least: int, most: int, what: str) -> int:
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        no(f"the offer's {what} is not a number from {least} to {most}")
    return int(text)


def _match(pattern: re.Pattern[str], text: str, what: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        no(f"the offer's {what} is malformed")
    return found


def _mid(section: Section, value: str) -> None:
    section.mid = _match(_MID, value, "mid")[0]


def _ufrag(section: Section, value: str) -> None:
    section.ufrag = _match(_UFRAG, value, "ice-ufrag")[0]


def _password(section: Section, value: str) -> None:
    section.password = _match(_PASSWORD, value, "ice-pwd")[0]


def _options(section: Section, value: str) -> None:
    section.options = _match(_OPTIONS, value, "ice-options")[0]


def _lite(section: Section, value: str) -> None:
    section.lite = True


def _mux(section: Section, value: str) -> None:
    section.mux = True


def _setup(section: Section, value: str) -> None:
    if value not in _ROLES:
        no("the offer's setup is not actpass, active or passive")
    section.setup = _ROLES[value]


def _fingerprint(section: Section, value: str) -> None:
    found = _match(_FINGERPRINT, value, "fingerprint")
    digest = found[1].lower()
    if digest not in _DIGEST:
        return  # an older digest beside a newer one proves nothing more
    if found[2].count(":") + 1 != _DIGEST[digest]:
        no("the offer's fingerprint has not the length of its digest")
    if len(section.fingerprints) >= _MOST_FINGERPRINTS:
        no("the offer has too many fingerprints")
    section.fingerprints.append(f"{digest} {found[2].upper()}")


def _group(section: Section, value: str) -> None:
    section.groups.append(value)


def _rtpmap(section: Section, value: str) -> None:
    found = _match(_RTPMAP, value, "rtpmap")
    number = int(found[1])
    if number not in section.formats or number in section.codecs:
        no("the offer's rtpmap is for a payload type that is not offered, or comes twice")
    if int(found[3]) == 0:
        no("the offer's rtpmap has no clock rate")
    section.codecs[number] = f"{found[2]}/{found[3]}" + (f"/{found[4]}" if found[4] else "")
    section.names.add(found[2].lower())


def _fmtp(section: Section, value: str) -> None:
    found = _match(_PAIR, value, "fmtp")
    kept: list[str] = []
    for part in found[2].split(";"):
        word = part.strip(" ")
        pair = _PARAMETER.fullmatch(word)
        if pair is not None:
            if pair[1] in _WHOLE:
                _number(pair[2], 0, 10**9, f"parameter {pair[1]}")
            kept.append(word)
        elif word and _BARE.fullmatch(word) and "=" not in word:
            kept.append(word)
        elif word:
            no("the offer's fmtp is malformed")
    if kept:
        section.parameters[int(found[1])] = ";".join(kept)


def _feedback(section: Section, value: str) -> None:
    found = _FEEDBACK.fullmatch(value)
    if found is not None and len(section.feedback) < 8 * _MOST_FORMATS:  # one that is not known asks for nothing
        section.feedback.append(value)


def _extension(section: Section, value: str) -> None:
    found = _match(_EXTENSION, value, "extmap")
    number = _number(found[1], 1, 255, "extmap")
    if number in section.extensions or len(section.extensions) >= _MOST_EXTENSIONS:
        no("the offer's extmap comes twice, or there are too many")
    section.extensions[number] = found[2]


def _source(section: Section, value: str) -> None:
    number = _number(_match(_SOURCE, value, "ssrc")[1], 0, (1 << 32) - 1, "ssrc")
    if number not in section.sources:
        if len(section.sources) >= _MOST_SOURCES:
            no("the offer has too many sources")
        section.sources.append(number)


def _pair(section: Section, value: str) -> None:
    found = _PAIRED.fullmatch(value)
    if found is not None and len(section.pairs) < _MOST_SOURCES:  # other groups are for senders of several layers
        section.pairs.append((int(found[1]), int(found[2])))


def _sctp_port(section: Section, value: str) -> None:
    section.sctp_port = _number(value, 1, 65535, "sctp-port")


def _longest(section: Section, value: str) -> None:
    section.longest = _number(value, 0, 10**10 - 1, "max-message-size")


_READERS: Final[dict[str, Callable[[Section, str], None]]] = {
    "mid": _mid,
    "ice-ufrag": _ufrag,
    "ice-pwd": _password,
    "ice-options": _options,
    "ice-lite": _lite,
    "rtcp-mux": _mux,
    "setup": _setup,
    "fingerprint": _fingerprint,
    "group": _group,
    "rtpmap": _rtpmap,
    "fmtp": _fmtp,
    "rtcp-fb": _feedback,
    "extmap": _extension,
    "ssrc": _source,
    "ssrc-group": _pair,
    "sctp-port": _sctp_port,
    "max-message-size": _longest,
}
