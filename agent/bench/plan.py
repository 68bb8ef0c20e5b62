"""What is to be run: which items, in which order, under which condition, and the identity of all that."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from agent.bench.child import Job
from agent.bench.condition import Condition
from agent.bench.pool import Wanted
from agent.bench.records import RunError
from policy.tasks import Group, Item, Task

_SOURCES = ("agent", "perception", "policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which items of a data set.

    Attributes:
        tasks: codes of groups or task types, in any case; empty for all.
        ids: ids of items, or beginnings of them; empty for all.
        limit: at most so many, taken round the task types in turn; 0 for all.
        shuffle: seed of a random order, in which ``limit`` then takes the first of each task type; ``None`` for the
            data set's own.
        repeat: how often each item is replayed.
    """

    tasks: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    limit: int = 0
    shuffle: int | None = None
    repeat: int = 1


def select(task: Task, items: Sequence[Item], selection: Selection) -> list[Item]:
    """Return the selected items, in the order in which they are to be run.

    Raises:
        RunError: a task or an id is not in the data set, or nothing is left.
    """
    chosen = list(items)
    if selection.tasks:
        by_name = {name.lower() for name in selection.tasks}
        known = _names(task.groups, items)
        if unknown := sorted(by_name - known.keys()):
            raise RunError(f"there is no task {unknown[0]!r} in this data set; there are: {', '.join(_shown(known))}")
        types = {t for name in by_name for t in known[name]}
        chosen = [item for item in chosen if item.task_type in types]
    if selection.ids:
        for wanted in selection.ids:
            if not any(item.id.startswith(wanted) for item in items):
                raise RunError(f"there is no item {wanted!r} in this data set; see --dry-run")
        chosen = [item for item in chosen if item.id.startswith(selection.ids)]
    if selection.shuffle is not None:
        random.Random(selection.shuffle).shuffle(chosen)
    if selection.limit:
        chosen = _round(chosen)[: selection.limit]
    if not chosen:
        raise RunError("nothing is selected; loosen --task, --id or --limit")
    return chosen


def _round(items: Sequence[Item]) -> list[Item]:
    """Return ``items`` round the task types: the first of each, then the second of each, and so on."""
    by_type: dict[str, list[Item]] = {}
    for item in items:
        by_type.setdefault(item.task_type, []).append(item)
    rounds = zip_longest(*by_type.values())
    return [item for turn in rounds for item in turn if item is not None]


def _names(groups: Sequence[Group], items: Sequence[Item]) -> dict[str, frozenset[str]]:
    """From a name that a person may write, in lower case, to the task types that it means."""
    found = {item.task_type.lower(): frozenset({item.task_type}) for item in items}
    present = {item.task_type for item in items}
    for group in groups:
        if types := present & set(group.task_types):
            found[group.code.lower()] = frozenset(types)
    return found


def _shown(known: Mapping[str, frozenset[str]]) -> list[str]:
    return sorted(known, key=lambda name: (len(name) > 3, name))


def wanted(items: Sequence[Item], repeat: int) -> list[Wanted]:
    """Return every replay, all items once before any comes again."""
    return [Wanted(item, number) for number in range(repeat) for item in items]


def identity(
    task: Task, folder: Path, chosen: Sequence[Item], job: Job, selection: Selection, *, comparable: bool
) -> dict[str, Any]:
    """Return what makes this run this run; two runs with the same identity give the same records."""
    loaded = job.loaded()
    return {
        "version": 1,
        "task": job.task,
        "options": dict(job.options),
        "name": task.name,
        "data": str(folder),
        "data_hash": data_hash(folder),
        "selected": [item.id for item in chosen],
        "repeat": selection.repeat,
        "condition": Condition.from_json(job.condition).as_json(),
        "config": json.loads(json.dumps(dataclasses.asdict(loaded), default=sorted)),
        "policy": loaded.policy.use,
        "code": code_hash(),
        "comparable": comparable,
    }


def data_hash(folder: Path) -> str:
    """Return the hash of a data set's lists; of its media, names and sizes count."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        digest.update(path.relative_to(folder).as_posix().encode())
        if path.suffix == ".json":
            digest.update(path.read_bytes())
        else:
            digest.update(str(path.stat().st_size).encode())
    return digest.hexdigest()


def code_hash() -> str:
    """Return the hash of the code that decides what a run gives."""
    root = Path(__file__).parent.parent.parent
    digest = hashlib.sha256()
    for package in _SOURCES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in {".py", ".toml", ".npz", ".safetensors"} and "training" not in path.parts:
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
