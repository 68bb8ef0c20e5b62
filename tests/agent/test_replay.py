"""A file as the caller, under a clock that jumps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.action import PlayAudio
from agent.clock import VirtualClock
from agent.journal import Event, Note
from agent.media_file import MediaError, MissingFile, NothingToPlay, NotMedia, open_media
from agent.models import resolve_clip
from agent.recorder import CannotRecord, Recorder
from agent.transports import AT_END, Signal, Transport
from agent.transports.replay import Replay, ReplayDoor, continuous, load
from perception.media import RATE_HZ, AudioChunk, Media, Text, VideoFrame
from perception.timebase import MS, SECOND, Nanos, as_seconds
from tests import scenes
from tests.media_samples import write_pictures, write_sound

Fed = list[tuple[Nanos, Media | Signal]]


def play(door: ReplayDoor, clock: VirtualClock | None = None) -> Fed:
    """Let the file in; return what was fed and when."""
    clock = clock or VirtualClock({})
    fed: Fed = []

    async def answer(transport: Transport) -> None:
        await transport.receive(lambda item: fed.append((clock.now(), item)), clock)

    clock.run(door.open(answer))
    return fed


def sound_of(fed: Fed) -> list[AudioChunk]:
    return [item for _, item in fed if isinstance(item, AudioChunk)]


def pictures_of(fed: Fed) -> list[VideoFrame]:
    return [item for _, item in fed if isinstance(item, VideoFrame)]


def digest(fed: Fed) -> list[tuple[Nanos, str, Nanos, float]]:
    return [
        (t, "sound", m.start, float(m.samples.sum()))
        if isinstance(m, AudioChunk)
        else (t, "picture", m.at, float(m.pixels.mean()))
        for t, m in fed
        if isinstance(m, (AudioChunk, VideoFrame))
    ]


@pytest.mark.models
@pytest.mark.slow
def test_media_arrive_at_their_times_and_the_same_way_every_time(tmp_path: Path) -> None:
    path = scenes.crying_to_joyful(tmp_path).path
    first, second = (play(load(path=path, tail_s=2.0)) for _ in range(2))
    assert digest(first) == digest(second)
    for now, item in first:
        due = item.end if isinstance(item, AudioChunk) else item.at if isinstance(item, VideoFrame) else -1
        assert 0 <= now - due < MS
    assert len(pictures_of(first)) == 472
    assert as_seconds(sound_of(first)[-1].end) == pytest.approx(21.69, abs=0.05)


@pytest.mark.models
@pytest.mark.slow
def test_decoding_takes_no_virtual_time_and_little_when_measured() -> None:
    clip = resolve_clip("carphone")
    for clock in (VirtualClock({}), VirtualClock({"decode": 5 * MS}), VirtualClock()):
        fed = play(load(path=clip, tail_s=1.0), clock)
        assert len(fed) == 120
        assert as_seconds(clock.now()) == pytest.approx(4.97, abs=0.3)


@pytest.mark.models
@pytest.mark.slow
def test_the_microphone_never_stops() -> None:
    """Sound that begins after 2.4 s and has no tail of its own still comes as one unbroken stream."""
    fed = play(load(path=resolve_clip("face-noface"), tail_s=2.0))
    sound = sound_of(fed)
    assert sound[0].start == 0
    assert not np.concatenate([c.samples for c in sound[:100]]).any()
    assert np.concatenate([c.samples for c in sound[140:200]]).any()
    reach = 0
    for chunk in sound:
        assert abs(chunk.start - reach) < 100_000, "a gap of more than a sample"
        reach = chunk.end
    assert as_seconds(reach) == pytest.approx(8.4, abs=0.1)
    times = [t for t, _ in fed]
    assert times == sorted(times)


@pytest.mark.slow
def test_a_silent_film_has_no_microphone_and_still_a_tail(tmp_path: Path) -> None:
    clock = VirtualClock({})
    door = load(path=write_pictures(tmp_path / "a.mkv"), tail_s=2.0)
    fed = play(door, clock)
    assert not sound_of(fed)
    assert len(pictures_of(fed)) == 25
    assert as_seconds(clock.now()) == pytest.approx(2.96, abs=0.02)
    assert door.notes == ("there is no sound in it",)


def test_a_radio_play_has_no_camera(tmp_path: Path) -> None:
    door = load(path=write_sound(tmp_path / "a.wav"), tail_s=0.5)
    fed = play(door)
    assert not pictures_of(fed)
    assert as_seconds(sound_of(fed)[-1].end) == pytest.approx(1.5, abs=0.02)
    assert door.notes == ("there are no pictures in it",)


def test_media_are_stamped_on_a_clock_that_is_not_at_zero(tmp_path: Path) -> None:
    clock = VirtualClock({})
    fed: Fed = []

    async def answer(transport: Transport) -> None:
        await clock.sleep_until(10 * SECOND)
        await transport.receive(lambda item: fed.append((clock.now(), item)), clock)

    clock.run(load(path=write_sound(tmp_path / "a.wav"), tail_s=0.0).open(answer))
    assert sound_of(fed)[0].start == pytest.approx(10 * SECOND, abs=MS)
    assert fed[0][0] == pytest.approx(10 * SECOND + 20 * MS, abs=MS)


@pytest.mark.models
@pytest.mark.slow
def test_a_truncated_file_is_played_and_noted(tmp_path: Path) -> None:
    door = load(path=scenes.truncated(tmp_path), tail_s=1.0)
    fed = play(door)
    assert as_seconds(fed[-1][0]) > 6
    assert any("truncated" in note for note in door.notes)


@pytest.mark.parametrize(("name", "kind"), [("gone.mp4", MissingFile), ("no_media.mp4", NotMedia), ("", MediaError)])
def test_a_file_that_cannot_be_played_is_refused_before_any_call(
    tmp_path: Path, name: str, kind: type[MediaError]
) -> None:
    scenes.no_media(tmp_path)

    async def answer(_: Transport) -> None:
        raise AssertionError("there is nobody to answer")

    with pytest.raises(kind):
        VirtualClock({}).run(load(path=tmp_path / name).open(answer))


def test_a_file_in_which_nothing_decodes_ends_the_call_with_that_error(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mkv", "pcm_s16le", seconds=0.02)
    data = path.read_bytes()
    cluster = data.index(b"\x1f\x43\xb6\x75")
    path.write_bytes(data[: cluster + 8])
    with pytest.raises(NothingToPlay):
        play(load(path=path))


def test_the_recording_must_be_writable(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav")
    with pytest.raises(CannotRecord, match="No such file"):
        play(load(path=path, output=tmp_path / "nowhere" / "talk.wav"))
    with pytest.raises(CannotRecord):
        Recorder(tmp_path)


def test_a_negative_tail_is_refused() -> None:
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="tail_s"):
            load(path="x.mp4", tail_s=wrong)


def test_events_reach_the_sink(tmp_path: Path) -> None:
    heard: list[Event] = []
    event = Event(0, Note("hello"))

    async def answer(transport: Transport) -> None:
        transport.tell(event)

    VirtualClock({}).run(load(path=write_sound(tmp_path / "a.wav"), sink=heard.append).open(answer))
    assert heard == [event]


@pytest.mark.models
@pytest.mark.slow
def test_the_decoder_is_never_far_ahead() -> None:
    """A second into a long file, at most a few batches are decoded, and the thread ends with the call."""
    clock = VirtualClock({})
    drawn = 0

    async def main() -> None:
        nonlocal drawn
        with open_media(resolve_clip("wolfganglanger")) as media:
            counted = _Counted(media)
            caller = Replay(counted)  # type: ignore[arg-type]
            async with asyncio.TaskGroup() as group:
                task = group.create_task(caller.receive(lambda _: None, clock))
                await clock.sleep_until(SECOND)
                drawn = counted.count
                task.cancel()
            await caller.close()

    clock.run(main())
    assert 70 <= drawn <= 75 + 24 * 5
    assert not [t for t in threading.enumerate() if t.name == "decode"]


class _Counted:
    def __init__(self, media: object) -> None:
        self.info = media.info  # type: ignore[attr-defined]
        self.hears = media.hears  # type: ignore[attr-defined]
        self.count = 0
        self._media = media

    def __iter__(self) -> Iterator[AudioChunk | VideoFrame]:
        for item in self._media:  # type: ignore[attr-defined]
            self.count += 1
            yield item


def test_a_listener_that_leaves_stops_everything(tmp_path: Path) -> None:
    async def answer(transport: Transport) -> None:
        raise RuntimeError("the call broke")

    with pytest.raises(RuntimeError, match="the call broke"):
        VirtualClock({}).run(load(path=write_sound(tmp_path / "a.wav")).open(answer))
    assert not [t for t in threading.enumerate() if t.name == "decode"]


@pytest.mark.models
@pytest.mark.slow
def test_a_reply_outlives_the_file(tmp_path: Path) -> None:
    clock = VirtualClock({})
    sound = AudioChunk(np.full(24_000, 0.1, np.float32), 0, 24_000)

    async def answer(transport: Transport) -> None:
        await transport.receive(lambda _: None, clock)
        began = clock.now()
        await transport.send(PlayAudio(sound, reply=3))
        assert clock.now() - began == pytest.approx(800 * MS, abs=40 * MS)
        await clock.sleep_until(clock.now() + 300 * MS)
        assert transport.played(3) == SECOND
        assert transport.first_out(3) == pytest.approx(began + 20 * MS, abs=20 * MS)

    clock.run(load(path=write_sound(tmp_path / "a.wav"), tail_s=0.1).open(answer))


def chunk(begin: int, count: int = 320) -> AudioChunk:
    return AudioChunk(np.ones(count, np.float32), begin * SECOND // RATE_HZ)


def frame(at_ms: int) -> VideoFrame:
    return VideoFrame(np.zeros((2, 2, 3), np.uint8), at_ms * MS)


def test_gaps_are_filled_up_to_the_sample() -> None:
    items: list[AudioChunk | VideoFrame] = [chunk(0), chunk(320, 100), chunk(1000), frame(200), chunk(6400)]
    filled = [m for m in continuous(iter(items), tail=50 * MS) if isinstance(m, AudioChunk)]
    marks = np.concatenate([m.samples for m in filled])
    assert len(marks) == 6400 + 320 + 800
    expected = np.zeros(len(marks))
    for begin, count in ((0, 320), (320, 100), (1000, 320), (6400, 320)):
        expected[begin : begin + count] = 1
    assert np.array_equal(marks, expected)


def test_filling_keeps_the_order_of_time() -> None:
    items: list[AudioChunk | VideoFrame] = [frame(0), frame(40), frame(500), chunk(16_000), frame(1020), frame(3000)]
    order = [m.end if isinstance(m, AudioChunk) else m.at for m in continuous(iter(items), tail=100 * MS)]
    assert order == sorted(order)
    assert order[-1] == 3100 * MS


def test_texts_are_typed_at_their_instant_and_the_rest_after_the_end(tmp_path: Path) -> None:
    texts = [Text("early", 310 * MS), Text("late", 5 * SECOND), Text("last", AT_END)]
    path = write_sound(tmp_path / "a.wav")
    fed = play(load(path=path, tail_s=0.5, texts=texts))
    typed = [(now, item) for now, item in fed if isinstance(item, Text)]
    assert [item.text for _, item in typed] == ["early", "late", "last"]
    assert [item.at for _, item in typed] == [now for now, _ in typed]
    assert typed[0][0] == pytest.approx(310 * MS, abs=MS)
    assert typed[1][0] == pytest.approx(5 * SECOND, abs=MS)
    index = [item for _, item in fed].index(typed[0][1])
    before = [item.end for _, item in fed[:index] if isinstance(item, AudioChunk)]
    after = [item.end for _, item in fed[index:] if isinstance(item, AudioChunk)]
    assert max(before) <= 310 * MS < min(after)
    alone = play(load(path=path, tail_s=0.5, texts=texts[2:]))
    assert alone[-1][0] == pytest.approx(sound_of(alone)[-1].end, abs=MS)
    with pytest.raises(ValueError, match="order"):
        load(path=path, texts=texts[::-1])


@pytest.mark.models
@pytest.mark.slow
def test_sound_or_pictures_can_be_left_out(tmp_path: Path) -> None:
    path = scenes.crying_to_joyful(tmp_path).path
    silent = play(load(path=path, tail_s=1.0, sound=False, most_video_hz=10.0))
    assert sound_of(silent) == []
    assert len(pictures_of(silent)) == pytest.approx(197, abs=2)
    slots = [picture.at * 10 // SECOND for picture in pictures_of(silent)]
    assert len(slots) == len(set(slots))
    blind = play(load(path=path, tail_s=1.0, pictures=False))
    assert pictures_of(blind) == []
    assert as_seconds(sound_of(blind)[-1].end) == pytest.approx(20.7, abs=0.1)
    only_sound = write_sound(tmp_path / "a.wav")
    with pytest.raises(NothingToPlay, match="no pictures"):
        play(load(path=only_sound, sound=False))
