"""The folder of a training run: what it is, how it went, and checkpoints to go on from.

::

    run.json             stage, recipe and size of the data; another recipe is refused
    metrics.jsonl        one line per step
    checkpoint-000120/   what Student.save wrote, optimizer.safetensors, and state.json, written last

A checkpoint appears whole or not at all: it is written beside its place, synced, and renamed. The last two are kept,
and the one with the best figure on the dev part. Opening a run removes what a kill left behind.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from policy.training import ranks
from policy.training.random_state import random_state
from policy.training.student import BaseMismatch, Student

RUN: Final = "run.json"
METRICS: Final = "metrics.jsonl"
STATE: Final = "state.json"
OPTIMIZER: Final = "optimizer.safetensors"
KEPT: Final = 2
"""Checkpoints that are kept beside the best one."""

_NAME: Final = re.compile(r"checkpoint-(\d{6,})")
_LEFT: Final = re.compile(r"\.checkpoint-\d{6,}\.(?:new|gone|old)")
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_NO_ROOM_TEXT: Final = tuple(f"os error {number})" for number in _NO_ROOM)


class RunError(Exception):
    """A run cannot start or go on; the message names the folder or the step, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a run stands, beside its weights.

    Attributes:
        step: steps that are done.
        epoch: of the data, from 0.
        batch: the next one of that epoch, from 0.
        scale: factor of the learning rate: halved whenever training had to go back.
        seconds: of training so far.
        score: the dev figure at this step, turned so that more is better; ``None`` if it was not measured.
        random: states of the random generators, by rank.
    """

    step: int
    epoch: int = 0
    batch: int = 0
    scale: float = 1.0
    seconds: float = 0.0
    score: float | None = None
    random: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


class Run:
    """One folder, for one run at a time.

    Args:
        folder: of the run; made if it is not there.

    Attributes:
        removed: names of broken checkpoints and leftovers that were removed when it was opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.removed: list[str] = []
        self._digest = ""
        self._lock = FileLock(folder / ".lock")

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others in."""
        self._lock.release()

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Take the folder for the run that ``identity`` describes, and clear away what a kill left.

        Args:
            identity: JSON: what must be the same for a run to go on.

        Raises:
            RunError: the folder is in use, holds another run, or cannot be written.
        """
        identity = json.loads(ranks.gather(json.dumps(identity).encode())[0])
        self._digest = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        failed: Exception | None = None
        if ranks.rank() == 0:
            try:
                self._claim(identity)
                self._clear()
            except OSError as error:
                failed = self._explained(error, RUN)
            except RunError as error:
                failed = error
        self._together(failed)

    def checkpoints(self) -> dict[int, Path]:
        """Return the whole checkpoints by step, in order."""
        found = {int(m[1]): p for p in self.folder.glob("checkpoint-*") if (m := _NAME.fullmatch(p.name)) and _whole(p)}
        return dict(sorted(found.items()))

    def newest(self) -> Path | None:
        """Return the last whole checkpoint."""
        return next(reversed(self.checkpoints().values()), None)

    def best(self) -> tuple[Path, float] | None:
        """Return the checkpoint with the best dev figure, the first of several equal ones, and its score."""
        scored = ((path, read_state(path).score) for path in self.checkpoints().values())
        return max(((p, s) for p, s in scored if s is not None), key=lambda pair: pair[1], default=None)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines so far."""
        path = self.folder / METRICS
        return read_metrics(path) if path.exists() else []

    def record(self, line: Mapping[str, Any]) -> None:
        """Append one line to the metrics; figures that are no finite numbers become ``null``.

        Raises:
            RunError: there is no room.
        """
        failed: Exception | None = None
        if ranks.rank() == 0:
            text = json.dumps(_finite(line), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            try:
                with (self.folder / METRICS).open("a", encoding="utf-8", newline="\n") as out:
                    out.write(text + "\n")
            except OSError as error:
                failed = self._explained(error, METRICS)
        self._together(failed)

    def save(self, student: Student, optimizer: torch.optim.Optimizer, state: State) -> None:
        """Write a checkpoint of the step in ``state``, and remove those that are no longer needed.

        Raises:
            RunError: there is no room; the checkpoints before are untouched.
        """
        mine = json.dumps(random_state()).encode()
        everyone = tuple(json.loads(found) for found in ranks.gather(mine))
        failed: Exception | None = None
        if ranks.rank() == 0:
            name = f"checkpoint-{state.step:06}"
            new = self.folder / f".{name}.new"
            try:
                self._write(new, student, optimizer, {**asdict(state), "random": everyone})
                self._swap(new, self.folder / name)
                self._prune()
            except (OSError, SafetensorError) as error:
                shutil.rmtree(new, ignore_errors=True)
                failed = self._explained(error, name)
        self._together(failed)

    def resume(self, student: Student, optimizer: torch.optim.Optimizer) -> State | None:
        """Load the newest whole checkpoint into ``student`` and ``optimizer``, and drop metrics of later steps.

        Returns:
            Where the run stands; ``None`` if there is no checkpoint.

        Raises:
            BaseMismatch: it belongs to another base model.
            RunError: it belongs to another run.
        """
        path = self.newest()
        state = None
        if path is not None:
            record = json.loads((path / STATE).read_text(encoding="utf-8"))
            if record["recipe"] != self._digest:
                raise RunError(f"{path} belongs to a run with another recipe; move it away, or choose another folder")
            if record["base"] != student.base:
                raise BaseMismatch(f"{path} was trained on {record['base']}, not on {student.base}; load that base")
            student.load(path)
            load_optimizer(path / OPTIMIZER, student, optimizer)
            state = read_state(path)
        failed: Exception | None = None
        if ranks.rank() == 0:
            try:
                self._truncate(-1 if state is None else state.step)
            except OSError as error:
                failed = self._explained(error, METRICS)
        self._together(failed)
        return state

    def _claim(self, identity: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"{self.folder} is in use by another run; wait for it, or choose another folder") from None
        path = self.folder / RUN
        if not path.exists():
            _write_whole(path, json.dumps(identity, ensure_ascii=False, indent=1) + "\n")
            return
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{path} is no run ({error}); choose another folder") from error
        if differing := list(_differences(known, identity)):
            raise RunError(
                f"{self.folder} holds another run: {'; '.join(differing)}; "
                "choose another folder, or go back to that recipe"
            )

    def _clear(self) -> None:
        for path in sorted(self.folder.iterdir()):
            old = path.name.endswith(".old") and path.with_name(path.name[1:-4])
            if _LEFT.fullmatch(path.name) and old and not old.exists():
                path.rename(old)  # killed between the two renames of a checkpoint that took another's place
            elif _LEFT.fullmatch(path.name) or (_NAME.fullmatch(path.name) and not _whole(path)):
                shutil.rmtree(path)
                self.removed.append(path.name)

    def _write(self, new: Path, student: Student, optimizer: torch.optim.Optimizer, record: Mapping[str, Any]) -> None:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        student.save(new)
        save_file(optimizer_tensors(student, optimizer), new / OPTIMIZER)
        sizes = {path.relative_to(new).as_posix(): path.stat().st_size for path in _files(new)}
        about = {"base": student.base, "recipe": self._digest, "files": sizes}
        (new / STATE).write_text(json.dumps({**record, **about}, indent=1) + "\n", encoding="utf-8")
        for path in (*_files(new), *(p for p in new.rglob("*") if p.is_dir()), new):
            _sync(path)

    def _swap(self, new: Path, place: Path) -> None:
        old = place.with_name(f".{place.name}.old")
        if place.exists():
            place.rename(old)
        new.rename(place)
        _sync(self.folder)
        shutil.rmtree(old, ignore_errors=True)

    def _prune(self) -> None:
        found = list(self.checkpoints().values())
        best = self.best()
        for path in found[:-KEPT]:
            if best is None or path != best[0]:
                gone = path.with_name(f".{path.name}.gone")
                path.rename(gone)
                shutil.rmtree(gone)

    def _truncate(self, step: int) -> None:
        path = self.folder / METRICS
        if path.exists():
            lines = [line for line in read_metrics(path) if line["step"] <= step]
            text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
            _write_whole(path, text)

    def _explained(self, error: OSError | SafetensorError, what: str) -> Exception:
        """Return what to raise; ``safetensors`` tells the cause in its message only."""
        full = isinstance(error, OSError) and error.errno in _NO_ROOM
        if not full and not any(text in str(error) for text in _NO_ROOM_TEXT):
            return error
        newest = self.newest()
        from_where = f"from {newest.name}" if newest else "from the start"
        told = RunError(
            f"{self.folder} has no room left for {what}; make room and start the same run again: "
            f"it goes on {from_where}"
        )
        told.__cause__ = error
        return told

    @staticmethod
    def _together(failed: Exception | None) -> None:
        """Raise in every process if the first one failed."""
        told = ranks.first_of("" if failed is None else str(failed) or type(failed).__name__)
        if failed is not None:
            raise failed
        if told:
            raise RunError(told)


def read_state(path: Path) -> State:
    """Read the state of a whole checkpoint."""
    record = json.loads((path / STATE).read_text(encoding="utf-8"))
    known = {name: record[name] for name in State.__dataclass_fields__}
    return State(**{**known, "random": tuple(known["random"])})


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a metrics file; a last one that a kill cut off is left out.

    Raises:
        RunError: another line cannot be read.
    """
    found: list[dict[str, Any]] = []
    *whole, _ = path.read_text(encoding="utf-8").split("\n")
    for number, text in enumerate(whole, 1):
        try:
            line = json.loads(text)
            line["step"] = int(line["step"])
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(f"{path}, line {number} is no step ({error}); remove it") from None
        found.append(line)
    return found


def optimizer_tensors(student: Student, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the state of ``optimizer`` as tensors, named ``parameter/key``."""
    return {
        f"{name}/{key}": value.detach().cpu().contiguous()
        for name, parameter in student.parameters().items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer(path: Path, student: Student, optimizer: torch.optim.Optimizer) -> None:
    """Put back what :func:`optimizer_tensors` gave."""
    parameters = student.parameters()
    optimizer.state.clear()
    for name, value in load_file(path).items():
        owner, _, key = name.rpartition("/")
        parameter = parameters[owner]
        place = "cpu" if key == "step" else parameter.device  # AdamW counts on the CPU
        optimizer.state[parameter][key] = value.to(place)


def _whole(path: Path) -> bool:
    """Tell whether everything is there that was written."""
    try:
        record = json.loads((path / STATE).read_text(encoding="utf-8"))
        return all((path / name).stat().st_size == size for name, size in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _differences(known: Any, wanted: Any, name: str = "") -> Iterator[str]:
    if isinstance(known, dict) and isinstance(wanted, dict):
        for key in sorted({*known, *wanted}):
            yield from _differences(known.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    elif known != wanted:
        yield f"{name} is {json.dumps(known)} there and {json.dumps(wanted)} here"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_whole(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8", newline="\n")
    _sync(new)
    new.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
