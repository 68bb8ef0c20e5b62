"""The join token of a link: out of the address bar at once, and there for the call, also after a reload."""

from __future__ import annotations

import pytest

from tests.web.browser import until
from tests.web.conftest import Open

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_a_token_leaves_the_address_bar_and_opens_the_call(visit: Open) -> None:
    v = visit(url="about:blank")
    before = v.page.evaluate("history.length")
    v.page.goto(v.server.url.rstrip("/") + "/?lang=en#token=r1.first.one")
    until(v.page, "window.rapport?.view === 'consent'")
    assert v.page.evaluate("location.hash") == ""
    assert v.page.url.endswith("/?lang=en"), "the rest of the address stays"
    assert v.page.evaluate("history.length") == before + 1, "nor is it in the history"
    v.page.reload()
    until(v.page, "window.rapport?.view === 'consent'")
    assert v.page.evaluate("document.querySelector('rapport-call').token") == "r1.first.one"
    v.begin()
    assert v.server.offers[0]["token"] == "r1.first.one"
    assert v.page.evaluate("history.state") is None, "it is spent"
    stored = v.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "r1.first" not in stored


def test_a_new_link_in_the_same_tab_brings_its_token(visit: Open) -> None:
    v = visit()
    until(v.page, "window.rapport?.view === 'consent'")
    assert v.page.evaluate("document.querySelector('rapport-call').token") is None
    v.page.evaluate("location.hash = '#token=r1.second.one'")
    until(v.page, "document.querySelector('rapport-call').token === 'r1.second.one'")
    assert v.page.evaluate("location.hash") == ""


def test_what_is_wrong_with_a_token_is_said_in_sentences(visit: Open) -> None:
    v = visit()
    v.expected = ("401",)
    v.server.refusal = 401, {}, {"title": "Unauthorized", "detail": "the join token was used before; ask for a new one"}
    v.page.click("#start")
    until(v.page, "rapport.cover === 'refused'")
    assert v.page.inner_text("#cover-text").startswith(
        "The join token was used before; ask for a new one. Reloading the page"
    )
