"""The face on a screen: its page, what it is told, and who may see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.action import Caption, Display
from agent.journal import Event, Note
from agent.onboard.face import Face


def on_screen(use: Callable[[Face, httpx.AsyncClient], Awaitable[None]]) -> None:
    async def main() -> None:
        face = Face()
        async with face.open() as address, httpx.AsyncClient(base_url=address, trust_env=False) as client:
            await use(face, client)

    asyncio.run(main())


def test_a_page_that_comes_late_is_told_how_things_stand() -> None:
    async def use(face: Face, client: httpx.AsyncClient) -> None:
        face.show(Display("sad", "nod", 0.4))
        face.show(Display("warm", "none", 0.7))
        face.show(Caption("user", "hello", final=True))
        face.show(Caption("agent", "Hi.", final=True))
        face.tell(Event(0, Note("state", data={"state": "speaking"})))
        face.screen("Hello", "Touch me", {"yes": "Yes"}, perceives="I hear you")
        told: dict[str, Any] = {}
        async with client.stream("GET", "events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if line:
                    message = json.loads(line.removeprefix("data: "))
                    told[message.get("speaker", message["t"])] = message
                if len(told) == 5:
                    break
        assert (told["display"]["emotion"], told["display"]["intensity"]) == ("warm", 0.7)
        assert (told["user"]["text"], told["agent"]["text"]) == ("hello", "Hi.")
        assert told["state"]["state"] == "speaking"
        assert told["screen"]["buttons"] == [{"name": "yes", "label": "Yes"}]

    on_screen(use)


def test_what_was_said_is_not_shown_to_the_next_person() -> None:
    async def use(face: Face, client: httpx.AsyncClient) -> None:
        face.show(Caption("user", "a secret", final=True))
        face.clear()
        face.screen("Hello")
        async with client.stream("GET", "events") as answer:
            async for line in answer.aiter_lines():
                assert "secret" not in line
                if "Hello" in line:
                    break

    on_screen(use)


def test_a_touch_is_told_and_a_flood_is_not_kept() -> None:
    async def use(face: Face, client: httpx.AsyncClient) -> None:
        assert (await client.post("touch", content="yes")).status_code == 204
        assert face.touched.get_nowait() == "yes"
        assert (await client.post("touch", content="x" * 10_000)).status_code == 413
        for _ in range(40):
            await client.post("touch", content="yes")
        assert face.touched.qsize() == 16

    on_screen(use)


def test_nobody_else_sees_the_screen() -> None:
    async def use(face: Face, client: httpx.AsyncClient) -> None:
        page = await client.get("")
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for name in ("screen.js", "screen.css", "web/rapport-face.js", "web/figtree.woff2"):
            assert (await client.get(name)).status_code == 200, name
        for name in ("web/page.js", "face.py", "web/..%2f..%2fcli.py"):
            assert (await client.get(name)).status_code == 404, name
        root = httpx.URL(face.address).join("/")
        assert (await client.get(root)).status_code == 404
        assert (await client.get(root.join("/guess/events"))).status_code == 404
        for path in ("", "events", "screen.js"):
            assert (await client.get(path, headers={"host": "elsewhere.test"})).status_code == 421
        assert (await client.post("touch", content="yes", headers={"host": "elsewhere.test"})).status_code == 421

    on_screen(use)


@pytest.mark.browser
@pytest.mark.slow
def test_the_face_is_seen_and_touched_in_a_browser() -> None:
    from playwright.async_api import async_playwright

    shots = Path(__file__).parents[2] / "artefacts" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)

    async def use(face: Face, _: httpx.AsyncClient) -> None:
        errors: list[str] = []
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
            face.screen("May I listen and look?", "I am an AI.", {"yes": "Yes", "no": "No"}, perceives="I listen")
            face.show(Display("warm", "none", 0.8))
            await page.goto(face.address)
            await page.get_by_role("button", name="Yes").click()
            assert await asyncio.wait_for(face.touched.get(), 5) == "yes"
            await page.screenshot(path=str(shots / "on-board-asking.png"))
            face.screen(buttons={"goodbye": "Goodbye"}, perceives="I hear and see you")
            face.show(Caption("user", "My dog died last night.", final=True))
            face.show(Caption("agent", "I am so sorry. Do you want to tell me about him?", final=True))
            face.show(Display("concern", "tilt", 0.8))
            face.sound(0.2)
            await page.get_by_text("Do you want to tell me").wait_for()
            assert await page.locator("#title").is_hidden()
            assert await page.locator("#sign").inner_text() == "I hear and see you"
            await page.wait_for_timeout(900)
            face.sound(0.2)
            await page.wait_for_timeout(60)
            await page.screenshot(path=str(shots / "on-board-talking.png"))
            await browser.close()
        assert not errors

    on_screen(use)
