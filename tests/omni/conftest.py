from __future__ import annotations

from pathlib import Path

import pytest

from policy.omni import thinker as thinkers
from policy.omni.layout import Pixels
from policy.omni.thinker import Thinker
from policy.omni.tiny import build

SMALL = Pixels(least=56 * 56, most=84 * 112)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("omni") / "tiny")


@pytest.fixture(scope="session")
def thinker(checkpoint: Path) -> Thinker:
    return thinkers.load(checkpoint, dtype="float32", pixels=SMALL)
