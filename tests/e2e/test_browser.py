"""The whole thing, as a person meets it: a browser, a camera, a microphone, and nothing faked behind the page.

A woman cries and says why, then laughs and says why; her clip plays in Chromium's fake devices in a loop, so
where she is in it is known from the pictures.
"""

from __future__ import annotations

import re
import signal
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import jiwer
import pytest
from playwright.sync_api import Page, sync_playwright

from perception.percept import NEGATIVE
from perception.timebase import as_seconds
from tests import scenes
from tests.e2e.live import ROOT, Server, serving
from tests.web.browser import CHROMIUM, LOOK, QUIET, agree, until

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.slow]

SHOTS = ROOT / "artefacts" / "screenshots"
LOOP_S = as_seconds(scenes.DURATION)
DISTRESS = (1.0, as_seconds(scenes.DISTRESS_UNTIL))
JOY = (as_seconds(scenes.JOY_FROM) + 1.0, LOOP_S - 0.5)

# Where her voice is in the clip: the clock of the stream, read together with the page's.
PHASE = """(() => {
  const video = part("#self-video");
  return {now: performance.now(), at: video.currentTime};
})()"""

# Where her face is in the clip: where the cores are short, Chromium's fake camera skips and waits, so each picture
# bears its number.
CAMERA = f"""
window.camera = [];
setInterval(() => {{
  const video = document.querySelector("rapport-call")?.shadowRoot?.querySelector("#self-video");
  if (!video || video.readyState < 2) return;
  const strip = new OffscreenCanvas({scenes.CODE_BITS}, 1);
  const draw = strip.getContext("2d", {{willReadFrequently: true}});
  const side = {scenes.CODE_PX} * video.videoHeight / 480;
  let picture = 0;
  for (let bit = 0; bit < {scenes.CODE_BITS}; bit++) {{
    draw.drawImage(video, (bit + 0.25) * side, video.videoHeight - 0.75 * side, side / 2, side / 2, bit, 0, 1, 1);
    picture = 2 * picture + (draw.getImageData(bit, 0, 1, 1).data[1] > 127);
  }}
  camera.push([performance.now(), picture / 30]);
}}, 100);
"""


# So that a test can take a connection away from under the page.
PEERS = """
const Real = RTCPeerConnection;
window.pcs = [];
window.RTCPeerConnection = class extends Real {
  constructor(...options) {
    super(...options);
    window.pcs.push(this);
  }
};
"""
UNPLUG = """(() => {
  const track = part("#self-video").srcObject.getVideoTracks()[0];
  track.stop();
  track.dispatchEvent(new Event("ended"));
})()"""

# The page's one thread draws, reads messages and reads the level of the sound; on a busy machine it is late itself.
_JANK_MS = 600


@dataclass
class Live:
    """The page in a call, and the server behind it."""

    page: Page
    server: Server
    journals: Path
    now: float = 0.0
    at: float = 0.0
    seen: Any = ()

    def read(self, name: str) -> Any:
        return self.page.evaluate(f"window.rapport.{name}")

    def anchor(self) -> None:
        """Tie the page's clock to those of the microphone and the camera."""
        found = self.page.evaluate(PHASE)
        self.now, self.at = found["now"], found["at"]
        self.seen = self.page.evaluate("window.camera")

    def spoken(self, at_ms: float) -> float:
        """Second of the clip that her voice had reached at an instant of the page."""
        return float((self.at + (at_ms - self.now) / 1000) % LOOP_S)

    def phase(self, received_ms: float) -> float:
        """Second of the clip that was in front of the camera at an instant of the page."""
        since, second = self.seen[max(0, bisect_right(self.seen, received_ms, key=lambda one: one[0]) - 1)]
        return float((second + (received_ms - since) / 1000) % LOOP_S)

    def within(self, span: tuple[float, float], received_ms: float, lag_s: float = 0.0) -> bool:
        return span[0] <= self.phase(received_ms - lag_s * 1000) <= span[1]

    def goes_on(self) -> None:
        """Wait until the agent sees her again."""
        before = self.read("perceptLog.length")
        until(self.page, f"window.rapport.perceptLog.length > {before + 3}", 20)

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"live-{name}.png"))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    scene = scenes.crying_to_joyful(folder)
    devices = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={scenes.as_wav48k(scene.path)}",
        f"--use-file-for-fake-video-capture={scenes.as_mjpeg(scene.path)}",
    )
    config = folder / "journal.toml"
    config.write_text(f'[journal]\ndirectory = "{folder}"\npersonal = true\n[server]\ndrain = 2.0\n')
    with serving(folder, "--config", str(config)) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=[*QUIET, *devices])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(LOOK)
        page.add_init_script(PEERS)
        page.add_init_script(CAMERA)
        page.goto(server.url)
        found = Live(page, server, folder)
        found.shot("consent")
        agree(page)
        until(page, "window.rapport.state === 'ready'", 30)
        until(page, "part('#self-video').currentTime > 0 && camera.length > 0", 20)
        found.anchor()
        _watch(found, 2.6 * LOOP_S)
        yield found
        browser.close()


def _watch(live: Live, seconds: float) -> None:
    """Let the call go on, taking a picture in the middle of each mood."""
    taken: set[str] = set()
    live.anchor()
    until_ms = live.now + 1000 * seconds
    while live.now < until_ms:
        live.page.wait_for_timeout(500)
        live.anchor()
        for name, (begin, end) in (("distress", (4.0, 6.0)), ("reply", (6.5, 7.5)), ("joy", (13.0, 15.0))):
            if name not in taken and live.read("turns.length") > 1 and begin <= live.phase(live.now) <= end:
                taken.add(name)
                live.shot(name)


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower().replace("’", "'")).split())


def test_her_words_are_understood(live: Live) -> None:
    said = plain(" ".join(t["text"] for t in live.read("turns") if t["speaker"] == "user"))
    begins = [m.start() for m in re.finditer(r"my dog died", said)]
    assert len(begins) >= 2, f"no whole round of the clip was heard: {said!r}"
    # Where the cores are short, Chromium's fake microphone skips; a round without that is there to be judged.
    heard = [said[a:b] for a, b in pairwise([*begins, len(said)])]
    wanted = plain(" ".join(line.text for line in scenes._speech()[1]))
    assert min(jiwer.wer(wanted, round_) for round_ in heard) <= 0.15, heard


def test_her_face_is_read(live: Live) -> None:
    seen = [p for p in live.read("perceptLog") if p["kind"] == "expression"]
    # What is read is smoothed: her smile of the round before fades in the first second.
    crying = [p["label"] for p in seen if live.within((2.0, DISTRESS[1]), p["received"], 0.3)]
    laughing = [p["label"] for p in seen if live.within(JOY, p["received"], 0.3)]
    assert len(crying) >= 10
    assert "happy" not in crying, crying
    assert sum(label in NEGATIVE for label in crying) >= len(crying) / 3, crying
    assert sum(label == "happy" for label in laughing) >= 0.7 * len(laughing), laughing


def test_the_reply_is_heard(live: Live) -> None:
    assert live.read("audio.heardMs") > 2000
    assert live.read("audio.peak") > 0.02
    assert any(t["speaker"] == "agent" for t in live.read("turns"))


def test_nothing_cheerful_is_shown_to_distress(live: Live) -> None:
    shown = [d for d in live.read("display") if live.within(DISTRESS, d["received"], 0.5)]
    assert shown, "the agent's face answered her distress with nothing"
    assert "happy" not in {d["emotion"] for d in shown}
    sad = [d for d in live.read("decisions") if d["action"] == "speak" and "dog" in str(d["evidence"]).lower()]
    assert sad
    assert all(d["emotion"] in ("concern", "sad", "calm", "tender") for d in sad), [d["emotion"] for d in sad]


def test_grief_is_no_danger(live: Live) -> None:
    assert "safety" not in {d["strategy"] for d in live.read("decisions")}
    assert live.read("help") is None


def _look(live: Live, at_ms: float) -> str:
    """Return the emotion on the agent's face at an instant of the page."""
    before = [d["emotion"] for d in live.read("display") if d["received"] <= at_ms]
    return before[-1] if before else "warm"


def test_looks_follow_her_mood_in_order_and_in_time(live: Live) -> None:
    """Within a round: concern while she cries, nothing light before she smiles, warmth or joy after it."""
    shown = [d for d in live.read("display") if d["emotion"] not in ("neutral", "curious", "surprise")]
    heavy, light = ("concern", "sad", "calm", "tender"), ("warm", "happy")
    crying = [d["emotion"] for d in shown if live.within(DISTRESS, d["received"], 0.5)]
    assert crying, shown
    assert sum(emotion in heavy for emotion in crying) >= 0.7 * len(crying), crying
    smiles = as_seconds(scenes.JOY_FROM)
    # A look stays until the next: one that was warm already is not shown anew.
    seen = [p["received"] for p in live.read("perceptLog") if (p["kind"], p["label"]) == ("expression", "happy")]
    smiling = [at for at in seen if live.within((smiles, LOOP_S - 0.5), at)]
    softer = [at for at in smiling if _look(live, at) in ("tender", *light)]
    assert softer, shown
    assert min(map(live.phase, softer)) <= smiles + 4.0, shown
    # What hurt is still in the room when she begins to smile: warmth waits until her words turn glad, 2.5 s later.
    met = [at for at in smiling if _look(live, at) in light]
    assert met, shown
    assert min(map(live.phase, met)) <= smiles + 7.0, shown
    # From the picture that made the sense sure to the message that leaves the server; the browser shares the cores, so
    # this only tells that nothing waits for a model. How fast it is, benchmarks/call.py measures.
    took = sorted(m["value"] for m in live.read("metrics") if m["name"] == "reflex")
    assert len(took) >= 3
    assert took[len(took) // 2] <= 0.5, took


def test_captions_panel_and_reason_are_on_the_page(live: Live) -> None:
    page = live.page
    assert "dog" in page.inner_text("#captions").lower() or "cake" in page.inner_text("#captions").lower()
    assert page.inner_text("#senses").strip()
    page.click("#inside > summary")
    why = page.inner_text("#why")
    assert len(why.split()) >= 5
    assert live.read("lastDecision.reason")
    captions = live.read("captions")
    assert {c["speaker"] for c in captions} == {"user", "agent"}
    assert live.read("received")["server-message/metric"] > 10
    assert "ms" in page.inner_text("#timing")


def test_what_the_person_speaks_over_stops(live: Live) -> None:
    """Typed words make the agent speak just before her next line begins; her voice has to stop it."""
    page = live.page
    held = None
    for _ in range(3):
        before = len(live.read("speech"))
        for _ in range(2000):
            live.anchor()
            if LOOP_S - 0.9 <= live.spoken(live.now) <= LOOP_S - 0.5:
                break
            page.wait_for_timeout(20)
        page.fill("#words", "Tell me honestly, what would you do if you were in my place today?")
        page.press("#words", "Enter")
        page.wait_for_timeout(4000)
        events = live.read("speech")[before:]
        held = next((e for e in events if e["state"] == "held"), None)
        if held is not None:
            break
    assert held is not None, "the agent was never interrupted"
    live.shot("barge-in")
    after = [e for e in events if e["received"] >= held["received"]]
    assert any(e["state"] == "stopped" and e["reply"] == held["reply"] for e in after), after
    loud = [a for a in live.read("audioLog") if a["level"] > 0.005 and a["at"] > held["received"] + _JANK_MS]
    first_new = min((e["received"] for e in after if e["state"] == "started"), default=float("inf"))
    # Words travel beside the sound: the next reply may be heard a little before it is announced.
    assert not [a for a in loud if a["at"] < first_new - 300], "sound of a stopped reply came after it was held"
    onset_s = [m["value"] for m in live.read("metrics") if m["name"] == "barge_in"]
    assert min(onset_s) <= 0.25, onset_s
    assert any(c["cut"] for c in live.read("captions") if c["speaker"] == "agent")


def test_the_page_is_well(live: Live) -> None:
    assert live.read("errors") == []
    assert live.read("refusedPercepts") == 0


def test_a_lost_connection_comes_back_into_the_same_call(live: Live) -> None:
    page, call = live.page, live.read("call")
    assert call
    page.evaluate("pcs.at(-1).close()")
    until(page, "window.rapport.state === 'ready' && window.rapport.connections === 2", 20)
    live.shot("connected-again")
    assert "Connected again" in page.inner_text("#notices")
    assert live.read("call") == call
    live.goes_on()


def test_a_server_that_stands_still_is_told_and_comes_back_by_itself(live: Live) -> None:
    page = live.page
    live.server.process.send_signal(signal.SIGSTOP)
    try:
        until(page, "window.rapport.quality === 'degraded' && window.rapport.notices.includes('link')", 8)
        live.shot("connection-weak")
    finally:
        live.server.process.send_signal(signal.SIGCONT)
    until(page, "window.rapport.quality === 'live'", 10)
    assert live.read("connections") == 2, "no new connection was needed"


def test_a_camera_that_goes_away_leaves_the_voice(live: Live) -> None:
    page = live.page
    page.evaluate(UNPLUG)
    until(page, "window.rapport.notices.includes('camera') && !window.rapport.person.camera")
    assert live.read("person.micLive")
    page.click("#notices button >> text=Try again")
    until(page, "window.rapport.person.cameraLive && !window.rapport.notices.includes('camera')")
    assert live.read("errors") == []


def test_a_reload_comes_back_into_the_same_call(live: Live) -> None:
    page, call = live.page, live.read("call")
    page.click("#mic")
    page.reload()
    until(page, "window.rapport.state === 'ready' && window.rapport.call", 20)
    assert live.read("call") == call
    assert live.read("person.mic"), "a muted microphone is there all the same"
    assert not live.read("person.micLive"), "who was muted stays so"
    page.click("#mic")
    live.goes_on()
    live.shot("reloaded")
    assert live.read("errors") == []
    assert [path.stem.rpartition("-")[2] for path in live.journals.glob("*.jsonl")] == [call]


def test_a_server_that_goes_away_is_told_to_the_person(live: Live) -> None:
    """Last: it ends the server."""
    assert live.server.stop() == 0, live.server.log.read_text()
    until(live.page, "window.rapport.cover !== null || window.rapport.notices.length > 0", 30)
    live.page.wait_for_timeout(500)
    live.shot("server-gone")
    assert "Traceback" not in live.server.log.read_text()
