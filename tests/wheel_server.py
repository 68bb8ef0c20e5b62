"""A package registry on the loopback, with the faults of a real network."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

PACKAGE = "tiny-model"
VERSION = "1.0.0"
FILE = "tiny_model-1.0.0-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0.0\n"
OUR_AGENT = "rapport-agent"


def make_wheel(size: int = 3_000_000) -> tuple[bytes, bytes]:
    """Return a wheel and the weights in it; the weights do not compress."""
    weights = random.Random(7).randbytes(size)
    info = "tiny_model-1.0.0.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/weights.bin.part1", weights[: size // 2])
        archive.writestr("tiny_model/weights.bin.part2", weights[size // 2 :])
        archive.writestr("tiny_model/config.json", b"{}")
        archive.writestr(f"{info}/METADATA", METADATA)
        archive.writestr(f"{info}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", b"")
    return buffer.getvalue(), weights


class Registry:
    """A simple index with one wheel.

    Attributes:
        wheel: what it serves; the index always announces ``announced``.
        cuts: at which byte of the file to drop the connection, once each, for our own client.
        hold_at: at which byte to stop sending until ``release`` is set.
        ranges: whether it can go on in the middle of a file.
        refuse: an HTTP status to answer our own client with, as a registry that wants pip's credentials does.
        requests: the Range header (or "") of each request of our own client for the wheel.
    """

    def __init__(self, wheel: bytes) -> None:
        self.wheel = wheel
        self.announced = hashlib.sha256(wheel).hexdigest()
        self.cuts: list[int] = []
        self.hold_at: int | None = None
        self.release = threading.Event()
        self.ranges = True
        self.refuse: int | None = None
        self.requests: list[str] = []
        self.url = ""

    def environment(self) -> dict[str, str]:
        """Return the variables that point pip here and nowhere else; an empty value unsets."""
        return {
            "PIP_INDEX_URL": f"{self.url}/simple",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_FIND_LINKS": "",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_NO_INDEX": "",
            "PIP_NO_CACHE_DIR": "1",
            "NO_PROXY": "127.0.0.1",
        }


@contextmanager
def serving(wheel: bytes) -> Iterator[Registry]:
    """Run a registry for as long as the block."""
    registry = Registry(wheel)

    class Handler(_Handler):
        served = registry

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        registry.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: ClassVar[Registry]

    def do_GET(self) -> None:
        registry = self.served
        if self.path.rstrip("/") == f"/simple/{PACKAGE}":
            digest = hashlib.sha256(METADATA).hexdigest()
            page = (
                f'<a href="/files/{FILE}#sha256={registry.announced}" data-core-metadata="sha256={digest}">{FILE}</a>'
            )
            self._whole(page.encode(), "text/html")
        elif self.path == f"/files/{FILE}.metadata":
            self._whole(METADATA, "text/plain")
        elif self.path == f"/files/{FILE}":
            self._wheel()
        else:
            self.send_error(404)

    def _whole(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _wheel(self) -> None:
        registry = self.served
        ours = self.headers.get("User-Agent", "") == OUR_AGENT
        wanted = self.headers.get("Range", "")
        if ours:
            registry.requests.append(wanted)
            if registry.refuse is not None:
                self.send_error(registry.refuse)
                return
        size = len(registry.wheel)
        start = 0
        if wanted and registry.ranges:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        end = size
        if ours and registry.cuts:
            end = max(start, registry.cuts.pop(0))
        try:
            if ours and registry.hold_at is not None and start < registry.hold_at:
                self.wfile.write(registry.wheel[start : registry.hold_at])
                registry.release.wait()
                start = registry.hold_at
            self.wfile.write(registry.wheel[start:end])
        except ConnectionError:
            # The client was killed.
            pass
        if end < size:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
