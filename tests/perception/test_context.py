from __future__ import annotations

import numpy as np
import pytest

from perception.context import Bounds, Entry, RollingContext, Turn
from perception.media import AudioChunk, Text, VideoFrame
from perception.percept import Percept
from perception.timebase import MS, SECOND, from_ticks, seconds, to_ticks


def percept(i: int, kind: str = "face") -> Percept:
    return Percept(kind, str(i), i * SECOND, i * SECOND + MS, 1.0, "w")


def weigh(entry: Entry) -> int:
    return 10


def test_entries_come_in_order_of_arrival() -> None:
    context = RollingContext()
    context.note(percept(5))
    context.note(Turn("user", "hi", 0, SECOND))
    context.note(Text("typed", 6 * SECOND))
    window = context.window(7 * SECOND)
    assert [type(e).__name__ for e in window.entries] == ["Percept", "Turn", "Text"]
    assert window.turns[0].text == "hi"
    assert window.end == 7 * SECOND


def test_a_window_is_a_photograph() -> None:
    context = RollingContext()
    context.note(percept(1))
    window = context.window(SECOND)
    context.note(percept(2))
    assert len(window.entries) == 1


def test_what_leaves_leaves_in_blocks_and_is_summed_up() -> None:
    gone: list[int] = []

    def summarise(old: str, left: tuple[Entry, ...]) -> str:
        gone.append(len(left))
        return f"{old}+{len(left)}"

    context = RollingContext(Bounds(tokens=100, block=0.5), weigh, summarise)
    before = context.window(0)
    changes = 0
    for i in range(100):
        context.note(percept(i))
        window = context.window(i * SECOND)
        if window.first == before.first:
            assert window.entries[: len(before.entries)] == before.entries
        else:
            changes += 1
        assert context.tokens <= 100
        before = window
    assert changes == len(gone) <= 20, "leaving one by one would spoil the cached prefix each time"
    assert before.first == sum(gone)
    assert before.summary == "".join(f"+{n}" for n in gone)


def test_old_entries_leave_by_age() -> None:
    context = RollingContext(Bounds(span=10 * SECOND))
    for i in range(30):
        context.note(percept(i))
    window = context.window(30 * SECOND)
    assert window.start >= 19 * SECOND
    assert window.entries[-1] == percept(29)


def test_the_number_of_entries_is_bounded_even_if_they_weigh_nothing() -> None:
    context = RollingContext(Bounds(entries=100), lambda _: 0)
    for _ in range(1000):
        context.note(percept(0))
        assert len(context.window(0).entries) <= 100


def test_one_huge_entry_is_kept() -> None:
    context = RollingContext(Bounds(tokens=5), weigh)
    context.note(percept(1))
    assert len(context.window(SECOND).entries) == 1


def test_sound_and_pictures_are_bounded_in_seconds_and_bytes() -> None:
    context = RollingContext(Bounds(media_span=2 * SECOND, media_bytes=600_000, frame_gap=0))
    for i in range(500):
        context.hear(AudioChunk(np.zeros(320, np.float32), start=i * 20 * MS))
        context.see(VideoFrame(np.zeros((48, 64, 3), np.uint8), at=i * 20 * MS))
        assert context.media_bytes <= 600_000
    window = context.window(10 * SECOND)
    assert window.audio[0].start >= 8 * SECOND - 20 * MS
    assert window.frames[0].at >= 8 * SECOND - 20 * MS
    assert context.media_bytes == sum(a.samples.nbytes for a in window.audio) + sum(
        f.pixels.nbytes for f in window.frames
    )


def test_pictures_too_close_together_are_not_kept() -> None:
    context = RollingContext(Bounds(frame_gap=500 * MS))
    for i in range(30):
        context.see(VideoFrame(np.zeros((4, 4, 3), np.uint8), at=i * 100 * MS))
    assert [f.at for f in context.window(3 * SECOND).frames] == [i * 500 * MS for i in range(6)]


def test_a_refused_sense_is_forgotten_at_once() -> None:
    context = RollingContext()
    context.hear(AudioChunk(np.zeros(320, np.float32), start=0))
    context.see(VideoFrame(np.zeros((4, 4, 3), np.uint8), at=0))
    context.forget_media(VideoFrame)
    window = context.window(SECOND)
    assert not window.frames
    assert window.audio
    assert context.media_bytes == 320 * 4


def test_latest_looks_back_only_so_far() -> None:
    context = RollingContext()
    context.note(percept(1, "gaze"))
    context.note(percept(2, "expression"))
    window = context.window(10 * SECOND)
    assert window.latest("gaze") == percept(1, "gaze")
    assert window.latest("gaze", within=5 * SECOND) is None
    assert window.latest("nothing") is None


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 48_000, 90_000])
def test_ticks_survive_the_way_through_nanoseconds(rate: int) -> None:
    for ticks in (0, 1, 7, 319, 320, 48_000, 10**9 + 7):
        assert to_ticks(from_ticks(ticks, rate), rate) == ticks
    assert from_ticks(rate, rate) == SECOND == seconds(1.0)


@pytest.mark.parametrize("samples", [np.zeros((2, 2), np.float32), np.zeros(4, np.float64), np.zeros(4, np.int16)])
def test_sound_of_another_shape_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="AudioChunk wants float32"):
        AudioChunk(samples, start=0)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_pictures_of_another_shape_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="VideoFrame wants uint8"):
        VideoFrame(pixels, at=0)


def test_media_are_read_only() -> None:
    chunk = AudioChunk(np.zeros(4, np.float32), start=0)
    with pytest.raises(ValueError, match="read-only"):
        chunk.samples[0] = 1


@pytest.mark.parametrize(
    ("start", "end", "confidence", "message"), [(2, 1, 0.5, "ends before"), (0, 1, 1.5, "confidence")]
)
def test_impossible_percepts_are_refused(start: int, end: int, confidence: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Percept("k", "l", start, end, confidence, "w")
