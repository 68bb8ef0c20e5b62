"""Sound that survives loss: copies in the next packet, what libopus makes up, and what is left to a fade."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transports import _libopus
from agent.transports._ear import Ear, with_copies
from agent.transports._inbound import AudioIn
from agent.transports._opus import OpusEncoder
from agent.transports._reorder import Packet, ReorderBuffer
from perception.timebase import MS

TRANSIT = 20 * MS


def voice(seconds: float = 3.0) -> Any:
    """A hum with overtones whose pitch glides, in syllables."""
    t = np.arange(round(48_000 * seconds)) / 48_000
    turns = np.cumsum(150 + 30 * np.sin(2 * np.pi * 0.7 * t)) / 48_000
    hum = sum(np.sin(2 * np.pi * n * turns) / n for n in range(1, 20))
    return (hum * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)) * 0.2).astype(np.float32)


def encoded(expected_loss: int) -> list[Packet]:
    encoder, sound = OpusEncoder(48_000, expected_loss=expected_loss), voice()
    pieces = (sound[i : i + 960] for i in range(0, len(sound) - 959, 960))
    return [Packet(encoder.encode(piece), k * 960, 0, k) for k, piece in enumerate(pieces)]


def library() -> _libopus.Library:
    found = _libopus.library()
    assert found is not None, "PyAV's wheels bring libopus; without it there is no in-band FEC"
    return found


def heard(ear: Ear, packets: Iterator[Packet]) -> Any:
    out = np.zeros(len(voice()), np.float32)
    for found in packets:
        sound = ear.hear(found)
        assert sound is not None
        out[sound[1] : sound[1] + len(sound[0])] = sound[0]
    return out


def every_tenth_lost(packets: list[Packet]) -> Iterator[Packet]:
    return (p for p in packets if p.sequence % 10 != 5)


def damage(ear: Ear, packets: list[Packet]) -> float:
    """Loudness of what is wrong in the lost places, against that of the sound there."""
    whole = heard(Ear(library()), iter(packets))
    lossy = heard(ear, every_tenth_lost(packets))
    places = [slice(k * 960, (k + 1) * 960) for k in range(25, len(packets) - 1) if k % 10 == 5]
    wrong = np.concatenate([(lossy - whole)[p] for p in places])
    return float(np.sqrt(np.mean(wrong**2) / np.mean(np.concatenate([whole[p] for p in places]) ** 2)))


@pytest.mark.slow
def test_a_lost_packet_is_decoded_from_the_copy_in_the_next() -> None:
    ear = Ear(library())
    packets = encoded(expected_loss=10)
    with_copy = damage(ear, packets)
    assert ear.received == len(packets) - len(packets) // 10
    assert ear.recovered >= 0.8 * (len(packets) // 10)
    without = Ear(library())
    assert with_copy < 0.6 * damage(without, encoded(expected_loss=0))
    assert (without.recovered, without.concealed) == (0, len(packets) // 10)
    silent = damage(Ear(None), packets)
    assert silent == pytest.approx(1.0), "without libopus the hole is a hole, for AudioIn to fade over"


@pytest.mark.slow
def test_a_few_lost_packets_in_a_row_are_made_up_and_many_are_left_alone() -> None:
    packets = encoded(expected_loss=10)
    ear = Ear(library())
    for found in packets[:50]:
        ear.hear(found)
    sound = ear.hear(packets[54])
    assert sound is not None
    assert (len(sound[0]), sound[1]) == (5 * 960, 50 * 960)
    assert ear.recovered + ear.concealed == 4
    sound = ear.hear(packets[80])
    assert sound is not None
    assert (len(sound[0]), sound[1]) == (960, 80 * 960)
    assert ear.recovered + ear.concealed == 4


def test_a_sender_that_pauses_has_lost_nothing() -> None:
    packets = encoded(expected_loss=10)
    ear = Ear(library())
    ear.hear(packets[0])
    later = Packet(packets[1].data, 48_000, 0, 1)
    sound = ear.hear(later)
    assert sound is not None
    assert sound[1] == 48_000
    assert ear.hear(Packet(packets[2].data, 200_000, 0, 3)) is not None
    assert ear.recovered + ear.concealed == 0


@pytest.mark.slow
@given(st.binary(max_size=300), st.integers(0, 0xFFFF))
def test_garbage_neither_crashes_nor_lasts(data: bytes, sequence: int) -> None:
    ear = Ear(library())
    good = encoded_once()
    ear.hear(Packet(good, 0, 0, 0))
    ear.hear(Packet(data, sequence * 960, 0, sequence))
    sound = ear.hear(Packet(good, 1 << 30, 0, 9))
    assert sound is not None
    assert np.isfinite(sound[0]).all()


def encoded_once() -> bytes:
    return OpusEncoder(48_000).encode(np.zeros(960, np.float32))


@pytest.mark.slow
def test_sound_is_continuous_and_in_time_through_loss() -> None:
    chance, ear, buffer, audio = random.Random(1), Ear(library()), ReorderBuffer[Packet](), AudioIn()
    chunks, lost = [], 0
    packets = encoded(expected_loss=10)
    for found in packets:
        now = (found.sequence + 1) * 20 * MS + TRANSIT
        if chance.random() < 0.1:
            lost += 1
            continue
        for ready in buffer.push(found.sequence, found, now):
            sound = ear.hear(ready)
            assert sound is not None
            chunks += audio.push(*sound, now)
    assert lost >= 8
    assert ear.received == len(packets) - lost
    assert ear.recovered + ear.concealed >= lost - 2
    assert audio.concealed == 0
    assert all(abs(b.start - a.end) <= 1 for a, b in pairwise(chunks))


def test_the_answer_asks_for_copies_once() -> None:
    sdp = "v=0\r\nm=audio 9 X 96 0\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n"
    asked = with_copies(sdp)
    assert "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 minptime=10;useinbandfec=1\r\n" in asked
    assert with_copies(asked) == asked
    assert with_copies("v=0\r\n") == "v=0\r\n"


def test_where_there_is_no_libopus_sound_is_decoded_without(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(_libopus, "_FOLDERS", ("nowhere",))
        patch.setattr(_libopus, "_NAMES", ("libnothing.so.9", str(av.__file__)))
        _libopus.library.cache_clear()
        assert _libopus.library() is None
    _libopus.library.cache_clear()
    for ear in (Ear(None), Ear(library())):
        assert ear.hear(Packet(encoded_once(), 0, 0, 0)) is not None
        assert ear.hear(Packet(b"", 960, 0, 1)) is None
        assert (ear.received, ear.broken) == (1, 1)
