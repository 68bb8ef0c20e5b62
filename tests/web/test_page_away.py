"""A sense that is away is told on the page until it is back, whatever the person's client may observe."""

from __future__ import annotations

import pytest

from tests.web import scenes
from tests.web.browser import until
from tests.web.conftest import Open, Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def away(v: Visit, *senses: str, hearing: bool = False, typing: bool = True) -> None:
    v.server.tell(
        "note", at=1.0, event="senses_away", level="error", senses=list(senses), hearing=hearing, typing=typing
    )


def test_a_lost_hearing_stays_on_the_page_and_typing_is_offered(visit: Open) -> None:
    v = visit()
    v.begin()
    scenes.state(v.server, "listening")
    away(v, "asr", "prosody", "turn", hearing=True)
    until(v.page, "!!part('[data-key=away]')")
    words = v.page.evaluate("part('[data-key=away]').textContent")
    assert "I cannot hear you just now" in words
    assert "call your local emergency number" in words
    assert v.page.evaluate("part('#mood-text').textContent") == "Cannot hear you"
    assert v.page.evaluate("rapport.rows.words.state") == "lost"
    v.shot("hearing-away")
    v.page.get_by_role("button", name="Type", exact=True).click()
    assert v.page.evaluate("focused().id") == "words"
    v.page.get_by_role("button", name="Dismiss").first.click()
    away(v, "asr", "prosody", "turn", hearing=True)
    v.page.wait_for_timeout(200)
    assert v.page.evaluate("part('[data-key=away]') === undefined"), "who put it away is not told again of the same"
    away(v)
    until(v.page, "part('#mood-text').textContent === 'Listening'")
    assert v.page.evaluate("rapport.rows.words.state") != "lost"


def test_a_lost_sight_is_told_calmly_and_goes_by_itself(visit: Open) -> None:
    v = visit()
    v.begin()
    away(v, "face", "gesture")
    until(v.page, "!!part('[data-key=away].calm')")
    assert "Facial expression, Gaze, Gestures" in v.page.evaluate("part('[data-key=away]').textContent")
    away(v)
    until(v.page, "part('[data-key=away]') === undefined")


def test_who_cannot_type_is_offered_no_typing_and_lost_words_are_told(visit: Open) -> None:
    v = visit()
    v.begin()
    away(v, "asr", hearing=True, typing=False)
    until(v.page, "!!part('[data-key=away]')")
    assert "type" not in v.page.evaluate("part('[data-key=away]').textContent").lower()
    v.server.tell("note", at=1.0, event="words_lost", level="warning", typing=True)
    until(v.page, "!!part('[data-key=words-lost]')")
