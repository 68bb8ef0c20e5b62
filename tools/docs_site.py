"""A hook of MkDocs: files of the repository that a page links to come into the site, so that no link leads out of it.

Pages of ``docs/`` link to what stands beside them in the repository (``../configs/default.toml``). There such a link
works as it is; in the site it leads to a copy under ``source/``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parent.parent
LINK: Final = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)(#[^)\s]*)?(\))")
_TEXT: Final = frozenset({".md", ".py", ".toml", ".js", ".ts", ".css", ".json"})
"""Kinds that are given as plain text, so that a browser shows them and none is taken for a page of the site."""


def on_files(files: Files, config: Any) -> Files:
    """Add what pages link to outside of ``docs/``."""
    there = {file.src_uri for file in files}
    for file in [f for f in files if f.is_documentation_page()]:
        for place in _outside(file.src_uri, file.content_string):
            uri = _uri(place)
            if uri not in there:
                there.add(uri)
                files.append(File.generated(config, uri, content=place.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links out of ``docs/`` lead to the copies."""
    folder = Path(page.file.src_uri).parent

    def led(found: re.Match[str]) -> str:
        place = _place(page.file.src_uri, found[2])
        if place is None or not place.is_file():
            return found[0]
        return f"{found[1]}{Path(os.path.relpath(_uri(place), folder)).as_posix()}{found[4]}"

    return LINK.sub(led, markdown)


def _outside(page: str, markdown: str) -> list[Path]:
    found = [_place(page, match[2]) for match in LINK.finditer(markdown)]
    return [place for place in found if place is not None and place.is_file()]


def _place(page: str, link: str) -> Path | None:
    """Return the file of the repository that a link of a page leads to, if that is outside of ``docs/``."""
    place = Path(os.path.normpath(ROOT / "docs" / Path(page).parent / link))
    inside = place.is_relative_to(ROOT / "docs") or not place.is_relative_to(ROOT)
    return None if inside else place


def _uri(place: Path) -> str:
    uri = f"source/{place.relative_to(ROOT).as_posix()}"
    return f"{uri}.txt" if place.suffix in _TEXT else uri
