"""Hub repositories at a fixed commit, against a hub on the loopback. No test reaches a real one."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.fetch import WORK, fetch_into
from agent.hub import TAKEN, HuggingFace, fetch_repository
from agent.manifest import ManifestError, Model, UnknownModel, manifest, read_manifest
from agent.models import HUB_RECORD, ModelAltered, ModelMissing, Store
from agent.progress import Silent
from agent.registry import FetchError

COMMIT = "a1" * 20
NAME = f"someone/something@{COMMIT}"
WEIGHTS = bytes(range(256)) * 400
GOOD = {
    "model.safetensors": WEIGHTS,
    "config.json": b"{}",
    "sub/tokenizer.json": b'{"a": 1}',
    "pytorch_model.bin": b"a pickle",
    "model.pt": b"a pickle",
    "modeling.py": b"code",
}


@contextmanager
def hub_with(files: dict[str, bytes], *, asked: list[str] | None = None) -> Iterator[HuggingFace]:
    """Run a hub that has one repository at one commit."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            path = self.path.split("?")[0]
            if path == f"/api/models/someone/something/tree/{COMMIT}":
                entries = [
                    {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                    for name, body in files.items()
                ]
                self._send(json.dumps(entries).encode(), "tree", with_body)
            elif path == f"/api/models/someone/something/revision/{COMMIT}":
                siblings = [{"rfilename": name} for name in files]
                self._send(
                    json.dumps({"id": "someone/something", "sha": COMMIT, "siblings": siblings}).encode(), "", True
                )
            elif (name := path.removeprefix(f"/someone/something/resolve/{COMMIT}/")) in files:
                if asked is not None and with_body:
                    asked.append(name)
                self._send(files[name], hashlib.sha1(files[name]).hexdigest(), with_body)
            else:
                self.send_error(404)

        def _send(self, body: bytes, tag: str, with_body: bool) -> None:
            self.send_response(200)
            self.send_header("ETag", f'"{tag}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield HuggingFace(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class FolderHub:
    """A hub whose repository is given as a dictionary, and which brings everything, asked for or not."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def snapshot(self, repository: str, revision: str, into: Path, patterns: tuple[str, ...]) -> None:
        for name, body in self._files.items():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(body)


@pytest.mark.slow
def test_fetches_a_commit_and_verifies_it_from_then_on(tmp_path: Path) -> None:
    models = Store(tmp_path)
    with pytest.raises(ModelMissing, match=f"agent models fetch {NAME}"):
        models.resolve(NAME)
    asked: list[str] = []
    with hub_with(GOOD, asked=asked) as hub:
        assert fetch_into(models, [NAME], Silent(), hub=hub) == [NAME]
        assert fetch_into(models, [NAME], Silent(), hub=hub) == []
    assert sorted(asked) == ["config.json", "model.safetensors", "sub/tokenizer.json"]
    place = models.resolve(NAME)
    assert (place / "model.safetensors").read_bytes() == WEIGHTS
    assert sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()) == [
        HUB_RECORD,
        "config.json",
        "model.safetensors",
        "sub/tokenizer.json",
    ]
    assert [path.name for path in (tmp_path / WORK).iterdir()] == ["lock"]
    (place / "model.safetensors").write_bytes(WEIGHTS[::-1])
    with pytest.raises(ModelAltered, match=r"model\.safetensors has been altered"):
        models.resolve(NAME)


@pytest.mark.slow
def test_says_when_the_hub_does_not_have_it(tmp_path: Path) -> None:
    with hub_with(GOOD) as hub, pytest.raises(FetchError, match=r"the hub did not deliver.*agent models fetch"):
        fetch_into(Store(tmp_path), [f"someone/else@{COMMIT}"], Silent(), hub=hub)


def test_refuses_a_repository_without_safetensors(tmp_path: Path) -> None:
    models = Store(tmp_path)
    with pytest.raises(FetchError, match="no safetensors weights"):
        fetch_into(models, [NAME], Silent(), hub=FolderHub({"config.json": b"{}"}))
    with pytest.raises(ModelMissing):
        models.resolve(NAME)


@pytest.mark.parametrize("stray", ["pytorch_model.bin", "model.pt", "weights.ckpt", "sub/code.py"])
def test_refuses_what_a_careless_client_brings_along(tmp_path: Path, stray: str) -> None:
    hub = FolderHub({"model.safetensors": WEIGHTS, stray: b"run me"})
    with pytest.raises(FetchError, match=f"refusing {stray}"):
        fetch_repository(manifest().find(NAME), tmp_path / "new", hub)


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"revision": "b", "files": {}}'])
def test_a_damaged_record_counts_as_altered(tmp_path: Path, record: str) -> None:
    models = Store(tmp_path)
    fetch_into(models, [NAME], Silent(), hub=FolderHub({"model.safetensors": WEIGHTS}))
    (models.resolve(NAME) / HUB_RECORD).write_text(record, encoding="utf-8")
    with pytest.raises(ModelAltered, match="not a record of someone/something"):
        models.resolve(NAME)


def test_takes_nothing_that_runs_on_loading() -> None:
    names = ("pytorch_model.bin", "x.pt", "x.pth", "x.ckpt", "x.pkl", "x.h5", "x.msgpack", "x.py", "x.so")
    assert not [name for name in names for pattern in TAKEN if Path(name).match(pattern)]


@pytest.mark.parametrize("name", ["someone/something", "someone/something@main", f"../x@{COMMIT}x", f"a/b/c@{COMMIT}"])
def test_wants_a_full_commit(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownModel):
        Store(tmp_path).resolve(name)


def test_a_manifest_can_name_a_repository(tmp_path: Path) -> None:
    text = '[models.big]\npurpose = "p"\nlicence = "l"\norigin = "o"\nrepository = "some/one"\nrevision = "{}"\n'
    path = tmp_path / "models.toml"
    path.write_text(text.format(COMMIT), encoding="utf-8")
    model: Model = read_manifest(path).models["big"]
    assert (model.repository, model.place, model.default) == ("some/one", "big", False)
    path.write_text(text.format("main"), encoding="utf-8")
    with pytest.raises(ManifestError, match="full commit"):
        read_manifest(path)
