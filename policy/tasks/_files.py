"""What the loaders share: reading a list, ids made of content, and finding media without leaving the folder."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from policy.tasks import Item, TaskError

_ID_DIGITS: Final = 12
UNKNOWN: Final = "unknown"
"""Task type of an entry that names none."""


def read_list(path: Path) -> list[Any]:
    """Read a JSON file that holds a list.

    Raises:
        TaskError: it cannot be read, is no JSON, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise TaskError(f"{path} cannot be read ({error.strerror or error}); check the file and its rights") from error
    except (ValueError, RecursionError) as error:
        raise TaskError(f"{path} is no JSON ({error}); fetch or export it anew") from error
    if not isinstance(value, list):
        raise TaskError(f"{path} holds {_kind(value)} where a list of entries is expected; name the right data set")
    return value


def short_id(*parts: Any) -> str:
    """Return a short hexadecimal id made of JSON values."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_ID_DIGITS]


def numbered(items: Iterable[Item]) -> list[Item]:
    """Return the items with unique ids: of the same content, the second gets ``-2`` and so on, and is a problem."""
    seen: Counter[str] = Counter()
    out: list[Item] = []
    for item in items:
        seen[item.id] += 1
        out.append(again(item, seen[item.id]))
    return out


def again(item: Item, number: int) -> Item:
    """Return the ``number``-th item of the same content, counted from 1; after the first it is a problem."""
    if number == 1:
        return item
    return replace(
        item,
        id=f"{item.id}-{number}",
        asks=tuple(replace(ask, id=f"{ask.id}-{number}") for ask in item.asks),
        problem=item.problem or f"the same medium and question stand in the data set before, as {item.id}",
    )


def stray(media: str) -> str:
    """Say in one word group why ``media`` is no path inside the folder; ``""`` if it is one."""
    if not media.strip() or not media.isprintable():
        return "is empty" if not media.strip() else "holds control characters"
    windows = PureWindowsPath(media)
    if media.startswith("/") or windows.drive or windows.root:
        return "is an absolute path"
    return "leads out of the folder" if ".." in re.split(r"[/\\]", media) else ""


def inside(folder: Path, media: str, places: Iterable[str]) -> Path:
    """Return the first of ``places`` that is a file, links resolved.

    Args:
        folder: of the data set.
        media: path of the file as the data set spells it, for the message.
        places: where it may be, relative to the folder, best first.

    Raises:
        TaskError: none of them is a file, or one leads out of the folder.
    """
    if fault := stray(media):
        raise TaskError(f"media {media!r} {fault}; correct the data set")
    root = folder.resolve()
    tried = list(dict.fromkeys(places))
    for place in tried:
        try:
            path = (root / place).resolve()
            if not path.is_relative_to(root):
                raise TaskError(
                    f"{folder / place} leads out of {folder}; put the file itself there, or name its real folder"
                )
            if path.is_file():
                return path
        except (OSError, RuntimeError, ValueError) as error:
            raise TaskError(f"{folder / place} cannot be read ({error}); correct the data set") from error
    raise TaskError(f"{folder} does not hold {media}; looked for {', '.join(tried)}; put the media there")


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"
