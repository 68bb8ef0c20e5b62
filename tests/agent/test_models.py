"""The store of verified files, and the manifest that ships."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from agent import models
from agent.manifest import MANIFEST, ManifestError, UnknownModel, manifest, read_manifest
from agent.models import ModelAltered, ModelMissing, Store

BODY = b"weights"
ENTRY = """
[sources.pack]
version = "1"
size = 1
sha256 = "{zeros}"
[models.one]
purpose = "p"
licence = "MIT"
origin = "o"
[[models.one.files]]
from = "pack:a"
size = 7
sha256 = "{digest}"
[models.many]
purpose = "p"
licence = "MIT"
origin = "o"
default = false
[[models.many.files]]
path = "a.bin"
from = "pack:a"
size = 7
sha256 = "{digest}"
[[models.many.files]]
path = "sub/b.json"
from = "pack:b"
size = 7
sha256 = "{digest}"
[clips.film]
purpose = "p"
licence = "MIT"
origin = "o"
file = "film.mp4"
[[clips.film.files]]
from = "pack:c"
size = 7
sha256 = "{digest}"
""".format(zeros="0" * 64, digest=hashlib.sha256(BODY).hexdigest())
ROOT = MANIFEST.parent.parent


def known(folder: Path, text: str = ENTRY) -> Path:
    path = folder / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    root = tmp_path / "store"
    (root / "many" / "sub").mkdir(parents=True)
    for name in ("one", "many/a.bin", "many/sub/b.json", "film.mp4"):
        (root / name).write_bytes(BODY)
    return Store(root, read_manifest(known(tmp_path)))


def test_resolves_to_a_file_or_a_folder(store: Store) -> None:
    assert store.resolve("one") == store.root / "one"
    assert store.resolve("many") == store.root / "many"
    clips = Store(store.root, store.known, clips=True)
    assert clips.resolve("film") == store.root / "film.mp4"


def test_a_missing_file_names_the_path_and_the_command(store: Store) -> None:
    (store.root / "many" / "sub" / "b.json").unlink()
    with pytest.raises(ModelMissing, match=r"'many': .*/sub/b\.json is missing; mend it with: agent models fetch many"):
        store.resolve("many")
    clips = Store(store.root / "elsewhere", store.known, clips=True)
    with pytest.raises(ModelMissing, match="agent models fetch --test-clips film"):
        clips.resolve("film")


def test_altered_bytes_of_the_same_size_are_found(store: Store) -> None:
    path = store.resolve("one")
    path.write_bytes(b"weightS")
    with pytest.raises(ModelAltered, match=r"has been altered.*agent models fetch one"):
        store.resolve("one")


def test_altered_bytes_are_found_even_with_the_old_times(store: Store) -> None:
    path = store.resolve("one")
    before = path.stat()
    path.write_bytes(b"weightS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelAltered):
        store.resolve("one")


def test_a_cut_file_and_a_stray_file_are_found(store: Store) -> None:
    (store.root / "one").write_bytes(BODY[:3])
    with pytest.raises(ModelAltered, match="has 3 bytes, not 7"):
        store.resolve("one")
    stray = store.root / "many" / "sub" / "adapter.json"
    stray.write_text("{}", encoding="utf-8")
    with pytest.raises(ModelAltered, match=r"adapter\.json does not belong"):
        store.resolve("many")
    stray.unlink()
    (store.root / "many" / ".DS_Store").write_text("", encoding="utf-8")
    assert store.resolve("many")


def test_a_folder_in_place_of_a_file_is_found(store: Store) -> None:
    (store.root / "one").unlink()
    (store.root / "one").mkdir()
    with pytest.raises(ModelAltered):
        store.resolve("one")


def test_verify_covers_the_default_set_or_the_named_in_order(store: Store) -> None:
    assert [(check.model.name, check.state) for check in store.verify()] == [("one", "ok")]
    (store.root / "one").unlink()
    found = [(check.model.name, check.state) for check in store.verify(["many", "one", "many"])]
    assert found == [("many", "ok"), ("one", "missing")]


def test_an_unknown_name_gets_the_nearest(store: Store) -> None:
    with pytest.raises(UnknownModel, match="did you mean 'many'"):
        store.resolve("mony")
    with pytest.raises(UnknownModel, match="known: many, one"):
        store.resolve("whatever")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('path = "a.bin"', 'path = "../a.bin"', "leaves its folder"),
        ('path = "a.bin"', 'path = "/a.bin"', "leaves its folder"),
        ('file = "film.mp4"', 'file = "../film.mp4"', "leaves the store"),
        ('path = "a.bin"\n', "", "lacks its path"),
        ("pack:a", "other:a", "SOURCE:MEMBER"),
        ('licence = "MIT"\n', "", "one: missing key 'licence'"),
        ('purpose = "p"', 'purpos = "p"', "missing key 'purpose'"),
        ("default = false", "defaults = false", "unknown key defaults"),
        ('sha256 = "0', 'sha256 = "g', "bad sha256"),
        ("[models.one]", "[models.One]", "lower-case"),
        ("default = false", 'convert = "x"', "go together"),
        ("[sources.pack]", "[films]\n[sources.pack]", "unknown table films"),
        ("[models.one]", "[models.one", "models.toml"),
    ],
)
def test_a_wrong_manifest_says_where(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in ENTRY
    with pytest.raises(ManifestError, match=reason):
        read_manifest(known(tmp_path, ENTRY.replace(old, new, 1)))


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAPPORT_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models.models().root == tmp_path / "rapport" / "models"
    assert models.clips().root == tmp_path / "rapport" / "clips"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert models.models().root == Path.home() / ".cache" / "rapport" / "models"
    monkeypatch.setenv("RAPPORT_MODELS", str(tmp_path / "m"))
    assert models.models().root == tmp_path / "m"
    with pytest.raises(ModelMissing, match=str(tmp_path / "m" / "face-landmarker")):
        models.require()


def test_the_shipped_manifest_names_each_licence_and_leaves_no_pickle() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    shipped = [*manifest().models.values(), *manifest().clips.values()]
    assert {model.name for model in models.catalogue()} == set(manifest().models)
    for model in shipped:
        assert model.licence, model.name
        assert model.origin in notice, f"NOTICE does not credit {model.origin}"
        for file in model.files:
            ending = Path(file.path or model.place).suffix
            assert ending not in {".pt", ".pth", ".pkl", ".ckpt"}
            # The .bin of speech recognition and of what reads for danger is CTranslate2's own format.
            assert ending != ".bin" or model.name.startswith(("whisper-", "danger-reader"))


@pytest.mark.models
@pytest.mark.slow
def test_every_default_model_and_clip_is_what_the_manifest_says_within_five_seconds() -> None:
    fresh = Store(models.models().root)
    began = time.perf_counter()
    states = {check.model.name: check.problem for check in fresh.verify()}
    took = time.perf_counter() - began
    assert set(states.values()) == {""}, states
    assert took < 5
    assert {check.state for check in models.verify(test_clips=True)} == {"ok"}


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", ["whisper-base", "whisper-tiny-en"])
def test_speech_recognition_loads_from_the_folder_alone(name: str) -> None:
    from faster_whisper import WhisperModel

    loaded = WhisperModel(str(models.resolve(name)), device="cpu", compute_type="int8", cpu_threads=1)
    assert loaded.feature_extractor.mel_filters.shape[0] == 80
    assert loaded.hf_tokenizer.token_to_id("<|endoftext|>") is not None
