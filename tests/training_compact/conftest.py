from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from policy.training.compact import CompactStudent, Lora
from tests.training_compact.base import build

Open = Callable[..., CompactStudent]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two cores have other things to do, and sums come out the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny base."""
    return build(tmp_path_factory.mktemp("base") / "tiny-llama")


@pytest.fixture
def student(tiny: Path) -> Open:
    """Opens the tiny base; by default with a fresh adapter."""

    def make(folder: Path = tiny, **settings: Any) -> CompactStudent:
        return CompactStudent(folder, **{"lora": Lora(rank=4, alpha=8), **settings})

    return make
