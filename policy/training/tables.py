"""Reads tables of a training configuration, whoever is trained; what is wrong is told with table and field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from policy.training.run import Run

T = TypeVar("T")


class ConfigurationError(ValueError):
    """A table cannot be used; the message names table and field, and the fix."""


def check(name: str, table: Mapping[str, Any], known: Mapping[str, type], required: tuple[str, ...] = ()) -> None:
    """Check the fields of a table.

    Raises:
        ConfigurationError: one is unknown, missing or of another type.
    """
    for field, value in table.items():
        wanted = known.get(field)
        if wanted is None:
            raise ConfigurationError(f"{name}.{field} is not a field; there are: {', '.join(known)}")
        if type(value) is not wanted:
            raise ConfigurationError(f"{name}.{field} is {value!r}, expected {wanted.__name__}")
    for field in required:
        if not table.get(field):
            raise ConfigurationError(f"{name}.{field} is missing")


def one_of(name: str, table: Mapping[str, Any], field: str, known: tuple[str, ...]) -> str:
    """Return a field that takes one of a few names.

    Raises:
        ConfigurationError: it is none of them.
    """
    found = str(table[field])
    if found not in known:
        raise ConfigurationError(f"{name}.{field} is {found!r}; there are: {', '.join(known)}")
    return found


def made(kind: type[T], name: str, table: Mapping[str, Any]) -> T:
    """Make a dataclass, all of whose fields have defaults, of a table.

    Raises:
        ConfigurationError: a field is unknown, of another type or out of range.
    """
    known: dict[str, type] = {field.name: type(field.default) for field in fields(kind)}  # type: ignore[arg-type]
    for field, value in table.items():
        if field not in known:
            raise ConfigurationError(f"{name}.{field} is not a field; there are: {', '.join(known)}")
        if type(value) is not known[field] and not (known[field] is float and type(value) is int):
            raise ConfigurationError(f"{name}.{field} is {value!r}, expected {known[field].__name__}")
    try:
        return kind(**table)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def checkpoint(folder: Path, card: str, *, best: bool) -> Path:
    """Return the checkpoint that a folder is or holds.

    Args:
        folder: a checkpoint, or a run.
        card: name of the file by which a checkpoint is known.
        best: whether a run's best one is taken, where it has one, and not its newest.

    Raises:
        ConfigurationError: there is none.
    """
    if (folder / card).is_file():
        return folder
    if folder.is_dir():
        run = Run(folder)
        chosen = run.best() if best else None
        found = chosen[0] if chosen is not None else run.newest()
        if found is not None:
            return found
    raise ConfigurationError(f"student.adapter: {folder} is no checkpoint and holds none; run the stage before first")
