"""Small faults of a first call that do not come back: muting, push to talk, the agent's voice, what a reload keeps."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.web import scenes
from tests.web.browser import until
from tests.web.conftest import Open, Visit
from tests.web.fake_server import FakeServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VOICE = """
const real = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = async function (wanted) {
  const stream = await real.call(this, wanted);
  if (!wanted.audio) return stream;
  const context = new AudioContext();
  window.voice = new GainNode(context, { gain: 0 });
  const out = new MediaStreamAudioDestinationNode(context);
  const tone = new OscillatorNode(context, { type: "sawtooth", frequency: 150 });
  tone.connect(window.voice).connect(out);
  tone.start();
  for (const track of stream.getAudioTracks()) {
    stream.removeTrack(track);
    track.stop();
  }
  stream.addTrack(out.stream.getAudioTracks()[0]);
  return stream;
};
"""
SPEAK, HUSH = "voice.gain.value = 0.3", "voice.gain.value = 0"


# Consent: nothing is agreed to that was not in sight.


def start_text(page: Page) -> str:
    return page.inner_text("#start").strip()


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [(390, 844, "See four more first"), (844, 390, "See all six first"), (720, 450, "See five more first")],
)
def test_what_was_not_in_sight_cannot_be_allowed(visit: Open, width: int, height: int, words: str) -> None:
    """A phone, a phone on its side, and 1440 x 900 at 200 % zoom."""
    v = visit(width=width, height=height)
    assert start_text(v.page) == words
    v.shot(f"consent-{width}")
    for _ in range(8):
        v.page.click("#start")
        if start_text(v.page) == "Allow all six and start":
            break
        assert v.page.evaluate("rapport.view") == "consent"
    assert start_text(v.page) == "Allow all six and start"
    assert v.server.offers == []
    assert v.page.evaluate("rapport.view") == "consent"
    assert v.page.evaluate("focused().id").startswith("allow-"), "where the reading goes on"
    v.page.click("#start")
    until(v.page, "rapport.state === 'ready'")


def test_what_was_scrolled_to_was_in_sight(visit: Open) -> None:
    v = visit(width=390, height=844)
    v.page.evaluate("part('#app').scrollTo(0, 250)")
    until(v.page, "!part('#start').textContent.includes('four')")
    v.page.evaluate("part('#app').scrollTo(0, 5000)")
    until(v.page, "part('#start').textContent === 'Allow all six and start'")
    v.page.evaluate("part('#app').scrollTo(0, 0)")
    assert start_text(v.page) == "Allow all six and start", "once is enough"


def test_no_switch_is_covered_by_the_bar_when_the_focus_comes_to_it(visit: Open) -> None:
    v = visit(width=844, height=390)
    v.page.focus("#allow-words")
    for _ in range(5):
        v.page.keyboard.press("Tab")
        covered = "focused().getBoundingClientRect().bottom > part('#go').getBoundingClientRect().top"
        assert not v.page.evaluate(covered), v.page.evaluate("focused().id")


def test_what_is_refused_or_typed_needs_no_look(visit: Open) -> None:
    v = visit(width=390, height=844)
    for sense in ("expression", "gaze", "gesture", "scene"):
        v.page.evaluate(f"part('#allow-{sense}').click()")
    assert start_text(v.page) == "Allow two of six and start"
    v.page.click("#start-typing")
    until(v.page, "rapport.state === 'ready'")


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 800), (1024, 768)])
def test_on_a_screen_all_is_in_sight_at_once_with_the_reasons_to_say_yes(visit: Open, width: int, height: int) -> None:
    v = visit(width=width, height=height)
    assert start_text(v.page) == "Allow all six and start"
    bar = v.page.evaluate("part('#go').getBoundingClientRect().top")
    lowest = v.page.evaluate(
        "Math.max(...parts('.facts li:not([hidden])').map((li) => li.getBoundingClientRect().bottom))"
    )
    assert lowest < bar
    face = v.page.evaluate("(({width, height}) => height / width)(part('.hello').getBoundingClientRect())")
    assert face < 1.3, "no empty half above the face"


# Muting and push to talk.


def test_who_speaks_while_muted_is_told(visit: Open) -> None:
    v = visit(init=VOICE)
    v.begin()
    v.page.evaluate(SPEAK)
    v.page.wait_for_timeout(900)
    assert v.page.evaluate("rapport.notices") == [], "heard, and so nothing is said"
    v.page.evaluate(HUSH)
    v.page.click("#mic")
    v.page.wait_for_timeout(400)
    v.page.evaluate(SPEAK)
    until(v.page, "rapport.notices.includes('muted')", 4)
    assert "You are muted" in v.page.inner_text("#notices")
    assert v.page.evaluate("rapport.person.micLive") is False, "the copy that is measured is not what is sent"
    v.shot("muted-and-speaking")
    v.page.click("#notices >> text=Unmute")
    until(v.page, "rapport.person.micLive && !rapport.notices.includes('muted')")


def test_a_fan_is_no_voice_and_a_knock_neither(visit: Open) -> None:
    v = visit(init=VOICE)
    v.begin()
    v.page.evaluate(SPEAK)
    v.page.click("#mic")
    v.page.wait_for_timeout(1500)
    assert v.page.evaluate("rapport.notices") == [], "it was there before: the room's own sound"
    v.page.evaluate(HUSH)
    v.page.wait_for_timeout(300)
    v.page.evaluate(SPEAK)
    v.page.wait_for_timeout(250)
    v.page.evaluate(HUSH)
    v.page.wait_for_timeout(900)
    assert v.page.evaluate("rapport.notices") == []


def test_push_to_talk_while_muted_unmutes_by_being_held(visit: Open) -> None:
    v = visit()
    v.begin()
    v.page.click("#ptt")
    v.page.click("#mic")
    assert v.page.is_visible("#hold"), "there is still something to press"
    assert v.page.inner_text("#hold-text") == "Hold to unmute and talk"
    assert v.page.inner_text("#mood") == "You are muted"
    v.page.focus("#hold")
    v.page.keyboard.down(" ")
    until(v.page, "rapport.person.micLive")
    held = {"enabled": True, "held": True}
    v.server.wait(lambda: held in v.server.client_messages("push-to-talk"), "that it is held")
    v.page.keyboard.up(" ")
    until(v.page, "!rapport.person.micLive")
    assert v.page.inner_text("#hold-text") == "Hold to talk"
    assert v.page.inner_text("#mood") == "Listening"


def test_who_speaks_without_holding_the_button_is_told(visit: Open) -> None:
    v = visit(init=VOICE)
    v.begin()
    v.page.click("#ptt")
    v.page.wait_for_timeout(400)
    v.page.evaluate(SPEAK)
    until(v.page, "rapport.notices.includes('muted')", 4)
    assert "hold the button" in v.page.inner_text("#notices")


def test_push_to_talk_without_a_microphone_says_why_not(visit: Open) -> None:
    v = visit()
    v.page.click("#start-typing")
    until(v.page, "rapport.state === 'ready'")
    v.page.click("#ptt")
    assert "The microphone is not used" in v.page.inner_text("#notices")
    assert v.page.evaluate("rapport.person.pushToTalk") is False
    assert v.server.client_messages("push-to-talk") == []


# The agent's voice.


def test_the_agents_voice_can_be_turned_off_and_stays_off(visit: Open) -> None:
    v = visit()
    v.begin()
    assert v.page.get_attribute("#voice", "aria-pressed") == "true"
    v.page.click("#cc")
    v.page.click("#voice")
    assert v.page.evaluate("[rapport.audio.muted, rapport.audio.playing]") == [True, True]
    assert v.page.get_attribute("#voice", "aria-pressed") == "false"
    assert v.page.is_visible("#captions"), "who does not hear it reads it"
    v.server.speak(1)
    until(v.page, "rapport.audio.heardMs > 300")
    v.page.reload()
    until(v.page, "rapport.state === 'ready'")
    assert v.page.evaluate("rapport.audio.muted") is True
    v.page.keyboard.press("a")
    assert v.page.evaluate("rapport.audio.muted") is False


def test_its_loudness_is_kept(visit: Open) -> None:
    v = visit()
    v.begin()
    v.page.click("#settings-open")
    v.page.fill("#volume", "35")
    assert v.page.evaluate("rapport.audio.volume") == pytest.approx(0.35)
    v.page.reload()
    until(v.page, "rapport.state === 'ready'")
    assert v.page.evaluate("rapport.audio.volume") == pytest.approx(0.35)


def test_who_only_types_is_told_that_the_answers_are_spoken(visit: Open) -> None:
    v = visit()
    v.page.click("#start-typing")
    until(v.page, "rapport.notices.includes('aloud')")
    v.shot("typing-only")
    v.page.click("#notices >> text=Turn its voice off")
    assert v.page.evaluate("[rapport.audio.muted, rapport.notices.length]") == [True, 0]
    v.page.click("#hangup")
    v.page.click("text=Talk again")
    until(v.page, "rapport.state === 'ready'")
    assert v.page.evaluate("rapport.notices") == [], "they know"


# What is shown of the call.


def retold(server: FakeServer) -> None:
    def line(speaker: str, text: str, reply: int = 0, *, final: bool = True, cut: bool = False) -> dict[str, Any]:
        return {"speaker": speaker, "text": text, "final": final, "reply": reply, "cut": cut}

    lines = [
        line("agent", "Hi, I'm Rapport, an AI.", 1),
        line("user", "Hello, I am Ben."),
        line("agent", "Hello Ben.", 2, cut=True),
        line("user", "Wait."),
    ]
    server.tell("captions", lines=lines)


def captions(v: Visit) -> list[list[str]]:
    found: list[list[str]] = v.page.evaluate("rapport.captions.map(({speaker, text}) => [speaker, text])")
    return found


def test_a_reload_keeps_what_both_said_and_how_long_it_lasted(visit: Open) -> None:
    v = visit()
    v.begin()
    moved = "sessionStorage.setItem(key, JSON.stringify({...call, began: call.began - 65000}))"
    v.page.add_init_script(
        "for (const key of Object.keys(sessionStorage).filter((k) => k.startsWith('rapport.call'))) "
        f"{{ const call = JSON.parse(sessionStorage.getItem(key)); {moved}; }}"
    )
    v.page.reload()
    until(v.page, "rapport.state === 'ready'")
    retold(v.server)
    until(v.page, "rapport.captions.length === 4")
    assert captions(v)[1] == ["user", "Hello, I am Ben."]
    assert v.page.locator("#captions li").count() == 4
    assert v.page.locator("#captions li.cut").count() == 1
    v.server.tell("caption", speaker="agent", text="Yes?", final=True, reply=3)
    until(v.page, "rapport.captions.length === 5")
    retold(v.server)
    until(v.page, "rapport.captions.length === 4"), "it takes the place of what is there, and doubles nothing"
    v.page.click("#hangup")
    assert "You talked for 1 min" in v.page.inner_text("#cover-text")


def test_while_the_connection_is_lost_nothing_is_said_to_be_perceived(visit: Open) -> None:
    v = visit()
    v.begin()
    scenes.distress(v.server)
    until(v.page, "rapport.rows.words.text.startsWith('Heard')")
    v.server.drop()
    v.server.refusal = 500, {}, {"title": "Out of order"}
    v.expected = ("500",)
    until(v.page, "rapport.state === 'lost' || rapport.state === 'retrying'")
    texts = v.page.evaluate("Object.values(rapport.rows).map((row) => row.text)")
    assert set(texts) == {"Not connected"}
    v.server.refusal = None
    until(v.page, "rapport.state === 'ready'")
    assert v.page.evaluate("rapport.rows.words.text") == "Listening for words"


def test_nothing_empty_is_shown_before_there_is_a_call(visit: Open) -> None:
    v = visit()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    v.page.route("**/api/offer", hold)
    v.page.click("#start")
    until(v.page, "rapport.state === 'connecting'")
    assert not v.page.is_visible("#side")
    while not held:
        v.page.wait_for_timeout(50)
    for route in held:
        route.continue_()
    until(v.page, "rapport.state === 'ready'")
    assert v.page.is_visible("#side")


def test_what_is_unsure_has_no_number(visit: Open) -> None:
    v = visit()
    v.begin()
    scenes.percept(v.server, "gaze", "uncertain", 0.04)
    until(v.page, "rapport.rows.gaze.state === 'unsure'")
    row = v.page.locator("[data-sense=gaze]")
    assert "4" not in row.inner_text()
    assert not row.locator("[role=meter]").is_visible()
    scenes.percept(v.server, "gaze", "away", 0.7)
    until(v.page, "rapport.rows.gaze.state === 'known'")
    assert "70%" in row.inner_text()
    assert row.locator("[role=meter]").is_visible()


def test_a_sense_that_was_taken_back_is_said_to_be_erased_once_it_is(visit: Open) -> None:
    v = visit()
    v.begin()
    v.page.uncheck("#flip-gaze")
    assert v.page.evaluate("rapport.rows.gaze.text") == "Off by you"
    v.server.tell("note", at=1.0, event="consent_withdrawn", level="info", scopes=["voice"])
    until(v.page, "rapport.rows.gaze.text === 'Off by you what it noticed is erased'")
    v.server.tell("note", at=1.0, event="not_erased", level="error")
    until(v.page, "rapport.rows.gaze.text === 'Off by you'")


def test_what_is_for_developers_is_shown_when_asked_for_and_stays(visit: Open) -> None:
    v = visit()
    v.begin()
    assert v.page.is_visible("#perceive-title")
    assert not v.page.is_visible("#why-title")
    assert not v.page.is_visible("#timing-title")
    v.page.click("#inside > summary")
    assert v.page.is_visible("#why-title")
    v.page.reload()
    until(v.page, "rapport.state === 'ready'")
    assert v.page.is_visible("#timing-title")
    v.page.click("#settings-open")
    assert not v.page.is_visible("#about")


def test_on_a_phone_every_control_has_its_name(visit: Open) -> None:
    v = visit(width=390, height=844)
    v.begin()
    row = v.page.locator("#controls > button:visible")
    assert row.all_inner_texts() == ["Mic", "Camera", "Voice", "More", "Hang up"]
    for name in row.locator("span").all():
        box = name.bounding_box()
        assert box is not None
        assert box["width"] > 15
    v.page.click("#more")
    more = v.page.locator("#further > button:visible")
    assert more.all_inner_texts() == ["Push to talk", "Captions", "Insight", "Settings"]
    assert v.page.evaluate("focused().id") == "ptt"
    v.shot("phone-more")
    v.page.keyboard.press("Escape")
    assert not v.page.is_visible("#ptt")
    assert v.page.evaluate("focused().id") == "more"
    v.page.click("#more")
    v.page.click("#insight")
    assert v.page.is_visible("#perceive-title")
    assert not v.page.is_visible("#ptt")
