"""A connection that is weak, cut, or comes back in another page: the page copes by itself, and says so."""

from __future__ import annotations

import pytest

from tests.web.browser import until
from tests.web.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PERMISSIONS = """
window.statuses = {};
window.states = {};
const real = Permissions.prototype.query;
Permissions.prototype.query = async function (wanted) {
  const status = await real.call(this, wanted);
  Object.defineProperty(status, "state", {get: () => window.states[wanted.name] ?? "granted"});
  return (window.statuses[wanted.name] ??= status);
};
window.permit = (name, state) => {
  window.states[name] = state;
  window.statuses[name].dispatchEvent(new Event("change"));
};
"""
SLEEP = """
const wall = Date.now;
window.sleep = (ms) => (Date.now = () => wall() + ms);
"""
PEERS = """
const Real = RTCPeerConnection;
window.pcs = [];
window.RTCPeerConnection = class extends Real {
  constructor(options) {
    super(options);
    this.asked = options.iceServers;
    window.pcs.push(this);
  }
};
"""
TOKEN = "JSON.parse(sessionStorage.getItem(`rapport.call ${location.origin}/#`)).resume"
CAMERA = "part('#self-video').srcObject.getVideoTracks()[0]"
TWO_CAMERAS = """
const real = MediaDevices.prototype.enumerateDevices;
MediaDevices.prototype.enumerateDevices = async function () {
  const other = {kind: "videoinput", deviceId: "other", groupId: "", label: "Desk camera"};
  return [...(await real.call(this)), other];
};
const capture = MediaDevices.prototype.getUserMedia;
window.captures = [];
MediaDevices.prototype.getUserMedia = function (wanted) {
  window.captures.push(wanted.video?.deviceId?.exact ?? null);
  if (wanted.video?.deviceId) delete wanted.video.deviceId;
  return capture.call(this, wanted);
};
"""


def test_a_weak_connection_is_said_and_so_is_its_end(visit: Open) -> None:
    v = visit()
    v.server.link["degraded_s"] = 1.5
    v.begin()
    v.server.answers_pings = False
    until(v.page, "rapport.quality === 'degraded' && rapport.notices.includes('link')")
    assert "Your connection is weak" in v.page.inner_text("#notices")
    v.page.locator("#alarm", has_text="weak").wait_for(
        state="attached"
    )  # put in a moment later, so that it is read out
    assert v.page.evaluate("rapport.state") == "ready"
    v.shot("connection-weak")
    v.server.answers_pings = True
    until(v.page, "rapport.quality === 'live'")
    assert "Connected again" in v.page.inner_text("#notices")
    v.server.tell("link", state="degraded", silent_s=2.1)
    until(v.page, "rapport.quality === 'degraded'")  # what the server does not hear, only it can tell
    v.server.tell("link", state="live", silent_s=0.0)
    until(v.page, "rapport.quality === 'live'")
    assert len(v.server.offers) == 1
    v.server.tell("note", at=1.0, event="closing", level="info", seconds=20)
    until(v.page, "rapport.notices.includes('closing')")
    assert "in about 20 s" in v.page.inner_text("#notices")


def test_a_reload_comes_back_into_the_call_as_it_was(visit: Open) -> None:
    v = visit()
    v.begin()
    v.page.uncheck("#flip-gaze")
    v.page.click("#mic")
    until(v.page, "!rapport.person.micLive")
    token = v.page.evaluate(TOKEN)
    v.server.said.clear()
    v.page.reload()
    until(v.page, "rapport.state === 'ready'")
    assert v.server.byes[0]["may_return"] is True
    assert (v.server.offers[1]["resume"], v.server.offers[1]["pc_id"]) == (token, None)
    consent = v.server.wait(lambda: v.server.client_messages("consent"), "the consent")[0]
    assert "gaze" not in consent["senses"]
    assert "face" in consent["senses"]
    assert v.server.said[0]["message"] == {"type": "trackStatus", "receiver_index": 0, "enabled": False}
    assert v.page.evaluate("[rapport.view, rapport.person.micLive]") == ["call", False]
    until(v.page, "rapport.notices.includes('link')")
    assert "Connected again" in v.page.inner_text("#notices")
    v.page.click("#hangup")
    v.page.reload()
    v.page.wait_for_timeout(300)
    assert v.page.evaluate("rapport.view") == "consent", "a call that was hung up stays so"
    assert len(v.server.offers) == 2


def test_a_reload_that_comes_too_late_says_so_and_opens_nothing(visit: Open) -> None:
    v = visit()
    v.expected = ("410",)
    v.begin()
    v.page.uncheck("#flip-gaze")
    v.server.lapsed = 410
    v.page.reload()
    until(v.page, "rapport.view === 'consent' && rapport.notices.includes('link')")
    assert "Your earlier call is over" in v.page.inner_text("#consent-notices")
    assert v.page.evaluate("[rapport.person.mic, rapport.person.camera]") == [False, False]
    assert not v.page.is_checked("#allow-gaze"), "what was refused stays refused"
    v.begin()
    assert v.server.offers[2].get("resume") is None


def test_a_call_that_ended_meanwhile_is_followed_by_a_new_one(visit: Open) -> None:
    v = visit()
    v.expected = ("410",)
    v.begin()
    token = v.page.evaluate(TOKEN)
    v.server.lapsed = 410
    v.server.drop()
    until(v.page, "rapport.state === 'ready' && rapport.connections === 2")
    assert [o.get("resume") for o in v.server.offers] == [None, token, None]
    assert v.server.offers[2]["pc_id"] is None
    assert "A new call has begun" in v.page.inner_text("#notices")
    v.shot("connection-new-call")


def test_a_call_that_another_tab_took_is_left_to_it(visit: Open) -> None:
    v = visit()
    v.expected = ("409",)
    v.begin()
    v.server.tell("link", state="moved")
    until(v.page, "rapport.cover === 'moved'")
    assert v.page.evaluate("rapport.person.mic") is False
    v.page.click("text=Start a new call here")
    until(v.page, "rapport.state === 'ready'")
    v.server.lapsed = 409
    v.server.drop()
    until(v.page, "rapport.cover === 'moved'")
    assert len(v.server.offers) == 3


def test_a_sleeping_page_and_a_changed_network_do_not_wait_for_long(visit: Open) -> None:
    v = visit(init=SLEEP)
    v.begin()
    v.page.evaluate("sleep(60000)")
    v.page.wait_for_timeout(2500)
    assert v.page.evaluate("[rapport.state, rapport.connections]") == ["ready", 1], "the link is well after a sleep"
    v.server.answers_pings = False
    v.page.evaluate("dispatchEvent(new Event('online'))")
    until(v.page, "rapport.state === 'lost' || rapport.connections === 2", timeout_s=4)
    v.server.answers_pings = True
    until(v.page, "rapport.state === 'ready' && rapport.connections === 2")


def test_a_closed_connection_is_noticed_by_the_page_itself(visit: Open) -> None:
    """As when the browser, or somebody's extension, closes it under the page's feet."""
    v = visit(init=PEERS)
    v.server.ice = [{"urls": ["turn:127.0.0.1:9"], "username": "1:page", "credential": "x"}]
    v.begin()
    v.page.evaluate("pcs[0].close()")
    until(v.page, "rapport.state === 'ready' && rapport.connections === 2", timeout_s=6)
    assert v.page.evaluate("pcs.map((pc) => pc.asked)") == [v.server.ice, v.server.ice]


def test_a_lost_camera_is_named_and_another_is_offered(visit: Open) -> None:
    v = visit(init=TWO_CAMERAS)
    v.begin()
    until(v.page, "rapport.person.camera")
    v.page.evaluate(f"(() => {{ const t = {CAMERA}; t.stop(); t.dispatchEvent(new Event('ended')); }})()")
    until(v.page, "rapport.notices.includes('camera')")
    words = v.page.inner_text("#notices")
    assert "unplugged" in words
    assert "voice only" in words
    v.shot("error-camera-lost")
    v.page.click("text=Use Desk camera")
    until(v.page, "rapport.person.camera && !rapport.notices.includes('camera')")
    assert v.page.evaluate("captures.at(-1)") == "other"
    assert v.page.evaluate("rapport.state") == "ready"


def test_a_camera_that_the_system_mutes_is_said_and_not_looked_at(visit: Open) -> None:
    v = visit()
    v.begin()
    until(v.page, "rapport.person.cameraLive")
    v.server.said.clear()
    v.page.evaluate(f"{CAMERA}.dispatchEvent(new Event('mute'))")
    until(v.page, "rapport.notices.includes('camera')")
    assert "gives no picture" in v.page.inner_text("#notices")
    assert v.page.evaluate("rapport.rows.expression.text") == "Switched off by the system"
    off = {"type": "signalling", "message": {"type": "trackStatus", "receiver_index": 1, "enabled": False}}
    v.server.wait(lambda: off in v.server.said, "that the camera is off")
    v.page.evaluate(f"{CAMERA}.dispatchEvent(new Event('unmute'))")
    until(v.page, "rapport.person.cameraLive && !rapport.notices.includes('camera')")


def test_a_permission_that_is_taken_back_is_said_and_used_again_when_given(visit: Open) -> None:
    v = visit(init=PERMISSIONS)
    v.begin()
    until(v.page, "Boolean(rapport.person.camera && statuses.camera)")
    v.page.evaluate("permit('camera', 'denied')")
    v.page.evaluate(f"(() => {{ const t = {CAMERA}; t.stop(); t.dispatchEvent(new Event('ended')); }})()")
    until(v.page, "rapport.notices.includes('camera')")
    assert "no longer allowed" in v.page.inner_text("#notices")
    v.page.evaluate("permit('camera', 'granted')")
    until(v.page, "rapport.person.camera && !rapport.notices.includes('camera')")
