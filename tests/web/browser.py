"""A Chromium with a fake microphone and a fake camera."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright

CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--host-resolver-rules=MAP elsewhere.test 127.0.0.1",
)


# For tests: what is in the element of the call (or in the page), where the focus is, and all of a kind in both.
LOOK = """
window.roots = () => [document, document.querySelector("rapport-call").shadowRoot];
window.parts = (selector) => roots().flatMap((root) => [...root.querySelectorAll(selector)]);
window.part = (selector) => parts(selector)[0];
window.focused = () => document.activeElement.shadowRoot?.activeElement ?? document.activeElement;
"""


@contextmanager
def chromium(
    driver: Playwright, *, devices: bool = True, grant: bool = True, camera: Path | None = None
) -> Iterator[Browser]:
    """Start a browser.

    Args:
        driver: of Playwright; there can be only one at a time in a thread.
        devices: whether there are a (fake) camera and microphone at all.
        grant: whether every permission is given without a question.
        camera: an MJPEG file to show in the fake camera, in a loop.
    """
    arguments = list(QUIET)
    if devices:
        arguments.append("--use-fake-device-for-media-stream")
    if grant:
        arguments.append("--use-fake-ui-for-media-stream")
    if camera is not None:
        arguments.append(f"--use-file-for-fake-video-capture={camera}")
    browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
    try:
        yield browser
    finally:
        browser.close()


def until(page: Page, expression: str, timeout_s: float = 15.0) -> Any:
    """Wait until a JavaScript expression is true, and return its value.

    Unlike ``page.wait_for_function`` it needs no ``unsafe-eval``, which the page's content security policy refuses.
    """
    for _ in range(int(timeout_s / 0.05)):
        value = page.evaluate(expression)
        if value:
            return value
        page.wait_for_timeout(50)
    raise AssertionError(f"waited {timeout_s} s for {expression}; rapport is {page.evaluate(_STATE)}")


_STATE = "(({state, cover, notices, mood, errors}) => ({state, cover, notices, mood, errors}))(window.rapport)"


def agree(page: Page, within: str = "") -> None:
    """Press start once all that is asked for has been in sight; the button leads there.

    Args:
        page: with the consent view.
        within: selector of the element, where there are several.
    """
    start = page.locator(f"{within} #start".strip())
    start.scroll_into_view_if_needed()
    page.wait_for_timeout(100)  # what that brought into sight is taken note of
    for _ in range(8):
        if not (start.text_content() or "").startswith("See "):
            break
        start.click()
    start.click()


def press(page: Page, control: str) -> None:
    """Press a control of the call by its id, also where it stands behind the button for more of them."""
    if not page.is_visible(f"#{control}"):
        page.click("#more")
    page.click(f"#{control}")


def watch(page: Page, expression: str, times: int, every_ms: int = 40) -> list[Any]:
    """Read a JavaScript expression again and again."""
    found = []
    for _ in range(times):
        page.wait_for_timeout(every_ms)
        found.append(page.evaluate(expression))
    return found
