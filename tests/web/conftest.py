"""One server, one browser and one page per need; every page is watched for errors and for strange hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.web.browser import LOOK, agree, chromium, until
from tests.web.fake_server import FakeServer

SHOTS = Path(__file__).parents[2] / "artefacts" / "screenshots"
OWN = {"127.0.0.1", "localhost", "elsewhere.test"}


@dataclass
class Visit:
    """An open page, and what it did that it should not."""

    page: Page
    server: FakeServer
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def begin(self) -> None:
        """Press start, once all that is asked for has been in sight, and wait for the call."""
        agree(self.page)
        until(self.page, "rapport.state === 'ready'")

    def shot(self, name: str) -> None:
        """Keep a picture of the page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}.png"))

    def check(self) -> None:
        """Fail if the page had an error, or asked any other host for anything."""
        unexpected = [e for e in self.errors if not any(known in e for known in self.expected)]
        assert not unexpected
        assert not self.strangers


Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def driver() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer() as found:
        yield found


@pytest.fixture(scope="module")
def browser(driver: Playwright, clip: Path | None) -> Iterator[Browser]:
    with chromium(driver, camera=clip) as found:
        yield found


@pytest.fixture(scope="module")
def clip() -> Path | None:
    """An MJPEG file for the camera; none shows Chromium's own test picture."""
    return None


@pytest.fixture
def visit(browser: Browser, server: FakeServer) -> Iterator[Open]:
    """Open the page: ``visit(width=360, color_scheme="dark", ...)``, or that of ``url``; its faults fail the test."""
    with ExitStack() as stack:
        opened: list[Visit] = []

        def open(
            *,
            own: Browser | None = None,
            init: str = "",
            host: str = "127.0.0.1",
            url: str = "",
            width: int = 1280,
            height: int = 800,
            **more: Any,
        ) -> Visit:
            server.forget()
            context = (own or browser).new_context(viewport={"width": width, "height": height}, **more)
            stack.callback(context.close)
            context.add_init_script(LOOK)
            if init:
                context.add_init_script(init)
            page = context.new_page()
            found = Visit(page, server)
            page.on("console", lambda m: found.errors.append(m.text) if m.type in ("error", "warning") else None)
            page.on("pageerror", lambda e: found.errors.append(str(e)))
            page.on(
                "request",
                lambda r: (
                    found.strangers.append(r.url)
                    if urlsplit(r.url).hostname not in OWN and not r.url.startswith(("data:", "blob:"))
                    else None
                ),
            )
            page.goto(url or server.url.replace("127.0.0.1", host))
            opened.append(found)
            return found

        yield open
        for found in opened:
            found.check()
