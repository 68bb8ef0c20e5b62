"""Of whoever stands beside the person nothing is told but that they are there."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from agent.consent import Bystanders
from agent.models import resolve
from perception.company import Company
from perception.facemesh import Face
from perception.percept import FACE, GESTURE, PRESENCE, Percept
from perception.timebase import MS, SECOND, Nanos
from perception.workers import face
from tests.perception.seen import camera, clip, live, of, watch


def at_place(x: float, side: float = 100.0) -> Face:
    """A face in the shape of a square, in the middle of the picture's height."""
    spread = np.linspace(-0.5, 0.5, 478, dtype=np.float32)
    points = np.stack([x + side * spread, 100.0 + side * spread, np.zeros_like(spread)], axis=1).astype(np.float32)
    return Face(points=points, presence=9.0)


def follow(company: Company, start: Nanos, seconds: float, face: Face | None, people: int) -> bool:
    for i in range(round(seconds * 10)):
        company.step(start + i * 100 * MS, face, people, another=False)
    return company.stranger


def test_the_first_face_is_the_persons_whoever_else_is_there() -> None:
    company = Company()
    assert not follow(company, 0, 1, at_place(100), 3)
    assert not follow(company, SECOND, 5, at_place(140), 5), "and stays so as long as it is followed"


def test_a_closer_face_that_takes_over_is_a_bystanders_until_it_has_been_alone() -> None:
    company = Company()
    follow(company, 0, 1, at_place(100), 2)
    assert company.step(SECOND, at_place(300), 2, another=True)
    assert follow(company, 1100 * MS, 20, at_place(300), 2)
    assert follow(company, 22 * SECOND, 1.9, at_place(300), 1)
    assert not follow(company, 23_900 * MS, 0.3, at_place(300), 1)


@pytest.mark.parametrize(
    ("gap_s", "x", "side", "people", "stranger"),
    [
        (1, 110, 100, 2, False),
        (1, 300, 100, 2, True),
        (1, 110, 250, 2, True),
        (5, 110, 100, 2, True),
        (5, 300, 250, 1, False),
    ],
    ids=["where it was", "elsewhere", "of another size", "much later", "alone"],
)
def test_a_face_that_was_lost_in_company_is_the_persons_only_where_it_was(
    gap_s: int, x: float, side: float, people: int, stranger: bool
) -> None:
    company = Company()
    follow(company, 0, 1, at_place(100), 2)
    follow(company, SECOND, gap_s, None, 1)
    assert company.step((1 + gap_s) * SECOND, at_place(x, side), people, another=False) is stranger


@cache
def factory() -> face.FaceFactory:
    return face.load(resolve=resolve)


@pytest.mark.slow
@pytest.mark.models
def test_the_face_worker_tells_nothing_of_a_bystander() -> None:
    small = cv2.resize(clip("single-face")[0].pixels, (480, 270))
    crowd = np.zeros((720, 1280, 3), np.uint8)
    crowd[:270, :480] = small
    other = np.zeros_like(crowd)
    other[:, 480:] = cv2.resize(clip("carphone")[0].pixels, (880, 720))[:, :800]
    both = other.copy()
    both[:270, :480] = small
    percepts = watch(factory()(), camera([*live(crowd, 15), *live(both, 40), *live(other, 40)]))
    present = of(percepts, "face", "present")
    taken = next(p.end for p in present if "bystander" in p.data)
    alone = next(p.end for p in present if p.end > taken and "bystander" not in p.data)
    assert taken < 4 * SECOND
    assert 7 * SECOND < alone < 9 * SECOND, "two seconds after it is alone"
    masked = [p for p in percepts if taken <= p.end < alone]
    assert {p.kind for p in masked} <= {"face", "presence", "gaze"}
    assert {p.label for p in of(masked, "gaze")} <= {"uncertain"}
    for percept in of(masked, "face", "present"):
        assert set(percept.data) == {"count", "x", "y", "width", "height", "bystander"}
    for kind in ("expression", "gaze"):
        assert [p for p in of(percepts, kind) if p.end < taken], f"of the person {kind} was told"
        assert [p for p in of(percepts, kind) if p.end > alone], "and is of who stays, from then on"


def seen(kind: str, at_s: float, worker: str = "face", **data: float) -> Percept:
    at = round(at_s * SECOND)
    return Percept(kind, "thumb_up", at, at, 0.9, worker, data)


def test_signs_of_hands_in_company_are_not_taken_for_the_persons() -> None:
    bystanders = Bystanders()
    assert not bystanders.hides(seen(GESTURE, 1, "gesture", x=0.5))
    assert not bystanders.hides(seen(FACE, 2, count=2.0))
    assert bystanders.hides(seen(GESTURE, 3, "gesture", x=0.5))
    assert not bystanders.hides(seen(GESTURE, 3, size_deg=9.0)), "a nod is of the face that is followed"
    assert not bystanders.hides(seen(GESTURE, 5.5, "gesture", x=0.5)), "nobody has counted for a while"
    bystanders.hides(seen(PRESENCE, 6, count=2.0))
    bystanders.hides(seen(FACE, 6.5, count=1.0))
    assert not bystanders.hides(seen(GESTURE, 7, "gesture", x=0.5))
