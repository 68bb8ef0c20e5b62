"""HTML pages that are one file each and need nothing else: the report of a benchmark run, the view of a journal.

Style, script and data are put into the page. Data travels as JSON in ``<script type="application/json">`` blocks. A
content security policy names the hashes of script and style: whatever the data say, nothing of it can run, and
nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

PLAYED: Final = {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mkv": "video/x-matroska",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "video/webm",
}
"""Media types of the files that browsers play, by the ends of their names."""


def page(
    title: str, folder: Traversable, scripts: Sequence[str], blocks: Iterable[str], *, media: str
) -> Iterator[str]:
    """Return the pieces of a page, in order.

    Args:
        title: of the page; any text.
        folder: holds ``page.html``, which goes on where ``head.html`` of this package ends and has the places
            ``{{data}}`` and ``{{script}}`` in this order, ``page.css``, and the scripts.
        scripts: names of files in ``folder``, in order; ``dom.js`` of this package comes before them.
        blocks: the data, as :func:`block` and :func:`medium` return them.
        media: sources from which pictures and sound may come, as a content security policy spells them.
    """
    own = files("agent.pages")
    style = _read(own / "base.css") + _read(folder / "page.css")
    script = '"use strict";\n' + "\n".join([_read(own / "dom.js"), *(_read(folder / name) for name in scripts)])
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src {media}; "
        f"media-src {media}; base-uri 'none'; form-action 'none'"
    )
    head = _read(own / "head.html").replace("{{policy}}", html.escape(policy, quote=False))
    before, _, between = head.replace("{{title}}", html.escape(title)).partition("{{style}}")
    early, _, rest = _read(folder / "page.html").partition("{{data}}")
    late, _, after = rest.partition("{{script}}")
    yield from (before, style, between, early)
    for one in blocks:
        yield one
        yield "\n"
    yield from (late, script, after)


def block(id: str, value: Any) -> str:
    """Return a value as a block of data out of which no text can break; numbers that are none become ``null``."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(letter, code)
    return f'<script type="application/json" id="{id}">{text}</script>'


def medium(id: str, path: Path, kind: str) -> str:
    """Return a file as a block that holds its data URL.

    Args:
        id: of the block.
        path: of the file.
        kind: its media type, such as ``audio/wav``.

    Raises:
        OSError: it cannot be read.
    """
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<script type="text/plain" id="{id}">data:{kind};base64,{data}</script>'


def _read(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _plain(value: Any) -> Any:
    """Return the value without what JSON has no word for: numbers that are none become ``None``."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
        case Mapping():
            return {str(k): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
    return str(value)
