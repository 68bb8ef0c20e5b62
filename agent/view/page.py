"""The page of one journal, or of two on the same time axis. It needs nothing but itself; see :mod:`agent.pages`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from agent import pages
from agent.bench.records import replacing
from agent.view import ViewError
from agent.view.lanes import call_of, figures, lanes, length, recorded
from agent.view.reading import Read, read

SCRIPTS: Final = ("model.js", "timeline.js", "events.js", "moment.js", "page.js")
TOLD: Final = 50
"""Bad lines that are named; of further ones only the number is."""

EMBED_BYTES: Final = 64 << 20


def write_page(path: Path, journals: Sequence[Path], media: Path | None = None) -> list[Read]:
    """Write the page, for nobody but its owner to read. An older one is replaced at once, when the new one is whole.

    Args:
        path: of the page.
        journals: one, or two to compare; times are those of each call, from its begin.
        media: a recording of the first call, which is put into the page. The journal has to hold the person's
            agreement to a recording.

    Returns:
        what was read of each journal.

    Raises:
        ViewError: a journal cannot be used, the recording may not be shown, or the page cannot be written.
    """
    found = [read(journal) for journal in journals]
    blocks = [pages.block(f"journal-{n}", _journal(one)) for n, one in enumerate(found)]
    kind = ""
    if media is not None:
        kind = _allowed(media, found[0])
        try:
            blocks.append(pages.medium("medium-data", media, kind))
        except OSError as error:
            raise ViewError(f"{media}: cannot be read ({error.strerror})") from None
    blocks.insert(0, pages.block("data", {"journals": len(found), "medium": kind}))
    title = " and ".join(one.name for one in found)
    try:
        with replacing(path, errors="replace", mode=0o600) as out:
            out.writelines(pages.page(title, files("agent.view") / "page", SCRIPTS, blocks, media="data: blob:"))
    except OSError as error:
        raise ViewError(f"{path}: cannot be written ({error.strerror}); choose another --out") from None
    return found


def _journal(one: Read) -> dict[str, Any]:
    return {
        "name": one.name,
        "call": call_of(one.lines),
        "length": length(one.lines),
        "personal": one.personal,
        "withheld": one.withheld,
        "bad": {"count": len(one.bad), "lines": [[bad.number, bad.why] for bad in one.bad[:TOLD]]},
        "figures": figures(one),
        "lanes": lanes(one.lines),
        "events": one.lines,
    }


def _allowed(media: Path, journal: Read) -> str:
    """Return the media type of a recording that may be shown."""
    kind = pages.PLAYED.get(media.suffix.lower())
    if kind is None:
        raise ViewError(f"{media}: is no kind of file that a page plays; expected {', '.join(sorted(pages.PLAYED))}")
    if not recorded(journal.lines):
        raise ViewError(
            f"{media}: is not put into the page, for {journal.name} holds no agreement to a recording that still "
            "stands; leave out --media"
        )
    try:
        size = media.stat().st_size
    except OSError as error:
        raise ViewError(f"{media}: cannot be read ({error.strerror})") from None
    if size > EMBED_BYTES:
        raise ViewError(f"{media}: has {size >> 20} MB, and a page holds {EMBED_BYTES >> 20} MB; give a smaller copy")
    return kind
