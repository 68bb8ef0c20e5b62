from __future__ import annotations

import math
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from agent.models import resolve
from perception.emotion import CLASSES
from perception.media import VideoFrame
from perception.percept import NEGATIVE, Percept
from perception.timebase import MS, SECOND, seconds
from perception.workers import face
from tests.perception.seen import camera, clip, instant, later, live, moving_head, noise, of, stream, watch

pytestmark = [pytest.mark.models, pytest.mark.slow]


@cache
def factory() -> face.FaceFactory:
    return face.load(resolve=resolve)


@cache
def seen(name: str) -> tuple[Percept, ...]:
    return tuple(watch(factory()(), stream(name)))


def said(percepts: tuple[Percept, ...], start_s: float, end_s: float) -> list[str]:
    """Labels of the expressions that ended in the interval."""
    return [p.label for p in of(percepts, "expression") if seconds(start_s) <= p.end < seconds(end_s)]


def test_rates_are_ten_faces_and_two_and_a_half_expressions_a_second() -> None:
    percepts, length_s = seen("wolfganglanger"), 19.7
    assert len(of(percepts, "face")) == pytest.approx(10 * length_s, rel=0.05)
    assert len(of(percepts, "expression")) == pytest.approx(2.5 * length_s, rel=0.05)


def test_weeping_is_distress_and_never_joy() -> None:
    labels = said(seen("wolfganglanger"), 0.0, 9.3)
    assert len(labels) >= 20
    assert "happy" not in labels
    assert sum(label in NEGATIVE for label in labels) >= 0.8 * len(labels)
    assert all(p.number("valence") < 0 for p in of(seen("wolfganglanger"), "expression") if p.end < seconds(9.3))


def test_a_weeping_mouth_is_drawn_wide_and_still_no_joy() -> None:
    percepts = seen("wolfganglanger")
    smiles = [p.number("smile") for p in of(percepts, "face", "present") if p.end < 2 * SECOND]
    assert max(smiles) > 0.7, "the clip no longer shows what this test is about"
    assert "happy" not in said(percepts, 0.0, 2.0)


def test_laughing_is_happy() -> None:
    labels = said(seen("wolfganglanger"), 10.5, 20.0)
    assert len(labels) >= 20
    assert set(labels) == {"happy"}


def test_expression_carries_its_numbers() -> None:
    for percept in of(seen("wolfganglanger"), "expression"):
        for prefix in ("", "raw_"):
            total = sum(percept.number(prefix + name) for name in CLASSES)
            assert total == pytest.approx(1.0, abs=1e-3)
        assert -1.0 <= percept.number("valence") <= 1.0
        if percept.label != "uncertain":
            assert percept.confidence == pytest.approx(max(percept.number(name) for name in CLASSES))
            assert percept.confidence >= 0.5


def test_blink_is_found_where_it_is() -> None:
    blinks = of(seen("single-face"), "blink")
    assert len(blinks) == 1
    at = clip("single-face")
    assert blinks[0].start <= at[27].at
    assert blinks[0].end > at[26].at
    assert blinks[0].end - blinks[0].start < 400 * MS


def test_eyes_cast_down_are_no_blink_and_no_look_at_the_camera() -> None:
    percepts = seen("wolfganglanger")
    assert not [p for p in of(percepts, "blink") if p.end < seconds(5.5)]
    looks = [p for p in of(percepts, "gaze") if seconds(1) < p.end < seconds(5.5)]
    assert looks
    assert {p.label for p in looks} == {"away"}


def test_looking_into_the_lens_is_towards() -> None:
    assert [p.label for p in of(seen("single-face"), "gaze")] == ["towards", "towards"]


def test_somebody_leaves() -> None:
    percepts = seen("face-noface")
    assert [(p.label, p.number("count")) for p in of(percepts, "presence")] == [("arrived", 1), ("left", 0)]
    gone = of(percepts, "presence", "left")[0]
    assert gone.start == pytest.approx(seconds(2.4), abs=150 * MS)
    assert not [p for p in of(percepts, "face", "present") if p.end > seconds(2.5)]
    assert not [p for p in of(percepts, "expression") if p.end > seconds(2.5)]
    assert of(percepts, "gaze")[-1].label == "uncertain"


def test_somebody_comes() -> None:
    percepts = seen("noface-face")
    assert [p.label for p in of(percepts, "presence")] == ["arrived"]
    first = of(percepts, "face", "present")[0]
    assert first.end == pytest.approx(instant("noface-face", 97), abs=450 * MS)
    assert all(p.label == "absent" for p in of(percepts, "face") if p.end < first.end)


def test_nobody_is_nobody() -> None:
    percepts = seen("no-face")
    assert {(p.kind, p.label) for p in percepts} == {("face", "absent")}


def test_people_are_counted_and_the_largest_face_is_the_person() -> None:
    photo = clip("multi-face")[0].pixels
    percepts = watch(factory()(), camera(live(photo, 25)))
    assert of(percepts, "face", "present")[-1].number("count") == 5
    assert [(p.label, p.number("count")) for p in of(percepts, "presence")] == [("arrived", 5)]
    widths = [p.number("width") for p in of(percepts, "face", "present")]
    assert min(widths) > 0.07


def test_a_clearly_closer_face_becomes_the_person() -> None:
    small = cv2.resize(clip("single-face")[0].pixels, (480, 270))
    crowd = np.zeros((720, 1280, 3), np.uint8)
    crowd[:270, :480] = small
    closer = crowd.copy()
    closer[:, 480:] = cv2.resize(clip("carphone")[0].pixels, (880, 720))[:, :800]
    percepts = watch(factory()(), camera([*live(crowd, 15), *live(closer, 40)]))
    present = of(percepts, "face", "present")
    assert present[10].number("x") < 0.25
    assert present[-1].number("x") > 0.35
    assert present[-1].number("count") == 2


def test_talking_is_seen() -> None:
    percepts = seen("carphone")
    assert [p.label for p in of(percepts, "talking")] == ["started"]
    assert of(percepts, "face", "present")[-1].number("talking") == 1.0
    assert not of(seen("single-face"), "talking"), "a smile is no speech"


def test_silent_faces_do_not_nod() -> None:
    for name in ("single-face", "wolfganglanger", "carphone", "face-noface", "no-face"):
        assert not of(seen(name), "gesture"), name


@pytest.mark.parametrize(("label", "pitch", "yaw"), [("nod", 10.0, 0.0), ("head_shake", 0.0, 12.0)])
def test_a_turning_head_is_understood(label: str, pitch: float, yaw: float) -> None:
    def path(t: float) -> tuple[float, float]:
        phase = math.sin(2 * math.pi * 1.5 * (t - 1.0)) if 1.0 < t < 2.4 else 0.0
        return pitch * phase, yaw * phase

    found = of(watch(factory()(), moving_head(path, 3.5)), "gesture")
    assert [p.label for p in found] == [label]
    assert seconds(0.6) <= found[0].start < found[0].end <= seconds(2.6)


def test_one_slow_bow_is_no_nod() -> None:
    frames = moving_head(lambda t: (12.0 * math.exp(-((t - 1.5) ** 2) / 0.4), 0.0), 3.0)
    assert not of(watch(factory()(), frames), "gesture")


def test_head_pose_follows_the_head() -> None:
    frames = moving_head(lambda t: (-10.0, 0.0) if t < 1 else (10.0, 0.0) if t < 2 else (0.0, -12.0 + 8 * t), 3.0)
    present = of(watch(factory()(), frames), "face", "present")
    up, down, left, right = (present[i] for i in (8, 17, 20, -1))
    assert down.number("pitch") > up.number("pitch") + 8
    assert right.number("yaw") > left.number("yaw") + 4


@pytest.mark.parametrize("batch", [2, 7, 1000])
def test_batches_do_not_matter(batch: int) -> None:
    assert watch(factory()(), clip("single-face"), batch) == list(seen("single-face"))


def test_the_future_does_not_change_the_past() -> None:
    past = clip("single-face")[:40]
    future = later(camera(noise(10, (360, 640)), fps=30), past[-1].at + 33 * MS)
    percepts = watch(factory()(), [*past, *future])
    known = [p for p in seen("single-face") if p.end <= past[-1].at]
    assert percepts[: len(known)] == known
    assert all(p.end > past[-1].at for p in percepts[len(known) :])


def test_percepts_are_in_order_and_not_ahead_of_the_picture() -> None:
    worker = factory()()
    last = 0
    for frame in stream("face-noface"):
        for percept in worker.feed([frame]):
            assert percept.end == frame.at >= percept.start
            assert percept.end >= last
            last = percept.end


def test_pictures_that_are_not_due_are_not_analysed() -> None:
    worker = factory()()
    frame = clip("single-face")[0]
    assert worker.feed([frame])
    assert not worker.feed([VideoFrame(np.array(frame.pixels), at) for at in (0, 20 * MS, 99 * MS)])
    assert not worker.feed([])
    assert worker.feed([VideoFrame(np.array(frame.pixels), 100 * MS)])


def test_a_shared_screen_is_not_the_person() -> None:
    frames = [VideoFrame(np.array(f.pixels), f.at, "screen") for f in clip("single-face")[:20]]
    assert not watch(factory()(), frames)


def test_the_size_may_change_in_mid_call() -> None:
    original = clip("single-face", limit=1)[0].pixels
    square = original[:, 140:500]
    sizes = [(640, 360), (160, 90), (1280, 720), (360, 640)]
    pictures = [cv2.resize(original if w > h else square, (w, h) if w > h else (h, h)) for w, h in sizes]
    # Each size for 1.2 s, the last one upright with bars, as from a phone.
    pictures[-1] = cv2.resize(cv2.copyMakeBorder(square, 140, 140, 0, 0, cv2.BORDER_REPLICATE), (360, 640))
    percepts = watch(factory()(), camera([p for p in pictures for _ in range(12)]))
    for part in range(4):
        start = part * 1200 * MS
        tail = [p for p in of(percepts, "face") if start + 300 * MS <= p.end < start + 1200 * MS]
        assert {p.label for p in tail} == {"present"}, sizes[part]
    assert [p.label for p in of(percepts, "presence")] == ["arrived"]


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.full((1, 1, 3), 255, np.uint8),
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.full((3, 2000, 3), 128, np.uint8),
        np.full((2000, 2, 3), 128, np.uint8),
        noise(1)[0],
    ],
    ids=["dot", "white dot", "black", "white", "thread", "upright thread", "noise"],
)
def test_pictures_of_nothing_show_nobody(picture: np.ndarray) -> None:
    percepts = watch(factory()(), camera([picture] * 6))
    assert {(p.kind, p.label) for p in percepts} == {("face", "absent")}


def test_a_face_vanishes_into_nothing_and_comes_back() -> None:
    face_frames = [f.pixels for f in clip("single-face", fps=10)[:8]]
    shapes = [np.zeros((1, 1, 3), np.uint8), *noise(3), np.zeros((360, 640, 3), np.uint8)] * 4
    percepts = watch(factory()(), camera([*face_frames, *shapes, *face_frames]))
    assert [p.label for p in of(percepts, "presence")] == ["arrived", "left", "arrived"]


def test_a_face_turned_away_is_uncertain() -> None:
    strict = face.load(resolve=resolve, most_yaw_deg=0.01)
    percepts = watch(strict(), clip("single-face"))
    assert {p.label for p in of(percepts, "expression")} == {"uncertain"}
    assert {p.label for p in of(percepts, "gaze")} <= {"uncertain"}
    assert all(p.confidence == 0.0 for p in of(percepts, "expression"))


def test_weak_evidence_is_uncertain() -> None:
    strict = face.load(resolve=resolve, least_probability=0.9999)
    assert {p.label for p in of(watch(strict(), clip("carphone")), "expression")} == {"uncertain"}
    hazy = face.load(resolve=resolve, least_presence=1000.0)
    assert {p.label for p in of(watch(hazy(), clip("carphone")), "expression")} == {"uncertain"}


def test_calls_do_not_share_state() -> None:
    first, second = factory()(), factory()()
    watch(first, clip("wolfganglanger", limit=60))
    assert watch(second, clip("single-face")) == list(seen("single-face"))


def test_a_frozen_face_is_no_calm_face() -> None:
    frames = clip("single-face")
    stopped = [VideoFrame(frames[-1].pixels, frames[-1].at + i * 33 * MS) for i in range(1, 150)]
    again = later(frames, stopped[-1].at + 33 * MS)
    percepts = watch(factory()(), [*frames, *stopped, *again])
    frozen_at = frames[-1].at + 1600 * MS
    assert not [p for p in percepts if frozen_at < p.end < again[0].at and p.kind != "gaze"]
    assert of(percepts, "face", "present")[-1].end > again[30].at


def test_empty_and_mirrored_pictures_do_no_harm() -> None:
    empty = [np.zeros((0, 0, 3), np.uint8), np.zeros((0, 7, 3), np.uint8), np.zeros((7, 0, 3), np.uint8)]
    mirrored = [VideoFrame(f.pixels[:, ::-1], f.at + SECOND) for f in clip("single-face", limit=20)]
    percepts = watch(factory()(), [*camera(empty), *mirrored])
    assert of(percepts, "face", "present")


def test_a_talking_mouth_needs_more_to_mean_something() -> None:
    timid = face.load(resolve=resolve, least_talking=1.0)
    talks, labels = False, []
    for percept in watch(timid(), clip("carphone")):
        talks = percept.label == "started" if percept.kind == "talking" else talks
        labels += [percept.label] if talks and percept.kind == "expression" else []
    assert labels
    assert set(labels) == {"uncertain"}


@pytest.mark.parametrize("options", [{"mesh_hz": 0.0}, {"facex_hz": -1.0}, {"people_hz": 0.0}, {"smoothing_s": 0.0}])
def test_senseless_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        face.load(resolve=resolve, **options)
