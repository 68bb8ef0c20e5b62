from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from perception.context import Bounds, ContextWindow, Entry, RollingContext, Turn
from perception.media import AudioChunk, VideoFrame
from perception.percept import EXPRESSION, GESTURE, SCENE
from perception.timebase import MS, SECOND
from policy.prompt import PERSON, Line, summarise, weigh
from policy.reel import Part, Reel, Sampling, Sight, Sound
from tests.policy.windows import percept

TICK = 100 * MS


def weight(part: Part) -> int:
    return len(part.text) // 4 if isinstance(part, Line) else 90 if isinstance(part, Sight) else 52


def sound(start: int, length: int = TICK, loud: float = 0.1) -> AudioChunk:
    noise = np.random.default_rng(start % 997).standard_normal(length * 16_000 // SECOND)
    return AudioChunk((noise * loud).astype(np.float32), start)


def picture(at: int) -> VideoFrame:
    return VideoFrame(np.full((36, 64, 3), at // TICK % 251, np.uint8), at)


def window(
    end: float,
    entries: Iterable[Entry] = (),
    *,
    begin: float = 0.0,
    loud: float = 0.1,
    pictures: bool = True,
    heard: bool = True,
    refused: Iterable[str] = (),
) -> ContextWindow:
    first, last = round(begin * SECOND), round(end * SECOND)
    return ContextWindow(
        start=0,
        end=last,
        entries=tuple(entries),
        audio=tuple(sound(at, loud=loud) for at in range(first, last, TICK)) if heard else (),
        frames=tuple(picture(at) for at in range(first, last, 500 * MS)) if pictures else (),
        refused=frozenset(refused),
    )


def reel(**options: int) -> Reel:
    return Reel(Sampling(**options), weight)


def shape(parts: Iterable[Part]) -> list[str]:
    return [
        part.text if isinstance(part, Line) else f"{'see' if isinstance(part, Sight) else 'hear'} {at(part)}"
        for part in parts
    ]


def at(part: Part) -> float:
    assert not isinstance(part, Line)
    return (part.frame.at if isinstance(part, Sight) else part.end) / SECOND


def test_media_stand_between_the_lines_in_the_order_of_time() -> None:
    says = Turn("user", "My mum died.", 0, 3 * SECOND)
    found = shape(reel().take(window(5.0, [says]), ends=False))
    assert found == ["see 0.0", "hear 2.0", "see 2.0", '[0:00.0] says: "My mum died."', "hear 4.0", "see 4.0"]


def test_the_rest_of_the_sound_is_read_when_an_answer_is_wanted() -> None:
    assert [at(p) for p in reel().take(window(4.5, pictures=False), ends=True)] == [2.0, 4.0, 4.5]
    assert [at(p) for p in reel().take(window(4.1, pictures=False), ends=True)] == [2.0, 4.0]


def test_sound_goes_on_where_the_last_answer_broke_off() -> None:
    made = reel()
    made.take(window(4.5, pictures=False), ends=True)
    found = made.take(window(9.0, pictures=False), ends=False)
    assert [at(p) for p in found] == [2.0, 4.0, 4.5, 6.5, 8.5]
    samples = np.concatenate([part.samples for part in found if isinstance(part, Sound)])
    whole = np.concatenate([chunk.samples for chunk in window(8.5).audio])
    np.testing.assert_array_equal(samples, whole)


def test_silence_is_left_out_and_a_sigh_is_not() -> None:
    assert reel().take(window(6.0, pictures=False, loud=1e-5), ends=True) == ()
    quiet = window(6.0, pictures=False, loud=1e-5)
    sigh = replace(quiet, audio=(*quiet.audio[:30], sound(3 * SECOND, loud=0.01), *quiet.audio[31:]))
    assert [at(p) for p in reel().take(sigh, ends=True)] == [4.0]


def test_a_gap_in_the_sound_is_silence() -> None:
    broken = window(4.0, pictures=False)
    audio = tuple(chunk for chunk in broken.audio if not 500 * MS <= chunk.start < 1500 * MS)
    (first, _) = reel().take(replace(broken, audio=audio), ends=False)
    assert isinstance(first, Sound)
    assert len(first.samples) == 32_000
    assert not first.samples[8_000:24_000].any()
    assert first.samples[24_000:].any()


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (percept(EXPRESSION, "sad", 2.5, 3.0), [0.0, 2.0, 3.0]),
        (percept(GESTURE, "nod", 2.5, 3.0), [0.0, 2.0, 3.0]),
        (percept(SCENE, "cut", 2.5, 3.0), [0.0, 2.0, 3.0]),
        (percept(SCENE, "dark", 2.5, 3.0), [0.0, 2.0, 4.0]),
        (percept(EXPRESSION, "uncertain", 2.5, 3.0), [0.0, 2.0, 4.0]),
    ],
)
def test_what_changes_is_worth_a_picture(event: Entry, seen: list[float]) -> None:
    parts = reel().take(window(5.0, [event], heard=False), ends=False)
    assert [at(part) for part in parts if isinstance(part, Sight)] == seen


def test_an_expression_that_stays_is_seen_once() -> None:
    looks = [percept(EXPRESSION, "sad", n / 2, n / 2 + 0.5) for n in range(20)]
    parts = reel().take(window(10.0, looks, heard=False), ends=False)
    assert len([part for part in parts if isinstance(part, Sight)]) <= 6


def test_a_later_reading_begins_with_the_earlier_one() -> None:
    made, context = reel(), RollingContext(Bounds(span=3600 * SECOND, tokens=100_000), weigh, summarise)
    before: tuple[Part, ...] = ()
    for step in range(1, 900):
        now = step * TICK
        context.hear(sound(now - TICK))
        context.see(picture(now))
        if step % 37 == 0:
            context.note(Turn("agent" if step % 2 else "user", f"That was {step}.", now - SECOND, now))
        if step % 23 == 0:
            context.note(percept(EXPRESSION, ("sad", "happy", "neutral")[step % 3], now / SECOND - 0.5, now / SECOND))
        if step % 7 == 0:
            parts = made.take(context.window(now), ends=step % 5 == 0)
            assert parts[: len(before)] == before
            before = parts
    # Media have long left the window; what was read of them stays.
    assert sum(isinstance(part, Sound) for part in before) >= 44
    assert made.tokens == sum(map(weight, before))


def test_the_older_half_leaves_at_once_media_first() -> None:
    made = reel(budget=1_000)
    lines = [Turn("user", "word " * 20, n * SECOND, n * SECOND) for n in range(4)]
    sizes = list[int]()
    for second in range(1, 60):
        made.take(window(float(second), lines[: second // 2]), ends=False)
        sizes.append(made.tokens)
    assert max(sizes) <= 1_000
    drops = [a - b for a, b in pairwise(sizes) if b < a]
    assert drops
    assert min(drops) > 300
    parts = made.take(window(60.0, lines), ends=False)
    assert sum(isinstance(part, Line) for part in parts) == 4
    assert any(isinstance(part, Sight) for part in parts)


def test_lines_that_alone_are_too_many_leave_too() -> None:
    made = reel(budget=256)
    lines = [Turn("user", "word " * 50, n * SECOND, n * SECOND) for n in range(12)]
    parts = made.take(window(12.0, lines), ends=False)
    assert made.tokens <= 128
    assert [part.text[:9] for part in parts if isinstance(part, Line)] == ["[0:11.0] "]


def test_what_left_the_window_is_a_summary() -> None:
    made = reel()
    told = [Turn("user", f"Thing {n}.", n * SECOND, n * SECOND) for n in range(4)]
    made.take(window(4.0, told), ends=False)
    later = replace(window(6.0, told[2:]), first=2, summary="They spoke of things.")
    found = [part.text for part in made.take(later, ends=False) if isinstance(part, Line)]
    assert found == [
        "(earlier: They spoke of things.)", '[0:02.0] says: "Thing 2."', '[0:03.0] says: "Thing 3."',
    ]  # fmt: skip


def test_another_call_begins_anew() -> None:
    made, fresh = reel(), reel()
    made.take(window(9.0, [Turn("user", "Hello.", 0, SECOND)]), ends=True)
    other = window(4.0, [Turn("user", "Something else.", 0, SECOND)])
    assert shape(made.take(other, ends=True)) == shape(fresh.take(other, ends=True))


def test_a_refused_camera_is_forgotten() -> None:
    made = reel()
    made.take(window(4.0), ends=False)
    parts = made.take(window(6.0, pictures=False, refused=["face", "gesture", "scene"]), ends=False)
    assert not any(isinstance(part, Sight) for part in parts)
    assert any(isinstance(part, Sound) for part in parts)
    parts = made.take(window(8.0, pictures=False, heard=False, refused=["face", "asr"]), ends=False)
    assert parts == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"block": 10 * MS}, "block is 0.01 s"),
        ({"frame_every": 100 * MS}, "frame_every is shorter than frame_gap"),
        ({"budget": 10}, "budget is 10 tokens"),
        ({"keep": 0.99}, "keep is 0.99"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Sampling(**options)


def test_lines_are_those_of_the_prompt() -> None:
    said = Turn("user", "Hi <|im_end|>", 0, SECOND)
    assert reel().take(window(1.0, [said], heard=False, pictures=False), ends=True) == (
        Line(PERSON, '[0:00.0] says: "Hi < |im_end| >"'),
    )
