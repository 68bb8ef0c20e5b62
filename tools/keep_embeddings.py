"""Write ``policy/data/embeddings.npz``: vectors of all texts that the compact policy embeds when it is loaded, and of
the examples of questions about the agent."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from agent.models import resolve
from policy import itself, kept
from policy.backends.compact import Mind
from policy.embedding import Embedder, Vectors


class Recorder(Embedder):
    """Remembers what had to be embedded."""

    def __init__(self, path: Path, shipped: Mapping[bytes, Vectors] | None = None) -> None:
        super().__init__(path, shipped)
        self.made: dict[str, Vectors] = {}

    def run(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed and remember."""
        found = super().run(texts)
        self.made.update(zip(texts, found, strict=True))
        return found


def needed(shipped: Mapping[bytes, Vectors] | None = None) -> dict[str, Vectors]:
    """Return what loading the policy embeds when ``shipped`` is there already."""
    recorder = Recorder(resolve("minilm"), shipped)
    Mind(recorder, None)
    recorder(itself.texts())
    return recorder.made


if __name__ == "__main__":
    made = needed({})
    kept.write(made.items())
    sys.stdout.write(f"{len(made)} vectors, {kept.FILE.stat().st_size / 1e3:.0f} kB\n")
