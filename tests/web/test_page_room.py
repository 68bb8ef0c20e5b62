"""Nothing lies over anything: with the card of who can help, on every screen, in the call and after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web import scenes
from tests.web.browser import press, until
from tests.web.conftest import Open, Visit
from tests.web.test_page_help import danger

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOM = (Path(__file__).parent / "room.js").read_text()
SCREENS = {
    "desktop": (1440, 900, 1),
    "laptop": (1024, 768, 1),
    "tablet": (820, 1180, 1),
    "phone": (390, 844, 2),
    "small phone": (320, 568, 2),
    "phone on its side": (844, 390, 2),
    "desktop at 200 %": (720, 450, 2),
    "laptop at 200 %": (512, 384, 2),
    "low window": (1280, 520, 1),
}
SAID = (
    ("agent", "Hi, I'm Rapport, an AI. I'm listening."),
    ("user", "My mother died two weeks ago, and the house is so quiet now that I keep the radio on all night."),
    ("agent", "I'm so sorry about your mother. A quiet house can be very loud."),
    ("user", "I don't want to be here any more."),
    ("agent", "I'm really glad you told me. Are you safe right now?"),
)


def settle(v: Visit) -> None:
    """Wait until what has changed is laid out, and what watches its size has seen it."""
    v.page.evaluate(
        """async () => {
          await document.fonts.ready;
          for (let k = 0; k < 4; k += 1) await new Promise((done) => requestAnimationFrame(done));
        }"""
    )


def talk(v: Visit) -> None:
    """Begin a call and bring it to the question whether the person is safe, with all that can stand on the stage."""
    v.begin()
    scenes.introduce(v.server)
    for k, (speaker, text) in enumerate(SAID):
        v.server.tell(
            "caption", speaker=speaker, text=text, final=True, reply=k if speaker == "agent" else 0, cut=False
        )
    v.server.tell("display", emotion="tender", gesture="none", intensity=0.8, reply=4)
    v.server.tell("note", at=1.0, event="consent_stored", level="info", scopes=["recording"])
    scenes.state(v.server, "speaking")
    until(v.page, f"rapport.captions.length === {len(SAID)} && rapport.keeping && rapport.mood === 'speaking'")
    settle(v)


def assert_room(v: Visit, when: str) -> None:
    """Fail if something is in the way; a notice that comes or goes just now is given the time to."""
    found: list[str] = []
    for _ in range(8):
        found = v.page.evaluate(ROOM)
        if not found:
            return
        settle(v)
    assert found == [], when


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_lies_over_anything(visit: Open, screen: str) -> None:
    width, height, scale = SCREENS[screen]
    v = visit(width=width, height=height, device_scale_factor=scale)
    talk(v)
    assert_room(v, "in the call")
    assert v.page.evaluate("part('#app').scrollHeight - part('#app').clientHeight") <= 0, "no need to scroll"
    danger(v.server)
    until(v.page, "rapport.help")
    settle(v)
    assert_room(v, "with the card")
    v.shot(f"room-{screen}-card")
    press(v.page, "insight")
    settle(v)
    assert_room(v, "with the card, and the side toggled")
    press(v.page, "insight")
    v.page.get_by_role("button", name="Hide").click()
    settle(v)
    assert_room(v, "with the card put away")
    v.page.get_by_role("button", name="Help numbers").click()
    press(v.page, "cc")
    settle(v)
    assert_room(v, "with the card, without captions")
    press(v.page, "cc")
    v.page.click("#hangup")
    until(v.page, "rapport.cover === 'ended'")
    settle(v)
    assert_room(v, "after the call, with the card")
    bottom = "part('#stage').getBoundingClientRect().bottom"
    assert v.page.evaluate(f"part('#app').getBoundingClientRect().bottom - {bottom}") <= 24, (
        "no band where the dock was"
    )
    v.shot(f"room-{screen}-over")
    v.page.get_by_role("button", name="Hide").click()
    settle(v)
    assert_room(v, "after the call, with the card put away")


def test_notices_and_the_card_leave_room_for_each_other(visit: Open) -> None:
    v = visit(width=390, height=844)
    talk(v)
    danger(v.server)
    v.server.send("error", {"error": "low memory", "message": "low memory", "fatal": False})
    v.server.tell("note", at=2.0, event="closing", level="warning", seconds=30)
    until(v.page, "rapport.help && rapport.notices.length === 2")
    settle(v)
    assert_room(v, "with two notices")


def test_lines_that_do_not_fit_are_not_shown_in_slices(visit: Open) -> None:
    v = visit(width=390, height=844)
    talk(v)
    past = "parts('#captions li.past').length"
    assert v.page.evaluate(past) > 0
    until(v.page, f"(part('#captions').scrollTop = 0, {past} === 0)")
    until(v.page, f"(part('#captions').scrollTop = 99999, {past} > 0)")


def test_the_measure_finds_what_is_planted(visit: Open) -> None:
    v = visit(width=390, height=844)
    talk(v)
    danger(v.server)
    until(v.page, "rapport.help")
    assert_room(v, "before")
    planted = """() => {
      const [self, words] = parts("#self, #captions li:last-child .text").map((el) => el.getBoundingClientRect());
      const [x, y] = [words.left - self.left + (words.width - self.width) / 2, words.top - self.top];
      part("#self").style.transform = `translate(${x}px, ${y}px)`;
      const over = ROOM();
      part("#self").style.transform = "";
      Object.assign(part("#captions").style, {height: "70px", transform: "translateY(60px)"});
      return [over, ROOM()].map((found) => found.join(" | "));
    }"""
    over, cut = v.page.evaluate(planted.replace("ROOM()", f"({ROOM})()"))
    assert "overlap: #self" in over
    assert "covered: .text" in over
    assert "out of reach: .text" in cut
