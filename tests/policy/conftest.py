from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.models import resolve
from policy.backends import Policy, compact, scripted
from policy.embedding import Embedder
from policy.reading import PrototypeReader

HERE = Path(__file__).parent


def situations(name: str) -> list[dict[str, Any]]:
    return list(tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))["situation"])


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return Embedder(resolve("minilm"))


@pytest.fixture(scope="session")
def reader(embedder: Embedder) -> PrototypeReader:
    return PrototypeReader(embedder)


@pytest.fixture(scope="session")
def compact_off() -> Iterator[Policy]:
    policy = compact.load(resolve=resolve, generate="off", adapter="none", answers="likeness")
    yield policy
    policy.close()


@pytest.fixture(scope="session")
def compact_writing() -> Iterator[Policy]:
    policy = compact.load(resolve=resolve, generate="after_first", adapter="none")
    yield policy
    policy.close()


@pytest.fixture(scope="session")
def compact_default() -> Iterator[Policy]:
    policy = compact.load(resolve=resolve)
    yield policy
    policy.close()


@pytest.fixture(scope="session")
def compact_first() -> Iterator[Policy]:
    policy = compact.load(resolve=resolve, generate="first")
    yield policy
    policy.close()


@pytest.fixture(scope="session")
def plain() -> Policy:
    return scripted.load()
