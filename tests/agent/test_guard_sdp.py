"""What is taken of a stranger's offer and of the addresses it names."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.refusal import Refused
from agent.transports._guard import MOST_CANDIDATES, Addresses, candidate
from agent.transports._offer import MAX_BYTES, MOST_MEDIA, screen

OFFERS = {path.stem: path.read_bytes().decode() for path in sorted((Path(__file__).parent / "sdp").glob("*.sdp"))}
"""As Chromium 156 made it, and in the manner of Firefox; addresses are made up."""

LAN = Addresses()
HERE = Addresses(loopback=True)
STREET = Addresses(private=False)


def text(offer: str, addresses: Addresses = LAN) -> str:
    return screen(offer, addresses).sdp


@pytest.mark.parametrize("name", OFFERS)
def test_what_browsers_offer_is_taken_and_aiortc_can_read_what_is_passed_on(name: str) -> None:
    screened = screen(OFFERS[name], LAN)
    assert screened.shape == (("audio", "0"), ("video", "1"), ("application", "2"))
    found = SessionDescription.parse(screened.sdp)
    original = SessionDescription.parse(OFFERS[name])
    for ours, theirs in zip(found.media, original.media, strict=True):
        assert [c.mimeType for c in ours.rtp.codecs] == [c.mimeType for c in theirs.rtp.codecs]
        assert [c.parameters for c in ours.rtp.codecs] == [c.parameters for c in theirs.rtp.codecs]
        assert [c.rtcpFeedback for c in ours.rtp.codecs] == [c.rtcpFeedback for c in theirs.rtp.codecs]
        assert ours.rtp.headerExtensions == theirs.rtp.headerExtensions
        assert [s.ssrc for s in ours.ssrc] == [s.ssrc for s in theirs.ssrc]
        assert [str(g) for g in ours.ssrc_group] == [str(g) for g in theirs.ssrc_group]
        assert ours.ice == theirs.ice
        assert ours.dtls is not None
        assert theirs.dtls is not None
        assert ours.dtls.fingerprints == theirs.dtls.fingerprints
        assert ours.dtls.role == "client"
    assert found.group == original.group


@pytest.mark.parametrize("name", OFFERS)
def test_what_was_written_here_is_taken_as_it_is(name: str) -> None:
    once = screen(OFFERS[name], LAN)
    assert screen(once.sdp, LAN).sdp == once.sdp


def test_only_text_that_was_written_here_is_passed_on() -> None:
    tail = "a=x-unknown:whatever\r\na=rtcp:9 IN IP4 evil.example\r\na=identity:AAAA\r\nb=AS:99\r\ni=hello\r\n"
    screened = text(OFFERS["chromium"].replace("s=-", "s=Überraschung").replace("m=video", tail + "m=video"))
    assert screened.isascii()
    for gone in ("Überraschung", "unknown", "evil", "identity", "b=AS", "hello", "msid", "end-of-candidates"):
        assert gone not in screened


def without(prefix: str, offer: str = OFFERS["chromium"]) -> str:
    return "\r\n".join(line for line in offer.split("\r\n") if not line.startswith(prefix))


GOOD = OFFERS["chromium"]
AUDIO = GOOD[GOOD.index("m=audio") : GOOD.index("m=video")]
BAD = {
    "empty": ("", "v=0"),
    "words": ("hello", "v=0"),
    "no media": ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", "no media"),
    "big": (GOOD + "a=x\r\n" * 20_000, f"more than {MAX_BYTES} bytes"),
    "big in bytes": (GOOD.replace("s=-", "s=" + "€" * 22_000), f"more than {MAX_BYTES} bytes"),
    "many lines": (GOOD + "a=\n" * 5_000, "lines"),
    "control characters": (GOOD.replace("s=-", "s=\x00"), "line 3"),
    "smuggled line": (GOOD.replace("s=-", "s=-\x85a=candidate:1 1 udp 1 10.0.0.1 5000 typ host"), "line 3"),
    "five media": (GOOD + AUDIO + AUDIO, f"more than {MOST_MEDIA} media"),
    "two voices": (GOOD + AUDIO.replace("a=mid:0", "a=mid:9"), "more than 1 media of the kind audio"),
    "same mid": (GOOD.replace("a=mid:1", "a=mid:0").replace("BUNDLE 0 1 2", "BUNDLE 0 2"), "same mid"),
    "bundle of strangers": (GOOD.replace("BUNDLE 0 1 2", "BUNDLE 0 1 7"), "bundles"),
    "bundle of one twice": (GOOD.replace("BUNDLE 0 1 2", "BUNDLE 0 0"), "bundles"),
    "unknown kind": (GOOD.replace("m=audio", "m=text"), "unknown kind"),
    "a data channel only": (GOOD[: GOOD.index("m=audio")] + GOOD[GOOD.index("m=application") :], "bundles|neither"),
    "bad m line": (re.sub("m=audio [0-9]+", "m=audio nine", GOOD), "m= line"),
    "plain RTP": (GOOD.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "DTLS"),
    "RTCP as payload": (GOOD.replace("SAVPF 111", "SAVPF 111 72"), "reserved"),
    "payload type twice": (GOOD.replace("SAVPF 111", "SAVPF 111 111"), "twice"),
    "no codec": (without("a=rtpmap:111"), "opus"),
    "no fingerprint": (without("a=fingerprint"), "fingerprint"),
    "old fingerprint": (re.sub("sha-256 .*", "sha-1 " + ":".join(["AB"] * 20), GOOD), "fingerprint"),
    "short fingerprint": (re.sub("sha-256 .*", "sha-256 " + ":".join(["AB"] * 20), GOOD), "length"),
    "no role": (without("a=setup"), "handshake"),
    "nonsense role": (GOOD.replace("a=setup:actpass", "a=setup:holdconn"), "setup"),
    "no ice": (without("a=ice-ufrag"), "ICE"),
    "short password": (re.sub("ice-pwd:.*", "ice-pwd:short", GOOD), "ice-pwd"),
    "no mux": (without("a=rtcp-mux"), "rtcp-mux"),
    "no mid": (without("a=mid"), "mid"),
    "apt of words": (GOOD.replace("apt=96", "apt=none"), "apt"),
    "sctp port": (GOOD.replace("a=sctp-port:5000", "a=sctp-port:70000"), "sctp-port"),
    "codec of nothing": (GOOD.replace("a=rtpmap:111", "a=rtpmap:7"), "not offered"),
    "clock of zero": (GOOD.replace("opus/48000/2", "opus/0/2"), "clock rate"),
    "candidate of the session": (
        GOOD.replace("t=0 0", "t=0 0\r\na=candidate:1 1 udp 1 10.0.0.1 5000 typ host"),
        "outside",
    ),
    "many candidates": (
        GOOD + "".join(f"a=candidate:1 1 udp 1 10.0.{k}.1 5000 typ host\r\n" for k in range(MOST_CANDIDATES + 1)),
        f"more than {MOST_CANDIDATES} candidates",
    ),
    "candidate of words": (GOOD + "a=candidate:garbage\r\n", "malformed candidate"),
    "host name": (GOOD + "a=candidate:1 1 udp 1 example.org 5000 typ host\r\n", "neither"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_makes_no_sense_is_refused_with_its_reason(name: str) -> None:
    offer, reason = BAD[name]
    with pytest.raises(Refused, match=reason) as caught:
        screen(offer, LAN)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 200


def test_sources_and_extensions_are_bounded() -> None:
    many = "".join(f"a=ssrc:{k} cname:x\r\n" for k in range(1, 40))
    with pytest.raises(Refused, match="too many sources"):
        screen(GOOD.replace("m=application", many + "m=application"), LAN)
    many = "".join(f"a=extmap:{k} urn:x\r\n" for k in range(20, 100))
    with pytest.raises(Refused, match="extmap"):
        screen(GOOD.replace("m=application", many + "m=application"), LAN)
    many = "".join(f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\n" for _ in range(9))
    with pytest.raises(Refused, match="fingerprints"):
        screen(GOOD + many, LAN)


@pytest.mark.parametrize(
    ("sends", "audio", "video"),
    [
        ({"audio", "video"}, "sendrecv", "sendrecv"),
        ({"audio"}, "sendrecv", "recvonly"),
        ({"observe"}, "recvonly", "recvonly"),
    ],
)
def test_what_a_token_does_not_grant_is_not_received(sends: set[str], audio: str, video: str) -> None:
    found = SessionDescription.parse(screen(GOOD, LAN, sends=frozenset(sends)).sdp)
    assert [m.direction for m in found.media[:2]] == [audio, video]
    sending = GOOD.replace("a=sendrecv", "a=sendonly")
    found = SessionDescription.parse(screen(sending, LAN, sends=frozenset()).sdp)
    assert [m.direction for m in found.media[:2]] == ["inactive", "inactive"]


RANGES = {
    "8.8.8.8": (True, True, True),
    "2606:4700::1111": (True, True, True),
    "10.1.2.3": (True, True, False),
    "172.31.0.1": (True, True, False),
    "192.168.1.7": (True, True, False),
    "100.64.0.9": (True, True, False),
    "192.0.2.9": (True, True, False),
    "fd12:3456::1": (True, True, False),
    "127.0.0.1": (True, False, False),
    "::1": (True, False, False),
    "::ffff:127.0.0.1": (True, False, False),
    "::ffff:10.0.0.1": (True, True, False),
    "64:ff9b::a00:1": (True, True, False),
    "169.254.1.1": (False, False, False),
    "fe80::1": (False, False, False),
    "169.254.169.254": (False, False, False),
    "::ffff:169.254.169.254": (False, False, False),
    "64:ff9b::a9fe:a9fe": (False, False, False),
    "168.63.129.16": (False, False, False),
    "100.100.100.200": (False, False, False),
    "192.0.0.192": (False, False, False),
    "fd00:ec2::254": (False, False, False),
    "224.0.0.251": (False, False, False),
    "ff02::fb": (False, False, False),
    "255.255.255.255": (False, False, False),
    "240.0.0.1": (False, False, False),
    "0.0.0.0": (False, False, False),
    "0.1.2.3": (False, False, False),
    "::": (False, False, False),
    "2002:a00:1::1": (False, False, False),
    "2001:0:a00:1::1": (False, False, False),
}


@pytest.mark.parametrize("address", RANGES)
def test_which_addresses_are_taken(address: str) -> None:
    assert tuple(policy.takes(address) for policy in (HERE, LAN, STREET)) == RANGES[address]
    line = f"candidate:1 1 udp 1 {address} 5000 typ host"
    assert tuple(candidate(line, policy) is not None for policy in (HERE, LAN, STREET)) == RANGES[address]
    passed = [f" {address} 5000 " in text(GOOD + f"a={line}\r\n", policy) for policy in (HERE, LAN, STREET)]
    assert tuple(passed) == RANGES[address]


def test_what_is_no_address_is_not_taken() -> None:
    for nothing in ("", "localhost", "10.0.0", "010.0.0.1", "fe80::1%eth0", "10.0.0.1%1", "::1%lo", "1" * 300):
        assert not HERE.takes(nothing)


def test_whose_packets_are_answered() -> None:
    assert LAN.answers("10.0.0.1")
    assert STREET.answers("10.0.0.1"), "a neighbour, or a guest behind the same router"
    assert STREET.answers("fe80::1%eth0")
    assert HERE.answers("127.0.0.1")
    for nobody in ("127.0.0.1", "::1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "nowhere"):
        assert not LAN.answers(nobody)


@pytest.mark.parametrize(
    "line",
    [
        "candidate:1 1 tcp 1 10.0.0.1 9 typ host tcptype active",
        "candidate:1 2 udp 1 10.0.0.1 5000 typ host",
        "candidate:1 1 udp 1 10.0.0.1 53 typ host",
        "candidate:1 1 udp 1 0f0e.local 5000 typ host",
        "candidate:1 1 UDP 1 0F0E.LOCAL 5000 typ host",
    ],
)
def test_candidates_that_are_of_no_use_are_left_out(line: str) -> None:
    assert candidate(line, HERE) is None


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "candidate:1 1 udp 1 10.0.0.1 0 typ host",
        "candidate:1 1 udp 1 10.0.0.1 65536 typ host",
        "candidate:1 1 udp 9999999999 10.0.0.1 5000 typ host",
        "candidate:1 1 sctp 1 10.0.0.1 5000 typ host",
        "candidate:1 1 udp 1 10.0.0.1 5000 typ guess",
        "candidate:1 1 udp 1 example.org 5000 typ host",
        "candidate:1 1 udp 1 metadata.google.internal 5000 typ host",
        "candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\na=setup:active",
        "candidate:1 1 udp 1 10.0.0.1 5000 typ host " + "x y " * 200,
        "candidate:1 1 udp 1 10.0.0.١ 5000 typ host",
    ],
)
def test_malformed_candidates_are_refused(line: str) -> None:
    with pytest.raises(Refused) as caught:
        candidate(line, HERE)
    assert caught.value.status == 400


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=200), st.from_regex(r"candidate:.{0,20} 1 udp 1 .{0,40} \d{1,6} typ host.{0,40}")))
def test_a_candidate_is_taken_or_refused_whatever_it_is(line: str) -> None:
    try:
        found = candidate(line, STREET)
    except Refused:
        return
    assert found is None or STREET.takes(found.ip)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.integers(0, 40))
def test_an_offer_is_taken_or_refused_whatever_it_says(words: str, at: int) -> None:
    lines = GOOD.split("\r\n")
    for offer in (words, "v=0\n" + words, "\r\n".join([*lines[:at], words, *lines[at:]])):
        try:
            SessionDescription.parse(screen(offer, STREET).sdp)
        except Refused:
            continue


ATTRIBUTES = sorted(
    {line[2:].partition(":")[0] for offer in OFFERS.values() for line in offer.split("\r\n") if line[:2] == "a="}
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ATTRIBUTES),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), max_size=80),
)
def test_an_attribute_is_taken_or_refused_whatever_it_says(name: str, value: str) -> None:
    for offer in (GOOD + f"a={name}:{value}\r\n", GOOD.replace("m=video", f"a={name}:{value}\r\nm=video")):
        try:
            SessionDescription.parse(screen(offer, STREET).sdp)
        except Refused:
            continue


def mutated(offer: str, chance: random.Random) -> str:
    """Return an offer with some of its lines cut, dropped, doubled, swapped, or with other characters or numbers."""
    lines = offer.split("\r\n")
    for _ in range(chance.choice((1, 1, 2, 4, 9))):
        at = chance.randrange(len(lines))
        line = lines[at]
        match chance.randrange(6):
            case 0:
                lines[at] = line[: chance.randrange(len(line) + 1)]
            case 1 if len(lines) > 1:
                lines.pop(at)
            case 2:
                lines.insert(chance.randrange(len(lines)), line)
            case 3:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], line
            case 4:
                place = chance.randrange(len(line) + 1)
                character = chr(
                    chance.choice((chance.randrange(32, 127), chance.randrange(32), chance.randrange(0x3000)))
                )
                lines[at] = line[:place] + character + line[place + 1 :]
            case _:
                lines[at] = line.replace(chance.choice("0123456789"), chance.choice(("", "-1", "99999999999", "a")))
    return "\r\n".join(lines)


@pytest.mark.slow
def test_ten_thousand_mutated_offers_are_taken_or_refused() -> None:
    chance = random.Random(20)
    count: Counter[str] = Counter()
    for k in range(10_000):
        offer = mutated(GOOD if k % 2 else OFFERS["firefox"], chance)
        try:
            screened = screen(offer, STREET)
        except Refused:
            count["refused"] += 1
        else:
            count["taken"] += 1
            if k % 10 == 0:
                SessionDescription.parse(screened.sdp)
    assert count["refused"] > 2000
    assert count["taken"] > 1000
