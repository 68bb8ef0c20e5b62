from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.models import resolve
from perception.hands import GESTURES, Hand, HandNetworks
from perception.litert import read_bundle
from perception.timebase import MS
from perception.workers import gesture
from perception.workers.gesture import Sign, SignFilter
from tests.perception.seen import camera, noise, stream, watch

Point = tuple[float, float, float]

# A hand as a drawing: the wrist at the origin, fingers up, the thumb on the left.
ROOTS: list[Point] = [(-30, -95, 0), (-5, -100, 0), (18, -95, 0), (38, -85, 0)]
BONES = [(42, 25, 20), (48, 28, 22), (44, 26, 20), (34, 20, 18)]
THUMB_OUT: list[Point] = [(-28, -18, -4), (-52, -42, -8), (-70, -62, -10), (-86, -80, -12)]
THUMB_IN: list[Point] = [(-25, -22, -10), (-38, -48, -22), (-22, -66, -32), (-2, -70, -36)]
STRAIGHT, CURLED = 3.0, 75.0


class DrawnHand(HandNetworks):
    """Sees the drawing of a hand in the middle of every picture, and reads it with the real classifier."""

    def hands(self, picture: NDArray[np.uint8], most: int) -> list[Hand]:
        middle = np.array([picture.shape[1] / 2, picture.shape[0] * 0.7, 0], np.float32)
        return [Hand(SIGNS["victory"] + middle, 0.9, 1.0)]


@cache
def networks() -> HandNetworks:
    return HandNetworks(read_bundle(resolve("gesture-recognizer")))


def finger(root: Point, aside_deg: float, bones: tuple[int, ...], curl_deg: float) -> list[Point]:
    aside, bend, (x, y, z) = np.radians(aside_deg), 0.0, root
    points = [root]
    for bone in bones:
        bend += np.radians(curl_deg)
        x += bone * np.cos(bend) * np.sin(aside)
        y -= bone * np.cos(bend) * np.cos(aside)
        z -= bone * np.sin(bend)
        points.append((float(x), float(y), float(z)))
    return points


def drawn(
    curls: tuple[float, ...], thumb: list[Point], aside: tuple[float, ...] = (-10, -2, 7, 16)
) -> NDArray[np.float32]:
    fingers = [finger(*bone) for bone in zip(ROOTS, aside, BONES, curls, strict=True)]
    return np.array([(0, 0, 0), *thumb, *(p for f in fingers for p in f)], np.float32)


def thumb_alone(up: int) -> NDArray[np.float32]:
    """A fist from its side, with the thumb stretched upwards (1) or downwards (-1)."""
    points: list[Point] = [(0, 0, 0), (12, -28, -8), (22, -58, -12), (24, -88, -12), (24, -112, -12)]
    for y in (-42, -22, -2, 16):
        points += [(62, y, 0), (92, y + 2, -14), (74, y + 8, -26), (56, y + 6, -22)]
    return np.array(points, np.float32) * np.array([1, up, 1], np.float32)


SIGNS = {
    "open_palm": drawn((STRAIGHT,) * 4, THUMB_OUT),
    "closed_fist": drawn((CURLED,) * 4, THUMB_IN),
    "pointing_up": drawn((STRAIGHT, CURLED, CURLED, CURLED), THUMB_IN),
    "victory": drawn((STRAIGHT, STRAIGHT, CURLED, CURLED), THUMB_IN, (-14, 10, 5, 10)),
    "i_love_you": drawn((STRAIGHT, CURLED, CURLED, STRAIGHT), THUMB_OUT),
    "thumb_up": thumb_alone(1),
    "thumb_down": thumb_alone(-1),
}


@pytest.mark.models
@pytest.mark.parametrize("mirror", [1, -1], ids=["right", "left"])
@pytest.mark.parametrize("label", SIGNS)
def test_drawn_hands_are_read(label: str, mirror: int) -> None:
    points = SIGNS[label] * np.array([mirror, 1, 1], np.float32)
    votes = networks().gestures(points)
    assert votes.sum() == pytest.approx(1.0, abs=1e-3)
    assert GESTURES[int(votes.argmax())] == label


@pytest.mark.models
def test_place_and_size_of_a_hand_do_not_matter() -> None:
    points = SIGNS["victory"]
    np.testing.assert_allclose(
        networks().gestures(points * 0.25 + np.array([500, 300, 7], np.float32)), networks().gestures(points), atol=1e-3
    )


@pytest.mark.models
def test_a_hand_on_its_side_says_less() -> None:
    lying = SIGNS["thumb_up"][:, [1, 0, 2]] * np.array([-1, 1, 1], np.float32)
    assert GESTURES[int(networks().gestures(lying).argmax())] != "thumb_up"


@pytest.mark.models
@pytest.mark.slow
def test_a_real_hand_is_found_where_it_is() -> None:
    frame = next(f for f in stream("wolfganglanger") if f.at >= 2840 * MS)
    hands = networks().hands(frame.pixels, 2)
    assert len(hands) == 1
    x, y = hands[0].centre
    assert 300 < x < 460
    assert y > 260
    assert hands[0].points.shape == (21, 3)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", ["wolfganglanger", "no-face", "carphone"])
def test_hands_that_sign_nothing_say_nothing(name: str) -> None:
    assert not watch(gesture.load(resolve=resolve)(), stream(name), 9)


@pytest.mark.models
@pytest.mark.slow
def test_strange_pictures_say_nothing() -> None:
    pictures = [np.zeros((1, 1, 3), np.uint8), np.zeros((3, 900, 3), np.uint8), np.full((480, 640, 3), 255, np.uint8)]
    assert not watch(gesture.load(resolve=resolve)(), camera([*pictures, *noise(3)] * 2, fps=2))


@pytest.mark.models
def test_a_sign_in_the_picture_becomes_a_percept() -> None:
    factory = gesture.load(resolve=resolve)
    worker = gesture.GestureWorker(factory, DrawnHand(factory.bundle))
    found = watch(worker, camera([np.zeros((400, 800, 3), np.uint8)] * 12))
    assert [(p.kind, p.label, p.worker) for p in found] == [("gesture", "victory", "gesture")]
    assert found[0].confidence > 0.5
    assert found[0].number("x") == pytest.approx(0.5, abs=0.05)
    assert found[0].number("y") == pytest.approx(0.5, abs=0.2)
    assert found[0].number("right") == 1.0
    assert found[0].start < found[0].end


def test_one_picture_is_not_enough() -> None:
    signs = SignFilter()
    assert not signs.step(0, [Sign("victory", 0.9)])
    assert not signs.step(1, [])
    assert not signs.step(2, [])
    assert not signs.step(3, [Sign("victory", 0.9)])


def test_two_of_three_are_and_tell_once() -> None:
    signs = SignFilter()
    shown = [1, 0, 1, 1, 0, 1, 1]
    found = [(at, f) for at, on in enumerate(shown) for f in signs.step(at, [Sign("thumb_up", 0.7)] if on else [])]
    assert [(at, start) for at, (start, _) in found] == [(2, 0)]


def test_a_sign_may_be_given_again_after_it_has_gone() -> None:
    signs = SignFilter()
    shown = [1, 1, 0, 0, 0, 1, 1]
    assert sum(len(signs.step(at, [Sign("thumb_up", 0.7)] if on else [])) for at, on in enumerate(shown)) == 2


def test_both_hands_saying_the_same_are_one_sign() -> None:
    signs = SignFilter()
    both = [Sign("open_palm", 0.6, 0.2), Sign("open_palm", 0.9, 0.8)]
    signs.step(0, both)
    [(start, sign)] = signs.step(1, both)
    assert (start, sign.x) == (0, 0.8)


def test_both_hands_may_differ() -> None:
    signs = SignFilter()
    both = [Sign("open_palm", 0.6), Sign("victory", 0.9)]
    signs.step(0, both)
    assert {sign.label for _, sign in signs.step(1, both)} == {"open_palm", "victory"}


@pytest.mark.models
@pytest.mark.parametrize("options", [{"rate_hz": 0.0}, {"hands": 0}])
def test_senseless_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"above 0|at least 1"):
        gesture.load(resolve=resolve, **options)  # type: ignore[arg-type]
