"""``<rapport-call>`` in a page of another origin whose policy forbids what can be forbidden."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import token
from agent.elements.serving import module
from tests.docs.blocks import ROOT, blocks
from tests.e2e.live import serving
from tests.web import scenes
from tests.web.browser import agree, until
from tests.web.conftest import Open, Visit
from tests.web.fake_server import FakeServer
from tests.web.host_page import LISTEN, SCRIPT, HostPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AUDIT = (Path(__file__).parent / "audit.js").read_text()
FILLED = """<rapport-call server="SERVER">
  <span slot="title">A word before your visit</span>
  <p class="note" slot="intro">Made for the people in our waiting room.</p>
  <p class="note" slot="terms">Questions? Ask at the desk.</p>
</rapport-call>"""
TRACKS = """
window.opened = [];
const real = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = async function (wanted) {
  const stream = await real.call(this, wanted);
  window.opened.push(...stream.getTracks());
  return stream;
};
"""
EARLY = """
new MutationObserver(() => {
  const call = document.querySelector("rapport-call");
  if (!call || call.senses !== undefined) return;
  call.senses = ["gaze"];
  call.theme = "dark";
}).observe(document, {childList: true, subtree: true});
"""
REAL = """
workers = ["vad"]
policy = "scripted"
voice = "plain"

[server]
allowed_origins = ["ORIGIN"]
drain = 0.0

[deployment]
context = "kiosk"

[call]
greeting = false
"""


@pytest.fixture
def site(server: FakeServer) -> Iterator[HostPage]:
    with HostPage(server.url) as found:
        yield found


def told(v: Visit, name: str) -> list[Any]:
    """Return the details of an event, as the page heard it."""
    heard: list[Any] = v.page.evaluate(f"told.filter(([name]) => name === '{name}').map(([, detail]) => detail)")
    return heard


def test_a_strict_page_of_another_origin_holds_a_call(visit: Open, site: HostPage) -> None:
    site.body = FILLED.replace("SERVER", site.server)
    v = visit(url=site.origin, width=1180, height=820)
    until(v.page, "[...document.fonts].some((f) => f.family === 'Rapport Figtree' && f.status === 'loaded')")
    v.page.wait_for_timeout(700)
    assert v.page.evaluate(AUDIT) == []
    assert v.page.is_visible("text=A word before your visit")
    assert not v.page.is_visible("text=Before we talk")
    assert v.page.is_visible("text=an AI, not a person"), "this no page can take away"
    assert "in your address bar" not in v.page.inner_text("#fact-here")
    style = "(({borderRadius, borderTopWidth, backgroundColor}) => [borderRadius, borderTopWidth, backgroundColor])"
    assert v.page.evaluate(f"{style}(getComputedStyle(part('#start')))") == ["6px", "0px", "rgb(11, 110, 79)"]
    v.shot("embed-consent")
    agree(v.page)
    until(v.page, "rapport.state === 'ready'")
    offer = v.server.offers[0]
    assert offer["token"] == "t0ken"
    consent = v.server.wait(lambda: v.server.client_messages("consent"), "the consent")[0]
    assert (consent["locale"], "words" in consent["senses"]) == ("en", True)
    scenes.introduce(v.server)
    scenes.distress(v.server)
    v.server.tell("resource", kind="medical", country="France", contacts=[], reviewed="2026-11-25", reply=1)
    v.server.send("error", {"error": "low memory", "message": "low memory", "fatal": False})
    until(v.page, "told.some(([name]) => name === 'error')")
    assert told(v, "caption")[0]["text"] == "I lost my dog yesterday"
    assert {"expression", "gaze", "prosody"} <= {p["kind"] for p in told(v, "percept")}
    assert told(v, "decision")[0]["strategy"] == "reflection"
    assert told(v, "display")[0] == {"emotion": "concern", "gesture": "lean_in", "intensity": 0.8, "reply": 1}
    assert told(v, "resource")[0]["country"] == "France"
    assert told(v, "error") == [{"kind": "error", "title": "", "detail": "low memory", "fatal": False}]
    states = [(s["state"], s["mood"]) for s in told(v, "state")]
    assert states[0][0] == "connecting"
    assert ("ready", "speaking") in states
    assert told(v, "state")[-1]["call"] == "c1"
    assert v.page.evaluate("[document.querySelector('rapport-call').state, window.rapport.errors.length]") == [
        "ready",
        0,
    ]
    v.page.click("#notices [aria-label=Dismiss]")
    v.page.click("#notices .help button")
    v.page.wait_for_timeout(900)
    assert v.page.evaluate(AUDIT) == []
    v.shot("embed-call")
    v.page.evaluate(
        "Object.assign(document.querySelector('rapport-call').style, {inlineSize: '280px', blockSize: '420px'})"
    )
    v.page.wait_for_timeout(200)
    outside = """parts('#dock button, #dock input').filter((el) => {
      const [box, frame] = [el.getBoundingClientRect(), part('#app').getBoundingClientRect()];
      return box.width && (box.left < frame.left || box.right > frame.right || box.bottom > frame.bottom);
    }).map((el) => el.id)"""
    assert v.page.evaluate(outside) == []
    v.shot("embed-small")
    pc_id = v.page.evaluate("rapport.pcId")
    v.page.goto("about:blank")
    assert v.server.wait(lambda: v.server.byes, "the goodbye") == [{"pc_id": pc_id, "may_return": True}]


def test_attributes_say_what_is_offered_and_how_it_looks(visit: Open, site: HostPage) -> None:
    site.body = f'<rapport-call server="{site.server}" senses="words, voice smell" theme="dark" muted></rapport-call>'
    v = visit(url=site.origin)
    until(v.page, "told.some(([name]) => name === 'error')")
    [wrong] = told(v, "error")
    assert (wrong["kind"], wrong["title"]) == ("attribute", "senses")
    assert "smell" in wrong["detail"]
    assert "gesture" in wrong["detail"], "what there is is named"
    until(v.page, "told.some(([name]) => name === 'place')")
    v.page.locator("#allow-voice").scroll_into_view_if_needed()
    until(v.page, "part('#start').textContent === 'Allow all two and start'")
    assert v.page.evaluate("part('#app').dataset.theme") == "dark"
    assert not v.page.is_visible("#allow-gaze")
    agree(v.page)
    until(v.page, "rapport.state === 'ready'")
    assert v.page.evaluate("[rapport.person.mic, rapport.person.micLive, rapport.person.camera]") == [
        True,
        False,
        False,
    ]
    v.page.click("#mic")
    until(v.page, "rapport.person.micLive && !document.querySelector('rapport-call').muted")
    v.page.evaluate("document.querySelector('rapport-call').muted = true")
    until(v.page, "!rapport.person.micLive")
    v.page.evaluate("document.querySelector('rapport-call').theme = 'light'")
    assert v.page.evaluate("part('#app').dataset.theme") == "light"
    v.page.keyboard.press("p")
    assert v.page.evaluate("rapport.person.pushToTalk") is True, "a key in the element is the element's"
    v.page.evaluate("focused().blur()")
    v.page.keyboard.press("p")
    assert v.page.evaluate("rapport.person.pushToTalk") is True, "elsewhere it is the page's"


def test_a_call_that_the_page_begins_has_the_senses_that_it_names(visit: Open, site: HostPage) -> None:
    site.body = f'<rapport-call server="{site.server}" senses="words" autostart></rapport-call>'
    v = visit(url=site.origin)
    until(v.page, "rapport.state === 'ready'")
    consent = v.server.wait(lambda: v.server.client_messages("consent"), "the consent")[0]
    assert consent["senses"] == ["asr", "turn", "vad", "words"]
    v.page.evaluate("document.querySelector('rapport-call').say('good morning')")
    v.server.wait(lambda: [m for m in v.server.said if isinstance(m, dict) and m["type"] == "send-text"], "the words")
    v.page.evaluate("document.querySelector('rapport-call').hangUp()")
    until(v.page, "rapport.state === 'closed'")
    start = "document.querySelector('rapport-call').start(SENSES_).then(() => '', (e) => `${e.name}: ${e.message}`)"
    assert 'TypeError: "smell" is no sense' in v.page.evaluate(start.replace("SENSES_", "['smell']"))
    assert v.page.evaluate(start.replace("SENSES_", "[]")) == ""
    until(v.page, "rapport.state === 'ready'")
    v.server.wait(lambda: len(v.server.client_messages("consent")) == 2, "the second consent")
    assert v.server.client_messages("consent")[1]["senses"] == []


@pytest.mark.parametrize("again", ["the time", "the button"])
def test_a_server_without_room_is_busy_until_the_call_begins(visit: Open, site: HostPage, again: str) -> None:
    v = visit(url=site.origin)
    v.expected = ("503",)
    wait_s = "2" if again == "the time" else "60"
    v.server.refusal = 503, {"Retry-After": wait_s}, {"title": "Busy", "detail": "One call is running."}
    agree(v.page)
    until(v.page, "document.querySelector('rapport-call').state === 'busy'")
    v.server.refusal = None
    if again == "the button":
        v.page.click("#cover [data-act=retry]")
    until(v.page, "document.querySelector('rapport-call').state === 'ready'")
    states = [s["state"] for s in told(v, "state")]
    assert [s for n, s in enumerate(states) if n == 0 or states[n - 1] != s] == [
        "connecting",
        "busy",
        "connecting",
        "ready",
    ]
    assert told(v, "error") == []
    assert len(v.server.offers) == 2


def test_an_element_that_is_taken_away_lets_go_of_everything(visit: Open, site: HostPage) -> None:
    v = visit(url=site.origin, init=TRACKS)
    v.begin()
    until(v.page, "rapport.person.camera")
    v.page.evaluate(
        """() => {
          window.call = document.querySelector("rapport-call");
          window.track = part("#self-video").srcObject.getVideoTracks()[0];
          document.querySelector("header").append(call);
        }"""
    )
    v.page.wait_for_timeout(300)
    assert v.page.evaluate("[call.state, track.readyState]") == ["ready", "live"], "it was only moved"
    v.page.evaluate("call.remove()")
    until(v.page, "track.readyState === 'ended' && call.state === 'idle'")
    v.server.wait(
        lambda: [m for m in v.server.said if isinstance(m, dict) and m.get("type") == "disconnect-bot"], "the hang-up"
    )
    v.page.evaluate("document.querySelector('main').append(call)")
    v.begin()
    assert len(v.server.offers) == 2
    v.page.click("#hangup")
    v.page.evaluate("part('[data-act=retry]').click(); call.remove()")
    v.page.wait_for_timeout(800)
    assert v.page.evaluate("opened.map((track) => track.readyState)").count("live") == 0, "also what opens too late"
    assert len(v.server.offers) == 2


def test_what_is_set_before_the_module_is_there_holds(visit: Open, site: HostPage) -> None:
    v = visit(url=site.origin, init=EARLY)
    until(v.page, "window.rapport && told.some(([name]) => name === 'place')")
    assert v.page.evaluate("[document.querySelector('rapport-call').senses, part('#app').dataset.theme]") == [
        ["gaze"],
        "dark",
    ]
    assert v.page.text_content("#start") == "Allow this and start"
    assert not v.page.is_visible("text=From your microphone")


def test_two_elements_are_two_calls(visit: Open, site: HostPage) -> None:
    one = f'<rapport-call id="ID" server="{site.server}"></rapport-call>'
    site.body = one.replace("ID", "left") + one.replace("ID", "right")
    v = visit(url=site.origin)
    agree(v.page, "#right")
    until(v.page, "document.getElementById('right').state === 'ready'")
    assert v.page.evaluate("document.getElementById('left').record.view") == "consent"
    assert v.page.evaluate("Object.keys(sessionStorage).some((key) => key.endsWith('#right'))")


def test_a_server_that_does_not_know_the_page_is_said(visit: Open, site: HostPage) -> None:
    """The page has the module from elsewhere, as from a package, and is not in the server's allowed_origins."""
    site.files["/embed/rapport-call.js"] = "text/javascript", module("rapport-call")
    site.files["/script.js"] = "text/javascript", SCRIPT.replace("{server}", "")
    site.body = f'<rapport-call server="{site.server}" senses="words" keys="none"></rapport-call>'
    v = visit(url=site.origin.replace("localhost", "127.0.0.1"))
    v.expected = ("CORS policy", "ERR_FAILED")
    agree(v.page)
    until(v.page, "rapport.cover === 'gone'", timeout_s=20)
    assert [e["kind"] for e in told(v, "error")] == ["attribute", "gone"]
    assert "takes no calls from this page" in v.page.inner_text("#cover")
    assert v.server.offers == []
    v.shot("embed-gone")


def test_a_face_alone_has_a_height_and_takes_another(visit: Open, site: HostPage) -> None:
    """In a page that gives it none, in one that gives it one, and over the whole screen of a kiosk."""
    site.files["/script.js"] = "text/javascript", f'import "{site.server}/embed/rapport-face.js";'
    for name in ("screen.html", "screen.css"):
        kind = f"text/{name.partition('.')[2]}"
        site.files[f"/{name}"] = kind, (ROOT / "agent" / "onboard" / "page" / name).read_text(encoding="utf-8")
    site.files["/screen.js"] = site.files["/script.js"]
    site.body = "<div><rapport-face></rapport-face></div>"
    v = visit(url=site.origin, width=800, height=900)
    until(v.page, "document.querySelector('rapport-face').shadowRoot?.querySelector('.avatar')")
    height = """() => {
      const face = document.querySelector("rapport-face");
      return [face, face.shadowRoot.querySelector(".avatar")].map((one) => one.getBoundingClientRect().height);
    }"""
    assert v.page.evaluate(height) == [320, 320]
    v.expected = ("violates the following Content Security Policy",)  # fonts and the icon of the kiosk's screen
    v.page.evaluate("document.querySelector('rapport-face').style.blockSize = '90px'")
    assert v.page.evaluate(height) == [90, 90]
    v.page.goto(f"{site.origin}/screen.html")
    until(v.page, "document.querySelector('rapport-face').shadowRoot?.querySelector('.avatar')")
    assert min(v.page.evaluate(height)) > 500


def test_a_page_in_a_public_place_asks_everybody_and_notices_who_goes(visit: Open, site: HostPage) -> None:
    page = ROOT / "docs" / "quickstart" / "robot.md"
    (block,) = [b for b in blocks(page.read_text(encoding="utf-8"), page.name) if b.language == "js"]
    script = f'import "{site.server}/embed/rapport-call.js";' + block.text.replace("12_000", "100") + LISTEN
    site.files["/script.js"] = "text/javascript", script
    v = visit(url=site.origin)
    until(v.page, "window.rapport?.view === 'consent'")
    v.begin()
    scenes.percept(v.server, "presence", "arrived", 0.9, count=1)
    scenes.percept(v.server, "presence", "left", 0.9, count=1)
    v.page.wait_for_timeout(400)
    assert v.page.evaluate("rapport.state") == "ready", "somebody else went"
    with v.page.expect_navigation():
        scenes.percept(v.server, "presence", "left", 0.9, count=0)
    until(v.page, "window.rapport?.view === 'consent'")
    v.page.wait_for_timeout(500)
    assert len(v.server.offers) == 1, "nobody is called again before they were asked"


@pytest.mark.models
def test_a_page_that_gets_its_tokens_from_its_own_server_calls_again_and_again(visit: Open, tmp_path: Path) -> None:
    page = ROOT / "docs" / "embedding.md"
    found = [b.text for b in blocks(page.read_text(encoding="utf-8"), page.name) if b.test and b.language == "js"]
    key = tmp_path / "rapport.key"
    token.new_key(key)
    with HostPage("http://127.0.0.1:1") as site:
        config = tmp_path / "embed.toml"
        config.write_text(REAL.replace("ORIGIN", site.origin).replace("drain =", f'key_file = "{key}"\ndrain ='))
        with serving(tmp_path, "--config", str(config)) as real:
            site.server = real.url
            site.policy = site.policy.replace("connect-src", "connect-src 'self'")
            site.posts["/call-token"] = lambda: token.mint(token.read_key(key), ttl_s=300)
            script = "\n".join(found).replace("https://agent.example", real.url) + LISTEN
            site.files["/script.js"] = "text/javascript", script
            site.body = f'<rapport-call server="{real.url}"></rapport-call>'
            v = visit(url=site.origin)
            until(v.page, "window.rapport && document.querySelector('rapport-call').token?.startsWith('r1.')")
            v.begin()
            used = v.page.evaluate("document.querySelector('rapport-call').token")
            v.page.click("#hangup")
            until(v.page, f"document.querySelector('rapport-call').token !== '{used}'")
            v.page.click("text=Talk again")
            until(v.page, "rapport.state === 'ready'")
            assert told(v, "error") == []


@pytest.mark.models
def test_what_the_documentation_says_works_with_the_real_server(visit: Open, tmp_path: Path) -> None:
    page = ROOT / "docs" / "embedding.md"
    found = {b.language: b.text for b in reversed(blocks(page.read_text(encoding="utf-8"), page.name)) if b.test}
    with HostPage("http://127.0.0.1:1") as site:
        config = tmp_path / "embed.toml"
        config.write_text(REAL.replace("ORIGIN", site.origin))
        with serving(tmp_path, "--config", str(config)) as real:
            site.server = real.url
            for path, kind, language in (("/", "text/html", "html"), ("/page.js", "text/javascript", "js")):
                site.files[path] = kind, found[language].replace("https://agent.example", real.url)
            site.files["/page.js"] = "text/javascript", site.files["/page.js"][1] + LISTEN
            v = visit(url=f"{site.origin}/", width=1180, height=820)
            logged: list[str] = []
            v.page.on("console", lambda m: logged.append(m.text))
            agree(v.page)
            until(v.page, "rapport.state === 'ready' && rapport.call")
            v.page.evaluate("document.querySelector('rapport-call').say('My dog died last night.')")
            until(v.page, "told.some(([name, detail]) => name === 'caption' && detail.speaker === 'agent')")
            until(v.page, "rapport.audio.heardMs > 300")
            heard = {name for name, _ in v.page.evaluate("told")}
            assert {"place", "state", "caption", "decision", "display"} <= heard
            assert "error" not in heard
            assert "user My dog died last night." in logged
            v.shot("embed-real")
