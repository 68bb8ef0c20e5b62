"""What ships inside the package beside the models that are fetched: the adapter and the head of the embedded mind, and
what the safety lane reads with.

They lie in ``policy/data``. ``SHA256SUMS`` there, in the format of ``sha256sum``, says what each file must hash to;
``tools/checksums.py`` writes it. Nothing here is fetched: what is missing or altered comes with the package again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import policy
from agent.models import sha256

DATA: Final = Path(policy.__file__).parent / "data"
"""Where it lies."""

SUMS: Final = "SHA256SUMS"
CARD: Final = "listener.json"
"""In the folder of an adapter: its format, and the base that it was trained on."""

MEND: Final = "install the package anew"

_LINE: Final = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<path>\S.*)")


class ChecksumError(ValueError):
    """The file of checksums cannot be used; the message names it and the line."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """One thing that ships.

    Attributes:
        name: as commands take it.
        purpose: what it is for.
        licence: as its model card states it.
        needs: name of the fetched model that it was trained on, and works with alone.
        files: relative to :data:`DATA`, all needed.
    """

    name: str
    purpose: str
    licence: str
    needs: str
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Folder that holds nothing else, relative to :data:`DATA`; ``""`` if it is a single file."""
        first = PurePosixPath(self.files[0]).parent.as_posix()
        return "" if first == "." else first


SHIPPED: Final = (
    Shipped(
        "listener",
        "adapter that makes a listener of smollm2, with ears, eyes and rows that choose",
        "Apache-2.0",
        "smollm2",
        tuple(
            f"listener/{name}"
            for name in (CARD, "adapter_config.json", "adapter_model.safetensors", "senses.safetensors", "README.md")
        ),
    ),
    Shipped(
        "head",
        "strategy, display emotion and mood from words, face and voice: the adapter's prior",
        "Apache-2.0",
        "minilm",
        ("head.safetensors",),
    ),
    Shipped(
        "veiled",
        "danger that a conversation only hints at: what danger-reader was taught",
        "Apache-2.0",
        "danger-reader",
        ("veiled.safetensors",),
    ),
)
"""In the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one thing.

    Attributes:
        shipped: what it is.
        path: its folder or file.
        state: ``ok``, ``missing`` or ``altered``.
        size: bytes on disk of the files that are there.
        base: the base that it names itself, else the name of the model that it needs.
        problem: what is wrong and where; of one that is ``ok``, what could not be checked.
    """

    shipped: Shipped
    path: Path
    state: str
    size: int
    base: str
    problem: str = ""


def split(names: Sequence[str]) -> tuple[list[str] | None, list[str] | None]:
    """Return names of fetched models and names of what ships; ``None`` and ``None``, which mean all, for no names."""
    if not names:
        return None, None
    own = {shipped.name for shipped in SHIPPED}
    return [name for name in names if name not in own], [name for name in names if name in own]


def verify(names: Sequence[str] | None = None, data: Path | None = None) -> list[Found]:
    """Look at what ships, and compare it with its checksums if there are any.

    Args:
        names: of :data:`SHIPPED`; ``None`` for all.
        data: another folder than :data:`DATA`.
    """
    folder = data if data is not None else DATA
    chosen = [shipped for shipped in SHIPPED if names is None or shipped.name in names]
    try:
        sums, broken = read_sums(folder), ""
    except ChecksumError as error:
        sums, broken = None, str(error)
    found = []
    for shipped in chosen:
        paths = [path for name in shipped.files if (path := folder / name).is_file()]
        size = sum(path.stat().st_size for path in paths)
        base, trouble = _base(shipped, folder)
        state, problem = _state(shipped, folder, sums, broken or trouble)
        place = folder / (shipped.folder or shipped.files[0])
        found.append(Found(shipped, place, state, size, base, problem))
    return found


def read_sums(data: Path) -> dict[str, str] | None:
    """Return the sha256 of each file by its path relative to ``data``; ``None`` if there is no file of checksums.

    Raises:
        ChecksumError: it cannot be read, or a line is none of ``sha256sum``, or names a file outside of ``data``.
    """
    path = data / SUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ChecksumError(f"{path}: cannot be read ({error})") from error
    sums = dict[str, str]()
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        name = match["path"] if match else ""
        inside = PurePosixPath(name)
        if match is None or inside.is_absolute() or ".." in inside.parts:
            raise ChecksumError(f"{path}, line {number}: {line!r} is no sha256 and path inside the folder")
        if name in sums:
            raise ChecksumError(f"{path}, line {number}: {name} stands there twice")
        sums[name] = match["digest"]
    return sums


def strays(shipped: Shipped, data: Path) -> Iterator[str]:
    """Yield what lies in the folder of a thing and does not belong to it, relative to ``data``; not what is hidden."""
    if not shipped.folder:
        return
    for path in sorted((data / shipped.folder).rglob("*")):
        name = path.relative_to(data)
        hidden = any(part.startswith(".") for part in name.parts)
        if not path.is_dir() and not hidden and name.as_posix() not in shipped.files:
            yield name.as_posix()


def _state(shipped: Shipped, data: Path, sums: Mapping[str, str] | None, trouble: str) -> tuple[str, str]:
    for name in shipped.files:
        if not (data / name).is_file():
            return "missing", f"{data / name} is missing"
    if trouble:
        return "altered", trouble
    for name in strays(shipped, data):
        return "altered", f"{data / name} does not belong to it"
    if sums is None:
        return "ok", f"not compared with checksums: {data / SUMS} is missing"
    for name in shipped.files:
        path = data / name
        if name not in sums:
            return "altered", f"{path} has no checksum in {data / SUMS}"
        try:
            digest = sha256(path)
        except OSError as error:
            return "altered", f"{path} cannot be read ({error.strerror})"
        if digest != sums[name]:
            return "altered", f"{path} has been altered (wrong sha256)"
    return "ok", ""


def _base(shipped: Shipped, data: Path) -> tuple[str, str]:
    """Return the base that a thing names, and what is wrong with that name."""
    card = next((data / name for name in shipped.files if PurePosixPath(name).name == CARD), None)
    if card is None or not card.is_file():
        return shipped.needs, ""
    try:
        base = json.loads(card.read_text(encoding="utf-8"))["base"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return shipped.needs, f"{card} names no base ({error})"
    if not isinstance(base, str) or base.partition(" ")[0] != shipped.needs:
        return str(base), f"{card}: was trained on {base!r}, and {shipped.needs!r} is what it is to work with"
    return base, ""
