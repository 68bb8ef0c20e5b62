from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from perception.media import VideoFrame
from perception.percept import Percept
from perception.timebase import MS, SECOND, seconds
from perception.workers import scene
from tests.perception.seen import camera, instant, later, noise, of, stream, watch


def no_models(name: str) -> Path:
    raise AssertionError(f"the scene needs no model, asked for {name}")


def fresh(**options: float) -> scene.SceneWorker:
    return scene.load(resolve=no_models, **options)()


def room(light: int, count: int, seed: int = 3) -> list[NDArray[np.uint8]]:
    """Pictures of one patterned room in the given light, with the noise of a sensor."""
    pattern = np.random.default_rng(1).integers(-25, 26, (12, 16, 1)).repeat(10, 0).repeat(10, 1)
    random = np.random.default_rng(seed)
    still = np.clip(light + pattern, 0, 255)
    return [np.clip(still + random.normal(0, 2, (120, 160, 3)), 0, 255).astype(np.uint8) for _ in range(count)]


@cache
def seen(name: str) -> tuple[Percept, ...]:
    return tuple(watch(fresh(), stream(name)))


def labels(percepts: list[Percept]) -> list[str]:
    return [p.label for p in percepts]


def test_light_is_told_at_once_and_when_it_has_changed() -> None:
    percepts = watch(fresh(), camera(room(120, 15) + room(15, 15) + room(120, 15)))
    light = [p for p in of(percepts, "scene") if p.label in ("dark", "bright")]
    assert [(p.label, p.start) for p in light] == [("bright", 0), ("dark", seconds(1.5)), ("bright", seconds(3.0))]
    assert light[1].number("luma") < 0.16
    assert light[2].number("luma") > 0.22


def test_dusk_does_not_flicker() -> None:
    percepts = watch(fresh(), camera([p for i in range(40) for p in room(48 if i % 2 else 44, 1, i)]))
    assert labels([p for p in percepts if p.label in ("dark", "bright")]) == ["bright"]


def test_a_short_flash_is_no_change_of_light() -> None:
    percepts = watch(fresh(), camera(room(120, 10) + room(10, 3) + room(120, 10)))
    assert labels([p for p in percepts if p.label in ("dark", "bright")]) == ["bright"]


def test_motion_and_stillness() -> None:
    moving = [np.roll(p, 40 * i, axis=1) for i, p in enumerate(room(120, 20))]
    percepts = watch(fresh(), camera(room(120, 20) + moving + room(120, 30)))
    told = [p for p in percepts if p.label in ("motion", "still")]
    assert labels(told) == ["still", "motion", "still"]
    assert seconds(1.9) <= told[1].start <= seconds(2.6)


def test_a_cut_is_seen() -> None:
    other = [255 - p // 2 for p in room(40, 10)]
    cuts = of(watch(fresh(), camera(room(60, 10) + other)), "scene", "cut")
    assert [p.end for p in cuts] == [1 * SECOND]


@pytest.mark.slow
def test_cuts_of_real_footage_and_none_where_there_are_none() -> None:
    cut = of(seen("noface-face"), "scene", "cut")
    assert len(cut) == 1
    assert cut[0].end == pytest.approx(instant("noface-face", 97), abs=400 * MS)
    for name in ("wolfganglanger", "carphone", "single-face"):
        assert not of(seen(name), "scene", "cut"), name


@pytest.mark.slow
def test_real_footage_is_neither_frozen_nor_blank() -> None:
    for name in ("wolfganglanger", "carphone", "single-face", "no-face", "face-noface", "noface-face"):
        assert not of(seen(name), "sense_lost"), name


def test_a_frozen_camera_is_lost_until_it_moves() -> None:
    live, more = room(120, 10), room(120, 10, seed=4)
    percepts = watch(fresh(), camera([*live, *[live[-1]] * 30, *more]))
    lost, back = of(percepts, "sense_lost"), of(percepts, "sense_back")
    assert [(p.label, p.start, p.end) for p in lost] == [("camera", 900 * MS, 2400 * MS)]
    assert lost[0].number("frozen") == 1.0
    assert [(p.label, p.end) for p in back] == [("camera", 4 * SECOND)]
    between = [p for p in percepts if lost[0].end < p.end < back[0].end]
    assert not between, "a frozen picture is no calm scene"


def test_one_changed_pixel_is_a_live_camera() -> None:
    pictures = []
    for i in range(40):
        picture = room(120, 1)[0]
        picture[60, 80] = i
        pictures.append(picture)
    assert not of(watch(fresh(), camera(pictures)), "sense_lost")


@pytest.mark.parametrize("level", [0, 3, 128, 255])
def test_a_blank_picture_is_a_lost_sense(level: int) -> None:
    random = np.random.default_rng(5)
    blank = [
        np.clip(level + random.integers(0, 2, (120, 160, 3)), 0, 255).astype(np.uint8) for _ in range(20)
    ]  # never twice the same, so not frozen
    percepts = watch(fresh(), camera(room(120, 10) + blank + room(120, 10)))
    lost = of(percepts, "sense_lost", "camera")
    assert [(p.start, p.number("frozen")) for p in lost] == [(900 * MS, 0.0)]
    assert lost[0].end <= seconds(1.5)
    assert [p.end for p in of(percepts, "sense_back")] == [seconds(3.0)]


def test_a_call_that_begins_with_a_closed_shutter() -> None:
    percepts = watch(fresh(), camera([np.zeros((480, 640, 3), np.uint8)] * 20 + room(120, 5)))
    assert labels(of(percepts, "sense_lost")) == ["camera"]
    assert labels(of(percepts, "sense_back")) == ["camera"]


@pytest.mark.parametrize("batch", [2, 9, 1000])
def test_batches_do_not_matter(batch: int) -> None:
    live = room(120, 10)
    media = camera([*live, *[live[-1]] * 25, *room(15, 20), *noise(10, (120, 160))], fps=12)
    assert watch(fresh(), media, batch) == watch(fresh(), media)


def test_the_future_does_not_change_the_past() -> None:
    past = camera(room(120, 20))
    known = watch(fresh(), past)
    percepts = watch(fresh(), [*past, *later(camera(noise(20, (120, 160))), 2 * SECOND)])
    assert percepts[: len(known)] == known
    assert all(p.end >= 2 * SECOND for p in percepts[len(known) :])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 4000), (4000, 1), (160, 120), (720, 1280), (1280, 720)])
def test_any_size(size: tuple[int, int]) -> None:
    worker = fresh()
    for batch in (
        camera(noise(5, size)),
        later(camera(room(120, 5)), 1 * SECOND),
        later(camera(noise(5, size)), 2 * SECOND),
    ):
        for percept in watch(worker, batch):
            assert percept.worker == "scene"


def test_a_shared_screen_may_stand_still() -> None:
    media = [VideoFrame(np.zeros((90, 160, 3), np.uint8), i * 100 * MS, "screen") for i in range(40)]
    assert not watch(fresh(), media)


@pytest.mark.parametrize("options", [{"rate_hz": 0.0}, {"frozen_s": 0.0}, {"blank_s": -1.0}])
def test_senseless_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        scene.load(resolve=no_models, **options)
