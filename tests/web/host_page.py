"""Somebody else's site: another origin, as strict a content security policy as can be, and the call in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

POLICY: Final = (
    "default-src 'none'; script-src 'self' {server}; connect-src {server}; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

LISTEN: Final = """
window.told = [];
const names = ["state", "caption", "percept", "decision", "display", "resource", "error", "place"];
for (const call of document.querySelectorAll("rapport-call")) {
  for (const name of names) call.addEventListener(name, ({ detail }) => window.told.push([name, detail]));
}
Object.defineProperty(window, "rapport", { get: () => document.querySelector("rapport-call").record });
"""
"""Keeps what is told, for a test to look at."""

SCRIPT: Final = (
    """
import "{server}/embed/rapport-call.js";

for (const call of document.querySelectorAll("rapport-call")) call.token = "t0ken";
"""
    + LISTEN
)

STYLE: Final = """
body { margin: 0; font: 18px/1.6 Georgia, serif; background: #f3efe6; color: #2b2a26; letter-spacing: 0.04em; }
header { padding: 28px 6vw 12px; }
h1 { margin: 0; font-size: 30px; text-transform: uppercase; }
main { display: grid; grid-template-columns: minmax(0, 1fr) 440px; gap: 40px; padding: 0 6vw 40px; }
rapport-call { block-size: 640px; border-radius: 28px; box-shadow: 0 18px 50px rgb(60 40 20 / 18%); }
rapport-call { --rapport-accent: #0b6e4f; }
rapport-call::part(start) { border-radius: 6px; text-transform: uppercase; }
button { border: 9px solid red; }
.note { color: #0b6e4f; }
"""

HTML: Final = """<!doctype html>
<html lang="fr">
<head>
<meta charset="utf-8"><title>Clinique du Parc</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="style.css">
<script type="module" src="script.js"></script>
</head>
<body>
<header><h1>Clinique du Parc</h1></header>
<main>
<section><h2>While you wait</h2><p>Somebody to talk to before your visit. Take your time.</p>
<p>What you say stays in this house. The agent does not replace the doctor.</p></section>
BODY
</main>
</body>
</html>
"""


class HostPage:
    """Serves the site on a port of its own.

    Attributes:
        server: address of the agent's server, without a slash at its end.
        body: what embeds it.
        files: by path, type and text of what is served instead.
        posts: by path, what answers a POST, as text.
        policy: the content security policy; ``{server}`` is the agent's server.
    """

    def __init__(self, server: str, body: str = "") -> None:
        self.files: dict[str, tuple[str, str]] = {}
        self.posts: dict[str, Callable[[], str]] = {}
        self.policy = POLICY
        self.server = server.rstrip("/")
        self.body = body or f'<rapport-call server="{self.server}"></rapport-call>'
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind, text = site.file(self.path)
                self._answer(kind, text)

            def do_POST(self) -> None:
                self._answer("text/plain", site.posts[self.path]())

            def _answer(self, kind: str, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Security-Policy", site.policy.format(server=site.server))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def file(self, path: str) -> tuple[str, str]:
        """Return type and text of a file."""
        if path in self.files:
            return self.files[path]
        match path:
            case "/style.css":
                return "text/css", STYLE
            case "/script.js":
                return "text/javascript", SCRIPT.replace("{server}", self.server)
            case "/favicon.ico":
                return "text/plain", ""
            case _:
                return "text/html", HTML.replace("BODY", self.body)

    @property
    def origin(self) -> str:
        """Of the site; its address is this and a slash."""
        return f"http://localhost:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join(10)
        self._http.server_close()
