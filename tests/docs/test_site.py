"""The pages that are made from the code are current, and the site builds and needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.docs.blocks import ROOT
from tests.web.browser import chromium, until
from tools import reference


def test_the_reference_is_what_the_code_says() -> None:
    for name, text in (("configuration.md", reference.configuration()), ("cli.md", reference.commands())):
        there = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert there == text, f"docs/reference/{name} is stale; run: python tools/reference.py"


def test_every_key_of_the_default_configuration_is_in_the_reference() -> None:
    page = reference.configuration()
    title = "## Top level"
    for line in (ROOT / "configs" / "default.toml").read_text(encoding="utf-8").splitlines():
        if head := re.match(r"\[([\w.]+)\]", line):
            title = f"## `[{head[1]}]`"
        elif (pair := re.match(r"(\w+) *=", line)) and title != "## `[replay.costs]`":
            section = page.partition(f"{title}\n")[2].partition("\n## ")[0]
            assert f"| `{pair[1]}` |" in section, f"{pair[1]} of {title}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a complaint."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_asks_nobody_for_anything(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 10
    fetched = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\"\s>]+)", re.I)
    for page in pages:
        found = fetched.findall(page.read_text(encoding="utf-8"))
        assert not found, f"{page.name} would fetch {found[0]}"
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", text), style.name
        assert "@import" not in text
    assert (site / "source" / "configs" / "default.toml.txt").is_file()


@pytest.mark.slow
@pytest.mark.browser
def test_it_is_read_and_searched_from_the_folder(site: Path) -> None:
    asked: list[str] = []
    wrong: list[str] = []
    with sync_playwright() as driver, chromium(driver, devices=False) as browser:
        page = browser.new_page()
        page.on("request", lambda r: asked.append(r.url))
        page.on("requestfailed", lambda r: wrong.append(r.url))
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.goto((site / "tutorial" / "sense.html").as_uri())
        page.click(".md-search__input")
        page.keyboard.type("allowed_origins")
        until(page, "document.querySelectorAll('.md-search-result__item').length > 0")
        assert "Configuration" in page.inner_text(".md-search-result__list")
    assert not wrong
    assert all(url.startswith("file:") for url in asked)
