"""Writes what :mod:`policy.training.heard` reads; a run that was cut off goes on where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import TextIO

from agent.rendering.render import Rendered
from policy.training.heard import INDEX, STATES, HeardError, load, state_name, states_path


class Store:
    """The folder. A context manager.

    The states of an item are there before its line is, so that every line has its states.

    Args:
        folder: made if it is not there.
        seed: of the run.

    Raises:
        HeardError: what is there was rendered with another seed, or is broken.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        (folder / STATES).mkdir(parents=True, exist_ok=True)
        path = folder / INDEX
        if path.exists():
            _trim(path)
        else:
            path.touch()
        found = load(folder)
        for heard in found.values():
            if heard.condition.seed != seed:
                raise HeardError(
                    f"{path}: {heard.id!r} was rendered with seed {heard.condition.seed}, not {seed}; "
                    "go on with that seed or render into another folder"
                )
        self.done = set(found)
        self._file: TextIO = path.open("a", encoding="utf-8")

    def add(self, rendered: Rendered) -> None:
        """Keep an item.

        Raises:
            OSError: the disk is full; the items before it are kept.
        """
        from safetensors.numpy import save_file

        name = rendered.line["id"]
        path = states_path(self.folder, name)
        part = path.with_suffix(".part")
        save_file({state_name(turn): states for turn, states in rendered.states.items()}, part)
        part.replace(path)
        self._file.write(json.dumps(rendered.line, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done.add(name)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _trim(path: Path) -> None:
    """Take away a last line that was cut off while it was written."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
