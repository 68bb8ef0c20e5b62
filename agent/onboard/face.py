"""The agent's face on a screen: a page of this machine alone, for a browser without frame and address bar.

It is the face of the call's page (``agent/web``), moved by what the call shows and by the sound that is played; camera
and microphone stay with the program. Who does not know the secret part of the address, which is new each time, sees
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import tempfile
import webbrowser
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from agent import wire
from agent.action import Action, Caption, Display, Resource
from agent.elements.serving import TYPE, module
from agent.journal import Event, Note
from agent.onboard.beside import beside

log = structlog.get_logger(__name__)

_PAGE: Final = Path(__file__).parent / "page"
_WEB: Final = Path(__file__).parents[1] / "web"
_SHARED: Final = {
    "figtree.woff2": _WEB / "figtree.woff2",
    "figtree-ext.woff2": _WEB / "figtree-ext.woff2",
}
_ELEMENT: Final = "rapport-face.js"
_OWN: Final = frozenset({"screen.js", "screen.css"})
_WAITING: Final = 256
_MOST_TOUCH: Final = 256
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "microsoft-edge")


class Face:
    """The screen.

    Attributes:
        touched: names of the buttons that were touched.
    """

    def __init__(self) -> None:
        self.touched: asyncio.Queue[str] = asyncio.Queue(16)
        self.address = ""
        """Of the page, once it is open; whoever knows it sees what is on the screen."""
        self._secret = secrets.token_urlsafe(16)
        self._pages: set[asyncio.Queue[str | None]] = set()
        self._last: dict[str, str] = {}
        self._port = 0

    def show(self, action: Action) -> None:
        """Show an action: a look, words, or who can help."""
        match action:
            case Display() | Resource():
                self._post(wire.display(action).data or {})
            case Caption(speaker=speaker, text=text, final=final, cut=cut):
                self._post({"t": "caption", "speaker": speaker, "text": text, "final": final, "cut": cut}, key=speaker)
            case _:
                pass

    def tell(self, event: Event) -> None:
        """Follow whether the agent listens, thinks or speaks."""
        if isinstance(event.body, Note) and event.body.event == "state":
            self._post({"t": "state", "state": event.body.data.get("state", "")})

    def sound(self, level: float) -> None:
        """Move the mouth: the root mean square of what is played now, 0..1."""
        self._post({"t": "mouth", "level": round(level, 4)})

    def screen(
        self, title: str = "", text: str = "", buttons: Mapping[str, str] | None = None, *, perceives: str = ""
    ) -> None:
        """Show words and buttons.

        Args:
            title: large.
            text: below it.
            buttons: what each is called by its name in :attr:`touched`. None stands out before the others, for
                whoever is asked is not to be led.
            perceives: what is perceived now, in words for the sign that says so; empty for nothing.
        """
        named = [{"name": name, "label": label} for name, label in (buttons or {}).items()]
        self._post({"t": "screen", "title": title, "text": text, "buttons": named, "perceives": perceives})

    def clear(self) -> None:
        """Forget what was said, so that the next person does not read it."""
        for key in ("user", "agent", "resource"):
            self._last.pop(key, None)
        self._post({"t": "clear"})
        self._last.pop("clear", None)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve the page on a free port of this machine, and yield its address."""
        listening = socket.create_server(("127.0.0.1", 0))
        self._port = int(listening.getsockname()[1])
        self.address = f"http://127.0.0.1:{self._port}/{self._secret}/"
        server = _Server(
            uvicorn.Config(
                self._application(),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                limit_concurrency=16,
                timeout_graceful_shutdown=1,
            )
        )
        ended = asyncio.Event()

        async def serve() -> None:
            await server.serve(sockets=[listening])
            ended.set()

        async with beside(serve()):
            try:
                yield self.address
            finally:
                server.should_exit = True
                for page in self._pages:
                    _offer(page, None)
                await ended.wait()
                listening.close()

    # Inside.

    def _application(self) -> Starlette:
        base = f"/{self._secret}"
        return Starlette(
            routes=[
                Route(f"{base}/", self._page),
                Route(f"{base}/events", self._events),
                Route(f"{base}/touch", self._touch, methods=["POST"]),
                Route(f"{base}/web/{{name}}", self._file),
                Route(f"{base}/{{name}}", self._file),
            ]
        )

    def _stranger(self, request: Request) -> Response | None:
        """Refuse a page of somewhere else that had its name point here."""
        if request.headers.get("host") != f"127.0.0.1:{self._port}":
            return PlainTextResponse("unknown host", 421)
        return None

    async def _page(self, request: Request) -> Response:
        return self._stranger(request) or FileResponse(_PAGE / "screen.html", headers=_HEADERS)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if (refused := self._stranger(request)) is not None:
            return refused
        if name == _ELEMENT:
            return Response(module("rapport-face"), media_type=TYPE, headers=_HEADERS)
        if name in _SHARED:
            return FileResponse(_SHARED[name], headers=_HEADERS)
        if name in _OWN:
            return FileResponse(_PAGE / name, headers=_HEADERS)
        return PlainTextResponse("there is no such file", 404)

    async def _touch(self, request: Request) -> Response:
        if (refused := self._stranger(request)) is not None:
            return refused
        name = b""
        async for piece in request.stream():
            name += piece
            if len(name) > _MOST_TOUCH:
                return PlainTextResponse("too long", 413)
        with contextlib.suppress(asyncio.QueueFull):
            self.touched.put_nowait(name.decode("utf-8", "replace"))
        return Response(status_code=204)

    async def _events(self, request: Request) -> Response:
        if (refused := self._stranger(request)) is not None:
            return refused
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_HEADERS)

    async def _stream(self) -> AsyncIterator[str]:
        page: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)
        for line in self._last.values():
            page.put_nowait(line)
        self._pages.add(page)
        try:
            while (told := await page.get()) is not None:
                yield f"data: {told}\n\n"
        finally:
            self._pages.discard(page)

    def _post(self, message: Mapping[str, Any], key: str = "") -> None:
        line = json.dumps(message, ensure_ascii=False)
        self._last[key or str(message["t"])] = line
        for page in self._pages:
            _offer(page, line)


def _offer(page: asyncio.Queue[str | None], line: str | None) -> None:
    """Put a line; a page that does not keep up loses the oldest."""
    if page.full():
        page.get_nowait()
    page.put_nowait(line)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program."""
        yield


@contextmanager
def browser(address: str) -> Iterator[bool]:
    """Show a page over the whole screen, until the context is left; yield whether that is so.

    Where there is no Chromium, the usual browser shows it in a tab, which stays.
    """
    program = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        yield webbrowser.open(address)
        return
    with tempfile.TemporaryDirectory(prefix="rapport-face-", ignore_cleanup_errors=True) as profile:
        running = subprocess.Popen(
            [
                program,
                "--kiosk",
                f"--app={address}",
                f"--user-data-dir={profile}",
                "--no-first-run",
                "--no-default-browser-check",
                "--disable-session-crashed-bubble",
                "--disable-pinch",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield True
        finally:
            running.terminate()
            try:
                running.wait(5)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
