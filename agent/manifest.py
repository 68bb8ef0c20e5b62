"""The manifest of the model store: ``agent/models.toml`` as checked, frozen data."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

T = TypeVar("T")

MANIFEST = Path(__file__).with_name("models.toml")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_HUB = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")


class ModelError(RuntimeError):
    """Something is wrong with a model; the message names it and the command that mends it."""


class UnknownModel(ModelError):
    """A name that is neither in the manifest nor ``OWNER/NAME@COMMIT``."""


class ManifestError(ModelError):
    """The manifest itself is wrong."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel of the package registry. ``size`` in bytes."""

    package: str
    version: str
    size: int
    sha256: str

    @property
    def pin(self) -> str:
        """As pip spells it: ``facex==1.1.0``."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a wheel."""

    wheel: Wheel
    path: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One finished file. ``path`` is relative to the model's folder, empty if the model is this one file;
    ``members`` are joined in order, and there are none if a converter makes the file."""

    path: str
    size: int
    sha256: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the manifest.

    ``place`` is the file or folder inside the store; ``unpacked`` are the bytes of what its converter unpacks on the
    way. A hub model has ``repository`` and ``revision`` and no files: what it consists of is recorded when it is
    fetched.
    """

    name: str
    purpose: str
    licence: str
    origin: str
    place: str
    default: bool
    files: tuple[ModelFile, ...]
    inputs: tuple[ModelFile, ...] = ()
    convert: str = ""
    unpacked: int = 0
    repository: str = ""
    revision: str = ""

    @property
    def size(self) -> int:
        """Bytes on disk; 0 for a hub model, whose size the manifest does not know."""
        return sum(file.size for file in self.files)

    @property
    def workroom(self) -> int:
        """Bytes on disk that are needed beside wheels and finished files while it is made."""
        return sum(file.size for file in self.inputs) + self.unpacked

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """The wheels that the model is taken from, each once."""
        members = [member for file in (*self.inputs, *self.files) for member in file.members]
        return tuple(dict.fromkeys(member.wheel for member in members))

    @property
    def source(self) -> str:
        """Where it comes from, for people: pinned packages, or a repository at a commit."""
        if self.repository:
            return f"{self.repository}@{self.revision[:12]}"
        return ", ".join(wheel.pin for wheel in self.wheels)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that can be fetched, by name."""

    models: Mapping[str, Model]
    clips: Mapping[str, Model]

    def choose(self, names: Iterable[str] | None, *, clips: bool = False) -> list[Model]:
        """Return the named entries, or the default ones for ``None``.

        Raises:
            UnknownModel: with the nearest name.
        """
        known = self.clips if clips else self.models
        if names is None:
            return [model for model in known.values() if model.default]
        return [self.find(name, clips=clips) for name in dict.fromkeys(names)]

    def find(self, name: str, *, clips: bool = False) -> Model:
        """Return one entry; ``OWNER/NAME@COMMIT`` names a hub repository that need not be in the manifest.

        Raises:
            UnknownModel: with the nearest name.
        """
        known = self.clips if clips else self.models
        if name in known:
            return known[name]
        if not clips and (match := _HUB.fullmatch(name)):
            return _hub_model(name, match["repository"], match["revision"])
        kind = "clip" if clips else "model"
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise UnknownModel(f"no {kind} is named {name!r}; {hint}")


def read_manifest(path: Path = MANIFEST) -> Manifest:
    """Read and check a manifest.

    Raises:
        ManifestError: it is no valid TOML, or an entry is incomplete, unsafe or contradicts itself.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        sources = _each(raw.pop("sources", {}), _wheel)
        models = _each(raw.pop("models", {}), lambda name, entry: _model(name, entry, sources))
        clips = _each(raw.pop("clips", {}), lambda name, entry: _model(name, entry, sources))
        _check(not raw, f"unknown table {', '.join(raw)}")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path}: {error}") from error
    return Manifest(models, clips)


@cache
def manifest() -> Manifest:
    """Return the manifest that ships with the package."""
    return read_manifest()


def _each(table: Mapping[str, dict[str, Any]], make: Callable[[str, dict[str, Any]], T]) -> dict[str, T]:
    found = {}
    for name, entry in table.items():
        try:
            found[name] = make(name, entry)
        except KeyError as error:
            raise ValueError(f"{name}: missing key {error}") from error
    return found


def _wheel(name: str, entry: dict[str, Any]) -> Wheel:
    wheel = Wheel(name, entry.pop("version"), entry.pop("size"), entry.pop("sha256"))
    _check(not entry, f"sources.{name}: unknown key {', '.join(entry)}")
    _check(bool(_SHA256.fullmatch(wheel.sha256)) and wheel.size > 0, f"sources.{name}: bad sha256 or size")
    return wheel


def _model(name: str, entry: dict[str, Any], sources: Mapping[str, Wheel]) -> Model:
    _check(bool(_NAME.fullmatch(name)), f"{name}: a name has lower-case letters, digits, '-' and '.'")
    if "repository" in entry:
        model = _hub_model(name, entry.pop("repository"), entry.pop("revision"))
        model = Model(
            name,
            entry.pop("purpose"),
            entry.pop("licence"),
            entry.pop("origin"),
            name,
            entry.pop("default", False),
            (),
            repository=model.repository,
            revision=model.revision,
        )
    else:
        model = Model(
            name,
            entry.pop("purpose"),
            entry.pop("licence"),
            entry.pop("origin"),
            entry.pop("file", name),
            entry.pop("default", True),
            tuple(_file(name, file, sources) for file in entry.pop("files")),
            tuple(_file(name, file, sources) for file in entry.pop("inputs", [])),
            entry.pop("convert", ""),
            entry.pop("unpacked", 0),
        )
        _check(bool(model.files), f"{name}: no files")
        _check(len(model.files) == 1 or all(file.path for file in model.files), f"{name}: a file lacks its path")
        made = [file for file in model.files if not file.members]
        _check(bool(model.convert) == bool(made), f"{name}: files without 'from' and 'convert' go together")
        _check(bool(model.convert) == bool(model.inputs), f"{name}: 'inputs' and 'convert' go together")
        _check(all(file.members and file.path for file in model.inputs), f"{name}: an input lacks 'from' or 'path'")
    _check(_is_inside(model.place) and "/" not in model.place, f"{name}: {model.place!r} leaves the store")
    _check(not entry, f"{name}: unknown key {', '.join(entry)}")
    return model


def _file(name: str, entry: dict[str, Any], sources: Mapping[str, Wheel]) -> ModelFile:
    origin = entry.pop("from", [])
    members = []
    for text in [origin] if isinstance(origin, str) else origin:
        source, _, path = text.partition(":")
        _check(source in sources and bool(path), f"{name}: {text!r} is not SOURCE:MEMBER of a known source")
        members.append(Member(sources[source], path))
    file = ModelFile(entry.pop("path", ""), entry.pop("size"), entry.pop("sha256"), tuple(members))
    _check(not entry, f"{name}: unknown key {', '.join(entry)}")
    _check(bool(_SHA256.fullmatch(file.sha256)) and file.size >= 0, f"{name}: bad sha256 or size")
    _check(not file.path or _is_inside(file.path), f"{name}: {file.path!r} leaves its folder")
    return file


def _hub_model(name: str, repository: str, revision: str) -> Model:
    if not _HUB.fullmatch(f"{repository}@{revision}"):
        raise ManifestError(f"{name}: a hub model is OWNER/NAME at a full commit, not {repository}@{revision}")
    place = f"{repository.replace('/', '--')}@{revision[:12]}"
    return Model(name, "", "see the repository", repository, place, False, (), repository=repository, revision=revision)


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith(("/", ".")) and ".." not in parts and "\\" not in path


def _check(right: bool, message: str) -> None:
    if not right:
        raise ValueError(message)
