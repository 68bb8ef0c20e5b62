"""The model store: named, pinned by sha256, fetched once, verified, offline after.

A model is a file or a folder under :func:`agent.paths.models_dir`, and counts as present only if every
byte of it hashes to what the manifest says. The whole default set hashes in about a second, so there is no
record of past checks that could go stale or be forged; within one process a file is hashed again only when
its size, times or inode change. Nothing that could run code on loading is accepted: no pickles.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agent import paths
from agent.manifest import Manifest, Model, ModelError, ModelFile, UnknownModel, manifest

__all__ = [
    "Check",
    "ModelAltered",
    "ModelError",
    "ModelMissing",
    "Store",
    "UnknownModel",
    "catalogue",
    "clips",
    "fetch",
    "models",
    "require",
    "resolve",
    "resolve_clip",
    "verify",
]

HUB_RECORD = ".files.json"
"""In the folder of a hub model: what was fetched, with sizes and sha256."""

_HASHERS = 4


class ModelMissing(ModelError):
    """A file of a model is not there."""


class ModelAltered(ModelError):
    """A file of a model is not what the manifest says, or one is there that should not be."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of one model. ``state`` is ``ok``, ``missing`` or ``altered``; ``problem`` says where."""

    model: Model
    path: Path
    state: str
    problem: str = ""


class Store:
    """The models (or clips) under one folder.

    Args:
        root: the folder.
        known: the manifest to hold it to.
        clips: whether this is the store of test footage.
    """

    def __init__(self, root: Path, known: Manifest | None = None, *, clips: bool = False) -> None:
        self.root = root
        self.clips = clips
        self.known = known if known is not None else manifest()
        self._hashed: dict[Path, tuple[tuple[int, ...], str]] = {}
        self._lock = threading.Lock()

    def choose(self, names: Sequence[str] | None) -> list[Model]:
        """Return the named entries, or the default ones for ``None``."""
        return self.known.choose(names, clips=self.clips)

    def path(self, model: Model) -> Path:
        """Return where the model belongs, whether or not it is there."""
        return self.root / model.place

    def resolve(self, name: str) -> Path:
        """Return the verified path of a model: a file, or a folder for one of several files.

        Raises:
            UnknownModel: no such name; the message has the nearest.
            ModelMissing: it has not been fetched; the message has the path and the command.
            ModelAltered: it is not what the manifest says; likewise.
        """
        return self.accept(self.check(self.known.find(name, clips=self.clips)))

    def accept(self, check: Check) -> Path:
        """Return the path of a good check.

        Raises:
            ModelMissing: it is missing.
            ModelAltered: it is altered.
        """
        if check.state == "ok":
            return check.path
        option = " --test-clips" if self.clips else ""
        kind = "clip" if self.clips else "model"
        mend = f"mend it with: agent models fetch{option} {check.model.name}"
        error = ModelMissing if check.state == "missing" else ModelAltered
        raise error(f"{kind} {check.model.name!r}: {check.problem}; {mend}")

    def verify(self, names: Sequence[str] | None = None) -> list[Check]:
        """Check the named models, or the default ones, hashing several files at a time."""
        chosen = self.choose(names)
        with ThreadPoolExecutor(_HASHERS, thread_name_prefix="hash") as pool:
            # The largest first, so that no core is left with the longest file at the end.
            found = dict(pool.map(lambda m: (m.name, self.check(m)), sorted(chosen, key=lambda m: -m.size)))
        return [found[model.name] for model in chosen]

    def check(self, model: Model) -> Check:
        """Hash every file of one model, unless this process has hashed it and it has not been touched."""
        path = self.path(model)
        try:
            return self._check(model, path)
        except FileNotFoundError as error:
            return Check(model, path, "missing", f"{error.filename or path} is missing")
        except OSError as error:
            return Check(model, path, "altered", f"{error.filename or path} cannot be read ({error.strerror})")

    def _check(self, model: Model, path: Path) -> Check:
        files = read_hub_record(path, model) if model.repository else model.files
        for file in files:
            at = path / file.path if file.path else path
            if (size := at.stat().st_size) != file.size:
                return Check(model, path, "altered", f"{at} has {size} bytes, not {file.size}")
        for file in files:
            at = path / file.path if file.path else path
            if self._sha256(at) != file.sha256:
                return Check(model, path, "altered", f"{at} has been altered (wrong sha256)")
        if path.is_dir():
            named = {path / file.path for file in files}
            for extra in sorted(path.rglob("*")):
                hidden = any(part.startswith(".") for part in extra.relative_to(path).parts)
                if extra not in named and not hidden and not extra.is_dir():
                    return Check(model, path, "altered", f"{extra} does not belong to the model")
        return Check(model, path, "ok")

    def _sha256(self, path: Path) -> str:
        stat = path.stat()
        key = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)
        with self._lock:
            known = self._hashed.get(path)
        if known is not None and known[0] == key:
            return known[1]
        digest = sha256(path)
        with self._lock:
            self._hashed[path] = (key, digest)
        return digest


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def read_hub_record(path: Path, model: Model) -> tuple[ModelFile, ...]:
    """Return what was recorded when a hub model was fetched.

    Raises:
        FileNotFoundError: it was not fetched.
        OSError: the record is not readable, or is of another commit.
    """
    record = path / HUB_RECORD
    text = record.read_text(encoding="utf-8")
    try:
        found = json.loads(text)
        if found["revision"] != model.revision:
            raise ValueError(found["revision"])
        return tuple(ModelFile(name, size, digest, ()) for name, (size, digest) in sorted(found["files"].items()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OSError(0, f"not a record of {model.source}", str(record)) from error


@cache
def _store(root: Path, clips: bool) -> Store:
    return Store(root, clips=clips)


def models(root: Path | None = None) -> Store:
    """Return the store of models, in its usual folder unless told otherwise."""
    return _store(root if root is not None else paths.models_dir(), False)


def clips(root: Path | None = None) -> Store:
    """Return the store of test footage, by default the folder ``clips`` beside the models."""
    return _store(root if root is not None else paths.clips_dir(), True)


def catalogue() -> list[Model]:
    """Return every model of the manifest, in its order."""
    return list(manifest().models.values())


def resolve(name: str) -> Path:
    """Return the verified path of a model; see :meth:`Store.resolve`."""
    return models().resolve(name)


def resolve_clip(name: str) -> Path:
    """Return the verified path of a piece of test footage; see :meth:`Store.resolve`."""
    return clips().resolve(name)


def verify(names: Sequence[str] | None = None, *, test_clips: bool = False) -> list[Check]:
    """Check the named models, or the default ones; see :meth:`Store.verify`."""
    return (clips() if test_clips else models()).verify(names)


def require(names: Sequence[str] | None = None) -> None:
    """Refuse to start without the named models, or the default ones; takes about a second.

    Raises:
        ModelMissing: the first that is not there, with its path and the command that mends it.
        ModelAltered: the first that is not what the manifest says; likewise.
    """
    store = models()
    for check in store.verify(names):
        store.accept(check)


def fetch(names: Sequence[str] | None = None, *, progress: bool = True, test_clips: bool = False) -> list[str]:
    """Fetch what is missing or altered of the named models, or of the default ones.

    Args:
        names: names of the manifest, or ``OWNER/NAME@COMMIT``; ``None`` for the default set.
        progress: whether to draw a progress bar on stderr.
        test_clips: fetch footage for tests instead of models.

    Returns:
        The names that were fetched; empty if all were there.

    Raises:
        ModelError: with what went wrong and what to do; running it again goes on where it stopped.
    """
    from agent.fetch import fetch_into
    from agent.progress import Bar, Silent

    with Bar() if progress else Silent() as report:
        return fetch_into(clips() if test_clips else models(), names, report)
