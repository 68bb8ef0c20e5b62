"""For everyone: keyboard, screen reader, contrast, small screens, less motion; and pictures of each view."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from playwright.sync_api import Page

from agent.models import resolve_clip
from tests.web import scenes
from tests.web.browser import press as press_control
from tests.web.browser import until, watch
from tests.web.conftest import Open, Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.models]

AUDIT = (Path(__file__).parent / "audit.js").read_text()
VIEWS = {"desktop": (1360, 820), "laptop": (1024, 700), "phone": (360, 740)}
HEAD = "part('#stage .avatar .av-head').getAttribute('transform')"
FOCUSED = "focused().id || focused().tagName"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real face for the camera: four seconds of a woman who laughs, as MJPEG."""
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    with av.open(str(resolve_clip("wolfganglanger"))) as source, av.open(str(path), "w", format="mjpeg") as target:
        out = target.add_stream("mjpeg", rate=15)
        out.width, out.height, out.pix_fmt = 640, 480, "yuvj420p"
        graph = av.filter.Graph()
        video = source.streams.video[0]
        wide = "scale=640:480:force_original_aspect_ratio=increase,crop=640:480,format=yuvj420p"
        steps = [graph.add_buffer(template=video)]
        for step in wide.split(","):
            steps.append(graph.add(*step.split("=", 1)))
            steps[-2].link_to(steps[-1])
        steps.append(graph.add("buffersink"))
        steps[-2].link_to(steps[-1])
        graph.configure()
        count = 0
        for frame in source.decode(video):
            if frame.time is None or not 12 <= frame.time < 16:
                continue
            graph.push(frame)
            picture = graph.pull()
            assert isinstance(picture, av.VideoFrame)
            picture.pts, picture.time_base = count, Fraction(1, 15)
            count += 1
            target.mux(out.encode(picture))
        target.mux(out.encode())
    return path


def live(v: Visit) -> None:
    """Bring a call to where there is something on every part of the page."""
    v.begin()
    scenes.introduce(v.server)
    scenes.distress(v.server)
    v.server.speak(6)
    for k in range(8):
        scenes.look(v.server, ("sad", "uncertain", "sad", "sad")[k % 4], 0.5 + 0.04 * k)
        v.page.wait_for_timeout(150)
    until(v.page, "rapport.rows.expression.state === 'known' && rapport.captions.length === 2")


def assert_fits(page: Page) -> None:
    for box in ("document.documentElement", "part('#app')"):
        width = page.evaluate(f"[{box}.scrollWidth, innerWidth]")
        assert width[0] <= width[1], box
    outside = """parts('button, input, h1, h2, p, li').filter((el) => {
      const box = el.getBoundingClientRect();
      const shown = el.checkVisibility() && !el.closest('.hidden, .skip') && box.width > 1;
      return shown && (box.right > innerWidth + 1 || box.left < -1);
    }).map((el) => el.outerHTML.slice(0, 80))"""
    assert page.evaluate(outside) == []


@pytest.mark.parametrize(
    ("screen", "theme"),
    [("desktop", "light"), ("desktop", "dark"), ("laptop", "light"), ("phone", "light"), ("phone", "dark")],
)
def test_every_view_fits_and_can_be_read(visit: Open, screen: str, theme: str) -> None:
    width, height = VIEWS[screen]
    v = visit(width=width, height=height, color_scheme=theme, device_scale_factor=2 if screen == "phone" else 1)
    v.page.wait_for_timeout(600)
    assert v.page.evaluate("document.documentElement.dataset.theme") == theme
    assert_fits(v.page)
    assert v.page.evaluate(AUDIT) == []
    start = v.page.locator("#start").bounding_box()
    assert start is not None
    assert start["y"] < height - 40
    v.shot(f"consent-{screen}-{theme}")
    live(v)
    assert_fits(v.page)
    assert v.page.evaluate(AUDIT) == []
    v.shot(f"call-{screen}-{theme}-concern")
    scenes.joy(v.server)
    for k in range(5):
        scenes.look(v.server, "happy", 0.75 + 0.04 * k)
        v.page.wait_for_timeout(150)
    v.shot(f"call-{screen}-{theme}-happy")
    if screen == "phone":
        press_control(v.page, "insight")
        v.page.wait_for_timeout(300)
        assert_fits(v.page)
        assert v.page.evaluate(AUDIT) == []
        v.shot(f"call-{screen}-{theme}-insight")
    press_control(v.page, "settings-open")
    v.page.wait_for_timeout(200)
    assert_fits(v.page)
    assert v.page.evaluate(AUDIT) == []
    v.shot(f"settings-{screen}-{theme}")
    v.page.keyboard.press("Escape")
    v.page.click("#hangup")
    v.page.wait_for_timeout(300)
    assert v.page.evaluate(AUDIT) == []
    v.shot(f"ended-{screen}-{theme}")


def test_the_consent_view_works_by_keyboard_alone(visit: Open) -> None:
    v = visit()
    order = []
    for _ in range(11):
        v.page.keyboard.press("Tab")
        order.append(v.page.evaluate(FOCUSED))
        ring = v.page.evaluate("getComputedStyle(focused()).outlineStyle")
        assert ring != "none", order[-1]
    switches = [f"allow-{name}" for name in ("words", "voice", "expression", "gaze", "gesture", "scene")]
    assert order == ["A", "theme", *switches, "SUMMARY", "start", "start-typing"]
    v.page.focus("#allow-gaze")
    v.page.keyboard.press("Space")
    assert v.page.inner_text("#start") == "Allow five of six and start"
    v.page.focus("#start")
    v.page.keyboard.press("Enter")
    until(v.page, "rapport.state === 'ready'")
    assert "gaze" not in v.page.evaluate("rapport.sentSenses")


def test_preview_shows_the_camera_before_anything_is_sent(visit: Open) -> None:
    v = visit()
    v.page.click("#preview summary")
    until(v.page, "part('#preview-video').videoWidth > 0")
    until(v.page, "Number(part('#preview-meter').getAttribute('aria-valuenow')) > 0")
    assert v.page.locator("#preview select[data-devices=mics] option").count() >= 1
    assert v.server.offers == []
    assert v.page.evaluate(AUDIT) == []
    v.shot("consent-preview")
    v.page.click("#preview summary")
    until(v.page, "!rapport.person.camera")


def test_shortcuts_and_push_to_talk(visit: Open) -> None:
    v = visit()
    v.begin()
    press = v.page.keyboard.press
    press("m")
    assert v.page.evaluate("rapport.person.micLive") is False
    assert v.page.get_attribute("#mic", "aria-pressed") == "false"
    press("m")
    press("v")
    assert v.page.evaluate("[rapport.person.camera, rapport.person.cameraLive]") == [False, False]
    until(v.page, "rapport.rows.gaze.text === 'Camera off by you'")
    press("v")
    until(v.page, "rapport.person.cameraLive")
    press("p")
    until(v.page, "rapport.person.pushToTalk")
    assert v.page.evaluate("rapport.person.micLive") is False
    v.page.keyboard.down("Space")
    until(v.page, "rapport.person.micLive")
    v.shot("call-push-to-talk")
    v.page.keyboard.up("Space")
    until(v.page, "!rapport.person.micLive")
    held = v.server.wait(lambda: v.server.client_messages("push-to-talk")[2:], "push-to-talk")
    sent = v.server.client_messages("push-to-talk")
    assert held
    assert sent == [{"enabled": True, "held": False}, {"enabled": True, "held": True}, {"enabled": True, "held": False}]
    press("p")
    press("t")
    assert v.page.evaluate(FOCUSED) == "words"
    v.page.keyboard.type("my mum")
    assert v.page.input_value("#words") == "my mum"
    assert v.page.evaluate("rapport.person.micLive") is True
    press("Escape")
    assert v.page.evaluate(FOCUSED) != "words"
    scenes.state(v.server, "speaking")
    until(v.page, "rapport.mood === 'speaking'")
    press("Escape")
    v.server.wait(lambda: v.server.client_messages("stop"), "stop")
    press_control(v.page, "settings-open")
    v.page.uncheck("#shortcuts")
    press("Escape")
    press("m")
    assert v.page.evaluate("rapport.person.micLive") is True


def test_a_screen_reader_is_told_little_and_what_matters(visit: Open) -> None:
    v = visit()
    spoken = """
    window.spoken = [];
    for (const id of ['announcer', 'alarm']) new MutationObserver(() => {
      const words = part('#' + id).textContent;
      if (words) window.spoken.push(words);
    }).observe(part('#' + id), {childList: true});
    """
    v.page.evaluate(spoken)
    v.begin()
    scenes.distress(v.server)
    for k in range(30):
        scenes.look(v.server, "sad", 0.5 + 0.01 * k)
    v.page.wait_for_timeout(800)
    assert v.page.evaluate("spoken") == [
        "Connecting. Calling the agent on 127.0.0.1.",
        "Connected. The agent is listening.",
    ]
    press_control(v.page, "settings-open")
    v.page.check("#announce")
    v.page.keyboard.press("Escape")
    v.server.tell("caption", speaker="agent", text="I hear you.", final=True, reply=5)
    until(v.page, "spoken.includes('I hear you.')")


def test_less_motion_keeps_the_head_still_and_the_face_alive(visit: Open) -> None:
    v = visit(reduced_motion="reduce")
    v.begin()
    settled = [v.page.evaluate(HEAD)]
    for _ in range(60):
        v.page.wait_for_timeout(100)
        settled.append(v.page.evaluate(HEAD))
        if len(settled) > 6 and len(set(settled[-6:])) == 1:
            break
    v.server.tell("display", emotion="warm", gesture="nod", intensity=0.5, reply=0)
    until(v.page, "rapport.display.length === 1")
    still = watch(v.page, HEAD, 12, 50)
    assert set(still) == {settled[-1]}
    lips = "part('#stage .av-line[stroke-width=\"1.9\"]').getAttribute('d')"
    first = v.page.evaluate(lips)
    v.server.tell("display", emotion="sad", gesture="none", intensity=0.9, reply=0)
    until(v.page, "rapport.emotion === 'sad'")
    v.page.wait_for_timeout(800)
    assert v.page.evaluate(lips) != first


def test_a_nod_moves_the_head(visit: Open) -> None:
    v = visit()
    v.begin()
    v.page.wait_for_timeout(1200)
    drop = f"Number(/translate\\(\\S+ (\\S+)\\)/.exec({HEAD})[1])"
    rest = v.page.evaluate(drop)
    v.server.tell("display", emotion="warm", gesture="nod", intensity=0.9, reply=0)
    seen = watch(v.page, drop, 40, 30)
    assert max(seen) > rest + 6


def test_the_colours_can_be_chosen_and_stay(visit: Open) -> None:
    v = visit(color_scheme="light")
    theme = "document.documentElement.dataset.theme"
    v.page.click("#theme")
    assert v.page.evaluate(theme) == "light"
    v.page.click("#theme")
    assert v.page.evaluate(theme) == "dark"
    v.page.reload()
    assert v.page.evaluate(theme) == "dark"
    v.page.click("#theme")
    assert v.page.evaluate(theme) == "light"


def test_the_audit_finds_planted_faults(visit: Open) -> None:
    v = visit()
    v.page.evaluate(
        """() => {
          const main = part("#app");
          const add = (name, {id = "", text = "", ...css}) => {
            const node = document.createElement(name);
            if (id) node.id = id;
            node.textContent = text;
            Object.assign(node.style, {flex: "none", ...css});
            main.append(node);
          };
          add("button", {id: "start", width: "40px", height: "40px"});
          add("p", {text: "too faint to read", color: "#999", background: "#fff"});
          add("button", {text: "x", width: "12px", height: "12px", overflow: "hidden"});
          main.lastChild.setAttribute("aria-label", "Close");
          for (const h1 of parts("h1")) h1.hidden = true;
        }"""
    )
    found = " | ".join(v.page.evaluate(AUDIT))
    for fault in ("id twice: start", "no name", "contrast 2.85", "small target 12x12", "seen is not in", "no h1"):
        assert fault in found
