"""Where a frame belongs on the call's clock, and sound without holes."""

from __future__ import annotations

from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transports._inbound import Anchor, AudioIn, Decimator, Samples, VideoIn, to_rgb
from agent.transports._opus import OpusDecoder, OpusEncoder
from perception.media import AudioChunk
from perception.timebase import MS, SECOND, Nanos

RATE = 48_000
FRAME = 960
TRANSIT = 30 * MS


def tone(first: int, count: int = FRAME, hz: float = 440.0) -> Samples:
    t = (np.arange(count) + first) / RATE
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def feed(audio: AudioIn, numbers: list[int], *, late: dict[int, Nanos] | None = None) -> list[AudioChunk]:
    chunks: list[AudioChunk] = []
    for k in numbers:
        now = (k + 1) * 20 * MS + TRANSIT + (late or {}).get(k, 0)
        chunks += audio.push(tone(k * FRAME), k * FRAME, now)
    return chunks


def is_continuous(chunks: list[AudioChunk]) -> bool:
    return all(abs(b.start - a.end) <= 1 for a, b in pairwise(chunks))


def test_sound_comes_out_continuous_stamped_and_undistorted() -> None:
    chunks = feed(AudioIn(), list(range(100)))
    assert is_continuous(chunks)
    assert chunks[0].start == TRANSIT
    assert chunks[-1].end == pytest.approx(TRANSIT + 2 * SECOND, abs=2 * MS)
    sound = np.concatenate([c.samples for c in chunks])
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(sound)) / 16_000)
    assert np.max(np.abs(sound - expected)[100:]) < 0.002


def test_the_decimator_keeps_back_one_millisecond_only_and_removes_what_would_alias() -> None:
    decimator = Decimator()
    given_out = sum(len(decimator.feed(tone(k * FRAME))) for k in range(50))
    assert 50 * 320 - given_out <= 16
    quiet = np.concatenate([Decimator().feed(tone(0, RATE, 9_000))])
    loud = np.concatenate([Decimator().feed(tone(0, RATE, 5_000))])
    assert np.max(np.abs(quiet[200:])) < 0.005
    assert np.max(np.abs(loud[200:])) == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
@given(st.lists(st.integers(0, 2500), min_size=1, max_size=10))
def test_any_chunking_gives_the_same_samples(sizes: list[int]) -> None:
    whole = tone(0, sum(sizes))
    pieces, begin = [], 0
    decimator = Decimator()
    for size in sizes:
        pieces.append(decimator.feed(whole[begin : begin + size]))
        begin += size
    together = np.concatenate(pieces)
    at_once = Decimator().feed(whole)
    assert len(together) == len(at_once)
    assert np.allclose(together, at_once, atol=1e-6)


def test_a_hole_is_concealed_and_time_goes_on() -> None:
    audio = AudioIn()
    chunks = feed(audio, [k for k in range(100) if k not in (30, 31, 50)])
    assert is_continuous(chunks)
    assert chunks[-1].end == pytest.approx(TRANSIT + 2 * SECOND, abs=2 * MS)
    assert audio.concealed == 3 * FRAME
    sound = np.concatenate([c.samples for c in chunks])
    hole = sound[30 * 320 : 32 * 320]
    assert np.max(np.abs(hole)) > 0.1, "not a hard cut"
    assert np.max(np.abs(hole[-40:])) < 0.05, "faded out"
    assert np.max(np.abs(np.diff(sound[29 * 320 : 31 * 320]))) < 0.2, "no click where it begins"


def test_a_long_outage_is_a_jump_of_the_right_length() -> None:
    chunks = feed(AudioIn(), [*range(50), *range(300, 350)])
    jumps = [b.start - a.end for a, b in pairwise(chunks) if b.start - a.end > MS]
    assert len(jumps) == 1
    assert jumps[0] == pytest.approx(5 * SECOND, abs=5 * MS)
    assert chunks[-1].end == pytest.approx(TRANSIT + 7 * SECOND, abs=2 * MS)


def test_when_nothing_comes_silence_is_made_so_that_a_cut_voice_ends() -> None:
    audio = AudioIn()
    chunks = feed(audio, list(range(50)))
    made: list[AudioChunk] = []
    for tick in range(0, 60):
        made += audio.fill(SECOND + TRANSIT + tick * 100 * MS)
    assert is_continuous(chunks + made)
    length = sum(c.duration for c in made)
    assert length == pytest.approx(2 * SECOND, abs=5 * MS), "and no more than two seconds of it"
    assert not np.concatenate([c.samples for c in made])[800:].any()


def test_what_comes_after_its_place_was_filled_is_dropped_and_the_rest_is_in_place() -> None:
    audio = AudioIn()
    feed(audio, list(range(50)))
    made: list[AudioChunk] = []
    for tick in range(12):
        made += audio.fill(SECOND + TRANSIT + tick * 100 * MS)
    assert made
    chunks = made
    for k in range(50, 120):  # all of them come at once, then on time again
        now = max((k + 1) * 20 * MS + TRANSIT, SECOND + TRANSIT + 1120 * MS)
        chunks += audio.push(tone(k * FRAME), k * FRAME, now)
    assert audio.late > 0
    assert is_continuous(chunks)
    assert chunks[-1].end == pytest.approx(TRANSIT + 120 * 20 * MS, abs=2 * MS)


def test_a_stall_of_this_process_is_not_filled_with_silence() -> None:
    audio = AudioIn()
    feed(audio, list(range(50)))
    assert not audio.fill(SECOND + TRANSIT)
    assert not audio.fill(3 * SECOND + TRANSIT), "what came meanwhile has not been read yet"
    chunks = feed(audio, list(range(50, 150)))
    assert audio.late == audio.concealed == 0
    assert is_continuous(chunks)


def test_jitter_does_not_move_the_sound() -> None:
    late = {k: (k * 7919 % 13) * 5 * MS for k in range(10, 100)}
    chunks = feed(AudioIn(), list(range(100)), late=late)
    assert is_continuous(chunks)
    assert chunks[-1].end == pytest.approx(TRANSIT + 2 * SECOND, abs=2 * MS)


def test_no_frame_lies_in_the_future_once_the_start_is_over() -> None:
    anchor = Anchor(RATE)
    late = {0: 90 * MS, 1: 70 * MS, 2: 50 * MS, 3: 30 * MS}
    for k in range(50):
        now = (k + 1) * 20 * MS + TRANSIT + late.get(k, 0)
        start = anchor.place(k * FRAME, FRAME, now)
        assert start + 20 * MS <= now
    assert anchor.delay == 0


def test_no_stamp_is_negative() -> None:
    anchor = Anchor(RATE)
    starts = [anchor.place(k * FRAME, FRAME, 3 * MS + k * 19 * MS) for k in range(20)]
    assert min(starts) == 0


@pytest.mark.parametrize("by", [-300 * MS, 400 * MS])
def test_clocks_that_have_come_apart_are_tied_anew_and_it_is_told(by: Nanos) -> None:
    anchor = Anchor(RATE)
    moves: list[Nanos] = []
    starts: list[Nanos] = []
    for k in range(400):
        now = (k + 1) * 20 * MS + TRANSIT + (by if k >= 200 else 0)
        starts.append(anchor.place(k * FRAME, FRAME, now))
        if anchor.moved:
            moves.append(anchor.moved)
    assert moves == [by]
    assert starts[-1] + 20 * MS == 400 * 20 * MS + TRANSIT + by


def test_a_queue_that_is_worked_off_moves_nothing() -> None:
    anchor = Anchor(90_000)
    moved = 0
    for k in range(300):
        at = k * 33 * MS
        outage_over = 6 * SECOND
        now = at + TRANSIT if at < 2 * SECOND else max(at + TRANSIT, outage_over + (at - 2 * SECOND) // 2)
        anchor.place(k * 2970, 0, now)
        moved += abs(anchor.moved)
    assert moved == 0


def test_a_sender_that_begins_anew_is_followed_at_once() -> None:
    audio = AudioIn()
    feed(audio, list(range(500)))
    chunks: list[AudioChunk] = []
    for k in range(500, 520):
        chunks += audio.push(tone(k * FRAME), (k - 500) * FRAME, (k + 1) * 20 * MS + TRANSIT)
    assert chunks[0].start >= 500 * 20 * MS
    assert chunks[-1].end == pytest.approx(520 * 20 * MS + TRANSIT, abs=2 * MS)


def test_a_mad_timestamp_does_not_take_memory_or_move_time() -> None:
    audio = AudioIn()
    feed(audio, list(range(10)))
    chunks = audio.push(tone(0), 1 << 40, 11 * 20 * MS + TRANSIT)
    assert sum(len(c.samples) for c in chunks) < 1000
    assert chunks[-1].end <= 11 * 20 * MS + TRANSIT + MS


def test_opus_there_and_back() -> None:
    encoder, decoder = OpusEncoder(24_000), OpusDecoder()
    t = np.arange(24_000) / 24_000
    sound = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    packets = [encoder.encode(sound[i : i + 480]) for i in range(0, 24_000, 480)]
    assert all(len(p) < 400 for p in packets)
    back = [decoder.decode(p) for p in packets]
    assert all(b is not None and b.shape == (960,) for b in back)
    heard = np.concatenate([b for b in back if b is not None])
    assert np.sqrt(np.mean(heard[4800:] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


def test_silence_is_encoded_once() -> None:
    encoder = OpusEncoder(24_000)
    packets = [encoder.encode(None) for _ in range(50)]
    assert len(set(packets[5:])) == 1
    loud = encoder.encode(np.full(480, 0.5, np.float32))
    assert loud != packets[-1]
    decoded = OpusDecoder().decode(packets[-1])
    assert decoded is not None
    assert np.max(np.abs(decoded)) < 0.001


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"\xff" * 300, bytes(range(256)) * 5])
def test_garbage_is_no_sound(garbage: bytes) -> None:
    decoder = OpusDecoder()
    found = decoder.decode(garbage)
    assert found is None or found.dtype == np.float32
    good = OpusEncoder(48_000).encode(tone(0))
    assert decoder.decode(good) is not None, "and what follows is decoded"


def test_pictures_are_thinned_out_and_stale_ones_dropped() -> None:
    video = VideoIn(most_hz=15)
    kept = [video.wants(k * 3000, k * SECOND // 30) for k in range(90)]
    stamps = [at for at in kept if at is not None]
    assert len(stamps) == pytest.approx(45, abs=1)
    assert video.wants(90 * 3000, 90 * SECOND // 30 + 600 * MS) is None
    assert video.stale == 1
    slow = VideoIn(most_hz=15)
    assert all(slow.wants(k * 9000, k * SECOND // 10) is not None for k in range(20))


def test_a_burst_of_old_pictures_after_an_outage_is_not_looked_at() -> None:
    video = VideoIn(most_hz=15)
    for k in range(60):
        video.wants(k * 3000, k * SECOND // 30)
    # Three seconds were held up on the way and come within one.
    seen = [(video.wants(k * 3000, now), now) for k in range(60, 150) for now in [5 * SECOND + (k - 60) * SECOND // 90]]
    assert all(now - at <= 500 * MS for at, now in seen if at is not None)
    assert sum(at is None for at, _ in seen) > 60


def test_big_pictures_are_made_smaller_and_all_are_rgb() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), (200, 30, 30), np.uint8), format="rgb24")
    pixels = to_rgb(frame.reformat(format="yuv420p"))
    assert pixels.shape == (240, 320, 3)
    assert abs(int(pixels[100, 100, 0]) - 200) < 8
    assert abs(int(pixels[100, 100, 2]) - 30) < 8
    large = av.VideoFrame(3840, 2160, "yuv420p")
    assert to_rgb(large).shape == (720, 1280, 3)
