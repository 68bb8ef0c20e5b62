from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from agent.bench.compare import compare
from agent.bench.page import write_page
from agent.bench.records import Answer, Record
from agent.bench.summary import summarise
from agent.bench.timeline import spans
from policy.tasks import Item
from tests.bench import sample_run
from tests.bench.sample_run import SampleTask
from tests.web.browser import chromium

TASK = SampleTask()
SHOTS = Path(__file__).parents[2] / "artefacts" / "screenshots"
AUDIT = (Path(__file__).parents[1] / "web" / "audit.js").read_text(encoding="utf-8")


class Read(HTMLParser):
    """What a browser makes of the page: its elements, and the text in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in:
            self.texts[self._in] = self.texts.get(self._in, "") + data

    def json(self, id: str) -> Any:
        return json.loads(self.texts[id])


def written(
    folder: Path,
    items: tuple[Item, ...],
    records: tuple[Record, ...],
    *,
    media: dict[str, Path] | None = None,
    limit: int = 32 << 20,
    compared: bool = False,
    **run: Any,
) -> Path:
    path = folder / "report.html"
    summary = summarise(TASK, items, records, sample_run.run(items, **run))
    other = (
        compare(TASK, items, sample_run.records(items, seed=3), records, names=("before", "now")) if compared else None
    )
    where = media or {}
    write_page(
        path,
        summary,
        TASK,
        items,
        records,
        media_of=lambda item: where.get(item.media),
        embed_limit_bytes=limit,
        comparison=other,
    )
    return path


def read(path: Path) -> Read:
    return Read(path.read_text(encoding="utf-8"))


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    items = sample_run.items(3)
    found = read(written(tmp_path, items, sample_run.records(items), compared=True))
    for tag, attributes in found.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("#", "data:", "url(#")), f"{tag} {name}={value}"
        assert not any(name.startswith("on") for name in attributes)
    for part in ("@import", "url(", "fetch(", "XMLHttpRequest", "innerHTML", "eval("):
        assert part not in found.texts["style"] + found.texts["script"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html"]


def test_only_its_own_script_and_style_may_run(tmp_path: Path) -> None:
    items = sample_run.items(3)
    found = read(written(tmp_path, items, sample_run.records(items)))
    policy = next(a["content"] or "" for t, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    for part in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(found.texts[part].encode()).digest()).decode()
        assert f"{part}-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_text_of_the_data_stays_text(tmp_path: Path) -> None:
    items = sample_run.items(3)
    records = tuple(
        replace(r, notes=("<!--<script>",), error="]]></script><svg onload=x>") for r in sample_run.records(items)
    )
    page = written(tmp_path, items, records)
    text = page.read_text(encoding="utf-8")
    found = Read(text)
    assert "<script>window.hacked" not in text
    assert "<img" not in text
    assert "<svg onload" not in text
    assert len([tag for tag, a in found.tags if tag == "script" and not a.get("id")]) == 1
    assert found.json("data")["items"][0]["question"] == sample_run.HOSTILE
    assert found.json("item-0")["asks"][0]["question"] == sample_run.HOSTILE
    assert html.escape(sample_run.HOSTILE) not in text


def test_a_name_of_a_benchmark_stays_text(tmp_path: Path) -> None:
    items = sample_run.items(3)
    summary = summarise(SampleTask(name="<script>x</script>{{data}}"), items, (), {})
    write_page(tmp_path / "x.html", summary, TASK, items, (), media_of=lambda item: None)
    found = read(tmp_path / "x.html")
    assert len([tag for tag, a in found.tags if tag == "script" and not a.get("id")]) == 1
    assert found.json("data")["summary"]["task"] == "<script>x</script>{{data}}"


def test_numbers_and_letters_that_json_and_utf8_have_no_word_for(tmp_path: Path) -> None:
    item = sample_run.items(3)[0]
    answer = Answer(ask=item.asks[0].id, raw="A \ud83d \u2028", answer_s=1.0)
    odd = {"t": math.nan, "type": "percept", "kind": "gaze", "label": "away", "start": math.inf}
    record = Record(
        id=item.id, task_type=item.task_type, media=item.media, answers=(answer,), timeline=(odd,), took_s=math.nan
    )
    detail = read(written(tmp_path, (item,), (record,))).json("item-0")
    assert detail["runs"][0]["took_s"] is None
    assert detail["runs"][0]["timeline"] == []
    assert detail["runs"][0]["answers"][0]["raw"] == "A ? \u2028"


def test_small_media_are_in_the_page_and_large_ones_beside_it(tmp_path: Path) -> None:
    items = sample_run.items(8)[:6]
    media = {}
    for number, item in enumerate(dict.fromkeys(i.media for i in items)):
        media[item] = tmp_path / "data set" / f"clip #{number}.mp4"
        media[item].parent.mkdir(exist_ok=True)
        media[item].write_bytes(bytes([number]) * (300 - 100 * number))
    (tmp_path / "run").mkdir()
    found = read(written(tmp_path / "run", items, (), media=media, limit=300))
    places = [found.json(f"item-{n}")["media"] for n in range(6)]
    assert places[0] == places[1] == {"name": items[0].media, "kind": "video", "link": "../data%20set/clip%20%230.mp4"}
    assert [p.get("embedded") for p in places] == [None, None, 1, 1, 0, 0]
    kind, _, body = found.texts["media-0"].partition(";base64,")
    assert kind == "data:video/mp4"
    assert base64.b64decode(body) == bytes([2]) * 100
    media[items[0].media].unlink()
    gone = read(written(tmp_path / "run", items, (), media=media, limit=0))
    assert gone.json("item-0")["media"]["kind"] == "missing"
    assert "media-0" not in gone.texts


def test_only_items_of_the_run_are_shown(tmp_path: Path) -> None:
    items = sample_run.items(3)
    found = read(written(tmp_path, items, sample_run.records(items), selected=[items[4].id, items[1].id]))
    assert [row["id"] for row in found.json("data")["items"]] == [items[1].id, items[4].id]
    assert "item-2" not in found.texts


def test_texts_that_all_prompts_share_are_kept_once(tmp_path: Path) -> None:
    items = sample_run.items(8)
    page = written(tmp_path, items, sample_run.records(items))
    assert page.read_text(encoding="utf-8").count("You are present in a video call.") == 1
    found = read(page)
    (role, number), question = found.json("item-1")["runs"][0]["answers"][0]["prompt"]
    assert role == "system"
    assert found.json("data")["texts"][number].startswith("You are present")
    assert question[0] == "user"


def test_a_timeline_tells_changes_once() -> None:
    found = spans(sample_run.timeline(random.Random(1)))
    by_lane: dict[str, list[tuple[str, float, float]]] = {}
    for span in found:
        by_lane.setdefault(span["lane"], []).append((span["label"], span["start"], span["end"]))
    assert list(by_lane) == ["words", "expression", "gaze", "voice", "gesture", "people", "scene"]
    assert by_lane["words"] == [("I don't know what to do with myself.", 1.0, 3.1), ("Can you hear me?", 4.6, 5.4)]
    assert by_lane["expression"] == [
        ("neutral", 0, 1.6),
        ("sad", 1.6, 4.4),
        ("uncertain", 4.4, 5.2),
        ("neutral", 5.2, 6),
    ]
    assert by_lane["people"] == [("1 person", 0, 4.2), ("arrived: 2 people", 4.1, 4.2), ("2 people", 4.2, 6)]
    sad = next(span for span in found if span["label"] == "sad")
    assert sad["n"] == 14
    assert 0.5 < sad["sure"] < 0.95


def test_a_timeline_keeps_what_it_does_not_know_and_leaves_out_what_has_no_time() -> None:
    entries: list[dict[str, Any]] = [
        {"type": "percept", "kind": "clap", "label": "", "t": 2.0},
        {"type": "percept", "kind": "gaze", "label": "away"},
        {"type": "metric", "name": "words", "t": 1.0},
        {"type": "turn", "speaker": "user", "text": "Hello", "t": 3.0, "start": 2.5, "end": 3.0},
        {"type": "turn", "speaker": "agent", "text": "Hi", "t": 4.0, "start": 3.5, "end": 3.0},
    ]
    assert [(s["lane"], s["kind"], s["label"], s["start"], s["end"]) for s in spans(entries)] == [
        ("words", "turn", "Hello", 2.5, 3.0),
        ("agent", "turn", "Hi", 3.5, 3.5),
        ("other", "clap", "", 2.0, 2.0),
    ]


@dataclass
class Visit:
    """The page in a browser, and what it did that it should not."""

    page: Page
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def visiting(browser: Browser, file: Path, **options: Any) -> Iterator[Visit]:
    """Open a page; an error in its console, or a request for anything but itself, fails the test."""
    context = browser.new_context(**options)
    found = Visit(context.new_page())
    found.page.on("console", lambda m: found.errors.append(m.text) if m.type in ("error", "warning") else None)
    found.page.on("pageerror", lambda e: found.errors.append(str(e)))
    found.page.on("request", lambda r: found.asked.append(r.url))
    found.page.goto(file.as_uri())
    yield found
    context.close()
    assert not found.errors
    assert all(url.startswith(("file:", "blob:", "data:")) for url in found.asked)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver, chromium(driver, devices=False) as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with two repetitions; the media of lies are too large to be in it, those of fraud are not there."""
    folder = tmp_path_factory.mktemp("bench report")
    small, large = (
        sample_run.clip(folder / "small.webm", seconds=6.0),
        sample_run.clip(folder / "large one.webm", seconds=9.0),
    )
    items = sample_run.items(12)
    media = {i.media: large if i.task_type == "Lie" else small for i in items if i.media and i.task_type != "Fraud"}
    limit = small.stat().st_size
    records = sample_run.records(items, repeats=2)
    return written(folder, items, records, media=media, limit=limit, compared=True)


@pytest.fixture
def visit(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """The open page."""
    options = {"viewport": {"width": 1280, "height": 860}, **getattr(request, "param", {})}
    with visiting(browser, report, **options) as found:
        yield found


def until(page: Page, expression: str) -> None:
    """Wait until a JavaScript expression is true; the page's policy forbids what Playwright's own waiting needs."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"waited 10 s for {expression}")


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
BROWSER = (pytest.mark.browser, pytest.mark.slow)


def browser_test(test: Any) -> Any:
    for mark in BROWSER:
        test = mark(test)
    return test


@browser_test
def test_wrong_answers_are_found_and_looked_into(visit: Visit) -> None:
    page = visit.page
    assert page.inner_text("h1") == "sample"
    assert "2 times each" in page.inner_text("#figures")
    assert page.locator("#plot-tasks .dots-row").count() == len(sample_run.GROUPS) + 2
    assert page.evaluate("window.hacked") is None
    assert page.locator(".entry-question").first.inner_text() == sample_run.HOSTILE
    page.check("input[value=wrong]", force=True)
    page.select_option("#task", "HC")
    shown = page.locator(".entry")
    assert 0 < shown.count() < 24
    assert page.inner_text("#found") == f"{shown.count()} of 98 items"
    first = shown.first
    assert first.locator(".entry-more b").inner_text() == "HC"
    said, right = (first.locator(".entry-answer b").nth(n).inner_text() for n in (0, 1))
    assert right
    assert said.split(" / ") != [right, right]
    question = first.locator(".entry-question").inner_text()
    first.click()
    dialog = page.locator("dialog")
    assert dialog.locator(".question").inner_text() == question
    assert dialog.locator("h2").inner_text() == "HC · Counting People"
    states = set()
    for number in ("0", "1"):
        dialog.locator("select").select_option(number)
        states.add(dialog.locator(".badge").first.inner_text())
        assert dialog.locator(".badge").nth(1).inner_text().startswith("Reference: ")
    assert "Strict: wrong" in states
    assert dialog.locator("pre").first.inner_text() != ""
    assert "They speak of a loss" in dialog.inner_text()
    dialog.locator("summary", has_text="What the policy could read").click()
    assert "You are present in a video call." in dialog.inner_text()
    until(page, "document.querySelector('video').readyState >= 2")
    assert page.evaluate("document.querySelector('video').src").startswith("blob:")
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / "bench-report.png"))


@browser_test
def test_a_percept_leads_to_its_moment_by_mouse_and_by_keyboard(visit: Visit) -> None:
    page = visit.page
    page.locator(".entry").nth(2).click()
    until(page, "document.querySelector('video').readyState >= 1")
    now = "Math.round(100 * document.querySelector('video').currentTime) / 100"
    sad = page.locator(".span[data-lane=expression]", has_text="sad")
    sad.hover(position={"x": 20, "y": 8})
    assert page.locator("#tip").inner_text().startswith("sad, ")
    assert 1.6 < page.evaluate(now) < 2.2, "hovering looks in"
    page.mouse.move(640, 12)
    page.wait_for_timeout(50)
    assert page.evaluate(now) == 0, "and goes back"
    sad.click()
    assert page.evaluate(now) == 1.6
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.tip").startswith("uncertain")
    assert page.evaluate(now) == 1.6
    page.keyboard.press("Enter")
    assert page.evaluate(now) == 4.4
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("gaze: towards")
    assert page.locator(".timeline [tabindex='0']").count() == 1


@browser_test
def test_the_keyboard_alone_walks_through_items(visit: Visit) -> None:
    page = visit.page
    page.locator(".entry").nth(3).focus()
    page.keyboard.press("Enter")
    first = page.locator("dialog .item-head p").inner_text()
    assert first.startswith("Expression-3 ")
    page.locator("dialog [data-way=after]").focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog .item-head p").inner_text().startswith("Expression-4 ")
    page.keyboard.press("ArrowLeft")
    assert page.locator("dialog .item-head p").inner_text() == first
    page.keyboard.press("Escape")
    assert not page.evaluate("document.querySelector('dialog').open")
    assert page.evaluate("document.activeElement.dataset.id") == "Expression-3"


@browser_test
def test_search_errors_and_links(visit: Visit) -> None:
    page = visit.page
    page.check("input[value=error]", force=True)
    assert "the policy gave no answer within 30 s" in page.inner_text("#items")
    page.check("input[value=all]", force=True)
    page.fill("#search", "lying lie_003")
    until(page, "document.querySelectorAll('.entry').length === 2")
    page.fill("#search", "nothing is like this")
    until(page, "document.querySelectorAll('.entry').length === 0")
    assert "No item is like that." in page.inner_text("#items")
    page.locator("#errors .link", has_text="broken-0").click()
    assert "The data set's entry cannot be used: it names no medium." in page.inner_text("dialog")
    assert "The medium is not where the data set was read from." in page.inner_text("dialog")


@browser_test
def test_a_link_to_an_item_opens_it_and_a_large_medium_plays_from_beside_the_page(visit: Visit, report: Path) -> None:
    page = visit.page
    page.goto(f"{report.as_uri()}#item=Lie-2")
    until(page, "document.querySelector('video')?.readyState >= 1")
    assert page.evaluate("document.querySelector('video').src").endswith("/large%20one.webm")
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(9, abs=0.2)


@browser_test
def test_plots_follow_the_choice_of_rules_and_of_the_row_beside(visit: Visit) -> None:
    page = visit.page
    values = "[...document.querySelectorAll('#plot-tasks .dots-value')].map((e) => e.textContent)"
    strict = page.evaluate(values)
    page.select_option("#rules", "reference")
    assert page.evaluate(values) != strict
    page.select_option("#beside", "0")
    assert "Small-3B" in page.inner_text("#legend")
    assert page.locator("#plot-tasks .mark-diamond").count() == 4
    page.locator("#tasks summary").click()
    assert "EX · Expression Naming" in page.inner_text("#table")
    assert page.inner_text("#compared-title") == "now against before, on the same questions"


@browser_test
@pytest.mark.parametrize("visit", [PHONE, {"color_scheme": "dark"}, {**PHONE, "color_scheme": "dark"}], indirect=True)
def test_everyone_can_read_it(visit: Visit) -> None:
    page = visit.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not page.evaluate(AUDIT)
    page.locator(".entry").nth(4).click()
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert page.evaluate("document.querySelector('dialog').scrollWidth <= innerWidth")
    assert not page.evaluate(AUDIT)


@browser_test
def test_thousands_of_items_are_shown_page_by_page(browser: Browser, tmp_path: Path) -> None:
    items = sample_run.items(150)
    path = written(tmp_path, items, ())
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.locator(".entry").count() == 50
    assert "1–50 of 1,202" in page.inner_text("#pager")
    page.click("#pager >> text=Next")
    assert "51–100 of 1,202" in page.inner_text("#pager")
    assert page.evaluate("document.activeElement.className") == "entry"
    assert "Nothing was answered, so there are no times." in page.inner_text("#times")
    page.close()
