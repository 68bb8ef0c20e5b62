"""When something is missing or breaks: the page says what happened and what to do, and goes on with what is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from tests.web.browser import chromium, until
from tests.web.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WITHOUT = """
const real = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = function (wanted) {{
  if (wanted.{kind}) return Promise.reject(new DOMException("not here", "{error}"));
  return real.call(this, wanted);
}};
"""
UNPLUG_CAMERA = "part('#self-video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"


@pytest.fixture(scope="module")
def strict(driver: Playwright) -> Iterator[Browser]:
    """A browser that refuses every permission."""
    with chromium(driver, grant=False) as found:
        yield found


@pytest.fixture(scope="module")
def bare(driver: Playwright) -> Iterator[Browser]:
    """A browser on a machine without camera and microphone."""
    with chromium(driver, devices=False) as found:
        yield found


def test_permission_refused(visit: Open, strict: Browser) -> None:
    v = visit(own=strict)
    v.begin()
    assert v.page.evaluate("rapport.notices") == ["devices"]
    words = v.page.inner_text("#notices")
    assert "blocked" in words
    assert "address bar" in words
    assert v.page.evaluate("[rapport.rows.words, rapport.rows.expression]") == [
        {"state": "lost", "text": "No microphone"},
        {"state": "lost", "text": "No camera"},
    ]
    assert v.page.inner_text("#alarm") != ""
    v.shot("error-permission-refused")


def test_no_devices(visit: Open, bare: Browser) -> None:
    v = visit(own=bare)
    v.begin()
    words = v.page.inner_text("#notices")
    assert "No camera and no microphone found" in words
    assert "You can type" in words
    v.shot("error-no-devices")


@pytest.mark.parametrize(
    ("error", "title"), [("NotFoundError", "No camera found"), ("NotReadableError", "The camera is in use")]
)
def test_without_a_camera_the_voice_goes_on(visit: Open, error: str, title: str) -> None:
    v = visit(init=WITHOUT.format(kind="video", error=error))
    v.begin()
    words = v.page.inner_text("#notices")
    assert title in words
    assert "voice only" in words
    assert v.page.evaluate("[rapport.person.mic, rapport.person.camera]") == [True, False]


def test_without_a_microphone_one_can_type(visit: Open) -> None:
    v = visit(init=WITHOUT.format(kind="audio", error="NotFoundError"))
    v.begin()
    words = v.page.inner_text("#notices")
    assert "No microphone found" in words
    assert "type" in words
    assert v.page.evaluate("[rapport.person.mic, rapport.person.camera]") == [False, True]


def test_unplugged_in_mid_call(visit: Open) -> None:
    v = visit()
    v.begin()
    until(v.page, "rapport.person.camera")
    v.page.evaluate(UNPLUG_CAMERA)
    until(v.page, "rapport.notices.includes('camera') && !rapport.person.camera")
    assert "unplugged" in v.page.inner_text("#notices")
    assert "fake_device" in v.page.inner_text("#notices"), "it is said which one"
    assert v.page.evaluate("rapport.state") == "ready"
    v.shot("error-camera-unplugged")
    v.page.click("#notices button >> text=Try again")
    until(v.page, "rapport.person.camera && !rapport.notices.includes('camera')")


def test_insecure_page(visit: Open) -> None:
    v = visit(host="elsewhere.test")
    v.begin()
    words = v.page.inner_text("#notices")
    assert "https" in words
    assert "type" in words
    v.shot("error-insecure")


def test_browser_without_webrtc(visit: Open) -> None:
    v = visit(init="delete window.RTCPeerConnection;")
    assert v.page.evaluate("rapport.cover") == "webrtc"
    assert "cannot make calls" in v.page.inner_text("#cover")
    v.shot("error-no-webrtc")


def test_busy_server_counts_down_and_calls_again(visit: Open) -> None:
    v = visit()
    v.expected = ("503",)
    v.server.refusal = (
        503,
        {"Retry-After": "3"},
        {"title": "Busy", "detail": "Two calls are running, that is all it can do."},
    )
    v.page.click("#start")
    until(v.page, "rapport.cover === 'busy'")
    assert "Two calls are running" in v.page.inner_text("#cover")
    v.shot("error-busy")
    v.server.refusal = None
    until(v.page, "rapport.state === 'ready'")
    assert len(v.server.offers) == 2
    assert v.page.evaluate("rapport.cover") is None


def test_refused_offer_shows_the_reason(visit: Open) -> None:
    v = visit()
    v.expected = ("400",)
    v.server.refusal = (400, {}, {"title": "Bad offer", "detail": "No codec that both sides know."})
    v.page.click("#start")
    until(v.page, "rapport.cover === 'refused'")
    assert "No codec that both sides know." in v.page.inner_text("#cover")
    v.shot("error-refused")
    v.page.click("text=Back")
    assert v.page.is_visible("#consent")


def test_lost_connection_comes_back_under_the_same_id(visit: Open) -> None:
    v = visit()
    v.begin()
    first = v.page.evaluate("rapport.pcId")
    v.page.uncheck("#flip-gaze")
    v.server.wait(lambda: v.server.client_messages("senses"), "the change of senses")
    v.server.said.clear()
    v.server.drop()
    until(v.page, "rapport.cover === 'lost'")
    assert "Your call is kept" in v.page.inner_text("#cover")
    until(v.page, "rapport.state === 'ready' && rapport.connections === 2")
    assert (v.server.offers[1]["pc_id"], v.server.offers[1]["restart_pc"]) == (first, True)
    again = v.server.wait(lambda: v.server.client_messages("consent"), "the consent on the new connection")
    assert "gaze" not in again[0]["senses"]
    assert v.page.evaluate("rapport.cover") is None
    v.server.speak(2)
    until(v.page, "rapport.audio.level > 0.02")


def test_lost_connection_keeps_trying_in_sight(visit: Open) -> None:
    v = visit()
    v.expected = ("ERR_FAILED",)
    v.begin()
    v.page.route("**/api/offer", lambda route: route.abort())
    v.server.drop()
    until(v.page, "rapport.cover === 'lost' && part('#cover-text').textContent.includes('attempt 3')")
    v.shot("error-connection-lost")
    v.page.unroute("**/api/offer")
    v.page.click("text=Try now")
    until(v.page, "rapport.state === 'ready' && rapport.cover === null")


def test_a_server_that_hangs_is_noticed(visit: Open) -> None:
    v = visit()
    v.server.link["lost_s"] = 3.0
    v.begin()
    v.server.answers_pings = False
    until(v.page, "rapport.state === 'lost'", timeout_s=20)
    v.server.answers_pings = True
    until(v.page, "rapport.state === 'ready'")


def test_server_gone_from_the_start(visit: Open) -> None:
    v = visit()
    v.expected = ("ERR_FAILED",)
    v.page.route("**/api/offer", lambda route: route.abort())
    v.page.click("#start")
    until(v.page, "rapport.cover === 'gone'")
    assert "agent serve" in v.page.inner_text("#cover")
    v.shot("error-server-gone")
    v.page.unroute("**/api/offer")
    v.page.click("#cover button >> text=Try again")
    until(v.page, "rapport.state === 'ready'")


def test_the_agent_hangs_up_or_fails(visit: Open) -> None:
    v = visit()
    v.begin()
    v.server.send("error", {"error": "low memory", "message": "low memory", "fatal": False})
    until(v.page, "rapport.notices.includes('error')")
    v.server.send("error", {"error": "The voice broke.", "message": "The voice broke.", "fatal": True})
    until(v.page, "rapport.cover === 'fatal'")
    assert "The voice broke." in v.page.inner_text("#cover")
    v.page.click("text=Call again")
    until(v.page, "rapport.state === 'ready'")
    v.server.signal("peerLeft")
    until(v.page, "rapport.cover === 'left'")


def test_garbage_from_the_server_is_ignored(visit: Open) -> None:
    v = visit()
    v.begin()
    for data in (
        {"v": 2, "t": "caption"},
        {"v": 1, "t": "unheard-of"},
        {"v": 1, "t": "display", "emotion": "smug", "gesture": "moonwalk", "intensity": 99},
        {},
    ):
        v.server.send("server-message", data)
    v.server.send("unknown-type", None)
    v.server.tell("caption", speaker="agent", text="still here", final=True, reply=1)
    until(v.page, "rapport.captions.length === 1")
    assert v.page.evaluate("rapport.emotion") == "neutral"
    assert v.page.evaluate("rapport.errors") == []
