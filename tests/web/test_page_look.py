"""The tender face, the stage that keeps its colour, and what the page says of muting, typing and a busy line."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.web import scenes
from tests.web.browser import until
from tests.web.conftest import Open, Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIPS = "part('#stage .av-line[stroke-width=\"1.9\"]').getAttribute('d')"
BROW = "parts('#stage .av-brow').map((brow) => brow.getAttribute('d'))"
TEETH = "Number(part('#stage .av-teeth').getAttribute('opacity'))"
HEAD = "part('#stage .av-head').getAttribute('transform')"
GROUND = (
    "(({backgroundColor, backgroundImage}) => [backgroundColor, backgroundImage])(getComputedStyle(part('#stage')))"
)
FADES = "part('#app').getAnimations()"
DISC = "getComputedStyle(part('#stage .av-d1')).stopColor"


def show(v: Visit, emotion: str, reply: int) -> None:
    v.server.tell("display", emotion=emotion, gesture="none", intensity=0.8, reply=reply)
    until(v.page, f"rapport.emotion === '{emotion}'")


def numbers(path: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", path)]


def drawn(page: Page) -> dict[str, Any]:
    """Return how the face stands: height of the mouth's corner over its middle, inner end of a brow, tilt, teeth."""
    line = numbers(page.evaluate(LIPS))
    right = numbers(page.evaluate(BROW)[1])
    tilt = re.search(r"rotate\((-?[\d.]+)", page.evaluate(HEAD))
    assert tilt is not None
    return {
        "smile": line[7] - line[1],  # y of the middle of the lips less y of the corner: y grows downwards
        "inner": -right[1],
        "tilt": float(tilt[1]),
        "teeth": page.evaluate(TEETH),
    }


def test_the_tender_face_is_soft_and_does_not_smile(visit: Open) -> None:
    v = visit(reduced_motion="reduce")
    v.begin()
    faces = {}
    for k, emotion in enumerate(("calm", "concern", "warm", "tender"), 2):
        show(v, emotion, k)
        faces[emotion] = at_rest(v.page)
    tender, concern, calm, warm = (faces[name] for name in ("tender", "concern", "calm", "warm"))
    assert tender["teeth"] == 0
    assert -2.5 < tender["smile"] < 1.5, "a mouth at rest"
    assert warm["smile"] > 5, "the measure knows a smile"
    assert -2.5 < calm["smile"] < 1.5, "it is shown to anger and to fear, too"
    assert calm["inner"] + 3 < tender["inner"] < concern["inner"] - 3, "a little raised, less than in concern"
    assert tender["tilt"] > 3, "the head a little to one side"
    assert concern["tilt"] < 0, "and not to that of concern"
    v.shot("face-tender")


def at_rest(page: Page) -> dict[str, Any]:
    """Return how the face stands once it has stopped moving; less motion is asked for."""
    before = drawn(page)
    for _ in range(60):
        page.wait_for_timeout(400)
        now = drawn(page)
        if now == before:
            return now
        before = now
    raise AssertionError(f"it still moves: {before}")


@pytest.mark.parametrize(
    ("scheme", "motion"), [("light", "no-preference"), ("dark", "no-preference"), ("light", "reduce")]
)
def test_the_stage_keeps_its_colour_and_the_disc_takes_its_time(visit: Open, scheme: str, motion: str) -> None:
    v = visit(color_scheme=scheme, reduced_motion=motion)
    v.begin()
    until(v.page, f"{FADES}.length === 0")
    ground, before = v.page.evaluate(f"[{GROUND}, {DISC}]")
    assert ground[1] == "none", "one colour"
    show(v, "concern", 2)
    until(v.page, f"{FADES}.length === 2")
    assert min(v.page.evaluate(f"{FADES}.map((fade) => fade.effect.getTiming().duration)")) >= 2000
    half_way = f"""(() => {{
      for (const fade of {FADES}) {{ fade.pause(); fade.currentTime = 1300; }}
      return {DISC};
    }})()"""
    between = v.page.evaluate(half_way)
    v.page.evaluate(f"{FADES}.forEach((fade) => fade.finish())")
    after = v.page.evaluate(DISC)
    assert len({before, between, after}) == 3, "it is under way for a while"
    for k, emotion in enumerate(("happy", "tender", "sad"), 3):
        show(v, emotion, k)
        assert v.page.evaluate(GROUND) == ground
        v.page.evaluate(f"{FADES}.forEach((fade) => fade.finish())")
        assert v.page.evaluate(DISC) != after
        assert v.page.evaluate(GROUND) == ground


def test_who_is_muted_is_told_so(visit: Open) -> None:
    v = visit()
    v.begin()
    assert v.page.inner_text("#mood") == "Listening"
    v.page.click("#mic")
    assert v.page.inner_text("#mood") == "You are muted"
    scenes.state(v.server, "speaking")
    until(v.page, "rapport.mood === 'speaking'")
    assert v.page.inner_text("#mood") == "Speaking"
    scenes.state(v.server, "listening")
    until(v.page, "rapport.mood === 'listening'")
    assert v.page.inner_text("#mood") == "You are muted"
    v.page.click("#ptt")
    assert v.page.is_visible("#hold"), "whoever wants to hold a key to talk is not left muted"
    assert v.page.inner_text("#mood") == "Listening"


def test_typing_only_looks_like_no_fault(visit: Open) -> None:
    v = visit()
    assert v.page.inner_text("#start-typing") == "Type instead"
    v.page.click("#start-typing")
    until(v.page, "rapport.state === 'ready'")
    states = "['mic', 'camera'].map((id) => part('#' + id).dataset.state)"
    assert v.page.evaluate(states) == ["unused", "unused"]
    assert not v.page.is_visible("#self-muted")
    assert v.page.inner_text("#mood") == "Listening"
    v.page.click("#flip-words")
    until(v.page, "rapport.person.micLive")
    v.page.click("#mic")
    assert v.page.evaluate(states) == ["off", "unused"], "muted by hand it is marked as ever"
    assert v.page.is_visible("#self-muted")


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("Somebody is in a call with it.", "Somebody is in a call with it. Trying again in 60 s."),
        ("Your address has 1 call already.", "Your address has 1 call already. Trying again in 60 s."),
        ("All 4 lines are busy.", "All 4 lines are busy. Trying again in 60 s."),
        ("the machine is too busy", "The machine is too busy. Trying again in 60 s."),
    ],
)
def test_a_busy_line_is_said_in_sentences(visit: Open, detail: str, words: str) -> None:
    v = visit()
    v.expected = ("503",)
    v.server.refusal = 503, {"Retry-After": "60"}, {"title": "Busy", "detail": detail}
    v.page.click("#start")
    until(v.page, "rapport.state === 'busy'")
    assert v.page.inner_text("#cover-text") == words
    assert v.page.evaluate("roots()[1].querySelector('#call h1').checkVisibility()"), "the call has a heading"
