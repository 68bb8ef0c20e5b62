from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from policy.omni.tiny import build
from policy.training.omni import OmniStudent
from policy.training.omni_weights import LoraRecipe
from tests.training_omni.fixture import SMALL

Open = Callable[..., OmniStudent]


@pytest.fixture(scope="session")
def omni(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("omni") / "tiny-omni")


@pytest.fixture
def student(omni: Path) -> Open:
    """Opens the tiny model; by default with a fresh adapter."""

    def make(folder: Path = omni, **settings: Any) -> OmniStudent:
        given = {"lora": LoraRecipe(rank=4, alpha=8.0), "dtype": torch.float32, "limits": SMALL, **settings}
        return OmniStudent.open(folder, **given)

    return make
