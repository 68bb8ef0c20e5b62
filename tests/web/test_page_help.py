"""The card of who can help: seen, read out, reachable with the keyboard, and put away only by the person."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.browser import until
from tests.web.conftest import Open
from tests.web.fake_server import FakeServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AUDIT = (Path(__file__).parent / "audit.js").read_text()
CONTACTS = [
    {"name": "Samaritans", "number": "116 123"},
    {"name": "Shout", "text": "85258"},
    {"name": "Find A Helpline", "url": "https://findahelpline.com", "note": "Free helplines by country."},
    {"name": "Emergency", "number": "999"},
]


def danger(server: FakeServer, kind: str = "self_harm") -> None:
    server.tell("resource", kind=kind, country="United Kingdom", contacts=CONTACTS, reviewed="2026-11-25", reply=1)


def test_who_can_help_is_shown_until_it_is_put_away(visit: Open) -> None:
    v = visit()
    v.begin()
    danger(v.server)
    until(v.page, "rapport.help?.kind === 'self_harm'")
    card = v.page.get_by_role("region", name="You don’t have to be alone with this")
    assert card.is_visible()
    assert card.get_by_role("link", name="Call 116 123, Samaritans").get_attribute("href") == "tel:116123"
    assert card.get_by_role("link", name="Text 85258, Shout").get_attribute("href") == "sms:85258"
    assert card.get_by_role("link", name="findahelpline.com").get_attribute("rel") == "noopener noreferrer"
    assert "Checked 2026-11-25" in card.inner_text()
    until(v.page, "part('#alarm').textContent.includes('Samaritans: 116 123')")
    v.server.tell("caption", speaker="agent", text="I'm really glad you told me.", final=True, reply=1, cut=True)
    v.server.tell("display", emotion="concern", gesture="none", intensity=0.8, reply=2)
    until(v.page, "rapport.emotion === 'concern'")
    assert card.is_visible()
    v.page.click("#hangup")
    until(v.page, "rapport.cover === 'ended'")
    assert card.is_visible()
    v.page.get_by_role("button", name="Hide").click()
    assert v.page.evaluate("rapport.help") is None
    assert not v.page.query_selector(".help")


def test_a_card_that_was_put_away_comes_back_by_one_button(visit: Open) -> None:
    v = visit()
    v.begin()
    danger(v.server)
    until(v.page, "part('#alarm').textContent.includes('116 123')")
    again = v.page.get_by_role("button", name="Help numbers")
    assert again.count() == 0, "nothing to bring back"
    v.page.get_by_role("button", name="Hide").click()
    assert again.is_visible()
    assert v.page.evaluate("focused().textContent") == "Help numbers"
    v.page.evaluate("part('#alarm').textContent = part('#announcer').textContent = ''")
    again.press("Enter")
    assert v.page.evaluate("rapport.help.kind") == "self_harm"
    assert v.page.evaluate("focused().className") == "help", "read from its heading on"
    assert again.count() == 0
    v.page.wait_for_timeout(200)
    assert v.page.evaluate("part('#alarm').textContent + part('#announcer').textContent") == "", "without a word more"
    v.page.get_by_role("button", name="Hide").click()
    v.page.click("#hangup")
    until(v.page, "rapport.cover === 'ended'")
    again.click()
    assert v.page.is_visible(".help")
    v.page.get_by_role("button", name="Hide").click()
    v.page.click("text=Talk again")
    until(v.page, "rapport.state === 'ready'")
    assert again.count() == 0, "a new call knows nothing of it"


def test_nobody_is_smiled_at_for_hanging_up_after_it(visit: Open) -> None:
    v = visit()
    v.begin()
    danger(v.server)
    until(v.page, "rapport.help")
    v.page.click("#hangup")
    until(v.page, "rapport.cover === 'ended'")
    assert v.page.evaluate("rapport.emotion") == "tender"
    v.page.click("text=Talk again")
    until(v.page, "rapport.state === 'ready'")
    v.page.click("#hangup")
    assert v.page.evaluate("rapport.emotion") == "warm"


def test_a_notice_does_not_take_the_word_from_the_card(visit: Open) -> None:
    v = visit()
    v.begin()
    danger(v.server)
    v.server.send("error", {"error": "low memory", "message": "low memory", "fatal": False})
    until(v.page, "part('#alarm').textContent.includes('low memory')")
    assert "Samaritans: 116 123" in v.page.locator("#alarm").inner_text()
    assert v.page.get_attribute("#alarm", "aria-atomic") == "false", "only what is new is read"


def test_the_next_danger_replaces_the_card(visit: Open) -> None:
    v = visit()
    v.begin()
    danger(v.server)
    danger(v.server, "medical")
    until(v.page, "rapport.help?.kind === 'medical'")
    assert v.page.locator(".help").count() == 1
    assert v.page.inner_text("#help-title") == "This may be an emergency"


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_it_fits_and_can_be_read(visit: Open, width: int, scheme: str) -> None:
    v = visit(width=width, color_scheme=scheme)
    v.begin()
    danger(v.server, "harm_others")
    until(v.page, "rapport.help")
    assert v.page.evaluate("part('#app').scrollWidth <= innerWidth")
    heights = v.page.eval_on_selector_all(".help-ways a", "links => links.map(a => a.getBoundingClientRect().height)")
    assert min(heights) >= 44
    assert v.page.evaluate(AUDIT) == []
    v.shot(f"help-{width}-{scheme}")


NOWHERE = [
    {"name": "Your local emergency number", "number": "112", "note": "112 works in most countries."},
    {"name": "Find A Helpline", "url": "https://findahelpline.com"},
]


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("America/New_York", "Call 911, Emergency number in the United States"),
        ("Australia/Perth", "Call 000, Emergency number in Australia"),
        ("Europe/Vienna", "Call 112, Your local emergency number"),
        ("UTC", "Call 112, Your local emergency number"),
    ],
)
def test_where_the_server_does_not_know_the_country_the_clock_does(visit: Open, zone: str, first: str) -> None:
    v = visit(timezone_id=zone)
    v.begin()
    known = {"kind": "medical", "country": "International", "contacts": NOWHERE, "reviewed": "2026-11-25", "reply": 1}
    v.server.tell("resource", **known, emergency={"US": "911", "AU": "000", "AT": "112"})
    until(v.page, "rapport.help")
    assert v.page.locator(".help a").first.get_attribute("aria-label") == first
    assert v.page.locator(".help a[href='tel:112']").count() == 1, "and 112 stays"


def test_a_country_that_the_server_knows_is_not_guessed_again(visit: Open) -> None:
    v = visit(timezone_id="America/New_York")
    v.begin()
    danger(v.server)
    until(v.page, "rapport.help")
    assert "911" not in v.page.inner_text(".help")
