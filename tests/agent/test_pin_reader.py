"""The tool that pins the reader of danger in the manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.manifest import MANIFEST, read_manifest
from agent.models import sha256
from policy.safety.classifier import NAME
from tools.pin_reader import pin


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    for file in read_manifest().models[NAME].files:
        (folder / file.path).parent.mkdir(exist_ok=True)
        (folder / file.path).write_text(f"a new {file.path}", encoding="utf-8")
    return folder


def test_it_changes_what_was_made_and_nothing_else(made: Path, tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(pin(MANIFEST.read_text(encoding="utf-8"), made), encoding="utf-8")
    old, new = read_manifest().models, read_manifest(tmp_path / "models.toml").models
    assert {name for name in old if old[name] != new[name]} == {NAME}
    assert new[NAME].inputs == old[NAME].inputs
    for file in new[NAME].files:
        assert (file.size, file.sha256) == ((made / file.path).stat().st_size, sha256(made / file.path))


def test_it_refuses_files_that_the_manifest_does_not_name(made: Path) -> None:
    text = MANIFEST.read_text(encoding="utf-8")
    (made / "more.bin").write_bytes(b"")
    with pytest.raises(SystemExit, match="has 6 files, and another number was made"):
        pin(text, made)
    (made / "0" / "head.bin").unlink()
    with pytest.raises(SystemExit, match=r"names more\.bin 0 times, expected once"):
        pin(text, made)
