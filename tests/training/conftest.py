from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import torch

from policy.training.run import Run


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two cores have other things to do, and sums come out the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run(tmp_path / "run") as found:
        yield found


@pytest.fixture
def clock() -> Callable[[], float]:
    """A clock that moves by a second whenever it is read."""
    seconds = count()
    return lambda: float(next(seconds))
