"""One server for all stock clients, as an operator starts it, and the tools that they come with."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from perception.media import RATE_HZ
from tests.e2e.live import Server, serving
from tests.speech_samples import say

HERE = Path(__file__).parent
WORDS = "Can you help me with something important?"

CONFIG = """
workers = ["vad", "asr", "turn"]
policy = "scripted"
voice = "plain"

[perception]
isolate = "thread"

[server]
consent = "given"
max_calls = 4
allowed_origins = ["ORIGIN"]
drain = 0.0

[deployment]
context = "kiosk"

[call]
greeting = false
"""


def tool(name: str, package: str) -> str:
    """Return where a program is; where it is missing the test is skipped, unless all tests have to run."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed; on Debian: sudo apt-get install {package}")
    return str(found)


def missing(why: str) -> None:
    """Skip the test; fail it where RAPPORT_NO_SKIP is set, as .ci/run does."""
    if os.environ.get("RAPPORT_NO_SKIP"):
        pytest.fail(why)
    pytest.skip(why)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Site:
    """A developer's own site: what lies in the folder is served at the origin, which is not that of the agent."""

    folder: Path
    origin: str


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Site(folder, f"http://localhost:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture(scope="package")
def stock(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("stock")
    config = folder / "stock.toml"
    config.write_text(CONFIG.replace("ORIGIN", site.origin))
    with serving(folder, "--config", str(config)) as server:
        yield server


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file, 48 kHz: half a second of silence, a sentence, and silence."""
    quiet = np.zeros(RATE_HZ // 2, np.float32)
    sound = np.concatenate((quiet, say(WORDS), *([quiet] * 4)))
    at_48k = soxr.resample(sound, RATE_HZ, 48_000)
    path = tmp_path_factory.mktemp("speech") / "sentence.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes((np.clip(at_48k, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder of the packages, installed as the lockfile says."""
    npm = tool("npm", "npm")
    folder = HERE / "node_modules"
    stamp = folder / ".stamp"
    want = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != want:
        done = subprocess.run([npm, "ci"], cwd=HERE, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            missing(f"npm could not install the packages of tests/stock: {done.stderr[-500:]}")
        stamp.write_text(want)
    return folder


@pytest.fixture(scope="package")
def page(modules: Path, site: Site) -> str:
    """The address of a page with the stock client, bundled as developers do."""
    out = site.folder / "app.js"
    esbuild = modules / ".bin" / "esbuild"
    command = [str(esbuild), "pipecat.js", "--bundle", "--format=iife", "--log-level=warning", f"--outfile={out}"]
    subprocess.run(command, cwd=HERE, check=True, timeout=60)
    html = '<!doctype html><meta charset="utf-8"><title>stock</title><link rel="icon" href="data:,">'
    (site.folder / "index.html").write_text(f'{html}<script src="app.js"></script>')
    return f"{site.origin}/"
