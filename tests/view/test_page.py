from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from agent import cli
from agent.clock import SystemClock
from agent.view import ViewError
from agent.view.page import write_page
from perception.timebase import as_seconds
from tests.bench.test_page import AUDIT, PHONE, SHOTS, Visit, browser_test, read, until, visiting
from tests.view import sample
from tests.web.browser import chromium


def test_the_page_needs_nothing_but_itself_and_text_stays_text(tmp_path: Path) -> None:
    journal = sample.write(tmp_path / "</title><script>x.jsonl".replace("/", "_"), sample.events(30.0))
    with journal.open("a", encoding="utf-8") as out:
        out.write(json.dumps({"t": 3.0, "type": "turn", "speaker": "user", "text": sample.HOSTILE}) + "\n")
    write_page(tmp_path / "x.html", [journal])
    assert (tmp_path / "x.html").stat().st_mode & 0o077 == 0, "for its owner only"
    found = read(tmp_path / "x.html")
    assert len([tag for tag, a in found.tags if tag == "script" and not a.get("id")]) == 1
    for tag, attributes in found.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("#", "data:", "url(#")), f"{tag} {name}={value}"
    for part in ("@import", "url(", "fetch(", "XMLHttpRequest", "innerHTML", "eval("):
        assert part not in found.texts["style"] + found.texts["script"]
    policy = next(a["content"] or "" for _, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert any(line.get("text") == sample.HOSTILE for line in found.json("journal-0")["events"])


def silence(path: Path, seconds: int) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(16000 * seconds))
    return path


def test_a_recording_is_shown_only_with_an_agreement(tmp_path: Path) -> None:
    talk = silence(tmp_path / "talk.wav", 1)
    without = sample.write(tmp_path / "a.jsonl", sample.events(20.0))
    with pytest.raises(ViewError, match="holds no agreement to a recording"):
        write_page(tmp_path / "x.html", [without], talk)
    assert not (tmp_path / "x.html").exists()
    agreed = sample.write(tmp_path / "b.jsonl", sample.events(20.0, recording=True))
    write_page(tmp_path / "x.html", [agreed], talk)
    found = read(tmp_path / "x.html")
    assert found.texts["medium-data"].startswith("data:audio/wav;base64,UklGR")
    with pytest.raises(ViewError, match="is no kind of file that a page plays"):
        write_page(tmp_path / "x.html", [agreed], agreed)


def test_the_command_says_what_it_wrote_and_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = sample.write(tmp_path / "call.jsonl", sample.events(20.0))
    journal.write_text("broken\n" * 7 + journal.read_text(encoding="utf-8"), encoding="utf-8")
    assert cli.main(["view", str(journal), "--no-open"]) == 0
    told = capsys.readouterr()
    assert told.out == f"wrote {tmp_path / 'call.html'}\n"
    assert "call.jsonl: left out 7 lines" in told.err
    assert "line 1 is no JSON" in told.err
    assert "and 2 more" in told.err
    assert read(tmp_path / "call.html").json("journal-0")["bad"]["count"] == 7
    assert cli.main(["view", str(journal), "--no-open", "--out", str(journal)]) == cli.USAGE
    assert cli.main(["view", str(tmp_path / "none.jsonl")]) == cli.USAGE
    assert cli.main(["view", str(journal), "--no-open", "--out", str(tmp_path / "no" / "x.html")]) == cli.USAGE
    assert "choose another --out" in capsys.readouterr().err


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver, chromium(driver, devices=False) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One call of three minutes, and two beside each other."""
    folder = tmp_path_factory.mktemp("view")
    first = sample.write(folder / "2026-11-25T101500Z-k3v9.jsonl", sample.events(180.0))
    other = sample.write(folder / "2026-11-25T143000Z-p7q2.jsonl", sample.events(120.0, 7), personal=False)
    other.write_text(other.read_text(encoding="utf-8") + '{"t": 3, "ty', encoding="utf-8")
    with first.open("a", encoding="utf-8") as out:
        said = {"t": 179.0, "type": "turn", "speaker": "user", "pii.text": sample.HOSTILE, "start": 178.0, "end": 179.0}
        out.write(json.dumps(said) + "\n")
    write_page(folder / "one.html", [first])
    heard = sample.write(folder / "heard.jsonl", sample.events(20.0, recording=True))
    write_page(folder / "heard.html", [heard], silence(folder / "talk.wav", 20))
    write_page(folder / "two.html", [first, other])
    return folder


@pytest.fixture
def visit(browser: Browser, pages: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """The open page; an error in its console, or a request for anything but itself, fails the test."""
    options = dict(getattr(request, "param", {}))
    name = options.pop("name", "one.html")
    with visiting(browser, pages / name, **{"viewport": {"width": 1280, "height": 900}, **options}) as found:
        until(found.page, "document.querySelectorAll('.event').length > 0")
        yield found


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=True)


VALUE = "Number(document.getElementById('timeline').getAttribute('aria-valuenow'))"
TEXT = "document.getElementById('timeline').getAttribute('aria-valuetext')"


@browser_test
def test_the_keyboard_goes_through_the_call(visit: Visit) -> None:
    page = visit.page
    page.locator("#timeline").focus()
    page.keyboard.press("ArrowRight")
    until(page, f"{VALUE} === 1.8")
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowRight")
    until(page, f"{VALUE} === 10.8")
    page.keyboard.press("End")
    until(page, f"{VALUE} === 180")
    page.keyboard.press("Home")
    until(page, f"{VALUE} === 0")
    page.fill("#search", "twelve years")
    until(page, "document.querySelectorAll('.event').length < 40")
    page.locator("#search").press("Enter")
    until(page, "document.querySelector('.event[aria-current]') !== null")
    assert "twelve years" in page.inner_text(".event[aria-current]").lower()
    page.fill("#search", "")
    page.locator("#timeline").focus()
    before = page.evaluate(VALUE)
    page.keyboard.press(".")
    until(page, f"{VALUE} >= {before}")
    assert page.evaluate("document.activeElement.id") == "timeline"


@browser_test
def test_a_decision_is_told_with_its_reason_evidence_and_confidence(visit: Visit) -> None:
    page = visit.page
    page.fill("#search", "voice is trembling")
    page.locator("#search").press("Enter")
    until(page, "document.querySelector('.decision .reason') !== null")
    decision = page.locator(".decision")
    assert "They speak of a loss, and the voice is trembling." in decision.inner_text()
    assert "83 % sure" in decision.inner_text()
    assert "thinking" in decision.inner_text()
    instant = page.evaluate(VALUE)
    decision.locator(".evidence button").first.click()
    until(page, f"{VALUE} < {instant}")
    assert "My dog died last night." in page.evaluate(TEXT)
    page.fill("#search", "")
    page.locator("#in").click()
    page.locator("#in").click()
    page.locator("#in").click()
    page.wait_for_timeout(80)
    shot(page, "view")


@browser_test
def test_what_a_person_said_stays_text(visit: Visit) -> None:
    page = visit.page
    page.fill("#search", "window.hacked")
    page.locator("#search").press("Enter")
    until(page, f"{VALUE} === 179")
    assert sample.HOSTILE in page.inner_text("#moments")
    assert page.evaluate("window.hacked") is None


@browser_test
@pytest.mark.parametrize("visit", [{"name": "heard.html"}], indirect=True)
def test_a_recording_goes_with_the_instant(visit: Visit) -> None:
    page = visit.page
    now = "document.querySelector('audio').currentTime"
    until(page, "document.querySelector('audio').readyState >= 2")
    page.locator("#timeline").focus()
    page.keyboard.press("PageDown")
    until(page, f"Math.abs({now} - 10) < 0.01")
    page.keyboard.press("Space")
    until(page, f"{VALUE} > 10 && {now} > 10.2")
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('audio').paused")


@browser_test
def test_the_choices_look_like_choices_and_the_begin_leads_to_the_first_decision(visit: Visit) -> None:
    page = visit.page
    assert page.inner_text("#groups legend") == "Show"
    tick = "getComputedStyle(document.querySelector('#groups input[value=percepts] + span'), '::before').opacity"
    assert page.evaluate(tick) == "1"
    page.uncheck("#groups input[value=percepts]", force=True)
    assert page.evaluate(tick) == "0"
    lead = page.locator(".moment .hint", has_text="None yet.").first
    lead.locator("button").click()
    until(page, f"{VALUE} > 0")
    assert page.locator(".moment .decision").count() >= 1


@browser_test
def test_groups_and_pointer(visit: Visit) -> None:
    page = visit.page
    total = page.inner_text("#found")
    tall = page.evaluate("document.querySelector('.lanes').clientHeight")
    page.uncheck("#groups input[value=percepts]", force=True)
    until(page, f"document.querySelector('.lanes').clientHeight < {tall}")
    assert page.inner_text("#found").endswith(f"of {total}")
    assert "Expression" not in page.inner_text(".names")
    box = page.locator(".lanes").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 200, steps=3)
    until(page, f"Math.abs({VALUE} - 90) < 1")
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    until(page, "!document.getElementById('fit').disabled")
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 12)
    until(page, "!document.getElementById('tip').hidden")


@browser_test
@pytest.mark.parametrize("visit", [{"name": "two.html"}], indirect=True)
def test_two_calls_share_one_time(visit: Visit) -> None:
    page = visit.page
    assert page.locator(".lanes").count() == 2
    notices = page.inner_text("#notices")
    assert "Journal A holds what a person said" in notices
    assert "Journal B was written without words and looks" in notices
    assert "Journal B: 1 line could not be used" in notices
    page.locator("#timeline").focus()
    page.keyboard.press("End")
    until(page, f"{VALUE} === 180")
    assert "This call ended at 2:00.0." in page.locator(".moment").nth(1).inner_text()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    until(page, f"{VALUE} === 5.4")
    assert page.locator(".moment").count() == 2
    assert "A: " in page.evaluate(TEXT)
    assert "B: " in page.evaluate(TEXT)
    shot(page, "view-two")


@browser_test
@pytest.mark.parametrize(
    "visit",
    [PHONE, {"color_scheme": "dark"}, {**PHONE, "color_scheme": "dark", "name": "two.html"}],
    indirect=True,
    ids=["phone", "dark", "phone-dark-two"],
)
def test_everyone_can_read_it(visit: Visit, request: pytest.FixtureRequest) -> None:
    page = visit.page
    page.locator("#timeline").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(80)
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not page.evaluate(AUDIT)
    shot(page, f"view-{request.node.callspec.id}")


@pytest.mark.browser
@pytest.mark.slow
def test_an_hour_with_fifty_thousand_events_opens_within_two_seconds(tmp_path: Path, browser: Browser) -> None:
    journal = sample.write(tmp_path / "hour.jsonl", sample.events(600.0, faces_hz=8.2))
    sample.repeat(journal, 600.0, 6)
    assert len(journal.read_text(encoding="utf-8").splitlines()) >= 50_000
    write_page(tmp_path / "hour.html", [journal])
    clock = SystemClock()
    took = []
    for _ in range(4):  # the best of some: other work may be on this machine
        page = browser.new_page()
        begun = clock.now()
        page.goto((tmp_path / "hour.html").as_uri())
        until(page, "document.querySelector('.event') !== null")
        took.append(as_seconds(clock.now() - begun))
        frame = page.evaluate(
            "() => { const begun = performance.now(); for (let n = 0; n < 10; n++) draw(); "
            "return (performance.now() - begun) / 10; }"
        )
        page.close()
        if took[-1] < 2.0:
            break
    assert min(took) < 2.0, took
    assert frame < 100, "scrubbing is smooth"
