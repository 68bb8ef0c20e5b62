"""Everything of Rapport that reads bytes of others: what it is called with, what it may refuse with, and good input.

A parser takes any bytes. It returns, or raises what is named here; anything else is a crash, and so is a wrong result
where there is one to check. ``benchmarks/reliability/fuzz.py`` looks for crashes as long as it is let, and keeps
what it finds in ``tests/fuzz/corpus``, which the tests go through.
"""

from __future__ import annotations

import json
import random
import struct
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from aiortc.rtp import RtcpPacket, RtpPacket
from aiortc.sdp import SessionDescription
from pydantic import ValidationError

from agent import config, journal, token, wire
from agent.privacy import journal_file
from agent.refusal import Refused
from agent.transports import _libopus
from agent.transports._bodies import Bye, Offer, Trickle
from agent.transports._ear import Ear, with_copies
from agent.transports._guard import Addresses, candidate
from agent.transports._offer import screen
from agent.transports._opus import OpusEncoder
from agent.transports._reorder import AudioInlet
from perception.timebase import MS
from policy import attacks, quoting
from policy.form import Form, Garbled
from policy.safety import helplines, responses
from tests.agent.test_guard_sdp import OFFERS
from tests.policy.windows import talk

CORPUS = Path(__file__).parent / "corpus"
STREET = Addresses(private=False)
KEY = bytes(range(32))
DATA = Path(attacks.__file__).parent / "data"


@dataclass(frozen=True)
class Parser:
    """One reader of bytes.

    Attributes:
        run: takes any bytes.
        refuses: what it may raise.
        seeds: input from which others are made.
    """

    run: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]

    def crashes(self, data: bytes) -> str:
        """Return what went wrong; ``""`` if nothing did."""
        try:
            self.run(data)
        except self.refuses:
            return ""
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:300]
        return ""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _sdp(data: bytes) -> None:
    screened = screen(_text(data), STREET)
    found = SessionDescription.parse(screened.sdp)
    assert screen(screened.sdp, STREET).sdp == screened.sdp, "what was written here is not taken as it is"
    for media in found.media:
        for each in media.ice_candidates:
            assert STREET.takes(each.ip), f"{each.ip} was let through"
    with_copies(screened.sdp)


def _candidate(data: bytes) -> None:
    found = candidate(_text(data), STREET)
    assert found is None or (STREET.takes(found.ip) and found.port >= 1024)


def _bodies(data: bytes) -> None:
    read = 0
    last: ValidationError | None = None
    for model in (Offer, Trickle, Bye):
        try:
            model.model_validate_json(data)
            read += 1
        except ValidationError as error:
            last = error
            error.errors(include_url=False, include_input=False, include_context=False)
    if not read and last is not None:
        raise last


def _wire(data: bytes) -> None:
    wire.parse(data)
    try:
        wire.parse(data.decode("utf-8", "replace"))
    except wire.WireError:
        return


def _token(data: bytes) -> None:
    """As it comes from a stranger, and with claims that the key has signed, whatever they are."""
    try:
        token.read(KEY, _text(data), longest_s=300, at_s=1000)
    except token.TokenError:
        pass
    signed = f"r1.{token._encode(data)}"
    token.read(KEY, f"{signed}.{token._encode(token._sign(KEY, signed))}", longest_s=300, at_s=1000)


def _rtp(data: bytes) -> None:
    """Packets of a microphone, each with its length in front, through the buffer and the decoder."""
    ear, now = Ear(_libopus.library()), 0
    heard: list[int] = []

    def take(packet: Any) -> None:
        found = ear.hear(packet)
        if found is not None:
            samples, _ = found
            assert samples.dtype == np.float32
            assert len(samples) <= 48_000, "more than a second of sound in one packet"
            assert np.isfinite(samples).all()
            heard.append(len(samples))

    inlet = AudioInlet(take, lambda: now)
    at = 0
    while at + 2 <= len(data) and len(heard) < 200:
        (length,) = struct.unpack_from("!H", data, at)
        piece, at = data[at + 2 : at + 2 + length], at + 2 + length
        now += 20 * MS
        try:
            packet: Any = RtpPacket.parse(piece)
        except ValueError:  # what aiortc lets go of before it is here
            continue
        packet._data = packet.payload  # as aiortc does for Opus
        inlet.add(packet)
        inlet.flush()


def _rtcp(data: bytes) -> None:
    RtcpPacket.parse(data)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


def _file(name: str, data: bytes) -> Path:
    path = Path(_folder().name) / name
    path.write_bytes(data)
    return path


def _config(data: bytes) -> None:
    config.load(_file("some.toml", data))


def _journal(data: bytes) -> None:
    for line in journal_file.lines_of(_file("some.jsonl", data)):
        journal.as_line(line)


def _trees(data: bytes) -> None:
    """Tables of data files and of a configuration in which some places hold something else; ``data`` is the chance."""
    chance = random.Random(data)
    name, read, refused = chance.choice(_READS)
    tree = _tree(name)
    for _ in range(chance.choice((1, 1, 2, 4))):
        _spoil(tree, chance)
    try:
        read(tree)
    except refused:
        return


_READS: tuple[tuple[str, Callable[[Any], object], type[Exception]], ...] = (
    ("attacks", attacks.read, attacks.AttackError),
    ("crisis", responses.parse, responses.CrisisError),
    ("resources", helplines.read, helplines.ResourceError),
    ("default", lambda table: config.parse(table, "some.toml"), config.ConfigError),
)


@cache
def _source(name: str) -> str:
    path = DATA.parent.parent / "configs" / "default.toml" if name == "default" else DATA / f"{name}.toml"
    return path.read_text(encoding="utf-8")


def _tree(name: str) -> dict[str, Any]:
    return tomllib.loads(_source(name))


def _spoil(tree: Any, chance: random.Random) -> None:
    """Put something else somewhere."""
    at = tree
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = chance.choice(keys)
        if not isinstance(at[key], (dict, list)) or not at[key] or chance.random() < 0.25:
            break
        at = at[key]
    match chance.randrange(4):
        case 0 if isinstance(at, dict):
            at[chance.choice(("", "x", "é", "a.b"))] = at.pop(key)
        case 1:
            del at[key]
        case _:
            at[key] = chance.choice(_ODD)


_ODD: tuple[Any, ...] = (
    0, -1, 2**70, True, 1e308, float("nan"), float("inf"), "", " ", "x" * 300, "\ud800", [], [[]], [0], {}, {"a": {}},
    ["a", 1], date(1979, 5, 27), {"use": 3}, [{"use": "vad"}], "{nothing}",
)  # fmt: skip


def _said(data: bytes) -> None:
    """Words on their way into a prompt."""
    text = _text(data)
    for line in (quoting.quoted(text), f'"{quoting.named(text)}"'):
        inside = line[1:-1]
        assert len(line.splitlines()) == 1
        assert not {'"', "[", "]"} & set(inside)
        assert "<|" not in inside
        assert "|>" not in inside
    assert quoting.unmarked(quoting.unmarked(text)) == quoting.unmarked(text)


def _answer(data: bytes) -> None:
    """What a served mind writes, in pieces."""
    form = Form(talk("I failed my exam."), thinks=bool(data[:1] == b"<"))
    text = data.decode("utf-8", "replace")
    for n in range(0, len(text), 7):
        form.push(text[n : n + 7])
    form.finish()


def _packets() -> bytes:
    encoder, found = OpusEncoder(48_000), b""
    for k in range(8):
        sound = np.sin(np.arange(960) * 0.05).astype(np.float32) * np.float32(0.3)
        packet = RtpPacket(payload_type=111, sequence_number=65_532 + k & 0xFFFF, timestamp=k * 960, ssrc=7)
        packet.payload = encoder.encode(sound)
        raw = packet.serialize()
        found += struct.pack("!H", len(raw)) + raw
    return found


def _rtvi(kind: str, data: Any = None) -> bytes:
    return json.dumps({"label": "rtvi-ai", "type": kind, "id": "a1", "data": data}).encode()


_CLAIMS = b'{"jti":"abc","nbf":900,"exp":1100,"grants":["audio","data"],"label":"lobby"}'
_DECISION = (
    b'{"action":"speak","strategy":"question","emotion":"concern","tone":"soft","words":"What happened? Go on."}'
)

PARSERS: dict[str, Parser] = {
    "sdp": Parser(_sdp, (Refused,), tuple(offer.encode() for offer in OFFERS.values())),
    "candidate": Parser(
        _candidate,
        (Refused,),
        (
            b"candidate:842163049 1 udp 1677729535 203.0.113.9 46154 typ srflx raddr 10.0.0.17 rport 46154",
            b"candidate:1 1 udp 1 2001:db8::1 5000 typ host",
            b"candidate:1 1 UDP 1 0f0e.local 5000 typ host",
        ),
    ),
    "bodies": Parser(
        _bodies,
        (ValidationError,),
        (
            b'{"type": "offer", "sdp": "v=0", "pc_id": "x", "restart_pc": true, "token": "r1.a.b"}',
            b'{"pc_id": "x", "candidates": [{"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0}]}',
        ),
    ),
    "wire": Parser(
        _wire,
        (wire.WireError,),
        (
            b"ping",
            _rtvi("client-ready", {"version": "2.1.0"}),
            _rtvi("send-text", {"content": "Hello."}),
            _rtvi("client-message", {"t": "consent", "d": {"senses": ["vad"], "version": "2026-11", "locale": "en"}}),
            _rtvi("client-message", {"t": "push-to-talk", "d": {"enabled": True, "held": False}}),
            b'{"type": "signalling", "message": {"type": "trackStatus", "receiver_index": 1, "enabled": false}}',
        ),
    ),
    "token": Parser(_token, (token.TokenError,), (_CLAIMS, b"r1.eyJqdGkiOiJ4In0.c2ln")),
    "rtp": Parser(_rtp, (), (_packets(),)),
    "rtcp": Parser(
        _rtcp,
        (ValueError,),
        (
            bytes.fromhex("80c8000600000007000000000000000000000000000000010000000a"),
            bytes.fromhex("81c9000700000001" + "0" * 48),
        ),
    ),
    "config": Parser(
        _config,
        (config.ConfigError,),
        (
            b'workers = ["vad", {use = "asr"}]\npolicy = "compact"\n[server]\nport = 8080\n[call]\ngreeting = true\n',
            b'[call.turns]\nsilence = 5\n[journal]\ndirectory = "x"\n[safety]\nlocale = "GB"\n',
        ),
    ),
    "journal": Parser(
        _journal,
        (),
        (b'{"t": 1.0, "type": "percept", "kind": "x"}\n{"t": 2, "type": "turn", "pii.text": "hi"}\n', b"[" * 60_000),
    ),
    "trees": Parser(_trees, (), tuple(bytes([n]) for n in range(32))),
    "said": Parser(_said, (), tuple(attack.words.encode() for attack in attacks.attacks()[10:24])),
    "answer": Parser(_answer, (Garbled,), (_DECISION, b"<think>They are sad.</think>" + _DECISION)),
}

_TOKENS = (
    b"\x00", b"\xff\xfe", b"\r\n", b"\n", b"9" * 20, b"-1", b"1e999", b"[" * 2000, b'{"a":' * 2000, b"[[a]]\n",
    b'"', b"\\", b"\\ud800", b"\xed\xa0\x80", b"a = ", b"null", b"true", b"0.0", b"a=candidate:", b"m=audio 9 ", b"<|",
    "\u2028".encode(), "\u0661".encode(), b" = []", b"{}", b"[]", b"nan", b"1979-05-27",
)  # fmt: skip


def mutated(seed: bytes, chance: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """Return ``seed`` with some bytes changed, cut, doubled, or replaced by what parsers stumble over."""
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 3, 6, 12))):
        at = chance.randrange(len(data) + 1)
        span = min(len(data) - at, chance.choice((1, 1, 2, 4, 16, 200)))
        match chance.randrange(7):
            case 0:
                del data[at : at + span]
            case 1:
                data[at : at + span] = bytes(chance.randrange(256) for _ in range(span))
            case 2:
                data[at:at] = data[at : at + span] * chance.choice((1, 2, 30))
            case 3 | 4:
                data[at : at + (span if chance.random() < 0.5 else 0)] = chance.choice(_TOKENS)
            case 5 if others:
                other = chance.choice(others)
                data[at:at] = other[chance.randrange(len(other) + 1) :][:span]
            case _ if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case _:
                data += b"\x00"
    return bytes(data[:70_000])
