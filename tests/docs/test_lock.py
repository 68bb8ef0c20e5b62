"""``requirements.lock`` has what ``pyproject.toml`` asks for, and a hash of every file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}


def locked() -> list[tuple[Requirement, list[str]]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.lock").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = []
    for entry in text.replace("\\\n", " ").splitlines():
        wanted, *hashes = re.split(r"\s+--hash=", entry.strip())
        found.append((Requirement(wanted), hashes))
    return found


def test_every_package_is_pinned_by_version_and_hash() -> None:
    assert len(locked()) > 50
    for wanted, hashes in locked():
        assert re.fullmatch(r"==[^*,]+", str(wanted.specifier)), wanted
        assert hashes, wanted
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", found) for found in hashes), wanted


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_everything_that_is_asked_for_is_there_in_a_version_that_will_do(python: str) -> None:
    here = LINUX | {"python_version": python, "python_full_version": f"{python}.0"}
    pinned = {w.name: str(w.specifier)[2:] for w, _ in locked() if w.marker is None or w.marker.evaluate(here)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in project["dependencies"]:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate(here):
            assert wanted.specifier.contains(pinned[wanted.name]), f"{line}: {pinned[wanted.name]} is locked"
    assert "setuptools" in pinned, "which builds this project itself"
