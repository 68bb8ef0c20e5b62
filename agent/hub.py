"""Models from a hub repository at a fixed commit, weights as safetensors only.

The commit fixes the content; what came is hashed and recorded beside it, so that from then on it is
verified like every other model. Only named kinds of file are taken: nothing that is unpickled or run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from agent.manifest import Model
from agent.models import HUB_RECORD, sha256
from agent.registry import AGAIN, FetchError

TAKEN = ("*.safetensors", "*.json", "*.txt", "*.jinja", "tokenizer.model", "LICENSE*", "NOTICE*")
"""What is taken from a repository. Torch pickles (``.bin .pt .pth .ckpt``) and code (``.py``) are not in it."""


class Hub(Protocol):
    """A client of a hub."""

    def snapshot(self, repository: str, revision: str, into: Path, patterns: tuple[str, ...]) -> None:
        """Bring the matching files of a commit into a folder, going on from what is there."""
        ...


class HuggingFace:
    """The usual hub, through ``huggingface_hub`` and its own configuration of address, token and proxy.

    Args:
        endpoint: another server with the same interface.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint

    def snapshot(self, repository: str, revision: str, into: Path, patterns: tuple[str, ...]) -> None:
        """Bring the matching files of a commit into a folder; a broken download goes on."""
        from huggingface_hub import snapshot_download

        snapshot_download(
            repository,
            revision=revision,
            local_dir=into,
            allow_patterns=list(patterns),
            endpoint=self._endpoint,
            max_workers=2,
        )


def fetch_repository(model: Model, into: Path, hub: Hub) -> None:
    """Fill ``into`` with a hub model and record what came.

    Raises:
        FetchError: the hub cannot be reached, or the repository has no safetensors weights.
        OSError: the disk is full or not writable.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        hub.snapshot(model.repository, model.revision, into, TAKEN)
    except ImportError as error:
        raise FetchError(f"{model.name}: needs the package huggingface_hub: pip install huggingface_hub") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).strip().split("\n", 1)[0]
        raise FetchError(f"{model.name}: the hub did not deliver: {type(error).__name__}: {reason}; {AGAIN}") from error
    files = {
        path.relative_to(into).as_posix(): (path.stat().st_size, sha256(path))
        for path in sorted(into.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(into).parts)
    }
    if strays := [name for name in files if not any(Path(name).match(pattern) for pattern in TAKEN)]:
        raise FetchError(f"{model.name}: refusing {strays[0]}, which is not among {', '.join(TAKEN)}")
    if not any(name.endswith(".safetensors") for name in files):
        raise FetchError(f"{model.name}: {model.source} has no safetensors weights; pickled ones are not loaded")
    record = {"repository": model.repository, "revision": model.revision, "files": files}
    (into / HUB_RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
