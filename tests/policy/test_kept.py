from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.models import resolve
from policy import itself, kept, replies
from policy.embedding import SIZE, Embedder
from policy.words import load_table

pytestmark = pytest.mark.models


def shipped_texts() -> set[str]:
    texts = {t for section in load_table("prototypes").values() for group in section.values() for t in group}
    return texts | set(replies.lines()) | set(itself.texts())


def test_every_text_of_the_data_files_ships_with_its_vector() -> None:
    shipped = kept.read()
    missing = sorted(text for text in shipped_texts() if kept.digest(text) not in shipped)
    assert missing == [], "run: python tools/keep_embeddings.py"


@pytest.mark.slow
def test_the_shipped_vectors_are_those_of_the_model() -> None:
    shipped, fresh = kept.read(), Embedder(resolve("minilm"), {})
    some = sorted(shipped_texts())[::40]
    assert len(some) > 20
    for text, vector in zip(some, fresh(some), strict=True):
        assert vector @ shipped[kept.digest(text)] > 0.999, text


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    vector = np.zeros(SIZE, np.float32)
    vector[3] = 1.0
    kept.write([("hello", vector)], path)
    found = kept.read(path)
    assert np.allclose(found[kept.digest("hello")], vector)
    assert kept.read(tmp_path / "none.npz") == {}
